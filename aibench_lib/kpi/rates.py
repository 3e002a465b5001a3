"""Rates over time from the samples of transfers, as the endpoints saw them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aibench_lib.errors import TrialError


def service_start_ns(queue_pair: ArrayLike, posted_ns: ArrayLike, completed_ns: ArrayLike) -> NDArray[np.int64]:
    """Return when the transport turned to each transfer: at its posting, or when the one before it was complete [ns].

    A queue pair sends its transfers one after the other, in the order of their posting.

    Args:
        queue_pair: A number for each transfer's sending host, peer and queue pair, shape ``(n,)``.
        posted_ns: When each transfer was posted, same shape.
        completed_ns: When it was complete at the sender, same shape.

    Raises:
        TrialError: A transfer completed before it was posted.
    """
    pair = np.asarray(queue_pair, dtype=np.int64)
    posted = np.asarray(posted_ns, dtype=np.int64)
    completed = np.asarray(completed_ns, dtype=np.int64)
    if (completed < posted).any():
        raise TrialError("a transfer completed before it was posted; check the host's clock")
    order = np.lexsort((completed, posted, pair))
    begun = posted[order].copy()
    follows = pair[order][1:] == pair[order][:-1]
    begun[1:][follows] = np.maximum(begun[1:][follows], completed[order][:-1][follows])
    start = np.empty_like(begun)
    start[order] = begun
    return np.minimum(start, completed)


def delivered_rate(
    start_ns: ArrayLike, completed_ns: ArrayLike, size_bytes: ArrayLike, edges_ns: ArrayLike
) -> NDArray[np.float64]:
    """Return the payload rate in each window between two edges [GB/s], shape ``(n_edges - 1,)``.

    The bytes of a transfer count evenly from its start to its completion; so a window that is not much longer than a
    transfer shows no steps of whole transfers.

    Args:
        start_ns: When each transfer began to be sent, shape ``(n,)``.
        completed_ns: When it was complete, same shape.
        size_bytes: Its payload, same shape.
        edges_ns: Rising edges of the windows, at least two.
    """
    start = np.asarray(start_ns, dtype=np.int64)
    edges = np.asarray(edges_ns, dtype=np.int64)
    length = np.maximum(np.asarray(completed_ns, dtype=np.int64) - start, 1)
    size = np.asarray(size_bytes, dtype=np.int64)
    delivered = [float((size * np.clip((edge - start) / length, 0.0, 1.0)).sum()) for edge in edges]
    # Bytes per nanosecond are decimal gigabytes per second.
    return np.asarray(np.diff(delivered) / np.diff(edges), dtype=np.float64)
