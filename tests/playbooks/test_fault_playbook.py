"""Faults from a playbook: whatever happens meanwhile, the link is up at the end."""

import json
import os
import signal
import subprocess
import time

import pytest
from playbook_lab import INVENTORY, ROOT, Lab

from aibench_lib.journal import Journal
from aibench_lib.run import storm
from aibench_lib.run.lab import lab_instance
from aibench_lib.worker.agents import Agent
from aibench_lib.worker.storm import status

PLAYBOOK = """
- name: Have a fault
  hosts: switches
  gather_facts: false
  tasks:
    - name: Have a fault
      ansible.builtin.include_tasks: {tasks}
      vars:
        with_fault: {fault}
        with_fault_tasks: {meanwhile}
        with_fault_run_dir: {run_dir}
"""
DOWN = {"fault": "link_down", "ports": ["leaf1:Ethernet49"]}
STORM = {"fault": "pause_storm", "host": "decode01", "duration_s": 60}


class Script:
    """A playbook that does something while a fault is there."""

    def __init__(self, lab: Lab, meanwhile: str, fault: dict[str, object]) -> None:
        self.lab = lab
        self.run_dir = lab.results / "20261124-000000-fault"
        lab.results.mkdir(exist_ok=True)
        tasks = lab.folder / "meanwhile.yml"
        tasks.write_text(meanwhile)
        self.path = lab.folder / "fault.yml"
        self.path.write_text(
            PLAYBOOK.format(
                tasks=ROOT / "playbooks" / "tasks" / "with_fault.yml",
                fault=json.dumps(fault),
                meanwhile=tasks,
                run_dir=self.run_dir,
            )
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        variables = json.dumps(self.lab.variables())
        command = ["ansible-playbook", str(self.path), "-i", str(INVENTORY), "-e", variables, *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    def play(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output


def decode_agent(lab: Lab) -> Agent:
    state = lab.folder / "state"
    files = {"ca": state / "ca.pem", "cert": state / "client.pem", "key": state / "client.key"}
    return Agent(host="decode01", address=lab.virtual.addresses["decode01"], port=50051, **files)


def storms(lab: Lab) -> bool:
    return status(decode_agent(lab), 3).active


def shut(lab: Lab) -> bool:
    return lab.virtual.switches["leaf1"].is_shut("Ethernet49")


def test_a_fault_ends_with_the_tasks_even_if_they_fail(lab):
    fails = "- name: Fail\n  ansible.builtin.fail:\n    msg: something broke\n"
    before = lab.running()
    script = Script(lab, fails, {**DOWN, "duration_s": 120})
    rc, output = script.play()
    assert rc != 0
    assert "link_down started: leaf1:Ethernet49 down, spine1:ethernet-1/1 down" in output
    assert "the switch ends it by itself after 120 s" in output
    assert "link_down stopped: leaf1:Ethernet49 up, spine1:ethernet-1/1 up" in output
    assert "something broke" in output
    assert lab.running() == before


def test_a_check_run_shows_the_fault_and_sends_nothing(lab):
    writes = len(lab.virtual.writes)
    rc, output = Script(lab, "[]\n", DOWN).play("--check", "--diff")
    assert rc == 0, output
    assert "+   shutdown" in output
    assert len(lab.virtual.writes) == writes
    assert not list(lab.results.iterdir())


def test_what_cannot_be_had_is_not_attainable_and_nothing_is_sent(lab):
    writes = len(lab.virtual.writes)
    lossy = {"fault": "lossy_link", "ports": ["leaf1:Ethernet49"], "loss_percent": 5}
    rc, output = Script(lab, "[]\n", lossy).play()
    assert rc != 0
    assert "not attainable: lossy_link" in output
    assert "Traceback" not in output
    assert len(lab.virtual.writes) == writes


@pytest.fixture
def hang(lab):
    """Start a playbook that has a fault and waits; it is gone at the end of the test."""
    started = []

    def hang(fault):
        started.append(Script(lab, "- name: Wait\n  ansible.builtin.pause:\n    seconds: 300\n", fault).start())
        return started[0]

    yield hang
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def killed(hanging, said: str) -> None:
    """Kill a playbook, as ``kill -9`` does, once it has said something."""
    for line in hanging.stdout:
        if said in line:
            break
    os.killpg(hanging.pid, signal.SIGKILL)
    hanging.wait(10)


def eventually(is_so) -> bool:
    end = time.monotonic() + 30
    while not is_so() and time.monotonic() < end:
        time.sleep(0.1)
    return is_so()


def guard(lab: Lab) -> int:
    return int(lab.events("run_opened")[0]["guard"])


def test_a_fault_whose_playbook_is_killed_is_ended_by_its_guard(lab, hang):
    before, hanging = lab.running(), hang(DOWN)
    killed(hanging, "link_down started")
    assert eventually(lambda: bool(lab.events("run_closed")))
    assert not shut(lab)
    assert lab.running() == before
    assert lab.events("run_closed")[0]["status"] == "faults_ended"


def test_a_fault_whose_guard_is_killed_as_well_is_taken_back_by_the_restore_playbook(lab, hang):
    before, hanging = lab.running(), hang(DOWN)
    for line in hanging.stdout:
        if "link_down started" in line:
            break
    os.kill(guard(lab), signal.SIGKILL)
    os.killpg(hanging.pid, signal.SIGKILL)
    hanging.wait(10)
    assert shut(lab)
    played = lab.play("restore.yml")
    assert played.rc == 0, played.output
    assert not shut(lab)
    assert lab.running() == before


def test_a_pause_storm_ends_with_the_tasks_even_if_they_fail(lab):
    writes = len(lab.virtual.writes)
    rc, output = Script(lab, "- name: Fail\n  ansible.builtin.fail:\n    msg: something broke\n", STORM).play()
    assert rc != 0
    assert "pause_storm started: decode01, priority 3" in output
    assert "its agent ends it by itself after 60 s of lab time" in output
    assert "pause_storm stopped: decode01, priority 3" in output
    assert "something broke" in output
    assert not storms(lab)
    assert len(lab.virtual.writes) == writes


def test_a_check_run_asks_for_a_pause_storm_and_makes_none(lab):
    rc, output = Script(lab, "- name: Nothing\n  ansible.builtin.meta: noop\n", STORM).play("--check", "--diff")
    assert rc == 0, output
    assert "+PAUSE without end" in output
    assert not storms(lab)
    assert not list(lab.results.iterdir())


def test_a_pause_storm_needs_a_host_and_an_end(lab):
    rc, output = Script(lab, "[]\n", {"fault": "pause_storm", "duration_s": 60}).play()
    assert rc != 0
    assert "host: missing" in output
    rc, output = Script(lab, "[]\n", {"fault": "pause_storm", "host": "decode01"}).play()
    assert rc != 0
    assert "duration_s: give at least 1" in output
    assert "Traceback" not in output


def test_a_pause_storm_whose_playbook_is_killed_is_ended_by_its_guard(lab, hang):
    killed(hang(STORM), "pause_storm started")
    assert eventually(lambda: bool(lab.events("run_closed")))
    assert not storms(lab)
    assert [event["changed"] for event in lab.events("storm_stopped")] == [True]


def test_a_pause_storm_whose_guard_is_killed_as_well_is_ended_by_the_restore_playbook(lab, hang):
    hanging = hang(STORM)
    for line in hanging.stdout:
        if "pause_storm started" in line:
            break
    os.kill(guard(lab), signal.SIGKILL)
    os.killpg(hanging.pid, signal.SIGKILL)
    hanging.wait(10)
    assert storms(lab)
    lab.play("restore.yml", "--check")
    assert storms(lab)
    assert lab.events("storm_stopping") == []
    played = lab.play("restore.yml")
    assert played.rc == 0, played.output
    assert not storms(lab)
    assert [event["changed"] for event in lab.events("storm_stopped")] == [True]
    assert lab.events("run_closed")[-1]["status"] == "interrupted"


def test_a_switch_that_cannot_be_restored_does_not_keep_a_pause_storm(lab):
    run_dir = lab.results / "20261124-000000-fault"
    run_dir.mkdir(parents=True)
    journal = Journal(run_dir / "journal.jsonl")
    journal.append("run_opened", run=run_dir.name, lab_instance=lab_instance(lab.folder / "state"), guard=None)
    storm.start(storm.Storm(host="decode01", priority=3, seconds=60), {"decode01": decode_agent(lab)}, journal)
    journal.append("snapshot_taken", host="leaf1", platform="arista_eos", file="settings/lost", sha256="")
    played = lab.play("restore.yml")
    assert played.rc != 0
    assert "leaf1" in played.output
    assert not storms(lab)
    assert [event["event"] for event in journal.events()][-1] == "storm_stopped"
