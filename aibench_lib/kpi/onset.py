"""When a switch began to mark, and how deep the queue was then (Test 8.1)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aibench_lib.errors import TrialError, UndefinedKpi


@dataclass(frozen=True, kw_only=True)
class MarkingOnset:
    """The first sample that shows a mark; marking began at most ``resolution_ns`` before it."""

    after_start_ns: int
    """From the start of the trial to the sample."""
    queue_depth_bytes: int
    """Queue depth in that sample."""
    resolution_ns: int
    """Resolution of the sampling."""


def marking_onset(
    time_ns: ArrayLike,
    marked_packets: ArrayLike,
    depth_bytes: ArrayLike,
    *,
    start_ns: int,
    interval_ns: int | None = None,
) -> MarkingOnset:
    """Return when the counter of marked packets first grew after the start of the trial.

    Draft: Section 8.1, which does not define onset.

    Args:
        time_ns: Time of each sample on the lab's clock, rising, shape ``(n,)``.
        marked_packets: The egress queue's counter of marked packets, same shape.
        depth_bytes: Depth of that queue, same shape.
        start_ns: The trial's T0.
        interval_ns: Sampling interval of a subscription that leaves out samples in which nothing changed; None where
            every sample is there.

    Raises:
        UndefinedKpi: The counter did not grow, or there is no sample at or before T0 to compare with.
        TrialError: Time or the counter went backwards.
    """
    time = np.asarray(time_ns, dtype=np.int64)
    marked = np.asarray(marked_packets, dtype=np.int64)
    depth = np.asarray(depth_bytes, dtype=np.int64)
    if not time.size == marked.size == depth.size:
        raise TrialError(f"a sample is torn: {time.size} times, {marked.size} counters, {depth.size} depths")
    baseline = int(np.searchsorted(time, start_ns, side="right")) - 1
    if baseline < 0:
        raise UndefinedKpi("onset of marking: no sample at or before the start of the trial to compare with")
    steps = np.diff(time[baseline:])
    growth = np.diff(marked[baseline:])
    if (steps <= 0).any() or (growth < 0).any():
        raise TrialError("onset of marking: the counter of marked packets or its clock went backwards in the trial")
    grown = np.flatnonzero(growth)
    if grown.size == 0:
        raise UndefinedKpi("onset of marking: no packet was marked")
    first = baseline + 1 + int(grown[0])
    gap = int(time[first] - time[first - 1])
    return MarkingOnset(
        after_start_ns=int(time[first]) - start_ns,
        queue_depth_bytes=int(depth[first]),
        resolution_ns=gap if interval_ns is None else min(gap, interval_ns),
    )
