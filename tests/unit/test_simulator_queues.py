"""Queues against theory: M/D/1 waiting times, ECN onset, WRED's probability, priorities and the shared buffer."""

import numpy as np
import pytest
from simulator_fabrics import HOP_PS, LINE_BPS, PACKET_BYTES, PACKET_PS, RECEIVER, check_conservation, incast, row, star

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, Parameters, Simulation

FAST_BPS = 1000 * LINE_BPS


def poisson_waits(load: float, messages: int) -> tuple[np.ndarray, np.ndarray]:
    """Return start and waiting times, in packet times, of one-packet messages.

    They come as a Poisson process over a link 1000 times as fast, so that only the one queue makes them wait.
    """
    simulation = Simulation(star(1, FAST_BPS), Parameters(dcqcn="off", buffer_bytes=1 << 40), seed=1)
    gaps = np.random.default_rng(1).exponential(PACKET_PS / load, messages)
    for start in np.cumsum(gaps).astype(int).tolist():
        simulation.start_flow("s1", "receiver", 4096, start, qp=1)
    simulation.advance()
    flows = simulation.completions()
    unloaded = PACKET_BYTES * 8 * 10**12 // FAST_BPS + PACKET_PS + 2 * HOP_PS
    return flows["posted_ps"] / PACKET_PS, (flows["received_ps"] - flows["posted_ps"] - unloaded) / PACKET_PS


@pytest.mark.parametrize(
    ("load", "mean", "p95", "p99"), [(0.25, 0.1667, 0.946, 1.667), (0.5, 0.5, 2.051, 3.336), (0.75, 1.5, 5.112, 8.037)]
)
def test_waiting_times_of_poisson_arrivals_are_those_of_m_d_1(load: float, mean: float, p95: float, p99: float) -> None:
    # 60,000 correlated samples: 5 % of the mean and P95 and 8 % of P99 are about three standard errors at load 0.75.
    _, waits = poisson_waits(load, 60_000)
    assert waits.mean() == pytest.approx(mean, rel=0.05)
    assert np.percentile(waits, 95) == pytest.approx(p95, rel=0.05)
    assert np.percentile(waits, 99) == pytest.approx(p99, rel=0.08)


def test_every_waiting_time_is_what_lindleys_recursion_gives_for_the_same_arrivals() -> None:
    starts, waits = poisson_waits(0.9, 5_000)
    expected = 0.0
    for number in range(1, len(waits)):
        expected = max(0.0, expected + 1 - (starts[number] - starts[number - 1]))
        assert waits[number] == pytest.approx(expected, abs=0.002)  # the fast link takes a thousandth of a packet time


