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
    """A leaf-list of strings, or with ``choices`` of an enumeration's."""

    choices: tuple[str, ...] = ()

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

PROFILE = "/qos/buffer-management/queue-management-profile"
SLOPE = f"{PROFILE}/wred/wred-slope"
QUEUE = "/qos/queues/queue"
PFC_QUEUE = "/qos/queues/pfc-queue"
FORWARDING_CLASS = "/qos/forwarding-classes/forwarding-class"
DSCP_POLICY = "/qos/classifiers/dscp-policy"
PFC_MAPPING = "/qos/pfc-mapping-profile"
TRAFFIC = f"{PFC_MAPPING}/received-traffic/unicast-mapping/pfc-queue"
FRAMES = f"{PFC_MAPPING}/received-pfc-pause-frames"
PFC_ALLOCATION = "/qos/buffer-management/buffer-allocation-profile"
SCHEDULER_POLICY = "/qos/scheduler-policies/scheduler-policy"
SCHEDULER = f"{SCHEDULER_POLICY}/scheduler"
PORT = "/qos/interfaces/interface"
OUTPUT_QUEUE = f"{PORT}/output/queues/queue"
NEXT_HOP_GROUP = "/network-instance/next-hop-groups/group"

_SUBINTERFACE = "/interface/subinterface"
_INSTANCE = "/network-instance"
_ROUTE = f"{_INSTANCE}/static-routes/route"
_HASH = "/system/load-balancing/hash-options"
_GRPC = "/system/grpc-server"

_BYTES = Number(0, (1 << 32) - 1)
_WIDE_BYTES = Number(0, (1 << 64) - 1)
_PERCENT = Number(0, 100)
_STATE = Text(("enable", "disable"))
_PRIORITY = Number(0, 7)
_PROBABILITIES = ("low", "medium", "high")
_FORWARDING_CLASSES = tuple(f"fc{number}" for number in range(8))

LISTS: Mapping[str, tuple[str, ...]] = {
    "/interface": ("name",),
    _SUBINTERFACE: ("index",),
    f"{_SUBINTERFACE}/ipv4/address": ("ip-prefix",),
    _INSTANCE: ("name",),
    f"{_INSTANCE}/interface": ("name",),
    _ROUTE: ("prefix",),
    NEXT_HOP_GROUP: ("name",),
    f"{NEXT_HOP_GROUP}/nexthop": ("index",),
    QUEUE: ("name",),
    PFC_QUEUE: ("pfc-queue-name",),
    FORWARDING_CLASS: ("name",),
    DSCP_POLICY: ("name",),
    f"{DSCP_POLICY}/dscp": ("value",),
    PFC_MAPPING: ("name",),
    TRAFFIC: ("pfc-queue-name",),
    f"{FRAMES}/queue": ("queue-name",),
    PFC_ALLOCATION: ("name",),
    f"{PFC_ALLOCATION}/queues/pfc-queue": ("pfc-queue-name",),
    SCHEDULER_POLICY: ("name",),
    SCHEDULER: ("sequence",),
    f"{SCHEDULER}/input": ("id",),
    PORT: ("interface-id",),
    OUTPUT_QUEUE: ("queue-name",),
    PROFILE: ("name",),
    SLOPE: ("traffic-type", "drop-probability", "enable-ecn"),
    _GRPC: ("name",),
}
"""Lists and their keys, in the order of the models."""

PRESENCE = frozenset({"/qos/explicit-congestion-notification", f"{PORT}/input/classifiers"})
"""Containers whose being there is configuration by itself."""

