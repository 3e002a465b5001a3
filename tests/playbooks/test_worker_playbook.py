"""The agents of real hosts as playbooks see them: brought, checked, taken away, and taken away when a playbook dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from playbook_lab import ROOT

from aibench_lib.journal import Journal
from aibench_lib.run.left import left_changed

sys.path.insert(0, str(ROOT / "tests" / "lab"))
from ssh_hosts import left_processes, missing, ssh_hosts

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"needs {missing()}")]
NAMES = ["gpu1", "gpu2"]
TASK = {"run_dir": "{{ run_dir }}", "wheelhouse": str(ROOT / ".aibench" / "wheelhouse")}


def play(*tasks):
    return [{"name": "Agents", "hosts": "switches", "gather_facts": False, "tasks": list(tasks)}]


def worker(state, name="Agents"):
    return {"name": f"{name} {state}", "aibench_worker": {"state": state, **TASK}, "run_once": True}


WAIT = {"name": "Wait", "ansible.builtin.pause": {"seconds": 200}, "run_once": True}


class Lab:
    """An inventory of hosts that are there, and of a switch that nobody asks."""

    def __init__(self, folder, hosts):
        self.folder, self.hosts = folder, hosts
        self.run_dir = folder / "results" / "run"
        self.run_dir.mkdir(parents=True)
        self.inventory = folder / "hosts.yml"
        self.inventory.write_text(yaml.safe_dump(self.described()))

    def described(self):
        workers = {name: self.host(name) for name in NAMES}
        switch = {"platform": "frr_linux", "interfaces": ["eth1"]}
        variables = {
            "lab": "hardware",
            "isolated_lab": True,
            "profiles": {},
            "results_dir": str(self.folder / "results"),
            "workers_state": str(self.folder / "keys"),
            "topology": {
                "link_bps": 1_000_000_000,
                "switches": ["leaf1"],
                "hosts": NAMES,
                "links": [[f"{name}:eth0", f"leaf1:eth{number}"] for number, name in enumerate(NAMES)],
            },
        }
        leaf = {"ansible_host": "192.0.2.1", "ansible_user": "root", "ansible_password": "x", "switch": switch}
        groups = {"switches": {"hosts": {"leaf1": leaf}}, "workers": {"hosts": workers}}
        return {"all": {"vars": {"ansible_connection": "local", **variables}, "children": groups}}

    def host(self, name):
        one = self.hosts.deployment(name)
        return {
            "ansible_host": one.login.address,
            "ansible_port": one.login.port,
            "ansible_user": one.login.user,
            "ansible_ssh_private_key_file": one.login.key_file,
            "worker": {
                "port": one.port,
                "known_hosts": one.login.known_hosts,
                "folder": one.folder,
                "transport": "tcp",
                "lease_seconds": 15,
            },
        }

    def command(self, tasks, *arguments):
        book = self.folder / "playbook.yml"
        book.write_text(yaml.safe_dump(play(*tasks)))
        given = ["-i", str(self.inventory), "-e", json.dumps({"run_dir": str(self.run_dir)}), *arguments]
        return ["ansible-playbook", str(book), *given]

    def begin(self, tasks):
        return subprocess.Popen(
            self.command(tasks),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, tasks, *arguments):
        done = subprocess.run(
            self.command(tasks, *arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=250
        )
        return done.returncode, done.stdout + done.stderr

    def restore(self):
        command = ["ansible-playbook", "playbooks/restore.yml", "-i", str(self.inventory)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)
        return done.returncode, done.stdout + done.stderr

    @property
    def journal(self):
        return Journal(self.run_dir / "journal.jsonl")

    def events(self, kind):
        return [event for event in self.journal.events() if event["event"] == kind]

    def is_clear(self):
        """Whether nothing is left on the hosts, nor of their keys here."""
        there = [*self.hosts.folders.iterdir(), *left_processes(self.hosts.folders)]
        return there == [] and not (self.folder / "keys").exists()


@pytest.fixture
def lab(tmp_path):
    with ssh_hosts(NAMES) as hosts:
        up = Lab(tmp_path, hosts)
        yield up
        for event in up.events("run_opened"):
            end(event["guard"])


def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def until(done, running=None, seconds=100):
    """Wait for something, as long as the playbook that brings it about runs."""
    limit = time.monotonic() + seconds
    while not done():
        assert running is None or running.poll() is None, running.communicate()[0]
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_a_playbook_brings_agents_and_takes_them_away_again(lab):
    up = [worker("deployed"), worker("started"), worker("healthy")]
    again = [worker("deployed", "Again"), worker("started", "Again")]
    rc, output = lab.run([*up, *again, worker("stopped"), worker("removed"), worker("removed", "Again")])
    assert rc == 0, output
    changed = [line for line in output.splitlines() if line.startswith(("Agents ", "Again "))]  # tasks that did nothing
    assert changed == ["Agents deployed", "Agents started", "Agents stopped", "Agents removed"], output  # are not shown
    assert "agents: deploying to 2 hosts" in output
    assert left_changed(lab.journal) == []
    assert lab.is_clear()
    (record,) = [one for event in lab.events("workers_deployed") for one in event["hosts"] if one["host"] == "gpu1"]
    assert {"folder", "address", "port"} <= record.keys()
    assert "PRIVATE" not in lab.journal.path.read_text()


def test_a_check_run_asks_no_host_and_writes_nothing(lab):
    logins = (lab.hosts.state / "sshd.log").read_text().count("Accepted")
    rc, output = lab.run([worker("deployed"), worker("started"), worker("healthy"), worker("removed")], "--check")
    assert rc == 0, output
    assert f"gpu1: the agent in {lab.hosts.folders}/gpu1 would be deployed" in output
    assert (lab.hosts.state / "sshd.log").read_text().count("Accepted") == logins
    assert not lab.journal.path.exists()
    assert lab.is_clear()


def test_the_guard_holds_the_agents_and_removes_them_when_the_playbook_is_killed(lab):
    running = lab.begin([worker("deployed"), worker("started"), WAIT])
    until(lambda: lab.events("workers_started"), running)
    time.sleep(20)  # longer than the lease
    assert running.poll() is None, running.communicate()[0]
    assert all(left_processes(lab.hosts.folders / name) for name in NAMES)
    os.killpg(running.pid, signal.SIGKILL)
    output = running.communicate(timeout=100)[0]  # the guard has the terminal, too
    until(lab.is_clear)
    until(lambda: lab.events("run_closed"))
    assert "removed the agents of gpu1, gpu2" in output


def test_what_a_killed_playbook_and_guard_leave_is_removed_by_the_restore_playbook(lab):
    running = lab.begin([worker("deployed"), WAIT])
    until(lambda: list(lab.hosts.folders.glob("*/installed")), running)
    end(lab.events("run_opened")[0]["guard"])
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=100)
    assert left_changed(lab.journal) == [f"{name} (agent in {lab.hosts.folders}/{name})" for name in NAMES]
    rc, output = lab.restore()
    assert rc == 0, output
    assert lab.is_clear()


def test_agents_whose_controller_and_guard_are_killed_end_by_themselves(lab):
    running = lab.begin([worker("deployed"), worker("started"), WAIT])
    until(lambda: lab.events("workers_started"), running)
    end(lab.events("run_opened")[0]["guard"])
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=100)
    until(lambda: not any(Path(lab.hosts.folders).iterdir()))
    assert left_processes(lab.hosts.folders) == []
    rc, output = lab.restore()
    assert rc == 0, output
    assert lab.is_clear()


def test_hosts_that_cannot_be_reached_fail_with_one_line_each_and_stay_in_the_journal(lab):
    described = lab.described()
    described["all"]["children"]["workers"]["hosts"]["gpu2"]["ansible_port"] = 9
    lab.inventory.write_text(yaml.safe_dump(described))
    rc, output = lab.run([worker("deployed")])
    assert rc != 0
    assert "gpu2: cannot be reached over SSH at 127.0.0.1 port 9 (Connection refused); see that it is up" in output
    assert "Traceback" not in output
    until(lambda: not (lab.hosts.folders / "gpu1").exists())  # the guard cleans the other one
    assert left_changed(lab.journal) == [f"gpu2 (agent in {lab.hosts.folders}/gpu2)"]
