"""Every feature of Dell Enterprise SONiC through the real driver over SSH: there and back."""

import pytest
from one_switch import one_switch
from pygnmi.spec.v080.gnmi_pb2_grpc import gNMIStub

from aibench_lib.errors import LabError, NotAttainable
from aibench_lib.model import LabKind, Port
from aibench_lib.run.lab import Lab
from aibench_lib.run.plan import Profile
from aibench_lib.run.subscriptions import subscriptions
from aibench_lib.switch import transaction
from aibench_lib.switch.facts import read_facts
from aibench_lib.switch.session import connect
from aibench_lib.switch.setting import parse_setting
from aibench_lib.telemetry.notifications import NotificationReader, spelt_out
from aibench_lib.telemetry.stream import open_channel, subscribe_request
from aibench_lib.topology import parse_topology

OPTIONS = {
    "queue": "3",
    "priority": "3",
    "interfaces": ["Eth1/1", "Eth1/2"],
    "uplinks": ["Eth1/1", "Eth1/2"],
    "qos_profile": "ROCE",
    "scheduler_policy": "ROCE",
    "dscp_map": "ROCE",
    "buffer_profile": "ROCE",
    "buffer_reserved_bytes": 0,
    "buffer_alpha": "1/8",
}
CHANGES = [
    ("ecn", {"kmin_bytes": 100_000, "kmax_bytes": 200_000, "probability_percent": 20}),
    ("pfc_priority", {"pfc": "on"}),
    ("pfc", {"pfc_threshold_bytes": 100_000}),
    ("pfc", {"pfc_threshold_bytes": 10_000, "headroom_bytes": 46_080}),
    ("pfc", {"alpha": "8", "headroom_bytes": 60_000}),
    ("pfc_watchdog", {"watchdog": "on", "detection_ms": 200, "recovery_ms": 500}),
    ("dscp", {"dscp": 24}),
    ("scheduling", {"scheduling": "weighted", "weight_percent": 40}),
    ("scheduling", {"scheduling": "strict"}),
    ("load_balancing", {"load_balancing": "flowlet", "flowlet_gap_us": 100}),
    ("load_balancing", {"load_balancing": "packet_spray"}),
    ("hash_fields", {"hash_fields": "l3"}),
    ("hash_fields", {"hash_fields": "l4"}),
    ("interface", {"interface": "Eth1/1", "admin": "down"}),
    ("routing_detour", {"routes": [{"prefix": "10.1.0.1/32", "next_hop": "10.2.0.5", "interface": "Eth1/2"}]}),
]
ALREADY = [
    ("pfc_priority", {"pfc": "off"}),
    ("pfc_watchdog", {"watchdog": "off"}),
    ("load_balancing", {"load_balancing": "ecmp"}),
    ("dscp", {"dscp": 26}),
    ("scheduling", {"scheduling": "weighted", "weight_percent": 50}),
    ("interface", {"interface": "Eth1/1", "admin": "up"}),
]
NOT_ATTAINABLE = [
    ("ecn", {"ecn_threshold_bytes": 100_500}, "100500 is no multiple of 1000 .the switch takes KB"),
    ("ecn", {"ecn_threshold_bytes": 13_000_000}, "13000000 > max 12480 KB"),
    ("pfc", {"headroom_bytes": 1000}, "headroom_bytes 1000 < min 46080"),
    ("pfc", {"xon_offset_bytes": 1000}, "no threshold at which traffic resumes"),
    ("pfc_watchdog", {"watchdog": "on", "detection_ms": 50, "recovery_ms": 500}, "50 < min 100 ms"),
]


@pytest.fixture(scope="module")
def leaf(tmp_path_factory):
    with one_switch(tmp_path_factory.mktemp("lab"), "127.142", "dell_sonic", OPTIONS, ["Eth1/1", "Eth1/2"]) as leaf:
        yield leaf


