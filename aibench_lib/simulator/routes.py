"""Equal-cost shortest paths: at every node, the set of ports that lead to a destination host."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

import networkx as nx
import numpy as np
import numpy.typing as npt

from aibench_lib.model import Port, Topology

NO_PORT = -1
_DESTINATION = -1


@dataclass(frozen=True)
class Routes:
    """Next-hop sets, shared by all (node, destination) pairs that use the same ports."""

    sets: npt.NDArray[np.int32]
    """Row of ``next_hops`` by (node, destination host); row 0 is the empty set: no route."""
    next_hops: npt.NDArray[np.int32]
    """A row per set: the number of ports, then the ports' indices, then :data:`NO_PORT`."""


def shortest_paths(topology: Topology, ports: Sequence[Port], down: Collection[Port] = ()) -> Routes:
    """Return the next-hop sets of all shortest paths; hosts forward nothing.

    Args:
        topology: The fabric; nodes are counted switches first, then hosts.
        ports: Both ends of every link, in the order in which they are counted: ``2 * i`` and ``2 * i + 1`` of link i.
        down: Ports that are out of use; a link is, if either end is.
    """
    numbers: dict[tuple[int, ...], int] = {(): 0}
    fabric = _Fabric(topology, ports, down, numbers)
    switches, hosts = len(topology.switches), len(topology.hosts)
    sets = np.zeros((switches + hosts, hosts), np.int32)
    columns: dict[tuple[int, ...], npt.NDArray[np.int32]] = {}
    for host in range(hosts):
        node = switches + host
        group = tuple(sorted(fabric.toward[node]))
        if group not in columns:
            columns[group] = fabric.column(group)
        sets[:, host] = columns[group]
        for neighbour in group:
            sets[neighbour, host] = numbers.setdefault(fabric.toward[node][neighbour], len(numbers))
    next_hops = np.full((len(numbers), 1 + max(1, *map(len, numbers))), NO_PORT, np.int32)
    for members, number in numbers.items():
        next_hops[number, : len(members) + 1] = (len(members), *members)
    return Routes(sets, next_hops)


class _Fabric:
    """The links in use, as a graph to search from a destination back to everyone who can reach it.

    A host that hangs on one switch is left out of the search: it has one way to go wherever that switch has one.
    """

    def __init__(
        self,
        topology: Topology,
        ports: Sequence[Port],
        down: Collection[Port],
        numbers: dict[tuple[int, ...], int],
    ) -> None:
        nodes = {name: index for index, name in enumerate((*topology.switches, *topology.hosts))}
        switches, dead = len(topology.switches), frozenset(down)
        towards: list[dict[int, list[int]]] = [{} for _ in nodes]
        for index, port in enumerate(ports):
            if port not in dead and ports[index ^ 1] not in dead:
                towards[nodes[ports[index ^ 1].node]].setdefault(nodes[port.node], []).append(index)
        self.toward = [{near: tuple(found) for near, found in by_near.items()} for by_near in towards]
        """By node: a neighbour's ports that lead there."""
        near = [next(iter(by_near)) if len(by_near) == 1 else switches for by_near in self.toward]
        self._leaves = np.array([node for node in range(switches, len(nodes)) if near[node] < switches], np.int64)
        """Hosts that hang on one switch."""
        self._stems = np.array([near[leaf] for leaf in self._leaves], np.int64)
        ways = [self.toward[near[leaf]][leaf] for leaf in self._leaves]
        self._ways = np.array([numbers.setdefault(way, len(numbers)) for way in ways], np.int32)
        left_out = set(self._leaves.tolist())
        self._backwards: nx.DiGraph[int] = nx.DiGraph()
        """From every switch to its neighbours; from a host to none, since it forwards nothing."""
        self._backwards.add_nodes_from(range(len(nodes)))
        for switch in range(switches):
            self._backwards.add_edges_from((switch, to) for to in self.toward[switch] if to not in left_out)
        self._numbers = numbers

    def column(self, group: Sequence[int]) -> npt.NDArray[np.int32]:
        """Return, by node, the number of the set of ports on shortest paths to the nodes of ``group``."""
        column = np.zeros(len(self.toward), np.int32)
        reached = np.zeros(len(self.toward), np.bool_)
        self._backwards.add_node(_DESTINATION)
        self._backwards.add_edges_from((_DESTINATION, node) for node in group)
        nearer = cast(dict[int, list[int]], nx.predecessor(self._backwards, _DESTINATION))
        self._backwards.remove_node(_DESTINATION)
        del nearer[_DESTINATION]
        reached[list(nearer)] = True
        for node, next_nodes in nearer.items():
            if next_nodes != [_DESTINATION]:
                hops = sorted(port for near in next_nodes for port in self.toward[near][node])
                column[node] = self._numbers.setdefault(tuple(hops), len(self._numbers))
        column[self._leaves] = np.where(reached[self._stems], self._ways, 0)
        return column