LEAVES: Mapping[str, Type] = {
    "/interface/name": Text(),
    "/interface/admin-state": _STATE,
    "/interface/description": Text(),
    "/interface/mtu": Number(1500, 9500),
    f"{_SUBINTERFACE}/index": Number(0, 9999),
    f"{_SUBINTERFACE}/admin-state": _STATE,
    f"{_SUBINTERFACE}/ip-mtu": Number(1280, 9486),
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
    f"{QUEUE}/name": Text(),
    f"{QUEUE}/queue-index": _PRIORITY,
    f"{PFC_QUEUE}/pfc-queue-name": Text(),
    f"{PFC_QUEUE}/queue-index": _PRIORITY,
    f"{FORWARDING_CLASS}/name": Text(),
    f"{FORWARDING_CLASS}/output/unicast-queue": Text(),
    f"{DSCP_POLICY}/name": Text(),
    f"{DSCP_POLICY}/dscp/value": Number(0, 63),
    f"{DSCP_POLICY}/dscp/forwarding-class": Text(),
    f"{DSCP_POLICY}/dscp/drop-probability": Text(_PROBABILITIES),
    f"{PFC_MAPPING}/name": Text(),
    f"{TRAFFIC}/pfc-queue-name": Text(),
    f"{TRAFFIC}/forwarding-class": Texts(_FORWARDING_CLASSES),
    f"{TRAFFIC}/pfc-pause-frame-priority": _PRIORITY,
    f"{FRAMES}/queue/queue-name": Text(),
    f"{FRAMES}/queue/pfc-pause-frame-priority": _PRIORITY,
    f"{FRAMES}/queue/enable-pfc": Truth(),
    f"{FRAMES}/deadlock/enable": Truth(),
    f"{FRAMES}/deadlock/detection-timer": Number(10, 1500),
    f"{FRAMES}/deadlock/recovery-timer": Number(100, 1500),
    f"{PFC_ALLOCATION}/name": Text(),
    f"{PFC_ALLOCATION}/queues/pfc-queue/pfc-queue-name": Text(),
    f"{PFC_ALLOCATION}/queues/pfc-queue/maximum-burst-size": _BYTES,
    f"{PFC_ALLOCATION}/queues/pfc-queue/maximum-pfc-reserved-share-bytes": Number(0, 104_857_600),
    f"{SCHEDULER_POLICY}/name": Text(),
    f"{SCHEDULER}/sequence": Number(0, 1),
    f"{SCHEDULER}/priority": Text(("strict",)),
    f"{SCHEDULER}/input/id": Text(),
    f"{SCHEDULER}/input/input-type": Text(("queue",)),
    f"{SCHEDULER}/input/queue-name": Text(),
    f"{SCHEDULER}/input/peak-rate-percent": Number(1, 100),
    f"{SCHEDULER}/input/weight": Number(1, 127),
    f"{PORT}/interface-id": Text(),
    f"{PORT}/interface-ref/interface": Text(),
    f"{PORT}/interface-ref/subinterface": Number(0, 9999),
    f"{PORT}/input/classifiers/dscp-policy": Text(),
    f"{PORT}/input/pfc-buffer-allocation-profile": Text(),
    f"{PORT}/pfc/pfc-mapping-profile": Text(),
    f"{PORT}/pfc/pfc-enable": Truth(),
    f"{PORT}/output/scheduler/scheduler-policy": Text(),
    f"{OUTPUT_QUEUE}/queue-name": Text(),
    f"{OUTPUT_QUEUE}/queue-management-profile": Text(),
    "/qos/explicit-congestion-notification/ecn-dscp-policy": Text(),
    f"{PROFILE}/name": Text(),
    f"{PROFILE}/weight-factor": Number(0, 15),
    f"{SLOPE}/traffic-type": Text(("tcp", "non-tcp", "all")),
    f"{SLOPE}/drop-probability": Text((*_PROBABILITIES, "all")),
    f"{SLOPE}/enable-ecn": Truth(),
    f"{SLOPE}/min-threshold": _WIDE_BYTES,
    f"{SLOPE}/max-threshold": _WIDE_BYTES,
    f"{SLOPE}/min-threshold-percent": _PERCENT,
    f"{SLOPE}/max-threshold-percent": _PERCENT,
    f"{SLOPE}/max-drop-probability-percent": _PERCENT,
    f"{SLOPE}/slope-enabled": Truth(),
    f"{_HASH}/source-address": Truth(),
    f"{_HASH}/destination-address": Truth(),
    f"{_HASH}/source-port": Truth(),
    f"{_HASH}/destination-port": Truth(),
    f"{_HASH}/protocol": Truth(),
    f"{_HASH}/ipv6-flow-label": Truth(),
    f"{_GRPC}/name": Text(),
    f"{_GRPC}/admin-state": _STATE,
    f"{_GRPC}/network-instance": Text(),
    f"{_GRPC}/services": Texts(),
    "/system/lldp/admin-state": _STATE,
    "/system/name/host-name": Text(),
}

REFERENCES: Mapping[str, tuple[str, str]] = {
    f"{OUTPUT_QUEUE}/queue-name": (QUEUE, "name"),
    f"{OUTPUT_QUEUE}/queue-management-profile": (PROFILE, "name"),
    f"{FORWARDING_CLASS}/output/unicast-queue": (QUEUE, "name"),
    f"{DSCP_POLICY}/dscp/forwarding-class": (FORWARDING_CLASS, "name"),
    f"{TRAFFIC}/pfc-queue-name": (PFC_QUEUE, "pfc-queue-name"),
    f"{FRAMES}/queue/queue-name": (QUEUE, "name"),
    f"{PFC_ALLOCATION}/queues/pfc-queue/pfc-queue-name": (PFC_QUEUE, "pfc-queue-name"),
    f"{SCHEDULER}/input/queue-name": (QUEUE, "name"),
    f"{PORT}/interface-ref/interface": ("/interface", "name"),
    f"{PORT}/input/classifiers/dscp-policy": (DSCP_POLICY, "name"),
    f"{PORT}/input/pfc-buffer-allocation-profile": (PFC_ALLOCATION, "name"),
    f"{PORT}/pfc/pfc-mapping-profile": (PFC_MAPPING, "name"),
    f"{PORT}/output/scheduler/scheduler-policy": (SCHEDULER_POLICY, "name"),
    f"{_ROUTE}/next-hop-group": (NEXT_HOP_GROUP, "name"),
}
"""Leaf -> the list of which it names an entry, and that list's key."""

UNIQUE = (
    f"{PFC_QUEUE}/queue-index",
    f"{TRAFFIC}/pfc-pause-frame-priority",
    f"{FRAMES}/queue/pfc-pause-frame-priority",
)
"""Leaves that no two entries of a list have alike."""

MANDATORY: Mapping[str, str] = {
    QUEUE: "queue-index",
    PFC_QUEUE: "queue-index",
    FORWARDING_CLASS: "output/unicast-queue",
}
"""List -> a leaf that every entry of it has."""

RESERVED = (PROFILE, PFC_ALLOCATION, PFC_MAPPING, SCHEDULER_POLICY, DSCP_POLICY)
"""Lists in which no entry may be called ``default``."""

CONTAINERS = frozenset(
    path[:end] for path in (*LEAVES, *PRESENCE) for end in range(1, len(path) + 1) if path[end : end + 1] in ("/", "")
) - frozenset(LEAVES)
"""Every path that is not a leaf."""