@pytest.mark.parametrize("senders", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("threshold", [100_000, 500_000, 1_000_000, 5_000_000])
def test_marking_sets_in_when_the_excess_of_the_senders_has_filled_the_queue(senders: int, threshold: int) -> None:
    simulation = incast(senders)
    simulation.set_ecn(RECEIVER, 3, Ecn(threshold, threshold, 1.0))
    every = PACKET_PS // 4
    simulation.record_series([(RECEIVER, 3)], every)
    arrival = PACKET_PS + 2 * HOP_PS - HOP_PS
    fluid = arrival + threshold / ((senders - 1) * LINE_BPS) * 8e12
    simulation.advance(int(fluid) + 3 * senders * PACKET_PS)
    series = simulation.series()
    marked = series[series["ecn_marked_packets"] > 0]
    assert abs(marked["time_ps"][0] - fluid) <= 2 * senders * PACKET_PS
    assert marked["depth_bytes"][0] > threshold - PACKET_BYTES
    unmarked = series[series["ecn_marked_packets"] == 0]
    assert unmarked["depth_bytes"].max() <= threshold + senders * PACKET_BYTES


def test_nothing_is_marked_where_ecn_is_off_or_the_queue_stays_at_the_threshold() -> None:
    simulation = incast(2)
    simulation.set_ecn(RECEIVER, 3, Ecn(0, 0, 1.0))
    simulation.set_ecn(RECEIVER, 3, None)
    simulation.advance()
    assert not simulation.counters()["ecn_marked_packets"].any()
    single = incast(1)
    single.set_ecn(RECEIVER, 3, Ecn(0, 0, 1.0))
    single.advance()
    assert not single.counters()["ecn_marked_packets"].any()


@pytest.mark.parametrize("mark_at", ["dequeue", "enqueue"])
def test_wred_marks_in_proportion_to_the_depth(mark_at: str) -> None:
    # The queue of a 2:1 incast grows evenly from 0 to its peak and falls back, so the marked share is the mean of the
    # line from 0 to pmax; enqueued packets see the growth only. 8192 draws: standard error 0.004.
    simulation = incast(2, mark_at=mark_at)
    peak = 4096 * PACKET_BYTES
    simulation.set_ecn(RECEIVER, 3, Ecn(0, peak, 0.4))
    simulation.advance()
    counters = row(simulation, RECEIVER)
    assert counters["ecn_marked_packets"] / counters["tx_packets"] == pytest.approx(0.2, abs=0.013)


def test_marking_at_enqueue_is_seen_by_packets_behind_the_queue_that_made_it() -> None:
    onset = {}
    for mark_at in ("dequeue", "enqueue"):
        simulation = incast(2, dcqcn="off", mark_at=mark_at)
        simulation.set_ecn(RECEIVER, 3, Ecn(1_000_000, 1_000_000, 1.0))
        simulation.advance()
        onset[mark_at] = row(simulation, RECEIVER)["ecn_marked_packets"]
    # Of 8192 packets, the queue is above K while it grows from K to the peak and back (dequeue), or grows (enqueue).
    above = 1 - 1_000_000 / (4096 * PACKET_BYTES)
    assert onset["dequeue"] == pytest.approx(8192 * above, rel=0.01)
    assert onset["enqueue"] == pytest.approx(8192 * above, rel=0.01)


def test_a_higher_priority_is_served_first_and_a_lower_one_gets_the_rest() -> None:
    simulation = Simulation(star(2), Parameters(dcqcn="off", buffer_bytes=1 << 40), seed=1)
    low = simulation.start_flow("s1", "receiver", 1 << 20, 0, qp=1, priority=0)
    high = simulation.start_flow("s2", "receiver", 1 << 20, 0, qp=1, priority=4)
    simulation.advance()
    received = dict(zip(simulation.completions()["flow"], simulation.completions()["received_ps"], strict=True))
    alone = (256 + 1) * PACKET_PS + 2 * HOP_PS
    assert alone <= received[high] <= alone + PACKET_PS
    assert received[low] == (512 + 1) * PACKET_PS + 2 * HOP_PS
    assert row(simulation, RECEIVER, 4)["peak_depth_bytes"] <= 2 * PACKET_BYTES


def test_acknowledgements_overtake_data_at_a_backlogged_port() -> None:
    simulation = Simulation(star(3), Parameters(dcqcn="off", buffer_bytes=1 << 40), seed=1)
    for sender in ("s1", "s2"):
        simulation.start_flow(sender, "receiver", 4 << 20, 0, qp=1)
    simulation.start_flow("receiver", "s3", 1 << 20, 0, qp=1)
    simulation.advance()
    flow = simulation.completions()[2]
    # Its ACKs pass the port where up to 4 MB of data wait; each waits for one data packet in transmission at most.
    assert flow["completed_ps"] - flow["received_ps"] <= 2 * (HOP_PS + PACKET_PS + 1_280)


def test_what_does_not_fit_in_the_shared_buffer_is_dropped_and_counted_at_its_port() -> None:
    simulation = incast(2, 1 << 20, buffer_bytes=50 * PACKET_BYTES)
    simulation.advance(20 * HOP_PS)
    counters, buffer = row(simulation, RECEIVER), simulation.buffers()[0]
    assert counters["dropped_packets"] > 0
    assert counters["dropped_bytes"] == counters["dropped_packets"] * PACKET_BYTES
    assert counters["peak_depth_bytes"] == 50 * PACKET_BYTES == buffer["peak_bytes"] == buffer["size_bytes"]
    check_conservation(simulation, star(2))


def test_series_are_sampled_at_every_multiple_of_the_period_for_every_port() -> None:
    simulation = incast(2, 1 << 20)
    ports = [(RECEIVER, 3), (Port("s1", "nic"), 3)]
    simulation.record_series(ports, every_ps=1_000_000)
    simulation.advance(30_000_000)
    series = simulation.series()
    assert series["time_ps"].tolist() == [time for time in range(0, 30_000_001, 1_000_000) for _ in ports]
    assert series["index"].tolist() == [0, 1] * 31
    last = series[-2]
    counters = row(simulation, RECEIVER)
    assert last["depth_bytes"] == last["buffer_used_bytes"] == counters["depth_bytes"]
    assert last["tx_packets"] == counters["tx_packets"]
    assert (np.diff(series[series["index"] == 0]["peak_depth_bytes"]) >= 0).all()
