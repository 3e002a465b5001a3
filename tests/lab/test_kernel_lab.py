"""The kernel lab: real packets and real routes, built in seconds, and gone with the process that has built it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kernel_fabric import INVENTORY, kernel_fabric, missing, network

from aibench_lib.errors import LabError
from aibench_lib.kernel_lab import daemon
from aibench_lib.labs import KERNEL

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"needs: {missing()}")]
RATE_BPS = 1_000_000_000
SEND = """
import socket, sys, time
address, size = sys.argv[1], int(sys.argv[2])
block, sent = bytes(1 << 20), 0
with socket.create_connection((address, 5201)) as connection:
    while sent < size:
        connection.sendall(block)
        sent += len(block)
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)
"""
RECEIVE = """
import socket, sys, time
with socket.create_server(("", 5201)) as server:
    print("listening", flush=True)
    for _ in range(int(sys.argv[1])):
        connection, _ = server.accept()
        received, begin = 0, 0
        while block := connection.recv(1 << 20):
            begin = begin or time.monotonic_ns()
            received += len(block)
        print(received, time.monotonic_ns() - begin, flush=True)
        connection.close()
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with kernel_fabric(tmp_path_factory.mktemp("kernel") / "state", network()) as lab:
        yield lab


def cables(lab_network):
    """Return the interfaces of this machine that belong to a lab."""
    first, second = map(int, lab_network.split("."))
    return [path.name for path in Path("/sys/class/net").glob(f"aib{first:02x}{second:02x}-*")]


def children(pid):
    """Return all processes below a process."""
    found, waiting = set(), [pid]
    while waiting:
        tasks = Path(f"/proc/{waiting.pop()}/task")
        below = {int(word) for task in tasks.glob("*/children") for word in task.read_text().split()}
        waiting += below - found
        found |= below
    return found


def namespaces(pids, kind="net"):
    found = set()
    for pid in pids:
        try:
            found.add(str(Path(f"/proc/{pid}/ns/{kind}").readlink()))
        except FileNotFoundError:
            continue
    return found


def transfer(lab, sender, receiver, address, size, times=1):
    """Send bytes over TCP; return received bytes and duration [ns] of each connection."""
    command = ["sh", "-c", f"exec python3 -c '{RECEIVE}' {times}"]
    login = ["ssh", "-i", str(lab.state / "key"), "-o", f"UserKnownHostsFile={lab.state / 'known_hosts'}"]
    with subprocess.Popen(
        [*login, f"root@{lab.address(receiver)}", command[2]], stdout=subprocess.PIPE, text=True
    ) as listening:
        assert listening.stdout.readline() == "listening\n"
        for _ in range(times):
            lab.ssh(sender, f"python3 -c '{SEND}' {address} {size}")
        return [tuple(map(int, line.split())) for line in listening.stdout]


def test_a_lab_that_is_up_is_taken_as_it_is(lab):
    state = daemon.status(lab.state)
    assert daemon.up(INVENTORY, lab.state, lab.network, None, print) == state
    with pytest.raises(LabError, match=rf"kernel lab: it is up on network {re.escape(lab.network)}, not 172\.31"):
        daemon.up(INVENTORY, lab.state, "172.31", None, print)


def test_a_lab_is_called_what_it_is_wherever_its_state_lies(lab):
    command = [shutil.which("aibench", path=Path(sys.executable).parent), "lab", "status", "--state", str(lab.state)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"kernel lab: up on {lab.network}.0.0/16, process ")
    assert KERNEL.login.format(state=lab.state, network=lab.network).endswith(f"root@{lab.network}.254.1")


def test_a_second_lab_on_the_same_network_is_refused(lab, tmp_path):
    with pytest.raises(LabError, match=r"kernel lab: aib\S+ of this machine has the address .* choose another network"):
        daemon.up(INVENTORY, tmp_path / "other", lab.network, None, lambda _text: None)
    assert daemon.status(tmp_path / "other") is None
    assert lab.ssh("leaf1", "hostname") == "leaf1\n", "the first one is as it was"


def test_every_node_answers_over_ssh_under_its_own_name_and_key(lab):
    nodes = (*lab.topology.switches, *lab.topology.hosts)
    assert [lab.ssh(node, "hostname").strip() for node in nodes] == list(nodes)
    keys = {line.split()[2] for line in (lab.state / "known_hosts").read_text().splitlines()}
    assert len(keys) == len(nodes)


