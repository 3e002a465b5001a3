"""When an endpoint had something outstanding and saw no progress (Test 8.4)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aibench_lib.errors import TrialError


@dataclass(frozen=True, kw_only=True)
class Stall:
    """A time in which at least one transfer was outstanding and none completed."""

    begin_ns: int
    """The later of the completion before it and the posting of what was then outstanding [ns]."""
    end_ns: int
    """The completion that ended it, or the end of the trial [ns]."""
    recovered: bool
    """Whether a completion ended it."""

    @property
    def duration_ns(self) -> int:
        """How long it was [ns]."""
        return self.end_ns - self.begin_ns


def stalls(posted_ns: ArrayLike, completed_ns: ArrayLike, end_ns: int, at_least_ns: int = 0) -> list[Stall]:
    """Return the times without progress on one path, in order.

    Draft: Section 8.4 (zero-throughput duration), which says neither where it is observed nor what counts as progress.
    Here it is observed at the sender, and a completion is progress.

    Args:
        posted_ns: When each transfer was posted, shape ``(n,)``.
        completed_ns: When each was complete, same shape; negative where it was not by the end of the trial.
        end_ns: End of the trial.
        at_least_ns: Shorter ones are left out.

    Raises:
        TrialError: A transfer was complete before it was posted.
    """
    begin, ended, finished = _waits(posted_ns, completed_ns, end_ns)
    chosen = np.flatnonzero(ended - begin >= max(at_least_ns, 1))
    return [Stall(begin_ns=int(begin[i]), end_ns=int(ended[i]), recovered=bool(finished[i])) for i in chosen]


def longest_stall_ns(posted_ns: ArrayLike, completed_ns: ArrayLike, end_ns: int) -> int:
    """Return the length of the longest stall of one path, 0 if nothing was posted; arguments as for :func:`stalls`.

    Draft: Section 8.4 (maximum zero-throughput duration).

    Raises:
        TrialError: A transfer was complete before it was posted.
    """
    begin, ended, _ = _waits(posted_ns, completed_ns, end_ns)
    return int((ended - begin).max(initial=0))


def _waits(
    posted_ns: ArrayLike, completed_ns: ArrayLike, end_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return begin and end of the wait for each completion in order of time, and whether there was one."""
    posted = np.asarray(posted_ns, dtype=np.int64)
    completed = np.asarray(completed_ns, dtype=np.int64)
    finished = completed >= 0
    if (completed < posted)[finished].any():
        raise TrialError("zero throughput: a transfer was complete before it was posted")
    ended = np.where(finished, completed, end_ns)
    order = np.argsort(ended, kind="stable")
    ended, posted, finished = ended[order], posted[order], finished[order]
    # At any time, what completes later is outstanding from the earliest of their postings on.
    outstanding_since = np.minimum.accumulate(posted[::-1])[::-1]
    before = np.concatenate(([np.iinfo(np.int64).min], ended[:-1]))
    return np.maximum(before, outstanding_since), ended, finished
