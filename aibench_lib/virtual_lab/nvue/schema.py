"""The part of the NVUE object model that a fabric's switch is configured with (Cumulus Linux 5.16 and later)."""

from dataclasses import dataclass, field

from aibench_lib.virtual_lab.cli.grammar import Ports, Value, Word, forms

ALPHAS = (
    "alpha_0",
    *(f"alpha_1_{2**power}" for power in range(7, 0, -1)),
    *(f"alpha_{2**power}" for power in range(7)),
    "alpha_infinity",
)
_BYTES = "0..4294967295"
_STATE = "enabled|disabled"
_HASHED = ("destination-ip", "destination-port", "ip-protocol", "ipv6-label", "source-ip", "source-port")

PATTERNS = (
    "interface <*interface:interface> type <type:swp|eth|loopback>",
    "interface <*interface:interface> description <text:word>",
    "interface <*interface:interface> ipv4 address <*address:address/length>",
    "interface <*interface:interface> link state <state:up|down>",
    "interface <*interface:interface> link mtu <mtu:552..9216>",
    "interface <*interface:interface> vrf <vrf:word>",
    *(
        f"interface <*interface:interface> qos {part} profile <profile:word>"
        for part in ("congestion-control", "egress-scheduler", "mapping", "pfc")
    ),
    f"interface <*interface:interface> qos pfc-watchdog state <state:{_STATE}>",
    f"interface <*interface:interface> qos shared-headroom-pool <state:{_STATE}>",
    f"interface <*interface:interface> router adaptive-routing state <state:{_STATE}>",
    "qos congestion-control <*profile:word> traffic-class <*class:0..7> ecn <ecn:enable|disable>",
    "qos congestion-control <*profile:word> traffic-class <*class:0..7> red <red:enable|disable>",
    f"qos congestion-control <*profile:word> traffic-class <*class:0..7> min-threshold <bytes:{_BYTES}>",
    f"qos congestion-control <*profile:word> traffic-class <*class:0..7> max-threshold <bytes:{_BYTES}>",
    "qos congestion-control <*profile:word> traffic-class <*class:0..7> probability <percent:1..100>",
    "qos pfc <*profile:word> switch-priority <*priority:0..7>",
    "qos pfc <*profile:word> tx <tx:enable|disable>",
    "qos pfc <*profile:word> rx <rx:enable|disable>",
    f"qos pfc <*profile:word> xoff-threshold <bytes:{_BYTES}>",
    f"qos pfc <*profile:word> xon-threshold <bytes:{_BYTES}>",
    f"qos pfc <*profile:word> port-buffer <bytes:{_BYTES}>",
    "qos pfc <*profile:word> cable-length <metres:1..100000>",
    "qos pfc-watchdog polling-interval <ms:100..5000>",
    "qos pfc-watchdog robustness <intervals:1..1000>",
    f"qos advance-buffer-config default-global ingress-lossless-buffer shared-alpha <alpha:{'|'.join(ALPHAS)}>",
    f"qos advance-buffer-config default-global ingress-lossless-buffer shared-bytes <bytes:{_BYTES}>",
    "qos advance-buffer-config default-global shared-headroom exclusive-headroom-per-pg <bytes:19456..2621440>",
    "qos advance-buffer-config default-global shared-headroom required-headroom-per-pg <bytes:19456..2621440>",
    "qos advance-buffer-config default-global shared-headroom oversubscription-ratio <ratio:1..256>",
    "qos traffic-pool <*pool:default-lossy|default-lossless|mc-lossy|roce-lossy|roce-lossless> "
    "memory-percent <percent:0..100>",
    "qos traffic-pool <*pool:default-lossy|default-lossless|mc-lossy|roce-lossy|roce-lossless> "
    "switch-priority <*priority:0..7>",
    "qos mapping <*profile:word> trust <trust:l2|l3|port|both>",
    "qos mapping <*profile:word> dscp <*dscp:0..63> switch-priority <priority:0..7>",
    "qos mapping <*profile:word> pcp <*pcp:0..7> switch-priority <priority:0..7>",
    "qos egress-queue-mapping default-global switch-priority <*priority:0..7> traffic-class <class:0..7>",
    "qos egress-scheduler <*profile:word> traffic-class <*class:0..7> mode <mode:dwrr|strict>",
    "qos egress-scheduler <*profile:word> traffic-class <*class:0..7> bw-percent <percent:1..100>",
    f"router adaptive-routing state <state:{_STATE}>",
    "system hostname <name:word>",
    f"system config auto-save state <state:{_STATE}>",
    "system aaa user <*user:word> hashed-password <hash:word>",
    "system aaa user <*user:word> role <role:word>",
    *(f"system forwarding ecmp-hash {name} <state:{_STATE}>" for name in _HASHED),
    "system forwarding hash-seed <seed:0..4294967295>",
    "system gnmi-server listening-address <*address:word>",
    "system gnmi-server port <port:0..65535>",
    f"system gnmi-server state <state:{_STATE}>",
    "vrf <*vrf:word> router static <*prefix:prefix> via <*via:address> interface <*interface:interface>",
    "vrf <*vrf:word> router static <*prefix:prefix> via <*via:address> type <type:ipv4-address>",
    "vrf <*vrf:word> router static <*prefix:prefix> address-family <family:ipv4-unicast>",
)


