"""Small fabrics the simulator's tests share, and the checks that hold for every one of them."""

import hashlib
import itertools

import numpy as np

from aibench_lib.model import Link, Port, Topology
from aibench_lib.simulator import (
    PRIORITIES,
    Detour,
    Ecn,
    LinkDown,
    LossyLink,
    Parameters,
    PauseStorm,
    Pfc,
    PfcWatchdog,
    Simulation,
    SwitchReload,
    kernel,
)
from aibench_lib.units import GBPS, MIB, PS_PER_US

LINE_BPS = 400 * GBPS
PACKET_BYTES = 4096 + 62
PACKET_PS = 83_160
HOP_PS = PS_PER_US
BLOCK_BYTES = 16 * MIB
BLOCK_PACKETS = 4096
RECEIVER = Port("leaf", "to-receiver")


def star(senders: int, sender_bps: int = LINE_BPS) -> Topology:
    """One switch, hosts ``s1`` to ``s<senders>`` and ``receiver``, all but the senders' links at 400 Gb/s."""
    names = tuple(f"s{number}" for number in range(1, senders + 1))
    links = [Link(Port("leaf", f"to-{name}"), Port(name, "nic"), sender_bps) for name in names]
    links.append(Link(RECEIVER, Port("receiver", "nic"), LINE_BPS))
    return Topology((*names, "receiver"), ("leaf",), tuple(links))


def chain(links: int, bps: int = LINE_BPS) -> Topology:
    """Hosts ``a`` and ``b`` with ``links - 1`` switches in a row between them."""
    nodes = ["a", *(f"switch{number}" for number in range(1, links)), "b"]
    wires = tuple(Link(Port(here, "out"), Port(there, "in"), bps) for here, there in itertools.pairwise(nodes))
    return Topology(("a", "b"), tuple(nodes[1:-1]), wires)


def clos(
    leaves: int, spines: int, hosts_per_leaf: int, host_bps: int = LINE_BPS, spine_bps: int = LINE_BPS
) -> Topology:
    """A 2-tier Clos with hosts ``h<leaf>-<number>``."""
    hosts, links = [], []
    for leaf in range(leaves):
        for number in range(hosts_per_leaf):
            hosts.append(f"h{leaf}-{number}")
            links.append(Link(Port(f"leaf{leaf}", f"host{number}"), Port(hosts[-1], "nic"), host_bps))
        for spine in range(spines):
            links.append(Link(Port(f"leaf{leaf}", f"up{spine}"), Port(f"spine{spine}", f"down{leaf}"), spine_bps))
    switches = (*(f"leaf{leaf}" for leaf in range(leaves)), *(f"spine{spine}" for spine in range(spines)))
    return Topology(tuple(hosts), switches, tuple(links))


def incast(senders: int, size_bytes: int = BLOCK_BYTES, seed: int = 1, **parameters: object) -> Simulation:
    """``senders`` messages to one receiver at time 0; no congestion control and an endless buffer unless told."""
    defaults = {"dcqcn": "off", "buffer_bytes": 1 << 40}
    simulation = Simulation(star(senders), Parameters(**(defaults | parameters)), seed)
    for number in range(1, senders + 1):
        simulation.start_flow(f"s{number}", "receiver", size_bytes, 0, qp=1)
    return simulation


def upstream_incast(senders: int, victim_priority: int) -> tuple[float, float]:
    """Return the share of line rate of a victim, and of the time that the uplink it uses is paused.

    It shares the uplink of leaf ``l0`` with one of the senders of an incast at leaf ``l1``, not its receiver.
    """
    near, far = ("a", "victim"), ("receiver", "other", *(f"s{number}" for number in range(1, senders)))
    links = [Link(Port("l0", host), Port(host, "nic"), LINE_BPS) for host in near]
    links += [Link(Port("l1", host), Port(host, "nic"), LINE_BPS) for host in far]
    uplink = Port("l0", "up")
    topology = Topology(near + far, ("l0", "l1"), (*links, Link(uplink, Port("l1", "down"), LINE_BPS)))
    simulation = Simulation(topology, Parameters(dcqcn="off"), seed=1)
    set_pfc_everywhere(simulation, topology, Pfc(alpha=1 / 8))
    for source in ("a", *far[2:]):
        simulation.start_flow(source, "receiver", 1 << 30, 0, qp=1)
    simulation.start_flow("victim", "other", 1 << 30, 0, qp=1, priority=victim_priority)
    results = []
    for until in (500_000_000, 1_500_000_000):
        simulation.advance(until)
        results.append(
            (row(simulation, Port("victim", "nic"), victim_priority)["tx_bytes"], row(simulation, uplink)["paused_ps"])
        )
    (sent, paused), (sent_after, paused_after) = results
    return (sent_after - sent) * 8 / (LINE_BPS * 1e-3), (paused_after - paused) / 1e9


