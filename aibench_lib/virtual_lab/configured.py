"""What the simulated fabric does because the running configurations of its switches say so."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from aibench_lib.model import Link, Port
from aibench_lib.simulator import Ecn, Simulation
from aibench_lib.virtual_lab.observed import PRIORITIES


class Switch(Protocol):
    """What the fabric asks a switch's running configuration."""

    name: str
    neighbours: Mapping[str, Port]

    def ecn(self, interface: str, queue: int) -> Ecn | None:
        """Return the marking at a queue, or None."""

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""


def configure(simulation: Simulation, links: Sequence[Link], switches: Mapping[str, Switch]) -> None:
    """Make a simulation do what the switches are configured for.

    Args:
        simulation: Of the links that are up.
        links: Those that are up.
        switches: By name.
    """
    for port in (end for link in links for end in (link.a, link.b)):
        switch = switches.get(port.node)
        if switch is None:
            continue
        for priority in PRIORITIES:
            simulation.set_ecn(port, priority, switch.ecn(port.interface, priority))
