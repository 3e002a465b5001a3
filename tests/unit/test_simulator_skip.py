"""Skipping gives what simulating every packet gives: completions, counters, buffers and samples, to the picosecond."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator_fabrics import BLOCK_BYTES, LINE_BPS, RECEIVER, chain, clos, star

from aibench_lib.model import Port, Topology
from aibench_lib.simulator import (
    Ecn,
    LinkDown,
    LoadBalancing,
    Parameters,
    PauseStorm,
    Pfc,
    PfcWatchdog,
    Simulation,
    repetition,
    skip,
)
from aibench_lib.units import GBPS, MIB, PS_PER_US

PS_PER_MS = 1000 * PS_PER_US


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Search as if it cost nothing, so that small cases skip."""
    monkeypatch.setattr(skip, "STEP_EVENTS", 0)
    monkeypatch.setattr(skip, "COMPARE_EVENTS", 0)
    monkeypatch.setattr(skip, "SHARE", 1)


def lossless(simulation: Simulation, topology: Topology, xoff_bytes: int = 60_000) -> Simulation:
    pfc = Pfc(xoff_bytes=xoff_bytes, alpha=None, xon_offset_bytes=8_192, headroom_bytes=None)
    for link in topology.links:
        for port in (link.a, link.b):
            if port.node in topology.switches:
                simulation.set_pfc(port, 3, pfc)
    return simulation


def check_same(full: Simulation, skipped: Simulation, until_ps: int | None = None) -> None:
    """Run one packet by packet, the other with skips, and assert that they cannot be told apart."""
    full.advance(until_ps)
    skip.advance(skipped, until_ps)
    for results in ("completions", "buffers"):
        assert np.array_equal(getattr(full, results)(), getattr(skipped, results)())
    samples, extra = full.series(), skipped.series()
    assert np.array_equal(samples, extra[: len(samples)])
    assert full.packet_hops == skipped.packet_hops
    if until_ps is not None:
        assert full.now_ps == skipped.now_ps == until_ps
        assert len(samples) == len(extra)
        assert np.array_equal(full.counters(), skipped.counters())
    assert skipped.simulated_ps + skipped.skipped_ps == skipped.now_ps


def test_a_single_flow_is_skipped_and_completes_at_the_same_picosecond():
    def single() -> Simulation:
        simulation = Simulation(chain(6), Parameters(), 1)
        simulation.start_flow("a", "b", BLOCK_BYTES, 0, qp=1)
        return simulation

    full, skipped = single(), single()
    check_same(full, skipped)
    assert skipped.completions()["received_ps"][0] == 347_039_160  # (4096 + 6 - 1) * 83.160 ns + 6 us
    assert skipped.skipped_ps > 0.7 * full.now_ps
    assert (full.method, skipped.method) == ("packet", "packet+skip")


def test_a_second_of_a_full_link_takes_the_kernel_a_few_thousand_packets():
    simulation = Simulation(star(1, sender_bps=100 * GBPS), Parameters(), 1)
    simulation.start_flow("s1", "receiver", 12_000_000_000, 0, qp=1)
    skip.advance(simulation, 10**12)
    (flow,) = simulation.completions()
    packets = 12_000_000_000 // 4096  # and a last one of 2048 B
    assert flow["received_ps"] == packets * 332_640 + (2048 + 62) * (80 + 20) + 2 * PS_PER_US
    assert simulation.skipped_ps > 0.999 * flow["received_ps"]


def test_messages_that_start_and_end_in_between_are_not_skipped_over():
    def meeting() -> Simulation:
        topology = clos(leaves=2, spines=2, hosts_per_leaf=3)
        simulation = lossless(Simulation(topology, Parameters(dcqcn="off"), 1), topology)
        for number, (source, size) in enumerate((("h0-0", 8), ("h0-1", 2), ("h0-2", 4), ("h1-2", 1))):
            for message in range(2):
                simulation.start_flow(source, "h1-0", size * MIB + message, number * 200 * PS_PER_US, qp=number)
        return simulation

    skipped = meeting()
    check_same(meeting(), skipped, 2 * PS_PER_MS)
    assert skipped.method == "packet+skip"


