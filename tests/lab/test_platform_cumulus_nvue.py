"""Every feature of Cumulus Linux through the real driver over SSH: there and back; what it does by itself and shows."""

import time

import pytest
from one_switch import one_switch

from aibench_lib.errors import LabError
from aibench_lib.journal import Journal
from aibench_lib.switch import transaction
from aibench_lib.switch.facts import read_facts
from aibench_lib.switch.session import connect

OPTIONS = {
    "queue": "3",
    "priority": "3",
    "qos_profile": "default-global",
    "interfaces": ["swp1", "swp2"],
    "uplinks": ["swp1", "swp2"],
}
CHANGES = [
    ("ecn", {"kmin_bytes": 100_000, "kmax_bytes": 200_000, "probability_percent": 20}),
    ("pfc_priority", {"pfc": "on"}),
    ("pfc", {"pfc_threshold_bytes": 10_000}),
    ("pfc", {"pfc_threshold_bytes": 1_000_000}),
    ("pfc", {"alpha": "8", "headroom_bytes": 60_000, "xon_offset_bytes": 2_000}),
    ("pfc", {"pfc_threshold_bytes": 100_000, "alpha": "1/4"}),
    ("dscp", {"dscp": 24}),
    ("scheduling", {"scheduling": "strict"}),
    ("scheduling", {"scheduling": "weighted", "weight_percent": 40}),
    ("load_balancing", {"load_balancing": "packet_spray"}),
    ("hash_fields", {"hash_fields": "l3"}),
    ("interface", {"interface": "swp1", "admin": "down"}),
    ("routing_detour", {"routes": [{"prefix": "10.1.0.1/32", "next_hop": "10.2.0.5", "interface": "swp2"}]}),
]
WATCHDOG = {"watchdog": "on", "detection_ms": 200, "recovery_ms": 200}
# Not PFC: a profile without a switch priority obeys PAUSE nevertheless, until `rx disable` is set.
ALREADY = [
    ("pfc_watchdog", {"watchdog": "off"}),
    ("load_balancing", {"load_balancing": "ecmp"}),
    ("dscp", {"dscp": 26}),
    ("interface", {"interface": "swp1", "admin": "up"}),
]
LINE = "nv set interface swp1 link state down\n"


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    with one_switch(tmp_path_factory.mktemp("lab"), "127.147", "cumulus_nvue", OPTIONS, ["swp1", "swp2"]) as leaf:
        yield leaf


@pytest.mark.parametrize(("feature", "values"), CHANGES)
def test_a_feature_is_applied_and_read_back_and_taken_back(leaf, tmp_path, feature, values):
    done = leaf.there_and_back(feature, values, tmp_path)
    assert done.programmed == done.requested
    assert done.changed


def test_a_threshold_alone_leaves_the_class_no_share_of_the_buffer_and_the_report_says_so(leaf, tmp_path):
    assert leaf.there_and_back("pfc", {"pfc_threshold_bytes": 50_000}, tmp_path).programmed["alpha"] == "no share"


def test_a_port_has_a_watchdog_once_it_has_pfc(leaf, tmp_path):
    with pytest.raises(LabError, match=r"refused 'nv config apply .*Invalid config"):
        leaf.there_and_back("pfc_watchdog", WATCHDOG, tmp_path)
    journal, before = Journal(tmp_path / "journal.jsonl"), leaf.config()
    transaction.apply(leaf.target, "pfc_priority", {"pfc": "on"}, journal, tmp_path)
    done = transaction.apply(leaf.target, "pfc_watchdog", WATCHDOG, journal, tmp_path)
    assert done.programmed == done.requested
    assert leaf.lab.switches["leaf1"].watchdog("swp2").detection_ns == 200_000_000
    transaction.restore(leaf.target, journal, tmp_path)
    assert leaf.config() == before


