"""The transport of a group: one NIXL agent, its memory, and the loop that posts, polls and answers."""

import base64
import functools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.nixl import library
from aibench_lib.worker.transports.nixl.sending import Outgoing
from aibench_lib.worker.transports.rows import Rows
from aibench_lib.worker.transports.transport import Options, Sender, SendQueue, TransportError

_OPERATIONS = {"write": "WRITE", "write_with_imm": "WRITE", "read": "READ"}


@dataclass(slots=True)
class _Incoming:
    """A queue pair that sends to this host."""

    place: int
    host: str
    qp: int
    memory: library.Buffer
    peer: str
    """NIXL's name of the sending process."""
    written: bool
    """Whether it writes, and does not read."""
    seed: int
    signals: int = 0
    expected: int | None = None
    """Signals that the sending end has sent, once it has said so: NIXL does not promise that this comes last."""

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.expected is not None and self.signals >= self.expected


@dataclass(frozen=True, slots=True)
class _Target:
    """The receiving end of a queue pair."""

    peer: str
    address: int


class Nixl:
    """Queue pairs as transfers between two NIXL agents; see :class:`~..transport.Transport`.

    Args:
        options: How the transports of this host are set.

    Raises:
        ImportError: NIXL is not installed.
    """

    def __init__(self, options: Options) -> None:
        library.load()
        self._options = options
        self.label = ""
        self._agent: Any = None
        self._memory: dict[int, library.Buffer] = {}
        self._outgoing: list[Outgoing] = []
        self._queues: Sequence[SendQueue] = ()
        self._targets: dict[int, _Target] = {}
        self._incoming: dict[tuple[str, int], _Incoming] = {}

    def prepare(self, queues: Sequence[SendQueue]) -> Mapping[int, bytes]:
        """Make the agent and what is sent; return queue pair -> what the receiving agent must know."""
        for queue in queues:
            if queue.operation not in _OPERATIONS:
                raise TransportError(
                    f"queue pair {queue.qp} to {queue.peer}: NIXL knows no {queue.operation}; "
                    "use write, write_with_imm or read"
                )
        classes = {self._options.traffic_class(queue.priority) for queue in queues}
        if len(classes) > 1 and os.environ.get("UCX_TLS") != "tcp":
            raise TransportError("NIXL has one traffic class a process; send in one priority, or use another transport")
        self.label = library.choose(self._options, min(classes, default=self._options.traffic_class(3)))
        self._agent = library.agent(self._options.host)
        content = library.payload(self._options.seed)
        for queue in queues:
            filled = library.EMPTY if queue.operation == "read" else content
            self._memory[queue.qp] = library.Buffer(self._agent, queue.largest_bytes, filled)
        self._queues = queues
        metadata = self._agent.get_agent_metadata()
        return {
            queue.qp: _packed(
                metadata,
                size=queue.largest_bytes,
                written=queue.operation != "read",
                seed=self._options.seed,
            )
            for queue in queues
        }

    def accept(self, senders: Sequence[Sender]) -> Mapping[tuple[str, int], bytes]:
        """Make the memory that is written or read; return where it is."""
        told = {(sender.host, sender.qp): _unpacked(sender.address) for sender in senders}
        for place, ((host, qp), (_, said)) in enumerate(told.items()):
            written = bool(said["written"])
            content = library.EMPTY if written else library.payload(int(said["seed"]))
            memory = library.Buffer(self._agent, int(said["size"]), content)
            self._incoming[host, qp] = _Incoming(place, host, qp, memory, "", written, int(said["seed"]))
        metadata = self._agent.get_agent_metadata()
        for ends, (sending, _) in told.items():
            self._incoming[ends].peer = self._known(sending)
        return {ends: _packed(metadata, address=one.memory.address) for ends, one in self._incoming.items()}

    def join(self, receivers: Mapping[int, bytes]) -> None:
        """Learn of the receiving agents; UCX connects to them with the first message."""
        for qp, told in receivers.items():
            metadata, said = _unpacked(told)
            self._targets[qp] = _Target(self._known(metadata), int(said["address"]))
        for place, queue in enumerate(self._queues):
            self._outgoing.append(Outgoing(place, queue, self._transfer, self._posted, self._agent.check_xfer_state))

    def _known(self, metadata: bytes) -> str:
        try:
            name = self._agent.add_remote_agent(metadata)
        except Exception as error:  # NIXL's exceptions have no common class
            raise TransportError(f"NIXL cannot reach the other host's agent: {error}") from error
        return name.decode() if isinstance(name, bytes) else str(name)

    def _transfer(self, queue: SendQueue, size_bytes: int) -> Any:  # noqa: ANN401 - NIXL's
        target, own = self._targets[queue.qp], self._memory[queue.qp]
        ends = [
            self._agent.get_xfer_descs([(address, size_bytes, 0)], mem_type="DRAM")
            for address in (own.address, target.address)
        ]
        return self._agent.initialize_xfer(_OPERATIONS[queue.operation], *ends, target.peer)

    def _posted(self, handle: Any, signal: bytes) -> str:  # noqa: ANN401 - NIXL's
        return str(self._agent.transfer(handle, signal))

    def run(self, t0_ns: int, deadline_ns: int, rows: Rows) -> None:
        """Post, poll and answer, until every end has said that it is done."""
        try:
            self._run(t0_ns, deadline_ns, rows)
        except TransportError:
            raise
        except Exception as error:  # NIXL's exceptions have no common class
            raise TransportError(
                f"NIXL failed: {' '.join(str(error).split())}; is the other host still there?"
            ) from error
        if self._options.verify:
            self._compare()

    def _run(self, t0_ns: int, deadline_ns: int, rows: Rows) -> None:
        active = list(self._outgoing)
        while active or not all(one.done for one in self._incoming.values()):
            if now_ns() >= deadline_ns:
                for one in active:
                    one.give_up(t0_ns, rows)
                return
            for one in active:
                one.step(t0_ns, rows)
                if one.done:
                    self._tell(self._targets[one.queue.qp].peer, f"end {one.queue.qp} {one.signals}")
            active = [one for one in active if not one.done]
            self._listen(rows)
            os.sched_yield()  # the other end, or the kernel's TCP, may be waiting for this processor

    def _tell(self, peer: str, what: str) -> None:
        self._agent.send_notif(peer, f"{self._options.host} {what}".encode())

    def _listen(self, rows: Rows) -> None:
        """Take signals, answers and ends; over TCP this is also what receives the data."""
        for peer, messages in self._agent.get_new_notifs().items():
            when_ns = now_ns()
            for message in messages:
                self._heard(peer, message.decode(), when_ns, rows)

    def _heard(self, peer: str, message: str, when_ns: int, rows: Rows) -> None:
        words = message.split()
        if words[0] == "signal":
            self._signalled(peer, [int(word) for word in words[1:]], when_ns, rows)
        elif words[1] == "echo":
            own = next(one for one in self._outgoing if one.queue.qp == int(words[2]))
            own.echoed(int(words[3]), when_ns, rows)
        else:
            self._incoming[words[0], int(words[2])].expected = int(words[3])

    def _signalled(self, peer: str, numbers: Sequence[int], when_ns: int, rows: Rows) -> None:
        qp, row, size_bytes, echo = numbers
        own = next(one for one in self._incoming.values() if one.peer == peer and one.qp == qp)
        if echo:
            self._tell(peer, f"echo {qp} {row}")
        own.signals += 1
        rows.receipt(own.place, row, size_bytes, when_ns)

    def _compare(self) -> None:
        """Compare what has arrived with what was sent, once all is done.

        Raises:
            TransportError: They differ.
        """
        arrived = [
            (one.memory, one.seed, f"{one.host}, queue pair {one.qp}") for one in self._incoming.values() if one.written
        ]
        arrived += [
            (self._memory[queue.qp], self._options.seed, f"{queue.peer}, queue pair {queue.qp}")
            for queue in self._queues
            if queue.operation == "read"
        ]
        for memory, seed, where in arrived:
            if not memory.holds(library.payload(seed), memory.size_bytes):
                raise TransportError(f"what came from {where}, is not what was sent")

    def states(self) -> Mapping[str, str]:
        """Return nothing: NIXL shows no queue pairs."""
        return {}

    def close(self) -> None:
        """Give the memory back."""
        buffers = [*self._memory.values(), *(one.memory for one in self._incoming.values())]
        self._memory, self._incoming = {}, {}
        for buffer in buffers:
            buffer.close()


def _packed(metadata: bytes, **said: int | bool) -> bytes:
    return json.dumps({"metadata": base64.b64encode(metadata).decode(), **said}).encode()


@functools.lru_cache(maxsize=64)
def _unpacked(told: bytes) -> tuple[bytes, Mapping[str, int | bool]]:
    """Return an agent's metadata, and the rest.

    Raises:
        TransportError: It is neither.
    """
    try:
        said = json.loads(told)
        return base64.b64decode(said.pop("metadata")), said
    except (KeyError, TypeError, ValueError) as error:
        raise TransportError(f"the other end does not say who it is ({error}); install the same version") from error
