"""Results of Tests 8.1, 8.2, 8.3, 8.4 and 9.3: every number comes from a formula in this file, none from a lab."""

import csv
import dataclasses
import itertools
import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aibench_lib.model import Value

RUN = "20261124-052233-made"
THRESHOLDS = (10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
BURSTS = (4, 8, 16, 32)
WINDOWS = (0.0001, 0.001, 0.01)
COUNTER, ENDPOINT = "dut_counter", "endpoint"
COLUMNS = [field.name for field in dataclasses.fields(Value)]
METHODS = {"8.4": {"method": "packet+skip", "simulated_seconds": 14.25, "skipped_seconds": 1785.75}}
START_NS = 1_795_497_753_000_000_000
LINE_RATE_GBYTES = 50.0
BLOCK_BYTES = 16_000_000

SYSTEM = {
    "Fabric": {"topology": "2-tier Clos", "link speed": "400 Gb/s", "links": "41"},
    "Switches": {"leaf1": "arista_eos, 4.32.0F (simulated)", "spine1": "nokia_srlinux, 24.10.1 (simulated)"},
    "Hosts": {"prefill workers": "32", "decode workers": "5", "NIC firmware": "not applicable: no NIC is simulated"},
    "Model": {"model name": "not applicable: blocks of fixed size are offered, no model runs"},
    "Simulation": {"mtu_bytes": 4096, "propagation_ns": 1000, "dcqcn": "nvidia-default"},
}
WORKLOAD = {
    "pattern": "incast",
    "message_bytes": BLOCK_BYTES,
    "prefill_workers": [2, 4, 8, 16, 32],
    "start_jitter_ns": 500,
}


def write_run(path, rows, tests, **changes):
    """Write ``run.json`` and ``kpis.csv``.

    Args:
        rows: A tuple a value: test, setting, point, KPI, statistic, value, unit, n, observation point.
    """
    path.mkdir(parents=True, exist_ok=True)
    run = {
        "run": RUN,
        "draft": "draft-calabria-bmwg-ai-fabric-inference-bench-01",
        "terminology": "draft-calabria-bmwg-ai-fabric-terminology-01",
        "lab": "simulated",
        "profile": "quick",
        "seed": 1,
        "started": "2026-11-24T05:22:33Z",
        "finished": "2026-11-24T05:23:20Z",
        "tests": tests,
        "trials_planned": 9,
        "trials_done": 9,
        "telemetry": {"sample_interval_ns": dict.fromkeys(("8.1", "8.2", "8.3", "8.4", "9.3"), 10_000)},
        "methods": {test: METHODS[test] for test in tests if test in METHODS},
        **changes,
    }
    (path / "run.json").write_text(json.dumps(run))
    with (path / "kpis.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for test, setting, point, kpi, statistic, value, unit, n, observed in rows:
            bounds = (value * 0.95, value * 1.05) if value is not None else ("n/a", "n/a")
            where = (RUN, test, json.dumps(setting), json.dumps(point))
            method = METHODS.get(test, {}).get("method", "packet")
            what = (kpi, statistic, "n/a" if value is None else value, unit, *bounds, n)
            table.writerow((*where, *what, observed, "simulated", method))
    return path


def bursts(path, thresholds=THRESHOLDS, concurrent=BURSTS, windows=WINDOWS, trials=2):
    """Write Test 8.2, with the samples of its transfers and of a probe in another priority."""
    rows = []
    t0_ns = START_NS
    for threshold, burst, window in itertools.product(thresholds, concurrent, windows):
        setting = {"pfc_threshold_bytes": threshold}
        point = {"concurrent_transfers": burst, "message_bytes": 16_000_000, "arrival_window_seconds": window}
        pressure = burst * math.exp(-threshold / 300_000) / (1 + window * 500)
        time_us = 320 * burst * (1 + 0.1 * pressure / burst) + window * 5e5
        means = [
            ("PFC_frame_count", 41.5 * pressure, "frames", COUNTER),
            ("pause_duration", 310.0 * pressure, "us", COUNTER),
            ("hol_blocking_delay", 12.0 * pressure if threshold < 1_000_000 else None, "us", ENDPOINT),
            ("victim_delay", 290.0 * pressure, "us", ENDPOINT),
            ("Buffer_utilization", min(99.0, 2.1 * burst), "%", COUNTER),
            ("Packet_drop_rate", 0.0, "ppm", COUNTER),
        ]
        rows += [("8.2", setting, point, kpi, "mean", value, unit, trials, at) for kpi, value, unit, at in means]
        for statistic, part in (("p50", 0.94), ("p95", 0.99), ("p99", 0.998), ("max", 1.0)):
            for kpi, value, n in (
                ("hol_blocking_delay", 14.0 * pressure, 90),
                ("victim_delay", 310.0 * pressure, 90),
                ("Fabric_FCT", time_us, trials * burst),
            ):
                rows.append(("8.2", setting, point, kpi, statistic, value * part, "us", n, ENDPOINT))
        for trial in range(trials):
            spread = [time_us * (1 - 0.3 * sender / burst + 0.01 * trial) for sender in range(burst)]
            name = f"8.2-{threshold}-{burst}-{window}-{trial + 1}"
            _write_samples(path, ("8.2", name, setting, point), t0_ns, spread)
            t0_ns += 1_000_000_000
    return write_run(path, rows, ["8.2"])


def _write_samples(path, about, t0_ns, took_us):
    test, name, setting, point = about
    (path / "samples").mkdir(parents=True, exist_ok=True)
    completed = [*(t0_ns + int(value * 1000) for value in took_us), t0_ns + 5_000, None]
    columns = {
        "priority": [3] * len(took_us) + [0, 3],
        "posted_ns": [t0_ns] * len(completed),
        "completed_ns": pa.array(completed, pa.int64()),
        "status": ["ok"] * (len(took_us) + 1) + ["timeout"],
    }
    facts = {"trial": name, "test": test, "t0_ns": str(t0_ns), "t_end_ns": str(t0_ns + 100_000_000)}
    facts |= {"setting": json.dumps(setting), "point": json.dumps(point)}
    pq.write_table(pa.table(columns).replace_schema_metadata(facts), path / "samples" / f"{name}.parquet")


def convergence(path, trials=2, samples=300):
    """Write Test 8.3: two classes that share a link from 20 ms on; the reversed case never settles."""
    rows = []
    classes = {"kv_cache": "expert_parallelism", "expert_parallelism": "kv_cache"}
    for established, introduced in classes.items():
        point = {"established_traffic": established}
        converged_us = 31_500.0 if established == "kv_cache" else None
        means = [
            ("convergence_time", converged_us and 11.5, "ms", ENDPOINT),
            ("steady_state_bandwidth_kv_cache", 24.1, "GB/s", ENDPOINT),
            ("steady_state_bandwidth_expert_parallelism", 23.9, "GB/s", ENDPOINT),
            ("packet_loss_during_convergence", 0.0, "packets", COUNTER),
            ("JFI", 0.993, "1", ENDPOINT),
            ("ECN_marking_rate", 2.7, "%", COUNTER),
        ]
        rows += [("8.3", {}, point, kpi, "mean", value, unit, trials, at) for kpi, value, unit, at in means]
        for trial in range(trials):
            moments = {
                "window_us": str(80_000 / samples),
                "introduced_us": "20000.0",
                "converged_us": "" if converged_us is None else str(converged_us),
            }
            facts = {"trial": f"8.3-{established}-{trial + 1}", "test": "8.3", **moments}
            facts |= {"setting": "{}", "point": json.dumps(point)}
            _write_series(path, facts, (established, introduced), samples)
    return write_run(path, rows, ["8.3"])


def _write_series(path, facts, classes, samples):
    (path / "series").mkdir(parents=True, exist_ok=True)
    time_us = np.arange(samples) * 80_000 / samples
    after = np.clip(time_us - 20_000, 0, None)
    settling = np.exp(-after / 4_000) * np.cos(after / 1_500)
    rates = (24 + 16 * settling, np.where(time_us < 20_000, 0.0, 24 - 18 * settling))
    table = {
        "time_us": np.tile(time_us, 2),
        "class": np.repeat(classes, samples),
        "rate_gbytes_per_second": np.concatenate(rates) + 0.4 * np.sin(np.arange(2 * samples)),
    }
    pq.write_table(pa.table(table).replace_schema_metadata(facts), path / "series" / f"{facts['trial']}.parquet")


def storm(path, trials=3):
    """Write Test 8.4: a deadlock in every trial without the watchdog, and none with it."""
    rows, events = [], []
    for watchdog in ("off", "on"):
        setting, stuck = {"pfc_watchdog": watchdog}, watchdog == "off"
        values = {
            "storm_occurred": 1.0,
            "deadlock_occurred": float(stuck),
            "pause_propagation_depth": 4.0,
            "zero_throughput_duration": 299_800.0 if stuck else 212.4,
            "recovery_time": None if stuck else 208.0,
        }
        units = {"zero_throughput_duration": "ms", "recovery_time": "ms", "pause_propagation_depth": "hops"}
        for kpi, value in {"PFC_frame_count": 91_000_000.0, **values}.items():
            n = 0 if value is None else trials
            unit = "frames" if kpi == "PFC_frame_count" else units.get(kpi, "1")
            rows.append(("8.4", setting, {}, kpi, "mean", value, unit, n, COUNTER))
        for trial in range(trials):
            about = {"event": "trial_done", "test": "8.4", "trial": f"8.4-{watchdog}-{trial + 1}"}
            events.append({**about, "setting": setting, "point": {}, "values": values})
    path.mkdir(parents=True, exist_ok=True)
    (path / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return write_run(path, rows, ["8.4"])


def balance(path, trials=3):
    """Write Test 9.3."""
    rows = []
    algorithms, kinds = ("ecmp", "flowlet", "packet_spray"), ("kv_only", "ep_only", "mixed")
    for (step, algorithm), (kind_step, kind) in itertools.product(enumerate(algorithms), enumerate(kinds)):
        means = [
            ("Link_utilization", 61.0 + kind_step, "%", COUNTER),
            ("JFI", 0.72 + 0.12 * step + 0.02 * kind_step, "1", COUNTER),
            ("maximum_link_utilization", 95.0 - 12 * step, "%", COUNTER),
            ("minimum_link_utilization", 20.0 + 17 * step + 4 * kind_step, "%", COUNTER),
            ("peak_link_utilization", 99.0, "%", COUNTER),
            ("oversubscription_ratio", 1.5, "1", ENDPOINT),
            ("leaf_oversubscription", 2.0, "1", "dut_boundary"),
            ("reordered_packets", 400.0 * step, "packets", ENDPOINT),
        ]
        setting, point = {"load_balancing": algorithm}, {"traffic": kind}
        rows += [("9.3", setting, point, kpi, "mean", value, unit, trials, at) for kpi, value, unit, at in means]
        for kpi, unit, n in (("Fabric_FCT", "us", 300 if kind != "ep_only" else 0), ("EP_alltoall_latency", "us", 900)):
            for statistic, value in (("p50", 900.0), ("p99", 1800.0), ("max", 2500.0)):
                rows.append(("9.3", setting, point, kpi, statistic, value if n else None, unit, n, ENDPOINT))
    return write_run(path, rows, ["9.3"])


def together(path, *makers):
    """Write the tests of several makers as one run."""
    tests, tables = [], []
    for maker in makers:
        maker(path)
        tests += json.loads((path / "run.json").read_text())["tests"]
        head, *table = (path / "kpis.csv").read_text().splitlines()
        tables += table
    write_run(path, [], tests)
    (path / "kpis.csv").write_text("\n".join([head, *tables]) + "\n")
    return path


def write_results(
    path, thresholds=(100_000, 500_000, 1_000_000, 5_000_000), degrees=(2, 4, 8, 16, 32), trials=3, **changes
):
    """Write a results directory of Test 8.1 with smooth made-up curves."""
    for folder in ("samples", "telemetry"):
        (path / folder).mkdir(parents=True)
    write_kpis(path / "kpis.csv", thresholds, degrees, trials)
    planned = len(thresholds) * len(degrees) * trials
    now_ns, queue = START_NS, []
    for threshold in thresholds:
        for degree in degrees:
            for trial in range(trials):
                now_ns = write_trial(path, threshold, degree, trial, now_ns, queue)
    names = ("time_ns", "switch", "interface", "queue", "depth_bytes")
    pq.write_table(
        pa.table(dict(zip(names, zip(*queue, strict=True), strict=True))), path / "telemetry/queue-000000.parquet"
    )
    run = {
        "run": "20261124-052233-8.1",
        "draft": "draft-calabria-bmwg-ai-fabric-inference-bench-01",
        "terminology": "draft-calabria-bmwg-ai-fabric-terminology-01",
        "lab": "simulated",
        "profile": "quick",
        "seed": 1,
        "started": "2026-11-24T05:22:33Z",
        "finished": "2026-11-24T05:23:20Z",
        "versions": {"aibench": "0.1.0", "python": "3.11.2", "ansible-core": "2.19.3"},
        "git_commit": None,
        "inventory_sha256": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
        "tests": ["8.1"],
        "trials_planned": planned,
        "trials_done": planned,
        "discarded": [],
        "deviations": [{"subject": "trials", "draft": "at least 20 per configuration", "here": f"{trials}"}],
        "anomalies": [],
        "programmed": [
            {
                "host": "leaf1",
                "platform": "arista_eos",
                "feature": "ecn",
                "requested": {"minimum_bytes": threshold, "maximum_bytes": threshold},
                "programmed": {"minimum_bytes": threshold, "maximum_bytes": threshold + threshold % 256},
            }
            for threshold in thresholds
        ],
        "rendered_sha256": {"leaf1": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"},
        "system": SYSTEM,
        "workload": WORKLOAD,
        "telemetry": {
            "sample_interval_ns": {"8.1": 10_000},
        },
        **changes,
    }
    (path / "run.json").write_text(json.dumps(run))
    return path


def write_kpis(path, thresholds, degrees, trials):
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, COLUMNS)
        rows.writeheader()
        for threshold in thresholds:
            for degree in degrees:
                rows.writerows(kpi_rows(threshold, degree, trials))


def kpi_rows(threshold, degree, trials):
    marking = 100 * (1 - 1 / degree) * math.exp(-threshold / (degree * 500_000))
    marked = degree > 2 or threshold < 5_000_000
    goodput = LINE_RATE_GBYTES * (1 - 0.12 * math.exp(-threshold / 400_000) * (1 - 1 / degree))
    time_us = degree * BLOCK_BYTES / goodput / 1000
    means = [
        ("ECN_marking_rate", marking, "%", "dut_counter"),
        ("marking_onset", threshold / (degree - 1) / 50_000 + 3 if marked else None, "us", "dut_counter"),
        ("queue_depth_at_onset", threshold + 4158 * degree if marked else None, "bytes", "dut_counter"),
        ("Fabric_Goodput", goodput, "GB/s", "endpoint"),
        ("Buffer_utilization", min(99.0, 1.3 * degree), "%", "dut_counter"),
        ("Packet_drop_rate", max(0.0, degree - 16) * 0.7, "ppm", "dut_counter"),
    ]
    percentiles = [("p50", 0.94), ("p95", 0.99), ("p99", 0.998), ("max", 1.0)]
    rows = [(kpi, "mean", value, unit, trials, point) for kpi, value, unit, point in means]
    rows += [("Fabric_FCT", name, time_us * part, "us", trials * degree, "endpoint") for name, part in percentiles]
    rows += [("JFI", "mean", 1 - 0.0005 * degree, "1", trials, "endpoint")]
    for kpi, statistic, value, unit, n, point in rows:
        bounds = value is not None and statistic != "max"
        yield {
            "run": "20261124-052233-8.1",
            "test": "8.1",
            "setting": json.dumps({"ecn_threshold_bytes": threshold}),
            "point": json.dumps({"message_bytes": BLOCK_BYTES, "prefill_workers": degree}),
            "kpi": kpi,
            "statistic": statistic,
            "value": "n/a" if value is None else value,
            "unit": unit,
            "ci_low": value * 0.98 if bounds else "",
            "ci_high": value * 1.02 if bounds else "",
            "n": n,
            "observation_point": point,
            "lab": "simulated",
            "method": "packet",
        }


def write_trial(path, threshold, degree, trial, t0_ns, queue):
    """Append the queue's samples of one trial to ``queue``, write its transfers, and return when the next may start."""
    end_ns = t0_ns + degree * 330_000
    for sample in range(0, end_ns - t0_ns, 10_000):
        burst = degree * 300_000 * math.exp(-((sample / 60_000 - 1) ** 2))
        steady = threshold * (1 + 0.3 * math.sin(sample / 40_000))
        queue.append((t0_ns + sample, "leaf1", "Ethernet33", "3", int(burst + steady)))
        queue.append((t0_ns + sample, "spine1", "ethernet-1/1", "3", 0))
    scale = 320_000 * degree * (1 + 0.02 * math.exp(-threshold / 800_000))
    spread = [(1 - 0.1 * math.cos(sender + trial)) * scale for sender in range(degree)]
    columns = {
        "host": [f"prefill{sender + 1:02}" for sender in range(degree)],
        "posted_ns": [t0_ns] * degree,
        "completed_ns": [t0_ns + int(value) for value in spread],
        "status": ["ok"] * degree,
    }
    metadata = {
        "test": "8.1",
        "trial": f"8.1-{threshold}-{degree}-{trial + 1}",
        "setting": json.dumps({"ecn_threshold_bytes": threshold}),
        "point": json.dumps({"message_bytes": BLOCK_BYTES, "prefill_workers": degree}),
        "t0_ns": str(t0_ns),
        "t_end_ns": str(end_ns),
    }
    table = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(table, path / "samples" / f"{metadata['trial']}.parquet")
    return end_ns + 1_000_000
