"""DCQCN against closed forms, and against the arithmetic of its own events under random marks."""

import dataclasses

import numpy as np
import pytest
from simulator_fabrics import LINE_BPS, RECEIVER

from aibench_lib.model import Link, Port, Topology
from aibench_lib.simulator import PRESETS, Dcqcn, Ecn, Parameters, Simulation
from aibench_lib.units import GBPS

PS_PER_MS = 10**9


def paper(**changes: object) -> Dcqcn:
    preset = PRESETS["paper-2015"]
    assert isinstance(preset, Dcqcn)
    return dataclasses.replace(preset, **changes)


def bottleneck(senders: int, bps: int, **parameters: object) -> Simulation:
    """Return endless flows of ``senders`` hosts to one, every link at the same rate."""
    hosts = (*(f"s{number}" for number in range(1, senders + 1)), "receiver")
    links = tuple(Link(Port("leaf", f"to-{host}"), Port(host, "nic"), bps) for host in hosts)
    simulation = Simulation(Topology(hosts, ("leaf",), links), Parameters(buffer_bytes=1 << 40, **parameters), seed=1)
    for host in hosts[:-1]:
        simulation.start_flow(host, "receiver", 1 << 40, 0, qp=1)
    return simulation


def event_model(senders: int, mark_probability: float, seconds: float, seed: int) -> float:
    """Return the mean rate of one sender of the paper's algorithm under random marks [bit/s], in steps of a packet.

    Written from the paper, not from the kernel: what the fluid model averages, event by event.
    """
    draws = np.random.default_rng(seed)
    line, step, timer, gap, gain, byte_counter, fast = 40e9, 40e6, 55e-6, 50e-6, 1 / 256, 80e6, 5
    rate = target = line / senders
    alpha, now, sent_bits, byte_bits = 0.1, 0.0, 0.0, 0.0
    next_cnp, increase, decay, times, counts = 0.0, timer, timer, 0, 0
    mark_after = draws.geometric(mark_probability)
    while now < seconds:
        now += 8000 / rate
        sent_bits += 8000
        byte_bits += 8000
        while now >= decay:
            alpha *= 1 - gain
            decay += timer
        while now >= increase or byte_bits >= byte_counter:
            if max(times, counts) >= fast:
                target = min(line, target + step)
            rate = (rate + target) / 2
            if now >= increase:
                times, increase = times + 1, increase + timer
            else:
                counts, byte_bits = counts + 1, byte_bits - byte_counter
        mark_after -= 1
        if mark_after == 0:
            mark_after = draws.geometric(mark_probability)
            if now >= next_cnp:
                next_cnp, target = now + gap, rate
                rate *= 1 - alpha / 2
                alpha = (1 - gain) * alpha + gain
                decay = increase = now + timer
                times = counts = 0
                byte_bits = 0.0
    return sent_bits / now


@pytest.mark.slow
@pytest.mark.parametrize(("senders", "fluid_bytes"), [(2, 20_200), (4, 41_800), (8, 93_800), (10, 122_600)])
def test_the_mean_queue_is_a_little_above_the_fixed_point_of_the_fluid_model(senders: int, fluid_bytes: int) -> None:
    # The fluid model lets the rate's distance from its target at a cut be the mean one; it is less, as most cuts come
    # after fast recovery. The same marks then cut less, and it takes more of them.
    simulation = bottleneck(senders, 40 * GBPS, dcqcn=paper(), mtu_bytes=938)
    simulation.set_ecn(RECEIVER, 3, Ecn(5_000, 200_000, 0.01))
    simulation.record_series([(RECEIVER, 3)], every_ps=10_000_000)
    simulation.advance(300 * PS_PER_MS)
    settled = simulation.series()[5_000:]
    assert fluid_bytes < settled["depth_bytes"].mean() < 1.3 * fluid_bytes
    assert np.diff(settled["tx_packets"][[0, -1]]) > 0.99 * 250e-3 * 40e9 / 8000


