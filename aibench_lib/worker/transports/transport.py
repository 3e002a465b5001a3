"""What a transport is to the process that drives it, and what it is told.

A trial on a host is run by processes of their own, one a group of queue pairs, because posting and polling hold
Python's lock.  Each of them holds one transport, and ends with the trial: what it has registered ends with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aibench_lib.worker.transports.rows import Rows

OPERATIONS = ("write_with_imm", "write", "read", "send")
"""``write_with_imm`` is the draft's PUT-with-signal.  Of a ``read`` the host told to send pulls from its peer."""


class TransportError(Exception):
    """The transport cannot do what was asked; one line with what is wrong and what to do.

    The agent adds the host.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message of a queue pair that follows a schedule."""

    size_bytes: int
    offset_ns: int
    """After T0; a message is posted then, whatever has become of those before it [ns]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loop:
    """A queue pair that sends message after message for a time."""

    size_bytes: int
    depth: int
    """Messages outstanding at most."""
    batch: int
    """Messages that one signalled completion, and one row of samples, stands for; at most ``depth``."""
    offset_ns: int
    duration_ns: int
    """No message is posted later than this after ``offset_ns`` [ns]."""
    rate_bps: int
    """Payload at most [bit/s]; 0: as fast as it goes."""
    echo: bool
    """Whether the receiving software answers each row's last message, which gives its ``echoed_ns``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SendQueue:
    """The sending end of one queue pair: either messages or a loop."""

    peer: str
    qp: int
    """Number within the trial, unique on the sending host."""
    priority: int
    operation: str
    messages: tuple[Message, ...] = ()
    """In the order of their offsets."""
    loop: Loop | None = None

    @property
    def largest_bytes(self) -> int:
        """The size of its largest message."""
        return self.loop.size_bytes if self.loop else max(message.size_bytes for message in self.messages)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sender:
    """A queue pair that will send to this host."""

    host: str
    qp: int
    address: bytes
    """What its transport's :meth:`Transport.prepare` returned there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How the transports of a host are set; from the agent's configuration."""

    host: str
    """Inventory name."""
    address: str
    """Of the host in the fabric under test: where TCP listens, and by which the RDMA device's GID is found."""
    device: str = ""
    """RDMA device, such as ``mlx5_0``; empty: the one that has the address."""
    gid_index: int | None = None
    """None: the RoCE v2 entry of the address, found by type."""
    dscp: Mapping[int, int] | None = None
    """Priority -> DSCP; None: priority 3 is 26, every other one 8 times itself."""
    verify: bool = False
    """Compare what arrives with what was sent."""
    seed: int = 0

    def dscp_of(self, priority: int) -> int:
        """Return the DSCP of a priority's packets."""
        usual = 26 if priority == 3 else 8 * priority
        return (self.dscp or {}).get(priority, usual)

    def traffic_class(self, priority: int) -> int:
        """Return the IP traffic class byte: DSCP, and ECT(0) so that switches mark and do not drop."""
        return self.dscp_of(priority) << 2 | 0b10


class Transport(Protocol):
    """The queue pairs of one group.  Calls come in this order, each once: prepare, accept, join, run, states, close.

    A group may have queue pairs that send, that receive, or both; the calls about those that it has not still come,
    empty.  ``close`` comes whatever happened, also twice.
    """

    label: str
    """``real-rdma``, ``soft-roce``, ``nixl-<backend>`` or ``tcp``; known after prepare."""

    def prepare(self, queues: Sequence[SendQueue]) -> Mapping[int, bytes]:
        """Allocate what sending needs; return queue pair -> what the receiving end must know.

        Raises:
            TransportError: It cannot.
        """
        ...

    def accept(self, senders: Sequence[Sender]) -> Mapping[tuple[str, int], bytes]:
        """Allocate what receiving needs; return (sending host, queue pair) -> what the sending end must know.

        Raises:
            TransportError: It cannot.
        """
        ...

    def join(self, receivers: Mapping[int, bytes]) -> None:
        """Make the sending queue pairs ready.

        Raises:
            TransportError: It cannot.
        """
        ...

    def run(self, t0_ns: int, deadline_ns: int, rows: Rows) -> None:
        """Send and receive until all is done or the deadline has passed; it is T0 when this is called.

        A message that is not complete at the deadline has a row with status ``timeout``.

        Args:
            t0_ns: On the clock of :func:`aibench_lib.worker.transports.clock.now_ns`.
            deadline_ns: Likewise.
            rows: Takes a row a completion at the sending end, and a receipt a signal at the receiving end.

        Raises:
            TransportError: A queue pair failed in a way that no row can say.
        """
        ...

    def states(self) -> Mapping[str, str]:
        """Return ``peer/qp`` -> the queue pair's state, asked of the device; empty where there is none."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...
