"""Deadlock: the wait-for graph of made snapshots, and routing loops that close a circular buffer dependency."""

import itertools

import pytest
from simulator_fabrics import LINE_BPS

from aibench_lib.model import Link, Port, Topology
from aibench_lib.simulator import Detour, Parameters, Pfc, PfcWatchdog, Simulation
from aibench_lib.simulator.deadlock import PausedQueue, cycles, deadlocked, pause_depth, zero_throughput

MS = 10**9


def waits(name: str, by: str, resume: int | None = 1_000, **waits_for: int) -> PausedQueue:
    return PausedQueue(
        port=Port(name, "out"),
        priority=3,
        since_ps=0,
        depth_bytes=10_000,
        paused_by=Port(by, "in"),
        resume_bytes=resume,
        waits_for={(Port(other, "out"), 3): waiting for other, waiting in waits_for.items()},
    )


def names(queues: frozenset) -> set[str]:
    return {port.node for port, _ in queues}


def test_queues_that_wait_for_one_another_in_a_ring_are_deadlocked_and_those_behind_them_stand_still() -> None:
    ring = [waits("a", "b", b=5_000), waits("b", "c", c=5_000), waits("c", "a", a=5_000), waits("d", "a", a=9_000)]
    assert names(deadlocked(ring)) == {"a", "b", "c"}
    assert [names(cycle) for cycle in cycles(ring)] == [{"a", "b", "c"}]
    assert names(zero_throughput(ring)) == {"a", "b", "c", "d"}
    assert pause_depth(ring) == 4


def test_a_ring_resolves_if_one_of_its_waits_is_short_enough_to_be_resumed() -> None:
    ring = [waits("a", "b", b=5_000, e=9_000), waits("b", "c", c=1_000), waits("c", "a", a=5_000)]
    assert names(*cycles(ring)) == {"a", "b", "c"}
    assert not deadlocked(ring)
    assert not zero_throughput(ring)


def test_a_chain_of_pauses_is_as_deep_as_it_is_long_and_no_deadlock() -> None:
    chain = [waits("a", "b", b=5_000), waits("b", "c", c=5_000), waits("c", "d", drains=5_000)]
    assert pause_depth(chain) == 3
    assert not cycles(chain)
    assert not zero_throughput(chain)


def test_what_a_storming_host_pauses_stands_still_without_a_deadlock() -> None:
    storm = [waits("a", "b", b=5_000), waits("b", "host", resume=None)]
    assert names(zero_throughput(storm)) == {"a", "b"}
    assert not zero_throughput(storm, storms=False)
    assert not deadlocked(storm)
    assert pause_depth(storm) == 2


def test_without_paused_queues_there_is_nothing() -> None:
    assert cycles([]) == ()
    assert not zero_throughput([])
    assert pause_depth([]) == 0


def ring(switches: int, bps: int = LINE_BPS) -> Topology:
    """Switches in a ring with a host each."""
    links = [Link(Port(f"r{n}", "host"), Port(f"h{n}", "nic"), bps) for n in range(switches)]
    around = [(n, (n + 1) % switches) for n in range(switches)] if switches > 2 else [(0, 1), (1, 0)]
    links += [Link(Port(f"r{a}", "next"), Port(f"r{b}", "last"), bps) for a, b in around]
    return Topology(tuple(f"h{n}" for n in range(switches)), tuple(f"r{n}" for n in range(switches)), tuple(links))


