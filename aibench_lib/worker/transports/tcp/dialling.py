"""How a sending end gets its connection."""

import contextlib
import errno
import hmac
import socket
import struct
import time
from collections.abc import Mapping

from aibench_lib.units import BITS_PER_BYTE
from aibench_lib.worker.transports.tcp.wire import GREETING, MAGIC, TOKEN_BYTES, ReceiverAddress
from aibench_lib.worker.transports.transport import TransportError

JOIN_SECONDS = 6.0
"""All connections of a group are there by then, or it fails; longer than the kernel needs to try a second time."""
_BIND_ADDRESS_NO_PORT = 24
"""``IP_BIND_ADDRESS_NO_PORT``: the port is chosen with the destination, and so may serve several of them."""
_MAX_PACING_RATE = 47
"""``SO_MAX_PACING_RATE`` [B/s]."""


class Call:
    """What is to be dialled.

    Args:
        name: ``peer/qp``, for messages.
        token: What the sending end shows.
        receiver: Who answers.
        traffic_class: Of the packets.
        pace_bps: The kernel sends no faster, so that a large message does not leave in one burst [bit/s]; 0: as it can.
    """

    def __init__(
        self, name: str, token: bytes, receiver: ReceiverAddress, traffic_class: int, pace_bps: int = 0
    ) -> None:
        self.name = name
        self.token = token
        self.receiver = receiver
        self.traffic_class = traffic_class
        self.pace_bps = pace_bps


def dial(address: str, calls: Mapping[int, Call]) -> dict[int, socket.socket]:
    """Connect all queue pairs and prove both ends to each other.

    Args:
        address: The host's in the fabric under test; the packets leave from it.
        calls: Queue pair -> what to dial.

    Returns:
        Queue pair -> its connection, which does not block.

    Raises:
        TransportError: One cannot be connected.
    """
    deadline = time.monotonic() + JOIN_SECONDS
    with contextlib.ExitStack() as on_failure:
        connections = {}
        for qp, call in calls.items():
            connections[qp] = on_failure.enter_context(_connected(address, call, deadline))
        for qp, call in calls.items():
            _check_answer(connections[qp], call, deadline)
            connections[qp].setblocking(False)
        on_failure.pop_all()
    return connections


def set_traffic_class(connection: socket.socket, traffic_class: int) -> None:
    """Set the DSCP of a connection's packets; their ECN bits are the kernel's, which negotiates ECN itself."""
    if connection.family == socket.AF_INET6:
        connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, traffic_class)
    else:
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, traffic_class)


def set_up(connection: socket.socket, traffic_class: int) -> None:
    """Set what both ends of a connection need; buffer sizes are left to the kernel, which fits them to the path."""
    set_traffic_class(connection, traffic_class)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _connected(address: str, call: Call, deadline: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in call.receiver.host else socket.AF_INET
    where = f"{call.name} at {call.receiver.host}, port {call.receiver.port}"
    try:
        connection = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise TransportError(
            f"{call.name}: no socket: {error.strerror}; raise the limit of open files (LimitNOFILE)"
        ) from error
    try:
        set_up(connection, call.traffic_class)
        if call.pace_bps:
            pace = struct.pack("Q", call.pace_bps // BITS_PER_BYTE)
            connection.setsockopt(socket.SOL_SOCKET, _MAX_PACING_RATE, pace)
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        if family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        connection.bind((address, 0))
        connection.connect((call.receiver.host, call.receiver.port))
        connection.sendall(GREETING.pack(MAGIC, call.receiver.place, call.token))
    except OSError as error:
        connection.close()
        raise TransportError(_explained(where, address, error)) from error
    return connection


def _check_answer(connection: socket.socket, call: Call, deadline: float) -> None:
    where = f"{call.name} at {call.receiver.host}, port {call.receiver.port}"
    answer = b""
    try:
        while len(answer) < TOKEN_BYTES:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            data = connection.recv(TOKEN_BYTES - len(answer))
            if not data:
                raise TransportError(f"{where} hung up; see that both agents are in the same trial")
            answer += data
    except OSError as error:
        raise TransportError(_explained(where, "", error)) from error
    if not hmac.compare_digest(answer, call.receiver.token):
        raise TransportError(f"{where} is not the receiving end: its token is wrong; see what else listens there")


def _explained(where: str, address: str, error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return (
            f"{where} does not answer within {JOIN_SECONDS:g} s; see that the fabric carries packets between the hosts "
            "and that no firewall drops TCP"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"{where}: no local port of {address} is free, or no interface has this address; see "
            "net.ipv4.ip_local_port_range and the worker's `address`"
        )
    if error.errno == errno.ECONNREFUSED:
        return f"{where}: refused; see that the agent there still runs this trial"
    return f"{where}: {error.strerror or error}"
