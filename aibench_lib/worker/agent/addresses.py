"""The IP addresses of this host, asked of the kernel over a netlink socket: needs no tool and no rights."""

import ipaddress
import socket
import struct
from collections.abc import Iterator

_HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence, port."""
_OF_ADDRESS = struct.Struct("=BBBBI")
"""struct ifaddrmsg: family, prefix length, flags, scope, interface index."""
_ATTRIBUTE = struct.Struct("=HH")
"""struct rtattr: length, type."""
_ERROR, _DONE, _NEW_ADDRESS, _GET_ADDRESS = 2, 3, 20, 22
_DUMP_REQUEST = 0x301
_ADDRESS, _LOCAL = 1, 2
"""Attributes; of a point-to-point link the first is the peer's address and the second one's own."""
_ANSWER_BYTES = 1 << 16


def of_host() -> list[tuple[str, str]]:
    """Return (interface, IP address) of every address; none where the kernel does not answer."""
    request = _HEADER.pack(_HEADER.size + _OF_ADDRESS.size, _GET_ADDRESS, _DUMP_REQUEST, 1, 0)
    found: list[tuple[str, str]] = []
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asked:
            asked.settimeout(2)
            asked.send(request + _OF_ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
            ended = False
            while not ended:
                addresses, ended = parse(asked.recv(_ANSWER_BYTES))
                found += [(socket.if_indextoname(index), address) for index, address in addresses]
    except OSError:  # a sandbox without netlink, or an interface that went away meanwhile
        return found
    return found


def parse(answer: bytes) -> tuple[list[tuple[int, str]], bool]:
    """Return (interface index, IP address) of each address in one datagram, and whether it is the last."""
    found: list[tuple[int, str]] = []
    for kind, body in _messages(answer):
        if kind in (_DONE, _ERROR):
            return found, True
        if kind == _NEW_ADDRESS and len(body) >= _OF_ADDRESS.size:
            index = _OF_ADDRESS.unpack_from(body)[4]
            attributes = dict(_attributes(body[_OF_ADDRESS.size :]))
            address = attributes.get(_LOCAL, attributes.get(_ADDRESS, b""))
            if len(address) in (4, 16):
                found.append((index, str(ipaddress.ip_address(address))))
    return found, not answer


def _messages(answer: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start + _HEADER.size <= len(answer):
        length, kind = _HEADER.unpack_from(answer, start)[:2]
        if length < _HEADER.size:
            return
        yield kind, answer[start + _HEADER.size : start + length]
        start += length + 3 & ~3


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, start)
        if length < _ATTRIBUTE.size:
            return
        yield kind, body[start + _ATTRIBUTE.size : start + length]
        start += length + 3 & ~3
