"""One agent a host, driven call by call over mutual TLS: processes, samples, start, and what it refuses."""

import json
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from agent_lab import AgentLab, Trial, alive, configuration, lines, stream, transfer, wait_until

from aibench_lib import __version__
from aibench_lib.worker import agent_pb2
from aibench_lib.worker.authority import make_authority
from aibench_lib.worker.samples import RECEIPTS, SCHEMA, from_ipc

A, B = "host0", "host1"
US, MS = 1_000, 1_000_000


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with AgentLab(tmp_path_factory.mktemp("agents"), 3, fake=True) as made:
        yield made


@pytest.fixture
def trial(lab):
    yield (one := Trial(lab))
    one.stop(*lab.agents)


def refusal(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert "\n" not in caught.value.details()
    return caught.value.code(), caught.value.details()


def test_an_agent_says_who_it_is_and_which_clock_it_has(lab):
    said = lab.stub(A).Describe(agent_pb2.DescribeRequest())
    assert (said.host, said.version, said.lab, said.clock) == (A, __version__, "kernel", "realtime")
    assert (said.transport, list(said.transports)) == ("tcp", ["tcp"])
    assert said.clock_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert abs(said.now_ns - time.time_ns()) < 1000 * MS


def test_what_a_trial_s_processes_write_arrives_as_samples_and_receipts(lab, trial):
    trial.prepare(A, transfer(B, 7), transfer(B, 7, offset_ns=5), transfer("host2", 9, operation="read", priority=0))
    for host in (B, "host2"):
        trial.prepare(host)
    trial.join(A, trial.connect(B), trial.connect("host2"))
    t0_ns = time.time_ns() + 1000 * MS
    runs = {host: trial.start(host, t0_ns) for host in lab.agents}
    batches = {host: list(run) for host, run in runs.items()}
    samples = from_ipc(batches[A][0].arrow)
    assert samples.schema == SCHEMA
    rows = samples.to_pylist()
    assert [(row["host"], row["peer"], row["qp"], row["operation"], row["priority"]) for row in rows] == [
        (A, B, 7, "write_with_imm", 3),
        (A, B, 7, "write_with_imm", 3),
        (A, "host2", 9, "read", 0),
    ]
    assert [row["intended_ns"] - t0_ns for row in rows] == [0, 5, 0]
    assert {(row["status"], row["transport"], row["clock"], row["observation_point"]) for row in rows} == {
        ("ok", "tcp", "realtime", "endpoint")
    }
    assert all(row["received_ns"] is None and row["posted_ns"] >= t0_ns for row in rows)
    receipts = from_ipc(batches[B][0].receipts)
    assert receipts.schema == RECEIPTS
    assert [(row["host"], row["peer"], row["qp"]) for row in receipts.to_pylist()] == [(A, B, 7)]
    last = batches[A][-1]
    assert t0_ns <= last.started_ns <= last.started_last_ns <= last.finished_ns
    assert dict(last.qp_states) == {f"{B}/7": "RTS", "host2/9": "RTS"}
    assert batches[B][-1].started_ns == 0
    assert batches[B][-1].finished_ns >= t0_ns


def test_queue_pairs_beyond_eight_have_a_second_process_where_there_are_cores(lab, trial):
    trial.prepare(A, *(transfer(B, qp) for qp in range(20)))
    trial.prepare(B)
    trial.ready(A, B)
    runs = [trial.start(host) for host in (A, B)]
    samples = [row for batch in runs[0] if batch.arrow for row in from_ipc(batch.arrow).to_pylist()]
    receipts = [row for batch in runs[1] if batch.receipts for row in from_ipc(batch.receipts).to_pylist()]
    assert sorted(row["qp"] for row in samples) == list(range(20)) == sorted(row["qp"] for row in receipts)


def test_nothing_of_a_trial_is_left_when_stop_has_answered(lab, trial):
    before = lab.processes(A)
    trial.prepare(A, transfer(B))
    group = set(lab.processes(A)) - set(before)
    assert len(group) == 1
    trial.stop(A)
    assert alive(group) == []
    trial.stop(A)  # and again, of what is not there


def test_processes_that_have_finished_stay_until_nobody_can_need_them(lab):
    one = Trial(lab, seconds=0.5)
    one.prepare(A, transfer(B))
    one.prepare(B)
    one.ready(A, B)
    agents = {lab.pids[B], lab.zygotes[B]}
    t0_ns = time.time_ns() + 1000 * MS
    runs = [one.start(host, t0_ns) for host in (A, B)]
    assert [list(run)[-1].finished_ns > 0 for run in runs] == [True, True]
    assert alive(set(lab.processes(B)) - agents)  # a peer may read from it until the deadline
    assert wait_until(lambda: not alive(set(lab.processes(B)) - agents))
    assert time.time_ns() >= t0_ns + 1500 * MS


def test_a_new_trial_takes_the_place_of_one_that_was_left_over(lab, trial):
    Trial(lab, "left").prepare(A, transfer(B))
    trial.prepare(A, transfer(B))
    code, line = refusal(lambda: Trial(lab, "left").start(A, await_trigger=False).next())
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert line == f"{A}: trial 'left' is not known here: it has not been prepared, or was stopped since"


def test_a_trial_that_runs_gives_way_to_no_other_and_to_stop_at_once(lab, trial):
    trial.prepare(A, transfer(B), seed=7)  # hangs in run
    trial.prepare(B)
    trial.ready(A, B)
    run = trial.start(A)
    time.sleep(0.4)
    code, line = refusal(lambda: Trial(lab, "other").prepare(A))
    assert (code, line) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        f"{A}: trial t is under way on this host; stop it first",
    )
    began = time.monotonic()
    trial.stop(A)
    code, line = refusal(lambda: list(run))
    assert (code, line) == (grpc.StatusCode.ABORTED, f"{A}: trial t: was stopped during run")
    assert time.monotonic() - began < 1