@pytest.mark.parametrize(("feature", "values"), CHANGES)
def test_a_feature_is_applied_and_read_back_and_taken_back(leaf, tmp_path, feature, values):
    done = leaf.there_and_back(feature, values, tmp_path)
    assert done.programmed == done.requested
    assert done.changed


@pytest.mark.parametrize(("feature", "values"), ALREADY)
def test_what_the_operator_has_reads_as_what_it_is(leaf, feature, values):
    change = transaction.preview(leaf.target, feature, values)
    assert change.programmed == change.requested


@pytest.mark.parametrize(("feature", "values", "complaint"), NOT_ATTAINABLE)
def test_what_the_command_line_does_not_take_is_not_attainable(leaf, feature, values, complaint):
    with pytest.raises(NotAttainable, match=complaint):
        parse_setting(leaf.target, feature, values)


def test_a_line_that_is_refused_in_the_middle_leaves_what_was_typed_and_a_restore_takes_it_back(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        with pytest.raises(LabError, match=r"leaf1: refused 'mtu 1': % Error: Invalid input detected") as caught:
            switch.apply("interface Eth1/1\n description typed\n mtu 1\n", "refused")
        assert "\n" not in str(caught.value)
        assert "nothing was committed" not in str(caught.value)
        assert " description typed" in switch.comparable(switch.read_config())
        switch.restore("\n".join(before))
        assert switch.comparable(switch.read_config()) == before


def test_there_is_neither_a_dead_man_nor_a_checkpoint(leaf):
    with connect(leaf.target) as switch:
        assert not switch.has_dead_man
        assert switch.checkpoints() is None


def test_everything_at_once_is_brought_back_from_the_text(leaf):
    before = leaf.config()
    with connect(leaf.target) as switch:
        for feature, values in CHANGES:
            setting = parse_setting(leaf.target, feature, values)
            switch.apply(setting.rendered(setting.requested), feature)
        assert switch.comparable(switch.read_config()) != before
        switch.restore("\n".join(before))
        assert switch.comparable(switch.read_config()) == before


def test_the_switch_says_that_it_is_simulated_and_who_is_behind_its_ports(leaf):
    facts = read_facts(leaf.target)
    assert (facts.vendor, facts.asic) == ("Dell", "simulated")
    assert "(simulated)" in facts.model
    assert "(simulated)" in facts.software
    assert facts.clock
    port = facts.interfaces["Eth1/2"]
    assert (port.oper, port.admin, port.speed_bps, port.mtu) == ("up", "up", 400_000_000_000, 9214)
    assert (port.neighbour, port.neighbour_port, port.address) == ("decode01", "nic0", "10.2.0.3/31")
    assert not facts.notes


QUEUE = {"transmit_packets", "transmit_bytes", "dropped_packets", "dropped_bytes", "ecn_marked_packets", "peak_bytes"}


@pytest.mark.parametrize(("watched", "queues"), [(["Eth1/2"], ["Eth1/2"]), ([], ["Eth1/1", "Eth1/2"])])
def test_the_counters_of_a_port_and_its_queue_are_streamed_with_their_tags(leaf, watched, queues):
    links = [["prefill01:nic0", "leaf1:Eth1/1"], ["decode01:nic0", "leaf1:Eth1/2"]]
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
    ports = [Port("leaf1", interface) for interface in watched]
    asked = subscriptions(lab, ports, Profile(telemetry_interval_ns=1_000_000))
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
    for interface in queues:
        assert found.pop(("queue", "leaf1", interface, "3")) == QUEUE
    octets = {"in_bytes", "out_bytes", "in_packets", "out_packets", "in_discards", "out_discards", "oper_up"}
    for interface in ("Eth1/1", "Eth1/2"):
        pause = {"pause_rx_frames", "pause_tx_frames", "watchdog_trips"}
        assert found.pop(("pfc", "leaf1", interface, "3")) == pause
        assert found.pop(("interface", "leaf1", interface)) == octets
    assert found == {}
