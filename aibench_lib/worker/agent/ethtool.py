"""What a network driver says of itself, by the kernel call that the tool ethtool makes: needs no tool and no rights."""

import array
import fcntl
import socket
import struct
from collections.abc import Mapping

_CALL = 0x8946
"""SIOCETHTOOL."""
_REQUEST = struct.Struct("16sP16x")
"""struct ifreq: the interface's name, and where the question and the answer lie."""
_DRIVER, _STRINGS, _STATISTICS, _SIZES, _FEATURES = 0x03, 0x1B, 0x1D, 0x37, 0x3A
_SET_STATISTICS, _SET_FEATURES = 1, 4
"""The sets of strings that go with the statistics and the features."""
_STRING_BYTES = 32
_DRIVER_FIELDS = {"driver": (4, 36), "firmware": (68, 100), "bus": (100, 132)}
"""Places of the strings within struct ethtool_drvinfo."""
_DRIVER_BYTES = 196
_SPARE = 4096
"""Strings and values for which there is room beyond those announced: a driver may get more queues in between, and the
kernel writes as many values as there are then."""


def driver(interface: str) -> Mapping[str, str]:
    """Return ``driver``, ``firmware`` and ``bus``; nothing of an interface that has no driver."""
    answer = _ask(interface, struct.pack("=I", _DRIVER), _DRIVER_BYTES)
    return {
        name: text for name, (start, end) in _DRIVER_FIELDS.items() if answer and (text := _text(answer[start:end]))
    }


def statistics(interface: str) -> Mapping[str, int]:
    """Return the driver's counters by name."""
    names = _strings(interface, _SET_STATISTICS)
    if not names:
        return {}
    size = 8 + 8 * (len(names) + _SPARE)
    answer = _ask(interface, struct.pack("=II", _STATISTICS, len(names)), size)
    if not answer:
        return {}
    count = min(struct.unpack_from("=I", answer, 4)[0], len(names))
    return dict(zip(names, struct.unpack_from(f"={count}Q", answer, 8), strict=False))


def features(interface: str) -> Mapping[str, bool]:
    """Return the features that the driver can do -> whether they are on."""
    names = _strings(interface, _SET_FEATURES)
    blocks = (len(names) + 31) // 32
    answer = _ask(interface, struct.pack("=II", _FEATURES, blocks), 8 + 16 * blocks)
    if not names or not answer:
        return {}
    words = struct.unpack_from(f"={4 * blocks}I", answer, 8)
    found = {}
    for place, name in enumerate(names):
        available, _, active, _ = words[place // 32 * 4 : place // 32 * 4 + 4]
        bit = 1 << place % 32
        if name and (available | active) & bit:
            found[name] = bool(active & bit)
    return found


def _strings(interface: str, which: int) -> list[str]:
    size = _ask(interface, struct.pack("=IIQ", _SIZES, 0, 1 << which), 20)
    count = struct.unpack_from("=I", size, 16)[0] if size and struct.unpack_from("=Q", size, 8)[0] else 0
    if not count:
        return []
    answer = _ask(interface, struct.pack("=III", _STRINGS, which, count), 12 + _STRING_BYTES * (count + _SPARE))
    if not answer:
        return []
    count = min(count, struct.unpack_from("=I", answer, 8)[0])
    return [_text(answer[12 + _STRING_BYTES * place :][:_STRING_BYTES]) for place in range(count)]


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode(errors="replace").strip()


def _ask(interface: str, question: bytes, size: int) -> bytes:
    """Return the answer to a question; empty where the driver has none."""
    room = array.array("B", question.ljust(size, b"\0"))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            fcntl.ioctl(asked, _CALL, _REQUEST.pack(interface.encode()[:15], room.buffer_info()[0]))
    except OSError:  # no such interface, or its driver does not know the question
        return b""
    return room.tobytes()