def set_pfc_everywhere(simulation: Simulation, topology: Topology, pfc: Pfc, priority: int = 3) -> None:
    """Set PFC at every switch port."""
    for link in topology.links:
        for end in (link.a, link.b):
            if end.node in topology.switches:
                simulation.set_pfc(end, priority, pfc)


def row(simulation: Simulation, port: Port, priority: int = 3) -> np.void:
    counters = simulation.counters()
    return counters[
        (counters["node"] == port.node) & (counters["interface"] == port.interface) & (counters["priority"] == priority)
    ][0]


def check_conservation(simulation: Simulation, topology: Topology) -> None:
    """Assert that what enters a switch leaves it, is dropped or waits, and that links deliver what they get."""
    counters = simulation.counters()
    numbers = [name for name in counters.dtype.names if name not in ("node", "interface", "priority")]
    assert all((counters[name] >= 0).all() for name in numbers)
    assert (counters["depth_bytes"] <= counters["peak_depth_bytes"]).all()
    for buffer in simulation.buffers():
        queues = counters[counters["node"] == buffer["node"]]
        waiting = queues["depth_bytes"].sum()
        dropped = queues["dropped_bytes"].sum() - queues["lost_on_wire_bytes"].sum()
        assert queues["rx_bytes"].sum() == queues["tx_bytes"].sum() + dropped + waiting
        assert buffer["used_bytes"] == waiting
        assert waiting <= buffer["peak_bytes"] <= buffer["size_bytes"]
    ports = {
        (queue["node"], queue["interface"]): counters[number : number + 8]
        for number, queue in enumerate(counters)
        if not queue["priority"]
    }
    for link in topology.links:
        for here, there in ((link.a, link.b), (link.b, link.a)):
            sent, arrived = ports[here.node, here.interface], ports[there.node, there.interface]
            on_the_wire = sent["tx_bytes"] - arrived["rx_bytes"] - sent["lost_on_wire_bytes"]
            assert on_the_wire.tolist() == bytes_on_wire(simulation, here)


def bytes_on_wire(simulation: Simulation, port: Port) -> list[int]:
    """Return the bytes on their way out of a port by priority, counted in the kernel's list of the wire."""
    found = [0] * PRIORITIES
    packet = simulation._port_rows[simulation._ports[port], kernel.WIRE_HEAD]
    while packet != kernel.NONE:
        row = simulation._packets[packet]
        found[row[kernel.FLAGS] & kernel.PRIORITY_MASK] += int(row[kernel.SIZE])
        packet = row[kernel.NEXT]
    return found


def digest(simulation: Simulation) -> str:
    """Return a hash of everything a simulation reports."""
    results = (simulation.completions(), simulation.counters(), simulation.buffers(), simulation.series())
    return hashlib.sha256(b"".join(result.tobytes() for result in results)).hexdigest()


