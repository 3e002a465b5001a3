"""Every feature of Junos through the real driver over SSH: there and back; and what the switch does by itself."""

import time
from pathlib import Path

import grpc
import pytest
from one_switch import NAME, one_switch
from pygnmi.spec.v080 import gnmi_pb2, gnmi_pb2_grpc
from virtual_fabric import subscribe_request

from aibench_lib.errors import LabError, NotAttainable
from aibench_lib.platforms import load_platform
from aibench_lib.switch import transaction
from aibench_lib.switch.facts import read_facts
from aibench_lib.switch.session import connect
from aibench_lib.virtual_lab.gnmi.paths import parse, to_proto

OPTIONS = {
    "queue": "3",
    "priority": "3",
    "forwarding_class": "NO-LOSS",
    "code_point": "011010",
    "classifier": "ROCE",
    "scheduler": "ROCE",
    "drop_profile": "AIBENCH",
    "congestion_profile": "cnp",
    "queue_buffer_bytes": 10_000_000,
}
CHANGES = [
    ("ecn", {"kmin_bytes": 100_000, "kmax_bytes": 200_000, "probability_percent": 20}),
    ("pfc_priority", {"pfc": "on"}),
    ("pfc", {"alpha": "1/8"}),
    ("pfc", {"alpha": "2", "xon_offset_bytes": 25_400}),
    ("pfc_watchdog", {"watchdog": "on", "detection_ms": 200, "recovery_ms": 500}),
    ("dscp", {"dscp": 24}),
    ("scheduling", {"scheduling": "strict"}),
    ("scheduling", {"scheduling": "weighted", "weight_percent": 40}),
    ("load_balancing", {"load_balancing": "flowlet"}),
    ("load_balancing", {"load_balancing": "flowlet", "flowlet_gap_us": 50}),
    ("load_balancing", {"load_balancing": "packet_spray"}),
    ("hash_fields", {"hash_fields": "l3"}),
    ("interface", {"interface": "et-0/0/0", "admin": "down"}),
    ("routing_detour", {"routes": [{"prefix": "10.1.0.1/32", "next_hop": "10.2.0.5", "interface": "et-0/0/1"}]}),
]
ALREADY = [
    ("pfc_priority", {"pfc": "off"}),
    ("pfc_watchdog", {"watchdog": "off"}),
    ("scheduling", {"scheduling": "weighted", "weight_percent": 50}),
    ("hash_fields", {"hash_fields": "l4"}),
    ("load_balancing", {"load_balancing": "ecmp"}),
    ("interface", {"interface": "et-0/0/0", "admin": "up"}),
]
LINES = "set interfaces et-0/0/0 disable\n"


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    ports = ["et-0/0/0", "et-0/0/1"]
    with one_switch(tmp_path_factory.mktemp("lab"), "127.146", "juniper_junos", OPTIONS, ports) as leaf:
        yield leaf


@pytest.mark.parametrize(("feature", "values"), CHANGES)
def test_a_feature_is_applied_and_read_back_and_taken_back(leaf, tmp_path, feature, values):
    done = leaf.there_and_back(feature, values, tmp_path)
    assert done.programmed == done.requested
    assert done.changed


def test_a_step_becomes_the_smallest_slope_there_is_and_the_report_says_so(leaf, tmp_path):
    programmed = leaf.there_and_back("ecn", {"ecn_threshold_bytes": 500_000}, tmp_path).programmed
    assert (programmed["kmin_bytes"], programmed["kmax_bytes"]) == (500_000, 600_000)


def test_a_threshold_is_the_nearest_per_cent_and_the_report_says_so(leaf, tmp_path):
    values = {"kmin_bytes": 130_000, "kmax_bytes": 270_000, "probability_percent": 100}
    programmed = leaf.there_and_back("ecn", values, tmp_path).programmed
    assert (programmed["kmin_bytes"], programmed["kmax_bytes"]) == (100_000, 300_000)


@pytest.mark.parametrize(
    ("feature", "values", "reason"),
    [
        ("ecn", {"ecn_threshold_bytes": 40_000}, "kmin_bytes 40000 < min 1 per cent of the queue.s buffer = 100000"),
        ("pfc", {"pfc_threshold_bytes": 100_000}, "XOFF follows from alpha"),
        ("pfc_watchdog", {"watchdog": "on", "detection_ms": 250, "recovery_ms": 500}, "polls of 100 ms"),
    ],
)
def test_what_cannot_be_expressed_is_not_attainable(leaf, feature, values, reason):
    with pytest.raises(NotAttainable, match=reason):
        transaction.preview(leaf.target, feature, values)


@pytest.mark.parametrize(("feature", "values"), ALREADY)
def test_what_the_switch_does_by_default_reads_as_what_it_is(leaf, feature, values):
    change = transaction.preview(leaf.target, feature, values)
    assert change.programmed == change.requested


