"""How far PAUSE spread, and where ports waited for each other in a circle (Test 8.4).

Both follow from a graph of dependencies: its nodes are ports that send, and an edge leads from a port to one by which
the same traffic must leave the next node.  A port that has to pause waits for the ports behind its edges.
"""

import functools
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from aibench_lib.errors import TrialError
from aibench_lib.model import Port

Dependencies: TypeAlias = "nx.DiGraph[Port]"


@dataclass(frozen=True, kw_only=True)
class Standstill:
    """A time over which ports waited for each other in a circle and sent nothing."""

    begin_ns: int
    end_ns: int
    ports: frozenset[Port]
    """The ports that stood still all the time."""


def propagation_depth(dependencies: Dependencies, paused: Collection[Port]) -> int:
    """Return how many links PAUSE travelled upstream from where it came from [hops].

    That is the number of ports on the longest chain of ports that had to pause, each waiting for the next: 1 if only
    the neighbour of the congestion had to.  A circle counts each of its ports once.

    Draft: Section 8.4, which does not say from where to where hops are counted.

    Args:
        dependencies: Ports by which the traffic of the test leaves one node after the other.
        paused: The ports that received PAUSE, hosts' ports among them.
    """
    waiting = dependencies.subgraph(paused)
    if not waiting:
        return 0
    circles = nx.condensation(waiting)
    deepest: dict[int, int] = {}
    for group in nx.topological_sort(circles):
        above = max((deepest[before] for before in circles.predecessors(group)), default=0)
        deepest[group] = above + len(circles.nodes[group]["members"])
    return max(deepest.values())


def standstills(
    dependencies: Dependencies,
    ports: Sequence[Port],
    time_ns: ArrayLike,
    stopped: NDArray[np.bool_],
    *,
    at_least_ns: int,
) -> list[Standstill]:
    """Return when ports waited for each other in a circle, in order.

    The criterion for a deadlock as far as switches can show it: ports that received PAUSE and sent nothing from one
    sample to the next, for ``at_least_ns`` together, and wait for each other in a circle.

    Draft: Section 8.4, which gives no criterion.

    Args:
        dependencies: As for :func:`propagation_depth`.
        ports: The ports that were observed, ``m`` of them.
        time_ns: Times of the samples, rising, shape ``(n + 1,)``.
        stopped: Whether a port received PAUSE and sent nothing between two samples, shape ``(n, m)``.
        at_least_ns: Shorter ones are left out.

    Raises:
        TrialError: The shapes contradict each other.
    """
    time = np.asarray(time_ns, dtype=np.int64)
    if stopped.shape != (time.size - 1, len(ports)):
        raise TrialError(f"standstill: {stopped.shape} observations of {len(ports)} ports at {time.size} times")
    # What stands still seldom changes from sample to sample: each set of ports is looked at once.
    in_circles = functools.cache(lambda among: _in_circles(dependencies, among))
    rows = [frozenset(itertools.compress(ports, row)) for row in stopped.tolist()]
    found = []
    begin, standing = 0, frozenset[Port]()
    for row, now in enumerate((*rows, frozenset[Port]())):
        still = in_circles(standing & now)
        if standing and not still:
            if time[row] - time[begin] >= at_least_ns:
                found.append(Standstill(begin_ns=int(time[begin]), end_ns=int(time[row]), ports=standing))
            standing = frozenset()
        if standing:
            standing = still
        else:
            begin, standing = row, in_circles(now)
    return found


def _in_circles(dependencies: Dependencies, ports: frozenset[Port]) -> frozenset[Port]:
    """Return those of the ports that lie on a circle of ports waiting for each other."""
    if len(ports) < 2:
        return frozenset()
    groups = nx.strongly_connected_components(dependencies.subgraph(ports))
    return frozenset(port for group in groups if len(group) > 1 for port in group)
