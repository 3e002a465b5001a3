"""The clock that transports stamp with: the host's real time as a trial begins, counted on monotonically.

So a correction of the host's clock within a trial does not tear the trial's times apart.
"""

import time

_TRIES = 16


def _offset_ns() -> int:
    """Return real time less monotonic time, from the pair of readings that lie closest together [ns]."""
    readings = []
    for _ in range(_TRIES):
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        readings.append((after - before, real - (before + after) // 2))
    return min(readings)[1]


_offset = _offset_ns()


def now_ns() -> int:
    """Return the time [ns since the epoch]."""
    return time.monotonic_ns() + _offset


def synchronise() -> None:
    """Take the host's real time anew; called once when a process begins a trial."""
    global _offset
    _offset = _offset_ns()
