import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aibench_lib.errors import LabError
from aibench_lib.files import write_whole
from aibench_lib.model import LabKind
from aibench_lib.run.summary import methods, starts, summarise, write_values

COLUMNS = "run,test,setting,point,kpi,statistic,value,unit,ci_low,ci_high,n,observation_point,lab,method"


def trial(number: int, marking_rate: float | None) -> dict[str, object]:
    values = dict.fromkeys(
        (
            "marking_onset",
            "queue_depth_at_onset",
            "Fabric_Goodput",
            "Buffer_utilization",
            "Packet_drop_rate",
            "JFI",
        ),
        1.0,
    )
    return {
        "trial": f"8.1-s1-p1-t{number:03d}",
        "test": "8.1",
        "setting": {"ecn_threshold_bytes": 100_000},
        "point": {"prefill_workers": 2, "message_bytes": 16_000_000},
        "values": {**values, "ECN_marking_rate": marking_rate},
    }


@pytest.fixture
def samples(tmp_path):
    folder = tmp_path / "samples"
    folder.mkdir()
    for number, completed in ((1, [10_000, 20_000]), (2, [30_000, 40_000])):
        table = pa.table({"posted_ns": [0, 0], "completed_ns": completed})
        pq.write_table(table, folder / f"8.1-s1-p1-t{number:03d}.parquet")
    return folder


def row(values, kpi, statistic="mean"):
    return next(value for value in values if (value.kpi, value.statistic) == (kpi, statistic))


def test_a_mean_is_over_trials_with_a_t_interval(samples):
    values = summarise("r", LabKind.SIMULATED, [trial(1, 10.0), trial(2, 20.0)], samples)
    rate = row(values, "ECN_marking_rate")
    # t(0.975, 1 degree) = 12.7062; s = 7.0711; half width = 12.7062 * 7.0711 / sqrt(2) = 63.531.
    assert (rate.value, rate.n) == (15.0, 2)
    np.testing.assert_allclose([rate.ci_low, rate.ci_high], [15 - 63.531, 15 + 63.531], atol=1e-3)


def test_a_percentile_is_over_the_transfers_of_all_trials(samples):
    values = summarise("r", LabKind.SIMULATED, [trial(1, 1.0), trial(2, 1.0)], samples)
    median = row(values, "Fabric_FCT", "p50")
    # Inverse empirical CDF of 10, 20, 30, 40 us at 0.5: the second.
    assert (median.value, median.n) == (20.0, 4)
    assert row(values, "Fabric_FCT", "max").value == 40.0


def test_a_percentile_that_the_samples_cannot_define_is_not_given(samples):
    values = summarise("r", LabKind.SIMULATED, [trial(1, 1.0), trial(2, 1.0)], samples)
    assert row(values, "Fabric_FCT", "p99").value is None


def test_a_trial_that_does_not_define_a_value_is_not_counted_as_zero(samples):
    values = summarise("r", LabKind.SIMULATED, [trial(1, None), trial(2, 20.0)], samples)
    rate = row(values, "ECN_marking_rate")
    assert (rate.value, rate.n, rate.ci_low) == (20.0, 1, None)


def test_the_csv_has_exactly_its_columns_and_writes_undefined_as_na(samples, tmp_path):
    write_values(summarise("r", LabKind.SIMULATED, [trial(1, None), trial(2, None)], samples), tmp_path)
    lines = (tmp_path / "kpis.csv").read_text().splitlines()
    assert lines[0] == COLUMNS
    rows = list(csv.DictReader(lines))
    rate = next(row for row in rows if row["kpi"] == "ECN_marking_rate")
    assert (rate["value"], rate["ci_low"], rate["lab"]) == ("n/a", "n/a", "simulated")
    assert json.loads(rate["point"]) == {"message_bytes": 16_000_000, "prefill_workers": 2}
    assert rate["point"].index("message_bytes") < rate["point"].index("prefill_workers")


