"""What a sending queue pair posts next and when: the messages of a schedule, or a loop's rows."""

from aibench_lib.worker.transports.transport import Loop, Message, SendQueue
from aibench_lib.worker.transports.verbs.device import Device
from aibench_lib.worker.transports.verbs.work import Chain, Path, requests_of

WORDS = 2
"""Work requests of a sending queue pair beside its rows."""
_LISTED_SENDS = 64
"""Work requests of scheduled messages that find room at once, unless one message needs more."""
_CHAINS_KEPT = 256
"""Sizes whose work requests are built before the trial; those of further sizes are built as they come."""


class Demand:
    """What a sending queue pair needs of its device.

    Args:
        queue: What it will send.
        device: On which.
    """

    def __init__(self, queue: SendQueue, device: Device) -> None:
        if queue.loop:
            lengths = [queue.loop.batch * requests_of(queue.loop.size_bytes, device.chunk_bytes)]
            self.outstanding = queue.loop.depth // queue.loop.batch
            rows = max(self.outstanding, 2) * lengths[0]
        else:
            lengths = [requests_of(message.size_bytes, device.chunk_bytes) for message in queue.messages]
            rows = max(2 * max(lengths), min(sum(lengths), _LISTED_SENDS))
            self.outstanding = min(len(lengths), rows)
        # Room for two rows, of which each is signalled, so that unsignalled work never fills the queue.
        self.sends = rows + WORDS
        self.receives = {"write_with_imm": 1, "send": max(lengths)}.get(queue.operation, 0)
        """Of the peer, for one row."""


class LoopPlan:
    """The rows of a loop, all alike.

    Args:
        loop: Which.
        path: Between which memories.
    """

    def __init__(self, loop: Loop, path: Path) -> None:
        self.chain = Chain(path, loop.size_bytes, loop.batch)
        self.paced = loop.rate_bps > 0
        self._loop = loop
        self._row_ns = self.chain.size_bytes * 8e9 / loop.rate_bps if self.paced else 0.0
        self._rows = 0
        self.start(0)

    def start(self, t0_ns: int) -> None:
        """Say when T0 is [ns]."""
        self.due_ns = self._begin_ns = t0_ns + self._loop.offset_ns
        self._last_ns = self._begin_ns + self._loop.duration_ns

    def over(self, now_ns: int) -> bool:
        """Return whether nothing is to be posted any more."""
        return now_ns > self._last_ns or self.due_ns > self._last_ns

    def advance(self) -> None:
        """Go on to the next row."""
        if self.paced:
            self._rows += 1
            self.due_ns = self._begin_ns + round(self._rows * self._row_ns)

    def rest(self) -> list[tuple[int, int, int]]:
        """Return what was never posted: of a loop, nothing was promised."""
        return []


class ListPlan:
    """The messages of a schedule, a row each.

    Args:
        messages: In the order of their offsets.
        path: Between which memories.
    """

    paced = True

    def __init__(self, messages: tuple[Message, ...], path: Path) -> None:
        self._messages, self._path = messages, path
        sizes = list(dict.fromkeys(message.size_bytes for message in messages))
        self._chains = {size: Chain(path, size, 1) for size in sizes[:_CHAINS_KEPT]}
        self._next = self._t0_ns = 0
        self._take()

    def start(self, t0_ns: int) -> None:
        """Say when T0 is [ns]."""
        self._t0_ns = t0_ns
        self._take()

    def over(self, now_ns: int) -> bool:
        """Return whether nothing is to be posted any more."""
        del now_ns
        return self._next == len(self._messages)

    def advance(self) -> None:
        """Go on to the next message."""
        self._next += 1
        if self._next < len(self._messages):
            self._take()

    def rest(self) -> list[tuple[int, int, int]]:
        """Return (messages, bytes, due) of those that were never posted."""
        return [(1, left.size_bytes, self._t0_ns + left.offset_ns) for left in self._messages[self._next :]]

    def _take(self) -> None:
        message = self._messages[self._next]
        self.due_ns = self._t0_ns + message.offset_ns
        self.chain = self._chains.get(message.size_bytes) or Chain(self._path, message.size_bytes, 1)


Plan = LoopPlan | ListPlan
