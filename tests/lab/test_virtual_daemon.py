"""The virtual lab as a process: it starts once, is reachable on loopback only, and ends with those it serves."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aibench_lib.errors import LabError
from aibench_lib.virtual_lab import daemon

pytestmark = pytest.mark.slow

INVENTORY = Path(__file__).parents[2] / "inventory" / "simulated"
SECRETS = ["ca.pem", "client.key", "client.pem", "known_hosts", "password"]


def quiet(text):
    pass


def up(state, network, holder=None):
    return daemon.up(INVENTORY, state, network, holder, quiet)


@pytest.fixture
def state(tmp_path):
    yield tmp_path / "lab"
    daemon.down(tmp_path / "lab")


@pytest.fixture
def sleeper():
    """A process that does nothing until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


def ended(pid):
    """Wait until a process has ended."""
    os.waitpid(pid, 0)


def listening(pid):
    """Return the local addresses of a process's listening sockets."""
    inodes = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().split("\n")[1:-1]
    ]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]


def test_a_lab_comes_up_once_and_goes_down(state):
    first = up(state, "127.105")
    assert daemon.status(state) == first
    assert up(state, "127.105") == first, "one that is up is taken as it is"
    with pytest.raises(LabError, match=r"it is up on network 127\.105"):
        up(state, "127.106")
    assert sorted(path.name for path in state.iterdir() if path.name in SECRETS) == SECRETS
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE((state / name).stat().st_mode) for name in SECRETS} == {0o600}
    addresses = listening(first.pid)
    assert len(addresses) == 5 + 5 + 73
    loopback = re.compile(r"(0{16}FFFF0000)?[0-9A-F]{4}697F:[0-9A-F]{4}")  # 127.105, in the order of the machine
    assert all(map(loopback.fullmatch, addresses))
    daemon.down(state)
    assert daemon.status(state) is None
    assert not any((state / name).exists() for name in (*SECRETS, "state.json"))
    daemon.down(state)


def test_credentials_are_new_at_every_start(state):
    seen = set()
    for _ in range(2):
        up(state, "127.105")
        seen |= {(state / name).read_text() for name in ("password", "client.key", "known_hosts")}
        daemon.down(state)
    assert len(seen) == 6


def test_an_address_in_use_is_named_with_the_remedy(state, tmp_path):
    up(state, "127.105")
    with pytest.raises(LabError, match=r"127\.105\.\d+\.\d+.*in use.*-e lab_network=127\.82"):
        up(tmp_path / "other", "127.105")
    assert daemon.status(tmp_path / "other") is None


@pytest.mark.parametrize("network", ["10.1", "128.0", "127", "lab"])
def test_a_network_outside_loopback_is_refused(state, network):
    with pytest.raises(LabError, match="lab_network"):
        up(state, network)
    assert daemon.status(state) is None


def test_an_inventory_with_a_misspelt_key_is_refused(state, tmp_path):
    variables = tmp_path / "group_vars" / "all"
    variables.mkdir(parents=True)
    (variables / "topology.yml").write_text((INVENTORY / "group_vars/all/topology.yml").read_text())
    (variables / "simulation.yml").write_text("simulation: {propagation: 1}\n")
    for name in ("hosts.yml", "group_vars/arista_eos.yml", "group_vars/sonic.yml"):
        shutil.copy(INVENTORY / name, tmp_path / name)
    for name in ("cumulus_nvue", "nokia_srlinux"):
        shutil.copy(INVENTORY / f"group_vars/{name}.yml", tmp_path / "group_vars")
    with pytest.raises(LabError, match=r"simulation\.propagation: unknown key; did you mean 'propagation_ns'"):
        daemon.up(tmp_path, state, "127.105", None, quiet)


def test_a_lab_ends_when_its_last_holder_is_killed(state, sleeper):
    lab = up(state, "127.105", sleeper.pid)
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as second:
        assert daemon.hold(state, second.pid)
        sleeper.send_signal(signal.SIGKILL)
        sleeper.wait()
        assert daemon.status(state) == lab, "the second holder is alive"
        second.send_signal(signal.SIGKILL)
    ended(lab.pid)
    assert daemon.status(state) is None
    assert not any((state / name).exists() for name in (*SECRETS, "state.json"))


def test_of_two_that_want_a_lab_at_once_one_starts_it(state):
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: up(state, "127.105"), range(2))
    assert first == second


def test_a_holder_must_exist(state, sleeper):
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(LabError, match=f"process {sleeper.pid}, which it shall live for, does not exist"):
        up(state, "127.105", sleeper.pid)


def test_a_killed_lab_is_not_believed_to_run(state):
    lab = up(state, "127.105")
    os.kill(lab.pid, signal.SIGKILL)
    ended(lab.pid)
    assert (state / "state.json").exists()
    assert daemon.status(state) is None
    assert not daemon.hold(state, os.getpid())
    assert up(state, "127.105").lab_instance != lab.lab_instance


def test_the_secrets_of_a_killed_lab_go_with_down(state):
    lab = up(state, "127.105")
    os.kill(lab.pid, signal.SIGKILL)
    ended(lab.pid)
    daemon.down(state)
    assert not any((state / name).exists() for name in (*SECRETS, "state.json"))
