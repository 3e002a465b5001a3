"""What a configuration of Junos makes the switch do."""

import ipaddress
from collections.abc import Iterator

from aibench_lib.errors import SpecError
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.units import NS_PER_MS
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.junos.config import Config

QUEUE_BUFFER_BYTES = 10_000_000
"""What a queue's buffer holds, of which a drop profile takes per cents [B]; on a product it follows from the dedicated
and the shared buffer."""
CELL_BYTES = 254
ALPHAS = tuple(2.0**exponent for exponent in range(-7, 4))
"""By `dynamic-threshold`: 1/128 to 8."""

_COS = "class-of-service"
_DLB = ("forwarding-options", "enhanced-hash-key", "ecmp-dlb")
_DEFAULT_THRESHOLD = "7"
_DEFAULT_XON_CELLS = "20"
_DEFAULT_POLL_MS, _DEFAULT_POLLS, _DEFAULT_RECOVERY_MS = "100", "2", "200"
_DEFAULT_INACTIVITY_US = "256"
_NS_PER_US = 1000


def ecn(config: Config, interface: str, queue: int) -> Ecn | None:
    """Return the marking that takes effect on a queue of an interface, or None."""
    name = _bound(config, interface, "scheduler-map")
    for forwarding_class in _classes_of(config, queue):
        scheduler = config.value(_COS, "scheduler-maps", name, "forwarding-class", forwarding_class, "scheduler")
        place = (_COS, "schedulers", scheduler or "")
        profiles = [path[-1] for path in config.paths(*place, "drop-profile-map") if path[-2] == "drop-profile"]
        if not profiles or not config.has(*place, "explicit-congestion-notification"):
            continue
        curve = (_COS, "drop-profiles", profiles[0], "interpolate")
        levels = [int(value) * QUEUE_BUFFER_BYTES // 100 for value in config.values(*curve, "fill-level")]
        chances = [int(value) for value in config.values(*curve, "drop-probability")]
        return Ecn(kmin_bytes=levels[0], kmax_bytes=levels[-1], pmax=chances[-1] / 100)
    return None


def pfc(config: Config, interface: str, priority: int) -> Pfc | None:
    """Return when an interface sends PAUSE for a priority, or None: the priority is not lossless there.

    XOFF follows from alpha and the free shared buffer; nothing configures it in bytes.
    """
    name = _bound(config, interface, "congestion-notification-profile")
    place = (_COS, "congestion-notification-profile", name, "input")
    paused = {path[-2]: path[:-1] for path in config.paths(*place) if path[-1] == "pfc"}
    for points, path in paused.items():
        if priority in _priorities(config, interface, points):
            threshold = config.value(
                _COS, "shared-buffer", "ingress", "buffer-partition", "lossless", "dynamic-threshold"
            )
            xon = config.value(*path, "xon")
            return Pfc(
                alpha=ALPHAS[int(threshold or _DEFAULT_THRESHOLD)],
                xon_offset_bytes=int(xon or _DEFAULT_XON_CELLS) * CELL_BYTES,
            )
    return None


def watchdog(config: Config, interface: str) -> PfcWatchdog | None:
    """Return what an interface does about a queue that stays paused, or None: it waits."""
    name = _bound(config, interface, "congestion-notification-profile")
    place = (_COS, "congestion-notification-profile", name, "pfc-watchdog")
    if not config.has(*place):
        return None
    poll_ms = int(config.value(*place, "poll-interval") or _DEFAULT_POLL_MS)
    polls = int(config.value(*place, "detection") or _DEFAULT_POLLS)
    return PfcWatchdog(
        detection_ns=poll_ms * polls * NS_PER_MS,
        restoration_ns=int(config.value(*place, "recovery") or _DEFAULT_RECOVERY_MS) * NS_PER_MS,
        action=config.value(*place, "watchdog-action") or "drop",
    )


def load_balancing(config: Config) -> LoadBalancing:
    """Return how the switch chooses among equal paths.

    Raises:
        SpecError: As it is not simulated.
    """
    modes = config.values(*_DLB)
    if "assigned-flow" in modes:
        raise SpecError("ecmp-dlb assigned-flow is not simulated; configure flowlet or per-packet")
    if "per-packet" in modes:
        return LoadBalancing(mode="packet_spray")
    if "flowlet" in modes:
        gap_us = int(config.value(*_DLB, "flowlet", "inactivity-interval") or _DEFAULT_INACTIVITY_US)
        return LoadBalancing(mode="flowlet", flowlet_gap_ns=gap_us * _NS_PER_US)
    return LoadBalancing(mode="ecmp")


def addresses(config: Config) -> dict[str, ipaddress.IPv4Interface]:
    """Return the interfaces that have an address on their first unit."""
    found = {}
    for interface in config.values("interfaces"):
        address = config.value("interfaces", interface, "unit", "0", "family", "inet", "address")
        if address:
            found[interface] = ipaddress.IPv4Interface(address)
    return found


def static_routes(config: Config) -> Iterator[StaticRoute]:
    """Yield the static routes, one for each next hop."""
    for path in config.paths("routing-options", "static", "route"):
        if path[-2] == "next-hop":
            yield StaticRoute(prefix=ipaddress.IPv4Network(path[3]), next_hop=ipaddress.IPv4Address(path[-1]))


def _bound(config: Config, interface: str, *words: str) -> str:
    """Return what an interface is bound to: by its name, by its kind, or with all; empty: to nothing."""
    names = (interface, f"{interface.partition('-')[0]}-*", "all")
    return next(filter(None, (config.value(_COS, "interfaces", name, *words) for name in names)), "")


def _classes_of(config: Config, queue: int) -> list[str]:
    place = (_COS, "forwarding-classes", "class")
    return [name for name in config.values(*place) if config.value(*place, name, "queue-num") == str(queue)]


def _priorities(config: Config, interface: str, points: str) -> set[int]:
    """Return the lossless priorities of the traffic with a code point; three bits are the priority itself."""
    place = (_COS, "forwarding-classes", "class")
    lossless = {
        name: config.value(*place, name, "pfc-priority") or config.value(*place, name, "queue-num")
        for name in config.values(*place)
        if config.has(*place, name, "no-loss")
    }
    found = {int(value) for value in lossless.values() if value}
    if len(points) == 3:
        return found & {int(points, 2)}
    units = (_bound(config, interface, "unit", unit, "classifiers", "dscp") for unit in ("0", "*"))
    classifier = next(filter(None, units), "")
    taken = set()
    for path in config.paths(_COS, "classifiers", "dscp", classifier):
        bits = config.value(_COS, "code-point-aliases", "dscp", path[-1]) or path[-1]
        if path[-2] == "code-points" and bits == points and (value := lossless.get(path[5])):
            taken.add(int(value))
    return taken
