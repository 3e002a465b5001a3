"""The EOS templates against the vendor's own configuration generator (pyavd): the same intent, the same lines."""

from pathlib import Path
from typing import Any

import pyavd
import pytest

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "switch" / "arista_eos"


def profile(**parts: Any) -> dict[str, Any]:
    return {"qos_profiles": [{"name": "ROCE", **parts}]}


def queue(**parts: Any) -> dict[str, Any]:
    return profile(uc_tx_queues=[{"id": 3, **parts}])


def marking(low: int, high: int, percent: int) -> dict[str, Any]:
    limits = {"units": "bytes", "min": low, "max": high, "max_probability": percent, "weight": 0}
    return queue(random_detect={"ecn": {"count": True, "threshold": limits}})


LOSSLESS = profile(priority_flow_control={"enabled": True, "priorities": [{"priority": 3, "no_drop": True}]})


def buffers(ingress: dict[str, Any], **group: Any) -> dict[str, Any]:
    parts = {**ingress, "priority_groups": [{"id": 3, **group}]}
    mmu = {"active_profile": "LOSSLESS", "queue_profiles": [{"name": "LOSSLESS", "ingress": parts}]}
    return {"platform": {"trident": {"mmu": mmu}}, **LOSSLESS}


def reserved(memory: int) -> dict[str, Any]:
    return {"unit": "bytes", "memory": memory}


def port(*, shutdown: bool) -> dict[str, Any]:
    return {"ethernet_interfaces": [{"name": "Ethernet1", "shutdown": shutdown}]}


WATCHDOG = {"action": "drop", "timeout": "0.20", "recovery_time": "1.00"}
ROUTES = [
    {"prefix": "10.1.0.40/32", "next_hop": "10.2.0.5", "interface": "Ethernet50"},
    {"prefix": "10.1.0.41/32", "next_hop": "10.2.0.1", "interface": "Ethernet49"},
]
INTENTS = {
    "ecn_step": marking(100_000, 100_000, 100),
    "ecn_slope": marking(500_000, 5_000_000, 20),
    "pfc_priority_on": LOSSLESS,
    "pfc_static": buffers({}, threshold="1/128", reserved=reserved(100_000)),
    "pfc_alpha": buffers({"headroom": reserved(60_000), "resume": 2000}, threshold="1/8"),
    "pfc_all": buffers({}, threshold="2", reserved=reserved(20_000)),
    "pfc_watchdog_on": {
        "priority_flow_control": {"watchdog": WATCHDOG},
        **profile(priority_flow_control={"watchdog": {"enabled": True}}),
    },
    "load_balancing_flowlet": {
        "ip_hardware": {"fib": {"load_balance_distribution": {"dynamic": {"enabled": True}}}},
    },
    "dscp_26": {
        "qos": {"map": {"dscp": ["26 to traffic-class 3"], "traffic_class": ["3 to tx-queue 3"]}},
        **profile(trust="dscp"),
    },
    "scheduling_strict": queue(priority="priority strict"),
    "scheduling_weighted": queue(priority="no priority", bandwidth_percent=40),
    "routing_detour_static": {"static_routes": ROUTES},
    "interface_down": port(shutdown=True),
    "interface_up": port(shutdown=False),
}
NOT_GENERATED = {
    "hash_l3": "the generator has no command for the hash of these chips",
    "hash_l4": "the generator has no command for the hash of these chips",
    "load_balancing_ecmp": "a no form",
    "pfc_priority_off": "a no form",
    "pfc_watchdog_off": "a no form",
}


def lines(text: str) -> set[tuple[str, ...]]:
    """Return every line with the lines that it stands below."""
    found, above = set(), []
    for line in text.splitlines():
        content = line.strip()
        if content in ("", "!"):
            continue
        depth = len(line) - len(line.lstrip())
        above = [(indent, name) for indent, name in above if indent < depth] + [(depth, content)]
        found.add(tuple(name for _, name in above))
    return found


def test_every_rendered_point_has_an_intent_or_a_reason_to_have_none():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(INTENTS) | set(NOT_GENERATED)


@pytest.mark.parametrize("point", INTENTS)
def test_a_template_writes_what_the_vendors_generator_writes(point):
    intent = {"hostname": "leaf1", **INTENTS[point]}
    checked = pyavd.validate_structured_config(dict(intent))
    assert not checked.validation_result.violations
    generated = lines(pyavd.get_device_config(intent))
    rendered = {line for line in lines((GOLDEN / f"{point}.txt").read_text()) if not line[0].startswith("no ip route")}
    assert generated - {("hostname leaf1",)} == rendered
