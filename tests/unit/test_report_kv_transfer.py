"""The figures of Tests 5.1 to 5.3, from values that come from formulas in this file."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_results import START_NS, write_run

from aibench_lib.report import kpi_table, write_report
from aibench_lib.report.figures import draw
from aibench_lib.report.results import read_results

SIZES = (64_000, 1_000_000, 1_000_000_000)
QUEUE_PAIRS = (1, 4, 8, 16, 32, 64, 128)
LOADS = (0.0, 0.9)
BANDWIDTH, LATENCY = "KV_xfer_bandwidth (tcp)", "KV_xfer_latency (tcp)"


def journal(path, trials):
    lines = [{"event": "trial_done", "trial": name, "test": name[:3], "setting": {}, **more} for name, more in trials]
    (path / "journal.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def throughput(path):
    """Test 5.1: queue pair by queue pair a little nearer to the line."""
    rows, trials = [], []
    for place, (size, pairs) in enumerate((size, pairs) for size in SIZES for pairs in QUEUE_PAIRS):
        point = {"message_bytes": size, "queue_pairs": pairs}
        rows.append(("5.1", {}, point, BANDWIDTH, "mean", 40 + pairs / 16, "GB/s", 1, "endpoint"))
        rows.append(("5.1", {}, point, "nic_offload_utilization", "mean", None, "%", 0, "endpoint"))
        steady = "the steady part of the trial" if size < SIZES[-1] else "the whole trial, as messages are large"
        remarks = {"bandwidth_of": steady, "line_rate_bps": "400000000000"}
        trials.append((f"5.1-s1-p{place}-t001", {"point": point, "remarks": remarks}))
    write_run(path, rows, ["5.1"])
    journal(path, trials)
    return path


def latency(path):
    """Test 5.2: 1000 transfers a point, of 1 to 1000 us times one more than the load; one stamp differs."""
    rows, trials = [], []
    (path / "samples").mkdir(parents=True)
    for place, (size, load) in enumerate((size, load) for size in SIZES[:2] for load in LOADS):
        point = {"message_bytes": size, "background_load": load}
        took = np.arange(1, 1001) * (1 + load)
        for statistic, share in (("p50", 500), ("p95", 950), ("p99", 990), ("p99.9", 999)):
            value = None if statistic == "p99.9" and load else share * (1 + load)
            rows.append(("5.2", {}, point, LATENCY, statistic, value, "us", 1000, "endpoint"))
        rows.append(("5.2", {}, point, "tail_latency_spread", "p99-p50", 490 * (1 + load), "us", 1000, "endpoint"))
        stamp = "remote signal" if place else "half of a round trip"
        name = f"5.2-s1-p{place}-t001"
        trials.append((name, {"point": point, "remarks": {"latency_stamp": stamp}}))
        ends = (1000 * took).astype(np.int64)
        columns = {
            "posted_ns": np.zeros(1000, np.int64),
            "completed_ns": ends,
            "received_ns": ends,
            "echoed_ns": 2 * ends,
        }
        table = pa.table({**columns, "qp": np.ones(1000, np.uint32), "status": ["ok"] * 1000})
        about = {"trial": name, "test": "5.2", "setting": "{}", "point": json.dumps(point), "latency_stamp": stamp}
        times = {"t0_ns": str(START_NS), "t_end_ns": str(START_NS + 10**6)}
        pq.write_table(table.replace_schema_metadata({**about, **times}), path / "samples" / f"{name}.parquet")
    write_run(path, rows, ["5.2"])
    journal(path, trials)
    return path


def scaling(path, jfi=0.9):
    """Test 5.3: throughput and latency grow with the pairs; the latency of the last point is not defined."""
    rows = []
    for pairs in (1, 2, 4, 8):
        point = {"transfer_pairs": pairs, "message_bytes": 16_000_000}
        rows.append(("5.3", {}, point, BANDWIDTH, "mean", 40.0 * pairs, "GB/s", 3, "endpoint"))
        rows.append(("5.3", {}, point, "JFI", "mean", jfi if pairs < 8 else None, "1", 3, "endpoint"))
        late = None if pairs == 8 else 300.0 * pairs
        rows.append(("5.3", {}, point, LATENCY, "p99", late, "us", 500, "endpoint"))
    return write_run(path, rows, ["5.3"])


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def figures(path, test):
    return {figure.name: figure for figure in draw(read_results(path), test)}


def test_throughput_is_drawn_over_sizes_with_a_line_a_number_of_queue_pairs_and_the_line_rate(tmp_path):
    figure = figures(throughput(tmp_path / "made"), "5.1")["test-5.1-lines"]
    shown = texts(figure.svg)
    assert {"64 KB", "1 MB", "1 GB", *map(str, QUEUE_PAIRS)} <= set(shown)
    assert f"{BANDWIDTH} [GB/s]" in shown
    assert "line rate of the NIC: 50 GB/s" in shown
    assert "logarithmic" in figure.caption


def test_no_two_numbers_of_queue_pairs_look_alike(tmp_path):
    svg = figures(throughput(tmp_path / "made"), "5.1")["test-5.1-lines"].svg
    assert all(f"var(--series-{number}," in svg for number in range(1, 8))


def test_the_report_says_of_which_part_a_bandwidth_is_and_what_carried_it(tmp_path):
    text = write_report(throughput(tmp_path / "made")).read_text()
    assert "KV_xfer_bandwidth is of the steady part of the trial (in 14 of 21 trials)." in text
    assert "KV_xfer_bandwidth is of the whole trial, as messages are large (in 7 of 21 trials)." in text
    assert "Only RDMA by a NIC gives these KPIs without it." in text
    assert "nic_offload_utilization in 21 of 21 rows: n/a, as no counter of the NICs says it." in text


def test_latency_is_a_table_of_sizes_and_loads_that_names_the_stamp_of_each_point(tmp_path):
    table = figures(latency(tmp_path / "made"), "5.2")["latency-table"].table
    assert table.columns[:6] == ("Message", "Background", "P50", "P95", "P99", "P99.9")
    first, last = table.rows[0], table.rows[-1]
    assert (first[0], first[1], first[-1]) == ("64 KB", "0%", "half of a round trip")
    assert (last[0], last[1], last[5], last[-1]) == ("1 MB", "90%", "n/a", "remote signal")
    assert first[6].startswith("490.0")
    assert [row[7] for row in table.rows] == ["1,000"] * 4


def test_latencies_have_a_distribution_a_message_size_with_a_line_a_load(tmp_path):
    figure = figures(latency(tmp_path / "made"), "5.2")["latency-cdf"]
    assert {"64 KB", "1 MB", "0%", "90%", f"{LATENCY} [us]"} <= set(texts(figure.svg))


def test_scaling_has_two_axes_with_the_fairness_above_each_point(tmp_path):
    figure = figures(scaling(tmp_path / "made"), "5.3")["test-5.3-axes"]
    shown = texts(figure.svg)
    assert {f"{BANDWIDTH}, mean [GB/s]", f"{LATENCY}, P99 [us]", "1", "2", "4", "8"} <= set(shown)
    assert shown.count("JFI 0.900") == 3
    assert "JFI n/a" in shown


@pytest.mark.parametrize("make", [throughput, latency, scaling])
def test_the_terminal_names_the_main_kpis_and_keeps_its_width(make, tmp_path):
    text = kpi_table(make(tmp_path / "made"))
    assert "bandwidth" in text or "latency p50" in text
    assert all(len(line) <= 110 for line in text.splitlines())
