"""Every feature of NX-OS through the real driver over SSH: there and back; and what the switch does by itself."""

import time

import pytest
from one_switch import NAME, one_switch
from pygnmi.spec.v080.gnmi_pb2_grpc import gNMIStub

from aibench_lib.errors import LabError, NotAttainable
from aibench_lib.journal import Journal
from aibench_lib.model import LabKind, Port
from aibench_lib.run.lab import Lab
from aibench_lib.run.plan import Profile
from aibench_lib.run.subscriptions import subscriptions
from aibench_lib.switch import transaction
from aibench_lib.switch.facts import read_facts
from aibench_lib.switch.session import connect
from aibench_lib.telemetry.notifications import NotificationReader, spelt_out
from aibench_lib.telemetry.stream import open_channel, subscribe_request
from aibench_lib.topology import parse_topology

PORTS = ["Ethernet1/1", "Ethernet1/2"]
OPTIONS = {
    "queue": "c-out-8q-q3",
    "priority": "3",
    "queuing_policy": "QUEUING-OUT",
    "input_queuing_policy": "QUEUING-IN",
    "network_qos_policy": "NETWORK",
    "qos_policy": "QOS-IN",
    "qos_class": "ROCE",
    "priority_level": "2",
    "pfc_headroom_bytes": 100_000,
    "interfaces": PORTS,
}
CHANGES = [
    ("ecn", {"ecn_threshold_bytes": 100_000}),
    ("ecn", {"kmin_bytes": 500_000, "kmax_bytes": 5_000_000, "probability_percent": 20}),
    ("pfc_priority", {"pfc": "on"}),
    ("pfc", {"pfc_threshold_bytes": 12_480}),
    ("pfc", {"pfc_threshold_bytes": 1_000_000}),
    ("pfc_watchdog", {"watchdog": "on", "detection_ms": 200, "recovery_ms": 500}),
    ("dscp", {"dscp": 30}),
    ("scheduling", {"scheduling": "strict"}),
    ("scheduling", {"scheduling": "weighted", "weight_percent": 70}),
    ("hash_fields", {"hash_fields": "l3"}),
    ("interface", {"interface": "Ethernet1/1", "admin": "down"}),
    ("routing_detour", {"routes": [{"prefix": "10.1.0.1/32", "next_hop": "10.2.0.5", "interface": "Ethernet1/2"}]}),
]
ALREADY = [
    ("pfc_watchdog", {"watchdog": "off"}),
    ("dscp", {"dscp": 26}),
    ("scheduling", {"scheduling": "weighted", "weight_percent": 50}),
    ("load_balancing", {"load_balancing": "ecmp"}),
    ("hash_fields", {"hash_fields": "l4"}),
    ("interface", {"interface": "Ethernet1/1", "admin": "up"}),
]
LINES = "interface Ethernet1/1\n  mtu 1500\n"


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    with one_switch(tmp_path_factory.mktemp("lab"), "127.158", "cisco_nxos", OPTIONS, PORTS) as leaf:
        yield leaf


@pytest.mark.parametrize(("feature", "values"), CHANGES)
def test_a_feature_is_applied_and_read_back_and_taken_back(leaf, tmp_path, feature, values):
    done = leaf.there_and_back(feature, values, tmp_path)
    assert done.programmed == done.requested
    assert done.changed
    assert not leaf.lab.switches[NAME].checkpoints


@pytest.mark.parametrize(
    ("feature", "values", "reason"),
    [
        ("ecn", {"ecn_threshold_bytes": 60_000_000}, "60000000 > max 52428800 bytes"),
        ("pfc", {"pfc_threshold_bytes": 10_000}, "10000 < min 12480 bytes on cisco_nxos .*9300-EX"),
        ("pfc", {"alpha": "1/8"}, "the command takes a static threshold"),
        ("pfc_watchdog", {"watchdog": "on", "detection_ms": 250, "recovery_ms": 500}, "no multiple of 100"),
        ("load_balancing", {"load_balancing": "flowlet"}, "takes effect only after .* reloaded"),
        ("load_balancing", {"load_balancing": "packet_spray"}, "takes effect only after .* reloaded"),
    ],
)
def test_what_cannot_be_had_is_not_attainable(leaf, feature, values, reason):
    with pytest.raises(NotAttainable, match=reason):
        transaction.preview(leaf.target, feature, values)


