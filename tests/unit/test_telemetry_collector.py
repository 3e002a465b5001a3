"""The collector process from outside, against a gNMI server on loopback."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from gnmi_server import GnmiServer, notification

from aibench_lib.errors import LabError
from aibench_lib.telemetry.config import Config
from aibench_lib.telemetry.control import Collector
from aibench_lib.telemetry.subscription import Subscription

T = 1_700_000_000_000_000_000
US = 1_000
QUEUES = "qos/interfaces/interface[interface-id=*]/output/queues/queue[name=3]/state"
LANZ = "arista/lanz/congestion-record/state"


def queue(interface):
    return f"/qos/interfaces/interface[interface-id={interface}]/output/queues/queue[name=3]/state"


def sample(us, interface="Ethernet33", **leaves):
    return notification(T + us * US, queue(interface), **leaves)


@pytest.fixture
def server():
    server = GnmiServer()
    server.initial[QUEUES] = [
        sample(0, "Ethernet33", transmit_octets=100, ecn_marked_pkts=1),
        sample(0, "Ethernet34", transmit_octets=7),
    ]
    server.start()
    yield server
    server.stop()


def subscription(server, **values):
    given = {
        "host": "leaf1",
        "address": "127.0.0.1",
        "port": server.port,
        "username": "admin",
        "password": "secret",
        "tls": False,
        "path": f"/{QUEUES}",
        "mode": "sample",
        "interval_ns": 10 * US,
        "measurement": "queue",
        "tags": {"interface": "interface-id", "queue": "name"},
        "leaves": {"transmit-octets": "transmit_bytes", "ecn-marked-pkts": "ecn_marked_packets"},
    }
    return Subscription(**{**given, **values})


@pytest.fixture
def started(server, tmp_path):
    with Collector.start(Config(subscriptions=[subscription(server)]), tmp_path) as collector:
        yield collector


def short(table):
    return [(row["interface"], row["time_ns"] - T, row["transmit_bytes"]) for row in table.to_pylist()]


def steady(server, until_us):
    for us in range(10, until_us + 1, 10):
        server.send(
            QUEUES, sample(us, "Ethernet33", transmit_octets=100 + us), sample(us, "Ethernet34", transmit_octets=7)
        )


def test_a_subscription_asks_for_what_was_configured(server, tmp_path):
    wanted = subscription(server, suppress_redundant=True, heartbeat_ns=1_000 * US, encoding="json_ietf")
    with Collector.start(Config(subscriptions=[wanted]), tmp_path):
        asked = server.requests[0].subscribe
    assert (asked.mode, asked.encoding) == (0, 4)
    assert asked.subscription[0].mode == 2
    assert asked.subscription[0].sample_interval == 10 * US
    assert asked.subscription[0].heartbeat_interval == 1_000 * US
    assert asked.subscription[0].suppress_redundant


def test_a_window_has_each_series_samples_around_it_and_is_valid(server, started):
    steady(server, 60)
    window = started.window(T + 15 * US, T + 35 * US, 10)
    assert window.reasons == ()
    assert short(window.tables["queue"]) == [
        *[("Ethernet33", us * US, 100 + us) for us in (10, 20, 30, 40)],
        *[("Ethernet34", us * US, 7) for us in (10, 20, 30, 40)],
    ]
    assert window.tables["queue"]["ecn_marked_packets"].to_pylist()[0] == 1


def test_a_window_waits_until_every_series_has_a_sample_after_its_end(server, started):
    steady(server, 20)
    server.send(QUEUES, sample(30, "Ethernet33", transmit_octets=500))
    late = threading.Timer(0.3, server.send, [QUEUES, sample(30, "Ethernet34", transmit_octets=8)])
    late.start()
    window = started.window(T, T + 25 * US, 10)
    late.join()
    assert window.reasons == ()
    assert short(window.tables["queue"])[-1] == ("Ethernet34", 30 * US, 8)


def test_windows_follow_one_another_and_segments_hold_everything_once(server, started, tmp_path):
    steady(server, 60)
    started.window(T, T + 20 * US, 10)
    steady_rows = started.window(T + 30 * US, T + 55 * US, 10).tables["queue"]
    assert short(steady_rows)[0] == ("Ethernet33", 30 * US, 130)
    server.send(QUEUES, *[sample(70, interface, transmit_octets=200) for interface in ("Ethernet33", "Ethernet34")])
    started.window(T + 60 * US, T + 70 * US, 10)
    summary = started.stop()
    segments = sorted((tmp_path / "telemetry").glob("queue-*.parquet"))
    assert segments[0].name == "queue-000000.parquet"
    assert sum(pq.read_table(path).num_rows for path in segments) == 2 * 8 == summary.rows["queue"]
    assert summary.messages == 16
    assert (summary.outages, summary.influx_lines, summary.warnings) == (0, 0, [])
    assert not list((tmp_path / "telemetry").glob(".*"))


def test_a_window_before_the_last_one_is_refused(server, started):
    steady(server, 60)
    started.window(T + 30 * US, T + 40 * US, 10)
    with pytest.raises(LabError, match=r"controller: telemetry before .* is only in the segments on disk"):
        started.window(T, T + 20 * US, 10)


def test_the_same_window_can_be_asked_for_again(server, started):
    steady(server, 60)
    first = started.window(T + 30 * US, T + 40 * US, 10)
    assert started.window(T + 30 * US, T + 40 * US, 10).tables["queue"].equals(first.tables["queue"])


def test_a_late_sample_makes_the_window_invalid_and_names_the_series(server, started):
    steady(server, 20)
    server.send(QUEUES, sample(30, "Ethernet33", transmit_octets=500))
    window = started.window(T, T + 25 * US, 0.5)
    assert window.reasons == (
        f"leaf1: /{QUEUES}: no sample at or after the end of the window (1 series late: leaf1/Ethernet34/3)",
    )


def test_a_gap_makes_the_window_invalid(server, started):
    steady(server, 20)
    server.send(QUEUES, *[sample(50, interface, transmit_octets=500) for interface in ("Ethernet33", "Ethernet34")])
    assert started.window(T, T + 50 * US, 10).reasons == (
        f"leaf1: /{QUEUES}: no message for 30000 ns in the window, at most 20000 ns expected",
    )


def test_a_counter_that_goes_backwards_makes_the_window_invalid(server, started):
    steady(server, 20)
    server.send(QUEUES, sample(30, transmit_octets=5), sample(30, "Ethernet34", transmit_octets=7))
    assert started.window(T, T + 30 * US, 10).reasons == (
        f"leaf1/Ethernet33/3: counter transmit_bytes went backwards in the window, at {T + 30 * US} ns",
    )


def test_an_unreadable_message_makes_the_window_invalid(server, started):
    steady(server, 10)
    server.send(QUEUES, sample(20, transmit_octets=(1 << 64) - 1))
    server.send(QUEUES, *[sample(20, interface, transmit_octets=500) for interface in ("Ethernet33", "Ethernet34")])
    (reason,) = started.window(T, T + 20 * US, 10).reasons
    assert "a message in the window cannot be read: transmit_bytes: expected a number within 64 bits" in reason


def test_a_connection_lost_in_the_window_makes_it_invalid_and_the_next_one_is_valid_again(server, started):
    steady(server, 20)
    server.abort(QUEUES)
    server.initial[QUEUES] = [sample(40, transmit_octets=900), sample(40, "Ethernet34", transmit_octets=7)]
    server.wait_for_stream(QUEUES)
    window = started.window(T, T + 40 * US, 10)
    assert any("the connection was lost in the window (gNMI at 127.0.0.1" in reason for reason in window.reasons)
    server.send(QUEUES, *[sample(50, interface, transmit_octets=900) for interface in ("Ethernet33", "Ethernet34")])
    assert started.window(T + 40 * US, T + 50 * US, 10).reasons == ()
    assert started.stop().outages == 1


def test_a_switch_that_restarts_is_connected_to_again(server, started):
    steady(server, 20)
    server.stop()
    server.initial[QUEUES] = [sample(30, transmit_octets=900), sample(30, "Ethernet34", transmit_octets=7)]
    server.start()
    server.wait_for_stream(QUEUES, 20)
    assert started.window(T + 30 * US, T + 30 * US, 10).reasons == ()


def test_a_series_that_the_switch_deletes_is_not_waited_for(server, started):
    from pygnmi.create_gnmi_path import gnmi_path_generator
    from pygnmi.spec.v080 import gnmi_pb2

    gone = gnmi_pb2.Notification(timestamp=T + 10 * US, delete=[gnmi_path_generator(queue("Ethernet34"))])
    server.send(QUEUES, gnmi_pb2.SubscribeResponse(update=gone), sample(10, transmit_octets=200))
    assert started.window(T, T + 10 * US, 10).reasons == ()


def test_a_log_of_congestion_that_has_nothing_to_say_does_not_hold_up_a_window(server, tmp_path):
    server.initial[LANZ] = []
    lanz = subscription(
        server,
        path=f"/{LANZ}",
        heartbeat_ns=1_000 * US,
        tags={"interface": "interface-id", "queue": "traffic-class"},
        leaves={"queue-length": "depth_bytes"},
    )
    with Collector.start(Config(subscriptions=[subscription(server), lanz]), tmp_path) as collector:
        steady(server, 20)
        assert collector.window(T, T + 20 * US, 10).reasons == ()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (
            {"password": "wrong"},
            r"leaf1: /qos/.*: gNMI at 127\.0\.0\.1:\d+ refuses user 'admin' \(bad username/password\)",
        ),
        ({"path": "/nowhere[name=*]/state"}, r"leaf1: /nowhere\[name=\*\]/state: .* no such path"),
        ({"port": 1}, r"leaf1: /qos/.*: gNMI at 127\.0\.0\.1:1 does not answer"),
        ({"tls": True}, r"leaf1: /qos/.*: gNMI at .* does not answer"),
        ({"tls": True, "ca": "/nowhere/ca.pem"}, r"leaf1: /nowhere/ca\.pem: cannot be read: No such file"),
    ],
)
def test_a_start_that_fails_names_the_switch_and_the_reason(server, tmp_path, values, reason):
    if "path" in values:
        values = {**values, "tags": {"interface": "name", "queue": "name"}}
    with pytest.raises(LabError, match=reason) as caught:
        Collector.start(Config(subscriptions=[subscription(server, **values)]), tmp_path)
    assert caught.value.host == "leaf1"


def test_a_switch_that_never_sends_everything_is_named(server, tmp_path):
    done = threading.Event()
    server.initial[QUEUES] = (sample(us, transmit_octets=1) for us in range(2) if us == 0 or done.wait(20))
    with pytest.raises(LabError, match=r"leaf1: .*: the switch did not send everything within 0\.5 s"):
        Collector.start(Config(subscriptions=[subscription(server)]), tmp_path, start_seconds=0.5)
    done.set()


def test_stopping_twice_is_harmless_and_a_stopped_collector_has_no_windows(server, started, tmp_path):
    summary = started.stop()
    assert started.stop() == summary
    assert Collector.attach(tmp_path).stop() == summary
    with pytest.raises(LabError, match="has been stopped"):
        started.window(T, T, 1)


def test_another_process_can_ask_and_stop(server, started, tmp_path):
    steady(server, 20)
    other = Collector.attach(tmp_path)
    assert other.window(T, T + 20 * US, 10).reasons == ()
    assert other.stop().rows["queue"] == 6
    assert started.stop().rows["queue"] == 6


def test_a_run_without_collector_says_so(tmp_path):
    with pytest.raises(LabError, match="no telemetry collector was started"):
        Collector.attach(tmp_path)


def collector_pid(run_dir):
    return json.loads((run_dir / "telemetry" / "collector.json").read_text())["pid"]


def test_ctrl_c_does_not_reach_the_collector(server, started, tmp_path):
    os.kill(collector_pid(tmp_path), signal.SIGINT)
    steady(server, 20)
    assert started.window(T, T + 20 * US, 10).reasons == ()
    assert os.getpgid(collector_pid(tmp_path)) != os.getpgid(0)


def test_a_killed_collector_is_said_to_have_died(server, tmp_path):
    collector = Collector.start(Config(subscriptions=[subscription(server)]), tmp_path)
    os.kill(collector_pid(tmp_path), signal.SIGKILL)
    with pytest.raises(LabError, match=r"controller: the telemetry collector died; see .*collector\.log"):
        collector.window(T, T, 1)
    with pytest.raises(LabError, match="died"):
        collector.stop()


def test_the_collector_ends_with_its_owner_and_leaves_everything_on_disk(server, tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    collector = Collector.start(Config(subscriptions=[subscription(server)]), tmp_path, owner_pid=owner.pid)
    socket = Path(json.loads((tmp_path / "telemetry" / "collector.json").read_text())["socket"])
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    descriptor = os.pidfd_open(collector_pid(tmp_path))
    owner.kill()
    owner.wait()
    owner.stdin.close()
    assert os.waitpid(collector_pid(tmp_path), 0)[1] == 0
    os.close(descriptor)
    assert pq.read_table(tmp_path / "telemetry" / "queue-000000.parquet").num_rows == 2
    assert not socket.parent.exists()
    assert Collector.attach(tmp_path).stop().rows == {"queue": 2}
    assert collector.stop().rows == {"queue": 2}


def test_no_secret_is_on_the_command_line(server, started, tmp_path):
    command = Path(f"/proc/{collector_pid(tmp_path)}/cmdline").read_bytes()
    assert b"aibench_lib.telemetry" in command
    assert b"secret" not in command


def test_a_full_disk_is_said_and_nothing_is_lost_or_half_written(server, started, tmp_path):
    folder = tmp_path / "telemetry"
    part = folder / ".queue-000000.parquet.part"
    part.symlink_to("/dev/full")  # the kernel's disk that is always full
    steady(server, 20)
    with pytest.raises(
        LabError, match=r"controller: .*queue-000000\.parquet: No space left on device; free space or set results_dir"
    ):
        started.window(T, T + 20 * US, 10)
    assert not list(folder.glob("*.parquet"))
    assert not part.is_symlink()
    window = started.window(T, T + 20 * US, 10)
    assert window.reasons == ()
    assert pq.read_table(folder / "queue-000000.parquet").num_rows == 6


def test_a_second_collector_of_a_run_goes_on_where_the_first_ended(server, tmp_path):
    for number in range(2):
        with Collector.start(Config(subscriptions=[subscription(server)]), tmp_path):
            pass
        assert (tmp_path / "telemetry" / f"queue-{number:06d}.parquet").exists()
