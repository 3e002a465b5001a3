"""What a configuration of NVUE makes the switch do."""

import ipaddress
from collections.abc import Iterator
from fractions import Fraction

from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.units import NS_PER_MS
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.nvue.config import Config
from aibench_lib.virtual_lab.nvue.rules import GLOBAL, is_watched, profile

DEFAULT_KMIN_BYTES, DEFAULT_KMAX_BYTES, DEFAULT_PERCENT = 150_000, 1_500_000, 100
_DEFAULT_POLLING_MS, _DEFAULT_ROBUSTNESS = 100, 3
_DEFAULT_ALPHA = "alpha_1"
"""Of lossless traffic, as ``qos_infra.conf`` has it."""
_MOST_ALPHA = 64
"""Stands for an infinite one."""
_BUFFER = ("qos", "advance-buffer-config", "default-global")


def ecn(config: Config, interface: str, queue: int) -> Ecn | None:
    """Return the marking at a queue, or None; the default profile marks traffic class 0 unless told otherwise."""
    name = profile(config, interface, "congestion-control")
    path = ("qos", "congestion-control", name, "traffic-class", str(queue))
    by_default = name == GLOBAL and queue == 0
    if not (config.at(*path) or by_default) or config.value(*path, "ecn") == "disable":
        return None
    return Ecn(
        kmin_bytes=int(config.value(*path, "min-threshold") or DEFAULT_KMIN_BYTES),
        kmax_bytes=int(config.value(*path, "max-threshold") or DEFAULT_KMAX_BYTES),
        pmax=int(config.value(*path, "probability") or DEFAULT_PERCENT) / 100,
    )


def pfc(config: Config, interface: str, priority: int) -> Pfc | None:
    """Return when an interface pauses its neighbour's traffic class, or None: the class is not lossless there.

    PAUSE is sent when a class has used up its share of the shared buffer, alpha of what is free, and holds more than
    the threshold of the buffer reserved for it.
    """
    path = ("qos", "pfc", profile(config, interface, "pfc"))
    if str(priority) not in config.at(*path, "switch-priority"):
        return None
    if "disable" in (config.value(*path, "tx"), config.value(*path, "rx")):
        return None
    xoff, xon = (config.value(*path, name) for name in ("xoff-threshold", "xon-threshold"))
    alpha = _alpha(config.value(*_BUFFER, "ingress-lossless-buffer", "shared-alpha") or _DEFAULT_ALPHA)
    sizes = {"headroom_bytes": _headroom(config, interface, path)}
    if xon is not None:
        sizes["xon_offset_bytes"] = int(xon)
    if not alpha:
        return Pfc(xoff_bytes=int(xoff or 0), **_given(sizes))
    return Pfc(alpha=alpha, reserved_bytes=None if xoff is None else int(xoff), **_given(sizes))


def _headroom(config: Config, interface: str, path: tuple[str, ...]) -> int | None:
    own = config.value(*_BUFFER, "shared-headroom", "exclusive-headroom-per-pg")
    if own and config.value("interface", interface, "qos", "shared-headroom-pool") == "enabled":
        return int(own)
    port, xoff = config.value(*path, "port-buffer"), config.value(*path, "xoff-threshold")
    return max(0, int(port) - int(xoff)) if port and xoff else None


def _given(sizes: dict[str, int | None]) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if size is not None}


def _alpha(word: str) -> float:
    if word == "alpha_infinity":
        return float(_MOST_ALPHA)
    return float(Fraction(word.removeprefix("alpha_").replace("_", "/")))


def watchdog(config: Config, interface: str) -> PfcWatchdog | None:
    """Return what an interface does about a queue that stays paused, or None: it waits.

    It looks once a polling interval; a queue that it found paused so many times in a row drops, until no PAUSE comes
    for one interval.
    """
    if not is_watched(config, interface):
        return None
    polling = int(config.value("qos", "pfc-watchdog", "polling-interval") or _DEFAULT_POLLING_MS)
    robustness = int(config.value("qos", "pfc-watchdog", "robustness") or _DEFAULT_ROBUSTNESS)
    return PfcWatchdog(detection_ns=polling * robustness * NS_PER_MS, restoration_ns=polling * NS_PER_MS, action="drop")


def load_balancing(config: Config) -> LoadBalancing:
    """Return how the switch chooses among equal paths: by a hash, or each packet by the queues' occupancy."""
    adaptive = config.value("router", "adaptive-routing", "state") == "enabled" and any(
        config.value("interface", name, "router", "adaptive-routing", "state") == "enabled"
        for name in config.at("interface")
    )
    return LoadBalancing(mode="least_queue" if adaptive else "ecmp")


def addresses(config: Config) -> dict[str, ipaddress.IPv4Interface]:
    """Return the interfaces that have an address in the default VRF."""
    found: dict[str, ipaddress.IPv4Interface] = {}
    for name in config.at("interface"):
        for address in config.at("interface", name, "ipv4", "address"):
            if config.value("interface", name, "vrf") in (None, "default"):
                found.setdefault(name, ipaddress.IPv4Interface(address))
    return found


def static_routes(config: Config) -> Iterator[StaticRoute]:
    """Yield the static routes of the default VRF."""
    for prefix, route in config.at("vrf", "default", "router", "static").items():
        for hop, where in route.get("via", {}).items():
            yield StaticRoute(
                prefix=ipaddress.IPv4Network(prefix),
                next_hop=ipaddress.IPv4Address(hop),
                interface=next(iter(where.get("interface", {})), None),
            )


def is_shut(config: Config, interface: str) -> bool:
    """Whether an interface is administratively down."""
    return config.value("interface", interface, "link", "state") == "down"
