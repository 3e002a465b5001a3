"""Every feature of SONiC through the real driver over SSH: there and back; what it does by itself and shows."""

import time

import pytest
from one_switch import one_switch
from pygnmi.spec.v080.gnmi_pb2_grpc import gNMIStub

from aibench_lib.errors import LabError, SpecError
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

PORTS = ["Ethernet0", "Ethernet4"]
OPTIONS = {
    "interfaces": PORTS,
    "queue": "3",
    "priority": "3",
    "priority_group": "3",
    "wred_profile": "AZURE_LOSSLESS",
    "dscp_map": "AZURE",
    "buffer_pool": "ingress_lossless_pool",
    "headroom_bytes": 66_560,
    "alpha": "1/8",
}
WATCHDOG = {"watchdog": "on", "detection_ms": 200, "recovery_ms": 500}
CHANGES = [
    ("ecn", {"kmin_bytes": 100_000, "kmax_bytes": 200_000, "probability_percent": 20}),
    ("pfc_priority", {"pfc": "on"}),
    ("pfc", {"pfc_threshold_bytes": 10_000}),
    ("pfc", {"pfc_threshold_bytes": 1_000_000, "xon_offset_bytes": 2_000}),
    ("pfc", {"alpha": "2", "headroom_bytes": 100_000}),
    ("pfc_watchdog", WATCHDOG),
    ("dscp", {"dscp": 24}),
    ("scheduling", {"scheduling": "strict"}),
    ("scheduling", {"scheduling": "weighted", "weight_percent": 60}),
    ("load_balancing", {"load_balancing": "flowlet", "flowlet_gap_us": 50}),
    ("load_balancing", {"load_balancing": "packet_spray"}),
    ("hash_fields", {"hash_fields": "l3"}),
    ("hash_fields", {"hash_fields": "l4"}),
    ("interface", {"interface": "Ethernet4", "admin": "down"}),
    ("routing_detour", {"routes": [{"prefix": "10.1.0.1/32", "next_hop": "10.2.0.5", "interface": "Ethernet4"}]}),
]
LACKING = [
    ("ecn", {"kmin_bytes": 1, "kmax_bytes": 2, "probability_percent": 101}),
    ("pfc", {"alpha": "1/3"}),
    ("pfc_watchdog", {**WATCHDOG, "detection_ms": 99}),
    ("scheduling", {"scheduling": "weighted", "weight_percent": 101}),
    ("load_balancing", {"load_balancing": "flowlet", "flowlet_gap_us": 1}),
]
ALREADY = [
    ("pfc_priority", {"pfc": "off"}),
    ("pfc_watchdog", {"watchdog": "off"}),
    ("load_balancing", {"load_balancing": "ecmp"}),
    ("dscp", {"dscp": 26}),
    ("interface", {"interface": "Ethernet0", "admin": "up"}),
]
SHUT = '{"PORT": {"Ethernet0": {"admin_status": "down"}}}\n'


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    with one_switch(tmp_path_factory.mktemp("lab"), "127.148", "sonic", OPTIONS, PORTS) as leaf:
        yield leaf


@pytest.fixture
def device(leaf):
    """The switch behind its wires."""
    return leaf.lab.switches["leaf1"]


@pytest.fixture
def change(leaf, tmp_path):
    """Apply a feature; whatever the test has changed is restored at its end."""
    journal, before = Journal(tmp_path / "journal.jsonl"), leaf.config()
    yield lambda feature, values: transaction.apply(leaf.target, feature, values, journal, tmp_path)
    transaction.restore(leaf.target, journal, tmp_path)
    assert leaf.config() == before


@pytest.mark.parametrize(("feature", "values"), CHANGES)
def test_a_feature_is_applied_and_read_back_and_taken_back(leaf, tmp_path, feature, values):
    done = leaf.there_and_back(feature, values, tmp_path)
    assert done.programmed == done.requested
    assert done.changed


@pytest.mark.parametrize(("feature", "values"), ALREADY)
def test_what_an_operator_has_configured_reads_as_what_it_is(leaf, feature, values):
    assert not transaction.preview(leaf.target, feature, values).changed


@pytest.mark.parametrize(("feature", "values"), LACKING)
def test_what_the_models_do_not_allow_is_refused_before_anything_is_sent(leaf, tmp_path, feature, values):
    sent = leaf.writes()
    with pytest.raises(SpecError):
        transaction.apply(leaf.target, feature, values, Journal(tmp_path / "journal.jsonl"), tmp_path)
    assert leaf.writes() == sent


