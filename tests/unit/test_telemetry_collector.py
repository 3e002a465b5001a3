"""The collector process from outside, against a gNMI server on loopback."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from gnmi_server import US, T, leaf_server, short, steady, subscription

from aibench_lib.errors import LabError
from aibench_lib.telemetry.config import Config, Influx
from aibench_lib.telemetry.control import Collector


@pytest.fixture
def server():
    server = leaf_server()
    yield server
    server.stop()


@pytest.fixture
def started(server, tmp_path):
    with Collector.start(Config(subscriptions=[subscription(server)]), tmp_path) as collector:
        yield collector


def test_a_window_has_each_series_samples_around_it_and_is_valid(server, started):
    steady(server, 60)
    window = started.window(T + 15 * US, T + 35 * US, 10)
    assert window.reasons == ()
    assert short(window.tables["queue"]) == [
        *[("Ethernet33", us * US, 100 + us) for us in (10, 20, 30, 40)],
        *[("Ethernet34", us * US, 7) for us in (10, 20, 30, 40)],
    ]
    assert window.tables["queue"]["ecn_marked_packets"].to_pylist()[0] == 1


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


def test_a_collector_can_be_stopped_while_a_window_waits(started):
    with ThreadPoolExecutor(1) as pool:
        window = pool.submit(started.window, T, T + 1_000 * US, 20)
        assert started.stop().rows["queue"] == 2
        with pytest.raises(LabError, match="has been stopped"):
            window.result()


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


def test_a_collector_whose_owner_ended_while_it_started_ends_too(server, tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", ""])
    socket = tmp_path / "control"
    orders = {
        "folder": str(tmp_path / "telemetry"),
        "owner_pid": owner.pid,
        "start_seconds": 30,
        "subscriptions": [asdict(subscription(server))],
        "influx": None,
    }
    (tmp_path / "telemetry").mkdir()
    reading, writing = os.pipe()
    os.close(reading)  # nobody hears that it is ready
    collector = subprocess.Popen(
        [sys.executable, "-m", "aibench_lib.telemetry", "--control", str(socket)], stdin=subprocess.PIPE, stdout=writing
    )
    os.close(writing)
    collector.stdin.write(json.dumps(orders).encode())
    collector.stdin.close()
    try:
        assert collector.wait(20) == 0
    finally:
        collector.kill()
        owner.wait()


def test_no_secret_is_on_the_command_line(server, started, tmp_path):
    command = Path(f"/proc/{collector_pid(tmp_path)}/cmdline").read_bytes()
    assert b"aibench_lib.telemetry" in command
    assert b"secret" not in command


def test_a_full_disk_is_said_and_nothing_is_lost_or_half_written(server, started, tmp_path):
    folder = tmp_path / "telemetry"
    part = folder / ".queue-000000.parquet.part"
    part.symlink_to("/dev/full")  # the kernel's disk that is always full
    steady(server, 20)
    with pytest.raises(LabError, match=r"controller: .*queue-000000\.parquet: No space left on device; free space"):
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


def test_a_start_that_fails_ends_the_process_and_names_the_switch(server, tmp_path):
    with pytest.raises(LabError, match=r"leaf1: gNMI at .* refuses user 'admin' \(bad username/password\)") as caught:
        Collector.start(Config(subscriptions=[subscription(server, password="wrong")]), tmp_path)
    assert caught.value.host == "leaf1"
    with pytest.raises(LabError, match="no telemetry collector was started"):
        Collector.attach(tmp_path)


def test_a_dead_database_loses_nothing_locally_and_is_said_once(server, tmp_path):
    dead = Influx(url="http://127.0.0.1:1", token="t0ken", organisation="lab", bucket="aibench")
    with Collector.start(Config(subscriptions=[subscription(server)], influx=dead), tmp_path) as collector:
        steady(server, 20)
        assert collector.window(T, T + 20 * US, 10).reasons == ()
        summary = collector.stop()
    assert pq.read_table(tmp_path / "telemetry" / "queue-000000.parquet").num_rows == summary.rows["queue"] == 6
    (warning,) = summary.warnings
    assert "http://127.0.0.1:1: does not answer" in warning
    assert "6 lines were not copied to InfluxDB" in warning
    assert summary.influx_lines == 0
