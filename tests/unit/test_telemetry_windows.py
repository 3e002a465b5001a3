"""Windows of telemetry from streams that are whole, late, torn, reset or unreadable."""

import threading

import pyarrow.parquet as pq
import pytest
from gnmi_server import QUEUES, US, T, leaf_server, notification, queue, sample, short, steady, subscription
from pygnmi.create_gnmi_path import gnmi_path_generator
from pygnmi.spec.v080 import gnmi_pb2

from aibench_lib.errors import LabError
from aibench_lib.telemetry.collector import Collection

LANZ = "arista/lanz/congestion-record/state"


@pytest.fixture
def server():
    server = leaf_server()
    yield server
    server.stop()


@pytest.fixture
def start(tmp_path):
    """Starts collections in this process, and ends them with the test."""
    collections = []

    def begin(*subscriptions, seconds=10):
        collections.append(Collection(list(subscriptions), tmp_path, None))
        collections[-1].start(seconds)
        return collections[-1]

    yield begin
    for collection in collections:
        collection.close()


@pytest.fixture
def ledger(server, start):
    return start(subscription(server)).ledger


def test_a_subscription_asks_for_what_was_configured(server, start):
    start(subscription(server, suppress_redundant=True, heartbeat_ns=1_000 * US, encoding="json_ietf"))
    asked = server.requests[0].subscribe
    assert (asked.mode, asked.encoding) == (0, 4)
    assert asked.subscription[0].mode == 2
    assert asked.subscription[0].sample_interval == 10 * US
    assert asked.subscription[0].heartbeat_interval == 1_000 * US
    assert asked.subscription[0].suppress_redundant


def test_a_window_waits_until_every_series_has_a_sample_after_its_end(server, ledger):
    steady(server, 20)
    server.send(QUEUES, sample(30, "Ethernet33", transmit_octets=500))
    late = threading.Timer(0.3, server.send, [QUEUES, sample(30, "Ethernet34", transmit_octets=8)])
    late.start()
    window = ledger.window(T, T + 25 * US, 10)
    late.join()
    assert window.reasons == ()
    assert short(window.tables["queue"])[-1] == ("Ethernet34", 30 * US, 8)


def test_windows_follow_one_another_and_segments_hold_everything_once(server, start, tmp_path):
    collection = start(subscription(server))
    ledger = collection.ledger
    steady(server, 60)
    ledger.window(T, T + 20 * US, 10)
    steady_rows = ledger.window(T + 30 * US, T + 55 * US, 10).tables["queue"]
    assert short(steady_rows)[0] == ("Ethernet33", 30 * US, 130)
    server.send(QUEUES, *[sample(70, interface, transmit_octets=200) for interface in ("Ethernet33", "Ethernet34")])
    ledger.window(T + 60 * US, T + 70 * US, 10)
    summary = collection.close()
    segments = sorted(tmp_path.glob("queue-*.parquet"))
    assert segments[0].name == "queue-000000.parquet"
    assert sum(pq.read_table(path).num_rows for path in segments) == 2 * 8 == summary.rows["queue"]
    assert summary.messages == 16
    assert (summary.outages, summary.influx_lines, summary.warnings) == (0, 0, [])
    assert not list(tmp_path.glob(".*"))


def test_a_window_before_the_last_one_is_refused(server, ledger):
    steady(server, 60)
    ledger.window(T + 30 * US, T + 40 * US, 10)
    with pytest.raises(LabError, match=r"controller: telemetry before .* is only in the segments on disk"):
        ledger.window(T, T + 20 * US, 10)


def test_the_same_window_can_be_asked_for_again(server, ledger):
    steady(server, 60)
    first = ledger.window(T + 30 * US, T + 40 * US, 10)
    assert ledger.window(T + 30 * US, T + 40 * US, 10).tables["queue"].equals(first.tables["queue"])


