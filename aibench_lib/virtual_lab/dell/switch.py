"""The state of one simulated Dell switch: what runs, and what it starts with."""

import ipaddress
from collections.abc import Mapping, Sequence

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.cli.grammar import Ports
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.dell import effects
from aibench_lib.virtual_lab.dell.config import Config, DellEditor
from aibench_lib.virtual_lab.physical import Physical
from aibench_lib.virtual_lab.writes import Writes


class DellSwitch:
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
        self.ports = Ports(neighbours, short="e(?:th?)?", full="Eth")
        self.running = Config()
        self._writes = writes
        editor = self.editor()
        for line in _base_config(name, neighbours, addresses or {}):
            editor.enter(line)
        self.startup = self.running.copy()

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

    def running_text(self) -> str:
        """Return the running configuration as text."""
        return self.running.text()

    def note(self, what: str) -> None:
        """Note an attempt to change something."""
        self._writes.add(self.name, what)

    def editor(self) -> DellEditor:
        """Return a cursor whose lines take effect at once."""
        return DellEditor(self.running, self.ports)


def _base_config(name: str, neighbours: Mapping[str, Port], addresses: Mapping[str, str]) -> list[str]:
    """Return what an operator has configured before the benchmark comes.

    Routed ports, RoCE on DSCP 26 in queue 3 with maps, a scheduler, a WRED policy and a buffer profile bound
    everywhere; no marking, no PFC.
    """
    lines = ["interface-naming standard", f"hostname {name}", "buffer init lossless"]
    lines += ["buffer profile ROCE ingress_lossless_pool 0 dynamic-threshold -3"]
    lines += ["qos map dscp-tc ROCE", "dscp 26 traffic-class 3", "dscp 48 traffic-class 6"]
    lines += ["qos map tc-queue ROCE", "traffic-class 3 queue 3", "traffic-class 6 queue 6"]
    lines += ["qos map tc-pg ROCE", "traffic-class 3 priority-group 3"]
    lines += ["qos map pfc-priority-queue ROCE", "pfc-priority 3 queue 3"]
    lines += ["qos wred-policy ROCE"]
    lines += ["qos scheduler-policy ROCE", "queue 3", "type dwrr", "weight 50", "queue 6", "type strict"]
    for interface, neighbour in neighbours.items():
        lines += [f"interface {interface}", f"description {neighbour.node} {neighbour.interface}", "mtu 9214"]
        if interface in addresses:
            lines.append(f"ip address {addresses[interface]}")
        lines += ["queue 3 wred-policy ROCE", "scheduler-policy ROCE", "cable-length 5m", "qos-map dscp-tc ROCE"]
        lines += ["qos-map tc-queue ROCE", "qos-map tc-pg ROCE", "qos-map pfc-priority-queue ROCE"]
        lines += ["buffer priority-group 3 ROCE"]
    return lines
