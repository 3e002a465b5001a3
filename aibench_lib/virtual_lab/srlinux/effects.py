"""What a configuration of SR Linux makes the switch do."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aibench_lib.simulator import Ecn, Pfc, PfcWatchdog
from aibench_lib.units import NS_PER_MS
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.gnmi.paths import parse
from aibench_lib.virtual_lab.srlinux.config import Config

Tree = Mapping[str, Any]

_DEFAULT_BURST_BYTES = 51_200
_DEFAULT_TIMER_MS = 750
"""Of both timers of the deadlock recovery."""
_SLOPE = ("min-threshold", "max-threshold", "max-drop-probability-percent")


class Effects:
    """One configuration, taken apart once.

    Args:
        config: Must not change any more.
    """

    def __init__(self, config: Config) -> None:
        qos = config.subtree(parse("/qos"))
        self._qos: Tree = qos if isinstance(qos, Mapping) else {}
        instance = config.subtree(parse("/network-instance[name=default]"))
        self._instance: Tree = instance if isinstance(instance, Mapping) else {}
        self._interfaces = _entries(config.subtree(()), "name", "interface")
        self._ports = dict(_ports(self._qos))
        self._profiles = _entries(self._qos, "name", "buffer-management", "queue-management-profile")
        self._mappings = _entries(self._qos, "name", "pfc-mapping-profile")
        self._allocations = _entries(self._qos, "name", "buffer-management", "buffer-allocation-profile")

    def ecn(self, interface: str, queue: str) -> Ecn | None:
        """Return the marking that takes effect on a queue of an interface, or None."""
        if "explicit-congestion-notification" not in self._qos:
            return None
        bound = _entries(self._ports.get(interface), "queue-name", "output", "queues", "queue").get(queue, {})
        profile = self._profiles.get(bound.get("queue-management-profile", ""))
        for slope in _at(profile, "wred", "wred-slope") or ():
            if slope["enable-ecn"] and slope.get("slope-enabled") and all(name in slope for name in _SLOPE):
                low, high, percent = (int(slope[name]) for name in _SLOPE)
                return Ecn(kmin_bytes=low, kmax_bytes=high, pmax=percent / 100)
        return None

    def pfc(self, interface: str, priority: int, queue: str) -> Pfc | None:
        """Return when an interface sends PAUSE for a priority, or None: the priority is not lossless there.

        It is lossless where both directions are configured: a PFC queue takes the forwarding class and has its
        threshold from the interface's allocation profile, and the egress queue obeys the PAUSE of that priority.
        """
        mapping = self._mapping(interface)
        obeyed = _entries(mapping, "queue-name", "received-pfc-pause-frames", "queue").get(queue, {})
        allocation = self._allocations.get(_at(self._ports.get(interface), "input", "pfc-buffer-allocation-profile"))
        if not obeyed.get("enable-pfc") or obeyed.get("pfc-pause-frame-priority") != priority or allocation is None:
            return None
        sizes = _entries(allocation, "pfc-queue-name", "queues", "pfc-queue")
        for taken in _at(mapping, "received-traffic", "unicast-mapping", "pfc-queue") or ():
            sent = taken.get("pfc-pause-frame-priority")
            if sent == priority and f"fc{priority}" in taken.get("forwarding-class", ()):
                size = sizes.get(taken["pfc-queue-name"], {})
                headroom = size.get("maximum-pfc-reserved-share-bytes")
                return Pfc(
                    xoff_bytes=int(size.get("maximum-burst-size", _DEFAULT_BURST_BYTES)),
                    headroom_bytes=None if headroom is None else int(headroom),
                )
        return None

    def watchdog(self, interface: str) -> PfcWatchdog | None:
        """Return what an interface does about a queue that stays paused, or None: it waits.

        The deadlock recovery ignores the PAUSE for a while.
        """
        deadlock = _at(self._mapping(interface), "received-pfc-pause-frames", "deadlock") or {}
        if not deadlock.get("enable"):
            return None
        return PfcWatchdog(
            detection_ns=int(deadlock.get("detection-timer", _DEFAULT_TIMER_MS)) * NS_PER_MS,
            restoration_ns=int(deadlock.get("recovery-timer", _DEFAULT_TIMER_MS)) * NS_PER_MS,
            action="forward",
        )

    def addresses(self) -> dict[str, ipaddress.IPv4Interface]:
        """Return the interfaces that have an address in the default network instance."""
        members = _entries(self._instance, "name", "interface")
        found = {}
        for name, interface in self._interfaces.items():
            for subinterface in interface.get("subinterface", ()):
                routed = f"{name}.{subinterface['index']}" in members and _is_on(subinterface, "ipv4")
                for address in (_at(subinterface, "ipv4", "address") or ()) if routed else ():
                    found[name] = ipaddress.IPv4Interface(address["ip-prefix"])
        return found

    def static_routes(self) -> Iterator[StaticRoute]:
        """Yield the static routes of the default network instance, one for each next hop."""
        groups = _entries(self._instance, "name", "next-hop-groups", "group")
        if not _is_on(self._instance, "static-routes"):
            return
        for route in _at(self._instance, "static-routes", "route") or ():
            group = groups.get(route.get("next-hop-group", ""), {})
            for hop in group.get("nexthop", ()):
                if "ip-address" in hop and all(part.get("admin-state") != "disable" for part in (route, group, hop)):
                    address = ipaddress.IPv4Address(hop["ip-address"])
                    yield StaticRoute(prefix=ipaddress.IPv4Network(route["prefix"]), next_hop=address)

    def _mapping(self, interface: str) -> Tree:
        """Return the PFC mapping profile that takes effect on an interface."""
        port = _at(self._ports.get(interface), "pfc") or {}
        return self._mappings.get(port.get("pfc-mapping-profile", ""), {}) if port.get("pfc-enable") else {}


def _ports(qos: Tree) -> Iterator[tuple[str, Tree]]:
    """Yield the ports that have something of their own, by their interfaces; what is a subinterface's is left out."""
    for name, entry in _entries(qos, "interface-id", "interfaces", "interface").items():
        if _at(entry, "interface-ref", "subinterface") is None:
            yield str(_at(entry, "interface-ref", "interface") or name), entry


def _at(tree: object, *names: str) -> Any:  # noqa: ANN401 - whatever the configuration has there
    """Return what is at a path of plain containers, or None."""
    for name in names:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def _entries(tree: object, key: str, *names: str) -> dict[str, Tree]:
    """Return the entries of a list by their key."""
    found: Sequence[Tree] = _at(tree, *names) or ()
    return {str(entry[key]): entry for entry in found}


def _is_on(tree: Tree, *names: str) -> bool:
    """Whether nothing on a path is administratively disabled."""
    parts = [_at(tree, *names[:end]) or {} for end in range(len(names) + 1)]
    return all(part.get("admin-state") != "disable" for part in parts)
