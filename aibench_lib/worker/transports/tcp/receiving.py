"""The receiving end of a queue pair."""

import socket

from aibench_lib.worker.transports.tcp.inflow import Inflow, Scratch
from aibench_lib.worker.transports.tcp.outflow import Outflow
from aibench_lib.worker.transports.tcp.payload import Payload, key_of
from aibench_lib.worker.transports.tcp.wire import (
    ARRIVED,
    END,
    FRAME,
    MARK,
    MESSAGE,
    REQUEST,
    ROW,
    VERDICT,
    SenderAddress,
)
from aibench_lib.worker.transports.transport import Sender, TransportError

_ANSWERED = (MESSAGE, MARK)


class ReceivingEnd:
    """Answers the messages that come, and sends those that are asked for.

    Args:
        sender: The sending end.
        payload: Of the trial.
        address: What is known of it.
        connection: From the sending end, proven; it does not block.
        scratch: Of the thread that drives this end.
    """

    due_ns: int | None = None

    def __init__(
        self, sender: Sender, address: SenderAddress, payload: Payload, connection: socket.socket, scratch: Scratch
    ) -> None:
        key = key_of(sender.host, sender.qp)
        self._name = f"{sender.host}/{sender.qp}"
        self._verify = address.verify and not address.pulls
        self._outflow = Outflow(connection, payload, key if address.verify else None)
        self._inflow = Inflow(connection, payload if self._verify else None, key, scratch)
        self._ending = False
        self.connection = connection
        self.finished = False
        self.held_up = False

    def due(self) -> None:
        """Do nothing: it acts only on what comes."""

    def writable(self) -> None:
        """Send on."""
        self._outflow.flush()
        self._settle()

    def readable(self) -> None:
        """Answer what has come."""
        frames = self._inflow.receive()
        stamp_ns = self._inflow.stamp_ns
        answers = []
        for kind, flags, _, sequence, value in frames:
            if kind in _ANSWERED:
                answers.append(FRAME.pack(ARRIVED, 0, 0, sequence, stamp_ns))
            elif kind == REQUEST:
                self._outflow.post(sequence, 1, value, bool(flags & ROW))
            elif kind == END:
                self._ending = True
                answers.append(FRAME.pack(END, 0, 0, 0, 0))
            else:
                raise TransportError(f"{self._name}: a frame of kind {kind} came, which no sending end sends")
        if answers:
            self._outflow.add(b"".join(answers) if len(answers) > 1 else answers[0])
        if self._verify:
            verdicts = [FRAME.pack(VERDICT, 0, 0, row, differing) for row, differing in self._inflow.judge()]
            if verdicts:
                self._outflow.add(b"".join(verdicts))
        if frames:
            self._settle()

    def broken(self) -> None:
        """End: the sending end writes what is to be said."""
        self.finished = True

    def expire(self) -> None:
        """End: the sending end has the same deadline."""
        self.finished = True

    def _settle(self) -> None:
        if not self.held_up and not self._outflow.empty:
            self._outflow.flush()
        self.held_up = not self._outflow.empty
        self.finished = self._ending and not self.held_up
