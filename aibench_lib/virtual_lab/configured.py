"""What the simulated fabric does because the running configurations of its switches say so."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aibench_lib.model import Link, Port, Topology
from aibench_lib.simulator import Detour, Ecn, LoadBalancing, Pfc, PfcWatchdog, Simulation
from aibench_lib.topology import host_address
from aibench_lib.virtual_lab.observed import PRIORITIES

Address = ipaddress.IPv4Address


@dataclass(frozen=True)
class StaticRoute:
    """A route that an operator has written down."""

    prefix: ipaddress.IPv4Network
    next_hop: Address
    interface: str | None = None
    """Where the next hop is reached; None: on whichever interface it is connected."""


class Switch(Protocol):
    """What the fabric asks a switch's running configuration."""

    name: str
    neighbours: Mapping[str, Port]

    def ecn(self, interface: str, queue: int) -> Ecn | None:
        """Return the marking at a queue, or None."""

    def pfc(self, interface: str, priority: int) -> Pfc | None:
        """Return when an interface pauses its neighbour's traffic class, or None: the class is not lossless there."""

    def watchdog(self, interface: str) -> PfcWatchdog | None:
        """Return what an interface does about a queue that stays paused, or None: it waits."""

    def load_balancing(self) -> LoadBalancing:
        """Return how the switch chooses among equal paths."""

    def addresses(self) -> Mapping[str, ipaddress.IPv4Interface]:
        """Return the interfaces that have an address."""

    def static_routes(self) -> Sequence[StaticRoute]:
        """Return the static routes."""

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""


def configure(
    simulation: Simulation, topology: Topology, links: Sequence[Link], switches: Mapping[str, Switch]
) -> None:
    """Make a simulation do what the switches are configured for.

    Args:
        simulation: Of the links that are up, and new: what a switch does not say is left as it is.
        topology: The whole fabric.
        links: Those that are up.
        switches: By name.
    """
    for port in (end for link in links for end in (link.a, link.b) if end.node in switches):
        switch = switches[port.node]
        for priority in PRIORITIES:
            if ecn := switch.ecn(port.interface, priority):
                simulation.set_ecn(port, priority, ecn)
            if pfc := switch.pfc(port.interface, priority):
                simulation.set_pfc(port, priority, pfc)
        if watchdog := switch.watchdog(port.interface):
            simulation.set_watchdog(port, watchdog)
    for name, switch in switches.items():
        simulation.set_load_balancing(name, switch.load_balancing())
    for name, host, port in detours(topology, links, switches):
        simulation.inject(Detour(name, host, port), 0, None)


def detours(
    topology: Topology, links: Sequence[Link], switches: Mapping[str, Switch]
) -> Iterator[tuple[str, str, Port]]:
    """Yield switch, host and port of the static routes that take effect.

    The fabric's own routes are routes to hosts, so that only a static route to one host is preferred to them. Of
    several to the same host the first that leads anywhere counts.
    """
    routes = {name: switch.static_routes() for name, switch in switches.items()}
    if not any(routes.values()):
        return
    hosts = {ipaddress.IPv4Network(host_address(topology, host)): host for host in topology.hosts}
    up = {end for link in links for end in (link.a, link.b)}
    addresses = {Port(name, own): ip for name, switch in switches.items() for own, ip in switch.addresses().items()}
    for name, switch in switches.items():
        seen: set[str] = set()
        for route in routes[name]:
            host = hosts.get(route.prefix)
            port = _port_towards(route, switch, addresses, up)
            if host is not None and host not in seen and port is not None:
                seen.add(host)
                yield name, host, port


def _port_towards(
    route: StaticRoute, switch: Switch, addresses: Mapping[Port, ipaddress.IPv4Interface], up: set[Port]
) -> Port | None:
    """Return the port behind which a route's next hop is, or None: nobody there has that address."""
    for interface, neighbour in switch.neighbours.items():
        port = Port(switch.name, interface)
        own, other = addresses.get(port), addresses.get(neighbour)
        if own is None or other is None or port not in up or route.interface not in (None, interface):
            continue
        if other.ip == route.next_hop and other.ip in own.network:
            return port
    return None
