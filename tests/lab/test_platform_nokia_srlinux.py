"""Every feature of SR Linux over real gNMI: there and back; and what the switch says of itself."""

import pytest
from one_switch import one_switch

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.switch import transaction
from aibench_lib.switch.facts import read_facts
from aibench_lib.switch.session import connect

PORTS = ["ethernet-1/1", "ethernet-1/2"]
OPTIONS = {
    "queue": "q3",
    "priority": "3",
    "qos_profile": "rocev2",
    "pfc_profile": "lossless",
    "dscp_policy": "roce",
    "scheduler_policy": "rocev2",
    "interfaces": PORTS,
}
CHANGES = [
    ("ecn", {"kmin_bytes": 100_000, "kmax_bytes": 200_000, "probability_percent": 20}),
    ("pfc_priority", {"pfc": "on"}),
    ("pfc_priority", {"pfc": "off"}),
    ("pfc", {"pfc_threshold_bytes": 100_000}),
    ("pfc", {"pfc_threshold_bytes": 10_000, "headroom_bytes": 200_000}),
    ("pfc_watchdog", {"watchdog": "on", "detection_ms": 200, "recovery_ms": 500}),
    ("dscp", {"dscp": 24}),
    ("scheduling", {"scheduling": "strict"}),
    ("scheduling", {"scheduling": "weighted", "weight_percent": 40}),
    ("hash_fields", {"hash_fields": "l3"}),
    ("interface", {"interface": "ethernet-1/1", "admin": "down"}),
    ("routing_detour", {"routes": [{"prefix": "10.1.0.1/32", "next_hop": "10.2.0.5", "interface": "ethernet-1/2"}]}),
]
ALREADY = [
    ("load_balancing", {"load_balancing": "ecmp"}),
    ("pfc_watchdog", {"watchdog": "off"}),
    ("dscp", {"dscp": 26}),
    ("interface", {"interface": "ethernet-1/2", "admin": "up"}),
]


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    with one_switch(tmp_path_factory.mktemp("lab"), "127.177", "nokia_srlinux", OPTIONS, PORTS) as leaf:
        yield leaf


@pytest.mark.parametrize(("feature", "values"), CHANGES)
def test_a_feature_is_applied_and_read_back_and_taken_back(leaf, tmp_path, feature, values):
    behind_the_wires = leaf.lab.switches["leaf1"].running_text()
    done = leaf.there_and_back(feature, values, tmp_path)
    assert done.programmed == done.requested
    assert done.changed
    assert leaf.lab.switches["leaf1"].running_text() == behind_the_wires


@pytest.mark.parametrize(("feature", "values"), ALREADY)
def test_what_the_switch_does_already_reads_as_what_it_is(leaf, feature, values):
    change = transaction.preview(leaf.target, feature, values)
    assert change.programmed == change.requested


def test_a_queue_moves_between_the_schedulers_and_a_priority_gets_lossy_again(leaf, tmp_path):
    before = leaf.config()
    journal = Journal(tmp_path / "journal.jsonl")
    weighted = {"scheduling": "weighted", "weight_percent": 7}
    switch = leaf.lab.switches["leaf1"]
    for values in ({"scheduling": "strict"}, weighted, {"scheduling": "strict"}):
        done = transaction.apply(leaf.target, "scheduling", values, journal, tmp_path)
        assert done.programmed.items() >= values.items()
    for word, is_lossless in (("on", True), ("off", False), ("on", True)):
        transaction.apply(leaf.target, "pfc_priority", {"pfc": word}, journal, tmp_path)
        assert [switch.pfc(port, 3) is not None for port in PORTS] == [is_lossless] * 2
    transaction.restore(leaf.target, journal, tmp_path)
    assert leaf.config() == before


def test_a_port_that_the_snapshot_does_not_hold_is_not_touched(leaf):
    with pytest.raises(SpecError, match=r"interface\.j2: 'not_one_of_switch_interfaces'"):
        transaction.preview(leaf.target, "interface", {"interface": "ethernet-1/3", "admin": "down"})


def test_what_the_switch_refuses_changes_nothing_and_says_why(leaf):
    before = leaf.config()
    rendered = (
        "- path: /interface[name=ethernet-1/1]\n  value: {admin-state: disable}\n"
        "- path: /qos/interfaces/interface[interface-id=ethernet-1/1]/pfc\n  value: {pfc-mapping-profile: none}\n"
    )
    with connect(leaf.target) as switch, pytest.raises(LabError, match="no pfc-mapping-profile with name 'none'"):
        switch.apply(rendered, "refused")
    assert leaf.config() == before


def test_both_doors_change_the_same_configuration(leaf):
    before = leaf.config()
    cli = leaf.lab.switches["leaf1"].conversation()
    for line in ("enter candidate", "set / qos pfc-mapping-profile other", "commit now"):
        cli.answer(line)
    assert leaf.config() != before
    with connect(leaf.target) as switch:
        switch.apply("- delete: /qos/pfc-mapping-profile[name=other]\n", "back")
    assert cli.answer("info flat from running / qos pfc-mapping-profile other") == ""
    assert leaf.config() == before


def test_the_switch_says_what_it_is(leaf):
    facts = read_facts(leaf.target)
    assert (facts.vendor, facts.model) == ("Nokia", "aibench-virtual-lab")
    assert "(simulated)" in facts.software
    assert facts.clock
    port = facts.interfaces["ethernet-1/2"]
    assert (port.oper, port.admin, port.speed_bps, port.mtu) == ("up", "up", 400_000_000_000, 9214)
    assert (port.neighbour, port.neighbour_port) == ("decode01", "nic0")
    assert port.address == str(leaf.lab.switches["leaf1"].addresses()["ethernet-1/2"])
