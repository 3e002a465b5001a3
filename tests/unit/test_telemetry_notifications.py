"""gNMI notifications become records, in every encoding and arrangement a device may choose."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygnmi.create_gnmi_path import gnmi_path_generator
from pygnmi.spec.v080 import gnmi_pb2

from aibench_lib.errors import SpecError
from aibench_lib.model import Record
from aibench_lib.telemetry.notifications import NotificationReader
from aibench_lib.telemetry.stream import subscribe_request
from aibench_lib.telemetry.subscription import Subscription
from aibench_lib.telemetry.values import as_integer, scalar

TIME_NS = 1_700_000_000_000_000_000


def subscription(**values):
    given = {
        "host": "leaf1",
        "address": "127.0.0.1",
        "port": 6030,
        "username": "admin",
        "password": "secret",
        "path": "/qos/interfaces/interface[interface-id=*]/output/queues/queue[name=*]/state",
        "mode": "sample",
        "interval_ns": 10_000,
        "measurement": "queue",
        "tags": {"interface": "interface-id", "queue": "name"},
        "leaves": {"transmit-octets": "transmit_bytes", "ecn-marked-pkts": "ecn_marked_packets"},
    }
    return Subscription(**{**given, **values})


def srl_interface(**values):
    return subscription(
        host="spine1",
        path="/interface[name=*]/statistics",
        measurement="interface",
        tags={"interface": "name"},
        leaves={"in-octets": "in_bytes", "out-octets": "out_bytes"},
        **values,
    )


def path(text):
    return gnmi_path_generator(text)


def update(where, **value):
    return gnmi_pb2.Update(path=path(where), val=gnmi_pb2.TypedValue(**value))


def notification(*updates, prefix="", time_ns=TIME_NS):
    return gnmi_pb2.Notification(timestamp=time_ns, prefix=path(prefix) if prefix else None, update=updates)


QUEUE = "/qos/interfaces/interface[interface-id={}]/output/queues/queue[name={}]/state"


def queue_record(interface="Ethernet33", queue="3", **fields):
    return Record("queue", {"switch": "leaf1", "interface": interface, "queue": queue}, fields, TIME_NS)


def test_list_keys_in_the_prefix_become_tags_and_leaves_become_fields():
    message = notification(
        update("transmit-octets", uint_val=4096),
        update("ecn-marked-pkts", uint_val=1),
        prefix=QUEUE.format("Ethernet33", 3),
    )
    reader = NotificationReader(subscription())
    assert reader.records(message) == [queue_record(transmit_bytes=4096, ecn_marked_packets=1)]


def test_list_keys_in_the_update_paths_mean_the_same():
    place = QUEUE.format("Ethernet33", 3)
    message = notification(
        update(f"{place}/transmit-octets", uint_val=4096), update(f"{place}/ecn-marked-pkts", uint_val=1)
    )
    reader = NotificationReader(subscription())
    assert reader.records(message) == [queue_record(transmit_bytes=4096, ecn_marked_packets=1)]


def test_updates_of_several_list_entries_in_one_notification_stay_apart():
    message = notification(
        update(QUEUE.format("Ethernet1", 3) + "/transmit-octets", uint_val=1),
        update(QUEUE.format("Ethernet2", 3) + "/transmit-octets", uint_val=2),
        update(QUEUE.format("Ethernet1", 3) + "/ecn-marked-pkts", uint_val=3),
    )
    assert NotificationReader(subscription()).records(message) == [
        queue_record("Ethernet1", transmit_bytes=1, ecn_marked_packets=3),
        queue_record("Ethernet2", transmit_bytes=2),
    ]


def test_the_same_update_under_another_prefix_is_of_another_series():
    reader = NotificationReader(subscription())
    for interface in ("Ethernet1", "Ethernet2", "Ethernet1"):
        message = notification(update("transmit-octets", uint_val=5), prefix=QUEUE.format(interface, 3))
        assert reader.records(message) == [queue_record(interface, transmit_bytes=5)]


def test_a_json_ietf_leaf_with_a_64_bit_number_as_string():
    message = notification(
        update("transmit-octets", json_ietf_val=b'"18014398509481985"'), prefix=QUEUE.format("Ethernet33", 3)
    )
    assert NotificationReader(subscription()).records(message) == [queue_record(transmit_bytes=18014398509481985)]


def test_a_json_ietf_subtree_below_the_list_entry():
    body = {"openconfig-qos:transmit-octets": "7", "ecn-marked-pkts": "2", "name": "3"}
    message = notification(
        gnmi_pb2.Update(
            path=path(QUEUE.format("Ethernet33", 3)), val=gnmi_pb2.TypedValue(json_ietf_val=json.dumps(body).encode())
        )
    )
    assert NotificationReader(subscription()).records(message) == [queue_record(transmit_bytes=7, ecn_marked_packets=2)]


def test_a_json_ietf_subtree_above_the_lists_takes_the_keys_from_its_entries():
    body = {
        "interface": [
            {
                "interface-id": interface,
                "output": {"queues": {"queue": [{"name": "3", "state": {"transmit-octets": str(octets)}}]}},
            }
            for interface, octets in (("Ethernet1", 11), ("Ethernet2", 22))
        ]
    }
    message = notification(
        gnmi_pb2.Update(path=path("/qos/interfaces"), val=gnmi_pb2.TypedValue(json_ietf_val=json.dumps(body).encode()))
    )
    assert NotificationReader(subscription()).records(message) == [
        queue_record("Ethernet1", transmit_bytes=11),
        queue_record("Ethernet2", transmit_bytes=22),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"uint_val": 3}, 3),
        ({"int_val": -3}, -3),
        ({"double_val": 3.0}, 3),
        ({"float_val": 3.0}, 3),
        ({"string_val": "3"}, 3),
        ({"ascii_val": "3"}, 3),
        ({"json_val": b"3"}, 3),
        ({"json_ietf_val": b'"3"'}, 3),
        ({"decimal_val": gnmi_pb2.Decimal64(digits=300, precision=2)}, 3),
    ],
)
def test_every_kind_of_number_is_the_same_number(value, expected):
    assert as_integer(scalar(gnmi_pb2.TypedValue(**value))) == expected


def test_a_decimal_a_double_and_a_list_keep_their_values():
    assert scalar(gnmi_pb2.TypedValue(decimal_val=gnmi_pb2.Decimal64(digits=314, precision=2))) == 3.14
    assert scalar(gnmi_pb2.TypedValue(double_val=1e-12)) == 1e-12
    elements = [gnmi_pb2.TypedValue(uint_val=1), gnmi_pb2.TypedValue(string_val="b")]
    assert scalar(gnmi_pb2.TypedValue(leaflist_val=gnmi_pb2.ScalarArray(element=elements))) == [1, "b"]


@given(st.one_of(st.text(), st.integers(), st.booleans(), st.none()))
def test_json_means_what_a_json_parser_says(value):
    text = json.dumps(value).encode()
    assert scalar(gnmi_pb2.TypedValue(json_ietf_val=text)) == value


@pytest.mark.parametrize("text", [b"", b'"', b'"1', b'1"', b"{", b'"1""'])
def test_broken_json_cannot_be_read(text):
    with pytest.raises(ValueError):
        scalar(gnmi_pb2.TypedValue(json_ietf_val=text))


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_a_64_bit_number_survives_as_text_and_as_number(number):
    assert as_integer(str(number)) == as_integer(number) == number


@pytest.mark.parametrize("value", ["", "up", 1.5, True, None, [1], 1 << 63, float("nan"), float("inf"), "1e3"])
def test_what_is_no_whole_64_bit_number_is_refused(value):
    with pytest.raises(ValueError):
        as_integer(value)


@pytest.mark.parametrize(
    ("value", "up"),
    [
        ({"string_val": "UP"}, True),
        ({"json_ietf_val": b'"openconfig-interfaces:UP"'}, True),
        ({"string_val": "DORMANT"}, False),
    ],
)
def test_the_state_of_an_interface_is_a_truth_value_whose_leaf_is_the_path_itself(value, up):
    reader = NotificationReader(
        subscription(
            path="/interfaces/interface[name=*]/state/oper-status",
            mode="on_change",
            measurement="interface",
            tags={"interface": "name"},
            leaves={"oper-status": "oper_up"},
            true_when={"oper_up": "UP"},
        )
    )
    message = notification(update("oper-status", **value), prefix="/interfaces/interface[name=Ethernet1]/state")
    assert reader.records(message) == [
        Record("interface", {"switch": "leaf1", "interface": "Ethernet1"}, {"oper_up": up}, TIME_NS)
    ]


def lanz():
    return subscription(
        path="/arista/lanz/congestion-record/state",
        heartbeat_ns=1_000_000,
        tags={"interface": "interface-id", "queue": "traffic-class"},
        leaves={"queue-length": "depth_bytes"},
    )


def test_a_congestion_record_names_its_queue_in_leaves():
    message = notification(
        update("type", string_val="POLLING"),
        update("queue-length", uint_val=123_456),
        update("interface-id", string_val="Ethernet33"),
        update("traffic-class", uint_val=3),
        prefix="/arista/lanz/congestion-record/state",
    )
    assert lanz().is_event_log
    assert NotificationReader(lanz()).records(message) == [queue_record(depth_bytes=123_456)]


def test_a_congestion_record_that_leaves_out_what_has_not_changed_is_of_the_same_queue():
    reader = NotificationReader(lanz())
    prefix = "/arista/lanz/congestion-record/state"
    first = (update("interface-id", string_val="Ethernet33"), update("traffic-class", uint_val=3))
    records = reader.records(notification(*first, update("queue-length", uint_val=1), prefix=prefix))
    records += reader.records(notification(update("queue-length", uint_val=2), prefix=prefix))
    records += reader.records(
        notification(update("queue-length", uint_val=9), update("interface-id", string_val="Ethernet34"), prefix=prefix)
    )
    assert records == [
        queue_record(depth_bytes=1),
        queue_record(depth_bytes=2),
        queue_record("Ethernet34", depth_bytes=9),
    ]


def test_a_congestion_record_of_an_unknown_queue_cannot_be_read():
    message = notification(update("queue-length", uint_val=2), prefix="/arista/lanz/congestion-record/state")
    with pytest.raises(ValueError, match="neither a list key nor a leaf 'interface-id'"):
        NotificationReader(lanz()).records(message)


def test_a_key_that_two_lists_have_is_taken_from_the_list_that_is_named():
    reader = NotificationReader(
        subscription(
            path="/a/interface[name=*]/queue[name=*]/state", tags={"interface": "interface/name", "queue": "queue/name"}
        )
    )
    message = notification(
        update("transmit-octets", uint_val=1), prefix="/a/interface[name=Ethernet33]/queue[name=3]/state"
    )
    assert reader.records(message) == [queue_record(transmit_bytes=1)]


def test_leaves_that_nobody_asked_for_and_other_subtrees_are_left_out():
    message = notification(
        update("name", string_val="3"),
        update(
            "/qos/interfaces/interface[interface-id=Ethernet33]/input/queues/queue[name=3]/state/transmit-octets",
            uint_val=9,
        ),
    )
    assert NotificationReader(subscription()).records(message) == []


def test_a_notification_without_timestamp_or_with_an_unreadable_value_cannot_be_read():
    reader = NotificationReader(subscription())
    with pytest.raises(ValueError, match="no timestamp"):
        reader.records(
            notification(update("transmit-octets", uint_val=1), prefix=QUEUE.format("Ethernet33", 3), time_ns=0)
        )
    for value in ({"string_val": "many"}, {"bytes_val": b"1"}, {"uint_val": 1 << 63}, {"json_ietf_val": b"{"}):
        with pytest.raises(ValueError):
            reader.records(notification(update("transmit-octets", **value), prefix=QUEUE.format("Ethernet33", 3)))


def test_what_is_deleted_is_named_by_its_tags_as_far_as_they_are_known():
    reader = NotificationReader(subscription())
    gone = gnmi_pb2.Notification(
        timestamp=TIME_NS,
        delete=[path("/qos/interfaces/interface[interface-id=Ethernet33]"), path(QUEUE.format("Ethernet1", 3))],
    )
    assert reader.deleted(gone) == [
        {"switch": "leaf1", "interface": "Ethernet33"},
        {"switch": "leaf1", "interface": "Ethernet1", "queue": "3"},
    ]


def test_interface_names_with_slashes_are_kept():
    reader = NotificationReader(srl_interface())
    message = notification(update("in-octets", uint_val=5), prefix="/interface[name=ethernet-1/1]/statistics")
    assert reader.records(message)[0].tags == {"switch": "spine1", "interface": "ethernet-1/1"}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"measurement": "queues"}, "unknown measurement 'queues'"),
        ({"tags": {"interface": "interface-id"}}, "tags must name the sources"),
        ({"leaves": {"transmit-octets": "bytes"}}, "queue has no field 'bytes'"),
        ({"mode": "once"}, "mode is one of"),
        ({"encoding": "xml"}, "encoding is one of"),
        ({"interval_ns": 0}, "needs interval_ns > 0"),
        ({"suppress_redundant": True}, "suppress_redundant needs heartbeat_ns"),
        ({"true_when": {"transmit_bytes": "UP"}}, "must be in true_when if"),
    ],
)
def test_a_subscription_that_cannot_work_is_refused_with_switch_and_path(values, complaint):
    with pytest.raises(SpecError, match=rf"leaf1: telemetry /qos/.*: .*{complaint}"):
        subscription(**values)


def test_a_path_that_is_none_is_refused():
    with pytest.raises(SpecError, match="not a gNMI path"):
        NotificationReader(subscription(path="/a[b=c=d]", tags={"interface": "b", "queue": "b"}))


def test_the_password_is_not_printed():
    assert "secret" not in repr(subscription())


def test_a_number_in_another_unit_than_ours_is_converted():
    reader = NotificationReader(subscription(scale={"transmit_bytes": 1000}))
    message = notification(update("transmit-octets", uint_val=7), prefix=QUEUE.format("Ethernet33", 3))
    assert reader.records(message) == [queue_record(transmit_bytes=7000)]


COUNTERS = {
    "path": "/COUNTERS/Ethernet0/Queues",
    "target": "COUNTERS_DB",
    "tags": {},
    "fixed": {"interface": "Ethernet0", "queue": "3"},
    "leaves": {"3/SAI_QUEUE_STAT_PACKETS": "transmit_packets"},
}


def test_a_path_without_keys_is_about_the_port_and_queue_that_the_subscription_says():
    tree = {"Ethernet0:3": {"SAI_QUEUE_STAT_PACKETS": "7"}, "Ethernet0:4": {"SAI_QUEUE_STAT_PACKETS": "9"}}
    told = notification(update("/COUNTERS/Ethernet0/Queues", json_ietf_val=json.dumps(tree).encode()))
    (record,) = NotificationReader(subscription(**COUNTERS)).records(told)
    assert record.tags == {"switch": "leaf1", "interface": "Ethernet0", "queue": "3"}
    assert record.fields == {"transmit_packets": 7}


def test_the_prefix_of_a_request_names_the_database_that_is_asked():
    assert subscribe_request([subscription(**COUNTERS)]).subscribe.prefix.target == "COUNTERS_DB"
    assert not subscribe_request([subscription()]).subscribe.HasField("prefix")


def test_a_tag_that_neither_a_source_nor_the_path_gives_is_missing():
    with pytest.raises(SpecError, match=r"tags must name the sources of \['interface', 'queue'\], found \['queue'\]"):
        subscription(**{**COUNTERS, "fixed": {"queue": "3"}})


NXOS_POLICY = "/System/ipqos-items/queuing-items/policy-items"
NXOS_LISTS = "out-items/intf-items/If-list[name={}]/queCmap-items/QueuingStats-list[cmapName=c-out-8q-q3]"


def nxos_queue(interface="eth1/1", **values):
    lists = {"path": f"{NXOS_POLICY}/{NXOS_LISTS.format(interface)}", "prefixes": {"eth": "Ethernet"}}
    tags = {"interface": "If-list/name", "queue": "QueuingStats-list/cmapName"}
    return subscription(**{**lists, "tags": tags, "leaves": {"txBytes": "transmit_bytes"}, **values})


def nxos_tree(**queues):
    stats = [{"cmapName": f"c-out-8q-{queue}", **leaves} for queue, leaves in queues.items()]
    ports = [{"name": f"eth1/{port}", "queCmap-items": {"QueuingStats-list": stats}} for port in (1, 2)]
    tree = {"out-items": {"intf-items": {"If-list": ports}}}
    return notification(update(NXOS_POLICY, json_val=json.dumps(tree).encode()))


def test_of_a_tree_only_what_was_asked_for_is_read_and_its_port_has_our_name():
    told = nxos_tree(q3={"txBytes": 7}, q4={"txBytes": 9})
    (record,) = NotificationReader(nxos_queue()).records(told)
    assert record.tags == {"switch": "leaf1", "interface": "Ethernet1/1", "queue": "c-out-8q-q3"}
    assert record.fields == {"transmit_bytes": 7}
    both = NotificationReader(nxos_queue("*")).records(told)
    assert [record.tags["interface"] for record in both] == ["Ethernet1/1", "Ethernet1/2"]


def test_what_a_queue_counts_of_pause_is_that_of_the_priority_that_the_subscription_says():
    told = nxos_tree(q3={"pfcRxPpp": 7}, q4={"pfcRxPpp": 9})
    pause = {"measurement": "pfc", "tags": {"interface": "If-list/name"}, "fixed": {"priority": "3"}}
    (record,) = NotificationReader(nxos_queue(**pause, leaves={"pfcRxPpp": "pause_rx_frames"})).records(told)
    assert record.tags == {"switch": "leaf1", "interface": "Ethernet1/1", "priority": "3"}
    assert record.fields == {"pause_rx_frames": 7}


def test_a_path_of_two_measurements_is_asked_for_once():
    pause = nxos_queue(measurement="pfc", tags={"interface": "If-list/name"}, fixed={"priority": "3"}, leaves={})
    paths = [entry.path for entry in subscribe_request([nxos_queue(), pause]).subscribe.subscription]
    assert paths == [path(nxos_queue().path)]
