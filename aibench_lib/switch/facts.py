"""What a switch says of itself: hardware, software, clock, and its interfaces."""

import ipaddress
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol, runtime_checkable

from aibench_lib.errors import LabError
from aibench_lib.platforms import KEY, DeviceFacts, Show, load_platform
from aibench_lib.switch.broken import SessionBrokenError
from aibench_lib.switch.clock import parse_clock
from aibench_lib.switch.session import connect
from aibench_lib.switch.target import Target

_INTERFACE = "{interface}"
_NOT_SAID = ("", "-", "--", "n/a", "unassigned", "unknown", "none")
_PREFIXES = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SPEED = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT])", flags=re.IGNORECASE)


@runtime_checkable
class Shows(Protocol):
    """A switch with a command line."""

    def show(self, command: str) -> str:
        """Return what a command prints."""


@runtime_checkable
class States(Protocol):
    """A switch with gNMI."""

    def state(self, path: str) -> Any:  # noqa: ANN401 - whatever JSON the path holds
        """Return what the switch says of itself at a path, or None."""


@dataclass(frozen=True, kw_only=True)
class InterfaceFacts:
    """One interface; None for what the switch does not say."""

    oper: str | None = None
    """up or down."""
    admin: str | None = None
    speed_bps: int | None = None
    mtu: int | None = None
    """The largest IP packet [bytes]."""
    address: str | None = None
    neighbour: str | None = None
    neighbour_port: str | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One switch; None for what it does not say."""

    host: str
    platform: str
    vendor: str
    model: str | None = None
    asic: str | None = None
    software: str | None = None
    buffer_bytes: int | None = None
    clock: str | None = None
    """UTC, in ISO 8601."""
    asked_at: float | None = None
    """When it showed its clock, on the controller's clock [s since the epoch]."""
    interfaces: Mapping[str, InterfaceFacts] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What could not be read and why, and what the inventory says where the switch says nothing."""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        return {**asdict(self), "notes": list(self.notes)}


DECLARED = "buffer_bytes: from the inventory; the switch does not say"
_OF_SWITCH = frozenset(("model", "asic", "software", "buffer_bytes", "clock", "timezone"))
_OF_INTERFACE = frozenset(one.name for one in fields(InterfaceFacts))


def read_facts(target: Target) -> Facts:
    """Ask a switch what it is, in one session.

    Raises:
        LabError: It is unreachable, refuses the user, or the session breaks.
    """
    with connect(target) as switch:
        return ask(switch, target)


def ask(switch: object, target: Target, only: Collection[str] = ()) -> Facts:
    """Ask in a session that is open; a question that the switch refuses becomes a note.

    Args:
        switch: The session.
        target: Whose.
        only: Ask nothing but what tells one of these facts; empty: everything.

    Raises:
        LabError: The session breaks.
    """
    facts = load_platform(target.platform).facts
    if facts is None:
        return Facts(
            host=target.host, platform=target.platform, vendor="", notes=("its platform has no `facts` to ask for",)
        )
    found = _Found()
    refused: list[LabError] = []
    shows = [show for show in facts.shows if not only or set(only) & show.told]
    for show in shows:
        try:
            found.add(show, switch, target)
        except SessionBrokenError:
            raise
        except LabError as error:
            refused.append(error)
    return found.facts(facts, target, [str(error) for error in refused])


class _Found:
    """What was found so far."""

    def __init__(self) -> None:
        self.switch: dict[str, Any] = {}
        self.interfaces: dict[str, dict[str, Any]] = {}
        self.asked_at = 0.0

    def add(self, show: Show, switch: object, target: Target) -> None:
        """Ask one question and keep the answer."""
        start = time.time()
        answers = list(_answers(show, switch, target))
        for interface, name, value in answers:
            if interface is None:
                self.switch.setdefault(name, value)
            else:
                self.interfaces.setdefault(interface, {}).setdefault(name, value)
        if any(name == "clock" for _, name, _ in answers):
            self.asked_at = (start + time.time()) / 2

    def facts(self, asked: DeviceFacts, target: Target, notes: list[str]) -> Facts:
        """Return the record."""
        switch = self.switch
        clock = parse_clock(str(switch["clock"]), switch.get("timezone")) if "clock" in switch else None
        if "clock" in switch and clock is None:
            notes.append(
                f"clock: {switch['clock']!r} ({switch.get('timezone') or 'no time zone'}) cannot be understood"
            )
        buffer = switch.get("buffer_bytes")
        if buffer is None and target.options.get("buffer_bytes"):
            buffer = int(target.options["buffer_bytes"])
            notes.append(DECLARED)
        interfaces = {
            name: _payload(InterfaceFacts(**values), asked.mtu_overhead_bytes)
            for name, values in self.interfaces.items()
        }
        return Facts(
            host=target.host,
            platform=target.platform,
            vendor=asked.vendor,
            **{name: switch.get(name) for name in ("model", "asic", "software")},
            buffer_bytes=buffer,
            clock=clock.isoformat(timespec="seconds").replace("+00:00", "Z") if clock else None,
            asked_at=round(self.asked_at, 3) if clock else None,
            interfaces=interfaces,
            notes=tuple(notes),
        )


def _payload(interface: InterfaceFacts, overhead_bytes: int) -> InterfaceFacts:
    return interface if interface.mtu is None else replace(interface, mtu=interface.mtu - overhead_bytes)


_Answer = tuple[str | None, str, Any]
"""Interface (None: of the switch), fact, value."""


def _answers(show: Show, switch: object, target: Target) -> Iterator[_Answer]:
    if show.command is not None:
        if not isinstance(switch, Shows):
            raise LabError(target.host, f"has no command line to ask {show.command!r}")
        yield from _in_lines(show, switch.show(show.command).splitlines())
    elif show.path is not None:
        if not isinstance(switch, States):
            raise LabError(target.host, f"has no gNMI session to ask {show.path}")
        interfaces: Iterable[Any] = target.options.get("interfaces", ()) if _INTERFACE in show.path else (None,)
        for interface in interfaces:
            path = show.path if interface is None else show.path.replace(_INTERFACE, str(interface))
            tree = switch.state(_named(path, target.options))
            for name, leaf in show.leaves.items():
                yield from _answer(show, interface, name, _leaf(tree, _named(leaf, target.options)))


def _named(text: str, options: Mapping[str, Any]) -> str:
    """Return a path with the target's options in it."""
    for name, value in options.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


