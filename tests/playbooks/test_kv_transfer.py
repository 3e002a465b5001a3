"""Tests 5.1 to 5.3 through Ansible on the simulated lab, in short trials."""

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest
from playbook_lab import virtual_lab
from test_sections import Finished

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SHORT = {"trials": 1, "trial_seconds": 0.001, "start_jitter_ns": 1000}
INTERVALS = {"telemetry_interval_ns": 1_000_000, "fabric_interval_ns": 10_000_000, "start_lead_ns": 2_000_000}
PROFILES = {"short": {**SHORT, **INTERVALS, "tests": {"5.1": {"overrun_seconds": 0.02}}}}
"""What is outstanding in 5.1 must be sent in 20 ms, which is 1 GB at line rate."""
LATENCY = "KV_xfer_latency (simulated)"
KPI = {"5.1": "KV_xfer_bandwidth (simulated)", "5.2": LATENCY, "5.3": LATENCY}
STATISTIC = {"5.1": "mean", "5.2": "p50", "5.3": "p50"}


@pytest.fixture(scope="module")
def transfers(tmp_path_factory):
    with virtual_lab(tmp_path_factory.mktemp("transfers"), "127.93") as lab:
        before = lab.running()
        played = lab.play("kv_transfer.yml", tests="5.1,5.2,5.3", profiles=PROFILES, profile="short")
        assert played.rc == 0, played.output
        yield Finished(lab, played, before)


def test_the_switches_are_as_before(transfers):
    assert transfers.lab.running() == transfers.before


def test_every_point_is_measured_or_left_out_with_a_reason(transfers):
    left_out = Counter(item["subject"][:8] for item in transfers.run["deviations"] if item["draft"] == "to be measured")
    measured = {test: len(transfers.values(test, KPI[test], STATISTIC[test])) for test in KPI}
    assert measured == {"5.1": 8 * 7 - left_out["Test 5.1"], "5.2": 4 * 5, "5.3": 4}
    assert left_out == {"Test 5.1": 7 + 6 + 4 + 2 + 1, "Test 5.3": 4}  # of 1 GB, 256, 64, 16 and 4 MB


def test_nothing_simulated_is_called_an_rdma_kpi_without_saying_so(transfers):
    names = {row["kpi"] for row in transfers.rows if row["kpi"].startswith("KV_xfer_")}
    assert names == {"KV_xfer_bandwidth (simulated)", "KV_xfer_latency (simulated)"}


def test_throughput_comes_near_the_line_rate_and_never_above_its_payload(transfers):
    rates = [value for _, _, value in transfers.values("5.1", KPI["5.1"])]
    assert all(40 < rate <= 50 * 4096 / 4158 + 0.01 for rate in rates)


def test_latency_grows_with_the_size_and_with_the_background(transfers):
    found = {
        (point["message_bytes"], point["background_load"]): value
        for _, point, value in transfers.values("5.2", KPI["5.2"], "p50")
    }
    assert found[64_000, 0.0] < found[1_000_000, 0.0]
    assert found[1_000_000, 0.0] < found[1_000_000, 0.5]


def test_every_trial_keeps_the_stamp_of_its_latencies_with_its_samples(transfers):
    folder = transfers.lab.journal().path.parent / "samples"
    files = sorted(folder.glob("5.[23]-*.parquet"))
    assert len(files) == 20 + 4
    assert {pq.read_schema(path).metadata[b"latency_stamp"] for path in files} == {b"remote signal"}


def test_the_report_has_the_figures_that_the_draft_asks_for(transfers):
    report = (transfers.lab.journal().path.parent / "report.html").read_text()
    for name in ("test-5.1-lines", "latency-table", "latency-cdf", "test-5.3-axes"):
        assert f'id="{name}"' in report
    assert "line rate of the NIC: 50 GB/s" in report
    assert "JFI 1.000" in report
    run = json.dumps(transfers.run)
    assert "at least 20" in run