@pytest.mark.parametrize(("feature", "values"), ALREADY)
def test_what_the_operator_has_reads_as_what_it_is(leaf, feature, values):
    change = transaction.preview(leaf.target, feature, values)
    assert change.programmed == change.requested


def test_a_lossless_priority_ends_and_the_mode_of_the_ports_stays(leaf, tmp_path):
    assert transaction.preview(leaf.target, "pfc_priority", {"pfc": "off"}).programmed["pfc"] == "off"
    done = leaf.there_and_back("pfc_priority", {"pfc": "off"}, tmp_path)
    assert done.programmed == {"pfc": "off", "in_use": "NETWORK", "mode": dict.fromkeys(PORTS, "on")}


def test_a_policy_that_is_not_in_use_does_not_count(leaf, tmp_path):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.apply("policy-map type queuing OTHER\nsystem qos\n  service-policy type queuing output OTHER\n", "other")
    journal = Journal(tmp_path / "journal.jsonl")
    with pytest.raises(LabError, match="took ecn but shows no in_use"):
        transaction.apply(leaf.target, "ecn", {"ecn_threshold_bytes": 1}, journal, tmp_path)
    transaction.restore(leaf.target, journal, tmp_path)
    with connect(leaf.target) as switch:
        switch.restore("\n".join(before))
    assert leaf.config() == before


def test_an_unconfirmed_change_is_taken_back_by_the_switch(leaf):
    before = leaf.config()
    simulated = leaf.lab.switches[NAME]
    with connect(leaf.target) as switch:
        switch.apply(LINES, "alone", 60)
    assert leaf.config() != before
    simulated.now = lambda: time.monotonic() + 60
    try:
        assert leaf.config() == before
    finally:
        simulated.now = time.monotonic


def test_a_confirmed_change_stays_and_a_cancelled_one_does_not(leaf):
    before = leaf.config()
    simulated = leaf.lab.switches[NAME]
    with connect(leaf.target) as switch:
        switch.save_checkpoint("kept")
        switch.apply(LINES, "one", 60)
        switch.cancel("one", "kept")
        assert switch.comparable(switch.read_config()) == before
        switch.apply(LINES, "two", 60)
    with connect(leaf.target) as switch:
        switch.confirm("two")
    simulated.now = lambda: time.monotonic() + 60
    try:
        assert leaf.config() != before
        with connect(leaf.target) as switch:
            switch.roll_back("kept")
            switch.remove_checkpoint("kept")
        assert leaf.config() == before
    finally:
        simulated.now = time.monotonic


def test_a_cancelled_change_does_not_fall_back_once_more_when_its_time_is_over(leaf):
    simulated = leaf.lab.switches[NAME]
    with connect(leaf.target) as switch:
        before = switch.comparable(switch.read_config())
        switch.save_checkpoint("kept")
        switch.apply("ip load-sharing address source-destination\n", "first")
        switch.apply(LINES, "second", 60)
        switch.cancel("second", "kept")
        switch.remove_checkpoint("kept")
    simulated.now = lambda: time.monotonic() + 60
    try:
        assert leaf.config() == before
    finally:
        simulated.now = time.monotonic


def test_the_text_alone_brings_everything_back(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.apply(
            "policy-map type queuing OTHER\n"
            "  class type queuing c-in-q3\n"
            "    pause buffer-size 200000 pause-threshold 100000 resume-threshold 75000\n"
            "system qos\n"
            "  service-policy type queuing input OTHER\n"
            "no policy-map type queuing QUEUING-IN\n"
            "interface Ethernet1/2\n"
            "  shutdown\n"
            "  no ip address\n"
            "class-map type qos match-any ROCE\n"
            "  match dscp 30\n",
            "much",
        )
        assert switch.comparable(switch.read_config()) != before
        switch.restore("\n".join(before))
    assert leaf.config() == before


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        ("interface Ethernet1/1\n  mtu 1\n", r"refused 'mtu 1': % Invalid command at '\^' marker\."),
        ("interface\n", r"refused 'interface': % Incomplete command at '\^' marker\."),
        (
            "policy-map type queuing QUEUING-OUT\nclass type queuing c-out-8q-q3\nbandwidth remaining percent 60\n",
            r"refused 'commit confirmed 60': Failed\. err=ERROR: Total bandwidth remaining of QUEUING-OUT exceeds 100",
        ),
    ],
)
def test_a_refused_change_changes_nothing_and_is_named(leaf, lines, refusal):
    before = leaf.config()
    with connect(leaf.target) as switch:
        with pytest.raises(LabError, match=f"leaf1: {refusal}"):
            switch.apply(f"hostname other\n{lines}", "refused", 60)
        assert switch.comparable(switch.read_config()) == before


