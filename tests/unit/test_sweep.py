import copy
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml

from aibench_lib.cli import main
from aibench_lib.errors import LabError, SpecError
from aibench_lib.sweep import run_sweep
from aibench_lib.sweep.patterns import flows, parse_pattern
from aibench_lib.sweep.point import run_point
from aibench_lib.sweep.spec import load_sweep
from aibench_lib.sweep.table import progress
from aibench_lib.topology import parse_topology
from aibench_lib.units import GBPS

SWEEP = {
    "topology": {
        "link_bps": 400 * GBPS,
        "fabric": {"kind": "two_tier_clos", "leaves": 2, "spines": 2, "hosts_per_leaf": 4},
    },
    "simulation": {"buffer_bytes": 1_000_000},
    "ecn": {"kmin_bytes": 20_000, "kmax_bytes": 80_000, "pmax": 0.2},
    "pattern": {"kind": "incast", "senders": 4, "size_bytes": 100_000, "start_jitter_ns": 1_000},
    "vary": {"pattern.senders": [2, 7], "topology.fabric.oversubscription": [1, 2]},
    "seeds": [1, 2, 3],
}


def silent(line: str) -> None:
    pass


def write(folder: Path, **changes: object) -> Path:
    path = folder / "sweep.yml"
    path.write_text(yaml.safe_dump({"sweep": {**copy.deepcopy(SWEEP), **changes}}))
    return path


def hosts(count: int):
    return parse_topology({"link_bps": 1, "fabric": {"kind": "single_switch", "hosts": count}}, "t")


def pairs(seed: int = 1, of: int = 6, **pattern: object) -> list[tuple[str, str]]:
    return [flow[:2] for flow in flows(parse_pattern({"size_bytes": 1, **pattern}, "p"), hosts(of), seed)]


def test_the_points_are_all_combinations_with_the_seeds_innermost(tmp_path):
    points = load_sweep(write(tmp_path))
    assert len(points) == 2 * 2 * 3
    assert [point.seed for point in points[:4]] == [1, 2, 3, 1]
    assert points[3].varied == {"pattern.senders": 2, "topology.fabric.oversubscription": 2}
    assert points[3].values["topology"]["fabric"]["oversubscription"] == 2
    assert "oversubscription" not in SWEEP["topology"]["fabric"]


def test_the_table_has_a_row_a_point_in_their_order(tmp_path):
    output = tmp_path / "table.csv"
    assert run_sweep(write(tmp_path), output, 2, None, silent) == 12
    rows = pyarrow.csv.read_csv(output).to_pylist()
    assert [(row["pattern.senders"], row["seed"]) for row in rows[::6]] == [(2, 1), (7, 1)]
    assert all(row["completed_flows"] == row["flows"] == row["pattern.senders"] for row in rows)
    assert all(row["completion_min_us"] <= row["completion_p50_us"] <= row["completion_max_us"] for row in rows)
    assert rows[0]["completion_p99_us"] is None  # two samples cannot give a P99


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_table_is_the_same_bytes_with_one_worker_and_with_three(tmp_path, suffix):
    tables = [tmp_path / f"{workers}{suffix}" for workers in (1, 3)]
    for table in tables:
        run_sweep(write(tmp_path), table, int(table.stem), None, silent)
    assert tables[0].read_bytes() == tables[1].read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Dask's own
def test_a_dask_cluster_gives_the_same_bytes(tmp_path):
    pytest.importorskip("distributed")
    run_sweep(write(tmp_path), tmp_path / "here.parquet", 1, None, silent)
    run_sweep(write(tmp_path), tmp_path / "there.parquet", 2, "local", silent)
    assert (tmp_path / "here.parquet").read_bytes() == (tmp_path / "there.parquet").read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_named_scheduler_gives_the_same_bytes_and_one_that_is_not_there_is_named(tmp_path):
    distributed = pytest.importorskip("distributed")
    run_sweep(write(tmp_path), tmp_path / "here.csv", 1, None, silent)
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        run_sweep(write(tmp_path), tmp_path / "there.csv", 1, address, silent)
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
    with pytest.raises(LabError, match="no Dask scheduler answers"):
        run_sweep(write(tmp_path), tmp_path / "not.csv", 1, "tcp://127.0.0.1:1", silent)
    assert not (tmp_path / "not.csv").exists()


def test_a_point_depends_on_its_seed_and_on_nothing_else(tmp_path):
    points = load_sweep(write(tmp_path))
    assert run_point(points[-1]) == run_point(points[-1])
    assert run_point(points[-1]) != run_point(points[-2]) | {"seed": points[-1].seed}