def test_a_late_sample_makes_the_window_invalid_and_names_the_series(server, ledger):
    steady(server, 20)
    server.send(QUEUES, sample(30, "Ethernet33", transmit_octets=500))
    window = ledger.window(T, T + 25 * US, 0.5)
    assert window.reasons == (
        f"leaf1: /{QUEUES}: no sample at or after the end of the window (1 series late: leaf1/Ethernet34/3)",
    )


def test_a_gap_makes_the_window_invalid(server, ledger):
    steady(server, 20)
    server.send(QUEUES, *[sample(50, interface, transmit_octets=500) for interface in ("Ethernet33", "Ethernet34")])
    assert ledger.window(T, T + 50 * US, 10).reasons == (
        f"leaf1: /{QUEUES}: no message for 30000 ns in the window, at most 20000 ns expected",
    )


def test_a_counter_that_goes_backwards_makes_the_window_invalid(server, ledger):
    steady(server, 20)
    server.send(QUEUES, sample(30, transmit_octets=5), sample(30, "Ethernet34", transmit_octets=7))
    assert ledger.window(T, T + 30 * US, 10).reasons == (
        f"leaf1/Ethernet33/3: counter transmit_bytes went backwards in the window, at {T + 30 * US} ns",
    )


def test_an_unreadable_message_makes_the_window_invalid(server, ledger):
    steady(server, 10)
    server.send(QUEUES, sample(20, transmit_octets=(1 << 64) - 1))
    server.send(QUEUES, *[sample(20, interface, transmit_octets=500) for interface in ("Ethernet33", "Ethernet34")])
    (reason,) = ledger.window(T, T + 20 * US, 10).reasons
    assert "a message in the window cannot be read: transmit_bytes: expected a number within 64 bits" in reason


def test_a_connection_lost_in_the_window_makes_it_invalid_and_the_next_one_is_valid_again(server, start):
    collection = start(subscription(server))
    ledger = collection.ledger
    steady(server, 20)
    server.abort(QUEUES)
    server.initial[QUEUES] = [sample(40, transmit_octets=900), sample(40, "Ethernet34", transmit_octets=7)]
    server.wait_for_stream(QUEUES)
    window = ledger.window(T, T + 40 * US, 10)
    assert any("the connection was lost in the window (gNMI at 127.0.0.1" in reason for reason in window.reasons)
    server.send(QUEUES, *[sample(50, interface, transmit_octets=900) for interface in ("Ethernet33", "Ethernet34")])
    assert ledger.window(T + 40 * US, T + 50 * US, 10).reasons == ()
    assert collection.close().outages == 1


def test_a_switch_that_restarts_is_connected_to_again(server, ledger):
    steady(server, 20)
    server.stop()
    server.initial[QUEUES] = [sample(30, transmit_octets=900), sample(30, "Ethernet34", transmit_octets=7)]
    server.start()
    server.wait_for_stream(QUEUES, 20)
    assert ledger.window(T + 30 * US, T + 30 * US, 10).reasons == ()


def test_a_series_that_the_switch_deletes_is_not_waited_for(server, ledger):
    gone = gnmi_pb2.Notification(timestamp=T + 10 * US, delete=[gnmi_path_generator(queue("Ethernet34"))])
    server.send(QUEUES, gnmi_pb2.SubscribeResponse(update=gone), sample(10, transmit_octets=200))
    assert ledger.window(T, T + 10 * US, 10).reasons == ()


def test_a_log_of_congestion_that_has_nothing_to_say_does_not_hold_up_a_window(server, start):
    server.initial[LANZ] = []
    lanz = subscription(
        server,
        path=f"/{LANZ}",
        heartbeat_ns=1_000 * US,
        tags={"interface": "interface-id", "queue": "traffic-class"},
        leaves={"queue-length": "depth_bytes"},
    )
    ledger = start(subscription(server), lanz).ledger
    steady(server, 20)
    assert ledger.window(T, T + 20 * US, 10).reasons == ()


