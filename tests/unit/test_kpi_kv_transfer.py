"""Rates of streams, and what their KPIs are called."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib import kpi
from aibench_lib.errors import TrialError, UndefinedKpi
from aibench_lib.kpi.names import bare, qualified


def bandwidth(rows, *, last_post_ns, queue_pairs):
    """Rows: queue pair, size, posted, completed."""
    columns = np.array(rows).T.tolist()
    return kpi.sustained_bandwidth(*columns, last_post_ns=last_post_ns, queue_pairs=queue_pairs)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=8),
    st.integers(1, 1000),
)
def test_queue_pairs_of_a_steady_rate_have_it_whatever_their_phase(pairs, size):
    """A queue pair that completes ``size`` bytes every ``gap`` ns has size / gap GB/s; all first ones are by 100 ns."""
    rows = [
        (n, size, phase + gap * (i - 1), phase + gap * i)
        for n, (gap, phase) in enumerate(pairs)
        for i in range(1, 300 // gap + 3)
    ]
    found = bandwidth(rows, last_post_ns=300, queue_pairs=len(pairs))
    assert found.steady
    assert np.allclose(found.rates, [size / gap for gap, _ in pairs])
    assert found.total == pytest.approx(sum(size / gap for gap, _ in pairs))


@given(st.lists(st.integers(0, 3), min_size=40, max_size=200))
def test_queue_pairs_that_take_turns_never_add_up_to_more_than_the_line(turns):
    """One message of 10 bytes is complete every 10 ns, whoever's turn it is: the line has 1 GB/s."""
    turns = [*range(4), *turns]
    rows, before = [], dict.fromkeys(range(4), 0)
    for number, pair in enumerate(turns, 1):
        rows.append((pair, 10, before[pair], 10 * number))
        before[pair] = 10 * number
    found = bandwidth(rows, last_post_ns=10 * len(turns), queue_pairs=4)
    assert found.steady
    assert found.total <= 1.0 + 4 * 10 / (10 * len(turns) - 40)  # of each queue pair one message lies across the begin


def test_what_completes_after_the_last_post_counts_as_far_as_it_came_before():
    """With fewer and fewer queue pairs left, the rest would be faster than in the trial."""
    rows = [(1, 100, 0, 10), (1, 100, 10, 20), (1, 100, 20, 40)]
    assert bandwidth(rows, last_post_ns=20, queue_pairs=1).total == 10
    assert bandwidth(rows, last_post_ns=30, queue_pairs=1).total == pytest.approx(150 / 20)


def test_one_completion_a_queue_pair_gives_the_rate_of_the_whole_trial():
    found = bandwidth([(1, 1000, 5, 105), (2, 1000, 5, 205)], last_post_ns=10, queue_pairs=2)
    assert not found.steady
    assert found.rates.tolist() == [5, 5]  # 1000 bytes in 200 ns each


def test_a_queue_pair_without_a_completion_leaves_it_undefined():
    with pytest.raises(UndefinedKpi, match="1 queue pairs completed no message"):
        bandwidth([(1, 1000, 0, 10)], last_post_ns=10, queue_pairs=2)


def test_a_trial_of_no_time_is_undefined():
    with pytest.raises(UndefinedKpi, match="no time passed"):
        bandwidth([(1, 1000, 10, 10)], last_post_ns=10, queue_pairs=1)


def test_a_latency_is_in_microseconds_and_not_negative():
    assert kpi.kv_xfer_latency([1000, 2000], [3500, 2000]).tolist() == [2.5, 0]
    with pytest.raises(TrialError, match="signalled before it was posted"):
        kpi.kv_xfer_latency([1000], [999])


def test_only_rdma_by_a_nic_gives_an_rdma_kpi_without_qualification():
    assert qualified("KV_xfer_bandwidth", "real-rdma") == "KV_xfer_bandwidth"
    for transport in ("tcp", "soft-roce", "nixl-UCX", "simulated"):
        name = qualified("KV_xfer_latency", transport)
        assert (name, bare(name)) == (f"KV_xfer_latency ({transport})", "KV_xfer_latency")
    assert qualified("Fabric_FCT", "tcp") == "Fabric_FCT"