def test_a_trial_whose_coordinator_goes_away_is_stopped_at_once(lab, trial):
    trial.prepare(A, transfer(B), seed=7)  # hangs in run
    trial.prepare(B)
    trial.ready(A, B)
    groups = set(lab.processes(A)) - {lab.pids[A], lab.zygotes[A]}
    run = trial.start(A)
    time.sleep(0.3)
    assert alive(groups)
    run.cancel()
    assert wait_until(lambda: not alive(groups), 1)
    trial.prepare(A, transfer(B))


def test_calls_out_of_order_are_refused_and_change_nothing(lab, trial):
    trial.prepare(A, transfer(B))
    trial.prepare(B)
    for call in (
        lambda: trial.start(A).next(),
        lambda: Trial(lab, "unknown").connect(A),
    ):
        assert refusal(call)[0] == grpc.StatusCode.FAILED_PRECONDITION
    connected = trial.connect(B)
    assert refusal(lambda: trial.connect(B)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        f"{B}: trial t: connect was called when it was connected",
    )
    trial.join(A, connected)
    runs = [trial.start(host) for host in (A, B)]
    assert all(list(run)[-1].finished_ns for run in runs)
    assert refusal(lambda: list(trial.start(A)))[1] == f"{A}: trial t: run was called when it was finished"


def test_a_start_in_the_past_is_refused(lab, trial):
    trial.prepare(A)
    code, line = refusal(lambda: list(trial.start(A, time.time_ns() - 5 * MS)))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert line.startswith(f"{A}: T0 was ")
    assert line.endswith(" us ago when the call to run came; give the agents more time")


@pytest.mark.parametrize(
    ("request_of", "words"),
    [
        ({"trial": ""}, "a trial must have a name"),
        ({"transfers": [transfer(A)]}, "queue pair 0: cannot send to 'host0': a peer is another host"),
        ({"transfers": [transfer(B, size_bytes=0)]}, "queue pair 0: size 0 must be 1 to 1073741824 bytes"),
        ({"transfers": [transfer(B, priority=8)]}, "queue pair 0: priority 8 must be 0 to 7"),
        ({"transport": "carrier pigeon"}, "transport 'carrier pigeon' is not one of verbs, nixl, perftest, tcp"),
    ],
)
def test_a_request_that_cannot_be_is_refused_in_one_line(lab, request_of, words):
    request = agent_pb2.PrepareRequest(**({"trial": "t"} | request_of))
    assert refusal(lambda: lab.stub(A).Prepare(request)) == (grpc.StatusCode.INVALID_ARGUMENT, f"{A}: {words}")


def test_a_transport_that_the_host_lacks_is_refused(lab):
    code, line = refusal(lambda: lab.stub(A).Prepare(agent_pb2.PrepareRequest(trial="t", transport="verbs")))
    assert (code, line) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        f"{A}: transport verbs is not there on this host; it has tcp",
    )


def test_receiving_ends_must_be_those_of_the_queue_pairs(lab, trial):
    trial.prepare(A, transfer(B, 1), transfer(B, 2))
    trial.prepare(B)
    connected = trial.connect(B)
    del connected.endpoints[0]
    code, line = refusal(lambda: trial.join(A, connected))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert line == f"{A}: the receiving ends are not those of the queue pairs prepared (queue pair 1)"