def test_the_three_files_hold_the_same_rows(samples, tmp_path):
    write_values(summarise("r", LabKind.SIMULATED, [trial(1, 1.0), trial(2, 2.0)], samples), tmp_path)
    from_json = json.loads((tmp_path / "kpis.json").read_text())
    from_parquet = pq.read_table(tmp_path / "kpis.parquet").to_pylist()
    assert len(from_json) == len(from_parquet) == len((tmp_path / "kpis.csv").read_text().splitlines()) - 1
    assert [row["value"] for row in from_json] == [row["value"] for row in from_parquet]


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_rest(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("old")

    def fill_the_disk(stream):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(LabError, match=r"cannot write .*run\.json: No space left on device; free space"):
        write_whole(path, fill_the_disk)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_each_value_says_whether_time_was_skipped_in_one_of_its_trials(samples):
    packet = {"method": "packet", "simulated_ns": 2_000_000_000, "skipped_ns": 0}
    skip = {"method": "packet+skip", "simulated_ns": 1_000_000_000, "skipped_ns": 299_000_000_000}
    trials = [{**trial(1, 5.0), "simulation": packet}, {**trial(2, 5.0), "simulation": skip}]
    assert {value.method for value in summarise("r", LabKind.SIMULATED, trials, samples)} == {"packet+skip"}
    assert methods(trials) == {"8.1": {"method": "packet+skip", "simulated_seconds": 3.0, "skipped_seconds": 299.0}}


def test_values_of_real_packets_say_so(samples):
    trials = [trial(1, 5.0), trial(2, 5.0)]
    assert {value.method for value in summarise("r", LabKind.HARDWARE, trials, samples)} == {"real"}
    assert methods(trials) == {}


def test_the_start_of_real_senders_is_summed_up_by_test_and_method():
    def trial(method, skew_ns, uncertainty_ns):
        return {"test": "8.2", "start": {"method": method, "skew_ns": skew_ns, "uncertainty_ns": uncertainty_ns}}

    trials = [trial("clock", 1_000, 10), trial("clock", 9_000, 30), trial("clock", 2_000, 20), trial("trigger", 7, 0)]
    assert starts([*trials, {"test": "8.1"}]) == [
        {
            "test": "8.2",
            "method": "clock",
            "trials": 3,
            "median_skew_seconds": 2e-6,
            "worst_skew_seconds": 9e-6,
            "worst_uncertainty_seconds": 3e-8,
        },
        {
            "test": "8.2",
            "method": "trigger",
            "trials": 1,
            "median_skew_seconds": 7e-9,
            "worst_skew_seconds": 7e-9,
            "worst_uncertainty_seconds": 0.0,
        },
    ]


def latency_trial(folder, number, transport, took_us):
    """Write the samples of a trial of Test 5.2 with latencies of so many us, and return its event."""
    name = f"5.2-s1-p1-t{number:03d}"
    count = len(took_us)
    ns = [1000 * us for us in took_us]
    columns = {"qp": [1] * count, "status": ["ok"] * count, "posted_ns": [0] * count}
    table = pa.table({**columns, "received_ns": ns, "completed_ns": [2 * one for one in ns]})
    pq.write_table(table.replace_schema_metadata({"latency_stamp": "remote signal"}), folder / f"{name}.parquet")
    return {
        "trial": name,
        "test": "5.2",
        "setting": {},
        "point": {"message_bytes": 1_000_000, "background_load": 0.0},
        "transport": transport,
        "values": {"background_delivered": 0.0},
    }


def test_what_tcp_carried_is_no_unqualified_rdma_kpi_and_what_a_nic_carried_is(tmp_path):
    for transport, name in (("tcp", "KV_xfer_latency (tcp)"), ("real-rdma", "KV_xfer_latency")):
        values = summarise("r", LabKind.KERNEL, [latency_trial(tmp_path, 1, transport, [1, 2, 3])], tmp_path)
        assert {value.kpi for value in values} == {name, "Fabric_FCT", "tail_latency_spread", "background_delivered"}
        assert row(values, name, "p50").value == 2


def test_trials_of_a_point_on_two_transports_are_named_by_both(tmp_path):
    trials = [latency_trial(tmp_path, 1, "real-rdma", [1]), latency_trial(tmp_path, 2, "soft-roce", [2])]
    values = summarise("r", LabKind.HARDWARE, trials, tmp_path)
    assert "KV_xfer_latency (real-rdma+soft-roce)" in {value.kpi for value in values}


def test_a_tail_spread_is_that_of_the_pooled_percentiles(tmp_path):
    """100 + 100 transfers of 1 to 200 us: P99 is the 198th, P50 the 100th."""
    halves = ([*range(1, 101)], [*range(101, 201)])
    trials = [latency_trial(tmp_path, number, "tcp", half) for number, half in enumerate(halves, 1)]
    spread = row(summarise("r", LabKind.KERNEL, trials, tmp_path), "tail_latency_spread", "p99-p50")
    assert (spread.value, spread.n) == (98, 200)


def test_a_tail_spread_of_too_few_transfers_is_not_given(tmp_path):
    values = summarise("r", LabKind.KERNEL, [latency_trial(tmp_path, 1, "tcp", [1] * 99)], tmp_path)
    assert row(values, "tail_latency_spread", "p99-p50").value is None
