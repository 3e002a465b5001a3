"""The collector process on the virtual lab: what it stores is what the simulated switches counted."""

import dataclasses
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from virtual_fabric import fabric

from aibench_lib.errors import LabError
from aibench_lib.model import Transfer, TrialLoad
from aibench_lib.run.plan import Profile
from aibench_lib.telemetry.control import Collector, Config
from aibench_lib.telemetry.frames import Frames, delta
from aibench_lib.worker.coordinator import Coordinator

SENDERS = ("prefill01", "prefill02", "prefill03", "prefill04")
PACKETS = 123
SIZE_BYTES = PACKETS * 4_096
FINE_NS = 10_000
COARSE_NS = 1_000_000
QUEUE = {"switch": "leaf1", "interface": "Ethernet33", "queue": "3"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with fabric(tmp_path_factory.mktemp("lab"), "127.113") as running:
        yield running


@pytest.fixture(scope="module")
def every_subscription(lab):
    return lab.subscriptions(Profile(telemetry_interval_ns=FINE_NS, fabric_interval_ns=COARSE_NS))


def incast():
    sends = {host: (Transfer(peer="decode01", qp=1, size_bytes=SIZE_BYTES),) for host in SENDERS}
    return TrialLoad(transfers={**sends, "decode01": ()}, seed=1)


def test_a_trials_window_has_every_packet_of_the_watched_queue_and_the_next_one_too(lab, every_subscription, tmp_path):
    with (
        Collector.start(Config(subscriptions=every_subscription), tmp_path) as collector,
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
        assert set(window.tables["interface"]["switch"].to_pylist()) == {"leaf1", "leaf2", "leaf3", "spine1", "spine2"}
        assert set(window.tables["buffer"]["switch"].to_pylist()) == {"spine1", "spine2"}
        summary = collector.stop()
    assert summary.outages == 0
    stored = segments(tmp_path, "queue")
    assert stored.num_rows == summary.rows["queue"]
    assert stored["time_ns"].to_pandas().is_monotonic_increasing or _sorted_by_switch(stored.to_pandas())


def segments(run_dir: Path, measurement: str) -> pa.Table:
    return pa.concat_tables(map(pq.read_table, sorted((run_dir / "telemetry").glob(f"{measurement}-*.parquet"))))


def _sorted_by_switch(rows: pd.DataFrame) -> bool:
    return all(mine["time_ns"].is_monotonic_increasing for _, mine in rows.groupby("switch"))


def test_a_wrong_password_and_an_unknown_path_name_the_switch(every_subscription, tmp_path):
    asked = next(one for one in every_subscription if one.host == "leaf1")
    with pytest.raises(LabError, match=r"leaf1: gNMI at 127\.113\.0\.1:6030 refuses user 'admin'"):
        Collector.start(Config(subscriptions=[dataclasses.replace(asked, password="no")]), tmp_path)
    path = asked.path.replace("/qos/", "/quos/")
    with pytest.raises(LabError, match=r"leaf1: gNMI at .* refuses to stream /quos/.*: .*/quos/"):
        Collector.start(Config(subscriptions=[dataclasses.replace(asked, path=path)]), tmp_path)
