"""Two-way clock probes over UDP: many hosts interleaved on one socket, stamped by the kernel on arrival."""

import secrets
import select
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from aibench_lib.worker.arrival import ANCILLARY_BYTES, arrived_ns, stamp_arrivals

_SEQUENCE_BYTES = 8
_STAMPS = struct.Struct("!qq")
_REPLY_LIMIT_BYTES = 256
_ROUND_SECONDS = 0.2
"""A probe that is not answered by then is lost."""
_SILENT_ROUNDS = 3
"""A host that has not answered once in so many rounds is not asked again: UDP is filtered on the way."""


@dataclass(frozen=True)
class Probed:
    """Where a host's agent answers probes."""

    address: str
    port: int
    token: bytes = field(repr=False)
    """What a probe must begin with."""


@dataclass(frozen=True)
class Exchange:
    """The four times of one probe [ns since the epoch]."""

    sent_ns: int
    """On the controller's clock."""
    received_ns: int
    """On the host's clock."""
    answered_ns: int
    """On the host's clock."""
    back_ns: int
    """On the controller's clock."""

    @property
    def round_trip_ns(self) -> int:
        """The time under way, without the host's own [ns]."""
        return (self.back_ns - self.sent_ns) - (self.answered_ns - self.received_ns)


def probe(hosts: Mapping[str, Probed], rounds: int) -> dict[str, list[Exchange]]:
    """Probe many hosts, all of them in each round.

    Args:
        hosts: Where each answers.
        rounds: Probes a host.

    Returns:
        Host -> its exchanges; none where nothing came back.
    """
    found: dict[str, list[Exchange]] = {host: [] for host in hosts}
    with ExitStack() as stack:
        targets = {}
        sockets: dict[int, socket.socket] = {}
        for host, where in hosts.items():
            family, _, _, _, address = socket.getaddrinfo(where.address, where.port, type=socket.SOCK_DGRAM)[0]
            if family not in sockets:
                sockets[family] = stack.enter_context(_socket(family))
            targets[host] = (sockets[family], address, where.token)
        for number in range(rounds):
            asked = [host for host in hosts if number < _SILENT_ROUNDS or found[host]]
            for host, exchange in _round({host: targets[host] for host in asked}, sockets.values()):
                found[host].append(exchange)
    return found


def _socket(family: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setblocking(False)
    stamp_arrivals(opened)
    return opened


def _round(
    targets: Mapping[str, tuple[socket.socket, tuple[object, ...], bytes]], sockets: Iterable[socket.socket]
) -> Iterable[tuple[str, Exchange]]:
    """Send one probe to each host, and yield what comes back in time."""
    waiting: dict[bytes, tuple[str, int]] = {}
    for host, (through, address, token) in targets.items():
        name = token + secrets.token_bytes(_SEQUENCE_BYTES)
        sent_ns = time.time_ns()
        try:
            through.sendto(name, address)
        except OSError:  # no route, or an ICMP error of an earlier probe: like one that was lost
            continue
        waiting[name] = (host, sent_ns)
        yield from _arrived(through, waiting)
    end = time.monotonic() + _ROUND_SECONDS
    while waiting and (left := end - time.monotonic()) > 0:
        for ready in select.select(list(sockets), [], [], left)[0]:
            yield from _arrived(ready, waiting)


def _arrived(through: socket.socket, waiting: dict[bytes, tuple[str, int]]) -> Iterable[tuple[str, Exchange]]:
    """Yield what has come on a socket; what nobody waits for is not ours."""
    while True:
        try:
            reply, ancillary, _, _ = through.recvmsg(_REPLY_LIMIT_BYTES, ANCILLARY_BYTES)
        except BlockingIOError:
            return
        except OSError:  # an ICMP error of an earlier probe
            continue
        back_ns = arrived_ns(ancillary) or time.time_ns()
        name, stamps = reply[: -_STAMPS.size], reply[-_STAMPS.size :]
        if name in waiting:
            host, sent_ns = waiting.pop(name)
            received_ns, answered_ns = _STAMPS.unpack(stamps)
            yield host, Exchange(sent_ns, received_ns, answered_ns, back_ns)