def test_values_that_are_no_numbers_stand_in_the_table_as_json(tmp_path):
    vary = {"ecn": [None, {"kmin_bytes": 1, "kmax_bytes": 1, "pmax": 1.0}], "simulation.dcqcn": ["off"]}
    first, second = (run_point(point) for point in load_sweep(write(tmp_path, vary=vary, seeds=[1])))
    assert (first["ecn"], first["ecn_marked_packets"]) == ("null", 0)
    assert second["ecn"] == '{"kmax_bytes": 1, "kmin_bytes": 1, "pmax": 1.0}'
    assert second["ecn_marked_packets"] > 0


def test_a_point_ends_at_its_limit_and_counts_what_was_completed(tmp_path):
    slow = {"kind": "incast", "senders": 7, "size_bytes": 40_000_000}  # 5.6 ms on the receiver's link
    (point,) = load_sweep(write(tmp_path, pattern=slow, vary={}, seeds=[1], limit_ms=1))
    row = run_point(point)
    assert (row["flows"], row["completed_flows"]) == (7, 0)
    assert row["completion_max_us"] is row["goodput_bps"] is row["jfi"] is None


def test_pfc_and_load_balancing_are_set_at_every_switch(tmp_path):
    vary = {"load_balancing.mode": ["ecmp", "packet_spray"], "pfc": [None, {"xoff_bytes": 50_000}]}
    simulation = {"dcqcn": "off", "buffer_bytes": 3_000_000}
    changes = {"vary": vary, "seeds": [1], "simulation": simulation, "ecn": None}
    pattern = {"kind": "incast", "senders": 7, "size_bytes": 1_000_000}
    rows = [run_point(point) for point in load_sweep(write(tmp_path, pattern=pattern, **changes))]
    assert [row["dropped_packets"] > 0 for row in rows] == [True, False, True, False]
    assert [row["pause_tx_frames"] > 0 for row in rows] == [row["paused_us"] > 0 for row in rows]
    assert [row["pause_tx_frames"] > 0 for row in rows] == [False, True, False, True]
    assert [row["reordered_packets"] > 0 for row in rows] == [False, False, True, True]


def test_skipping_is_said_and_changes_nothing_else(tmp_path):
    pattern = {"kind": "incast", "senders": 1, "size_bytes": 400_000_000}
    points = load_sweep(write(tmp_path, pattern=pattern, vary={"skip_ahead": [False, True]}, seeds=[1]))
    full, skipped = (run_point(point) for point in points)
    assert (full["method"], full["skipped_us"], skipped["method"]) == ("packet", 0, "packet+skip")
    assert 0.9 * full["completion_max_us"] < skipped["skipped_us"] < full["completion_max_us"]
    differ = {"skip_ahead", "method", "skipped_us", "events"}
    assert {key for key in full if full[key] != skipped[key]} <= differ


def test_a_stopped_point_ends_early(tmp_path):
    stop = threading.Event()
    stop.set()
    assert run_point(load_sweep(write(tmp_path))[0], stop)["completed_flows"] == 0


def test_an_incast_is_the_first_hosts_to_the_last():
    assert pairs(kind="incast", senders=2) == [("prefill01", "prefill06"), ("prefill02", "prefill06")]


def test_a_permutation_has_every_host_send_and_receive_once_and_none_to_itself():
    drawn = pairs(kind="permutation")
    assert len({source for source, _ in drawn}) == len({destination for _, destination in drawn}) == len(drawn) == 6
    assert all(source != destination for source, destination in drawn)
    assert drawn == pairs(kind="permutation") != pairs(kind="permutation", seed=2)


def test_an_all_to_all_has_every_pair_and_no_receiver_twice_at_a_step():
    drawn = pairs(kind="all_to_all")
    assert len(set(drawn)) == 6 * 5
    assert all(set(Counter(to for _, to in drawn[step : step + 6]).values()) == {1} for step in range(0, 30, 6))


