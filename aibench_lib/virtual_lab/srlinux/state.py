"""What a simulated SR Linux switch says of itself: the part of its state that is neither configuration nor counters."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aibench_lib import __version__
from aibench_lib.virtual_lab.gnmi.paths import Elements, parse
from aibench_lib.virtual_lab.srlinux.schema import LISTS

if TYPE_CHECKING:
    from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch

MODEL = "aibench-virtual-lab"
SOFTWARE = f"{__version__} (simulated)"
"""Neither claims to be a product: both reach the report's system configuration."""

STATE_LISTS: Mapping[str, tuple[str, ...]] = {
    **LISTS,
    "/system/configuration/checkpoint": ("id",),
    "/system/lldp/interface": ("name",),
    "/system/lldp/interface/neighbor": ("id",),
}
"""Lists and their keys."""


def state_tree(switch: "SrlinuxSwitch") -> dict[str, Any]:
    """Return the whole, as nested mappings and lists."""
    return {
        "interface": [_interface(switch, name) for name in switch.neighbours],
        "platform": {"chassis": {"type": MODEL}},
        "system": {
            "configuration": {"checkpoint": _checkpoints(switch)},
            "information": {
                "description": f"SR Linux command line and models on {MODEL}",
                "version": SOFTWARE,
                "current-datetime": f"{switch.physical.now():%Y-%m-%dT%H:%M:%S.000Z}",
            },
            "lldp": {"interface": [_lldp(switch, name) for name in switch.neighbours]},
        },
    }


def is_up(switch: "SrlinuxSwitch", interface: str) -> bool:
    """Whether an interface is operationally up."""
    return not switch.is_shut(interface) and switch.physical.has_light(interface)


def speed(switch: "SrlinuxSwitch", interface: str) -> str:
    """Return an interface's speed as the switch writes it."""
    gbps = switch.physical.gbps(interface)
    return f"{gbps}G" if gbps else "None"


def address(switch: "SrlinuxSwitch", interface: str) -> ipaddress.IPv4Interface | None:
    """Return an interface's address."""
    return switch.addresses().get(interface)


def at(tree: object, path: Elements) -> object:
    """Return what is at a path of nested mappings and lists, or None; a list entry is found by its keys."""
    for name, keys in path:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
        if keys and isinstance(tree, Sequence):
            tree = next((entry for entry in tree if _has(entry, keys)), None)
    return tree


def _has(entry: Mapping[str, object], keys: Sequence[tuple[str, str]]) -> bool:
    return all(str(entry.get(key)) == value for key, value in keys)


def _interface(switch: "SrlinuxSwitch", name: str) -> dict[str, Any]:
    own = address(switch, name)
    mtu = switch.running.subtree(parse(f"/interface[name={name}]/mtu"))
    entry: dict[str, Any] = {
        "name": name,
        "admin-state": "disable" if switch.is_shut(name) else "enable",
        "mtu": mtu or 9232,
        "oper-state": "up" if is_up(switch, name) else "down",
        "ethernet": {"port-speed": speed(switch, name)},
    }
    if own is not None:
        ip_mtu = switch.running.subtree(parse(f"/interface[name={name}]/subinterface[index=0]/ip-mtu"))
        entry["subinterface"] = [{"index": 0, "ip-mtu": ip_mtu or 1500, "ipv4": {"address": [{"ip-prefix": str(own)}]}}]
    return entry


def _lldp(switch: "SrlinuxSwitch", name: str) -> dict[str, Any]:
    neighbour = switch.neighbours[name]
    heard = [{"id": 1, "system-name": neighbour.node, "port-id": neighbour.interface}]
    return {"name": name, **({"neighbor": heard} if is_up(switch, name) else {})}


def _checkpoints(switch: "SrlinuxSwitch") -> list[dict[str, Any]]:
    """Return the checkpoints, the most recent first, as they are numbered."""
    names = list(reversed(switch.checkpoints))
    return [{"id": number, "name": name, "comment": "", "version": SOFTWARE} for number, name in enumerate(names)]
