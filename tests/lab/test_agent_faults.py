"""What an agent says when something on its host goes wrong, and that nothing is left of it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from agent_fake import Seed
from agent_lab import AgentLab, Trial, agent_of, alive, configuration, descendants, lines, stream, transfer, wait_until

from aibench_lib.worker import agent_pb2
from aibench_lib.worker.agents import Connection, credentials_of
from aibench_lib.worker.authority import make_authority
from aibench_lib.worker.samples import from_ipc

A, B = "host0", "host1"
INTERNAL, NOT_READY = grpc.StatusCode.INTERNAL, grpc.StatusCode.FAILED_PRECONDITION
KILLED = "was ended by SIGKILL (by hand, or for want of memory; see the host's kernel log)"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with AgentLab(tmp_path_factory.mktemp("agents"), 2, fake=True) as made:
        yield made


@pytest.fixture
def own_lab(tmp_path):
    """Agents that a test may kill."""
    with AgentLab(tmp_path, 2, fake=True) as made:
        yield made


def groups(lab, host):
    return set(lab.processes(host)) - {lab.pids[host], lab.zygotes[host]}


def run_through(trial, **options):
    """Run a trial with one fault on the sending host, and end it."""
    try:
        trial.prepare(A, transfer(B, 5), **options)
        trial.prepare(B)
        trial.ready(A, B)
        runs = [trial.start(host) for host in (A, B)]
        return [list(run)[-1].finished_ns for run in runs]
    finally:
        trial.stop(A, B)


def refused(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize(
    ("seed", "code", "line"),
    [
        (Seed.MEMLOCK, NOT_READY, "memlock is 8192 KiB, the trial needs 1 GiB; set LimitMEMLOCK=infinity"),
        (Seed.NO_MEMORY, NOT_READY, "there is not enough memory; use fewer or smaller messages, or a shallower depth"),
        (Seed.DIES_IN_PREPARE, INTERNAL, f"trial t: the process of queue pair 5 {KILLED} in prepare"),
        (Seed.DIES_IN_JOIN, INTERNAL, f"trial t: the process of queue pair 5 {KILLED} in join"),
        (Seed.DIES_IN_RUN, INTERNAL, f"trial t: the process of queue pair 5 {KILLED} in run"),
        (
            Seed.DISK_FULL,
            NOT_READY,
            "No space left on device (a disk of the host is full, or its shared memory; free some)",
        ),
    ],
)
def test_a_fault_on_a_host_is_one_line_and_the_next_trial_works(lab, seed, code, line):
    assert refused(lambda: run_through(Trial(lab, seed=seed))) == (code, f"{A}: {line}")
    assert wait_until(lambda: not alive(groups(lab, A) | groups(lab, B)))
    assert all(run_through(Trial(lab, "next")))


def test_a_process_that_dies_while_it_receives_is_one_line(lab):
    trial = Trial(lab)
    trial.prepare(A, transfer(B, 5))
    trial.prepare(B, seed=Seed.DIES_IN_ACCEPT)
    assert refused(lambda: trial.connect(B)) == (
        INTERNAL,
        f"{B}: trial t: the process of queue pair {A}/5 {KILLED} in connect",
    )
    trial.stop(A)
    assert all(run_through(Trial(lab, "next")))


def test_a_fault_that_nobody_thought_of_is_one_line_too(lab):
    code, line = refused(lambda: run_through(Trial(lab, seed=Seed.BUG)))
    assert code == INTERNAL
    assert line.startswith(
        f"{A}: the process of queue pair 5 failed in run: ValueError: what nobody thought of (agent_fake.py, line "
    )


def test_a_call_that_the_coordinator_gives_up_is_given_up_here_too(lab):
    request = agent_pb2.PrepareRequest(trial="t", transfers=[transfer(B)], seed=Seed.HANGS_IN_PREPARE)
    assert refused(lambda: lab.stub(A).Prepare(request, timeout=0.3))[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    assert wait_until(lambda: not alive(groups(lab, A)))
    assert all(run_through(Trial(lab, "next")))


def test_a_process_that_is_killed_in_the_middle_of_a_trial_is_one_line(lab):
    trial = Trial(lab, seed=Seed.HANGS_IN_RUN)
    trial.prepare(A, transfer(B, 5))
    trial.prepare(B)
    trial.ready(A, B)
    run = trial.start(A)
    time.sleep(0.3)
    (group,) = groups(lab, A)
    os.kill(group, signal.SIGKILL)
    assert refused(lambda: list(run)) == (INTERNAL, f"{A}: trial t: the process of queue pair 5 {KILLED} in run")
    trial.stop(A, B)


@pytest.mark.parametrize("when", ["prepare", "connect", "run"])
def test_nothing_is_left_of_an_agent_that_was_killed(own_lab, when):
    hanging = {"prepare": Seed.HANGS_IN_PREPARE, "connect": Seed.NOTHING, "run": Seed.HANGS_IN_RUN}[when]
    trial = Trial(own_lab, seed=hanging)
    if when == "prepare":
        call = own_lab.stub(A).Prepare.future(
            agent_pb2.PrepareRequest(trial="t", transfers=[transfer(B)], seed=hanging)
        )
        assert wait_until(lambda: groups(own_lab, A))
    else:
        trial.prepare(A, transfer(B))
        trial.prepare(B)
        trial.ready(A, B)
        call = trial.start(A) if when == "run" else None
    left = own_lab.processes(A)
    assert len(left) == 3
    os.kill(own_lab.pids[A], signal.SIGKILL)
    assert wait_until(lambda: not alive(left), 2)
    if call is not None:
        code, _ = refused(lambda: list(call) if when == "run" else call.result())
        assert code == grpc.StatusCode.UNAVAILABLE
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((own_lab.addresses[A], own_lab.agents[A].port))  # nobody has it any more
    trial.stop(B)


def test_an_agent_that_is_told_to_end_ends_within_a_second_with_all_its_processes(own_lab):
    trial = Trial(own_lab, seed=Seed.HANGS_IN_RUN)
    trial.prepare(A, transfer(B))
    trial.prepare(B)
    trial.ready(A, B)
    run = trial.start(A)
    hold = own_lab.stub(A).Hold(agent_pb2.HoldRequest())
    assert next(hold).lease_ns == 60_000_000_000
    left = own_lab.processes(A)
    os.kill(own_lab.pids[A], signal.SIGTERM)
    assert wait_until(lambda: not alive(left), 1)
    for call in (run, hold):
        assert refused(lambda call=call: list(call))[0] in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.ABORTED,
        )


def test_a_stranger_s_certificate_is_refused_and_so_is_none_and_so_is_another_host_s(lab, tmp_path):
    make_authority(tmp_path / "foreign", lab.addresses)
    agent = lab.agents[A]
    stranger = agent_of(A, agent.address, agent.port, tmp_path / "foreign")
    mixed = agent_of(A, agent.address, agent.port, tmp_path / "foreign")
    object.__setattr__(mixed, "ca", agent.ca)
    host = agent_of(A, agent.address, agent.port, lab.folder / "keys")
    object.__setattr__(host, "cert", lab.folder / "keys/hosts" / f"{B}.pem")
    object.__setattr__(host, "key", lab.folder / "keys/hosts" / f"{B}.key")
    connections = [Connection(one, credentials_of(one)) for one in (stranger, mixed, host)]
    nobody = grpc.ssl_channel_credentials(agent.ca.read_bytes())
    connections.append(Connection(agent, nobody))
    for connection in connections:
        code, _ = refused(lambda one=connection: one.stub.Describe(agent_pb2.DescribeRequest(), timeout=5))
        connection.close()
        assert code == grpc.StatusCode.UNAVAILABLE
    lab.stub(A).Describe(agent_pb2.DescribeRequest())


def test_memory_does_not_grow_with_the_number_of_rows(own_lab):
    def peak_kb(rows):
        trial = Trial(own_lab, f"{rows} rows", seconds=60)
        trial.prepare(A, streams=[stream(B, size_bytes=rows)])
        trial.prepare(B)
        trial.ready(A, B)
        (group,) = groups(own_lab, A)
        runs = [trial.start(host) for host in (A, B)]
        seen, peak = 0, 0
        for number, batch in enumerate(runs[0]):
            if number % 10 == 0:
                peak = max(peak, sum(resident_kb(pid) for pid in (own_lab.pids[A], group)))
            seen += len(from_ipc(batch.arrow)) if batch.arrow else 0
        assert seen == rows
        assert list(runs[1])
        trial.stop(A, B)
        return peak

    first = peak_kb(100_000)
    assert peak_kb(1_000_000) < first + 16_384  # rows of 56 bytes: 50 MB, were they held


def resident_kb(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def test_a_coordinator_that_does_not_read_holds_the_sender(lab):
    trial = Trial(lab, seconds=60)
    trial.prepare(A, streams=[stream(B, size_bytes=500_000)])
    trial.prepare(B)
    trial.ready(A, B)
    run = trial.start(A)
    first = next(run)
    time.sleep(1)  # until gRPC's own buffers are full
    before = resident_kb(lab.pids[A])
    time.sleep(1)
    assert resident_kb(lab.pids[A]) < before + 2048
    rest = sum(len(from_ipc(batch.arrow)) for batch in run if batch.arrow)
    assert len(from_ipc(first.arrow)) + rest == 500_000
    trial.stop(A, B)


class Alone:
    """One agent of the command line, whose folder is its own."""

    def __init__(self, base, **settings):
        self.folder = base / "own"
        make_authority(base / "keys", {A: "127.0.0.1"})
        self.folder.mkdir()
        config = self.folder / "agent.json"
        config.write_text(json.dumps(configuration(A, "127.0.0.1", base / "keys") | settings))
        command = [sys.executable, "-m", "aibench_lib.worker.agent", "--config", str(config)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.port = next(lines(self.process.stdout, 30))["port"]
        agent = agent_of(A, "127.0.0.1", self.port, base / "keys")
        self.connection = Connection(agent, credentials_of(agent))

    def end(self):
        self.connection.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def alone(tmp_path):
    started = []

    def start(**settings):
        if settings.pop("own_folder", False):
            settings["folder"] = str(tmp_path / "own")
        started.append(Alone(tmp_path, **settings))
        return started[-1]

    yield start
    for one in started:
        one.end()


def test_an_agent_whose_lease_is_over_ends_and_deletes_its_folder(alone):
    agent = alone(lease_seconds=1.0, own_folder=True)
    agent.connection.stub.Describe(agent_pb2.DescribeRequest())
    began = time.monotonic()
    left = descendants([agent.process.pid])
    assert agent.process.wait(5) == 0
    assert 0.9 < time.monotonic() - began < 4
    assert not agent.folder.exists()
    assert alive(left) == []
    assert agent.process.stderr.read() == b""


def test_a_lease_does_not_run_while_somebody_holds_the_agent(alone):
    agent = alone(lease_seconds=0.5, own_folder=True)
    hold = agent.connection.stub.Hold(agent_pb2.HoldRequest())
    assert next(hold).lease_ns == 500_000_000
    time.sleep(1.5)
    assert agent.process.poll() is None
    hold.cancel()
    assert agent.process.wait(3) == 0
    assert not agent.folder.exists()


def test_an_agent_that_is_told_to_end_deletes_nothing(alone):
    agent = alone(own_folder=True)
    agent.process.terminate()
    assert agent.process.wait(3) == 0
    assert agent.folder.exists()
    shutil.rmtree(agent.folder)


def test_an_agent_whose_fork_server_is_killed_ends_and_says_so(alone):
    agent = alone()
    zygote = (set(descendants([agent.process.pid])) - {agent.process.pid}).pop()
    os.kill(zygote, signal.SIGKILL)
    assert agent.process.wait(3) == 1
    assert agent.process.stderr.read() == b"the agent's fork server is gone; start the agent anew\n"


def test_a_port_that_is_taken_is_one_line(alone, tmp_path):
    agent = alone()
    config = tmp_path / "second.json"
    config.write_text(json.dumps(configuration(A, "127.0.0.1", tmp_path / "keys") | {"port": agent.port}))
    command = [sys.executable, "-m", "aibench_lib.worker.agent", "--config", str(config)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"].startswith(f"cannot listen on 127.0.0.1:{agent.port}: the port is taken")


@pytest.fixture(scope="module")
def tcp_lab(tmp_path_factory):
    """Agents that send over TCP for real."""
    with AgentLab(tmp_path_factory.mktemp("tcp"), 2) as made:
        yield made


def test_a_peer_that_never_answers_leaves_rows_that_say_so(tcp_lab):
    trial = Trial(tcp_lab, seconds=0.5)
    trial.prepare(A, transfer(B, 5))
    trial.prepare(B)
    trial.ready(A, B)
    rows = [row for batch in trial.start(A) if batch.arrow for row in from_ipc(batch.arrow).to_pylist()]
    assert [(row["qp"], row["status"], row["completed_ns"]) for row in rows] == [(5, "timeout", None)]
    trial.stop(A, B)
    assert all(run_through(Trial(tcp_lab, "next")))


def test_a_peer_that_is_killed_in_the_middle_of_a_trial_leaves_nothing_on_the_other_host(tcp_lab):
    trial = Trial(tcp_lab, seconds=5)
    trial.prepare(A, streams=[stream(B, 5, size_bytes=100_000, depth=4, batch=2, duration_ns=2_000_000_000)])
    trial.prepare(B)
    trial.ready(A, B)
    t0_ns = time.time_ns() + 1_000_000_000
    runs = [trial.start(host, t0_ns) for host in (A, B)]
    next(runs[0])
    (group,) = groups(tcp_lab, B)
    os.kill(group, signal.SIGKILL)
    assert refused(lambda: list(runs[1])) == (
        INTERNAL,
        f"{B}: trial t: the process of queue pair {A}/5 {KILLED} in run",
    )
    rows = [row for batch in runs[0] if batch.arrow for row in from_ipc(batch.arrow).to_pylist()]
    assert {row["status"] for row in rows} == {"ok", "other error"}
    trial.stop(A, B)
    assert not alive(groups(tcp_lab, A) | groups(tcp_lab, B))
    assert all(run_through(Trial(tcp_lab, "next")))


def test_processes_of_many_queue_pairs_send_both_ways_over_tcp_after_a_trigger(tcp_lab):
    trial = Trial(tcp_lab)
    for host, peer in ((A, B), (B, A)):
        trial.prepare(host, *(transfer(peer, qp) for qp in range(20)), trigger=True)
    ends = [trial.connect(host) for host in (A, B)]
    for host in (A, B):
        trial.join(host, *ends)
    t0_ns = time.time_ns() + 1_000_000_000
    follower = trial.start(B, t0_ns, await_trigger=True, trigger_token=b"now")
    leader = trial.start(A, t0_ns, trigger_to=[trial.triggers[B]], trigger_token=b"now")
    for run in (leader, follower):
        rows = [row for batch in run if batch.arrow for row in from_ipc(batch.arrow).to_pylist()]
        assert sorted(row["qp"] for row in rows) == list(range(20))
        assert {row["status"] for row in rows} == {"ok"}
    trial.stop(A, B)
