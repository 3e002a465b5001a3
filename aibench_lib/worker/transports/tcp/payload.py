"""What messages consist of: a pattern that follows from the trial's seed, the queue pair and the message's number.

One short pattern serves all messages, since a buffer that stays in the processor's cache is sent faster than a long
one; each message begins elsewhere in it.
"""

import hashlib

PERIOD_BYTES = 63 * 4096
"""No power of two: bytes that were moved by a page, or by any power of two, differ."""
_STEP_BYTES = 8
_STEPS = PERIOD_BYTES // _STEP_BYTES
_STRIDE = 12347
"""Steps from a message's beginning to that of the next; without common divisor with the steps there are."""


class Payload:
    """The pattern of a trial.

    Args:
        seed: The trial's.
    """

    def __init__(self, seed: int) -> None:
        self.pattern = memoryview(hashlib.shake_128(b"%d" % seed).digest(PERIOD_BYTES))

    def begin(self, key: int, sequence: int) -> int:
        """Return where a message begins in the pattern.

        Args:
            key: Of the queue pair, from :func:`key_of`.
            sequence: The message's number.
        """
        return (key + sequence * _STRIDE) % _STEPS * _STEP_BYTES

    def add_slices(self, parts: list[bytes | memoryview], place: int, count: int) -> None:
        """Append the ``count`` bytes from a place on as slices of the pattern."""
        pattern = self.pattern
        place %= PERIOD_BYTES
        if place + count <= PERIOD_BYTES:
            parts.append(pattern[place : place + count])
            return
        parts.append(pattern[place:])
        count -= PERIOD_BYTES - place
        while count >= PERIOD_BYTES:
            parts.append(pattern)
            count -= PERIOD_BYTES
        if count:
            parts.append(pattern[:count])

    def differs(self, received: bytearray, start: int, count: int, place: int) -> bool:
        """Return whether ``count`` received bytes are other than those of the pattern from a place on."""
        parts: list[bytes | memoryview] = []
        self.add_slices(parts, place, count)
        for part in parts:
            if not received.startswith(part, start):
                return True
            start += len(part)
        return False


def key_of(host: str, qp: int) -> int:
    """Return a number that stands for a queue pair in the pattern of its messages."""
    return int.from_bytes(hashlib.shake_128(f"{host}/{qp}".encode()).digest(6), "little")