def test_messages_of_a_pair_follow_each_other_on_one_queue_pair():
    pattern = parse_pattern({"kind": "permutation", "size_bytes": 1, "messages": 3, "start_jitter_ns": 10}, "p")
    posted = flows(pattern, hosts(4), 1)
    assert len(posted) == 12
    assert len(set(posted)) == 4
    assert all(0 <= flow.start_ps <= 10_000 for flow in posted)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vary": {"pattern.senders": [8]}}, r"sweep\.pattern: senders is 8, must be from 1 to 7"),
        ({"vary": {"pattern.sender": [1]}}, r"sweep\.pattern\.sender: unknown key; did you mean 'senders'"),
        ({"vary": {"patern.senders": [1]}}, r"sweep\.vary\.patern\.senders: 'patern' is not a key"),
        ({"vary": {"pattern.kind.x": [1]}}, r"sweep\.vary\.pattern\.kind\.x: 'kind' has no keys below it"),
        ({"vary": {"pattern.senders": 4}}, r"sweep\.vary\.pattern\.senders: expected a list of values, found 4"),
        ({"vary": {"pattern.senders": [4, 4]}}, "a value stands there twice"),
        ({"vary": [1]}, r"sweep\.vary: expected keys and lists of values, found list"),
        ({"seeds": []}, r"sweep\.seeds: expected a list"),
        ({"seeds": ["a"]}, r"sweep\.seeds: 'a' is not a whole number"),
        ({"pfc": {"xoff": 1}}, r"sweep\.pfc\.xoff: unknown key"),
        ({"load_balancing": {"mode": "random"}}, r"sweep\.load_balancing: mode: 'random'"),
        ({"skip_ahead": "yes"}, r"sweep\.skip_ahead: 'yes' is neither true nor false"),
        ({"limit_ms": 0}, r"sweep\.limit_ms: 0 is not a whole number"),
        ({"pattern": {"kind": "ring"}}, r"sweep\.pattern\.kind: 'ring' is not one of incast, permutation, all_to_all"),
        ({"pattern": {"kind": "permutation", "size_bytes": 0}, "vary": {}}, "size_bytes is 0, must be a whole number"),
        ({"simulation": {"mtu": 1}}, r"sweep\.simulation\.mtu: unknown key"),
        ({"ecn": {"kmin_bytes": 2, "kmax_bytes": 1, "pmax": 1}}, r"sweep\.ecn: kmin_bytes 2"),
        ({"simulatio": {}}, r"sweep\.simulatio: unknown key; did you mean 'simulation'"),
    ],
)
def test_a_sweep_that_cannot_run_is_refused_before_the_first_point(tmp_path, changes, message):
    with pytest.raises(SpecError, match=message):
        load_sweep(write(tmp_path, **changes))


def test_a_wrong_name_of_the_table_or_number_of_workers_is_refused(tmp_path):
    with pytest.raises(SpecError, match=r"must end in \.csv or \.parquet"):
        run_sweep(write(tmp_path), tmp_path / "table.txt", 1, None, silent)
    with pytest.raises(SpecError, match="--workers: 0 is too few"):
        run_sweep(write(tmp_path), tmp_path / "table.csv", 0, None, silent)


def test_a_simulator_that_refuses_a_point_names_it_and_leaves_no_table(tmp_path):
    pattern = {**SWEEP["pattern"], "priority": 6}  # that of the acknowledgements
    with pytest.raises(SpecError, match=r"the point with pattern\.senders 2, .*seed 1: flow"):
        run_sweep(write(tmp_path, pattern=pattern), tmp_path / "table.csv", 1, None, silent)
    assert list(tmp_path.iterdir()) == [tmp_path / "sweep.yml"]


def test_progress_says_how_long_the_rest_will_take():
    assert progress(1, 4, 10) == "1 of 4 points, 30 s left"
    assert progress(1, 4, 30.2) == "1 of 4 points, 1 min 31 s left"
    assert progress(4, 4, 100) == "4 of 4 points, 0 s left"


def test_the_command_writes_the_table_and_says_where(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", str(write(tmp_path, vary={}))]) == 0
    captured = capsys.readouterr()
    assert captured.out == "3 points: sweep.csv\n"
    assert "3 of 3 points" in captured.err
    assert main(["sweep", "nowhere.yml"]) == 1
    assert capsys.readouterr().err == "aibench: nowhere.yml: no such file\n"
    assert np.isclose(pyarrow.csv.read_csv("sweep.csv")["jfi"].to_numpy(), 1, atol=0.2).all()


def test_the_documented_example_is_a_sweep_of_24_points(tmp_path):
    text = (Path(__file__).parents[2] / "docs/sweep.md").read_text()
    example = tmp_path / "incast.yml"
    example.write_text(text.split("```yaml\n")[1].split("```")[0])
    assert len(load_sweep(example)) == 24
    assert "24 points: incast.parquet" in text
