"""What messages consist of: a pattern that follows from the trial's seed, the queue pair and the message's number.

One short pattern serves all messages, since a buffer that stays in the processor's cache is sent faster than a long
one; each message begins elsewhere in it.
"""

import hashlib

PERIOD_BYTES = 63 * 512
"""No power of two: bytes that were moved by a page, or by any power of two, differ."""
_STEP_BYTES = 8
_STEPS = PERIOD_BYTES // _STEP_BYTES
_STRIDE = 12347
"""Steps from a message's beginning to that of the next; without common divisor with the steps there are."""

Parts = list[bytes | memoryview]


class Payload:
    """The pattern of a trial.

    Args:
        seed: The trial's.
    """

    def __init__(self, seed: int) -> None:
        self._pattern = memoryview(hashlib.shake_128(b"%d" % seed).digest(PERIOD_BYTES))
        self._bodies: dict[int, Parts] = {}

    def begin(self, key: int | None, sequence: int) -> int:
        """Return where a message begins in the pattern.

        Args:
            key: Of the queue pair, from :func:`key_of`; None: nobody compares its messages, so all begin at the same
                place, which takes no time to find.
            sequence: The message's number.
        """
        return 0 if key is None else (key + sequence * _STRIDE) % _STEPS * _STEP_BYTES

    def body(self, key: int | None, sequence: int, size_bytes: int) -> Parts:
        """Return a message's payload as slices of the pattern; the list is not to be changed."""
        if key is not None:
            return self.slices(self.begin(key, sequence), size_bytes)
        if size_bytes not in self._bodies:
            self._bodies[size_bytes] = self.slices(0, size_bytes)
        return self._bodies[size_bytes]

    def slices(self, place: int, count: int) -> Parts:
        """Return the ``count`` bytes from a place on as slices of the pattern."""
        pattern = self._pattern
        place %= PERIOD_BYTES
        if place + count <= PERIOD_BYTES:
            return [pattern[place : place + count]]
        head, count = pattern[place:], count - (PERIOD_BYTES - place)
        whole, rest = divmod(count, PERIOD_BYTES)
        return [head, *[pattern] * whole, *([pattern[:rest]] if rest else [])]

    def differs(self, received: bytearray, start: int, count: int, place: int) -> bool:
        """Return whether ``count`` received bytes are other than those of the pattern from a place on."""
        for part in self.slices(place, count):
            if not received.startswith(part, start):
                return True
            start += len(part)
        return False


def key_of(host: str, qp: int) -> int:
    """Return a number that stands for a queue pair in the pattern of its messages."""
    return int.from_bytes(hashlib.shake_128(f"{host}/{qp}".encode()).digest(6), "little")