def test_an_unconfirmed_change_is_taken_back_by_the_switch(leaf):
    before = leaf.config()
    simulated = leaf.lab.switches[NAME]
    with connect(leaf.target) as switch:
        switch.apply(LINES, "alone", 60)
    assert leaf.config() != before
    simulated.now = lambda: time.monotonic() + 60
    try:
        assert leaf.config() == before
        with connect(leaf.target) as switch:
            switch.cancel("alone")
        assert leaf.config() == before
        assert not simulated.files
    finally:
        simulated.now = time.monotonic


def test_a_confirmed_change_stays_and_a_cancelled_one_does_not(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.apply(LINES, "one", 60)
        switch.cancel("one")
        assert switch.comparable(switch.read_config()) == before
        switch.apply(LINES, "two", 60)
    with connect(leaf.target) as switch:
        switch.confirm("two")
        switch.cancel("two")
        after = switch.comparable(switch.read_config())
        assert after != before
        switch.restore("\n".join(before))
    assert leaf.config() == before
    assert not leaf.lab.switches[NAME].files


def test_the_text_alone_brings_everything_back_in_its_order(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.apply(
            "set class-of-service drop-profiles A interpolate fill-level 1 fill-level 2"
            " drop-probability 0 drop-probability 100\n"
            "delete class-of-service classifiers dscp ROCE\n"
            "set class-of-service classifiers dscp ROCE import default\n",
            "much",
        )
        assert switch.comparable(switch.read_config()) != before
        switch.restore("\n".join(before))
    assert leaf.config() == before


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        ("set interfaces et-0/0/0 mtu 1\n", r"refused 'set interfaces et-0/0/0 mtu 1': Value 1 is not within range"),
        ("set class-of-service color red\n", r"refused 'set class-of-service color red': syntax error"),
        (
            "set class-of-service schedulers ROCE drop-profile-map loss-priority any protocol any drop-profile NONE\n",
            r"refused 'commit confirmed 1': \[edit class-of-service schedulers ROCE (.*\n)+.*"
            r"drop-profile NONE is referenced but not defined\s+error: configuration check-out failed",
        ),
    ],
)
def test_a_refused_change_changes_nothing_and_is_named(leaf, lines, refusal):
    before = leaf.config()
    with connect(leaf.target) as switch:
        with pytest.raises(LabError, match=f"leaf1: {refusal}"):
            switch.apply(lines, "refused", 60)
        assert switch.comparable(switch.read_config()) == before
    assert leaf.lab.switches[NAME].owner() is None


def test_who_else_edits_is_named_and_nothing_is_done(leaf):
    before = leaf.config()
    other = leaf.lab.switches[NAME].conversation()
    other.answer("configure exclusive")
    with connect(leaf.target) as switch, pytest.raises(LabError, match="error: configuration database locked by"):
        switch.apply(LINES, "locked", 60)
    other.answer("exit")
    assert leaf.config() == before


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
        with pytest.raises(LabError, match=r"refused 'load override /var/tmp/aibench-1\.conf': error: "):
            switch.roll_back("aibench-1")


def test_the_switch_says_what_it_is(leaf):
    facts = read_facts(leaf.target)
    assert (facts.vendor, facts.model) == ("Juniper", "aibench-virtual-lab (simulated)")
    assert "simulated" in facts.software
    assert facts.clock is not None
    port = facts.interfaces["et-0/0/0"]
    assert (port.oper, port.admin, port.speed_bps, port.mtu) == ("up", "up", 400_000_000_000, 9214)
    assert (port.neighbour, port.neighbour_port) == ("prefill01", "nic0")


def test_counters_are_cleared_when_asked(leaf):
    with connect(leaf.target) as switch:
        switch.clear_counters()


def test_all_telemetry_of_the_platform_is_there(leaf):
    platform = load_platform("juniper_junos")
    credentials = grpc.ssl_channel_credentials(Path(leaf.target.ca).read_bytes())
    metadata = [("username", "admin"), ("password", leaf.target.password)]
    with grpc.secure_channel(f"{leaf.target.address}:{platform.gnmi.port}", credentials) as channel:
        stub = gnmi_pb2_grpc.gNMIStub(channel)
        for entry in platform.telemetry:
            path = to_proto(parse(entry.path.format(interface="et-0/0/1", queue="3", priority="3")))
            request = subscribe_request(gnmi_pb2.Subscription(path=path), mode=gnmi_pb2.SubscriptionList.ONCE)
            answers = stub.Subscribe(iter([request]), metadata=metadata)
            said = [update for answer in answers for update in answer.update.update]
            assert {update.path.elem[-1].name for update in said} >= set(entry.leaves), entry.path
