"""Senders and receivers: go-back-N, the retransmission timeout, and DCQCN against its own arithmetic."""

import dataclasses

import numpy as np
import pytest
from simulator_fabrics import BLOCK_BYTES, HOP_PS, PACKET_BYTES, PACKET_PS, RECEIVER, chain, incast, row, star

from aibench_lib.model import Port
from aibench_lib.simulator import PRESETS, Dcqcn, Ecn, Parameters, Simulation

TIMEOUT_NS = 100_000


def test_a_lost_packet_is_sent_again_with_all_that_followed_it() -> None:
    # Of two line-rate senders a buffer of one packet loses some; the sender goes back to it at the NACK.
    simulation = incast(2, 40 * 4096, buffer_bytes=PACKET_BYTES)
    simulation.advance()
    flows, counters = simulation.completions(), row(simulation, RECEIVER)
    assert len(flows) == 2
    assert counters["dropped_packets"] > 0
    assert flows["retransmitted_packets"].sum() >= counters["dropped_packets"]
    receiver = row(simulation, Port("receiver", "nic"))
    assert receiver["rx_packets"] + counters["dropped_packets"] == 80 + flows["retransmitted_packets"].sum()


def test_the_loss_of_a_last_packet_is_repaired_by_the_timeout() -> None:
    # s1's packet is in transmission, s2's fills the buffer, and s3's finds it full: nothing follows that could tell.
    simulation = Simulation(
        star(3), Parameters(dcqcn="off", buffer_bytes=PACKET_BYTES, retransmit_timeout_ns=TIMEOUT_NS), seed=1
    )
    for sender in ("s1", "s2", "s3"):
        simulation.start_flow(sender, "receiver", 4096, 0, qp=1)
    simulation.advance()
    flows = simulation.completions()
    unloaded = 2 * PACKET_PS + 2 * HOP_PS
    assert flows["received_ps"].tolist() == [unloaded, unloaded + PACKET_PS, TIMEOUT_NS * 1_000 + unloaded]
    assert flows["retransmitted_packets"].tolist() == [0, 0, 1]


def test_queue_pairs_draw_their_timeouts_between_the_shortest_and_a_multiple_of_it() -> None:
    simulation = Simulation(
        star(9),
        Parameters(
            dcqcn="off", buffer_bytes=PACKET_BYTES, retransmit_timeout_ns=TIMEOUT_NS, retransmit_timeout_spread=4
        ),
        seed=1,
    )
    for sender in range(1, 10):
        simulation.start_flow(f"s{sender}", "receiver", 4096, 0, qp=1)
    simulation.advance()
    flows = simulation.completions()
    unloaded = 2 * PACKET_PS + 2 * HOP_PS
    again = flows["received_ps"][flows["retransmitted_packets"] == 1] - unloaded
    assert len(again) == len(set(again)) == 7
    assert again.min() >= TIMEOUT_NS * 1_000
    assert again.max() <= 4 * TIMEOUT_NS * 1_000 + 7 * PACKET_PS


def test_no_timeout_strikes_while_acknowledgements_come() -> None:
    # A round trip takes 4.2 us, the message 23 us.
    simulation = Simulation(chain(2), Parameters(retransmit_timeout_ns=5_000), seed=1)
    simulation.start_flow("a", "b", 1 << 20, 0, qp=1)
    simulation.advance()
    assert simulation.completions()["retransmitted_packets"].tolist() == [0]


def one_cut(**changes: object) -> Dcqcn:
    """DCQCN whose receiver answers the first mark of a queue pair only, so that each sender cuts once, to a half."""
    paper = PRESETS["paper-2015"]
    assert paper is not None
    return dataclasses.replace(paper, cnp_gap_ns=10**9, increase_bytes=0, **changes)


def sent_per_period(control: Dcqcn, periods: int) -> np.ndarray:
    """Return the share of line rate s1 sends at in each increase period after its only cut."""
    simulation = incast(2, 64 << 20, dcqcn=control)
    simulation.set_ecn(RECEIVER, 3, Ecn(100_000, 100_000, 1.0))
    simulation.record_series([(Port("s1", "nic"), 3)], every_ps=PACKET_PS)
    simulation.advance(1_000_000_000)
    series = simulation.series()
    sending = np.diff(series["tx_bytes"])
    cut = series["time_ps"][np.flatnonzero(sending == 0)[0]]
    edges = cut + np.arange(periods + 1) * control.increase_period_ns * 1_000
    sent = np.interp(edges, series["time_ps"], series["tx_bytes"])
    return np.diff(sent) / (control.increase_period_ns * 1_000) * PACKET_PS / PACKET_BYTES


def test_a_cut_halves_the_rate_and_fast_recovery_halves_the_distance_to_the_target() -> None:
    shares = sent_per_period(one_cut(), periods=6)
    assert shares == pytest.approx([1 - 0.5**step for step in range(1, 7)], abs=0.002)


def test_no_cut_takes_more_than_the_largest_cut() -> None:
    shares = sent_per_period(one_cut(max_cut=0.2), periods=2)
    assert shares == pytest.approx([0.8, 0.9], abs=0.002)


def test_the_rate_never_falls_below_the_least_rate() -> None:
    shares = sent_per_period(one_cut(min_rate_bps=300_000_000_000), periods=2)
    assert shares == pytest.approx([0.75, 0.875], abs=0.002)


@pytest.mark.parametrize(("pause_ps", "share"), [(0, 0.5), (54_000_000, 0.5), (10**12, 1.0)])
def test_a_queue_pair_keeps_its_rate_between_messages_and_recovers_while_it_rests(pause_ps: int, share: float) -> None:
    # The first messages end soon after the cut to a half, within its first increase period.
    simulation = incast(2, 400_000, dcqcn=one_cut(increase_period_ns=100_000))
    simulation.set_ecn(RECEIVER, 3, Ecn(100_000, 100_000, 1.0))
    simulation.advance()
    start = simulation.now_ps + pause_ps
    again = simulation.start_flow("s1", "receiver", 20 * 4096, start, qp=1)
    simulation.advance()
    received = simulation.completions()[again]["received_ps"]
    assert received - start == pytest.approx(19 * PACKET_PS / share + 2 * (PACKET_PS + HOP_PS), abs=PACKET_PS)


@pytest.mark.parametrize("preset", ["nvidia-default", "paper-2015", "ns3-hpcc"])
def test_congestion_control_keeps_the_queue_far_below_what_line_rate_builds(preset: str) -> None:
    controlled, blind = incast(8, dcqcn=preset), incast(8)
    for simulation in (controlled, blind):
        simulation.set_ecn(RECEIVER, 3, Ecn(100_000, 400_000, 0.2))
        simulation.advance()
    peaks = [row(simulation, RECEIVER)["peak_depth_bytes"] for simulation in (controlled, blind)]
    assert peaks[0] < peaks[1] / 4
    assert controlled.completions()["size_bytes"].sum() == 8 * BLOCK_BYTES


def test_the_hpcc_preset_comes_near_what_its_authors_simulator_gives() -> None:
    # 32:1 of 16 MiB without PFC; ns-3 gave 12.83 ms for the last flow and a peak queue of 102.5 MB.
    simulation = incast(32, dcqcn="ns3-hpcc")
    simulation.set_ecn(RECEIVER, 3, Ecn(800_000, 3_200_000, 0.2))
    simulation.advance()
    assert simulation.completions()["completed_ps"].max() == pytest.approx(12.83e9, rel=0.05)
    assert row(simulation, RECEIVER)["peak_depth_bytes"] == pytest.approx(102.5e6, rel=0.1)
