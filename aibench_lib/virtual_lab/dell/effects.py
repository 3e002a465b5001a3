"""What a configuration of the simulated Dell switch makes it do."""

import ipaddress
from collections.abc import Iterator

from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.units import NS_PER_MS, NS_PER_US
from aibench_lib.virtual_lab.cli.lines import Line, Values
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.dell.commands import COMMANDS, WATCHDOG
from aibench_lib.virtual_lab.dell.config import Config

_BYTES_PER_KB = 1000
_DEFAULT_EXPONENT = -3
_DEFAULT_XON_OFFSET_BYTES = 2288
"""Of a priority group without a profile of its own, as SONiC makes them from the port's speed and cable."""
_DEFAULT_IDLE_US = 256
_DEFAULT_MTU = 9100
_MODES = {
    "flowlet-quality": "flowlet",
    "flowlet-random": "flowlet",
    "packet-quality": "least_queue",
    "packet-random": "packet_spray",
}


def ecn(config: Config, interface: str, queue: int) -> Ecn | None:
    """Return the marking that takes effect on a queue of an interface, or None: no marking."""
    bound = _values(config.below(f"interface {interface}"), f"queue {queue} wred-policy")
    policy = config.below(f"qos wred-policy {bound['policy']}") if bound else {}
    green = _values(policy, "green minimum-threshold")
    if green is None or "ecn" not in policy:
        return None
    return Ecn(
        kmin_bytes=int(green["min"]) * _BYTES_PER_KB,
        kmax_bytes=int(green["max"]) * _BYTES_PER_KB,
        pmax=int(green["probability"]) / 100,
    )


def pfc(config: Config, interface: str, priority: int) -> Pfc | None:
    """Return when an interface sends PAUSE for a priority, or None: the priority is not lossless there."""
    port = config.below(f"interface {interface}")
    if f"priority-flow-control priority {priority}" not in port:
        return None
    bound = _values(port, f"buffer priority-group {_group(config, port, priority)}")
    profile = config.root.children.get(f"buffer profile {bound['profile']}") if bound else None
    if profile is None:
        return Pfc(alpha=2.0**_DEFAULT_EXPONENT, xon_offset_bytes=_DEFAULT_XON_OFFSET_BYTES)
    values = profile.values
    static = values.get("static")
    return Pfc(
        xoff_bytes=int(values["size"]) + int(static) if static else None,
        alpha=None if static else 2.0 ** int(values.get("dynamic", _DEFAULT_EXPONENT)),
        xon_offset_bytes=_DEFAULT_XON_OFFSET_BYTES,
        headroom_bytes=int(values["pause"]) if "pause" in values else None,
        reserved_bytes=int(values["size"]),
    )


def _group(config: Config, port: dict[str, Line], priority: int) -> int:
    """Return the priority group of a traffic class, which has its number unless the port's map says otherwise."""
    bound = _values(port, "qos-map tc-pg")
    mapped = config.below(f"qos map tc-pg {bound['map']}") if bound else {}
    values = _values(mapped, f"traffic-class {priority} priority-group")
    return int(values["group"]) if values else priority


def watchdog(config: Config, interface: str) -> PfcWatchdog | None:
    """Return what an interface does about a queue that stays paused, or None: nothing, or an alert."""
    port = config.below(f"interface {interface}")
    detection = _values(port, f"{WATCHDOG} on detect-time")
    action = (_values(port, f"{WATCHDOG} action") or {"action": "drop"})["action"]
    if detection is None or action == "alert":
        return None
    milliseconds = int(detection["milliseconds"])
    restoration = _values(port, f"{WATCHDOG} restore-time") or {"milliseconds": str(2 * milliseconds)}
    return PfcWatchdog(milliseconds * NS_PER_MS, int(restoration["milliseconds"]) * NS_PER_MS, action)


def load_balancing(config: Config) -> LoadBalancing:
    """Return how the switch chooses among equal paths: by a hash, or as the object says that all routes are given."""
    top = config.root.children
    routes = _values(top, "ip protocol any route-map")
    if routes is None or "ars bind profile" not in top:
        return LoadBalancing()
    for key, line in top.items():
        given = _values(line.children, "set ars-object")
        if key.startswith(f"route-map {routes['map']} permit ") and given:
            balanced = config.below(f"ars object {given['object']}")
            mode = (_values(balanced, "mode") or {"mode": "flowlet-quality"})["mode"]
            idle = _values(balanced, "idle-time") or {"microseconds": str(_DEFAULT_IDLE_US)}
            gap_ns = int(idle["microseconds"]) * NS_PER_US
            return LoadBalancing(mode=_MODES.get(mode, "ecmp"), flowlet_gap_ns=gap_ns)
    return LoadBalancing()


def addresses(config: Config) -> dict[str, ipaddress.IPv4Interface]:
    """Return the interfaces that have an address."""
    found = {}
    for line in config.root.ordered(COMMANDS["global"]):
        values = _values(line.children, "ip address")
        if values:
            found[line.values["interface"]] = ipaddress.IPv4Interface(values["address"])
    return found


def static_routes(config: Config) -> Iterator[StaticRoute]:
    """Yield the static routes in the order of the running configuration."""
    for line in config.root.ordered(COMMANDS["global"]):
        if line.text.startswith("ip route "):
            values = line.values
            prefix, hop = ipaddress.IPv4Network(values["prefix"]), ipaddress.IPv4Address(values["next_hop"])
            yield StaticRoute(prefix, hop, values.get("interface"))


def is_shut(config: Config, interface: str) -> bool:
    """Whether an interface is administratively down."""
    return "shutdown" in config.below(f"interface {interface}")


def mtu(config: Config, interface: str) -> int:
    """Return the largest IP packet of an interface [bytes]."""
    values = _values(config.below(f"interface {interface}"), "mtu")
    return int(values["bytes"]) if values else _DEFAULT_MTU


def _values(lines: dict[str, Line], identity: str) -> Values | None:
    line = lines.get(identity)
    return line.values if line else None