def test_a_checkpoint_too_many_is_refused_before_anything_changes(leaf, tmp_path):
    before = leaf.config()
    names = [f"operator-{number}" for number in range(10)]
    with connect(leaf.target) as switch:
        for name in names:
            switch.save_checkpoint(name)
        assert switch.checkpoints() == names
        with pytest.raises(LabError, match=r"refused 'checkpoint one-more': ERROR: Maximum number of checkpoints"):
            switch.save_checkpoint("one-more")
        with pytest.raises(LabError, match=r"no room for a checkpoint; it has 10 of 10 .*'no checkpoint operator-0'"):
            transaction.apply(leaf.target, "ecn", {"ecn_threshold_bytes": 1}, Journal(tmp_path / "journal"), tmp_path)
        for name in names:
            switch.remove_checkpoint(name)
        assert switch.checkpoints() == []
    assert leaf.config() == before


def test_the_switch_says_what_it_is(leaf):
    facts = read_facts(leaf.target)
    assert (facts.vendor, facts.model) == ("Cisco", "aibench-virtual-lab (simulated)")
    assert "simulated" in facts.software
    assert facts.clock is not None
    port = facts.interfaces["Ethernet1/1"]
    assert (port.oper, port.admin, port.speed_bps, port.mtu) == ("up", "up", 400_000_000_000, 9214)
    assert port.address is not None
    assert (port.neighbour, port.neighbour_port) == ("prefill01", "nic0")


def test_counters_are_cleared_when_asked(leaf):
    with connect(leaf.target) as switch:
        switch.clear_counters()


def test_the_counters_of_a_port_and_its_queue_are_streamed_under_the_names_of_the_inventory(leaf):
    links = [["prefill01:nic0", f"leaf1:{PORTS[0]}"], ["decode01:nic0", f"leaf1:{PORTS[1]}"]]
    shape = {"link_bps": 1, "switches": ["leaf1"], "hosts": ["prefill01", "decode01"], "links": links}
    lab = Lab(
        kind=LabKind.SIMULATED,
        instance="",
        isolated=True,
        topology=parse_topology(shape, "topology"),
        switches={"leaf1": leaf.target},
        workers={},
        pools={},
    )
    asked = subscriptions(lab, [Port("leaf1", PORTS[1])], Profile(telemetry_interval_ns=1_000_000))
    assert all("Ethernet" not in one.path for one in asked)
    readers = [NotificationReader(one) for one in asked]
    found = {}
    with open_channel(asked[0]) as channel:
        user = (("username", leaf.target.username), ("password", leaf.target.password))
        for response in gNMIStub(channel).Subscribe(iter([subscribe_request(asked)]), metadata=user):
            if response.sync_response:
                break
            told = response.update
            place = spelt_out((*told.prefix.elem, *told.update[0].path.elem))
            for record in (one for reader in readers if reader.is_about(*place) for one in reader.records(told)):
                found.setdefault((record.measurement, *record.tags.values()), []).append(set(record.fields))
    queue = {"transmit_packets", "transmit_bytes", "dropped_packets", "dropped_bytes", "ecn_marked_packets"}
    assert found.pop(("queue", "leaf1", PORTS[1], "c-out-8q-q3")) == [{*queue, "depth_bytes", "peak_bytes"}]
    for port in PORTS:
        assert found.pop(("pfc", "leaf1", port, "3")) == [{"pause_rx_frames", "pause_tx_frames", "watchdog_trips"}]
        octets = {"in_bytes", "out_bytes", "in_packets", "out_packets", "in_discards", "out_discards"}
        assert {name for one in found.pop(("interface", "leaf1", port)) for name in one} == {*octets, "oper_up"}
    assert found == {}