def test_samples_in_the_time_skipped_are_those_that_would_have_been_taken():
    def sampled() -> Simulation:
        topology = star(4)
        simulation = lossless(Simulation(topology, Parameters(dcqcn="off"), 1), topology)
        for number in range(1, 5):
            simulation.start_flow(f"s{number}", "receiver", BLOCK_BYTES, 0, qp=1)
        simulation.record_series([(RECEIVER, 3), (Port("leaf", "to-s1"), 3), (Port("s1", "nic"), 3)], 7_000_001)
        return simulation

    skipped = sampled()
    check_same(sampled(), skipped, 1_300 * PS_PER_US)
    assert skipped.skipped_ps > 300 * PS_PER_US
    assert len(skipped.series()) == 3 * (1 + 1_300 * PS_PER_US // 7_000_001)


def test_a_fault_ends_a_skip_and_what_it_leaves_is_simulated():
    def failing() -> Simulation:
        topology = clos(leaves=2, spines=2, hosts_per_leaf=2)
        simulation = Simulation(topology, Parameters(dcqcn="off", retransmit_timeout_ns=500_000), 1)
        for number in range(2):
            simulation.start_flow(f"h0-{number}", f"h1-{number}", 4 * BLOCK_BYTES, 0, qp=1)
        for spine in range(2):
            simulation.inject(
                LinkDown(Port(f"spine{spine}", "down1")), (1 + spine) * PS_PER_MS, (3 + spine) * PS_PER_MS
            )
        return simulation

    skipped = failing()
    check_same(failing(), skipped, 12 * PS_PER_MS)
    assert skipped.method == "packet+skip"
    assert skipped.completions()["retransmitted_packets"].sum() > 0


def test_a_frozen_fabric_lets_its_timers_come():
    def frozen() -> Simulation:
        topology = star(2)
        simulation = lossless(Simulation(topology, Parameters(dcqcn="off"), 1), topology)
        simulation.set_watchdog(RECEIVER, PfcWatchdog(detection_ns=200_000_000, restoration_ns=1_000_000))
        for number in (1, 2):
            simulation.start_flow(f"s{number}", "receiver", BLOCK_BYTES, 0, qp=1)
        simulation.inject(PauseStorm("receiver", 3), 100 * PS_PER_US, 201 * PS_PER_MS)
        return simulation

    skipped = frozen()
    check_same(frozen(), skipped, 300 * PS_PER_MS)
    assert skipped.counters()["watchdog_trips"].sum() > 0


def test_what_is_drawn_at_random_is_not_skipped():
    simulation = Simulation(star(3), Parameters(dcqcn="off", buffer_bytes=400_000), 1)
    simulation.set_ecn(RECEIVER, 3, Ecn(1, 400_000, 0.5))
    for number in range(1, 4):
        simulation.start_flow(f"s{number}", "receiver", BLOCK_BYTES, 0, qp=1)
    skip.advance(simulation, 600 * PS_PER_US)
    assert simulation.method == "packet"


def test_every_array_of_a_simulation_is_compared_or_is_known_not_to_change():
    simulation = Simulation(star(1), Parameters(), 1)
    by_other_means = {"_heap", "_packets", "_flowlets"}
    notes_of_packets = {"_sent", "_arrived"}  # where they are kept, nothing is skipped
    constant = {"_settings", "_gains", "_counter_rows", "_sets", "_destinations"}  # but for faults
    results = {"_series_queues", "_series_rows"}
    arrays = {name for name, value in vars(simulation).items() if isinstance(value, np.ndarray)}
    assert arrays == set(repetition._STATE) | by_other_means | notes_of_packets | constant | results


@pytest.mark.parametrize(("receiver", "method"), [("in-order", "packet+skip"), ("out-of-order", "packet")])
def test_where_a_note_is_kept_of_every_packet_nothing_is_skipped(receiver, method):
    simulation = Simulation(chain(2), Parameters(receiver=receiver), 1)
    simulation.start_flow("a", "b", BLOCK_BYTES, 0, qp=1)
    skip.advance(simulation)
    assert simulation.idle
    assert simulation.method == method


rates = st.sampled_from([25 * GBPS, 100 * GBPS, LINE_BPS])
messages = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.integers(1, 4 * MIB),
        st.integers(0, 300) | st.integers(0, 300_000_000),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=5,
)
parameters = st.builds(
    Parameters,
    forwarding=st.sampled_from(["store-and-forward", "cut-through"]),
    dcqcn=st.sampled_from(["off", "off", "nvidia-default", "paper-2015"]),
    buffer_bytes=st.sampled_from([1_000_000, 33_554_432]),
    propagation_ns=st.integers(0, 2_000),
    retransmit_timeout_ns=st.sampled_from([100_000, 67_108_864]),
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_run_is_the_same_with_and_without_skips(data):
    topology = clos(data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2)), 2, data.draw(rates), data.draw(rates))
    given_parameters, posted = data.draw(parameters), data.draw(messages)
    xoff, step, every = (
        data.draw(st.sampled_from([0, 30_000, 100_000])),
        data.draw(st.booleans()),
        data.draw(st.booleans()),
    )
    mode, weights = (
        data.draw(st.sampled_from(["ecmp", "ecmp", "flowlet"])),
        data.draw(st.sampled_from([{}, {3: 2, 2: 1}])),
    )
    stop = data.draw(st.integers(1, 1_000)) * PS_PER_US
    runs = []
    for _ in range(2):
        simulation = Simulation(topology, given_parameters, 3)
        if xoff and given_parameters.buffer_bytes > 30_000_000:
            lossless(simulation, topology, xoff)
        for switch in topology.switches:
            simulation.set_load_balancing(switch, LoadBalancing(mode, flowlet_gap_ns=2_000))
        for link in topology.links:
            simulation.set_scheduling(link.a, weights)  # its first end is a switch's
        for link in topology.links if step else ():
            simulation.set_ecn(link.a, 3, Ecn(50_000, 50_000, 1.0))
        if every:
            simulation.record_series([(topology.links[0].a, 3), (topology.links[-1].a, 3)], 13_131_313)
        for source, shift, size, start, qp in posted:
            here = source % len(topology.hosts)
            there = (here + 1 + shift % (len(topology.hosts) - 1)) % len(topology.hosts)
            priority = 3 - qp
            simulation.start_flow(topology.hosts[here], topology.hosts[there], size, start, qp, priority)
        runs.append(simulation)
    check_same(*runs, stop)
    check_same(*runs, stop + 400 * PS_PER_US)
