"""Faults that are made on purpose: how each is started and stopped, so that none outlives whoever started it.

A fault is a change of a switch like any other: journalled, with a snapshot before it, restored by whoever restores
settings.  Where the switch can, its removal is armed before it starts: then the switch ends it if nobody else does.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from aibench_lib.errors import NotAttainable, SpecError
from aibench_lib.journal import Journal
from aibench_lib.model import Port, Topology
from aibench_lib.platforms import load_platform
from aibench_lib.switch.target import Target


class FaultKind(StrEnum):
    """What may go wrong in switches on purpose."""

    LINK_DOWN = "link_down"
    """A switch's port is shut; with two ports, a dual failure."""
    LINK_FLAP = "link_flap"
    """Ports go down and come up again, several times."""
    LOSSY_LINK = "lossy_link"
    """A port loses packets that it sends."""
    ROUTING_DETOUR = "routing_detour"
    """A switch sends traffic another way, by static routes."""


_FLAP_MARGIN_SECONDS = 60
"""A flap's end is armed for so much later than it is due: sessions take their time [s]."""
OF_LINKS = (FaultKind.LINK_DOWN, FaultKind.LINK_FLAP)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault."""

    kind: FaultKind
    ports: tuple[Port, ...] = ()
    """Ports of switches; of a detour the switch's name is enough."""
    duration_s: int | None = None
    """The switch ends the fault by itself after this time, where it can [s]."""
    flaps: int = 1
    period_s: float = 2.0
    """From one down to the next, of which half is down [s]."""
    loss_percent: int = 0
    routes: tuple[Mapping[str, str], ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return it as the journal knows it."""
        return {**asdict(self), "kind": str(self.kind), "ports": [str(port) for port in self.ports]}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where faults are made."""

    topology: Topology
    targets: Mapping[str, Target]
    """The switches there are."""
    journal: Journal
    run_dir: Path

    def ends(self, fault: Fault) -> list[Port]:
        """Return both ends of the links that a fault is about, those that are hosts as well."""
        pairs = [(port, self.topology.neighbour(port)) for port in fault.ports]
        return list(dict.fromkeys(end for pair in pairs for end in pair if end is not None))


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one switch does for a fault."""

    target: Target
    feature: str
    start: Mapping[str, Any]
    stop: Mapping[str, Any] = field(default_factory=dict)
    """Empty: there is no word for it but the whole snapshot."""
    hold_seconds: int | None = None


def steps(fault: Fault, place: Place) -> list[Step]:
    """Return what switches do for a fault, each switch's only change being one that it can end by itself.

    Raises:
        NotAttainable: A platform cannot do it; the message says why.
        SpecError: The fault does not fit the topology.
    """
    _check(fault, place)
    found = list(_steps(fault, place))
    for step in found:
        _check_feature(step)
    often = Counter(step.target.host for step in found)
    return [step if often[step.target.host] == 1 else Step(**{**vars(step), "hold_seconds": None}) for step in found]


def _steps(fault: Fault, place: Place) -> Iterator[Step]:
    hold = fault.duration_s
    if hold is None and fault.kind is FaultKind.LINK_FLAP:
        hold = math.ceil(fault.period_s / 2) + _FLAP_MARGIN_SECONDS
    for port in fault.ports:
        target = place.targets[port.node]
        if fault.kind in OF_LINKS:
            down, up = ({"interface": port.interface, "admin": admin} for admin in ("down", "up"))
            yield Step(target=target, feature="interface", start=down, stop=up, hold_seconds=hold)
        elif fault.kind is FaultKind.LOSSY_LINK:
            lossy, well = (
                {"interface": port.interface, "loss_percent": percent} for percent in (fault.loss_percent, 0)
            )
            yield Step(target=target, feature="lossy_link", start=lossy, stop=well, hold_seconds=hold)
        else:
            routes = {"routes": [dict(route) for route in fault.routes]}
            yield Step(target=target, feature="routing_detour", start=routes, hold_seconds=hold)


def _check(fault: Fault, place: Place) -> None:
    where = f"fault {fault.kind}"
    names = ", ".join(map(str, fault.ports))
    if not fault.ports:
        raise SpecError(f"{where}: ports: give at least one, such as leaf1:Ethernet49")
    for port in fault.ports:
        if port.node not in place.targets:
            raise SpecError(f"{where}: ports: {port.node!r} is no switch of the inventory")
        if fault.kind is not FaultKind.ROUTING_DETOUR and place.topology.neighbour(port) is None:
            raise SpecError(f"{where}: ports: {port} is at no link of the topology")
    if len(set(fault.ports)) < len(fault.ports):
        raise SpecError(f"{where}: ports: one of {names} is named twice")
    if fault.kind in OF_LINKS and len(place.ends(fault)) < 2 * len(fault.ports):
        raise SpecError(f"{where}: ports: two of {names} are the ends of one link; give one of them")
    _check_values(fault, where)


def _check_values(fault: Fault, where: str) -> None:
    is_detour = fault.kind is FaultKind.ROUTING_DETOUR
    if fault.kind is FaultKind.LOSSY_LINK and not 0 < fault.loss_percent <= 100:
        raise SpecError(f"{where}: loss_percent: {fault.loss_percent} is not in 1..100")
    if fault.kind is FaultKind.LINK_FLAP and (fault.flaps < 1 or fault.period_s <= 0):
        raise SpecError(f"{where}: flaps and period_s must be positive")
    if is_detour != bool(fault.routes):
        raise SpecError(f"{where}: routes: a routing_detour has them, and no other fault has")
    if is_detour and len(fault.ports) > 1:
        raise SpecError(f"{where}: ports: give the one switch that gets the routes")
    if fault.duration_s is not None and fault.duration_s < 1:
        raise SpecError(f"{where}: duration_s: {fault.duration_s} is less than a second")


def _check_feature(step: Step) -> None:
    platform = load_platform(step.target.platform)
    if step.feature not in platform.features:
        raise NotAttainable(
            f"not attainable: {step.feature}: {platform.title} ({step.target.host}) has no documented command for it"
        )


def parse_ports(ports: Sequence[str]) -> tuple[Port, ...]:
    """Return ports from words such as ``leaf1:Ethernet49``; a word without an interface is a whole switch.

    Raises:
        SpecError: A word names nothing.
    """
    found = []
    for word in ports:
        node, _, interface = str(word).partition(":")
        if not node:
            raise SpecError(f"ports: {word!r} is no port such as leaf1:Ethernet49")
        found.append(Port(node, interface))
    return tuple(found)