def test_the_share_of_marked_packets_is_what_the_algorithm_needs_to_send_at_its_share() -> None:
    # At the marking probability the simulator settles at, a sender on its own keeps to its half of the line.
    simulation = bottleneck(2, 40 * GBPS, dcqcn=paper(), mtu_bytes=938)
    simulation.set_ecn(RECEIVER, 3, Ecn(5_000, 200_000, 0.01))
    simulation.record_series([(RECEIVER, 3)], every_ps=PS_PER_MS)
    simulation.advance(200 * PS_PER_MS)
    settled = simulation.series()[40:]
    marked, sent = (np.diff(settled[name][[0, -1]])[0] for name in ("ecn_marked_packets", "tx_packets"))
    rates = [event_model(2, marked / sent, seconds=0.1, seed=seed) for seed in range(3)]
    assert np.mean(rates) == pytest.approx(20e9, rel=0.1)


def test_after_two_cuts_the_rate_climbs_by_one_step_a_period_to_line_rate() -> None:
    # Two cuts in one go: the rate is a quarter, the target a half of the line. Fast recovery takes five periods, then
    # 200 Gb/s come back in steps of 400 Mb/s a period of 55 us: 27.5 ms. Ten times the paper's step, for a short test.
    step = {"additive_increase_bps": 400_000_000, "hyper_increase_bps": 400_000_000}
    control = paper(increase_bytes=0, cnp_gap_ns=10_000, gain=1e-9, **step)
    simulation = bottleneck(2, LINE_BPS, dcqcn=control)
    simulation.set_ecn(RECEIVER, 3, Ecn(0, 0, 1.0))
    simulation.record_series([(Port("s1", "nic"), 3)], every_ps=55_000_000)
    simulation.advance(14_000_000)  # CNPs come 10 us apart: the second has been sent, the third not
    simulation.set_ecn(RECEIVER, 3, None)
    simulation.advance(35 * PS_PER_MS)
    shares = np.diff(simulation.series()["tx_bytes"]) / (55e-6 * LINE_BPS / 8)
    assert shares[6:606] == pytest.approx(np.minimum(0.5 + 0.001 * np.arange(600), 1.0), abs=0.006)
    assert np.flatnonzero(shares > 0.998)[0] * 55e-3 == pytest.approx(27.5, rel=0.02)


@pytest.mark.parametrize(("gap_ns", "packets_apart"), [(0, 1), (4_000, 13), (50_000, 151)])
def test_each_queue_pair_gets_its_cnps_with_the_first_marked_packet_after_the_gap(
    gap_ns: int, packets_apart: int
) -> None:
    # Into a link of half the rate two queue pairs send in turn, so a packet of each arrives every 4 packet times; the
    # rate is never cut. All packets are marked but the very first, which finds the port free.
    control = paper(cnp_gap_ns=gap_ns, min_rate_bps=LINE_BPS)
    links = (
        Link(Port("a", "nic"), Port("switch", "in"), LINE_BPS),
        Link(Port("switch", "out"), Port("b", "nic"), LINE_BPS // 2),
    )
    topology = Topology(("a", "b"), ("switch",), links)
    simulation = Simulation(topology, Parameters(dcqcn=control, buffer_bytes=1 << 30), seed=1)
    simulation.set_ecn(Port("switch", "out"), 3, Ecn(0, 0, 1.0))
    for qp in range(2):
        simulation.start_flow("a", "b", 1000 * 4096, 0, qp=qp)
    simulation.advance()
    marked = simulation.counters()["ecn_marked_packets"].sum()
    assert marked >= 1997
    cnps = simulation.hosts()["cnps_sent_packets"].tolist()
    assert cnps[0] == 0
    assert cnps[1] == pytest.approx(2 * -(-1000 // packets_apart), abs=3 if gap_ns == 0 else 1)
