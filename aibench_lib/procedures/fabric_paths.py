"""Which ways packets may take through a fabric: what the test procedures need to know of its links."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import networkx as nx

from aibench_lib.errors import SpecError
from aibench_lib.model import Link, Port, Topology


@dataclass(frozen=True, kw_only=True)
class Detour:
    """A destination host, and the ports by which switches send to it instead of on a shortest path."""

    destination: str
    ports: tuple[Port, ...]
    """In the order in which a packet passes them, one a switch; shortest paths lead on from there."""


def hosts_of(topology: Topology, switch: str) -> tuple[str, ...]:
    """Return the hosts on a switch, in the topology's order."""
    return tuple(host for host in topology.hosts if topology.attachment(host).node == switch)


def other_end(topology: Topology, port: Port) -> Port:
    """Return the port at the other end of a port's link.

    Raises:
        SpecError: No link ends at the port.
    """
    other = topology.neighbour(port)
    if other is None:
        raise SpecError(f"{port}: no link of the topology ends here")
    return other


def paths(topology: Topology, detours: Iterable[Detour], source: str, destination: str) -> list[tuple[Port, ...]]:
    """Return every path that packets may take from host to host, as the ports that send them, by following next hops.

    Raises:
        SpecError: A path closes on itself, or there is none.
    """
    static = {port.node: port for detour in detours if detour.destination == destination for port in detour.ports}
    next_hops = _next_hops(topology, destination)
    begin = other_end(topology, topology.attachment(source))
    return list(_follow(topology, static, next_hops, (begin,), destination))


def _follow(
    topology: Topology,
    static: Mapping[str, Port],
    next_hops: Mapping[str, tuple[Port, ...]],
    so_far: tuple[Port, ...],
    destination: str,
) -> Iterator[tuple[Port, ...]]:
    here = other_end(topology, so_far[-1]).node
    if here == destination:
        yield so_far
        return
    if here not in next_hops:
        raise SpecError(f"no path leads on from {here} to {destination}")
    if here in {port.node for port in so_far}:
        raise SpecError(f"traffic to {destination} comes back to {here}: {' > '.join(map(str, so_far))}")
    chosen = (static[here],) if here in static else next_hops[here]
    for port in chosen:
        yield from _follow(topology, static, next_hops, (*so_far, port), destination)


def _next_hops(topology: Topology, destination: str) -> dict[str, tuple[Port, ...]]:
    """Return, by switch, the ports on shortest paths to a host."""
    last = topology.attachment(destination)
    distance = nx.single_source_shortest_path_length(switch_graph(topology), last.node)
    found = {
        switch: tuple(
            port
            for near in topology.switches
            if distance.get(near) == steps - 1
            for port in links_between(topology, switch, near)
        )
        for switch, steps in distance.items()
    }
    return {**found, last.node: (last,)}


def switches_with_choices(topology: Topology, pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the switches that traffic meets which have more than one port on its shortest paths.

    Args:
        topology: The fabric.
        pairs: Sending and receiving hosts.

    Returns:
        In the topology's order.
    """
    choosing = set()
    for source, destination in pairs:
        met = {port.node for path in paths(topology, (), source, destination) for port in path}
        choosing |= {switch for switch, ports in _next_hops(topology, destination).items() if len(ports) > 1} & met
    return tuple(switch for switch in topology.switches if switch in choosing)


@functools.cache
def switch_graph(topology: Topology) -> "nx.Graph[str]":
    """Return the switches as nodes, an edge wherever a link joins two."""
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(topology.switches)
    graph.add_edges_from((link.a.node, link.b.node) for link in fabric_links(topology))
    return graph


def fabric_links(topology: Topology) -> tuple[Link, ...]:
    """Return the links between switches."""
    switches = set(topology.switches)
    return tuple(link for link in topology.links if {link.a.node, link.b.node} <= switches)


@functools.cache
def links_between(topology: Topology, here: str, there: str) -> tuple[Port, ...]:
    """Return the ports of one node that lead to another."""
    ends = itertools.chain.from_iterable(((link.a, link.b), (link.b, link.a)) for link in topology.links)
    return tuple(near for near, far in ends if (near.node, far.node) == (here, there))