def test_what_is_told_is_what_the_fabric_does(change, device):
    change("ecn", {"ecn_threshold_bytes": 100_000})
    change("pfc", {"pfc_threshold_bytes": 50_000})
    change("pfc_watchdog", WATCHDOG)
    assert device.ecn("Ethernet4", 3).kmin_bytes == 100_000
    assert (device.pfc("Ethernet4", 3).xoff_bytes, device.pfc("Ethernet4", 3).headroom_bytes) == (50_000, 66_560)
    assert device.watchdog("Ethernet4").detection_ns == 200_000_000


def test_thresholds_of_both_kinds_follow_each_other(change, device):
    for values in ({"pfc_threshold_bytes": 10_000}, {"alpha": "1/4"}, {"pfc_threshold_bytes": 10_000}):
        done = change("pfc", values)
        assert done.changed
        assert done.programmed == done.requested
    assert device.pfc("Ethernet0", 3).xoff_bytes == 10_000
    assert not change("pfc", {"pfc_threshold_bytes": 10_000}).changed


def test_what_only_some_ports_have_is_still_to_be_sent(leaf, device):
    before = device.running_text()
    row = '{"action": "drop", "detection_time": "200", "restoration_time": "500"}'
    device.load(f'{{"PFC_WD": {{"Ethernet0": {row}}}}}')
    assert transaction.preview(leaf.target, "pfc_watchdog", WATCHDOG).changed
    assert transaction.preview(leaf.target, "pfc_watchdog", {"watchdog": "off"}).changed
    device.load(f'{{"PFC_WD": {{"Ethernet4": {row}}}}}')
    assert not transaction.preview(leaf.target, "pfc_watchdog", WATCHDOG).changed
    device.load('{"PFC_WD": null}')
    assert device.running_text() == before


def test_a_watchdog_is_switched_off_on_every_port(change, device):
    change("pfc_watchdog", WATCHDOG)
    off = change("pfc_watchdog", {"watchdog": "off"})
    assert (off.changed, off.programmed) == (True, {"watchdog": "off"})
    assert [device.watchdog(port) for port in PORTS] == [None, None]


def test_an_unconfirmed_change_is_taken_back_by_the_switch(leaf, device):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.save_checkpoint("aibench-1")
        switch.apply(SHUT, "alone", 60, "aibench-1")
    assert leaf.config() != before
    clock, device.now = device.now, lambda: time.monotonic() + 61
    assert leaf.config() == before
    device.now = clock
    with connect(leaf.target) as switch:
        with pytest.raises(LabError, match=r"refused 'sudo systemctl stop alone.timer': Failed to stop .* not loaded"):
            switch.confirm("alone")
        switch.cancel("alone", "aibench-1")
        switch.remove_checkpoint("aibench-1")
    assert leaf.config() == before


def test_a_confirmed_change_stays_and_a_cancelled_one_does_not(leaf, device):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.save_checkpoint("aibench-1")
        switch.apply(SHUT, "one", 60, "aibench-1")
        switch.cancel("one", "aibench-1")
        assert switch.comparable(switch.read_config()) == before
        assert device.timers == {}
        switch.apply(SHUT, "two", 60, "aibench-1")
        switch.confirm("two")
        clock, device.now = device.now, lambda: time.monotonic() + 61
        assert leaf.config() != before
        device.now = clock
        switch.roll_back("aibench-1")
        switch.remove_checkpoint("aibench-1")
    assert leaf.config() == before
    assert device.files == {}


def test_a_configuration_is_brought_back_from_its_text(leaf, device):
    with connect(leaf.target) as switch:
        text = switch.read_config()
        switch.apply('{"BUFFER_PROFILE": {"ingress_lossy_profile": {"dynamic_th": "1", "xon": "9"}}}', "one")
        device.load('{"SCHEDULER": {"scheduler.0": {"weight": "1"}, "own": {"type": "STRICT"}}}')
    with (
        pytest.raises(LabError, match="Modification of BUFFER_PROFILE table is illegal"),
        connect(leaf.target) as switch,
    ):
        switch.restore(text)
    device.load('{"BUFFER_PROFILE": {"ingress_lossy_profile": null}}')
    with connect(leaf.target) as switch:
        switch.restore(text)
        assert switch.read_config() == text
    assert device.files == {}