@pytest.mark.parametrize(("feature", "values"), ALREADY)
def test_what_the_switch_does_by_default_reads_as_what_it_is(leaf, feature, values):
    assert not transaction.preview(leaf.target, feature, values).changed


def test_an_unconfirmed_change_is_taken_back_by_the_switch(leaf):
    before, revisions = leaf.config(), leaf.lab.switches["leaf1"].revisions
    with connect(leaf.target) as switch:
        switch.apply(LINE, "alone", 61)
    assert leaf.config() != before
    revisions.now, waiting = lambda: time.monotonic() + 119, revisions.now
    assert leaf.config() != before, "the switch counts whole minutes"
    revisions.now = lambda: time.monotonic() + 121
    assert leaf.config() == before
    revisions.now = waiting
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


def test_a_restore_from_text_never_writes_a_password(leaf):
    with connect(leaf.target) as switch:
        config = switch.read_config()
        assert "hashed-password" in config
        switch.apply("nv set system aaa user cumulus hashed-password $6$changed\n" + LINE, "one")
        seen = len(leaf.writes())
        switch.restore(config)
    assert not [line for line in leaf.writes()[seen:] if "password" in line]
    with connect(leaf.target) as switch:
        switch.apply("nv set system aaa user cumulus hashed-password *\n", "two")


def test_a_refused_line_changes_nothing_and_is_named(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        with pytest.raises(
            LabError, match=r"refused 'nv set interface swp1 link mtu big': Error: 'big' is not of type"
        ):
            switch.apply(f"{LINE}nv set interface swp1 link mtu big\n", "refused", 60)
        assert switch.comparable(switch.read_config()) == before


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
        with pytest.raises(LabError, match="No such file or directory"):
            switch.roll_back("aibench-1")


def test_no_room_for_a_checkpoint_is_told_as_the_shell_words_it(leaf):
    device = leaf.lab.switches["leaf1"]
    device.max_checkpoints, room = 0, device.max_checkpoints
    with connect(leaf.target) as switch, pytest.raises(LabError, match="No space left on device"):
        switch.save_checkpoint("aibench-1")
    device.max_checkpoints = room


def test_the_switch_says_that_it_is_simulated_and_who_is_behind_its_ports(leaf):
    facts = read_facts(leaf.target)
    assert (facts.vendor, facts.model, facts.asic) == ("NVIDIA", "aibench-virtual-lab", "simulated")
    assert "(simulated)" in facts.software
    assert facts.clock
    port = facts.interfaces["swp2"]
    assert (port.oper, port.admin, port.speed_bps, port.mtu) == ("up", "up", 400_000_000_000, 9214)
    assert (port.neighbour, port.neighbour_port, port.address) == ("decode01", "nic0", str(_address(leaf, "swp2")))
    assert not facts.notes


def test_a_port_that_is_shut_has_no_neighbour(leaf):
    with connect(leaf.target) as switch:
        switch.apply(LINE, "one", 60)
        port = read_facts(leaf.target).interfaces["swp1"]
        switch.cancel("one")
    assert (port.oper, port.admin, port.speed_bps, port.neighbour) == ("down", "down", None, None)
    assert port.address == str(_address(leaf, "swp1"))


def _address(leaf, interface):
    return leaf.lab.switches["leaf1"].addresses()[interface]


def test_what_the_switch_rounds_to_what_it_has_can_be_asked_again(leaf, tmp_path):
    before, journal = leaf.config(), Journal(tmp_path / "journal.jsonl")
    transaction.apply(leaf.target, "pfc_priority", {"pfc": "on"}, journal, tmp_path)
    asked = {"watchdog": "on", "detection_ms": 200, "recovery_ms": 300}
    first, second = (transaction.apply(leaf.target, "pfc_watchdog", asked, journal, tmp_path) for _ in range(2))
    assert first.programmed == second.programmed == {**asked, "recovery_ms": 200}
    transaction.restore(leaf.target, journal, tmp_path)
    assert leaf.config() == before
