"""Whether to wait awake: it halves a round trip where a core is free for it, and costs one where none is."""

import time

_AWAKE_NS = 40_000
"""Longer than a round trip in one rack takes."""
_TRUST = 32
_DISTRUST = 8
_PAUSE = 500
"""Waits that are slept through after waiting awake was in vain, before it is tried again."""


class Patience:
    """Learns from what became of the last waits."""

    def __init__(self) -> None:
        self._trust = _TRUST
        self._pause = 0

    def awake_until_ns(self) -> int:
        """Return until when to ask again and again [ns of the monotonic clock]; 0: not at all."""
        if self._pause:
            self._pause -= 1
            return 0
        return time.monotonic_ns() + _AWAKE_NS

    def learn(self, came: bool) -> None:
        """Take note whether something came while one waited awake."""
        if came:
            self._trust = min(self._trust + 1, _TRUST)
            return
        self._trust -= _DISTRUST
        if self._trust < 0:
            self._trust = 0
            self._pause = _PAUSE
