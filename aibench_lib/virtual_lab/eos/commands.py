"""The configuration commands that the simulated EOS knows, in the order in which a running-config shows them.

Syntax and ranges as the vendor's configuration generator (arista.avd, eos_cli_config_gen) writes and documents them.
"""

from collections.abc import Mapping

from aibench_lib.virtual_lab.cli.lines import Command, Values

_UNIT_BYTES = {"bytes": 1, "kbytes": 1_000, "mbytes": 1_000_000}
_LARGEST_THRESHOLD_BYTES = 256_000_000


def threshold_bytes(values: Values, which: str) -> int:
    """Return the ``min`` or ``max`` threshold of a ``random-detect ecn`` line [bytes]."""
    return int(values[which]) * _UNIT_BYTES[values[f"{which}_unit"]]


def _check_thresholds(values: Values) -> str | None:
    low, high = threshold_bytes(values, "min"), threshold_bytes(values, "max")
    if max(low, high) > _LARGEST_THRESHOLD_BYTES:
        return f"% Invalid input (a threshold is at most {_LARGEST_THRESHOLD_BYTES} bytes)"
    if low > high:
        return "% Invalid input (minimum-threshold is larger than maximum-threshold)"
    return None


ECN = (
    "random-detect ecn minimum-threshold <min:1..256000000> <min_unit:bytes|kbytes|mbytes>"
    " maximum-threshold <max:1..256000000> <max_unit:bytes|kbytes|mbytes>"
    " max-mark-probability <probability:1..100> [weight <weight:0..15>]"
)

PFC_ON = Command("priority-flow-control on", also_no="priority-flow-control")
PFC_PRIORITY = "priority-flow-control priority <*priority:0..7> <action:drop|no-drop>"
WATCHDOG = "priority-flow-control pause watchdog"
PORT_TIMER = (
    f"{WATCHDOG} port timer timeout <timeout:0.01..60> polling-interval <polling:0.005..30>"
    " recovery-time <recovery:0.01..60> [forced]"
)
_ACTIONS = "drop|errdisable|notify-only"
_PFC = (
    PFC_ON,
    Command(PFC_PRIORITY),
    Command(WATCHDOG),
    Command(PORT_TIMER, also_no=f"{WATCHDOG} port timer"),
    Command(f"{WATCHDOG} port action <action:{_ACTIONS}>"),
)
"""A profile knows them, and an interface, whose own lines count before those of its profile."""

HASH = "ip load-sharing trident fields ip"
_HASH_FIELDS = ("source-ip", "source-port", "destination-ip", "destination-port", "ingress-interface")
DEFAULT_HASH = f"{HASH} {' '.join(_HASH_FIELDS)}"
"""A running-config does not show it, as public records have it."""


def _check_fields(values: Values) -> str | None:
    wrong = [field for field in values["fields"].split() if field not in _HASH_FIELDS]
    return f"% Invalid input (at token 5: '{wrong[0]}')" if wrong else None


_ALPHAS = "1|1/128|1/16|1/2|1/32|1/4|1/64|1/8|2|4|8"
_LARGEST_SIZE = 4_294_967_295
"""The vendor documents no limit."""


def _size(words: str) -> tuple[Command, ...]:
    """Return the commands that give something a size; without a unit it is in bytes."""
    number = f"<size:0..{_LARGEST_SIZE}>"
    return (Command(f"{words} <unit:bytes|cells> {number}"), Command(f"{words} {number}"))


COMMANDS: Mapping[str, tuple[Command, ...]] = {
    "global": (
        Command("queue-monitor length"),
        Command("platform trident mmu queue profile <*profile:word>", mode="mmu", prompt="mmu-queue-profile-{profile}"),
        Command("hostname <name:word>"),
        Command("hardware counter feature ecn out"),
        Command("qos random-detect ecn allow non-ect"),
        Command("qos map dscp <*dscp:0..63> to traffic-class <class:0..7>"),
        Command("qos map traffic-class <*class:0..7> to tx-queue <queue:0..7>"),
        Command("qos profile <*profile:word>", mode="qos-profile", prompt="qos-profile-{profile}"),
        Command("interface <*interface:interface>", mode="interface", prompt="if-{interface}"),
        Command("ip hardware fib load-balance distribution dynamic [flow-set-size <size:1..7>]"),
        Command(f"{HASH} <fields:line>", check=_check_fields),
        Command("ip route <*prefix:prefix> <*interface:interface> <*next_hop:address>"),
        Command("ip route <*prefix:prefix> <*next_hop:address>"),
        Command("ip route <*prefix:prefix>", only_no=True),
        Command("priority-flow-control all off"),
        Command(f"{WATCHDOG} default timeout <seconds:0.01..60>"),
        Command(f"{WATCHDOG} default recovery-time <seconds:0.01..60>"),
        Command(f"{WATCHDOG} default polling-interval <seconds:0.005..30>"),
        Command(f"{WATCHDOG} action <action:{_ACTIONS}>"),
        Command(f"{WATCHDOG} override action drop"),
        Command("management api gnmi", mode="gnmi", prompt="mgmt-api-gnmi"),
        Command("platform trident mmu queue profile <profile:word> apply"),
    ),
    "mmu": (
        *_size("ingress reserved"),
        Command(f"ingress threshold <alpha:{_ALPHAS}>"),
        *_size("ingress headroom"),
        Command(f"ingress resume <size:0..{_LARGEST_SIZE}>"),
        *_size("ingress priority-group <*group:0..7> reserved"),
        Command(f"ingress priority-group <*group:0..7> threshold <alpha:{_ALPHAS}>"),
    ),
    "qos-profile": (
        Command("qos trust <field:dscp|cos>"),
        *_PFC,
        Command("uc-tx-queue <*queue:0..7>", mode="tx-queue", prompt="-txq-{queue}"),
    ),
    "tx-queue": (
        Command("no priority [strict]"),
        Command("bandwidth percent <percent:1..100>"),
        Command(ECN, also_no="random-detect ecn", check=_check_thresholds),
        Command("random-detect ecn count"),
    ),
    "interface": (
        Command("description <text:line>"),
        Command("shutdown"),
        Command("mtu <bytes:68..9214>"),
        Command("no switchport"),
        Command("ip address <address:address/length>"),
        *_PFC,
        Command("service-profile <profile:word>"),
    ),
    "gnmi": (Command("transport grpc <*name:word>", mode="grpc", prompt="-transport-{name}"),),
    "grpc": (
        Command("shutdown"),
        Command("ssl profile <profile:word>"),
        Command("port <port:1..65535>"),
    ),
}
