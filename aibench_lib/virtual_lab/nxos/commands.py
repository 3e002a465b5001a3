"""The configuration commands that the simulated NX-OS knows, in the order in which a running-config shows them.

Ranges as in the vendor's YANG (Cisco-NX-OS-device 9.3(1)) where it has the leaf.  It lacks the timers of the PFC
watchdog: theirs are as practitioners know them.
"""

import re
from collections.abc import Mapping

from aibench_lib.virtual_lab.cli.lines import Command, Values

_UNIT_BYTES = {"bytes": 1, "kbytes": 1_000, "mbytes": 1_000_000}
_UNITS = "packets|bytes|kbytes|mbytes"
_THRESHOLD = "0..52428800"
DSCPS = 64
INVALID = "% Invalid command at '^' marker."


def threshold_bytes(values: Values, which: str) -> int | None:
    """Return the ``min`` or ``max`` threshold of a ``random-detect`` line [bytes]; None if it counts packets."""
    unit = _UNIT_BYTES.get(values[f"{which}_unit"])
    return None if unit is None else int(values[which]) * unit


def _check_thresholds(values: Values) -> str | None:
    low, high = threshold_bytes(values, "min"), threshold_bytes(values, "max")
    if (low is None) != (high is None):
        return "ERROR: Minimum and maximum threshold must both be in packets or both be in bytes"
    numbers = (int(values["min"]), int(values["max"])) if low is None or high is None else (low, high)
    return "ERROR: Minimum threshold is greater than maximum threshold" if numbers[0] > numbers[1] else None


def _check_pause(values: Values) -> str | None:
    buffer, pause, resume = (int(values[name]) for name in ("buffer", "pause", "resume"))
    return None if resume <= pause <= buffer else "ERROR: Pause buffer-size, pause-threshold, resume-threshold invalid"


def dscp_set(text: str) -> frozenset[int] | None:
    """Return the code points of a list such as ``24,26-28``; None if it is none."""
    found: set[int] = set()
    for part in text.split(","):
        span = re.fullmatch(r"(\d+)(?:-(\d+))?", part, re.ASCII)
        if not span:
            return None
        found |= set(range(int(span[1]), int(span[2] or span[1]) + 1))
    return frozenset(found) if found and max(found) < DSCPS else None


def dscp_text(values: frozenset[int]) -> str:
    """Return a list of code points as the running configuration shows it."""
    spans: list[list[int]] = []
    for value in sorted(values):
        if spans and spans[-1][1] == value - 1:
            spans[-1][1] = value
        else:
            spans.append([value, value])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


_LOAD_SHARING = re.compile(
    r"(destination port destination|source-destination( port source-destination)?)( universal-id \d+)?( rotate \d+)?"
)


def _check_load_sharing(values: Values) -> str | None:
    return None if _LOAD_SHARING.fullmatch(values["mode"]) else INVALID


RANDOM_DETECT = (
    f"random-detect minimum-threshold <min:{_THRESHOLD}> <min_unit:{_UNITS}>"
    f" maximum-threshold <max:{_THRESHOLD}> <max_unit:{_UNITS}>"
    " drop-probability <probability:0..100> weight <weight:0..15> [ecn]"
)
PAUSE_BUFFER = (
    "pause buffer-size <buffer:5000..12582913>"
    " pause-threshold <pause:0..12582912> resume-threshold <resume:0..12582912>"
)
MATCH_DSCP = Command(
    "match dscp <dscp:word>", check=lambda values: None if dscp_set(values["dscp"]) is not None else INVALID
)
WATCHDOG = "priority-flow-control watch-dog-interval"
INTERVAL, SHUTDOWN = "priority-flow-control watch-dog interval", "priority-flow-control watch-dog shutdown-multiplier"
AUTO, FIXED = "priority-flow-control auto-restore multiplier", "priority-flow-control fixed-restore multiplier"
TIMERS: Mapping[str, int] = {INTERVAL: 100, SHUTDOWN: 1, AUTO: 10, FIXED: 0}
"""Of the PFC watchdog, and what they are where nothing is configured [ms, then multiples of that]."""
HIDDEN = frozenset(
    (
        f"{WATCHDOG} off",
        "priority-flow-control mode auto",
        "ip load-sharing address source-destination port source-destination",
        *(f"{timer} {default}" for timer, default in TIMERS.items()),
    )
)
"""Lines that say the default, which a running configuration does not show."""

