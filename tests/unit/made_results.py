"""Results of Tests 8.2, 8.3, 8.4 and 9.3: every number comes from a formula in this file, none from a lab."""

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
    t0_ns = 1_795_497_753_000_000_000
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
