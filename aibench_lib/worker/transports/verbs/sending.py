"""The sending end of a queue pair in its trial: rows posted while there is room, completions turned into samples."""

import struct
from collections import deque

from aibench_lib.worker.transports import rows as statuses
from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.rows import NEVER, Rows
from aibench_lib.worker.transports.transport import SendQueue, TransportError
from aibench_lib.worker.transports.verbs import errors, signals
from aibench_lib.worker.transports.verbs.library import QP, RECEIVED_WRITE, WC
from aibench_lib.worker.transports.verbs.memory import Region
from aibench_lib.worker.transports.verbs.plan import ListPlan, LoopPlan, Plan
from aibench_lib.worker.transports.verbs.work import Path, Receives, word

WORDS_RECEIVED = 8
"""Receives for the peer's words: it has at most two credits and one verdict under way."""
STAMP = struct.Struct("<q")
"""What an echo carries: when the message was received, on the receiver's clock [ns]."""
_Row = list[int]
_OPERATIONS, _SIZE, _INTENDED, _POSTED, _COMPLETED, _RECEIVED, _ECHOED, _WORK = range(8)


class Outgoing:
    """One sending queue pair that is joined to its peer.

    Args:
        place: In the group's list.
        queue: What it sends.
        pair: The queue pair, in the state RTS.
        path: Between which memories.
        credits: Receives that the peer has posted for its rows.
        most: Rows under way at most.
        room: Work requests it has room for, those of its last word left out.
        receive: One receive of a word or an echo.
        echoes: Where echoes land; None: there are none.
        first_echo: Offset of this queue pair's in there.
        region: Where its messages lie.
        pattern: Key of the payload's pattern; empty: payloads are not compared.
    """

    def __init__(
        self,
        *,
        place: int,
        queue: SendQueue,
        pair: QP,
        path: Path,
        credits: int,
        most: int,
        room: int,
        receive: Receives,
        echoes: Region | None,
        first_echo: int,
        region: Region,
        pattern: str,
    ) -> None:
        self.name = f"{queue.peer}/{queue.qp}"
        self.done = False
        self.failure: TransportError | None = None
        self.hears = bool(echoes or credits or pattern)
        """Whether its peer has something to say."""
        self.pair = pair
        self.place = place
        self._queue, self._path = queue, path
        self._credits, self._most, self._room = credits, most, room
        self._receives_a_request = {"send": 1}.get(queue.operation, 0)
        self._receives_a_row = {"write_with_imm": 1}.get(queue.operation, 0)
        self._receive, self._echoes, self._first_echo = receive, echoes, first_echo
        self._region, self._pattern = region, pattern
        self._word = word(path.address, path.local_key)
        self._plan: Plan = LoopPlan(queue.loop, path) if queue.loop else ListPlan(queue.messages, path)
        self._unacknowledged: deque[_Row] = deque()
        self._unechoed: deque[_Row] = deque()
        self._under_way = self._sequence = 0
        self._ending = False
        self._held: tuple[int, ...] = ()

    def start(self, t0_ns: int, rows: Rows) -> None:
        """Say when T0 is and where rows go."""
        self._plan.start(t0_ns)
        self._rows = rows
        self._sample = self._hold if self._pattern else rows.sample

    def post(self, now: int) -> int:
        """Post what is due and finds room; return when to ask again [ns], or 0: when something has arrived."""
        plan = self._plan
        while not (self._ending or plan.over(now)):
            if plan.due_ns > now:
                return plan.due_ns
            chain = plan.chain
            receives = self._receives_a_row or self._receives_a_request * chain.length
            if self._under_way >= self._most or chain.length > self._room or receives > self._credits:
                return 0
            chain.last.imm_data = signals.of_row(self._queue.qp, self._sequence)
            now = now_ns()
            self.pair.post_send(chain.head)
            intended = plan.due_ns if plan.paced else now
            row = [chain.messages, chain.size_bytes, intended, now, NEVER, NEVER, NEVER, chain.length]
            self._unacknowledged.append(row)
            if self._echoes:
                self._unechoed.append(row)
            self._under_way += 1
            self._sequence += 1
            self._room -= chain.length
            self._credits -= receives
            plan.advance()
        if not (self._under_way or self._ending or self.done):
            self._end()
        return 0

    def sent(self, completion: WC, now: int) -> None:
        """Take a completion of its send queue."""
        if self.done:
            return  # what a failed queue pair throws away
        if completion.status:
            self._fail(completion.status)
        elif self._ending:
            self.done = not self._pattern or self._path.operation == "read"
        else:
            row = self._unacknowledged.popleft()
            self._room += row[_WORK]
            row[_COMPLETED] = now
            if not self._echoes or row[_ECHOED] != NEVER:
                self._finish(row)

    def arrived(self, completion: WC, now: int) -> None:
        """Take a word or an echo of the peer."""
        if self.done:
            return
        if completion.status:
            if completion.status != errors.FLUSHED:  # flushed: the send queue says why
                self.failure = errors.failure(self.name, completion.status)
                self._abandon(errors.row_status(completion.status), statuses.FLUSHED)
            return
        self.pair.post_recv(self._receive.head)
        if self._echoes and completion.opcode == RECEIVED_WRITE:
            row = self._unechoed.popleft()
            slot = self._first_echo + signals.sequence_of(completion) % self._most * STAMP.size
            row[_RECEIVED] = STAMP.unpack_from(self._echoes.view, slot)[0]
            row[_ECHOED] = now
            if row[_COMPLETED] != NEVER:
                self._finish(row)
            return
        kind, number = signals.word_of(completion)
        if kind == signals.CREDIT:
            self._credits += number
        elif kind == signals.VERDICT:
            self._judge(differs=number > 0)
            self.done = True

    def give_up(self) -> None:
        """Write a row of everything that is not complete: the deadline has passed."""
        if self.done:
            return
        if self._ending:
            self.failure = TransportError(
                f"queue pair {self.name}: the peer did not confirm the end before the deadline"
            )
        self._abandon(statuses.TIMEOUT, statuses.TIMEOUT)

    def _finish(self, row: _Row) -> None:
        self._under_way -= 1
        self._sample(self.place, *row[:_WORK])

    def _end(self) -> None:
        """Tell the peer that nothing more comes."""
        self._ending = True
        if self._pattern and self._path.operation == "read":
            self._judge(differs=self._region.differs(self._pattern, self._queue.largest_bytes))
        self._word.imm_data = signals.of_word(signals.END, self._sequence)
        self.pair.post_send(self._word)

    def _fail(self, status: int) -> None:
        if self._ending and not self.failure:
            self.failure = errors.failure(self.name, status)
        self._abandon(errors.row_status(status), statuses.FLUSHED)

    def _abandon(self, first: int, then: int) -> None:
        """Write rows of what is under way and of what was never posted; the row that failed has a status of its own."""
        self.done = True
        if self._held:
            self._rows.sample(*self._held)
        failed = self._unacknowledged[0] if self._unacknowledged else None
        for row in max(self._unechoed, self._unacknowledged, key=len):  # both are the last ones that were posted
            self._rows.sample(*(self.place, *row[:_WORK], first if row is failed else then))
        for operations, size_bytes, due_ns in self._plan.rest():
            self._rows.sample(self.place, operations, size_bytes, due_ns, NEVER, NEVER, status=then)

    def _hold(self, *row: int) -> None:
        """Keep the last row back until it is known whether the payload was as it should be."""
        if self._held:
            self._rows.sample(*self._held)
        self._held = row

    def _judge(self, *, differs: bool) -> None:
        if self._held:
            self._rows.sample(*(*self._held, statuses.DIFFERS if differs else statuses.OK))
            self._held = ()
