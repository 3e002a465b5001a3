"""The state of one simulated SR Linux switch."""

from collections.abc import Mapping, Sequence

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn
from aibench_lib.virtual_lab.gnmi.paths import Elements, parse
from aibench_lib.virtual_lab.srlinux.config import Config
from aibench_lib.virtual_lab.srlinux.telemetry import queue_name


class SrlinuxSwitch:
    """One switch.

    Args:
        name: Inventory name.
        neighbours: Interface -> the port at the other end of its link.
    """

    def __init__(self, name: str, neighbours: Mapping[str, Port]) -> None:
        self.name = name
        self.neighbours = neighbours
        self.running = Config(neighbours)
        for path, value in _base_config(neighbours):
            self.running.update(parse(path), value)

    def ecn(self, interface: str, queue: int) -> Ecn | None:
        """Return the marking that the running configuration asks for at a queue, or None."""
        return self.running.ecn(interface, queue_name(queue))

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
        self.running = candidate


def _base_config(neighbours: Mapping[str, Port]) -> list[tuple[str, object]]:
    """Return what an operator has configured before the benchmark comes: ECN on, a profile without a slope, unbound."""
    ports = [
        (
            f"/interface[name={interface}]",
            {"admin-state": "enable", "mtu": 9412, "description": f"{neighbour.node} {neighbour.interface}"},
        )
        for interface, neighbour in neighbours.items()
    ]
    return [
        *ports,
        ("/qos/explicit-congestion-notification", {}),
        ("/qos/buffer-management/queue-management-profile[name=rocev2]", {"weight-factor": 0}),
    ]
