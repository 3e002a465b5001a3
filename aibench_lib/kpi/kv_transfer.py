"""Table 4: rate and latency of KV cache transfers, from the samples of streams."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aibench_lib.errors import TrialError, UndefinedKpi
from aibench_lib.kpi.rates import service_start_ns
from aibench_lib.units import NS_PER_US


@dataclass(frozen=True, kw_only=True)
class Bandwidth:
    """The rates of queue pairs that send at the same time."""

    rates: NDArray[np.float64]
    """By queue pair, in the order of their numbers [GB/s]."""
    steady: bool
    """Whether they are of the steady part; else of the whole trial, with its begin and its end."""

    @property
    def total(self) -> float:
        """Of all queue pairs together [GB/s]."""
        return float(self.rates.sum())


def sustained_bandwidth(
    queue_pair: ArrayLike,
    size_bytes: ArrayLike,
    posted_ns: ArrayLike,
    completed_ns: ArrayLike,
    *,
    last_post_ns: int,
    queue_pairs: int,
) -> Bandwidth:
    """Return the rates of queue pairs that send without a pause.

    The steady part is from the time when each queue pair has completed something until nothing is posted any more, the
    same for all, so that what one loses and another wins is counted once.  The bytes of a completion count evenly from
    the one before it on its queue pair, or its posting, to itself.  Where the steady part is less than half of the time
    in which was posted, as messages are large, all are taken over the whole trial, from the first posting to the last
    completion of any: that includes the begin and the end, and is too low rather than too high.

    Draft: Section 5.1, and Table 4 (KV_xfer_bandwidth).

    Args:
        queue_pair: The queue pair of each completion, as any number, shape ``(n,)``.
        size_bytes: Payload of the messages that the completion stands for, same shape.
        posted_ns: When the first of these was posted, same shape.
        completed_ns: When the last of these was complete, same shape.
        last_post_ns: Nothing is posted later.
        queue_pairs: How many there are.

    Raises:
        UndefinedKpi: A queue pair has completed nothing.
        TrialError: A completion came before its posting.
    """
    posted = np.asarray(posted_ns, dtype=np.int64)
    completed = np.asarray(completed_ns, dtype=np.int64)
    size = np.asarray(size_bytes, dtype=np.int64)
    numbers, place = np.unique(np.asarray(queue_pair, dtype=np.int64), return_inverse=True)
    if len(numbers) < queue_pairs:
        raise UndefinedKpi(f"KV_xfer_bandwidth: {queue_pairs - len(numbers)} queue pairs completed no message")
    first = np.full(len(numbers), np.iinfo(np.int64).max)
    np.minimum.at(first, place, completed)
    begin_ns, first_post_ns, last_ns = int(first.max()), int(posted.min()), int(completed.max())
    if 2 * (last_post_ns - begin_ns) >= last_post_ns - first_post_ns and begin_ns < last_post_ns:
        start = service_start_ns(place, posted, completed)
        took = np.maximum(completed - start, 1)
        within = np.minimum(completed, last_post_ns) - np.maximum(start, begin_ns)
        delivered = np.bincount(place, weights=size * np.clip(within / took, 0.0, 1.0))
        return Bandwidth(rates=delivered / (last_post_ns - begin_ns), steady=True)  # bytes per ns are GB/s
    if last_ns <= first_post_ns:
        raise UndefinedKpi("KV_xfer_bandwidth: no time passed between the first posting and the last completion")
    return Bandwidth(rates=np.bincount(place, weights=size) / (last_ns - first_post_ns), steady=False)


def kv_xfer_latency(posted_ns: ArrayLike, signalled_ns: ArrayLike) -> NDArray[np.float64]:
    """Return each transfer's latency, from its posting to the signal of its completion [us].

    Draft: Section 5.2, and Table 4 (KV_xfer_latency).

    Args:
        posted_ns: When each transfer was posted, shape ``(n,)``.
        signalled_ns: When its completion was signalled, on a clock that agrees with the first, same shape.

    Raises:
        TrialError: A signal came before its transfer was posted.
    """
    took = np.asarray(signalled_ns, dtype=np.int64) - np.asarray(posted_ns, dtype=np.int64)
    if (took < 0).any():
        raise TrialError("KV_xfer_latency: a transfer was signalled before it was posted; check the hosts' clocks")
    return np.asarray(took / NS_PER_US, dtype=np.float64)
