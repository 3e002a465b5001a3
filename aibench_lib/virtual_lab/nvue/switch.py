"""The state of one simulated NVUE switch: its configuration, its revisions, its files."""

import ipaddress
from collections.abc import Mapping, Sequence

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.cli.grammar import Ports
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.nvue import effects
from aibench_lib.virtual_lab.nvue.config import Config
from aibench_lib.virtual_lab.nvue.revisions import Revisions
from aibench_lib.virtual_lab.physical import Physical
from aibench_lib.virtual_lab.writes import Writes

_SUFFIX = ".yaml"
_MOST_CHECKPOINTS = 1_000


class NvueSwitch:
    """One switch.

    Args:
        name: Inventory name.
        neighbours: Interface -> the port at the other end of its link.
        writes: Where writes are noted.
        addresses: Interface -> its address, as the operator has configured it.
    """

    def __init__(
        self, name: str, neighbours: Mapping[str, Port], writes: Writes, addresses: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.neighbours = neighbours
        self.physical = Physical()
        self.ports = Ports(("eth0", "lo", *neighbours), short="swp", full="swp")
        base = Config(self.ports)
        for line in _base_config(name, neighbours, addresses or {}):
            base.do("set", line.split())
        self.revisions = Revisions(self.ports, base)
        self.files: dict[str, str] = {}
        """The user's home directory: name -> content."""
        self.max_checkpoints = _MOST_CHECKPOINTS
        """Files that there is room for."""
        self._writes = writes

    @property
    def running(self) -> Config:
        """The configuration that is in force."""
        return self.revisions.applied

    @property
    def checkpoints(self) -> dict[str, str]:
        """The copies of the configuration in the home directory, by name."""
        return {name.removesuffix(_SUFFIX): text for name, text in self.files.items() if name.endswith(_SUFFIX)}

    def running_text(self) -> str:
        """Return the configuration as text."""
        return self.running.text()

    def ecn(self, interface: str, queue: int) -> Ecn | None:
        """Return the marking that the running configuration asks for at a queue, or None."""
        return effects.ecn(self.running, interface, queue)

    def pfc(self, interface: str, priority: int) -> Pfc | None:
        """Return when an interface pauses its neighbour's traffic class, or None: the class is not lossless there."""
        return effects.pfc(self.running, interface, priority)

    def watchdog(self, interface: str) -> PfcWatchdog | None:
        """Return what an interface does about a queue that stays paused, or None: it waits."""
        return effects.watchdog(self.running, interface)

    def load_balancing(self) -> LoadBalancing:
        """Return how the switch chooses among equal paths."""
        return effects.load_balancing(self.running)

    def addresses(self) -> Mapping[str, ipaddress.IPv4Interface]:
        """Return the interfaces that have an address."""
        return effects.addresses(self.running)

    def static_routes(self) -> Sequence[StaticRoute]:
        """Return the static routes."""
        return list(effects.static_routes(self.running))

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""
        return effects.is_shut(self.running, interface)

    def note(self, what: str) -> None:
        """Note an attempt to change something."""
        self._writes.add(self.name, what)


def _base_config(name: str, neighbours: Mapping[str, Port], addresses: Mapping[str, str]) -> list[str]:
    """Return what an operator has configured before the benchmark comes.

    Routed ports; RoCE by DSCP 26 in switch priority 3 with a lossless pool, in the default profiles; no ECN, no PFC.
    """
    lines = [
        f"system hostname {name}",
        "system config auto-save state enabled",
        "system aaa user cumulus hashed-password *",
        "system aaa user cumulus role system-admin",
        "system gnmi-server listening-address 0.0.0.0",
        "system gnmi-server state enabled",
        "interface eth0 type eth",
        "interface eth0 vrf mgmt",
        "interface lo type loopback",
        "qos congestion-control default-global traffic-class 0 ecn disable",
        "qos egress-queue-mapping default-global switch-priority 3 traffic-class 3",
        "qos mapping default-global dscp 26 switch-priority 3",
        "qos mapping default-global trust l3",
        "qos traffic-pool default-lossless memory-percent 50",
        "qos traffic-pool default-lossy memory-percent 50",
        "qos egress-scheduler default-global traffic-class 3 mode dwrr",
        "qos egress-scheduler default-global traffic-class 3 bw-percent 50",
        "qos egress-scheduler default-global traffic-class 6 mode strict",
    ]
    for interface, neighbour in neighbours.items():
        lines += [
            f"interface {interface} type swp",
            f"interface {interface} description {neighbour.node}:{neighbour.interface}",
            f"interface {interface} link mtu 9214",
            f"interface {interface} link state up",
        ]
        if interface in addresses:
            lines.append(f"interface {interface} ipv4 address {addresses[interface]}")
    return lines