def test_nothing_of_it_has_a_name_on_this_machine_but_its_cables(lab):
    assert not {path.name for path in Path("/run").glob("netns/*")} & {*lab.topology.switches, *lab.topology.hosts}
    shown = json.loads(subprocess.run(["ip", "-j", "-d", "link"], capture_output=True, check=True).stdout)
    kinds = {
        entry["ifname"]: entry["linkinfo"]["info_kind"] for entry in shown if entry["ifname"] in cables(lab.network)
    }
    assert len(kinds) == 12
    assert set(kinds.values()) == {"veth"}


def test_a_file_on_one_host_is_on_no_other(lab):
    for folder in ("/var/tmp", "/tmp", "/root", "/run"):
        lab.ssh("prefill01", f"touch {folder}/left-behind")
        assert lab.ssh("prefill02", f"ls {folder}/left-behind", check=False) == ""
        assert not (Path(folder) / "left-behind").exists()
    assert (lab.state / "nodes" / "prefill01" / "var-tmp" / "left-behind").exists()
    lab.ssh("prefill01", "rm /var/tmp/left-behind")


def test_a_host_sees_its_own_processes_only(lab):
    assert "bgpd" not in lab.ssh("prefill01", "ps -eo comm")
    assert "bgpd" in lab.ssh("leaf1", "ps -eo comm")


def test_bytes_go_from_leaf_to_leaf_no_faster_than_the_links(lab):
    size = 64 << 20
    ((received, duration_ns),) = transfer(lab, "prefill01", "decode04", "10.1.0.8", size)
    assert received == size
    rate_bps = 8e9 * received / duration_ns
    assert rate_bps < 1.05 * RATE_BPS


def test_a_packet_of_the_full_size_is_let_through_and_a_larger_one_is_not(lab):
    probe = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
        's.setsockopt(socket.IPPROTO_IP, 10, 2); s.connect(("10.1.0.8", 9)); print(s.send(bytes({size})))'
    )
    assert lab.ssh("prefill01", f"python3 -c '{probe.format(size=8972)}'") == "8972\n"
    assert lab.ssh("prefill01", f"python3 -c '{probe.format(size=8973)}'", check=False) == ""


def test_flows_are_spread_over_both_uplinks(lab):
    def sent(port):
        shown = json.loads(lab.ssh("leaf1", f"tc -s -j qdisc show dev {port} root"))
        return shown[0]["bytes"]

    before = {port: sent(port) for port in ("swp49", "swp50")}
    transfer(lab, "prefill01", "decode04", "10.1.0.8", 1 << 20, times=24)
    assert min(sent(port) - before[port] for port in before) > 1 << 20


def test_leaves_have_two_ways_to_each_other_and_a_shut_uplink_leaves_one(lab):
    assert lab.ways("leaf1", "10.1.0.8") == ["swp49", "swp50"]
    lab.ssh("leaf1", "vtysh -c 'configure terminal' -c 'interface swp49' -c 'shutdown'")
    try:
        wait_for(lambda: lab.ways("leaf1", "10.1.0.8") == ["swp50"])
        wait_for(lambda: lab.ways("leaf2", "10.1.0.1") == ["swp50"])
        assert transfer(lab, "prefill01", "decode04", "10.1.0.8", 1 << 20)[0][0] == 1 << 20
    finally:
        lab.ssh("leaf1", "vtysh -c 'configure terminal' -c 'interface swp49' -c 'no shutdown'")
    wait_for(lambda: lab.ways("leaf1", "10.1.0.8") == ["swp49", "swp50"])
    wait_for(lambda: lab.ways("leaf2", "10.1.0.1") == ["swp49", "swp50"])


def wait_for(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_killed_lab_takes_everything_with_it(tmp_path):
    state, own = tmp_path / "state", network(1)
    try:
        daemon.up(INVENTORY, state, own, None, lambda _text: None)
        pid = daemon.status(state).pid
        below = children(pid)
        assert len(below) >= 2 * 12 + 3 * 4, "an unshare and an SSH server each, and what FRR is made of"
        assert len(namespaces(below)) == 12
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in below))
        wait_for(lambda: not cables(own))
        assert daemon.status(state) is None
        assert (state / "key").exists()
        daemon.down(state)
        assert not {path.name for path in state.iterdir()} - {"lab.log", "lock"}
    finally:
        daemon.down(state)


def test_a_lab_ends_with_its_last_holder_and_leaves_nothing(tmp_path):
    state, own = tmp_path / "state", network(1)
    try:
        with subprocess.Popen(["sleep", "600"]) as holder:
            lab = daemon.up(INVENTORY, state, own, holder.pid, lambda _text: None)
            below = children(lab.pid)
            holder.kill()
        os.waitpid(lab.pid, 0)
        assert not any(Path(f"/proc/{child}").exists() for child in below)
        assert not cables(own)
        assert not {path.name for path in state.iterdir()} - {"lab.log", "lock", "holders"}
    finally:
        daemon.down(state)
