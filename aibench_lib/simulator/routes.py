"""Equal-cost shortest paths: at every node, the set of ports that lead to a destination host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aibench_lib.model import Port, Topology


@dataclass(frozen=True)
class Routes:
    """Next-hop sets, shared by all (node, destination) pairs that use the same ports."""

    sets: npt.NDArray[np.int32]
    """Row of ``next_hops`` by (node, destination host); row 0 is the empty set: no route."""
    next_hops: npt.NDArray[np.int32]
    """A row per set: the number of ports, then the ports' indices."""


def shortest_paths(topology: Topology, ports: Sequence[Port]) -> Routes:
    """Return the next-hop sets of all shortest paths; hosts forward nothing.

    Args:
        topology: The fabric; nodes are counted switches first, then hosts.
        ports: Both ends of every link, in the order in which they are counted: ``2 * i`` and ``2 * i + 1`` of link i.
    """
    nodes = {name: index for index, name in enumerate((*topology.switches, *topology.hosts))}
    switches = len(topology.switches)
    towards: list[list[tuple[int, int]]] = [[] for _ in nodes]
    """By node: (neighbour, the port of the neighbour that leads here)."""
    for index, port in enumerate(ports):
        towards[nodes[port.node]].append((nodes[ports[index ^ 1].node], index ^ 1))

    numbers: dict[tuple[int, ...], int] = {(): 0}
    sets = np.zeros((len(nodes), len(topology.hosts)), np.int32)
    columns: dict[tuple[int, ...], npt.NDArray[np.int32]] = {}
    for host in range(len(topology.hosts)):
        last_hops: dict[int, list[int]] = {}
        for neighbour, port_index in towards[switches + host]:
            last_hops.setdefault(neighbour, []).append(port_index)
        group = tuple(sorted(last_hops))
        if group not in columns:
            hops = _hops_towards(group, towards, switches)
            columns[group] = np.array([_number(numbers, hops.get(node, ())) for node in range(len(nodes))], np.int32)
        sets[:, host] = columns[group]
        for node, port_indices in last_hops.items():
            sets[node, host] = _number(numbers, port_indices)
    next_hops = np.zeros((len(numbers), 1 + max(map(len, numbers))), np.int32)
    for members, number in numbers.items():
        next_hops[number, : len(members) + 1] = (len(members), *members)
    return Routes(sets, next_hops)


def _hops_towards(
    group: Sequence[int], towards: Sequence[Sequence[tuple[int, int]]], switches: int
) -> Mapping[int, Sequence[int]]:
    """Return, by node, the ports on shortest paths to the nodes of ``group``, found breadth first."""
    hops: dict[int, list[int]] = {}
    frontier, reached = list(group), set(group)
    while frontier:
        found: dict[int, list[int]] = {}
        for node in frontier:
            if node >= switches:
                continue
            for neighbour, port_index in towards[node]:
                if neighbour not in reached:
                    found.setdefault(neighbour, []).append(port_index)
        hops |= found
        reached |= found.keys()
        frontier = list(found)
    return hops


def _number(numbers: dict[tuple[int, ...], int], ports: Sequence[int]) -> int:
    return numbers.setdefault(tuple(sorted(ports)), len(numbers))
