"""The configuration paths that the simulated SR Linux knows, with types and ranges of the vendor's YANG models."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

Scalar = int | str | bool | tuple[str, ...]
"""A tuple is a leaf-list."""


@dataclass(frozen=True)
class Number:
    """An unsigned integer."""

    low: int
    high: int

    def read(self, value: object) -> Scalar:
        """Return the value of a leaf.

        Raises:
            ValueError: It is no such value.
        """
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(number, bool) or not isinstance(number, int) or not self.low <= number <= self.high:
            raise ValueError(f"expected a number in {self.low}..{self.high}")
        return number


@dataclass(frozen=True)
class Text:
    """A string, or with ``choices`` an enumeration."""

    choices: tuple[str, ...] = ()

    def read(self, value: object) -> Scalar:
        """Return the value of a leaf.

        Raises:
            ValueError: It is no such value.
        """
        if not isinstance(value, str) or not value:
            raise ValueError("expected a string")
        if self.choices and value not in self.choices:
            raise ValueError(f"expected one of {', '.join(self.choices)}")
        return value


@dataclass(frozen=True)
class Truth:
    """A boolean."""

    def read(self, value: object) -> Scalar:
        """Return the value of a leaf.

        Raises:
            ValueError: It is no such value.
        """
        if value in ("true", "false"):
            return value == "true"
        if not isinstance(value, bool):
            raise ValueError("expected true or false")  # noqa: TRY004 - a wrong value, for whoever sent it
        return value


@dataclass(frozen=True)
class Texts:
    """A leaf-list of strings."""

    choices: tuple[str, ...]

    def read(self, value: object) -> Scalar:
        """Return the values of a leaf-list.

        Raises:
            ValueError: One is no such value.
        """
        given = value if isinstance(value, list | tuple) else [value]
        one = Text(self.choices)
        return tuple(dict.fromkeys(str(one.read(item)) for item in given))


@dataclass(frozen=True)
class Ip:
    """An IPv4 address, or with ``kind`` a prefix, or an address with the length of its prefix."""

    kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv4Interface] | type[ipaddress.IPv4Network]

    def read(self, value: object) -> Scalar:
        """Return the value of a leaf.

        Raises:
            ValueError: It is no such value.
        """
        if not isinstance(value, str) or ("/" in value) == (self.kind is ipaddress.IPv4Address):
            raise ValueError("expected an IPv4 address" if self.kind is ipaddress.IPv4Address else "expected a/length")
        return str(self.kind(value))


Type = Number | Text | Texts | Truth | Ip

_PROFILE = "/qos/buffer-management/queue-management-profile"
_SLOPE = f"{_PROFILE}/wred/wred-slope"
_QUEUE = "/qos/interfaces/interface/output/queues/queue"
_BYTES = Number(0, (1 << 32) - 1)
_PERCENT = Number(0, 100)
_STATE = Text(("enable", "disable"))
_PRIORITY = Number(0, 7)
_FORWARDING_CLASSES = tuple(f"fc{number}" for number in range(8))

PFC_QUEUE = "/qos/queues/pfc-queue"
PFC_MAPPING = "/qos/pfc-mapping-profile"
_TRAFFIC = f"{PFC_MAPPING}/received-traffic/unicast-mapping/pfc-queue"
_FRAMES = f"{PFC_MAPPING}/received-pfc-pause-frames"
PFC_ALLOCATION = "/qos/buffer-management/buffer-allocation-profile"
_PORT = "/qos/interfaces/interface"
_SUBINTERFACE = "/interface/subinterface"
_INSTANCE = "/network-instance"
_ROUTE = f"{_INSTANCE}/static-routes/route"
NEXT_HOP_GROUP = f"{_INSTANCE}/next-hop-groups/group"

LISTS: Mapping[str, tuple[str, ...]] = {
    "/interface": ("name",),
    _SUBINTERFACE: ("index",),
    f"{_SUBINTERFACE}/ipv4/address": ("ip-prefix",),
    _INSTANCE: ("name",),
    f"{_INSTANCE}/interface": ("name",),
    _ROUTE: ("prefix",),
    NEXT_HOP_GROUP: ("name",),
    f"{NEXT_HOP_GROUP}/nexthop": ("index",),
    PFC_QUEUE: ("pfc-queue-name",),
    PFC_MAPPING: ("name",),
    _TRAFFIC: ("pfc-queue-name",),
    f"{_FRAMES}/queue": ("queue-name",),
    PFC_ALLOCATION: ("name",),
    f"{PFC_ALLOCATION}/queues/pfc-queue": ("pfc-queue-name",),
    "/qos/interfaces/interface": ("interface-id",),
    _QUEUE: ("queue-name",),
    _PROFILE: ("name",),
    _SLOPE: ("traffic-type", "drop-probability", "enable-ecn"),
}
"""Lists and their keys, in the order of the models."""

PRESENCE = frozenset({"/qos/explicit-congestion-notification"})
"""Containers whose being there is configuration by itself."""

LEAVES: Mapping[str, Type] = {
    "/interface/name": Text(),
    "/interface/admin-state": _STATE,
    "/interface/description": Text(),
    "/interface/mtu": Number(1500, 9500),
    f"{_SUBINTERFACE}/index": Number(0, 9999),
    f"{_SUBINTERFACE}/admin-state": _STATE,
    f"{_SUBINTERFACE}/ipv4/admin-state": _STATE,
    f"{_SUBINTERFACE}/ipv4/address/ip-prefix": Ip(ipaddress.IPv4Interface),
    f"{_INSTANCE}/name": Text(),
    f"{_INSTANCE}/admin-state": _STATE,
    f"{_INSTANCE}/interface/name": Text(),
    f"{_INSTANCE}/static-routes/admin-state": _STATE,
    f"{_ROUTE}/prefix": Ip(ipaddress.IPv4Network),
    f"{_ROUTE}/admin-state": _STATE,
    f"{_ROUTE}/preference": Number(0, 255),
    f"{_ROUTE}/next-hop-group": Text(),
    f"{NEXT_HOP_GROUP}/name": Text(),
    f"{NEXT_HOP_GROUP}/admin-state": _STATE,
    f"{NEXT_HOP_GROUP}/nexthop/index": Number(0, 65535),
    f"{NEXT_HOP_GROUP}/nexthop/admin-state": _STATE,
    f"{NEXT_HOP_GROUP}/nexthop/ip-address": Ip(ipaddress.IPv4Address),
    f"{NEXT_HOP_GROUP}/nexthop/resolve": Truth(),
    f"{PFC_QUEUE}/pfc-queue-name": Text(),
    f"{PFC_QUEUE}/queue-index": _PRIORITY,
    f"{PFC_MAPPING}/name": Text(),
    f"{_TRAFFIC}/pfc-queue-name": Text(),
    f"{_TRAFFIC}/forwarding-class": Texts(_FORWARDING_CLASSES),
    f"{_TRAFFIC}/pfc-pause-frame-priority": _PRIORITY,
    f"{_FRAMES}/queue/queue-name": Text(),
    f"{_FRAMES}/queue/pfc-pause-frame-priority": _PRIORITY,
    f"{_FRAMES}/queue/enable-pfc": Truth(),
    f"{_FRAMES}/deadlock/enable": Truth(),
    f"{_FRAMES}/deadlock/detection-timer": Number(10, 1500),
    f"{_FRAMES}/deadlock/recovery-timer": Number(100, 1500),
    f"{PFC_ALLOCATION}/name": Text(),
    f"{PFC_ALLOCATION}/queues/pfc-queue/pfc-queue-name": Text(),
    f"{PFC_ALLOCATION}/queues/pfc-queue/maximum-burst-size": _BYTES,
    f"{_PORT}/input/pfc-buffer-allocation-profile": Text(),
    f"{_PORT}/pfc/pfc-mapping-profile": Text(),
    f"{_PORT}/pfc/pfc-enable": Truth(),
    "/qos/explicit-congestion-notification/ecn-dscp-policy": Text(),
    "/qos/interfaces/interface/interface-id": Text(),
    f"{_QUEUE}/queue-name": Text(),
    f"{_QUEUE}/queue-management-profile": Text(),
    f"{_PROFILE}/name": Text(),
    f"{_PROFILE}/weight-factor": Number(0, 15),
    f"{_SLOPE}/traffic-type": Text(("tcp", "non-tcp", "all")),
    f"{_SLOPE}/drop-probability": Text(("low", "medium", "high", "all")),
    f"{_SLOPE}/enable-ecn": Truth(),
    f"{_SLOPE}/min-threshold": _BYTES,
    f"{_SLOPE}/max-threshold": _BYTES,
    f"{_SLOPE}/min-threshold-percent": _PERCENT,
    f"{_SLOPE}/max-threshold-percent": _PERCENT,
    f"{_SLOPE}/max-drop-probability-percent": _PERCENT,
    f"{_SLOPE}/slope-enabled": Truth(),
}

REFERENCES: Mapping[str, tuple[str, str]] = {
    f"{_QUEUE}/queue-management-profile": (_PROFILE, "name"),
    f"{_TRAFFIC}/pfc-queue-name": (PFC_QUEUE, "pfc-queue-name"),
    f"{PFC_ALLOCATION}/queues/pfc-queue/pfc-queue-name": (PFC_QUEUE, "pfc-queue-name"),
    f"{_PORT}/input/pfc-buffer-allocation-profile": (PFC_ALLOCATION, "name"),
    f"{_PORT}/pfc/pfc-mapping-profile": (PFC_MAPPING, "name"),
    f"{_ROUTE}/next-hop-group": (NEXT_HOP_GROUP, "name"),
}
"""Leaf -> the list of which it names an entry, and that list's key."""

UNIQUE = (
    f"{PFC_QUEUE}/queue-index",
    f"{_TRAFFIC}/pfc-pause-frame-priority",
    f"{_FRAMES}/queue/pfc-pause-frame-priority",
)
"""Leaves that no two entries of a list have alike."""

CONTAINERS = frozenset(
    path[:end] for path in (*LEAVES, *PRESENCE) for end in range(1, len(path) + 1) if path[end : end + 1] in ("/", "")
) - frozenset(LEAVES)
"""Every path that is not a leaf."""
