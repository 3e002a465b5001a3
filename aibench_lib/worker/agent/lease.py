"""How long an agent lives by itself: a stated time after the last call, and as long as a call is open."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aibench_lib.units import NS_PER_SECOND


class Lease:
    """Counts the calls that are open, and the time since the last one; any thread may use it.

    Args:
        seconds: How long the agent lives without a call [s].
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._open = 0
        self._last = time.monotonic()

    @property
    def length_ns(self) -> int:
        """How long the agent lives without a call [ns]."""
        return int(self._seconds * NS_PER_SECOND)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Hold the lease while a call is open; it begins anew when the call ends."""
        with self._lock:
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
                self._last = time.monotonic()

    def left_seconds(self) -> float:
        """Return how long the agent may still live [s]; 0 or less: it must end."""
        with self._lock:
            return self._seconds if self._open else self._last + self._seconds - time.monotonic()
