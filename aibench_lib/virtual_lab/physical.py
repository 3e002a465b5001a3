"""What a simulated switch sees beside its configuration: light on its ports, their line rate, the time."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from aibench_lib.model import Port, Topology
from aibench_lib.units import GBPS, NS_PER_SECOND


def _always(_: str) -> bool:
    return True


@dataclass(frozen=True)
class Physical:
    """The defaults are those of a switch without a lab around it: every port has light, and time is the machine's."""

    has_light: Callable[[str], bool] = _always
    """Interface -> whether neither end of its link is shut."""
    bps: Mapping[str, int] = field(default_factory=dict)
    """Interface -> line rate [bit/s]."""
    now_ns: Callable[[], int] = time.time_ns
    """Lab time [ns since the epoch]."""

    def gbps(self, interface: str) -> int:
        """Return the line rate [Gbit/s]."""
        return self.bps.get(interface, 0) // GBPS

    def now(self) -> datetime:
        """Return lab time."""
        return datetime.fromtimestamp(self.now_ns() // NS_PER_SECOND, UTC)


class Wired(Protocol):
    """A switch that can be told what it sees."""

    name: str
    physical: Physical


def wire(
    switches: Iterable[Wired], topology: Topology, is_up: Callable[[Port], bool], now_ns: Callable[[], int]
) -> None:
    """Tell switches what they see.

    Args:
        switches: All of the lab.
        topology: The fabric.
        is_up: Whether neither end of a port's link is shut.
        now_ns: Lab time [ns since the epoch].
    """
    rates = {port: link.bps for link in topology.links for port in (link.a, link.b)}
    for switch in switches:
        name = switch.name
        own = {port.interface: bps for port, bps in rates.items() if port.node == name}
        switch.physical = Physical(lambda interface, name=name: is_up(Port(name, interface)), own, now_ns)  # type: ignore[misc]
