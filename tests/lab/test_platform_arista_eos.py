"""Every feature of Arista EOS through the real driver over SSH: there and back; and what the switch does by itself."""

import time

import pytest
from one_switch import one_switch

from aibench_lib.errors import LabError
from aibench_lib.switch import transaction
from aibench_lib.switch.session import connect

OPTIONS = {"queue": "3", "priority": "3", "qos_profile": "ROCE", "mmu_profile": "LOSSLESS"}
CHANGES = [
    ("ecn", {"kmin_bytes": 100_000, "kmax_bytes": 200_000, "probability_percent": 20}),
    ("pfc_priority", {"pfc": "on"}),
    ("pfc", {"pfc_threshold_bytes": 100_000}),
    ("pfc", {"alpha": "8", "headroom_bytes": 60_000, "xon_offset_bytes": 2_000}),
    ("pfc", {"pfc_threshold_bytes": 100_000, "alpha": "1/4"}),
    ("pfc_watchdog", {"watchdog": "on", "detection_ms": 200, "recovery_ms": 500}),
    ("dscp", {"dscp": 24}),
    ("scheduling", {"scheduling": "weighted", "weight_percent": 40}),
    ("load_balancing", {"load_balancing": "flowlet"}),
    ("hash_fields", {"hash_fields": "l3"}),
    ("interface", {"interface": "Ethernet1", "admin": "down"}),
    ("routing_detour", {"routes": [{"prefix": "10.1.0.1/32", "next_hop": "10.2.0.5", "interface": "Ethernet2"}]}),
]
ALREADY = [
    ("pfc_priority", {"pfc": "off"}),
    ("scheduling", {"scheduling": "strict"}),
    ("hash_fields", {"hash_fields": "l4"}),
    ("load_balancing", {"load_balancing": "ecmp"}),
    ("dscp", {"dscp": 26}),
]
LINES = "interface Ethernet1\n   shutdown\n"


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    with one_switch(
        tmp_path_factory.mktemp("lab"), "127.141", "arista_eos", OPTIONS, ["Ethernet1", "Ethernet2"]
    ) as leaf:
        yield leaf


@pytest.mark.parametrize(("feature", "values"), CHANGES)
def test_a_feature_is_applied_and_read_back_and_taken_back(leaf, tmp_path, feature, values):
    done = leaf.there_and_back(feature, values, tmp_path)
    assert done.programmed == done.requested
    assert done.changed


def test_a_threshold_alone_gets_the_smallest_alpha_and_the_report_says_so(leaf, tmp_path):
    assert leaf.there_and_back("pfc", {"pfc_threshold_bytes": 1}, tmp_path).programmed["alpha"] == "1/128"
    assert "alpha" not in leaf.there_and_back("pfc", {"headroom_bytes": 1}, tmp_path).programmed


@pytest.mark.parametrize(("feature", "values"), ALREADY)
def test_what_the_switch_does_by_default_reads_as_what_it_is(leaf, feature, values):
    change = transaction.preview(leaf.target, feature, values)
    missing = {name for name in change.requested if change.programmed[name] != change.requested[name]}
    assert missing <= {"enabled"}  # PFC of the ports is off, of every priority


def test_an_unconfirmed_change_is_taken_back_by_the_switch(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.apply(LINES, "alone", 2)
    assert leaf.config() != before
    time.sleep(2)
    assert leaf.config() == before
    with connect(leaf.target) as switch:
        switch.cancel("alone")


def test_a_confirmed_change_stays_and_a_cancelled_one_does_not(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.apply(LINES, "one", 60)
        switch.cancel("one")
        assert switch.comparable(switch.read_config()) == before
        switch.apply(LINES, "two", 60)
        switch.confirm("two")
        switch.cancel("two")
        after = switch.comparable(switch.read_config())
        assert after != before
        switch.restore("\n".join(before))
    assert leaf.config() == before


def test_a_refused_line_changes_nothing_and_is_named(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        with pytest.raises(LabError, match=r"leaf1: refused 'mtu big': % Invalid input .*; nothing was committed"):
            switch.apply("interface Ethernet1\n   mtu 1500\n   mtu big\n", "refused", 60)
        assert switch.comparable(switch.read_config()) == before


def test_checkpoints_are_saved_listed_rolled_back_and_removed(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        assert switch.checkpoints() == []
        switch.save_checkpoint("aibench-1")
        assert switch.checkpoints() == ["aibench-1"]
        switch.apply(LINES, "one")
        assert switch.comparable(switch.read_config()) != before
        switch.roll_back("aibench-1")
        assert switch.comparable(switch.read_config()) == before
        switch.remove_checkpoint("aibench-1")
        assert switch.checkpoints() == []
        with pytest.raises(LabError, match="refused 'configure replace checkpoint:aibench-1': % Error"):
            switch.roll_back("aibench-1")