def _in_lines(show: Show, lines: Iterable[str]) -> Iterator[_Answer]:
    patterns = [re.compile(pattern) for pattern in show.lines]
    within: str | None = None
    for line in lines:
        for pattern in patterns:
            match = pattern.match(line.rstrip())
            if match is None:
                continue
            groups = match.groupdict()
            key = groups.pop(KEY, None)
            if key is not None:
                within = _renamed(show, key)
            for name, text in groups.items():
                if name in _OF_INTERFACE and within is not None:
                    yield from _answer(show, within, name, text)
                elif name in _OF_SWITCH:
                    yield from _answer(show, None, name, text)


def _renamed(show: Show, key: str) -> str:
    for pattern, name in show.rename.items():
        key = re.sub(pattern, name, key)
    return key


def _answer(show: Show, interface: str | None, name: str, shown: object) -> Iterator[_Answer]:
    """Yield a fact in our words and units, or nothing if it was not said."""
    value = None if shown is None else _understood(show, name, str(shown).strip())
    if value is not None:
        yield interface, name, value


def _understood(show: Show, name: str, text: str) -> str | int | None:
    words = show.words.get(name, {})
    text = words.get(text.lower(), text)
    if text.lower() in _NOT_SAID:
        return None
    if name in ("speed_bps", "mtu", "buffer_bytes"):
        return _number(name, text, show.scale.get(name, 1))
    if name in ("oper", "admin"):
        return text.lower() if text.lower() in ("up", "down") else None
    if name == "address":
        return _address(text)
    return text


def _number(name: str, text: str, scale: int) -> int | None:
    speed = _SPEED.match(text) if name == "speed_bps" else None
    try:
        if speed:
            return int(Decimal(speed[1]) * _PREFIXES[speed[2].upper()])
        return int(Decimal(text.replace(",", "")) * scale)
    except InvalidOperation:
        return None


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_interface(text))
    except ValueError:
        return None


def _leaf(tree: object, path: str) -> object:
    """Return the value at a path below a tree, of a list that of its first entry; names may have a module in front."""
    for name in path.split("/"):
        while isinstance(tree, list):
            tree = tree[0] if tree else None
        members = tree.items() if isinstance(tree, dict) else ()
        tree = next((member for key, member in members if key.rpartition(":")[2] == name), None)
    while isinstance(tree, list):
        tree = tree[0] if tree else None
    return None if isinstance(tree, dict) else tree
