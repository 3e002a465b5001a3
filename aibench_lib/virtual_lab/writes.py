"""What clients have asked the simulated switches to change."""

import threading
from collections.abc import Callable


class Writes:
    """A log of every configuration write that was accepted or attempted, in order; safe to read from any thread.

    Args:
        written: Called after each entry, before the write takes effect.
    """

    def __init__(self, written: Callable[[], None] = lambda: None) -> None:
        self._written = written
        self._lock = threading.Lock()
        self._entries: list[tuple[str, str]] = []

    def add(self, node: str, what: str) -> None:
        """Note one write."""
        with self._lock:
            self._entries.append((node, what))
        self._written()

    def all(self) -> list[tuple[str, str]]:
        """Return pairs of node and what was written."""
        with self._lock:
            return list(self._entries)
