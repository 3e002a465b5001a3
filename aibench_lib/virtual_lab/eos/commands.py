"""The configuration commands that the simulated EOS knows, in the order in which a running-config shows them.

Syntax and ranges as the vendor's configuration generator (arista.avd, eos_cli_config_gen) writes and documents them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Values = Mapping[str, str]

_UNIT_BYTES = {"bytes": 1, "kbytes": 1_000, "mbytes": 1_000_000}
_LARGEST_THRESHOLD_BYTES = 256_000_000


@dataclass(frozen=True)
class Command:
    """One line of a configuration."""

    pattern: str
    mode: str = ""
    """The mode it opens, a key of :data:`COMMANDS`; empty: it is one line."""
    prompt: str = ""
    """What the prompt says in that mode; a leading ``-`` extends the prompt of the mode above."""
    also_no: str = ""
    """A shorter line whose ``no`` form removes it too."""
    check: Callable[[Values], str | None] = lambda values: None
    """Return what the switch answers to values that contradict each other, or None."""


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

COMMANDS: Mapping[str, tuple[Command, ...]] = {
    "global": (
        Command("queue-monitor length"),
        Command("hostname <name:word>"),
        Command("hardware counter feature ecn out"),
        Command("qos random-detect ecn allow non-ect"),
        Command("qos map dscp <*dscp:0..63> to traffic-class <class:0..7>"),
        Command("qos map traffic-class <*class:0..7> to tx-queue <queue:0..7>"),
        Command("qos profile <*profile:word>", mode="qos-profile", prompt="qos-profile-{profile}"),
        Command("interface <*interface:interface>", mode="interface", prompt="if-{interface}"),
        Command("management api gnmi", mode="gnmi", prompt="mgmt-api-gnmi"),
    ),
    "qos-profile": (
        Command("qos trust <field:dscp|cos>"),
        Command("priority-flow-control on"),
        Command("priority-flow-control priority <*priority:0..7> <action:drop|no-drop>"),
        Command("uc-tx-queue <*queue:0..7>", mode="tx-queue", prompt="-txq-{queue}"),
    ),
    "tx-queue": (
        Command("priority strict"),
        Command("bandwidth percent <percent:1..100>"),
        Command(ECN, also_no="random-detect ecn", check=_check_thresholds),
        Command("random-detect ecn count"),
    ),
    "interface": (
        Command("description <text:line>"),
        Command("shutdown"),
        Command("mtu <bytes:68..9214>"),
        Command("no switchport"),
        Command("service-profile <profile:word>"),
    ),
    "gnmi": (Command("transport grpc <*name:word>", mode="grpc", prompt="-transport-{name}"),),
    "grpc": (
        Command("shutdown"),
        Command("ssl profile <profile:word>"),
        Command("port <port:1..65535>"),
    ),
}
