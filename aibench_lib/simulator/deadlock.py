"""Who waits for whom among paused queues: cycles, what they hold up for good, and how far a pause reaches.

A paused egress queue waits for the switch behind its link to drain what came in over that link; that waits in egress
queues of that switch, which may be paused themselves. A deadlock is a cycle of such waits: a circular buffer dependency
in which every buffer is full.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import networkx as nx

from aibench_lib.model import Port

Queue = tuple[Port, int]
"""An egress queue: port and priority."""


@dataclass(frozen=True, kw_only=True)
class PausedQueue:
    """An egress queue that its neighbour's PAUSE keeps from sending.

    Draft: Section 8.4.
    """

    port: Port
    priority: int
    since_ps: int
    """When the pause took effect [ps]."""
    depth_bytes: int
    """What waits in it [B]."""
    paused_by: Port
    """The other end of the link."""
    resume_bytes: int | None
    """The neighbour resumes it when no more than this of what it sent waits there [B]; None: when it likes, for it is a
    host."""
    waits_for: Mapping[Queue, int] = field(default_factory=dict)
    """What it sent and where that waits: bytes by egress queue of the neighbour."""

    @property
    def queue(self) -> Queue:
        """The queue's name."""
        return self.port, self.priority


def wait_for_graph(paused: Collection[PausedQueue]) -> "nx.DiGraph[Queue]":
    """Return the graph of paused queues, with an edge to each paused queue that one waits for."""
    graph: nx.DiGraph[Queue] = nx.DiGraph()
    graph.add_nodes_from(queue.queue for queue in paused)
    graph.add_edges_from(
        (queue.queue, other)
        for queue in paused
        for other, waiting in queue.waits_for.items()
        if waiting and other in graph
    )
    return graph


def cycles(paused: Collection[PausedQueue]) -> tuple[frozenset[Queue], ...]:
    """Return the strongly connected components of the wait-for graph that hold a cycle; one alone may still resolve."""
    graph = wait_for_graph(paused)
    components = (frozenset(component) for component in nx.strongly_connected_components(graph))
    return tuple(part for part in components if len(part) > 1 or any(graph.has_edge(queue, queue) for queue in part))


def zero_throughput(paused: Collection[PausedQueue], storms: bool = True) -> frozenset[Queue]:
    """Return the queues with packets that will never send again, if nothing but the paused queues' waits stops them.

    That is what is left when every queue is taken out, again and again, that the others let go: no more of what it sent
    waits in queues that are left than its neighbour resumes it at.

    Args:
        paused: All paused queues at one instant.
        storms: Whether a pause by a host is taken to last; without, only deadlocks are left.
    """
    left = {queue.queue: queue for queue in paused if queue.depth_bytes}
    if not storms:
        left = {name: queue for name, queue in left.items() if queue.resume_bytes is not None}
    while True:
        freed = [
            name
            for name, queue in left.items()
            if queue.resume_bytes is not None
            and sum(waiting for other, waiting in queue.waits_for.items() if other in left) <= queue.resume_bytes
        ]
        if not freed:
            return frozenset(left)
        for name in freed:
            del left[name]


def deadlocked(paused: Collection[PausedQueue]) -> frozenset[Queue]:
    """Return the queues of cycles that will never resolve.

    Draft: Section 8.4.
    """
    stuck = zero_throughput(paused, storms=False)
    return frozenset().union(*cycles([queue for queue in paused if queue.queue in stuck]))


def pause_depth(paused: Collection[PausedQueue]) -> int:
    """Return how many links in a row a pause has spread over [hops]: 1 where only its origin's neighbour is paused.

    A cycle counts each of its queues once.

    Draft: Section 8.4.
    """
    graph = wait_for_graph(paused)
    condensed = nx.condensation(graph)
    depth: dict[int, int] = {}
    for part in reversed(list(nx.topological_sort(condensed))):
        beyond = max((depth[other] for other in condensed.successors(part)), default=0)
        depth[part] = beyond + len(condensed.nodes[part]["members"])
    return max(depth.values(), default=0)
