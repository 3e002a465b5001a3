"""PFC, its deadlock recovery and static routes on the simulated SR Linux switch: schema, and what takes effect."""

import ipaddress

import pytest

from aibench_lib.model import Port
from aibench_lib.simulator import LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.gnmi.paths import parse
from aibench_lib.virtual_lab.srlinux.config import ConfigError
from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch

PORT = "ethernet-1/1"
QUEUE = "/qos/queues/pfc-queue[pfc-queue-name=pfc3]"
MAPPING = "/qos/pfc-mapping-profile[name=P]"
TRAFFIC = f"{MAPPING}/received-traffic/unicast-mapping/pfc-queue[pfc-queue-name=pfc3]"
FRAMES = f"{MAPPING}/received-pfc-pause-frames"
ALLOCATION = "/qos/buffer-management/buffer-allocation-profile[name=P]/queues/pfc-queue[pfc-queue-name=pfc3]"
BINDING = f"/qos/interfaces/interface[interface-id={PORT}]"
LOSSLESS = [
    (QUEUE, {"queue-index": 3}),
    (TRAFFIC, {"forwarding-class": ["fc3"], "pfc-pause-frame-priority": 3}),
    (f"{FRAMES}/queue[queue-name=q3]", {"pfc-pause-frame-priority": 3, "enable-pfc": True}),
    (ALLOCATION, {"maximum-burst-size": 10_000}),
    (
        BINDING,
        {
            "input": {"pfc-buffer-allocation-profile": "P"},
            "pfc": {"pfc-mapping-profile": "P", "pfc-enable": True},
        },
    ),
]
GROUP = "/network-instance[name=default]/next-hop-groups/group[name=g]"
ROUTE = "/network-instance[name=default]/static-routes/route[prefix=10.1.0.40/32]"
DETOUR = [
    (f"{GROUP}/nexthop[index=1]", {"ip-address": "10.2.0.5", "resolve": False}),
    (ROUTE, {"next-hop-group": "g"}),
]


@pytest.fixture
def switch():
    return SrlinuxSwitch("spine1", {PORT: Port("leaf1", "Ethernet49")}, addresses={PORT: "10.2.0.1/31"})


def update(switch, *pairs):
    switch.apply([], [], [(parse(path), value) for path, value in pairs])


def test_the_threshold_is_the_pfc_queues_burst_size(switch):
    update(switch, *LOSSLESS)
    assert switch.pfc(PORT, 3) == Pfc(xoff_bytes=10_000)
    assert switch.pfc(PORT, 4) is None
    switch.apply([parse(f"{ALLOCATION}/maximum-burst-size")], [], [])
    assert switch.pfc(PORT, 3) == Pfc(xoff_bytes=51_200), "the model's default"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{BINDING}/pfc/pfc-enable", False),
        (f"{FRAMES}/queue[queue-name=q3]/enable-pfc", False),
        (f"{FRAMES}/queue[queue-name=q3]/pfc-pause-frame-priority", 4),
        (f"{TRAFFIC}/forwarding-class", ["fc4"]),
        (f"{TRAFFIC}/pfc-pause-frame-priority", 4),
    ],
)
def test_pfc_needs_both_directions_and_the_traffic_class(switch, path, value):
    update(switch, *LOSSLESS)
    update(switch, (path, value))
    assert switch.pfc(PORT, 3) is None


@pytest.mark.parametrize("path", [TRAFFIC, f"{BINDING}/input", f"{BINDING}/pfc/pfc-mapping-profile"])
def test_pfc_needs_both_profiles_bound(switch, path):
    update(switch, *LOSSLESS)
    switch.apply([parse(path)], [], [])
    assert switch.pfc(PORT, 3) is None


