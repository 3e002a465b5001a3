"""The receiving end of a queue pair."""

import socket

from aibench_lib.worker.transports.tcp.inflow import Inflow, Scratch
from aibench_lib.worker.transports.tcp.outflow import Outflow, Run
from aibench_lib.worker.transports.tcp.payload import Payload, key_of
from aibench_lib.worker.transports.tcp.wire import FRAME, ROW, Kind
from aibench_lib.worker.transports.transport import Sender, TransportError


class ReceivingEnd:
    """Answers the messages that come, and sends those that are asked for.

    Args:
        sender: The sending end.
        payload: Of the trial.
        verify: Whether what arrives is compared.
        connection: From the sending end, proven; it does not block.
        scratch: Of the thread that drives this end.
    """

    due_ns: int | None = None

    def __init__(
        self, sender: Sender, payload: Payload, verify: bool, connection: socket.socket, scratch: Scratch
    ) -> None:
        key = key_of(sender.host, sender.qp)
        self._name = f"{sender.host}/{sender.qp}"
        self._outflow = Outflow(connection, payload, key)
        self._inflow = Inflow(connection, payload if verify else None, key, scratch)
        self._ending = False
        self.connection = connection
        self.finished = False
        self.held_up = False

    def due(self) -> None:
        """Do nothing: it acts only on what comes."""

    def writable(self) -> None:
        """Send on."""
        self.held_up = not self._outflow.flush()
        self.finished = self._ending and not self.held_up

    def readable(self) -> None:
        """Answer what has come."""
        frames = self._inflow.receive()
        stamp_ns = self._inflow.stamp_ns
        answers = []
        for kind, flags, sequence, value in frames:
            if kind in (Kind.MESSAGE, Kind.MARK):
                answers.append(FRAME.pack(Kind.ARRIVED, 0, 0, sequence, stamp_ns))
            elif kind == Kind.REQUEST:
                self._outflow.add(Run(sequence, 1, value, bool(flags & ROW)))
            elif kind == Kind.END:
                self._ending = True
                answers.append(FRAME.pack(Kind.END, 0, 0, 0, 0))
            else:
                raise TransportError(f"{self._name}: a frame of kind {kind} came, which no sending end sends")
        if frames:
            self._send(answers)
        self._send([FRAME.pack(Kind.VERDICT, 0, 0, row, differing) for row, differing in self._inflow.judge()])

    def broken(self) -> None:
        """End: the sending end writes what is to be said."""
        self.finished = True

    def expire(self) -> None:
        """End: the sending end has the same deadline."""
        self.finished = True

    def _send(self, answers: list[bytes]) -> None:
        if answers:
            self._outflow.add(b"".join(answers))
        if not self.held_up:
            self.held_up = not self._outflow.flush()
        self.finished = self._ending and not self.held_up
