"""Every feature of the SR Linux command line through the real driver over SSH; and what the switch does by itself."""

import time

import pytest
from one_switch import one_switch

from aibench_lib.errors import LabError
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
LINE = "set / interface ethernet-1/1 admin-state disable\n"


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    with one_switch(tmp_path_factory.mktemp("lab"), "127.176", "nokia_srlinux_cli", OPTIONS, PORTS) as leaf:
        yield leaf


@pytest.mark.parametrize(("feature", "values"), CHANGES)
def test_a_feature_is_applied_and_read_back_and_taken_back(leaf, tmp_path, feature, values):
    done = leaf.there_and_back(feature, values, tmp_path)
    assert done.programmed == done.requested
    assert done.changed


@pytest.mark.parametrize(("feature", "values"), ALREADY)
def test_what_the_switch_does_already_reads_as_what_it_is(leaf, feature, values):
    change = transaction.preview(leaf.target, feature, values)
    assert change.programmed == change.requested


def test_a_queue_moves_between_the_schedulers_and_one_restore_takes_all_back(leaf, tmp_path):
    before = leaf.config()
    journal = transaction.Journal(tmp_path / "journal.jsonl")
    weighted = {"scheduling": "weighted", "weight_percent": 7}
    for values in ({"scheduling": "strict"}, weighted, {"scheduling": "strict"}):
        done = transaction.apply(leaf.target, "scheduling", values, journal, tmp_path)
        assert done.programmed.items() >= values.items()
    transaction.restore(leaf.target, journal, tmp_path)
    assert leaf.config() == before


def test_a_text_from_before_brings_back_what_was_removed_and_removes_what_came(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.apply(
            "delete / qos interfaces interface ethernet-1/1.0\n"
            "set / interface ethernet-1/2 admin-state disable\n"
            "set / system load-balancing hash-options source-port false\n",
            "one",
        )
        assert leaf.config() != before
        switch.restore("\n".join(before))
    assert leaf.config() == before


def test_an_unconfirmed_change_is_taken_back_by_the_switch(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.apply(LINE, "alone", 1)
    assert leaf.config() != before
    time.sleep(1)
    assert leaf.config() == before
    with connect(leaf.target) as switch:
        switch.cancel("alone")


def test_a_confirmed_change_stays_and_a_cancelled_one_does_not(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.apply(LINE, "one", 60)
        switch.cancel("one")
        assert switch.comparable(switch.read_config()) == before
        switch.apply(LINE, "two", 60)
        switch.confirm("two")
        switch.cancel("two")
        assert switch.comparable(switch.read_config()) != before
        switch.restore("\n".join(before))
    assert leaf.config() == before


def test_a_refused_line_changes_nothing_and_is_named(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        with pytest.raises(LabError, match=r"refused 'set / qos colour red': Parsing error: Unknown token 'colour'"):
            switch.apply(f"{LINE}set / qos colour red\n", "refused", 60)
        assert switch.comparable(switch.read_config()) == before
    assert leaf.lab.switches["leaf1"].candidates == {}


def test_a_refused_commit_changes_nothing_and_says_why(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch, pytest.raises(LabError, match="no pfc-mapping-profile with name 'none'"):
        switch.apply("set / qos interfaces interface ethernet-1/1 pfc pfc-mapping-profile none\n", "refused", 60)
    assert leaf.config() == before


def test_checkpoints_are_saved_listed_rolled_back_and_removed(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        assert switch.checkpoints() == []
        switch.save_checkpoint("aibench-1")
        assert switch.checkpoints() == ["aibench-1"]
        switch.apply(LINE, "one")
        assert switch.comparable(switch.read_config()) != before
        switch.roll_back("aibench-1")
        assert switch.comparable(switch.read_config()) == before
        switch.remove_checkpoint("aibench-1")
        assert switch.checkpoints() == []
        with pytest.raises(LabError, match="Checkpoint 'aibench-1' does not exist"):
            switch.roll_back("aibench-1")


def test_the_switch_says_what_it_is(leaf):
    facts = read_facts(leaf.target)
    assert (facts.vendor, facts.model) == ("Nokia", "aibench-virtual-lab")
    assert "(simulated)" in facts.software
    assert facts.clock
    port = facts.interfaces["ethernet-1/2"]
    assert (port.oper, port.admin, port.speed_bps, port.mtu) == ("up", "up", 400_000_000_000, 9214)
    assert (port.neighbour, port.neighbour_port) == ("decode01", "nic0")
    assert port.address == str(leaf.lab.switches["leaf1"].addresses()["ethernet-1/2"])


def test_a_port_that_is_shut_has_no_neighbour(leaf):
    with connect(leaf.target) as switch:
        switch.apply(LINE, "one", 60)
        port = read_facts(leaf.target).interfaces["ethernet-1/1"]
        switch.cancel("one")
    assert (port.oper, port.admin, port.neighbour) == ("down", "down", None)
