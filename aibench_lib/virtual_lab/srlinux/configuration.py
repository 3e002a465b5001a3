"""The door from gNMI to an SR Linux switch's configuration."""

from collections.abc import Sequence

from aibench_lib.virtual_lab.gnmi.paths import Elements, schema
from aibench_lib.virtual_lab.srlinux.config import ConfigError
from aibench_lib.virtual_lab.srlinux.state import at, state_tree
from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch

_SAID = frozenset(("/platform/chassis", "/system/information", "/system/lldp/interface", "/interface/ethernet"))
"""What the switch says of itself, below which there is no configuration here."""


class SrlinuxConfiguration:
    """Shows and changes what the switch's running configuration is."""

    def __init__(self, switch: SrlinuxSwitch) -> None:
        self._switch = switch

    def show(self, path: Elements) -> list[tuple[Elements, object]] | None:
        """Return what there is at a path, one pair for each list entry that it stands for; None: no such path."""
        running = self._switch.running
        if schema(path) in _SAID:
            said = at(state_tree(self._switch), path)
            return [] if said is None else [(path, said)]
        try:
            return [(place, running.subtree(place)) for place in running.existing(path)]
        except ConfigError:
            return None

    def change(
        self,
        deletes: Sequence[Elements],
        replaces: Sequence[tuple[Elements, object]],
        updates: Sequence[tuple[Elements, object]],
    ) -> str:
        """Change the configuration, all or nothing; return the reason of a refusal, or an empty string."""
        try:
            self._switch.apply(deletes, replaces, updates)
        except ConfigError as error:
            return str(error)
        return ""
