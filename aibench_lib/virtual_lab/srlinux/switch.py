"""The state of one simulated SR Linux switch."""

import ipaddress
from collections.abc import Mapping, Sequence

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.gnmi.paths import Elements, parse
from aibench_lib.virtual_lab.srlinux.config import Config
from aibench_lib.virtual_lab.srlinux.effects import Effects
from aibench_lib.virtual_lab.srlinux.telemetry import queue_name


class SrlinuxSwitch:
    """One switch.

    Args:
        name: Inventory name.
        neighbours: Interface -> the port at the other end of its link.
        addresses: Interface -> its address, as the operator has configured it.
    """

    def __init__(self, name: str, neighbours: Mapping[str, Port], addresses: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.neighbours = neighbours
        self.running = Config(neighbours)
        for path, value in _base_config(neighbours, addresses or {}):
            self.running.update(parse(path), value)
        self._effects = Effects(self.running)

    def ecn(self, interface: str, queue: int) -> Ecn | None:
        """Return the marking that the running configuration asks for at a queue, or None."""
        return self._effects.ecn(interface, queue_name(queue))

    def pfc(self, interface: str, priority: int) -> Pfc | None:
        """Return when an interface pauses its neighbour's traffic class, or None: the class is not lossless there."""
        return self._effects.pfc(interface, priority, queue_name(priority))

    def watchdog(self, interface: str) -> PfcWatchdog | None:
        """Return what an interface does about a queue that stays paused, or None: it waits."""
        return self._effects.watchdog(interface)

    def load_balancing(self) -> LoadBalancing:
        """Return how the switch chooses among equal paths: always by a hash."""
        return LoadBalancing()

    def addresses(self) -> Mapping[str, ipaddress.IPv4Interface]:
        """Return the interfaces that have an address."""
        return self._effects.addresses()

    def static_routes(self) -> Sequence[StaticRoute]:
        """Return the static routes."""
        return list(self._effects.static_routes())

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""
        return self.running.is_shut(interface)

    def apply(
        self,
        deletes: Sequence[Elements],
        replaces: Sequence[tuple[Elements, object]],
        updates: Sequence[tuple[Elements, object]],
    ) -> None:
        """Change the running configuration in one step, all or nothing.

        Raises:
            ConfigError: A change is not accepted; nothing has changed then.
        """
        candidate = self.running.copy()
        for path in deletes:
            candidate.delete(path)
        for path, value in replaces:
            candidate.delete(path)
            candidate.update(path, value)
        for path, value in updates:
            candidate.update(path, value)
        candidate.check()
        self.running, self._effects = candidate, Effects(candidate)


def _base_config(neighbours: Mapping[str, Port], addresses: Mapping[str, str]) -> list[tuple[str, object]]:
    """Return what an operator has configured before the benchmark comes.

    Routed ports; ECN on, a profile without a slope, unbound; no PFC.
    """
    ports = [
        (
            f"/interface[name={interface}]",
            {"admin-state": "enable", "mtu": 9412, "description": f"{neighbour.node} {neighbour.interface}"},
        )
        for interface, neighbour in neighbours.items()
    ]
    routed: list[tuple[str, object]] = [
        (f"/interface[name={interface}]/subinterface[index=0]/ipv4/address[ip-prefix={address}]", {})
        for interface, address in addresses.items()
    ]
    return [
        *ports,
        *routed,
        ("/network-instance[name=default]", {"interface": [{"name": f"{name}.0"} for name in addresses]}),
        ("/qos/explicit-congestion-notification", {}),
        ("/qos/buffer-management/queue-management-profile[name=rocev2]", {"weight-factor": 0}),
    ]
