"""Faults from a playbook: whatever happens meanwhile, the link is up at the end."""

import json
import os
import signal
import subprocess

import pytest
from playbook_lab import INVENTORY, ROOT, Lab

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


class Script:
    """A playbook that does something while a fault is there."""

    def __init__(self, lab: Lab, meanwhile: str, fault: dict[str, object]) -> None:
        self.lab = lab
        self.run_dir = lab.results / "20261124-000000-fault"
        lab.results.mkdir()
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
    rc, output = Script(lab, "[]\n", {"fault": "pause_storm"}).play()
    assert rc != 0
    assert "not attainable: pause_storm" in output
    assert "Traceback" not in output
    assert len(lab.virtual.writes) == writes


@pytest.fixture
def hanging(lab):
    """A playbook that has a fault and waits; it is gone at the end of the test."""
    process = Script(lab, "- name: Wait\n  ansible.builtin.pause:\n    seconds: 300\n", DOWN).start()
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_fault_whose_playbook_is_killed_is_taken_back_by_the_restore_playbook(lab, hanging):
    before = lab.running()
    for line in hanging.stdout:
        if "link_down started" in line:
            break
    assert shut(lab)
    os.killpg(hanging.pid, signal.SIGKILL)
    hanging.wait(10)
    assert shut(lab)
    played = lab.play("restore.yml")
    assert played.rc == 0, played.output
    assert not shut(lab)
    assert lab.running() == before
