"""The configuration of the simulated SR Linux switch, without gNMI."""

import pytest

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn
from aibench_lib.virtual_lab.gnmi.paths import covers, overlap, parse, text
from aibench_lib.virtual_lab.srlinux.config import ConfigError
from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch

PORT = "ethernet-1/1"
SLOPE = parse(
    "/qos/buffer-management/queue-management-profile[name=rocev2]"
    "/wred/wred-slope[traffic-type=all][drop-probability=all][enable-ecn=true]"
)
BINDING = parse(f"/qos/interfaces/interface[interface-id={PORT}]/output/queues/queue[queue-name=q3]")
STEP = {"min-threshold": 1, "max-threshold": "2", "max-drop-probability-percent": 50, "slope-enabled": True}


@pytest.fixture
def switch():
    return SrlinuxSwitch("spine1", {PORT: Port("leaf1", "Ethernet49")})


def update(switch, *pairs):
    switch.apply([], [], pairs)


def test_paths_survive_printing():
    assert parse(text(SLOPE)) == SLOPE
    assert text(BINDING) == f"/qos/interfaces/interface[interface-id={PORT}]/output/queues/queue[queue-name=q3]"


def test_a_missing_key_and_a_star_stand_for_every_entry():
    assert covers(parse("/qos/interfaces/interface"), BINDING)
    assert covers(parse("/qos/interfaces/interface[interface-id=*]"), BINDING)
    assert not covers(parse("/qos/interfaces/interface[interface-id=ethernet-1/2]"), BINDING)
    assert not covers(BINDING, BINDING[:2])
    assert overlap(BINDING, BINDING[:2])


def test_marking_needs_profile_slope_and_binding(switch):
    expected = Ecn(kmin_bytes=1, kmax_bytes=2, pmax=0.5)
    assert switch.ecn(PORT, 3) is None
    update(switch, (SLOPE, STEP))
    assert switch.ecn(PORT, 3) is None
    update(switch, (BINDING, {"queue-management-profile": "rocev2"}))
    assert switch.ecn(PORT, 3) == expected
    assert switch.ecn(PORT, 4) is None
    update(switch, (SLOPE, {"slope-enabled": False}))
    assert switch.ecn(PORT, 3) is None
    update(switch, (SLOPE, {"slope-enabled": True}))
    switch.apply([parse("/qos/explicit-congestion-notification")], [], [])
    assert switch.ecn(PORT, 3) is None, "ECN is off globally"


def test_a_subtree_read_and_replaced_is_the_same(switch):
    update(switch, (SLOPE, STEP), (BINDING, {"queue-management-profile": "rocev2"}))
    leaves = dict(switch.running.leaves)
    whole = switch.running.subtree(parse("/qos"))
    switch.apply([], [(parse("/qos"), whole)], [])
    assert switch.running.leaves == leaves


def test_names_may_carry_their_module(switch):
    update(switch, ((), {"srl_nokia-qos:qos": {"explicit-congestion-notification": {"ecn-dscp-policy": "p"}}}))
    assert switch.running.subtree(parse("/qos/explicit-congestion-notification/ecn-dscp-policy")) == "p"


def test_shutting_a_port_is_seen(switch):
    assert not switch.is_shut(PORT)
    update(switch, (parse(f"/interface[name={PORT}]"), {"admin-state": "disable"}))
    assert switch.is_shut(PORT)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("/qos/interfaces/interface", {}, "keys of 'interface' are: interface-id"),
        ("/interface[id=x]", {}, "keys of 'interface' are: name"),
        ("/qos", 3, "expected an object, found 3"),
        ("/qos/interfaces", {"interface": [{}]}, "an entry needs its keys: interface-id"),
        (f"/interface[name={PORT}]", {"name": "ethernet-1/2"}, "contradicts the key in the path"),
        (f"/interface[name={PORT}]/admin-state", "up", "expected one of enable, disable"),
        (f"/interface[name={PORT}]/mtu", True, "expected a number"),
        (f"/interface[name={PORT}]/description", "", "expected a string"),
    ],
)
def test_what_the_schema_does_not_allow_is_refused(switch, path, value, reason):
    with pytest.raises(ConfigError, match=reason):
        update(switch, (parse(path), value))
