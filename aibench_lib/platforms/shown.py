"""The records of a ``platform.yml``: what a switch shows of itself, when it is asked and again and again."""

import re
from dataclasses import dataclass, field
from typing import Any

from aibench_lib.platforms.source import Source


@dataclass(frozen=True, kw_only=True)
class Show:
    """What one command or one path shows of the switch."""

    command: str | None = None
    """CLI."""
    lines: list[str] = field(default_factory=list)
    """Regular expressions, matched with each line of what the command shows; a named group is a fact.  Beside a group
    ``key`` it is a fact of the interface that the key names."""
    path: str | None = None
    """gNMI, instead of a command.  With the placeholder ``{interface}`` it is read for every interface."""
    leaves: dict[str, str] = field(default_factory=dict)
    """Fact -> leaf below the path."""
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    """Fact -> {what the switch shows, in lower case: our word}."""
    scale: dict[str, int] = field(default_factory=dict)
    """Fact -> what the number that the switch shows is multiplied with, such as 1000000 for Mb/s."""
    rename: dict[str, str] = field(default_factory=dict)
    """Regular expression -> what stands in its place in an interface's name, where a show abbreviates it."""

    @property
    def told(self) -> set[str]:
        """The facts that it is about."""
        return {name for line in self.lines for name in re.compile(line).groupindex} | set(self.leaves)


@dataclass(frozen=True, kw_only=True)
class DeviceFacts:
    """What a switch says of itself.

    Of the switch: ``model``, ``asic``, ``software``, ``buffer_bytes``, ``clock``, and ``timezone`` where the clock does
    not name it.  Of an interface: ``oper`` and ``admin`` (up or down), ``speed_bps`` (a number, or one with a letter as
    in 400G), ``mtu``, ``address``, ``neighbour`` and ``neighbour_port`` (LLDP).  A line that tells of an interface and
    names none is about the one that was named last.
    """

    source: Source
    vendor: str
    mtu_overhead_bytes: int = 0
    """What the switch counts into ``mtu`` beside the IP packet, such as 14 where it is that of the Ethernet frame."""
    shows: list[Show]


@dataclass(frozen=True, kw_only=True)
class TelemetryPath:
    """One gNMI subscription and how its leaves become fields of a record."""

    source: Source
    measurement: str
    path: str
    """With the placeholders ``{interface}``, ``{queue}`` and ``{priority}`` as key values; those keys become tags.  An
    element ``/{interface}`` is for a switch whose paths have no keys: it is subscribed to port by port."""
    mode: str
    """``sample`` or ``on_change``."""
    leaves: dict[str, str]
    """Device leaf -> our field; a counter or a depth, read as an integer.  A leaf, too, may hold ``{queue}`` and
    ``{priority}``."""
    origin: str = ""
    """Of the path; empty for the switch's own default."""
    target: str = ""
    """Of the prefix, which some switches take for a database."""
    tag_leaves: dict[str, str] = field(default_factory=dict)
    """Device leaf -> our tag, for records that name their port and queue in leaves and not in keys."""
    true_when: dict[str, str] = field(default_factory=dict)
    """Our field -> the device's word for true; such a field is a boolean."""
    scale: dict[str, int] = field(default_factory=dict)
    """Our field -> what the device's number is multiplied with, such as 1000 for microseconds."""


@dataclass(frozen=True, kw_only=True)
class PolledSample:
    """What one list in a polled document means: its entries become records."""

    measurement: str
    list: str
    """The document's key of the list."""
    interface: str = ""
    """An entry's key of its interface; empty: the entry is about the whole switch."""
    where: dict[str, Any] = field(default_factory=dict)
    """Of an entry that counts: key -> value; other entries are passed over."""
    leaves: dict[str, str]
    """Path of keys in an entry, ``stats64/rx/bytes`` -> our field."""
    true_when: dict[str, str] = field(default_factory=dict)
    """Our field -> the device's word for true; such a field is a boolean."""
    scale: dict[str, int] = field(default_factory=dict)
    """Our field -> what the device's number is multiplied with."""


@dataclass(frozen=True, kw_only=True)
class Polled:
    """Telemetry of a switch that streams none: a command that prints a document again and again."""

    source: Source
    command: str
    """With ``{interval_seconds}``; prints one JSON object a line, with ``time_ns`` [ns since the epoch]."""
    samples: list[PolledSample]
