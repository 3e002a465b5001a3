"""What the device's status numbers mean, and what to do about them."""

import resource

from aibench_lib.worker.transports import rows
from aibench_lib.worker.transports.transport import TransportError

FLUSHED = 5
"""Of work that a queue pair in the state ERR throws away."""
_STATUSES = {
    4: rows.LOCAL_PROTECTION,
    FLUSHED: rows.FLUSHED,
    10: rows.REMOTE_ACCESS,
    12: rows.RETRIES,
    13: rows.NOT_READY,
}
"""``ibv_wc_status`` -> a row's status; these numbers are part of libibverbs' interface."""
_MEANINGS = {
    1: "a message was longer than the receive that was posted for it",
    4: "local memory is not registered for this",
    FLUSHED: "the queue pair had failed before",
    9: "the peer took the request for an invalid one",
    10: "the peer's memory is not registered for this",
    11: "the peer could not do it",
    12: "the peer does not answer: look at the path, both MTUs, and whether both GIDs are RoCE v2 in one network",
    13: "the peer never posted receives: look whether its agent still runs",
}


def row_status(status: int) -> int:
    """Return the status of a row whose work completed with an ``ibv_wc_status``."""
    return _STATUSES.get(status, rows.OTHER) if status else rows.OK


def failure(name: str, status: int) -> TransportError:
    """Return the error of a queue pair that failed where no row says so.

    Args:
        name: Of the queue pair, for the message.
        status: ``ibv_wc_status``.
    """
    meaning = _MEANINGS.get(status, "see ibv_wc_status in libibverbs")
    return TransportError(f"queue pair {name} failed with completion status {status}: {meaning}")


def registration(size_bytes: int, error: Exception) -> TransportError:
    """Return the error of memory that cannot be registered, with the limit that is the usual reason."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if limit == resource.RLIM_INFINITY:
        return TransportError(f"cannot register {size_bytes} bytes with the RDMA device: {error}")
    return TransportError(
        f"cannot register {size_bytes} bytes with the RDMA device; this process may lock {limit} bytes of memory: "
        f"set LimitMEMLOCK=infinity in the agent's unit, or `ulimit -l unlimited` before it starts ({error})"
    )
