"""Agents are brought to hosts with OpenSSH's own server, started, stopped and removed, and nothing of them is left."""

import contextlib
import dataclasses
import os
import pickle
import pwd
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ssh_hosts import UID, USER, left_processes, missing, ssh_hosts

from aibench_lib.worker import deployment as door
from aibench_lib.worker.agents import Agent
from aibench_lib.worker.authority import make_authority

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"needs {missing()}"),
]
WHEELHOUSE = Path(__file__).parents[2] / ".aibench" / "wheelhouse"
RUN = "run-1"


@pytest.fixture(scope="module")
def hosts():
    """Three hosts."""
    with ssh_hosts(["gpu1", "gpu2", "gpu3"]) as up:
        yield up


@pytest.fixture
def keys(hosts, tmp_path):
    """The certificates of a run on all of them."""
    make_authority(tmp_path / "keys", dict.fromkeys(hosts.ports, "127.0.0.1"))
    return tmp_path / "keys"


@pytest.fixture(autouse=True)
def nothing_is_left(hosts):
    yield
    assert list(hosts.folders.iterdir()) == []
    assert left_processes(hosts.folders) == []


@pytest.fixture
def cleared(hosts):
    """Take away at the end what a test that fails half-way would leave to the next one."""
    yield
    door.remove(hosts.deployments(), RUN, silent)


def silent(_line):
    pass


def deploy(deployments, run=RUN, say=silent):
    return door.deploy(deployments, run, WHEELHOUSE, say)


def running(deployments, keys):
    """Bring agents up to where they answer."""
    assert deploy(deployments).failed == {}
    assert door.start(deployments, keys, silent).failed == {}
    return deployments


def agent(one, keys):
    files = {"ca": keys / "ca.pem", "cert": keys / "client.pem", "key": keys / "client.key"}
    return Agent(host=one.host, address=one.login.address, port=one.port, **files)


def processes(one):
    return left_processes(Path(one.folder))


def the_reason(outcome):
    """Return the one line of an outcome that has failed."""
    (line,) = outcome.lines
    return line


@pytest.mark.parametrize(("login", "user"), [("root", "nobody"), (USER, USER)])
def test_the_life_of_an_agent(hosts, keys, cleared, login, user):
    ours = [hosts.deployment(name, user=login) for name in ("gpu1", "gpu2")]
    agents = [agent(one, keys) for one in ours]
    said = []

    outcome = deploy(ours, say=said.append)
    assert outcome.lines == []
    assert outcome.changed == ["gpu1", "gpu2"]
    assert deploy(ours).unchanged == ["gpu1", "gpu2"]
    assert said[-1] == "agents: 2 of 2 hosts are through (deployed)"
    assert door.start(ours, keys, silent).changed == ["gpu1", "gpu2"]
    assert door.start(ours, keys, silent).unchanged == ["gpu1", "gpu2"]
    assert door.check_healthy(agents).unchanged == ["gpu1", "gpu2"]
    uid = UID if user == USER else pwd.getpwnam(user).pw_uid
    for one in ours:
        assert is_private(Path(one.folder), uid)
        assert processes(one)
        for pid in processes(one):
            assert rights(pid) == {"Uid": {uid}, "CapEff": {0}, "CapPrm": {0}, "CapAmb": {0}}

    assert door.stop(ours, RUN, silent).changed == ["gpu1", "gpu2"]
    assert door.stop(ours, RUN, silent).unchanged == ["gpu1", "gpu2"]
    assert [processes(one) for one in ours] == [[], []]
    assert door.start(ours[:1], keys, silent).changed == ["gpu1"]
    assert door.remove(ours, RUN, silent).changed == ["gpu1", "gpu2"]
    assert door.remove(ours, RUN, silent).unchanged == ["gpu1", "gpu2"]


def is_private(folder, uid):
    """Whether a folder, and what an agent has written into it, is one user's alone."""
    secret = [folder, *(folder / "keys").iterdir(), *folder.glob("agent.*"), folder / "aibench.json"]
    return all(path.stat().st_uid == uid and stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in secret)


def rights(pid):
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    caps = {name: {int(status[name], 16)} for name in ("CapEff", "CapPrm", "CapAmb")}
    return {"Uid": set(map(int, status["Uid"].split())), **caps}


def test_an_agent_with_other_settings_or_keys_is_started_anew(hosts, keys, cleared, tmp_path):
    (one,) = running([hosts.deployment("gpu1")], keys)
    before = processes(one)
    other = dataclasses.replace(one, lease_seconds=30.0)
    assert door.start([other], keys, silent).changed == ["gpu1"]
    assert not set(before) & set(processes(one))
    make_authority(tmp_path / "new", {"gpu1": "127.0.0.1"})
    assert door.start([other], tmp_path / "new", silent).changed == ["gpu1"]
    assert door.check_healthy([agent(one, tmp_path / "new")]).failed == {}
    assert "gpu1" in door.check_healthy([agent(one, keys)]).failed
    assert door.remove([one], RUN, silent).changed == ["gpu1"]


