"""Switch platforms as data: what a platform can express, in which units, and the words it wants to hear.

A platform is a folder ``templates/<platform>/`` with a ``platform.yml`` and one small template a feature.
Adding a platform adds a folder, no Python.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from aibench_lib.errors import SpecError
from aibench_lib.spec import build, load_yaml

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

KEY = "key"
"""The group of a CLI pattern that says which of several entries a line is about."""

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


class Transport(StrEnum):
    """How a platform is configured."""

    NETMIKO = "netmiko"
    """A command line over SSH."""
    GNMI = "gnmi"


class Source(StrEnum):
    """Who says so: the provenance of a group of facts."""

    VENDOR_DOC = "vendor-doc"
    VENDOR_YANG = "vendor-yang"
    THIRD_PARTY = "third-party"
    """Public configurations and generators that were seen to work."""


@dataclass(frozen=True, kw_only=True)
class Cli:
    """How to talk to a command line; commands may hold the placeholder ``{session}``."""

    source: Source
    device_type: str
    """netmiko's name of the driver."""
    port: int
    privileged: bool
    """Whether the running configuration is only shown in privileged mode."""
    error_pattern: str
    """Regular expression for a line with which the switch refuses a command."""
    running_config: str
    not_config: list[str]
    """Regular expressions for lines of the running configuration that are not configuration, such as comments."""
    not_restorable: list[str]
    """Regular expressions for lines that cannot be written back one by one; a switch that has them is not changed."""
    begin: str
    """Opens a candidate configuration; nothing takes effect before ``commit``."""
    clear: str
    """Empties the candidate, so that a whole configuration can be written into it."""
    commit: str
    abort: str


@dataclass(frozen=True, kw_only=True)
class Gnmi:
    """How to talk gNMI."""

    source: Source
    port: int
    encoding: str
    snapshot: list[str] = field(default_factory=list)
    """Subtrees that hold everything the templates of this platform touch; empty where the CLI configures."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """What a platform accepts for one value."""

    min: int
    max: int
    unit: str
    reason: str
    """What sets the limits."""
    step: int = 1
    """A value is a multiple of this."""

    def refusal(self, value: int) -> str | None:
        """Return why ``value`` is not attainable, or None if it is."""
        if value > self.max:
            return f"{value} > max {self.max} {self.unit}"
        if value < self.min:
            return f"{value} < min {self.min} {self.unit}"
        if value % self.step:
            return f"{value} is no multiple of {self.step} {self.unit}"
        return None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The words a platform accepts for one value."""

    values: list[str]
    lacking: list[str] = field(default_factory=list)
    """Words that other platforms accept and this one does not."""
    reason: str
    """Why it has these."""

    def refusal(self, value: str) -> str | None:
        """Return why ``value`` is not attainable, or None if it is."""
        return None if value in self.values else f"{value!r} is not one of {', '.join(self.values)}"


@dataclass(frozen=True, kw_only=True)
class Block:
    """Lines of a CLI that stand below the same enclosing lines."""

    within: list[str] = field(default_factory=list)
    """The enclosing lines, outermost first.  They and the patterns may name options, as in ``{queue}``."""
    lines: list[str]
    """Regular expressions; a named group is a value.  Beside a group ``key`` the values are mappings key -> value."""


@dataclass(frozen=True, kw_only=True)
class ReadBack:
    """Where the values of a feature stand after they were applied: lines of a CLI, or gNMI paths."""

    blocks: list[Block] = field(default_factory=list)
    """CLI."""
    paths: dict[str, dict[str, str]] = field(default_factory=dict)
    """gNMI: path -> {value: leaf below it}.  Below a path with the placeholder ``{interface}`` the value is a mapping
    interface -> value, over the host's option ``interfaces``; below one with ``{prefix}``, over the routes' prefixes.
    Paths and leaves may name options, as in ``{queue}``."""
    fixed: dict[str, Any] = field(default_factory=dict)
    """Values that every switch of this platform has, so that nothing is read."""
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    """Value -> {what the switch shows: our word}; it shows ``absent`` where it shows nothing."""
    scale: dict[str, int] = field(default_factory=dict)
    """Value -> what the number that the switch shows is multiplied with."""

    @property
    def names(self) -> set[str]:
        """The values that are read."""
        groups = {name for block in self.blocks for line in block.lines for name in re.compile(line).groupindex}
        return (groups - {KEY}) | {name for leaves in self.paths.values() for name in leaves} | set(self.fixed)


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One thing a platform can be told, such as its ECN thresholds."""

    source: Source
    template: str | None = None
    """None where there is nothing to tell the switch."""
    options: list[str] = field(default_factory=list)
    """Keys of the host's ``switch:`` mapping that the template needs."""
    ranges: dict[str, Range] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    each: dict[str, str] = field(default_factory=dict)
    """Values that are mappings prefix -> text, one entry a route -> the regular expression that the text matches."""
    implied: list[str] = field(default_factory=list)
    """Values that follow from the others on this platform; they are neither told nor read back."""
    always: dict[str, Any] = field(default_factory=dict)
    """Values the template sets beside the requested ones; text may name options, and ``{prefix}`` below such a path."""
    read_back: ReadBack


