"""Streams of the simulated agents: loops in the simulator, a row a batch."""

import asyncio

import numpy as np
import pytest
from test_virtual_lab_world import START_NS, US, Fabric

from aibench_lib.virtual_lab.course import Demand
from aibench_lib.virtual_lab.rendezvous import InvalidRequest, Rendezvous, Share
from aibench_lib.virtual_lab.samples import rows
from aibench_lib.virtual_lab.trial import Flow, Loop, Trial

BLOCK = 100_000


def loop(**changes):
    given = {"source": "a", "destination": "c", "qp": 1, "size_bytes": BLOCK, "depth": 8, "batch": 4, "offset_ns": 0}
    return Loop(**{**given, "duration_ns": 1000 * US, "rate_bps": 0, "priority": 3, **changes})


def run(*loops, flows=(), timeout_ns=0):
    fabric = Fabric()
    trial = Trial(t0_ns=START_NS, seed=1, flows=list(flows), timeout_ns=timeout_ns, loops=loops)
    outcome, _ = fabric.run(trial, wanted=Demand())
    tables = [
        rows(one.source, Share([], slice(0, 0), [(one, outcome.loops[n])], outcome), START_NS)
        for n, one in enumerate(loops)
    ]
    return outcome, tables


def test_a_row_stands_for_a_batch_from_its_first_posting_to_its_last_completion():
    outcome, (table,) = run(loop())
    messages = outcome.loops[0]
    assert table["operations"].to_pylist()[:-1] == [4] * (table.num_rows - 1)
    assert sum(table["operations"].to_pylist()) == len(messages.posted_ns)
    assert sum(table["size_bytes"].to_pylist()) == BLOCK * len(messages.posted_ns)
    assert table["posted_ns"].to_pylist() == messages.posted_ns[::4].tolist()
    assert table["completed_ns"].to_pylist()[0] == messages.completed_ns[3]
    assert table["received_ns"].to_pylist()[0] == messages.received_ns[3]
    assert set(table["status"].to_pylist()) == {"ok"}
    assert max(table["posted_ns"].to_pylist()) <= START_NS + 1000 * US
    assert outcome.finished_ns["a"] == messages.completed_ns.max()


def test_the_steady_rate_of_a_loop_is_that_of_the_slowest_link():
    """50 Gb/s between the spine and leaf2: 6.25 GB/s, of which 4096 of 4158 bytes are payload."""
    outcome, _ = run(loop(depth=16))
    done = outcome.loops[0].completed_ns
    rate = BLOCK * (len(done) - 1) / (done[-1] - done[0])
    assert rate == pytest.approx(6.25 * 100_000 / (100_000 + 25 * 62), rel=0.01)


def test_a_row_of_a_stream_with_a_rate_is_meant_at_its_turn():
    """100 KB at 8 Gb/s: one every 100 us."""
    _, (table,) = run(loop(rate_bps=8_000_000_000, batch=1))
    assert table["intended_ns"].to_pylist() == [START_NS + 100 * US * n for n in range(11)]
    assert table["posted_ns"].to_pylist() == table["intended_ns"].to_pylist()


def test_what_is_not_complete_when_the_trial_ends_has_run_out_of_time():
    outcome, (table,) = run(loop(batch=1), timeout_ns=500 * US)
    assert outcome.end_ns == START_NS + 500 * US
    assert table["status"].to_pylist().count("timeout") == 8
    assert table["completed_ns"].null_count == 8


def test_transfers_and_streams_of_a_trial_keep_apart():
    flow = Flow(source="b", destination="c", qp=9, size_bytes=BLOCK, offset_ns=100 * US, priority=3)
    outcome, tables = run(loop(), loop(source="b", qp=2, size_bytes=1000), flows=[flow])
    assert outcome.completed_ns.shape == (1,)
    assert outcome.completed_ns[0] > START_NS + 100 * US
    assert [np.unique(table["qp"]).tolist() for table in tables] == [[1], [2]]


def test_a_queue_pair_has_a_stream_or_transfers():
    rendezvous = Rendezvous(lambda: 0, None, 1.0)
    flow = Flow(source="a", destination="c", qp=1, size_bytes=BLOCK, offset_ns=0, priority=3)

    async def prepare():
        rendezvous.prepare("t", "a", [flow], [loop()], seed=1)

    with pytest.raises(InvalidRequest, match="queue pair 1 has a stream and something else to send"):
        asyncio.run(prepare())