_QUEUES = "|".join(
    [f"c-{way}-q{queue}" for way in ("out-8q", "out", "in") for queue in ("-default", 1, 2, 3, 4, 5, 6, 7)]
)
_NETWORK_CLASSES = "|".join(f"c-8q-nq{queue}" for queue in ("-default", 1, 2, 3, 4, 5, 6, 7))

COMMANDS: Mapping[str, tuple[Command, ...]] = {
    "global": (
        Command("hostname <name:word>"),
        Command("feature <*name:word>"),
        Command(
            "class-map type qos <*match:match-any|match-all> <*name:word>", mode="class-map-qos", prompt="cmap-qos"
        ),
        Command("policy-map type qos <*name:word>", mode="policy-qos", prompt="pmap-qos"),
        Command("policy-map type queuing <*name:word>", mode="policy-queuing", prompt="pmap-que"),
        Command("policy-map type network-qos <*name:word>", mode="policy-network", prompt="pmap-nqos"),
        Command("system qos", mode="system-qos", prompt="sys-qos"),
        Command(f"{INTERVAL} <ms:100..1000>"),
        Command(f"{SHUTDOWN} <times:1..10>"),
        Command(f"{AUTO} <times:0..100>"),
        Command(f"{FIXED} <times:0..100>"),
        Command(f"{WATCHDOG} <state:on|off>"),
        Command("ip load-sharing address <mode:line>", check=_check_load_sharing),
        Command("ip route <*prefix:prefix> <*interface:interface> <*next_hop:address>"),
        Command("ip route <*prefix:prefix> <*next_hop:address>"),
        Command("interface <*interface:interface>", mode="interface", prompt="if"),
        Command("grpc port <port:1024..65535>"),
        Command("grpc use-vrf <vrf:default|management>"),
    ),
    "class-map-qos": (MATCH_DSCP,),
    "policy-qos": (Command("class <*name:word>", mode="class-qos", prompt="pmap-c-qos"),),
    "class-qos": (Command("set qos-group <group:0..7>"),),
    "policy-queuing": (Command(f"class type queuing <*name:{_QUEUES}>", mode="class-queuing", prompt="pmap-c-que"),),
    "class-queuing": (
        Command("priority level <level:1..8>", also_no="priority"),
        Command("bandwidth percent <percent:0..100>"),
        Command("bandwidth remaining percent <percent:0..100>"),
        Command(RANDOM_DETECT, also_no="random-detect", check=_check_thresholds),
        Command(PAUSE_BUFFER, check=_check_pause),
    ),
    "policy-network": (
        Command(f"class type network-qos <*name:{_NETWORK_CLASSES}>", mode="class-network", prompt="pmap-nqos-c"),
    ),
    "class-network": (
        Command("mtu <bytes:576..9216>"),
        Command("pause pfc-cos <cos:0..7>"),
    ),
    "system-qos": (
        Command("service-policy type network-qos <policy:word>"),
        Command("service-policy type queuing input <policy:word>"),
        Command("service-policy type queuing output <policy:word>"),
    ),
    "interface": (
        Command("description <text:line>"),
        Command("no switchport"),
        Command("priority-flow-control mode <mode:auto|on|off>"),
        Command(f"{WATCHDOG} <state:on|off>"),
        Command("mtu <bytes:576..9216>"),
        Command("service-policy type qos input <policy:word>"),
        Command("ip address <address:address/length>"),
        Command("no shutdown"),
    ),
}
