"""The TCP transport's face."""

import os
import secrets
import socket
import struct
import threading
from collections.abc import Mapping, Sequence

from aibench_lib.units import NS_PER_SECOND
from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.rows import Rows
from aibench_lib.worker.transports.tcp.dialling import Call, dial, set_up
from aibench_lib.worker.transports.tcp.listener import Listener
from aibench_lib.worker.transports.tcp.payload import Payload
from aibench_lib.worker.transports.tcp.pump import Pump
from aibench_lib.worker.transports.tcp.receiving import ReceivingEnd
from aibench_lib.worker.transports.tcp.sending import Sample, SendingEnd
from aibench_lib.worker.transports.tcp.wire import TOKEN_BYTES, ReceiverAddress, SenderAddress
from aibench_lib.worker.transports.transport import Options, Sender, SendQueue, TransportError

_MOST_THREADS = 4
"""That share the connections with large messages; each spends its time in the kernel, without Python's lock."""
_LARGE_BYTES = 1 << 16
"""Smaller messages cost more in Python than in the kernel: threads would wait for each other."""
_LATE_SECONDS = 2.0
"""All hosts have joined before any runs; so long a connection may still be on its way to the listening thread."""


class Tcp:
    """The queue pairs of a group over TCP, as :class:`aibench_lib.worker.transports.transport.Transport` says.

    Args:
        options: Of the host.
    """

    label = "tcp"

    def __init__(self, options: Options) -> None:
        self._options = options
        self._payload = Payload(options.seed)
        self._pumps = [Pump() for _ in range(max(1, min(_MOST_THREADS, (os.cpu_count() or 1) // 2)))]
        self._queues: list[SendQueue] = []
        self._tokens: dict[int, bytes] = {}
        self._senders: list[Sender] = []
        self._sender_addresses: list[SenderAddress] = []
        self._listener: Listener | None = None
        self._connections: list[socket.socket] = []
        self._sending: list[SendingEnd] = []
        self._running = threading.RLock()

    def prepare(self, queues: Sequence[SendQueue]) -> Mapping[int, bytes]:
        """Draw a token a queue pair."""
        self._queues = list(queues)
        addresses = {}
        for queue in queues:
            token = self._tokens[queue.qp] = secrets.token_bytes(TOKEN_BYTES)
            addresses[queue.qp] = SenderAddress(
                token=token,
                priority=queue.priority,
                verify=self._options.verify,
                pulls=queue.operation == "read",
                large=queue.largest_bytes >= _LARGE_BYTES,
                prompt=_is_prompt(queue),
            ).packed()
        return addresses

    def accept(self, senders: Sequence[Sender]) -> Mapping[tuple[str, int], bytes]:
        """Listen on the host's address in the fabric under test, at a port that the kernel chooses."""
        self._senders = list(senders)
        if not senders:
            return {}
        self._sender_addresses = [SenderAddress.unpacked(sender.address) for sender in senders]
        answers = [secrets.token_bytes(TOKEN_BYTES) for _ in senders]
        shown = [address.token for address in self._sender_addresses]
        address = self._options.address
        self._listener = Listener(address, list(zip(shown, answers, strict=True)), self._claimed)
        port = self._listener.port
        return {
            (sender.host, sender.qp): ReceiverAddress(answers[place], place, port, address).packed()
            for place, sender in enumerate(senders)
        }

    def join(self, receivers: Mapping[int, bytes]) -> None:
        """Dial the receiving ends; each is proven to the other when this returns."""
        calls = {}
        for queue in self._queues:
            name = f"{queue.peer}/{queue.qp}"
            if queue.qp not in receivers:
                raise TransportError(f"{name}: the receiving end has no address; see that its agent takes part")
            receiver = ReceiverAddress.unpacked(receivers[queue.qp])
            traffic_class = self._options.traffic_class(queue.priority)
            calls[queue.qp] = Call(name, self._tokens[queue.qp], receiver, traffic_class, _pace_bps(queue))
        connections = dial(self._options.address, calls)
        self._connections += connections.values()
        for place, queue in enumerate(self._queues):
            pump = self._pump(place, queue.largest_bytes >= _LARGE_BYTES)
            connection = connections[queue.qp]
            end = SendingEnd(place, queue, self._options, self._payload, connection, pump.scratch)
            self._sending.append(end)
            pump.add(end, _is_prompt(queue))

    def run(self, t0_ns: int, deadline_ns: int, rows: Rows) -> None:
        """Send and receive until all is done or the deadline has passed."""
        sample = rows.sample if len(self._pumps) == 1 else _one_at_a_time(rows)
        for end in self._sending:
            end.begin(t0_ns, sample)
        with self._running:
            self._await_senders(deadline_ns)
            _run_all(self._pumps, deadline_ns)

    def states(self) -> Mapping[str, str]:
        """Return nothing: no device holds these queue pairs."""
        return {}

    def close(self) -> None:
        """Reset every connection, so that no port is held by what is over; a run that is on ends.

        What was held refers to nothing of this any more: its memory is free at once, without a garbage collection.
        """
        for pump in self._pumps:
            pump.stop()
        if self._listener:
            self._listener.close()
            self._listener = None
        with self._running:
            for connection in self._connections:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            self._connections.clear()
            for pump in self._pumps:
                pump.close()
            self._sending.clear()
            self._pumps.clear()

    def _pump(self, place: int, large: bool) -> Pump:
        return self._pumps[place % len(self._pumps) if large else 0]

    def _claimed(self, place: int, connection: socket.socket) -> None:
        sender, address = self._senders[place], self._sender_addresses[place]
        set_up(connection, self._options.traffic_class(address.priority))
        self._connections.append(connection)
        pump = self._pump(place, address.large)
        pump.add(ReceivingEnd(sender, address, self._payload, connection, pump.scratch), address.prompt)

    def _await_senders(self, deadline_ns: int) -> None:
        if self._listener is None:
            return
        missing = self._listener.wait(min(_LATE_SECONDS, max(deadline_ns - now_ns(), 0) / NS_PER_SECOND))
        if missing:
            names = ", ".join(f"{self._senders[place].host}/{self._senders[place].qp}" for place in missing[:4])
            more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
            raise TransportError(
                f"no connection has come from {names}{more}; see that the fabric carries packets between the hosts"
            )


def _is_prompt(queue: SendQueue) -> bool:
    """Return whether a queue pair sends one message at a time, each as soon as the one before is answered."""
    return queue.loop is not None and queue.loop.depth == 1 and not queue.loop.rate_bps


def _pace_bps(queue: SendQueue) -> int:
    """Return the rate within a large message of a loop that has a rate: some more, or the loop would fall behind."""
    if queue.loop is None or queue.loop.size_bytes < _LARGE_BYTES:
        return 0
    return queue.loop.rate_bps * 5 // 4


def _run_all(pumps: Sequence[Pump], deadline_ns: int) -> None:
    """Run each pump in a thread of its own; the first failure stops all."""
    failures: list[TransportError] = []

    def run(pump: Pump) -> None:
        try:
            pump.run(deadline_ns)
        except TransportError as error:
            failures.append(error)
            for other in pumps:
                other.stop()

    threads = [threading.Thread(target=run, args=(pump,), daemon=True) for pump in pumps[1:]]
    for thread in threads:
        thread.start()
    run(pumps[0])
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _one_at_a_time(rows: Rows) -> Sample:
    """Return what adds a row from any thread."""
    lock, sample = threading.Lock(), rows.sample

    def locked(*row: int) -> None:
        with lock:
            sample(*row)

    return locked