def test_an_agent_that_was_killed_is_started_again_and_leaves_no_process(hosts, keys, cleared):
    (one,) = running([hosts.deployment("gpu1")], keys)
    os.kill(min(processes(one)), 9)
    until(lambda: not processes(one))
    assert door.start([one], keys, silent).changed == ["gpu1"]
    assert door.check_healthy([agent(one, keys)]).failed == {}
    assert door.remove([one], RUN, silent).changed == ["gpu1"]


def test_an_agent_that_nobody_holds_ends_and_deletes_its_folder(hosts, keys, cleared):
    (one,) = running([hosts.deployment("gpu1", lease_seconds=1.0)], keys)
    until(lambda: not Path(one.folder).exists())
    assert door.remove([one], RUN, silent).unchanged == ["gpu1"]


def until(done, seconds=30):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_agent_of_another_run_is_left_alone_and_waited_for(hosts, keys, cleared):
    (one,) = running([hosts.deployment("gpu1")], keys)
    there = processes(one)
    assert "gpu1: the agent of run run-1 (" in the_reason(deploy([one], run="run-2"))
    assert "ends by itself 120.0 s after its controller is gone" in the_reason(deploy([one], run="run-2"))
    assert door.stop([one], "run-2", silent).unchanged == ["gpu1"]
    assert door.remove([one], "run-2", silent).unchanged == ["gpu1"]
    assert processes(one) == there
    door.stop([one], RUN, silent)
    assert deploy([one], run="run-2").changed == ["gpu1"], "a folder whose run has ended may be taken over"
    assert door.remove([one], "run-2", silent).changed == ["gpu1"]


def test_a_port_that_somebody_has_is_named_with_its_process(hosts, keys, cleared):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        one = hosts.deployment("gpu1", port=taken.getsockname()[1])
        assert deploy([one]).failed == {}
        reason = the_reason(door.start([one], keys, silent))
        assert f"gpu1: port {one.port} is in use by process {os.getpid()} (" in reason
        assert reason.endswith("end that, or set worker.port to another one")
    assert door.start([one], keys, silent).changed == ["gpu1"]
    assert door.remove([one], RUN, silent).changed == ["gpu1"]


def test_an_agent_that_cannot_start_says_why(hosts, keys, cleared):
    one = hosts.deployment("gpu1", dscp={"9": 1})
    assert deploy([one]).failed == {}
    reason = f"{one.folder}/agent.json: dscp: '9' is no priority, 0 to 7"
    assert the_reason(door.start([one], keys, silent)) == f"gpu1: the agent does not start: {reason}"
    assert processes(one) == []
    assert door.remove([one], RUN, silent).changed == ["gpu1"]


def test_half_of_the_hosts_cannot_be_reached_and_the_others_are_cleaned(hosts, cleared):
    ours = hosts.deployments()
    gone = [dataclasses.replace(one, login=dataclasses.replace(one.login, port=9)) for one in ours[1:]]
    outcome = deploy([ours[0], *gone])
    assert outcome.changed == ["gpu1"]
    assert the_reason(outcome) == (
        "gpu2, gpu3: cannot be reached over SSH at 127.0.0.1 port 9 (Connection refused); see that it is up, and "
        "ansible_host and ansible_port"
    )
    outcome = door.remove([*gone, ours[0]], RUN, silent)
    assert (outcome.changed, list(outcome.failed)) == (["gpu1"], ["gpu2", "gpu3"])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"known_hosts": os.devnull}, "or is not there; compare it with the host's own, then add it: ssh-keyscan -p "),
        ({"user": "daemon", "key_file": "{state}/host_key"}, "refuses user daemon with the key {state}/host_key; set "),
        (
            {"python": "/opt/none/bin/python3"},
            "there is no /opt/none/bin/python3; install Python 3.11, or set worker.",
        ),
        ({"run_as": "no-such-user"}, "there is no user 'no-such-user'; make one, or set worker.run_as to another"),
        ({"folder": "/opt/none/such/agent"}, "/opt/none/such: no such folder; make it, or set worker.folder"),
    ],
)
def test_what_a_host_refuses_is_one_line_with_the_cure(hosts, changed, reason):
    changed = {key: value.format(state=hosts.state) for key, value in changed.items()}
    line = the_reason(deploy([hosts.deployment("gpu1", **changed)]))
    assert line.startswith("gpu1: ")
    assert reason.format(state=hosts.state) in line


_OLD_PYTHON = """#!/bin/sh
exec /usr/bin/python3 -I -c "import sys; sys.version_info = (3, 9, 2); exec(sys.argv[1])" "$3"
"""
"""Says of itself that it is older than it is; what it is given must be understood by one that really is."""


