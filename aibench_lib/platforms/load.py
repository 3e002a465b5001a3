"""Read a ``platform.yml``, and refuse one that is not whole."""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TypeVar

from aibench_lib.errors import SpecError
from aibench_lib.platforms.model import (
    Block,
    Checkpoint,
    Choice,
    Cli,
    DeadMan,
    Edit,
    Feature,
    FromText,
    Gnmi,
    Need,
    Platform,
    Range,
    ReadBack,
    Sessions,
    Shape,
    TextRestore,
    Transport,
)
from aibench_lib.platforms.shown import DeviceFacts, Polled, PolledSample, Show, TelemetryPath
from aibench_lib.platforms.source import Source
from aibench_lib.spec import build, load_yaml

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"


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
    if "cli" in parts:
        parts["cli"] = _cli(parts["cli"], where + "cli")
    if "gnmi" in parts:
        parts["gnmi"] = _facts(Gnmi, parts["gnmi"], where + "gnmi")
    if "facts" in parts:
        parts["facts"] = _device_facts(parts["facts"], where + "facts")
    features = _mapping(parts.get("features"), where + "features")
    parts["features"] = {name: _feature(values, f"{where}features.{name}") for name, values in features.items()}
    telemetry = parts.get("telemetry")
    if not isinstance(telemetry, list):
        raise SpecError(f"{where}telemetry: expected a list, found {type(telemetry).__name__}")
    parts["telemetry"] = [_telemetry(values, f"{where}telemetry[{number}]") for number, values in enumerate(telemetry)]
    if "polled" in parts:
        if not isinstance(parts["polled"], list):
            raise SpecError(f"{where}polled: expected a list, found {type(parts['polled']).__name__}")
        parts["polled"] = [_polled(one, f"{where}polled[{number}]") for number, one in enumerate(parts["polled"])]
    parts["transport"] = _word(Transport, parts.get("transport"), where + "transport")
    platform = build(Platform, parts, where.removesuffix(": "))
    if platform.transport is Transport.NETMIKO and platform.cli is None:
        raise SpecError(f"{where}cli: missing; transport netmiko needs it")
    if platform.polled and (platform.cli is None or platform.telemetry):
        raise SpecError(f"{where}polled: is for a platform with `cli` and without `telemetry`")
    if platform.transport is Transport.GNMI and not platform.gnmi.snapshot:
        raise SpecError(f"{where}gnmi.snapshot: missing; transport gnmi needs to know what to bring back")
    return platform


def _cli(values: object, where: str) -> Cli:
    parts = _mapping(values, where)
    _check_commands(parts, where)
    parts["shape"] = _word(Shape, parts.get("shape"), f"{where}.shape")
    parts["edit"] = build(Edit, _mapping(parts.get("edit"), f"{where}.edit"), f"{where}.edit")
    for key, kind in (("dead_man", DeadMan), ("checkpoint", Checkpoint), ("sessions", Sessions)):
        if key in parts:
            parts[key] = _facts(kind, parts[key], f"{where}.{key}")
    restore = _mapping(parts.get("from_text"), f"{where}.from_text")
    restore["by"] = _word(TextRestore, restore.get("by"), f"{where}.from_text.by")
    parts["from_text"] = _facts(FromText, restore, f"{where}.from_text")
    return _facts(Cli, parts, where)


def _check_commands(parts: Mapping[str, object], where: str) -> None:
    """Refuse a command that YAML reads as something else, such as one with a colon and a space that is not quoted."""
    for key, value in parts.items():
        if isinstance(value, Mapping):
            _check_commands(value, f"{where}.{key}")
        for member in value if isinstance(value, list) else ():
            if not isinstance(member, str):
                raise SpecError(f"{where}.{key}: {member!r} is not text; quote the command")


def _device_facts(values: object, where: str) -> DeviceFacts:
    parts = _mapping(values, where)
    shows = parts.get("shows")
    if not isinstance(shows, list):
        raise SpecError(f"{where}.shows: expected a list, found {type(shows).__name__}")
    parts["shows"] = [build(Show, show, f"{where}.shows[{number}]") for number, show in enumerate(shows)]
    return _facts(DeviceFacts, parts, where)


def _feature(values: object, where: str) -> Feature:
    parts = _mapping(values, where)
    for key, kind in (("ranges", Range), ("choices", Choice)):
        limits = _mapping(parts.get(key, {}), f"{where}.{key}")
        parts[key] = {name: build(kind, limit, f"{where}.{key}.{name}") for name, limit in limits.items()}
    if "needs" in parts:
        parts["needs"] = build(Need, parts["needs"], f"{where}.needs")
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


def _polled(values: object, where: str) -> Polled:
    parts = _mapping(values, where)
    samples = parts.get("samples")
    if not isinstance(samples, list):
        raise SpecError(f"{where}.samples: expected a list, found {type(samples).__name__}")
    parts["samples"] = [build(PolledSample, one, f"{where}.samples[{number}]") for number, one in enumerate(samples)]
    return _facts(Polled, parts, where)


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
