"""What a configuration of EOS makes the switch do, beyond marking."""

import ipaddress
from collections.abc import Iterator
from fractions import Fraction

from aibench_lib.errors import SpecError
from aibench_lib.simulator import LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.units import NS_PER_SECOND
from aibench_lib.virtual_lab.cli.lines import Line, Values
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.eos.commands import COMMANDS, PFC_ON, WATCHDOG
from aibench_lib.virtual_lab.eos.config import Config

_BYTES_A_CELL = 254
_DEFAULT_ALPHA = "1/8"
"""Of a priority group for which no threshold is configured; the vendor documents none."""
_DEFAULT_RESUME_BYTES = 4 * _BYTES_A_CELL
"""How far a priority group falls below its threshold before traffic resumes; the vendor documents none."""
_DEFAULT_MTU = 1500
_MMU = "platform trident mmu queue profile"
_ROUTE = "ip route "


def pfc(config: Config, interface: str, priority: int) -> Pfc | None:
    """Return when an interface sends PAUSE for a priority, or None: the priority is not lossless there.

    Trident sends it when the ingress priority group holds more than its reserved bytes and alpha of the free buffer.
    """
    blocks = config.blocks_of(interface)
    if _child(config.root, "priority-flow-control all off") or not any(
        _child(block, PFC_ON.pattern) for block in blocks
    ):
        return None
    actions = [line for block in blocks if (line := _child(block, f"priority-flow-control priority {priority}"))]
    if not actions or actions[0].values["action"] == "drop":
        return None
    applied = _child(config.root, _MMU)
    profile = _child(config.root, f"{_MMU} {applied.values['profile']}") if applied else None
    group = f"ingress priority-group {priority}"
    threshold = _first(profile, f"{group} threshold", "ingress threshold")
    reserved = _first(profile, f"{group} reserved", "ingress reserved")
    headroom, resume = _first(profile, "ingress headroom"), _first(profile, "ingress resume")
    return Pfc(
        alpha=float(Fraction(threshold["alpha"] if threshold else _DEFAULT_ALPHA)),
        reserved_bytes=_size(reserved) if reserved else None,
        xon_offset_bytes=_size(resume) if resume else _DEFAULT_RESUME_BYTES,
        headroom_bytes=_size(headroom) if headroom else None,
    )


def watchdog(config: Config, interface: str) -> PfcWatchdog | None:
    """Return what an interface does about a queue that stays paused, or None: nothing but to report it.

    Raises:
        SpecError: It would shut the port, which is not simulated.
    """
    blocks = config.blocks_of(interface)
    if not any(_child(block, WATCHDOG) for block in blocks):
        return None
    own = [values for block in blocks if (values := _first(block, f"{WATCHDOG} port timer timeout"))]
    timeout = own[0].get("timeout") if own else _seconds(config, "timeout")
    recovery = own[0].get("recovery") if own else _seconds(config, "recovery-time")
    actions = [values for block in blocks if (values := _first(block, f"{WATCHDOG} port action"))]
    actions += [values for values in [_first(config.root, f"{WATCHDOG} action")] if values]
    action = actions[0]["action"] if actions else "errdisable"
    if _child(config.root, f"{WATCHDOG} override action drop"):
        action = "drop"
    if timeout is None or recovery is None or action == "notify-only":
        return None
    if action == "errdisable":
        raise SpecError(
            f"{interface}: the PFC watchdog's action errdisable is not simulated; set {WATCHDOG} action drop"
        )
    return PfcWatchdog(
        detection_ns=round(Fraction(timeout) * NS_PER_SECOND),
        restoration_ns=round(Fraction(recovery) * NS_PER_SECOND),
        action="drop",
    )


def load_balancing(config: Config) -> LoadBalancing:
    """Return how the switch chooses among equal paths: by a hash, or dynamically by flowlets.

    The gap between two flowlets has no command; it is the simulator's default.
    """
    dynamic = _child(config.root, "ip hardware fib load-balance distribution dynamic")
    return LoadBalancing(mode="flowlet" if dynamic else "ecmp")


def addresses(config: Config) -> dict[str, ipaddress.IPv4Interface]:
    """Return the routed interfaces that have an address."""
    found = {}
    for line in config.root.children.values():
        values = _first(line, "ip address")
        if values and "no switchport" in line.children:
            found[line.values["interface"]] = ipaddress.IPv4Interface(values["address"])
    return found


def mtu(config: Config, interface: str) -> int:
    """Return the largest IP packet that an interface sends [bytes]."""
    values = _first(_child(config.root, f"interface {interface}"), "mtu")
    return int(values["bytes"]) if values else _DEFAULT_MTU


def static_routes(config: Config) -> Iterator[StaticRoute]:
    """Yield the static routes in the order of the running configuration."""
    for line in config.root.ordered(COMMANDS["global"]):
        if line.text.startswith(_ROUTE):
            values = line.values
            yield StaticRoute(
                prefix=ipaddress.IPv4Network(values["prefix"]),
                next_hop=ipaddress.IPv4Address(values["next_hop"]),
                interface=values.get("interface"),
            )


def _child(block: Line | None, identity: str) -> Line | None:
    return block.children.get(identity) if block else None


def _first(block: Line | None, *identities: str) -> Values | None:
    """Return the values of the first of some lines that a block has."""
    return next((line.values for name in identities if (line := _child(block, name))), None)


def _size(values: Values) -> int:
    return int(values["size"]) * (_BYTES_A_CELL if values.get("unit") == "cells" else 1)


def _seconds(config: Config, which: str) -> str | None:
    values = _first(config.root, f"{WATCHDOG} default {which}")
    return values["seconds"] if values else None
