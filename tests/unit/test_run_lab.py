"""What an inventory may say of a lab, and what is refused with its key."""

import copy

import pytest

from aibench_lib.errors import SpecError
from aibench_lib.run.lab import parse_lab

SWITCH = {"platform": "arista_eos", "queue": "3", "priority": "3", "qos_profile": "ROCE"}
INVENTORY = {
    "lab": "hardware",
    "lab_instance": "permanent",
    "isolated_lab": True,
    "topology": {
        "link_bps": 100_000_000_000,
        "switches": ["leaf1"],
        "hosts": ["a"],
        "links": [["a:nic0", "leaf1:Ethernet1"]],
    },
    "groups": {"switches": ["leaf1"], "prefill": ["a"]},
    "hosts": {"leaf1": {"ansible_user": "admin", "ansible_password": "", "switch": SWITCH}},
}


def inventory(**changed):
    return {**copy.deepcopy(INVENTORY), **changed}


def test_a_leaf_under_test_is_known_to_its_test_alone():
    lab = parse_lab(inventory(leaf_under_test={8.2: "leaf1"}))  # without quotes YAML reads a number
    assert (lab.fabric("8.2").leaf_under_test, lab.fabric("8.1").leaf_under_test) == ("leaf1", "")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("leaf_under_test", "leaf1", "expected test -> switch"),
        ("leaf_under_test", {"8.2": "leaf9"}, "8.2: 'leaf9' is no switch of the topology"),
        ("leaf_under_test", {"8.4": "leaf1"}, "8.4: no test of a single switch; "),
        ("fabric_settings", {"pfc": 5}, "expected feature -> values"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(key, value, message):
    with pytest.raises(SpecError, match=f"inventory: {key}: {message}"):
        parse_lab(inventory(**{key: value}))


def test_a_lossless_class_that_no_transfer_is_sent_in_is_refused():
    hosts = copy.deepcopy(INVENTORY["hosts"])
    hosts["leaf1"]["switch"]["priority"] = "4"
    with pytest.raises(SpecError, match=r"leaf1: switch\.priority: '4': transfers are sent in priority 3"):
        parse_lab(inventory(hosts=hosts))