def test_a_python_that_is_too_old_says_so(hosts):
    old = hosts.state / "python3.9"
    old.write_text(_OLD_PYTHON)
    old.chmod(0o755)
    line = the_reason(deploy([hosts.deployment("gpu1", python=str(old))]))
    assert line == f"gpu1: its {old} is Python 3.9, and the agent needs 3.11 or newer; set worker.python"


def test_a_folder_that_is_not_ours_is_left_as_it_is(hosts):
    nobody = pwd.getpwnam("nobody").pw_uid
    folder = Path(hosts.deployment("gpu1").folder)
    folder.mkdir()
    one = hosts.deployment("gpu1")
    assert f"{folder} belongs to user root, and the agent would run as nobody" in the_reason(deploy([one]))
    assert "belongs to user root" in the_reason(door.remove([one], RUN, silent))
    os.chown(folder, nobody, nobody)
    (folder / "thesis.tex").write_text("years of work")
    assert f"{folder} holds files that no deployment has put there" in the_reason(deploy([one]))
    assert door.remove([one], RUN, silent).unchanged == ["gpu1"]
    (folder / "thesis.tex").unlink()
    folder.rmdir()
    folder.symlink_to(hosts.state)
    assert f"{folder} is no folder; remove it, or set worker.folder" in the_reason(deploy([one]))
    folder.unlink()


@contextlib.contextmanager
def small_disk(hosts, megabytes):
    """Mount a small disk where the host sees it."""
    server = next(pid for pid in left_processes(hosts.state) if b"sshd" in Path(f"/proc/{pid}/cmdline").read_bytes())
    inside = ["nsenter", f"--mount=/proc/{server}/ns/mnt"]
    where = hosts.folders / "small"
    where.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=1777", "tmpfs", str(where)]
    subprocess.run([*inside, *mounted], check=True)
    try:
        yield where
    finally:
        subprocess.run([*inside, "umount", str(where)], check=True)
        where.rmdir()


def test_a_disk_that_is_too_small_is_said_before_anything_is_pushed(hosts):
    with small_disk(hosts, 20) as disk:
        one = hosts.deployment("gpu1", folder=f"{disk}/agent")
        line = the_reason(deploy([one]))
        assert line.startswith(f"gpu1: 19 MB are free where {disk}/agent is, and the agent needs ")
        assert line.endswith("free some, or set worker.folder to a path on another disk")
        assert door.remove([one], RUN, silent).changed == ["gpu1"]


def test_a_disk_that_fills_up_meanwhile_is_said(hosts, monkeypatch):
    monkeypatch.setattr("aibench_lib.worker.bundle.Bundle.needed_bytes", 0)
    with small_disk(hosts, 20) as disk:
        one = hosts.deployment("gpu1", folder=f"{disk}/agent")
        assert "No space left on device; free some, or set worker.folder" in the_reason(deploy([one]))
        assert door.remove([one], RUN, silent).changed == ["gpu1"]


def test_a_host_behind_a_jump_host_is_found_by_the_users_own_configuration(hosts, cleared, monkeypatch, tmp_path):
    one = hosts.deployment("gpu2")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(
        f"Host jump\n  HostName 127.0.0.1\n  Port {hosts.ports['gpu1']}\n  User root\n"
        f"  IdentityFile {hosts.state}/key\n  UserKnownHostsFile {hosts.state}/known_hosts\n"
        f"Host far\n  HostName 127.0.0.1\n  Port {hosts.ports['gpu2']}\n  ProxyJump jump\n  User root\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    login = dataclasses.replace(one.login, address="far", port=None, user=None)
    behind = dataclasses.replace(one, login=login)
    assert deploy([behind]).changed == ["gpu2"]
    log = (hosts.state / "sshd.log").read_text()
    assert door.remove([behind], RUN, silent).changed == ["gpu2"]
    assert "Accepted publickey for root" in log


def test_a_deployment_whose_controller_is_killed_leaves_nothing_after_a_removal(hosts, cleared, tmp_path):
    one = hosts.deployment("gpu1")
    script = tmp_path / "deploy.py"
    script.write_text(
        "import pickle, sys\nfrom pathlib import Path\nfrom aibench_lib.worker import deployment\n"
        "one = pickle.loads(sys.stdin.buffer.read())\n"
        f"deployment.deploy([one], {RUN!r}, Path({str(WHEELHOUSE)!r}), print)\n"
    )
    controller = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE)
    controller.stdin.write(pickle.dumps(one))
    controller.stdin.close()
    until(lambda: (Path(one.folder) / "venv" / "lib").exists(), 120)
    controller.kill()
    controller.wait()
    assert door.remove([one], RUN, silent).changed == ["gpu1"]
    time.sleep(1)  # whoever was still at work would make the folder again