def test_all_processes_of_a_host_begin_with_the_trigger_not_with_their_clock(lab, trial):
    trial.prepare(A, *(transfer(B, qp) for qp in range(9)), trigger=True)
    trial.prepare(B, *(transfer(A, qp) for qp in range(9)), trigger=True)
    ends = {host: trial.connect(host) for host in (A, B)}
    for host in (A, B):
        trial.join(host, *ends.values())
    t0_ns = time.time_ns() + 1000 * MS
    follower = trial.start(B, t0_ns - 20 * MS, await_trigger=True, trigger_token=b"now")
    leader = trial.start(A, t0_ns, trigger_to=[trial.triggers[B]], trigger_token=b"now")
    starts = [list(run)[-1] for run in (leader, follower)]
    assert starts[0].started_ns >= t0_ns
    assert starts[1].started_ns >= t0_ns  # though its own T0 was 20 ms before
    assert starts[1].started_last_ns < t0_ns + 100 * MS


def test_a_trigger_that_does_not_come_fails_the_trial(lab, trial):
    trial.prepare(A, transfer(B), trigger=True)
    trial.prepare(B)
    trial.ready(A, B)
    host, _, port = trial.triggers[A].rpartition(":")
    run = trial.start(A, await_trigger=True, trigger_token=b"now")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"later", (host, int(port)))
        code, line = refusal(lambda: list(run))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert line.startswith(f"{A}: the trigger did not come within 1 s after T0; see that UDP passes")


def test_a_clock_probe_is_answered_with_two_times_and_anything_else_with_silence(lab):
    said = lab.stub(A).Describe(agent_pb2.DescribeRequest())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(2)
        probe.connect((lab.addresses[A], said.probe_port))
        for wrong in (b"", b"x" * 24, said.probe_token, said.probe_token + b"123456789"):
            probe.send(wrong)
        before = time.time_ns()
        probe.send(said.probe_token + b"sequence")
        reply = probe.recv(100)
        after = time.time_ns()
        received_ns, sent_ns = struct.unpack("!qq", reply[24:])
        assert reply[:24] == said.probe_token + b"sequence"
        assert before - MS <= received_ns <= sent_ns <= after
        probe.settimeout(0.1)
        with pytest.raises(TimeoutError):
            probe.recv(100)


def test_a_storm_is_refused_and_never_there(lab):
    def storm(act, host=A):
        return lab.stub(A).Storm(agent_pb2.StormRequest(host=host, act=act, priority=3, duration_ns=1))

    assert not storm("status").active
    assert not storm("stop").active
    code, line = refusal(lambda: storm("start"))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "this host cannot send PAUSE by itself: an agent without privileges may not" in line
    assert refusal(lambda: storm("start", B))[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert refusal(lambda: storm("dance"))[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_counters_and_facts_of_the_host_are_told(lab):
    assert lab.stub(A).Counters(agent_pb2.CountersRequest()).time_ns > 0
    assert lab.stub(A).Inspect(agent_pb2.InspectRequest()).facts["transport"] == "tcp"


def test_the_command_line_starts_an_agent_that_says_when_it_is_ready(tmp_path):
    make_authority(tmp_path / "keys", {A: "127.0.0.1"})
    config = tmp_path / "agent.json"
    config.write_text(json.dumps(configuration(A, "127.0.0.1", tmp_path / "keys")))
    command = [sys.executable, "-m", "aibench_lib.worker.agent", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as agent:
        try:
            said = next(lines(agent.stdout, 30))
            assert said == {"ready": True, "pid": agent.pid, "port": said["port"]}
            began = time.monotonic()
            agent.terminate()
            assert agent.wait(5) == 0
            assert time.monotonic() - began < 1
        finally:
            agent.kill()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"port": 70000}, "port: 70000 must be a whole number, 0 to 65535"),
        ({"key": "/nowhere/key"}, "/nowhere/key: cannot be read: No such file or directory"),
        ({"bind": "192.0.2.1"}, "cannot open UDP port 0 of 192.0.2.1: Cannot assign requested address"),
        ({"transport": "perftest"}, "transport perftest is not there on this host; it has tcp"),
    ],
)
def test_an_agent_that_cannot_start_says_why_in_one_line(tmp_path, setting, words):
    make_authority(tmp_path / "keys", {A: "127.0.0.1"})
    config = tmp_path / "agent.json"
    config.write_text(json.dumps(configuration(A, "127.0.0.1", tmp_path / "keys") | setting))
    command = [sys.executable, "-m", "aibench_lib.worker.agent", "--config", str(config)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"].endswith(words)
    assert ended.stderr == ""


def test_a_stream_s_request_reaches_the_transport(lab, trial):
    trial.prepare(A, streams=[stream(B, 4, size_bytes=2500, depth=8, batch=4)])
    trial.prepare(B)
    trial.ready(A, B)
    runs = [trial.start(host) for host in (A, B)]
    rows = [row for batch in runs[0] if batch.arrow for row in from_ipc(batch.arrow).to_pylist()]
    assert [row["size_bytes"] for row in rows] == list(range(2500))
    assert {row["qp"] for row in rows} == {4}
