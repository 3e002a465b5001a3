"""Trial after trial on the same agents: which processes serve again, and that nothing of a trial is in the next."""

import os
import signal
import time
from pathlib import Path

import pytest
from agent_lab import AgentLab, Trial, alive, stream, transfer, wait_until

from aibench_lib.worker.samples import from_ipc

A, B = "host0", "host1"
MS = 1_000_000


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with AgentLab(tmp_path_factory.mktemp("agents"), 2) as made:
        yield made


@pytest.fixture(autouse=True)
def ended(lab):
    yield
    for host in (A, B):
        Trial(lab, "").stop(host)
        assert not groups(lab, host)


def groups(lab, host):
    return set(alive(set(lab.processes(host)) - {lab.pids[host], lab.zygotes[host]}))


def run_through(trial, *transfers, streams=(), lead_ms=100):
    """Run a trial that sends from A to B; return the rows of its samples."""
    trial.prepare(A, *transfers, streams=streams)
    trial.prepare(B)
    trial.ready(A, B)
    t0_ns = time.time_ns() + lead_ms * MS
    runs = [trial.start(host, t0_ns) for host in (A, B)]
    batches = [batch for run in runs for batch in run if batch.arrow]
    rows = [row for batch in batches for row in from_ipc(batch.arrow).to_pylist()]
    assert {(row["host"], row["status"]) for row in rows} == {(A, "ok")}
    assert all(t0_ns <= row["posted_ns"] < row["received_ns"] < row["completed_ns"] for row in rows)
    return rows


def anonymous_kib(pid):
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1])


def test_over_tcp_the_processes_of_a_trial_serve_the_next_with_nothing_of_it_left(lab):
    found = []
    for number in range(60):
        sends = transfer(B, number, size_bytes=100_000 + number)
        rows = run_through(Trial(lab, f"t{number}"), sends)
        assert [(row["qp"], row["size_bytes"]) for row in rows] == [(number, 100_000 + number)]
        pids = [groups(lab, host) for host in (A, B)]
        files = [len(list(Path(f"/proc/{pid}/fd").iterdir())) for own in pids for pid in own]
        memory = [anonymous_kib(pid) for own in pids for pid in own]
        found.append((pids, files, memory))
    settled, last = found[9], found[-1]
    assert last[:2] == settled[:2]
    assert all(now - before < 1024 for before, now in zip(settled[2], last[2], strict=True))


def test_a_loop_and_a_schedule_follow_each_other_in_one_process(lab):
    loop = stream(B, 1, 65_536, depth=4, batch=2, duration_ns=100 * MS)
    assert len(run_through(Trial(lab, "loop"), streams=[loop])) > 1
    before = groups(lab, A)
    rows = run_through(Trial(lab, "schedule"), transfer(B, 2), transfer(B, 2, offset_ns=5 * MS))
    assert [row["qp"] for row in rows] == [2, 2]
    assert groups(lab, A) == before


def test_a_process_that_has_ended_meanwhile_is_replaced(lab):
    run_through(Trial(lab, "short", seconds=0.3), transfer(B))
    assert wait_until(lambda: not groups(lab, A))
    assert run_through(Trial(lab, "next"), transfer(B))


def test_a_process_that_was_killed_meanwhile_is_replaced(lab):
    run_through(Trial(lab, "killed"), transfer(B))
    (before,) = groups(lab, A)
    os.kill(before, signal.SIGKILL)
    assert run_through(Trial(lab, "next"), transfer(B))
    assert before not in groups(lab, A)


def test_a_trial_that_did_not_come_to_its_end_hands_nothing_over(lab):
    given_up = Trial(lab, "given up")
    given_up.prepare(A, transfer(B))
    given_up.prepare(B)
    before = groups(lab, A)
    assert run_through(Trial(lab, "next"), transfer(B))
    assert not before & groups(lab, A)


def test_the_next_trial_awaits_a_trigger_of_its_own(lab):
    for number in range(3):
        trial = Trial(lab, f"trigger {number}")
        trial.prepare(A, transfer(B), trigger=True)
        trial.prepare(B, transfer(A), trigger=True)
        ends = [trial.connect(host) for host in (A, B)]
        for host in (A, B):
            trial.join(host, *ends)
        t0_ns = time.time_ns() + 500 * MS
        follower = trial.start(B, t0_ns - 20 * MS, await_trigger=True, trigger_token=b"%d" % number)
        leader = trial.start(A, t0_ns, trigger_to=[trial.triggers[B]], trigger_token=b"%d" % number)
        starts = [list(run)[-1].started_ns for run in (leader, follower)]
        assert min(starts) >= t0_ns
