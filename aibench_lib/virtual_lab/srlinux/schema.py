"""The configuration paths that the simulated SR Linux knows, with types and ranges of the vendor's YANG models."""

from collections.abc import Mapping
from dataclasses import dataclass

Scalar = int | str | bool


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


Type = Number | Text | Truth

_PROFILE = "/qos/buffer-management/queue-management-profile"
_SLOPE = f"{_PROFILE}/wred/wred-slope"
_QUEUE = "/qos/interfaces/interface/output/queues/queue"
_BYTES = Number(0, (1 << 32) - 1)
_PERCENT = Number(0, 100)

LISTS: Mapping[str, tuple[str, ...]] = {
    "/interface": ("name",),
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
    "/interface/admin-state": Text(("enable", "disable")),
    "/interface/description": Text(),
    "/interface/mtu": Number(1500, 9500),
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

CONTAINERS = frozenset(
    path[:end] for path in (*LEAVES, *PRESENCE) for end in range(1, len(path) + 1) if path[end : end + 1] in ("/", "")
) - frozenset(LEAVES)
"""Every path that is not a leaf."""
