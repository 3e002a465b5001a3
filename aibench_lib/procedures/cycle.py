"""Where a fabric can be made to wait for itself: a circle of buffer dependencies, closed by detours (Test 8.4).

On shortest paths, traffic of a Clos fabric goes up and then down, and no port ever waits for itself.  Two destinations
that are routed down, up and down again change that, though each of their paths is free of loops::

    host - first ----> low ----> second ----> high ----> exit - destination of the first detour
    host - second ---> high ---> first -----> low -----> exit - destination of the second detour

Each of the ports first > low > second > high > first then waits for the one after it.
"""

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import networkx as nx

from aibench_lib.errors import NotAttainable
from aibench_lib.kpi.pause_propagation import Dependencies
from aibench_lib.model import Port, Topology
from aibench_lib.procedures.fabric_paths import Detour, hosts_of, links_between, paths, switch_graph
from aibench_lib.procedures.procedure import Fabric


@dataclass(frozen=True, kw_only=True)
class BufferCycle:
    """A circle of buffer dependencies and what closes it."""

    detours: tuple[Detour, Detour]
    ports: tuple[Port, ...]
    """The circle: each of these ports waits for the next, the last for the first."""
    leaves: tuple[str, str, str]
    """The first and the second switch, whose hosts feed the circle, and the one with the detours' destinations."""


@functools.cache
def find_cycle(topology: Topology, senders: tuple[str, ...], receivers: tuple[str, ...]) -> BufferCycle:
    """Return a circle of buffer dependencies of a fabric and the detours that close it.

    Draft: Section 8.4 wants a "circular buffer dependency across multiple switches" and leaves the rest to a companion.

    Args:
        topology: The fabric.
        senders: Hosts that may feed the circle.
        receivers: Hosts that may be the destination of a detour, the preferred ones first.

    Raises:
        NotAttainable: The fabric has none of this kind; the message says why.
    """
    leaves = [switch for switch in topology.switches if hosts_of(topology, switch)]
    if len(leaves) < 3:
        raise NotAttainable(
            f"a circular buffer dependency needs three leaf switches with hosts; this fabric has {len(leaves)}, and so "
            "its ports cannot wait for each other in a circle"
        )
    feeding = {topology.attachment(host).node for host in senders}
    fabric = switch_graph(topology)
    for first, second, exit_ in itertools.permutations(leaves, 3):
        shared = [spine for spine in topology.switches if {first, second, exit_} <= set(fabric[spine])]
        destinations = [host for host in receivers if topology.attachment(host).node == exit_]
        if {first, second} <= feeding and len(shared) >= 2 and len(destinations) >= 2:
            return _closed(topology, (first, second, exit_), (shared[0], shared[1]), (destinations[0], destinations[1]))
    raise NotAttainable(
        "a circular buffer dependency needs three leaf switches that share two spines, two of them with workers that "
        "send and one with two decode workers; this fabric has none"
    )


def _closed(
    topology: Topology, leaves: tuple[str, str, str], spines: tuple[str, str], destinations: tuple[str, str]
) -> BufferCycle:
    first, second, _ = leaves
    low, high = spines
    one = Detour(destination=destinations[0], ports=_ports(topology, (first, low, second, high)))
    other = Detour(destination=destinations[1], ports=_ports(topology, (second, high, first, low)))
    detours = (one, other)
    pairs = [(hosts_of(topology, first)[0], one.destination), (hosts_of(topology, second)[0], other.destination)]
    circle = nx.find_cycle(dependencies(topology, detours, pairs))
    return BufferCycle(detours=detours, ports=tuple(edge[0] for edge in circle), leaves=leaves)


def _ports(topology: Topology, nodes: tuple[str, ...]) -> tuple[Port, ...]:
    return tuple(links_between(topology, here, there)[0] for here, there in itertools.pairwise(nodes))


def dependencies(topology: Topology, detours: Iterable[Detour], pairs: Iterable[tuple[str, str]]) -> Dependencies:
    """Return which port waits for which, when hosts send to hosts.

    Draft: Section 8.4.

    Args:
        topology: The fabric.
        detours: Static routes, which win over shortest paths.
        pairs: Sending and receiving hosts.

    Raises:
        SpecError: A path closes on itself, or there is none.
    """
    graph: Dependencies = nx.DiGraph()
    known = tuple(detours)
    for source, destination in pairs:
        for path in paths(topology, known, source, destination):
            nx.add_path(graph, path)
    return graph


def cycle_of(fabric: Fabric) -> BufferCycle:
    """Return the circle of a lab's fabric, fed by prefill workers where there are enough, else by any workers.

    Raises:
        NotAttainable: As for :func:`find_cycle`.
    """
    prefill, decode = (tuple(fabric.pools[pool]) for pool in ("prefill", "decode"))
    try:
        return find_cycle(fabric.topology, prefill, decode)
    except NotAttainable:
        return find_cycle(fabric.topology, (*prefill, *decode), decode)


def feeding_pairs(fabric: Fabric, cycle: BufferCycle, senders: int) -> list[tuple[str, str]]:
    """Return who sends to the detours' destinations: the first workers of the leaf where the detour begins.

    Args:
        fabric: The lab's.
        cycle: Its circle.
        senders: How many workers of each leaf send, if there are so many.
    """
    workers = [host for pool in ("prefill", "decode") for host in fabric.pools[pool]]
    return [
        (source, detour.destination)
        for detour, leaf in zip(cycle.detours, cycle.leaves, strict=False)
        for source in [host for host in workers if fabric.topology.attachment(host).node == leaf][:senders]
    ]


def passing_pairs(fabric: Fabric, cycle: BufferCycle) -> list[tuple[str, str]]:
    """Return one pair of workers for each way from leaf to leaf: equal-cost paths of each use a port of the circle."""
    workers = {host for pool in ("prefill", "decode") for host in fabric.pools[pool]}
    last = [[host for host in hosts_of(fabric.topology, leaf) if host in workers][-1] for leaf in cycle.leaves]
    return list(itertools.permutations(last, 2))
