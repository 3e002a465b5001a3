"""The collector process on the virtual lab: what it stores is what the simulated switches counted."""

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from virtual_fabric import fabric

from aibench_lib.errors import LabError
from aibench_lib.model import Transfer, TrialLoad
from aibench_lib.platforms import load_platform
from aibench_lib.telemetry.control import Collector, Config
from aibench_lib.telemetry.frames import Frames, delta
from aibench_lib.telemetry.subscription import Subscription
from aibench_lib.worker.coordinator import Coordinator

SENDERS = ("prefill01", "prefill02", "prefill03", "prefill04")
PACKETS = 123
SIZE_BYTES = PACKETS * 4_096
FINE_NS = 10_000
COARSE_NS = 1_000_000
SWITCHES = dict.fromkeys(("leaf1", "leaf2"), "arista_eos") | dict.fromkeys(
    ("leaf3", "spine1", "spine2"), "nokia_srlinux"
)

QUEUE = {"switch": "leaf1", "interface": "Ethernet33", "queue": "3"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with fabric(tmp_path_factory.mktemp("lab"), "127.113") as running:
        yield running


def subscription(lab, switch, entry, **values):
    platform = load_platform(SWITCHES[switch])
    watched = switch == "leaf1" and entry.measurement == "queue"
    interval_ns = FINE_NS if watched else COARSE_NS
    names = {"interface": "Ethernet33" if watched else "*", "priority": "3"}
    names["queue"] = "q3" if platform.name == "nokia_srlinux" else "3"
    keys = {tag: key for key, tag in re.findall(r"\[([\w-]+)=\{(\w+)\}\]", entry.path)}
    sampled = entry.mode == "sample"
    given = {
        "host": switch,
        "address": lab.lab.addresses[switch],
        "port": platform.gnmi.port,
        "username": "admin",
        "password": lab.password,
        "ca": str(lab.state / "ca.pem"),
        "encoding": platform.gnmi.encoding,
        "path": entry.path.format_map(names),
        "mode": entry.mode,
        "interval_ns": interval_ns if sampled else 0,
        "heartbeat_ns": 10 * interval_ns if sampled else 0,
        "suppress_redundant": sampled,
        "measurement": entry.measurement,
        "tags": keys | {tag: leaf for leaf, tag in entry.tag_leaves.items()},
        "leaves": entry.leaves,
        "true_when": entry.true_when,
    }
    return Subscription(**{**given, **values})


def every_subscription(lab):
    return [
        subscription(lab, switch, entry)
        for switch, platform in SWITCHES.items()
        for entry in load_platform(platform).telemetry
    ]


def incast():
    sends = {host: (Transfer(peer="decode01", qp=1, size_bytes=SIZE_BYTES),) for host in SENDERS}
    return TrialLoad(transfers={**sends, "decode01": ()}, seed=1)


def test_a_trials_window_has_every_packet_of_the_watched_queue_and_the_next_one_too(lab, tmp_path):
    with (
        Collector.start(Config(subscriptions=every_subscription(lab)), tmp_path) as collector,
        Coordinator(lab.agents(*SENDERS, "decode01")) as coordinator,
    ):
        for number in range(3):
            sent = coordinator.run_trial(f"t{number}", incast(), 100_000)
            window = collector.window(sent.t0_ns, sent.t_end_ns)
            assert window.reasons == ()
            frame = Frames(window.tables).series("queue", QUEUE)
            assert delta(frame, "transmit_packets", sent.t0_ns, sent.t_end_ns) == len(SENDERS) * PACKETS
            assert delta(frame, "dropped_packets", sent.t0_ns, sent.t_end_ns) == 0
            assert frame["time_ns"].is_monotonic_increasing
            assert int(frame["depth_bytes"].max()) > 100_000
            assert all(window.tables["interface"]["oper_up"].drop_null().to_pylist())
        assert set(window.tables["interface"]["switch"].to_pylist()) == set(SWITCHES)
        assert set(window.tables["buffer"]["switch"].to_pylist()) == {"leaf3", "spine1", "spine2"}
        summary = collector.stop()
    assert summary.outages == 0
    stored = segments(tmp_path, "queue")
    assert stored.num_rows == summary.rows["queue"]
    assert stored["time_ns"].to_pandas().is_monotonic_increasing or _sorted_by_switch(stored.to_pandas())


def segments(run_dir: Path, measurement: str) -> pa.Table:
    return pa.concat_tables(map(pq.read_table, sorted((run_dir / "telemetry").glob(f"{measurement}-*.parquet"))))


def _sorted_by_switch(rows: pd.DataFrame) -> bool:
    return all(mine["time_ns"].is_monotonic_increasing for _, mine in rows.groupby("switch"))


def test_a_wrong_password_and_an_unknown_path_name_the_switch(lab, tmp_path):
    entry = load_platform("arista_eos").telemetry[0]
    with pytest.raises(LabError, match=r"leaf1: gNMI at 127\.113\.0\.1:6030 refuses user 'admin'"):
        Collector.start(Config(subscriptions=[subscription(lab, "leaf1", entry, password="no")]), tmp_path)
    path = entry.path.replace("/qos/", "/quos/").format(interface="*", queue="*")
    with pytest.raises(LabError, match=r"leaf1: gNMI at .* refuses to stream /quos/.*: .*/quos/"):
        Collector.start(Config(subscriptions=[subscription(lab, "leaf1", entry, path=path)]), tmp_path)
