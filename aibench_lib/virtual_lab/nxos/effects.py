"""What a configuration of NX-OS makes the switch do."""

import ipaddress
from collections.abc import Iterator

from aibench_lib.simulator import Ecn, Pfc, PfcWatchdog
from aibench_lib.units import NS_PER_MS
from aibench_lib.virtual_lab.cli.lines import Line, Values
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.nxos.commands import AUTO, COMMANDS, FIXED, INTERVAL, SHUTDOWN, TIMERS, WATCHDOG
from aibench_lib.virtual_lab.nxos.commands import threshold_bytes as _threshold
from aibench_lib.virtual_lab.nxos.config import Config

_DEFAULT_MTU = 1500
_DEFAULT_PAUSE: Values = {"buffer": "101920", "pause": "46800", "resume": "34320"}
"""Of a lossless class for which nothing is configured: what a published configuration gives one; none documents it."""
_PACKET_BYTES = 1500
"""A threshold in packets counts packets of this size here."""
_ROUTE = "ip route "


def queue_name(queue: int) -> str:
    """Return what the switch calls the class of a queue."""
    return f"c-out-8q-q{queue}" if queue else "c-out-8q-q-default"


def ecn(config: Config, queue: int) -> Ecn | None:
    """Return the marking that takes effect on a queue of every port, or None: without ``ecn`` it would drop."""
    part = _child(config.system_policy("queuing output"), f"class type queuing {queue_name(queue)}")
    line = _child(part, "random-detect minimum-threshold")
    if line is None or not line.text.endswith(" ecn"):
        return None
    low, high = (_threshold(line.values, which) for which in ("min", "max"))
    if low is None or high is None:
        low, high = (int(line.values[which]) * _PACKET_BYTES for which in ("min", "max"))
    return Ecn(kmin_bytes=low, kmax_bytes=high, pmax=int(line.values["probability"]) / 100)


def pfc(config: Config, interface: str, priority: int) -> Pfc | None:
    """Return when an interface sends PAUSE for a priority, or None: the priority is not lossless there.

    The network-qos policy of the system pauses the priority, and the interface's mode is ``on``: with ``auto`` DCBX
    would have to agree, which nobody here speaks.
    """
    mode = _values(config.interface(interface), "priority-flow-control mode")
    network = config.system_policy("network-qos")
    paused = [_values(part, "pause pfc-cos") for part in network.children.values()] if network else []
    if not mode or mode["mode"] != "on" or {"cos": str(priority)} not in paused:
        return None
    part = _child(config.system_policy("queuing input"), f"class type queuing c-in-q{priority or '-default'}")
    sizes = {name: int(size) for name, size in (_values(part, "pause buffer-size") or _DEFAULT_PAUSE).items()}
    return Pfc(
        xoff_bytes=sizes["pause"],
        xon_offset_bytes=sizes["pause"] - sizes["resume"],
        headroom_bytes=sizes["buffer"] - sizes["pause"],
    )


def watchdog(config: Config, interface: str) -> PfcWatchdog | None:
    """Return what an interface does about a queue that stays paused, or None: it waits.

    The watchdog is on where the whole switch and the interface say so; it drops.
    """
    states = [_values(place, WATCHDOG) for place in (config.root, config.interface(interface))]
    if not all(state and state["state"] == "on" for state in states):
        return None
    interval_ns = _timer(config, INTERVAL) * NS_PER_MS
    restore = _timer(config, AUTO) + _timer(config, FIXED)
    return PfcWatchdog(
        detection_ns=interval_ns * _timer(config, SHUTDOWN),
        restoration_ns=interval_ns * max(restore, 1),
        action="drop",
    )


def addresses(config: Config) -> dict[str, ipaddress.IPv4Interface]:
    """Return the routed interfaces that have an address."""
    found = {}
    for line in config.root.children.values():
        values = _values(line, "ip address")
        if values and "no switchport" in line.children:
            found[line.values["interface"]] = ipaddress.IPv4Interface(values["address"])
    return found


def is_shut(config: Config, interface: str) -> bool:
    """Whether an interface is administratively down, as a routed one is by default."""
    line = config.interface(interface)
    return line is None or "no shutdown" not in line.children


def mtu(config: Config, interface: str) -> int:
    """Return the largest IP packet that an interface sends [bytes]."""
    values = _values(config.interface(interface), "mtu")
    return int(values["bytes"]) if values else _DEFAULT_MTU


def static_routes(config: Config) -> Iterator[StaticRoute]:
    """Yield the static routes in the order of the running configuration."""
    for line in config.root.ordered(COMMANDS["global"]):
        if line.text.startswith(_ROUTE):
            yield StaticRoute(
                prefix=ipaddress.IPv4Network(line.values["prefix"]),
                next_hop=ipaddress.IPv4Address(line.values["next_hop"]),
                interface=line.values.get("interface"),
            )


def _timer(config: Config, which: str) -> int:
    values = _values(config.root, which)
    return int(next(iter(values.values()))) if values else TIMERS[which]


def _child(block: Line | None, identity: str) -> Line | None:
    return block.children.get(identity) if block else None


def _values(block: Line | None, identity: str) -> Values | None:
    line = _child(block, identity)
    return line.values if line else None
