"""The records of a ``platform.yml``: how to talk to a switch, and what it can be told."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

from aibench_lib.errors import SpecError
from aibench_lib.platforms.shown import DeviceFacts, Polled, TelemetryPath
from aibench_lib.platforms.source import Source

KEY = "key"
"""The group of a CLI pattern that says which of several entries a line is about."""


class Transport(StrEnum):
    """How a platform is configured."""

    NETMIKO = "netmiko"
    """A command line over SSH."""
    GNMI = "gnmi"


class Shape(StrEnum):
    """What the text of a configuration looks like."""

    INDENTED = "indented"
    """A line belongs to the nearest line above it that is indented less."""
    FLAT = "flat"
    """Every line stands for itself and names its whole path."""
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class Edit:
    """How a rendered change takes effect.  Commands may hold ``{change}``, a name that no other change has."""

    begin: list[str] = field(default_factory=list)
    """What comes before the rendered lines, such as opening a candidate configuration."""
    file: str | None = None
    """Where a rendered change is put as a whole, for ``commit`` to load it; None: its lines are typed one by one."""
    commit: list[str] = field(default_factory=list)
    """What makes the lines take effect; empty where each did when it was typed."""
    abort: list[str] = field(default_factory=list)
    """What leaves and forgets a change that was refused in the middle."""
    end: list[str] = field(default_factory=list)
    """What leads back to where ``begin`` started."""
    atomic: bool
    """Whether a refused or broken change has changed nothing."""


@dataclass(frozen=True, kw_only=True)
class DeadMan:
    """How the switch takes a change back by itself unless it is confirmed in time: for a controller that dies.

    Commands may hold ``{change}``, ``{checkpoint}`` (of `Checkpoint`), and the time as ``{seconds}``, ``{minutes}`` or
    ``{clock}`` (HH:MM:SS).
    """

    source: Source
    arm: list[str] = field(default_factory=list)
    """Before the change."""
    commit: list[str] = field(default_factory=list)
    """In place of the commands of `Edit`; empty where ``arm`` is enough."""
    confirm: list[str]
    """Keeps the change."""
    cancel: list[str]
    """Takes the change back at once; a switch that has already done so may refuse it."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The switch's own copy of its configuration.  Commands may hold ``{checkpoint}``, its name."""

    source: Source
    create: list[str]
    show: str
    """The command that shows which there are."""
    name: str
    """Regular expression with a group ``name``, matched with each line of that."""
    slots: int | None = None
    """How many there can be; None where no limit is known."""
    restore: list[str]
    remove: list[str]


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """Candidate configurations that the switch keeps under a name, until they are committed or aborted."""

    source: Source
    show: str
    """The command that shows which there are."""
    name: str
    """Regular expression with a group ``name``, matched with each line of that."""


class TextRestore(StrEnum):
    """How the configuration is brought back from its text."""

    REPLACE = "replace"
    """``clear`` empties the candidate, then the whole text is written into it."""
    DIFFERENCE = "difference"
    """Only what differs is written: missing lines as they are, lines too many negated with ``negate``."""
    FILE = "file"
    """The text is put into a file that the ``load`` commands make the configuration."""


@dataclass(frozen=True, kw_only=True)
class FromText:
    """How the configuration is brought back from the text on our side."""

    source: Source
    by: TextRestore
    clear: list[str] = field(default_factory=list)
    file: str = ""
    load: list[str] = field(default_factory=list)
    """With ``{file}``."""
    negate: list[str] = field(default_factory=list)
    """Of a flat text: the first word of a line and what stands in its place to remove it, such as [set, delete]; of an
    indented text: the word before a line that removes it, such as [no]."""
    removed_by: dict[str, str] = field(default_factory=dict)
    r"""Of an indented text: regular expression for lines that are not removed by the word before the whole of them ->
    what follows the word, with ``\1`` for a group.  A line for which that is the same replaces one."""


