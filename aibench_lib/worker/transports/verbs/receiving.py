"""The receiving end of a queue pair in its trial: signals stamped, receives posted again, words said to the sender."""

from collections import deque
from collections.abc import Iterator
from itertools import repeat

from aibench_lib.worker.transports.rows import Rows
from aibench_lib.worker.transports.transport import Sender, TransportError
from aibench_lib.worker.transports.verbs import errors, signals
from aibench_lib.worker.transports.verbs.address import SendingEnd
from aibench_lib.worker.transports.verbs.library import QP, WC, WITH_IMM, SendWR
from aibench_lib.worker.transports.verbs.memory import Region
from aibench_lib.worker.transports.verbs.sending import STAMP
from aibench_lib.worker.transports.verbs.work import Receives, echo, word

WORDS = 8
"""Work requests for words to the sender."""
_LEAST_RECEIVES = 32
_MOST_RECEIVES = 4096


def half_of_receives(peer: SendingEnd) -> int:
    """Return half of the receives that are kept posted: they are posted again, and credited, half by half.

    Twice what can be under way, so that a sender seldom waits for a credit.
    """
    if not peer.receives:
        return 0
    return max(peer.receives, min(max(2 * peer.outstanding * peer.receives, _LEAST_RECEIVES), _MOST_RECEIVES))


def sends_of(peer: SendingEnd) -> int:
    """Return how many work requests find room: echoes of what can be under way, and words."""
    return WORDS + (2 * peer.outstanding if peer.echo else 0)


class Incoming:
    """One receiving queue pair that is connected to its peer.

    Args:
        place: In the group's list.
        sender: Whose.
        peer: What the sender has said.
        pair: The queue pair, with its receives posted.
        receives: Half of those receives; None: its sender's messages take none.
        region: Where messages land.
        desk: Where echoes are written before they are sent.
        first_echo: Offset of this queue pair's in there.
        local_key: Of the desk.
    """

    def __init__(
        self,
        *,
        place: int,
        sender: Sender,
        peer: SendingEnd,
        pair: QP,
        receives: Receives | None,
        region: Region,
        desk: Region,
        first_echo: int,
        local_key: int,
    ) -> None:
        self.name = f"{sender.host}/{sender.qp}"
        self.done = False
        self.failure: TransportError | None = None
        self.passive = receives is None
        """Whether nothing arrives before the sender's last word."""
        self.pair = pair
        self._place, self._qp, self._peer = place, sender.qp, peer
        self._receives, self._region, self._desk = receives, region, desk
        self._used = self._sequence = 0
        self._sizes = _sizes(peer.rows)
        self._word = word(desk.address, local_key)
        self._first_echo = first_echo
        self._echoes = [
            echo(desk.address + first_echo + slot, local_key, peer.end.address + slot, peer.end.key)
            for slot in range(0, peer.outstanding * STAMP.size if peer.echo else 0, STAMP.size)
        ]
        self._room = sends_of(peer)
        self._waiting: deque[tuple[SendWR, int]] = deque()
        self._unacknowledged = 0
        self._ended = False

    def start(self, rows: Rows) -> None:
        """Say where receipts go."""
        self._rows = rows

    def arrived(self, completion: WC, now: int) -> None:
        """Take what has arrived."""
        if completion.status:
            self.done = True  # its sender has been told, too, and says so in a row
            return
        kind, number = signals.word_of(completion)
        if kind == signals.END:
            self._end(number)
            return
        if completion.wc_flags & WITH_IMM:
            self._signal(completion, now)
        self._used += 1
        if self._receives and self._used == self._receives.count:
            self._used = 0
            self.pair.post_recv(self._receives.head)
            self._say(self._word, signals.of_word(signals.CREDIT, self._receives.count))

    def sent(self, completion: WC, now: int) -> None:
        """Take the completion of a word or an echo."""
        del now
        self._unacknowledged -= 1
        if completion.status:
            if completion.status != errors.FLUSHED and not self.failure:
                self.failure = errors.failure(f"from {self.name}", completion.status)
            self.done = True
            return
        if self._waiting:
            self._say(*self._waiting.popleft())
        self.done = self._ended and not self._unacknowledged

    def _signal(self, completion: WC, now: int) -> None:
        sequence = signals.sequence_of(completion)
        if sequence != self._sequence % signals.SEQUENCES:
            self.failure = self.failure or TransportError(
                f"queue pair from {self.name}: signal {sequence} has arrived where {self._sequence} was due"
            )
        if self._echoes:
            slot = self._sequence % len(self._echoes)
            STAMP.pack_into(self._desk.view, self._first_echo + slot * STAMP.size, now)
            self._say(self._echoes[slot], completion.imm_data)
        self._rows.receipt(self._place, self._sequence, next(self._sizes), now)
        self._sequence += 1

    def _say(self, request: SendWR, immediate: int) -> None:
        if self._unacknowledged == self._room:
            self._waiting.append((request, immediate))
            return
        request.imm_data = immediate
        self.pair.post_send(request)
        self._unacknowledged += 1

    def _end(self, rows: int) -> None:
        self._ended = True
        if self._peer.receives and rows != self._sequence:
            self.failure = self.failure or TransportError(
                f"queue pair from {self.name}: {self._sequence} signals have arrived of {rows} that were sent"
            )
        if self._peer.pattern and self._peer.operation != "read":
            differs = self._region.differs(self._peer.pattern, self._compared_bytes())
            self._say(self._word, signals.of_word(signals.VERDICT, int(differs)))
        self.done = not self._unacknowledged

    def _compared_bytes(self) -> int:
        return min(self._peer.largest_bytes, self._region.size_bytes)


def _sizes(runs: list[tuple[int, int]]) -> Iterator[int]:
    """Yield the size of each row; the last run has no end."""
    for size_bytes, count in runs[:-1]:
        yield from repeat(size_bytes, count)
    yield from repeat(runs[-1][0])