def eventful_run(dcqcn: str, seed: int = 7) -> Simulation:
    """A small run in which everything happens: ECMP, WRED, CNPs, drops, NACKs, timeouts, parked queue pairs."""
    topology = clos(leaves=2, spines=2, hosts_per_leaf=3)
    parameters = Parameters(dcqcn=dcqcn, buffer_bytes=90_000, retransmit_timeout_ns=200_000, nack_gap_ns=50_000)
    simulation = Simulation(topology, parameters, seed)
    target = Port("leaf1", "host0")
    simulation.set_ecn(target, 3, Ecn(kmin_bytes=8_000, kmax_bytes=60_000, pmax=0.5))
    simulation.record_series([(target, 3), (Port("leaf0", "up1"), 3)], every_ps=PS_PER_US)
    for number, source in enumerate(("h0-0", "h0-1", "h0-2", "h1-1", "h1-2")):
        for qp in range(3):
            simulation.start_flow(source, "h1-0", 150_000 + 1000 * qp, number * 50_000, qp=qp)
    simulation.advance()
    return simulation


def fat_tree(k: int) -> Topology:
    """A 3-tier fat tree of switches with ``k`` ports: k^3 / 4 hosts ``h<number>``, all links at 400 Gb/s."""
    half = k // 2
    hosts, links = [], []
    for pod, number in itertools.product(range(k), range(half)):
        leaf = f"leaf{pod}-{number}"
        for port in range(half):
            hosts.append(f"h{len(hosts)}")
            links.append(Link(Port(leaf, f"host{port}"), Port(hosts[-1], "nic"), LINE_BPS))
            links.append(Link(Port(leaf, f"up{port}"), Port(f"agg{pod}-{port}", f"down{number}"), LINE_BPS))
            core = Port(f"core{number}-{port}", f"pod{pod}")
            links.append(Link(Port(f"agg{pod}-{number}", f"up{port}"), core, LINE_BPS))
    switches = dict.fromkeys(end.node for link in links for end in (link.a, link.b) if end.node not in set(hosts))
    return Topology(tuple(hosts), tuple(switches), tuple(links))


def permutation(topology: Topology, seed: int) -> list[tuple[str, str]]:
    """Return (sender, receiver) pairs: every host sends to one other and receives from one other."""
    order = np.random.default_rng(seed).permutation(len(topology.hosts))
    return [(topology.hosts[here], topology.hosts[there]) for here, there in zip(order, np.roll(order, 1), strict=True)]


def troubled_run(seed: int = 7) -> Simulation:
    """A small run with PFC, weights, queue limits, the watchdog, and every fault."""
    topology = clos(leaves=2, spines=2, hosts_per_leaf=3)
    parameters = Parameters(
        dcqcn="ns3-hpcc",
        buffer_bytes=1_500_000,
        retransmit_timeout_ns=200_000,
        link_detection_ns=10_000,
        convergence_ns=15_000,
    )
    simulation = Simulation(topology, parameters, seed)
    set_pfc_everywhere(simulation, topology, Pfc(xoff_bytes=30_000))
    set_pfc_everywhere(simulation, topology, Pfc(alpha=0.25, headroom_bytes=20_000, xon_offset_bytes=0), priority=1)
    target = Port("leaf1", "host0")
    simulation.set_scheduling(target, {1: 1, 3: 2})
    simulation.set_queue_limit(target, 0, 0.01)
    simulation.set_watchdog(target, PfcWatchdog(detection_ns=20_000, restoration_ns=10_000))
    simulation.set_watchdog(Port("leaf0", "up0"), PfcWatchdog(20_000, 10_000, "forward"))
    simulation.record_series([(target, 3), (Port("leaf0", "up1"), 3)], every_ps=PS_PER_US)
    for number, source in enumerate(("h0-0", "h0-1", "h0-2", "h1-1", "h1-2")):
        for priority in (0, 1, 3):
            simulation.start_flow(source, "h1-0", 150_000, number * 50_000, qp=priority, priority=priority)
    us = PS_PER_US
    simulation.inject(PauseStorm("h1-0", 3), 10 * us, 60 * us)
    simulation.inject(LinkDown(Port("leaf0", "up0")), 20 * us, 100 * us)
    simulation.inject(LossyLink(Port("leaf1", "up1"), 0.05), 30 * us, 200 * us)
    simulation.inject(SwitchReload("spine1"), 150 * us, 180 * us)
    simulation.inject(Detour("leaf0", "h1-0", Port("leaf0", "up1")), 5 * us, 250 * us)
    simulation.advance()
    return simulation
