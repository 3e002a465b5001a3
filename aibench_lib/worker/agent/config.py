"""What an agent is told when it is started: one strict JSON file."""

import dataclasses
import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from aibench_lib.errors import SpecError
from aibench_lib.model import LabKind
from aibench_lib.worker import transports

_HIGHEST_PRIORITY = 7
_HIGHEST_DSCP = 63
_HIGHEST_PORT = 65535

_Read: TypeAlias = Callable[[object], Any]
"""Makes a setting of what JSON gives for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentConfig:
    """The settings of one agent."""

    host: str
    """Inventory name."""
    bind: str
    """The address that gRPC and the clock probes listen on."""
    port: int
    """Of both; 0: any that is free."""
    ca: Path
    """Certificate of the authority that signed both sides' certificates (PEM)."""
    cert: Path
    key: Path
    lab: LabKind
    address: str
    """Of the host in the fabric under test."""
    device: str = ""
    """RDMA device; empty: the one that has the address."""
    gid_index: int | None = None
    transport: str = ""
    """What a trial uses that names none; empty: the best there is."""
    lease_seconds: float = 60.0
    """How long the agent lives without a call [s]."""
    folder: Path | None = None
    """What it deletes when its lease ends by itself; None: nothing."""
    dscp: Mapping[int, int] = field(default_factory=dict)
    """Priority -> DSCP, where it is not the usual one."""


def read_config(path: Path) -> AgentConfig:
    """Read an agent's configuration.

    Raises:
        SpecError: The file cannot be read, or something in it is missing, unknown or wrong.
    """
    try:
        given = json.loads(path.read_text())
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SpecError(f"{path}: is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise SpecError(f"{path}: must be an object of settings")
    _check_names(path, given)
    try:
        values = {key: _READ[key](value) for key, value in given.items()}
    except _Wrong as wrong:
        raise SpecError(f"{path}: {wrong}") from wrong
    config = AgentConfig(**values)
    if config.folder is not None:
        _check_folder(path, config.folder)
    return config


class _Wrong(Exception):  # noqa: N818 - becomes a SpecError with the file's name
    """A value is not what it must be."""


def _check_names(path: Path, given: Mapping[str, Any]) -> None:
    for key in given:
        if key not in _READ:
            raise SpecError(f"{path}: {key!r} is no setting of an agent; there are {', '.join(_READ)}")
    for one in dataclasses.fields(AgentConfig):
        needed = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        if needed and one.name not in given:
            raise SpecError(f"{path}: {one.name!r} is missing")


def _check_folder(path: Path, folder: Path) -> None:
    """A folder that is deleted as a whole must be the agent's own: the file that names it lies in it."""
    real, home = folder.resolve(), Path.home().resolve()
    if not path.resolve().is_relative_to(real) or home.is_relative_to(real):
        raise SpecError(f"{path}: folder: {folder} is no folder of this agent alone; name the one this file lies in")


def _text(key: str) -> _Read:
    def read(value: object) -> str:
        if not isinstance(value, str) or not value:
            raise _Wrong(f"{key}: {value!r} must be a text that is not empty")
        return value

    return read


def _address(key: str) -> _Read:
    def read(value: object) -> str:
        try:
            return str(ipaddress.ip_address(_text(key)(value)))
        except ValueError as error:
            raise _Wrong(f"{key}: {value!r} is no IP address") from error

    return read


def _whole(key: str, low: int, high: int) -> _Read:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise _Wrong(f"{key}: {value!r} must be a whole number, {low} to {high}")
        return value

    return read


def _path(key: str) -> _Read:
    def read(value: object) -> Path:
        path = Path(_text(key)(value))
        if not path.is_absolute():
            raise _Wrong(f"{key}: {value!r} must be an absolute path")
        return path

    return read


def _lab(value: object) -> LabKind:
    if value not in (LabKind.KERNEL, LabKind.HARDWARE):
        raise _Wrong(f"lab: {value!r} is not one of kernel, hardware")
    return LabKind(str(value))


def _device(value: object) -> str:
    if not isinstance(value, str) or "/" in value:
        raise _Wrong(f"device: {value!r} must be the name of an RDMA device, or empty")
    return value


def _transport(value: object) -> str:
    if value not in ("", *transports.NAMES):
        raise _Wrong(f"transport: {value!r} is not one of {', '.join(transports.NAMES)}")
    return str(value)


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise _Wrong(f"lease_seconds: {value!r} must be a positive number")
    return float(value)


def _dscp(value: object) -> dict[int, int]:
    if not isinstance(value, dict):
        raise _Wrong(f"dscp: {value!r} must be an object: priority to DSCP")
    read, priorities = _whole("dscp", 0, _HIGHEST_DSCP), {str(one): one for one in range(_HIGHEST_PRIORITY + 1)}
    for priority in value:
        if priority not in priorities:
            raise _Wrong(f"dscp: {priority!r} is no priority, 0 to {_HIGHEST_PRIORITY}")
    return {priorities[priority]: read(dscp) for priority, dscp in value.items()}


def _optional(read: _Read, nothing: object) -> _Read:
    return lambda value: None if value == nothing else read(value)


_READ: dict[str, _Read] = {
    "host": _text("host"),
    "bind": _address("bind"),
    "port": _whole("port", 0, _HIGHEST_PORT),
    "ca": _path("ca"),
    "cert": _path("cert"),
    "key": _path("key"),
    "lab": _lab,
    "address": _address("address"),
    "device": _device,
    "gid_index": _optional(_whole("gid_index", 0, 65535), None),
    "transport": _transport,
    "lease_seconds": _seconds,
    "folder": _optional(_path("folder"), ""),
    "dscp": _dscp,
}