def test_the_deadlock_recovery_ignores_pause_where_its_profile_is_bound(switch):
    update(switch, *LOSSLESS)
    assert switch.watchdog(PORT) is None
    update(switch, (f"{FRAMES}/deadlock", {"enable": True, "detection-timer": 200, "recovery-timer": 300}))
    expected = PfcWatchdog(detection_ns=200_000_000, restoration_ns=300_000_000, action="forward")
    assert switch.watchdog(PORT) == expected
    update(switch, (f"{FRAMES}/deadlock/enable", False))
    assert switch.watchdog(PORT) is None


def test_load_is_balanced_by_hash_alone(switch):
    assert switch.load_balancing() == LoadBalancing("ecmp")


def test_a_static_route_leads_to_the_next_hops_of_its_group(switch):
    update(switch, *DETOUR)
    expected = StaticRoute(ipaddress.IPv4Network("10.1.0.40/32"), ipaddress.IPv4Address("10.2.0.5"))
    assert switch.static_routes() == [expected]
    update(switch, (f"{GROUP}/admin-state", "disable"))
    assert switch.static_routes() == []


def test_ports_are_routed_in_the_default_network_instance(switch):
    assert switch.addresses() == {PORT: ipaddress.IPv4Interface("10.2.0.1/31")}
    switch.apply([parse("/network-instance[name=default]/interface")], [], [])
    assert switch.addresses() == {}


def test_what_was_set_is_shown_and_can_be_replaced_by_itself(switch):
    update(switch, *LOSSLESS, *DETOUR)
    leaves = dict(switch.running.leaves)
    assert switch.running.subtree(parse(f"{TRAFFIC}/forwarding-class")) == ("fc3",)
    for path in ("/qos", "/network-instance[name=default]"):
        switch.apply([], [(parse(path), switch.running.subtree(parse(path)))], [])
    assert switch.running.leaves == leaves


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (f"{BINDING}/pfc/pfc-mapping-profile", "none", "no pfc-mapping-profile with name 'none'"),
        (f"{BINDING}/input/pfc-buffer-allocation-profile", "none", "no buffer-allocation-profile with name 'none'"),
        (TRAFFIC, {}, "no pfc-queue with pfc-queue-name 'pfc3'"),
        (ALLOCATION, {}, "no pfc-queue with pfc-queue-name 'pfc3'"),
        (f"{ROUTE}/next-hop-group", "none", "no group with name 'none'"),
        (f"{QUEUE}/queue-index", 8, "expected a number in 0..7"),
        (f"{FRAMES}/deadlock/detection-timer", 9, "expected a number in 10..1500"),
        (f"{FRAMES}/deadlock/recovery-timer", 1501, "expected a number in 100..1500"),
        (f"{TRAFFIC}/forwarding-class", ["fc8"], "expected one of fc0"),
        (f"{GROUP}/nexthop[index=1]/ip-address", "10.2.0.5/31", "expected an IPv4 address"),
        ("/network-instance[name=default]/static-routes/route[prefix=10.1.0.40]", {}, "expected a/length"),
    ],
)
def test_what_the_models_do_not_allow_is_refused(switch, path, value, reason):
    with pytest.raises(ConfigError, match=reason):
        update(switch, (path, value))


def test_a_next_hop_group_is_one_of_the_same_network_instance(switch):
    update(switch, *DETOUR)
    other = ROUTE.replace("default", "other")
    with pytest.raises(ConfigError, match="no group with name 'g'"):
        update(switch, (f"{other}/next-hop-group", "g"))


def test_two_queues_cannot_have_one_index_or_obey_one_priority(switch):
    update(switch, *LOSSLESS)
    with pytest.raises(ConfigError, match="queue-index: value 3 is that of"):
        update(switch, (QUEUE.replace("pfc3", "other"), {"queue-index": 3}))
    with pytest.raises(ConfigError, match="pfc-pause-frame-priority: value 3 is that of"):
        update(switch, (f"{FRAMES}/queue[queue-name=q4]", {"pfc-pause-frame-priority": 3}))