def test_answers_to_several_subscriptions_in_one_notification_are_told_apart(server, start):
    server.initial[LANZ] = []
    lanz = subscription(
        server,
        path=f"/{LANZ}",
        tags={"interface": "interface-id", "queue": "traffic-class"},
        leaves={"queue-length": "depth_bytes"},
    )
    ledger = start(subscription(server), lanz).ledger
    assert server.requests[0].subscribe.allow_aggregation
    message = gnmi_pb2.SubscribeResponse(update=gnmi_pb2.Notification(timestamp=T + 10 * US))
    for path, value in (
        (f"{queue('Ethernet33')}/transmit-octets", gnmi_pb2.TypedValue(uint_val=200)),
        (f"/{LANZ}/interface-id", gnmi_pb2.TypedValue(string_val="Ethernet34")),
        (f"/{LANZ}/queue-length", gnmi_pb2.TypedValue(uint_val=99)),
        (f"{queue('Ethernet34')}/transmit-octets", gnmi_pb2.TypedValue(uint_val=300)),
        (f"/{LANZ}/traffic-class", gnmi_pb2.TypedValue(uint_val=3)),
    ):
        message.update.update.add(path=gnmi_path_generator(path), val=value)
    server.send(QUEUES, message)
    window = ledger.window(T, T + 10 * US, 10)
    assert window.reasons == ()
    last = [row for row in window.tables["queue"].to_pylist() if row["time_ns"] == T + 10 * US]
    assert [(row["interface"], row["transmit_bytes"], row["depth_bytes"]) for row in last] == [
        ("Ethernet33", 200, None),
        ("Ethernet34", 300, None),
        ("Ethernet34", None, 99),
    ]


def test_records_of_congestion_before_the_end_are_in_the_window_without_being_waited_for(server, start):
    server.initial[LANZ] = []
    lanz = subscription(
        server,
        path=f"/{LANZ}",
        tags={"interface": "interface-id", "queue": "traffic-class"},
        leaves={"queue-length": "depth_bytes"},
    )
    ledger = start(subscription(server), lanz).ledger
    for us in range(1, 500):
        record = notification(T + us, f"/{LANZ}", queue_length=us, traffic_class=3)
        named = record.update.update.add(path=gnmi_path_generator("interface-id"))
        named.val.string_val = "Ethernet33"
        server.send(QUEUES, record)
    steady(server, 10)
    window = ledger.window(T, T + 10 * US, 10)
    assert window.reasons == ()
    assert [depth for depth in window.tables["queue"]["depth_bytes"].to_pylist() if depth] == list(range(1, 500))


def test_a_switch_that_never_sends_everything_is_named(server, start):
    done = threading.Event()
    server.initial[QUEUES] = (sample(us, transmit_octets=1) for us in range(2) if us == 0 or done.wait(20))
    with pytest.raises(LabError, match=r"leaf1: did not send everything of /qos/.* within 0\.5 s"):
        start(subscription(server), seconds=0.5)
    done.set()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            {"password": "wrong"},
            r"leaf1: gNMI at 127\.0\.0\.1:\d+ refuses user 'admin' \(bad username/password\)",
        ),
        ({"path": "/nowhere[name=*]/state"}, r"leaf1: gNMI at .* refuses to stream /nowhere.*/state: no such path"),
        ({"port": 1}, r"leaf1: gNMI at 127\.0\.0\.1:1 does not answer"),
        ({"tls": True}, r"leaf1: gNMI at .* does not answer"),
        ({"tls": True, "ca": "/nowhere/ca.pem"}, r"leaf1: /nowhere/ca\.pem: cannot be read: No such file"),
    ],
)
def test_a_start_that_fails_names_the_switch_and_the_reason(server, start, values, reason):
    if "path" in values:
        values = {**values, "tags": {"interface": "name", "queue": "name"}}
    with pytest.raises(LabError, match=reason) as caught:
        start(subscription(server, **values))
    assert caught.value.host == "leaf1"
