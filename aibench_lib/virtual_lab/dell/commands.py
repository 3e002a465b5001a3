"""The configuration commands that the simulated Dell switch knows, in the order in which it shows them.

Syntax and ranges as the vendor's Ansible collection, its reference of the CLI and its design documents have them.
"""

from collections.abc import Mapping

from aibench_lib.virtual_lab.cli.lines import Command, Values

_U32 = 4_294_967_295
_POOLS = "ingress_lossless_pool|egress_lossless_pool|egress_lossy_pool"
_EXPONENTS = "-6|-5|-4|-3|-2|-1|0|1|2|3"
_FIELDS = "ipv4-dst-ip|ipv4-src-ip|ipv4-ip-proto|ipv4-l4-src-port|ipv4-l4-dst-port"
_MODES = "fixed|flowlet-quality|flowlet-random|packet-quality|packet-random"

WATCHDOG = "priority-flow-control watchdog"


def _profile(threshold: str) -> tuple[Command, ...]:
    """Return the forms of a buffer profile with one kind of threshold, with what belongs to a lossless group or not."""
    start = f"buffer profile <*name:word> <pool:{_POOLS}> <size:0..{_U32}> {threshold}"
    return (Command(start), Command(f"{start} pause pause-threshold <pause:46080..8388608>", check=_check_pause))


def _check_pause(values: Values) -> str | None:
    if values["pool"] == "ingress_lossless_pool":
        return None
    return "%Error: pause-threshold is for ingress_lossless_pool"


def _check_thresholds(values: Values) -> str | None:
    if int(values["min"]) <= int(values["max"]):
        return None
    return "%Error: minimum-threshold is larger than maximum-threshold"


COMMANDS: Mapping[str, tuple[Command, ...]] = {
    "global": (
        Command("interface-naming standard"),
        Command("hostname <name:word>"),
        Command("ip load-share hash seed <seed:0..16777215>"),
        Command(f"ip load-share hash ipv4 <*field:{_FIELDS}>"),
        Command("ip load-share hash algorithm <algorithm:word>"),
        Command("ip load-share hash ingress-port"),
        Command("ip load-share hash roce qpn"),
        Command("buffer init lossless"),
        Command(f"buffer pool ingress_lossless_pool shared-headroom-size <size:0..{_U32}>"),
        Command(f"buffer profile <*name:word> <pool:{_POOLS}> <size:0..{_U32}>"),
        *_profile(f"static-threshold <static:0..{_U32}>"),
        *_profile(f"dynamic-threshold <dynamic:{_EXPONENTS}>"),
        Command("qos map dscp-tc <*name:word>", mode="dscp-tc", prompt="dscp-tc-map-{name}"),
        Command("qos map tc-queue <*name:word>", mode="tc-queue", prompt="tc-queue-map-{name}"),
        Command("qos map tc-pg <*name:word>", mode="tc-pg", prompt="tc-pg-map-{name}"),
        Command("qos map pfc-priority-queue <*name:word>", mode="pfc-queue", prompt="pfc-priority-queue-map-{name}"),
        Command("qos wred-policy <*name:word>", mode="wred", prompt="wred-{name}"),
        Command("qos scheduler-policy <*name:word>", mode="scheduler", prompt="sched-policy-{name}"),
        Command("ars profile <*name:word>", mode="ars-profile", prompt="ars-profile-{name}"),
        Command("ars port-profile <*name:word>", mode="ars-port-profile", prompt="ars-port-profile-{name}"),
        Command("ars object <*name:word>", mode="ars-object", prompt="ars-object-{name}"),
        Command("interface <*interface:interface>", mode="interface", prompt="if-{interface}"),
        Command("ars bind profile <profile:word>"),
        Command(
            "route-map <*name:word> <*action:permit|deny> <*sequence:1..65535>", mode="route-map", prompt="route-map"
        ),
        Command("ip protocol any route-map <map:word>"),
        Command("ip route <*prefix:prefix> <*next_hop:address> interface <*interface:interface>"),
        Command("ip route <*prefix:prefix> <*next_hop:address>"),
    ),
    "dscp-tc": (Command("dscp <*dscp:0..63> traffic-class <class:0..7>"),),
    "tc-queue": (Command("traffic-class <*class:0..7> queue <queue:0..7>"),),
    "tc-pg": (Command("traffic-class <*class:0..7> priority-group <group:0..7>"),),
    "pfc-queue": (Command("pfc-priority <*priority:0..7> queue <queue:0..7>"),),
    "wred": (
        Command(
            "green minimum-threshold <min:1..12480> maximum-threshold <max:1..12480>"
            " drop-probability <probability:0..100>",
            also_no="green",
            check=_check_thresholds,
        ),
        Command("ecn <colour:green|all>"),
    ),
    "scheduler": (Command("queue <*queue:0..7>", mode="scheduler-queue", prompt="-queue-{queue}"),),
    "scheduler-queue": (Command("type <type:strict|dwrr|wrr>"), Command("weight <weight:1..100>")),
    "ars-profile": (Command("algo EWMA"), Command("sampling-interval <interval:1..255>")),
    "ars-port-profile": (
        Command("enable"),
        Command("load-past-weight <weight:0..100>"),
        Command("load-future-weight <weight:1..16>"),
    ),
    "ars-object": (
        Command("idle-time <microseconds:16..32767>"),
        Command("max-flows <flows:256..32768>"),
        Command(f"mode <mode:{_MODES}>"),
    ),
    "route-map": (Command("set ars-object <object:word>"),),
    "interface": (
        Command("description <text:line>"),
        Command("mtu <bytes:1312..9216>"),
        Command("shutdown"),
        Command("ip address <address:address/length>"),
        Command("queue <*queue:0..7> wred-policy <policy:word>"),
        Command("scheduler-policy <policy:word>"),
        Command("cable-length <length:5m|40m|300m>"),
        Command("qos-map dscp-tc <map:word>"),
        Command("qos-map tc-queue <map:word>"),
        Command("qos-map tc-pg <map:word>"),
        Command("qos-map pfc-priority-queue <map:word>"),
        Command("buffer priority-group <*group:0..7> <profile:word>"),
        Command("priority-flow-control priority <*priority:0..7>"),
        Command("priority-flow-control asymmetric"),
        Command(f"{WATCHDOG} action <action:drop|forward|alert>"),
        Command(f"{WATCHDOG} on detect-time <milliseconds:100..5000>", also_no=f"{WATCHDOG} detect-time"),
        Command(f"{WATCHDOG} restore-time <milliseconds:100..60000>"),
        Command("ars bind <profile:word>"),
    ),
}

REFERENCES: Mapping[str, Mapping[str, str]] = {
    "global": {
        "ars bind profile": "ars profile",
        "ip protocol any route-map": "route-map",
    },
    "route-map": {"set ars-object": "ars object"},
    "interface": {
        "queue": "qos wred-policy",
        "scheduler-policy": "qos scheduler-policy",
        "qos-map dscp-tc": "qos map dscp-tc",
        "qos-map tc-queue": "qos map tc-queue",
        "qos-map tc-pg": "qos map tc-pg",
        "qos-map pfc-priority-queue": "qos map pfc-priority-queue",
        "buffer priority-group": "buffer profile",
        "ars bind": "ars port-profile",
    },
}
"""Mode -> the beginning of a line that ends in a name -> the beginning of the line that must be there for the name."""