@dataclass(frozen=True, kw_only=True)
class Cli:
    """How to talk to a command line."""

    source: Source
    device_type: str
    """netmiko's name of the driver."""
    port: int
    privileged: bool = False
    """Whether the running configuration is only shown in privileged mode."""
    error_pattern: str
    """Regular expression for a line with which the switch refuses a command."""
    running_config: str
    shape: Shape
    not_config: list[str] = field(default_factory=list)
    """Regular expressions for lines of the running configuration that are not configuration, such as comments."""
    not_restorable: list[str] = field(default_factory=list)
    """Regular expressions for lines that cannot be written back one by one: then only the switch's own checkpoint
    brings it back, and a switch that keeps none is not changed."""
    edit: Edit
    dead_man: DeadMan | None = None
    checkpoint: Checkpoint | None = None
    sessions: Sessions | None = None
    from_text: FromText
    clear_counters: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Gnmi:
    """How to talk gNMI."""

    source: Source
    port: int
    encoding: str
    prefixes: dict[str, str] = field(default_factory=dict)
    """How an interface's name begins on the command line -> how it begins in gNMI, such as Ethernet -> eth."""
    snapshot: list[str] = field(default_factory=list)
    """Subtrees that hold everything the templates of this platform touch; empty where the CLI configures.  One with the
    placeholder ``{interface}`` is there for each of the host's option ``interfaces``."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """What a platform accepts for one value, in the platform's own unit."""

    min: int
    max: int
    unit: str
    """The platform's, such as bytes, KB, percent or ms."""
    reason: str
    """What sets the limits."""
    step: int = 1
    """A value is a multiple of this."""
    per_unit: int = 1
    """How many of our unit (bytes, ms) one of the platform's is, such as 1000 for KB."""
    percent_of: str | None = None
    """The option of the host of which the platform takes whole per cents; then the nearest is told, and what the switch
    makes of it is read back."""

    def told(self, value: int, options: Mapping[str, Any]) -> int | None:
        """Return a value in the platform's unit; None if there is no such whole number."""
        exact = Fraction(value) / self.quantum(options)
        return round(exact) if self.percent_of or exact.denominator == 1 else None

    def quantum(self, options: Mapping[str, Any]) -> Fraction:
        """Return one of the platform's unit in ours."""
        return Fraction(int(options[self.percent_of]), 100) if self.percent_of else Fraction(self.per_unit)

    def refusal(self, value: int, options: Mapping[str, Any]) -> str | None:
        """Return why ``value``, in our unit, is not attainable, or None if it is."""
        quantum, told = self.quantum(options), self.told(value, options)
        if told is None:
            return f"{value} is no multiple of {self.per_unit} (the switch takes {self.unit})"
        if not self.min <= told <= self.max:
            word, limit = ("max", self.max) if told > self.max else ("min", self.min)
            in_ours = "" if quantum == 1 else f" = {float(limit * quantum):g}"
            return f"{value} {'>' if word == 'max' else '<'} {word} {limit} {self.unit}{in_ours}"
        if told % self.step:
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

    def refusal(self, value: str, _options: Mapping[str, Any] | None = None) -> str | None:
        """Return why ``value`` is not attainable, or None if it is."""
        return None if value in self.values else f"{value!r} is not one of {', '.join(self.values)}"


@dataclass(frozen=True, kw_only=True)
class Block:
    """Lines of a CLI that stand below the same enclosing lines."""

    within: list[str] = field(default_factory=list)
    """The enclosing lines, outermost first.  They and the patterns may name options, as in ``{queue}``."""
    lines: list[str]
    """Regular expressions; a named group is a value.  Beside a group ``key`` the values are mappings key -> value: over
    the routes' prefixes where the feature has routes, else over the host's option ``interfaces``."""
    each_interface: bool = False
    """Whether the lines stand below each of the host's option ``interfaces``, which is ``{interface}`` then; the values
    are mappings interface -> value."""


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
    absent: dict[str, Any] = field(default_factory=dict)
    """Value -> what it is where the switch shows nothing."""
    scale: dict[str, int] = field(default_factory=dict)
    """Value -> what the number that the switch shows is multiplied with."""

    @property
    def names(self) -> set[str]:
        """The values that are read."""
        groups = {name for block in self.blocks for line in block.lines for name in re.compile(line).groupindex}
        return (groups - {KEY}) | {name for leaves in self.paths.values() for name in leaves} | set(self.fixed)

    @property
    def keyed(self) -> set[str]:
        """The values that stand in lines with a group ``key``."""
        lines = [(block, set(re.compile(line).groupindex)) for block in self.blocks for line in block.lines]
        return {name for block, names in lines if KEY in names or block.each_interface for name in names} - {KEY}


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a switch needs for a feature that not every switch of its platform has."""

    option: str
    """The option of the host that lists what the switch has; a host without this option has everything."""
    word: str
    """What the list must hold."""
    reason: str
    """What is not there without it, such as: ECN not available in this kernel."""

    def refusal(self, options: Mapping[str, Any]) -> str | None:
        """Return why the feature is not attainable on a host with these options, or None if it is."""
        return self.reason if self.option in options and self.word not in options[self.option] else None


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One thing a platform can be told, such as its ECN thresholds."""

    source: Source
    template: str | None = None
    """None where there is nothing to tell the switch."""
    options: list[str] = field(default_factory=list)
    """Keys of the host's ``switch:`` mapping that the template needs."""
    needs: Need | None = None
    ranges: dict[str, Range] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    each: dict[str, str] = field(default_factory=dict)
    """Values that are mappings prefix -> text, one entry a route -> the regular expression that the text matches."""
    names: dict[str, str] = field(default_factory=dict)
    """Values that say which one is meant, such as an interface -> the regular expression that they match.  They stand
    in braces in read-backs, as options do, and are not read back."""
    lacking: dict[str, str] = field(default_factory=dict)
    """Values that other platforms take and this one cannot -> why; asking for one is not attainable."""
    implied: list[str] = field(default_factory=list)
    """Values that follow from the others on this platform; they are neither told nor read back."""
    exclusive: list[str] = field(default_factory=list)
    """Values of which the switch has one at a time; asking for more is not attainable."""
    always: dict[str, Any] = field(default_factory=dict)
    """Values the template sets beside the requested ones; text may name options, requested values (so that one which
    stands in two places is read from both), and ``{prefix}`` below such a path."""
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Value -> what the template sets beside that one where it is not asked for itself."""
    read_back: ReadBack


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
    lossless_priorities: int | None = None
    """How many priorities can be lossless at the same time; None where no limit is known."""
    facts: DeviceFacts | None = None
    telemetry: list[TelemetryPath]
    polled: list[Polled] = field(default_factory=list)
    """Instead of ``telemetry``."""

    def feature(self, name: str) -> Feature:
        """Return one feature.

        Raises:
            SpecError: The platform has no such feature.
        """
        if name not in self.features:
            raise SpecError(f"feature {name!r}: {self.title} has {', '.join(sorted(self.features))}")
        return self.features[name]