def test_what_the_models_refuse_changes_nothing_and_is_named(leaf, device):
    before = leaf.config()
    with connect(leaf.target) as switch:
        switch.save_checkpoint("aibench-1")
        with pytest.raises(LabError, match=r"fails YANG validation! Error: Invalid value \"off\" in \"admin_status\""):
            switch.apply(SHUT.replace("down", "off"), "refused", 60, "aibench-1")
        switch.remove_checkpoint("aibench-1")
    assert leaf.config() == before
    assert (device.files, device.timers) == ({}, {})


def test_a_large_configuration_is_put_on_the_switch_in_parts(leaf, device):
    ports = [f"Ethernet{number}" for number in range(8, 520, 4)]
    rows = {port: {"lanes": port.removeprefix("Ethernet"), "speed": "400000"} for port in ports}
    before = device.running_text()
    with connect(leaf.target) as switch:
        device.load(str({"PORT": rows}).replace("'", '"'))
        large = switch.read_config()
        assert len(large) > 15_000
        device.load(str({"PORT": dict.fromkeys(ports)}).replace("'", '"').replace("None", "null"))
        assert device.running_text() == before
        switch.restore(large)
        assert switch.read_config() == large
        switch.restore(before)
    assert device.running_text() == before


def test_checkpoints_are_saved_listed_rolled_back_and_removed(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        assert switch.checkpoints() == []
        switch.save_checkpoint("aibench-1")
        assert switch.checkpoints() == ["aibench-1"]
        switch.apply(SHUT, "one")
        assert switch.comparable(switch.read_config()) != before
        switch.roll_back("aibench-1")
        assert switch.comparable(switch.read_config()) == before
        switch.remove_checkpoint("aibench-1")
        assert switch.checkpoints() == []
        with pytest.raises(LabError, match=r"The config_db file .* exist"):
            switch.roll_back("aibench-1")


def test_no_room_for_a_checkpoint_is_told_as_the_tool_words_it(leaf, device):
    room, device.max_checkpoints = device.max_checkpoints, 0
    with connect(leaf.target) as switch, pytest.raises(LabError, match="No space left on device"):
        switch.save_checkpoint("aibench-1")
    device.max_checkpoints = room


def test_counters_are_cleared(leaf):
    with connect(leaf.target) as switch:
        switch.clear_counters()


def test_the_switch_says_that_it_is_simulated_and_who_is_behind_its_ports(leaf, device):
    facts = read_facts(leaf.target)
    assert (facts.vendor, facts.model, facts.asic) == ("SONiC", "aibench-virtual-lab", "simulated")
    assert "(simulated)" in facts.software
    assert facts.clock
    port = facts.interfaces["Ethernet4"]
    assert (port.oper, port.admin, port.speed_bps, port.mtu) == ("up", "up", 400_000_000_000, 9214)
    address = str(device.addresses()["Ethernet4"])
    assert (port.neighbour, port.neighbour_port, port.address) == ("decode01", "nic0", address)
    assert not facts.notes


def test_a_port_that_is_shut_is_down_and_has_no_neighbour(leaf, change):
    change("interface", {"interface": "Ethernet0", "admin": "down"})
    port = read_facts(leaf.target).interfaces["Ethernet0"]
    assert (port.oper, port.admin, port.neighbour) == ("down", "down", None)


def test_the_counters_of_a_port_and_its_queue_are_streamed_with_their_tags(leaf):
    links = [["prefill01:nic0", "leaf1:Ethernet0"], ["decode01:nic0", "leaf1:Ethernet4"]]
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
    asked = subscriptions(lab, [Port("leaf1", "Ethernet4")], Profile(telemetry_interval_ns=1_000_000))
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
                found.setdefault((record.measurement, *record.tags.values()), set()).update(record.fields)
    queue = {"transmit_packets", "transmit_bytes", "dropped_packets", "dropped_bytes", "ecn_marked_packets"}
    assert found.pop(("queue", "leaf1", "Ethernet4", "3")) == {*queue, "peak_bytes"}
    for port in PORTS:
        pause = {"pause_rx_frames", "pause_tx_frames", "paused_ns", "watchdog_trips"}
        assert found.pop(("pfc", "leaf1", port, "3")) == pause
        octets = {"in_bytes", "out_bytes", "in_packets", "out_packets", "in_discards", "out_discards"}
        assert found.pop(("interface", "leaf1", port)) == octets
    assert found == {}
