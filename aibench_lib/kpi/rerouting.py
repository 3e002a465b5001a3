"""How long a link that fails disturbs the traffic, and how long the fabric takes to route around it."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aibench_lib.errors import UndefinedKpi

Times = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Disruption:
    """What a failure did to the flow that it hit worst."""

    flow: Hashable
    gap_ns: int
    """The longest time without a completion that a flow had at or after the failure [ns]."""
    usual_ns: int
    """The longest time without a completion that the same flow had before [ns]."""
    ended_ns: int
    """The completion that ended the gap; ``until_ns`` where there was none [ns]."""
    recovered: bool
    """Whether something was completed after the gap; otherwise the gap lasts until nobody looked any more."""

    @property
    def beyond_usual_ns(self) -> int:
        """By how much the gap is longer than what the flow had before; 0 if it is not [ns]."""
        return max(0, self.gap_ns - self.usual_ns)


def disruption(completed_ns: Mapping[Hashable, Times], failed_ns: int, until_ns: int) -> Disruption:
    """Return the gap in the completions of the flow that a failure hit worst.

    A failure hits the flows that are routed over the link, and no others: so each flow is looked at by itself, and what
    it does without a failure is taken from the time before.

    Args:
        completed_ns: Flow (a queue pair) -> when its messages were completed, shape ``(n,)``, in any order [ns].
        failed_ns: When the link went down [ns].
        until_ns: When nobody looked any more: the end of the trial, or when the link came back [ns].

    Raises:
        UndefinedKpi: No flow had two completions before the failure, so that nothing is known of what is usual, or the
            failure is not within the time that is looked at.
    """
    if failed_ns >= until_ns:
        raise UndefinedKpi(f"disruption: the link failed at {failed_ns} ns, after the end of what is known")
    worst: Disruption | None = None
    for flow, times in completed_ns.items():
        found = _of_flow(flow, np.sort(np.asarray(times, dtype=np.int64)), failed_ns, until_ns)
        if found and (worst is None or found.beyond_usual_ns > worst.beyond_usual_ns):
            worst = found
    if worst is None:
        raise UndefinedKpi("disruption: no flow had two completions before the link failed")
    return worst


def _of_flow(flow: Hashable, times: Times, failed_ns: int, until_ns: int) -> Disruption | None:
    """Return the longest gap of a flow, None where nothing is known of the time before the failure."""
    times = times[times <= until_ns]
    before = times[times < failed_ns]
    if before.size < 2:
        return None
    ends = np.append(times[times >= failed_ns], until_ns)
    gaps = np.diff(ends, prepend=before[-1])
    longest = int(np.argmax(gaps))
    return Disruption(
        flow=flow,
        gap_ns=int(gaps[longest]),
        usual_ns=int(np.diff(before).max()),
        ended_ns=int(ends[longest]),
        recovered=longest < gaps.size - 1,
    )


def convergence_ns(changed_ns: Times, failed_ns: int, until_ns: int, quiet_ns: int) -> int:
    """Return from a link's failure to the last change of a route that followed from it [ns].

    Args:
        changed_ns: When a switch of the fabric changed a route, shape ``(n,)``, in any order [ns].
        failed_ns: When the link went down [ns].
        until_ns: When nobody looked any more, or the link came back [ns].
        quiet_ns: So long no route must have changed for the fabric to count as converged [ns].

    Raises:
        UndefinedKpi: No route changed, or routes still did when nobody looked any more.
    """
    changed = np.asarray(changed_ns, dtype=np.int64)
    changed = np.sort(changed[(changed >= failed_ns) & (changed <= until_ns)])
    if not changed.size:
        raise UndefinedKpi("convergence: no route changed after the link failed")
    steps = np.diff(np.append(changed, until_ns))
    quiet = np.flatnonzero(steps >= quiet_ns)
    if not quiet.size:
        raise UndefinedKpi(f"convergence: no {quiet_ns} ns without a change of a route after the link failed")
    return int(changed[quiet[0]]) - failed_ns


def changes(sampled_ns: Times, counts: Times) -> Times:
    """Return the samples by whose time a counter of changes had grown [ns].

    A change lies between the sample before and this one: what is computed from these is late by up to one interval.

    Args:
        sampled_ns: Times of the samples of one switch, ascending, shape ``(n,)`` [ns].
        counts: The counter in each of them, shape ``(n,)``.
    """
    times = np.asarray(sampled_ns, dtype=np.int64)
    grown: NDArray[np.bool_] = np.diff(np.asarray(counts, dtype=np.int64)) > 0
    return times[1:][grown]