def looped(switches: int, hop_limit: int, rate: float, watchdog: PfcWatchdog | None = None) -> Simulation:
    """h0 sends, at a share of line rate, to a host whose packets the switches pass round and round."""
    topology = ring(switches)
    parameters = Parameters(dcqcn="off", hop_limit=hop_limit, retransmit_timeout_ns=10**9)
    simulation = Simulation(topology, parameters, seed=1)
    for link in topology.links:
        for end in (link.a, link.b):
            if end.node not in topology.hosts:
                simulation.set_pfc(end, 3, Pfc(xoff_bytes=100_000))
                simulation.set_watchdog(end, watchdog)
    for number in range(switches):
        simulation.inject(Detour(f"r{number}", "h1", Port(f"r{number}", "next")), 0)
    gap = int(4158 * 20 / rate)
    for number in range(5 * MS // gap):
        simulation.start_flow("h0", "h1", 4096, number * gap, qp=1)
    return simulation


# A packet crosses links of the loop hop_limit - 1 times before it is dropped, so injected at rate r they carry
# r (hop_limit - 1) / n each: above r = n C / (hop_limit - 1) the buffers fill and every queue of the loop is paused.
LOOPS = [(2, 16), (2, 32), (4, 16), (3, 30)]


@pytest.mark.parametrize(("switches", "hop_limit"), LOOPS)
def test_a_routing_loop_deadlocks_above_the_rate_at_which_it_overflows(switches: int, hop_limit: int) -> None:
    simulation = looped(switches, hop_limit, 1.1 * switches / (hop_limit - 1))
    simulation.advance(4 * MS)
    paused = simulation.paused()
    around = {(Port(f"r{n}", "next"), 3) for n in range(switches)}
    assert deadlocked(paused) == around
    stuck = zero_throughput(paused)
    assert stuck == around | {(Port("h0", "nic"), 3)}
    before = simulation.counters()
    simulation.advance(6 * MS)  # the last message is posted
    events = simulation.events
    simulation.advance(400 * MS)
    after = simulation.counters()
    assert simulation.events == events
    assert (before["tx_bytes"] == after["tx_bytes"]).all()
    held = after[(after["interface"] == "next") & (after["priority"] == 3)]
    assert (held["paused_ps"] > 395 * MS).all()


@pytest.mark.parametrize(("switches", "hop_limit"), LOOPS)
def test_below_that_rate_it_does_not(switches: int, hop_limit: int) -> None:
    simulation = looped(switches, hop_limit, 0.9 * switches / (hop_limit - 1))
    for until in range(0, 5 * MS, MS // 4):
        simulation.advance(until)
        assert not deadlocked(simulation.paused())
    simulation.advance(5 * MS)
    counters = simulation.counters()
    assert counters["dropped_ttl_packets"].sum() > 0.8 * 0.9 * 5 * MS / 83_160 * switches / hop_limit
    assert counters["dropped_packets"].sum() == counters["dropped_ttl_packets"].sum()


def test_the_watchdog_ends_a_deadlock() -> None:
    simulation = looped(2, 16, 0.2, PfcWatchdog(detection_ns=200_000, restoration_ns=200_000))
    simulation.advance(20 * MS)
    counters = simulation.counters()
    assert counters["watchdog_trips"].sum() > 0
    assert counters["dropped_watchdog_packets"].sum() > 0
    assert not deadlocked(simulation.paused())


def test_a_pause_spreads_link_by_link_from_a_slow_receiver() -> None:
    nodes = ["a", "r1", "r2", "r3", "b"]
    rates = [LINE_BPS, LINE_BPS, LINE_BPS, LINE_BPS // 10]
    wires = tuple(
        Link(Port(here, "out"), Port(there, "in"), bps)
        for (here, there), bps in zip(itertools.pairwise(nodes), rates, strict=True)
    )
    simulation = Simulation(Topology(("a", "b"), ("r1", "r2", "r3"), wires), Parameters(dcqcn="off"), seed=1)
    for switch in ("r1", "r2", "r3"):
        for end in ("in", "out"):
            simulation.set_pfc(Port(switch, end), 3, Pfc(xoff_bytes=50_000))
    simulation.start_flow("a", "b", 4 << 20, 0, qp=1)
    deepest = 0
    for until in range(0, 100_000_000, 500_000):
        simulation.advance(until)
        deepest = max(deepest, pause_depth(simulation.paused()))
    assert deepest == 3
    assert not cycles(simulation.paused())