class NvueError(Exception):
    """What ``nv`` answers to a command that the object model does not have."""


@dataclass
class Node:
    """A place in the object model."""

    words: dict[str, "Node"] = field(default_factory=dict)
    value: Value | None = None
    """What the user chooses here."""
    below: "Node | None" = None
    """The place behind that value."""
    is_leaf: bool = False
    """Whether there can be one value only, which replaces the one before."""


def _model() -> Node:
    root = Node()
    for pattern in PATTERNS:
        node = root
        for part in forms(pattern)[0]:
            if isinstance(part, Word):
                node = node.words.setdefault(part.text, Node())
            else:
                node.value, node.is_leaf = node.value or part, not part.key
                node.below = node.below or Node()
                node = node.below
    return root


ROOT = _model()


def resolve(tokens: list[str], ports: Ports, *, whole: bool) -> list[tuple[str, Node]]:
    """Return the words of a path in full, each with the place that it was said at.

    Args:
        tokens: What was typed behind ``nv set`` or ``nv unset``.
        ports: The switch's interfaces.
        whole: Whether the path must not stop where a value is missing.

    Raises:
        NvueError: The object model has no such path, or not that value.
    """
    node, path = ROOT, []
    for number, token in enumerate(tokens):
        word, below = _step(node, token, ports, tokens[: number + 1])
        path.append((word, node))
        node = below
    if not path or (whole and node.value is not None):
        raise NvueError(f"Error: Incomplete Command: {' '.join(tokens)}")
    return path


def _step(node: Node, token: str, ports: Ports, said: list[str]) -> tuple[str, Node]:
    if token in node.words:
        return token, node.words[token]
    if node.value is not None and node.below is not None:
        word = _read(node.value, token, ports)
        if word is not None:
            return word, node.below
        if not node.words:
            raise NvueError(f"Error: {_why_not(node.value, token)}")
    alike = [word for word in node.words if word.startswith(token)]
    if len(alike) > 1:
        typed = " ".join(said[:-1])
        raise NvueError("Error: Ambiguous Command:\n" + "\n".join(f"  {typed} {word}" for word in alike))
    if not alike:
        raise NvueError(f"Error: Invalid Command: {' '.join(said)}")
    return alike[0], node.words[alike[0]]


def _read(value: Value, token: str, ports: Ports) -> str | None:
    """Return a value as the configuration shows it, or None; a choice is not abbreviated."""
    if "|" in value.kind:
        return token if token in value.kind.split("|") else None
    return value.read(token, ports)


def _why_not(value: Value, token: str) -> str:
    """Return what is wrong with a value, as the schema's validator words it."""
    if "|" in value.kind:
        return f"'{token}' is not one of {value.kind.split('|')}"
    if ".." not in value.kind:
        return f"'{token}' is not a valid {value.kind}"
    low, high = (int(limit) for limit in value.kind.split(".."))
    if not token.lstrip("-").isdecimal():
        return f"'{token}' is not of type 'integer'"
    if int(token) > high:
        return f"{token} is greater than the maximum of {high}"
    return f"{token} is less than the minimum of {low}"