@dataclass(frozen=True, kw_only=True)
class TelemetryPath:
    """One gNMI subscription and how its leaves become fields of a record."""

    source: Source
    measurement: str
    path: str
    """With the placeholders ``{interface}``, ``{queue}`` and ``{priority}`` as key values; those keys become tags."""
    mode: str
    """``sample`` or ``on_change``."""
    leaves: dict[str, str]
    """Device leaf -> our field; a counter or a depth, read as an integer."""
    tag_leaves: dict[str, str] = field(default_factory=dict)
    """Device leaf -> our tag, for records that name their port and queue in leaves and not in keys."""
    true_when: dict[str, str] = field(default_factory=dict)
    """Our field -> the device's word for true; such a field is a boolean."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Everything the drivers, the collector and the templates need to know of one platform."""

    name: str
    title: str
    transport: Transport
    cli: Cli | None = None
    gnmi: Gnmi
    options: dict[str, str]
    """Keys of a host's ``switch:`` mapping -> what they mean."""
    features: dict[str, Feature]
    telemetry: list[TelemetryPath]

    def feature(self, name: str) -> Feature:
        """Return one feature.

        Raises:
            SpecError: The platform has no such feature.
        """
        if name not in self.features:
            raise SpecError(f"feature {name!r}: {self.title} has {', '.join(sorted(self.features))}")
        return self.features[name]


def platform_names(folder: Path = TEMPLATES) -> list[str]:
    """Return the names of the platforms there are."""
    return sorted(path.parent.name for path in folder.glob("*/platform.yml"))


@cache
def load_platform(name: str, folder: Path = TEMPLATES) -> Platform:
    """Return a platform as its ``platform.yml`` describes it; a process reads the file once.

    Raises:
        SpecError: No such platform (the message lists what there is), or the file has an unknown or missing key.
    """
    names = platform_names(folder)
    if name not in names:
        raise SpecError(f"platform {name!r}: there is no templates/{name}/platform.yml; known: {', '.join(names)}")
    path = folder / name / "platform.yml"
    parts = _mapping(load_yaml(path), str(path))
    platform = _platform({"name": name, **parts}, f"{path}: ")
    for feature in platform.features.values():
        if feature.template is not None and not (path.parent / feature.template).is_file():
            raise SpecError(f"{path}: template: there is no {feature.template} beside this file")
    return platform


def _platform(parts: dict[str, object], where: str) -> Platform:
    for key, kind in (("cli", Cli), ("gnmi", Gnmi)):
        if key in parts:
            parts[key] = _facts(kind, parts[key], where + key)
    features = _mapping(parts.get("features"), where + "features")
    parts["features"] = {name: _feature(values, f"{where}features.{name}") for name, values in features.items()}
    telemetry = parts.get("telemetry")
    if not isinstance(telemetry, list):
        raise SpecError(f"{where}telemetry: expected a list, found {type(telemetry).__name__}")
    parts["telemetry"] = [_telemetry(values, f"{where}telemetry[{number}]") for number, values in enumerate(telemetry)]
    parts["transport"] = _word(Transport, parts.get("transport"), where + "transport")
    platform = build(Platform, parts, where.removesuffix(": "))
    if platform.transport is Transport.NETMIKO and platform.cli is None:
        raise SpecError(f"{where}cli: missing; transport netmiko needs it")
    if platform.transport is Transport.GNMI and not platform.gnmi.snapshot:
        raise SpecError(f"{where}gnmi.snapshot: missing; transport gnmi needs to know what to bring back")
    return platform


def _feature(values: object, where: str) -> Feature:
    parts = _mapping(values, where)
    for key, kind in (("ranges", Range), ("choices", Choice)):
        limits = _mapping(parts.get(key, {}), f"{where}.{key}")
        parts[key] = {name: build(kind, limit, f"{where}.{key}.{name}") for name, limit in limits.items()}
    parts["read_back"] = _read_back(parts.get("read_back"), f"{where}.read_back")
    return _facts(Feature, parts, where)


def _read_back(values: object, where: str) -> ReadBack:
    parts = _mapping(values, where)
    blocks = parts.get("blocks", [])
    if not isinstance(blocks, list):
        raise SpecError(f"{where}.blocks: expected a list, found {type(blocks).__name__}")
    read = [build(Block, block, f"{where}.blocks[{number}]") for number, block in enumerate(blocks)]
    for line in (line for block in read for line in block.lines):
        try:
            re.compile(line)
        except re.error as error:
            raise SpecError(f"{where}.blocks: {line!r} is not a regular expression: {error}") from error
    return build(ReadBack, {**parts, "blocks": read}, where)


def _telemetry(values: object, where: str) -> TelemetryPath:
    entry = _facts(TelemetryPath, values, where)
    if entry.mode not in ("sample", "on_change"):
        raise SpecError(f"{where}.mode: {entry.mode!r} is neither sample nor on_change")
    return entry


def _facts(kind: type[T], values: object, where: str) -> T:
    """Build a group of facts, whose ``source`` must be one of the words of `Source`."""
    parts = _mapping(values, where)
    if "source" in parts:
        parts["source"] = _word(Source, parts["source"], f"{where}.source")
    return build(kind, parts, where)


def _mapping(values: object, where: str) -> dict[str, object]:
    if not isinstance(values, Mapping):
        raise SpecError(f"{where}: expected keys and values, found {type(values).__name__}")
    return dict(values)


def _word(kind: type[W], value: object, where: str) -> W:
    try:
        return kind(str(value))
    except ValueError as error:
        raise SpecError(f"{where}: {value!r} is not one of {', '.join(kind)}") from error
