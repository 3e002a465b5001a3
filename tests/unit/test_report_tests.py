"""How the report shows Tests 8.2, 8.3, 8.4 and 9.3; the results are made up in ``made_results``."""

import itertools
import re
from functools import partial
from types import SimpleNamespace

import made_results
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure as Canvas

from aibench_lib.catalogue import benchmark
from aibench_lib.errors import SpecError
from aibench_lib.model import LabKind
from aibench_lib.procedures import PROCEDURES
from aibench_lib.report import kpi_table, write_report
from aibench_lib.report.figures import draw
from aibench_lib.report.figures.bursts import burst_fct
from aibench_lib.report.figures.lines import lines
from aibench_lib.report.figures.style import drawing, mark_time, ticks
from aibench_lib.report.figures.table import by_level
from aibench_lib.report.results import read_results
from aibench_lib.report.series import read_series
from aibench_lib.report.trials import completion_times_us, read_trials

FEW_BURSTS = partial(made_results.bursts, thresholds=(10_000, 1_000_000), concurrent=(4, 32), windows=(0.0001, 0.01))
LAB = "simulated: no hardware was measured"


def kv_completion_us(samples):
    kv = samples.filter(pc.field("priority") == 3)
    return (kv["completed_ns"].to_numpy() - kv["posted_ns"].to_numpy()) / 1000


@pytest.fixture(autouse=True, scope="module")
def _kv_transfers_are_those_of_priority_3():
    pooled = SimpleNamespace(kpi="Fabric_FCT", of=kv_completion_us)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROCEDURES, "8.2", SimpleNamespace(distributions=(pooled,)))
        yield


@pytest.fixture
def undrawn(monkeypatch):
    """Leave the figures out: they take most of a report's time."""
    monkeypatch.setattr("aibench_lib.report.figures.draw", lambda results, test: ())


@pytest.fixture(scope="module")
def bursts(tmp_path_factory):
    return FEW_BURSTS(tmp_path_factory.mktemp("bursts"))


@pytest.fixture(scope="module")
def burst_figures(bursts):
    return figures(bursts, "8.2")


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    return made_results.storm(tmp_path_factory.mktemp("storm"))


@pytest.fixture(scope="module")
def storm_report(storm):
    return report(storm)


def figures(path, test):
    return {figure.name: figure for figure in draw(read_results(path), test)}


def report(path):
    write_report(path)
    return (path / "report.html").read_text(), (path / "report.md").read_text()


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_panels_are_a_row_a_kpi_and_a_column_a_value_of_the_panels_parameter(burst_figures):
    drawn = burst_figures["test-8.2-lines"]
    shown = texts(drawn.svg)
    assert [text for text in shown if text.startswith("Arrival window")] == [
        "Arrival window 100 us",
        "Arrival window 10 ms",
    ]
    assert {"PFC_frame_count [frames]", "pause_duration [us]"} <= set(shown)
    assert shown.count("PFC threshold [KB]") == 2
    assert "That of PFC_frame_count is linear below 0.1 and logarithmic above." in drawn.caption
    assert (
        "one panel for each arrival window (100 us, 10 ms), one line for each concurrent transfers (4, 32)" in drawn.alt
    )


@pytest.mark.slow
def test_the_thresholds_below_a_small_panel_do_not_touch():
    with drawing("name", LabKind.SIMULATED, 10, 6) as drawn:
        axes = drawn.canvas.subplots(2, 3)[1, 1]
        axes.set(ylabel="PFC_frame_count [frames]", xlim=(10_000, 1_000_000))
        ticks(axes, list(made_results.THRESHOLDS), "log", 1000)
        drawn.canvas.draw_without_rendering()
        labels = axes.get_xticklabels()
        boxes = [text.get_window_extent() for text in labels]
    assert [text.get_text() for text in labels] == ["10", "20", "50", "100", "200", "500", "1,000"]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_a_kpi_that_no_trial_defines_leaves_its_panel_with_na(tmp_path):
    path = FEW_BURSTS(tmp_path)
    text = (path / "kpis.csv").read_text()
    (path / "kpis.csv").write_text(
        re.sub(r"pause_duration,mean,[^,]*,us,[^,]*,[^,]*,", "pause_duration,mean,n/a,us,,,", text)
    )
    assert texts(lines(read_results(path), benchmark("8.2")).svg).count("n/a") == 2


def test_the_distributions_of_a_burst_hold_its_kv_transfers_and_no_probe(bursts, burst_figures):
    shown = texts(burst_figures["burst-fct"].svg)
    assert shown.count("fraction of transfers") == 2
    assert {"PFC threshold 10 KB", "PFC threshold 1 MB", "Arrival window 100 us"} <= set(shown)
    trials = read_trials(bursts, "8.2")
    times = completion_times_us("8.2", trials)
    assert len(times) == 2 * 2 * 2 * (4 + 32)
    assert times.min() > 100  # the probe took 5 us, the transfer cut short has no time


def test_a_run_without_samples_has_no_distribution(tmp_path):
    path = FEW_BURSTS(tmp_path)
    for file in path.glob("samples/*"):
        file.unlink()
    assert burst_fct(read_results(path)) == ()


@pytest.mark.usefixtures("undrawn")
def test_a_long_kpi_table_is_folded_a_setting_at_a_time(tmp_path):
    html, markdown = report(made_results.bursts(tmp_path, trials=1))
    summaries = re.findall(r"<summary>(PFC threshold [^<]*) <", html)
    assert summaries == [
        f"PFC threshold {size}" for size in ("10 KB", "20 KB", "50 KB", "100 KB", "200 KB", "500 KB", "1 MB")
    ]
    assert html.count("<details open>") == 2  # the first setting and the definitions
    assert html.count("At every point: message 16 MB.") == 1
    assert len(re.findall(r"^\| 10 KB \| ", markdown, re.MULTILINE)) == 12


@pytest.mark.usefixtures("undrawn")
def test_a_wide_kpi_table_sets_the_percentiles_apart_and_keeps_the_columns_of_a_kpi_together(bursts):
    html, _ = report(bursts)
    heads = re.findall(r'colspan="(\d)" class="(?:number)? ?kpi">(.*?)</th>', html)
    names = [(name.replace("<wbr>", ""), int(columns)) for columns, name in heads]
    assert names[2:6] == [
        ("hol_blocking_delay", 1),
        ("victim_delay", 1),
        ("Buffer_utilization", 1),
        ("Packet_drop_rate", 1),
    ]
    assert names[6:] == [("hol_blocking_delay", 4), ("victim_delay", 4), ("Fabric_FCT", 4)]
    assert html.count("n=8<") == 4  # four rows of 4 transfers in two trials, said once in each


def test_a_big_test_takes_a_line_a_setting_on_the_terminal(tmp_path):
    table = kpi_table(made_results.bursts(tmp_path, trials=1))
    lines = table.splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 110
    assert "all 84 rows: report.md" in lines[0]
    assert re.search(r"^ +10 KB +\d+ to [\d,]+ ", lines[6])


def test_rates_are_drawn_from_the_first_trial_with_the_moments_marked(tmp_path):
    drawn = figures(made_results.convergence(tmp_path, samples=80), "8.3")["test-8.3-rates"]
    shown = texts(drawn.svg)
    assert [text for text in shown if text.startswith("Established")] == [
        "Established traffic: KV cache",
        "Established traffic: expert parallelism",
    ]
    assert (shown.count("second class introduced"), shown.count("converged")) == (2, 1)
    assert shown.count("not converged when the trial ended") == 1
    assert drawn.table.rows == (
        ("KV cache", "8.3-kv_cache-1", "20.000", "31.500", "11.500"),
        ("expert parallelism", "8.3-expert_parallelism-1", "20.000", "n/a", "n/a"),
    )
    assert drawn.caption.endswith("A rate is the mean over a window of 1 ms.")


def test_a_long_series_is_drawn_as_means_and_says_so(tmp_path):
    drawn = figures(made_results.convergence(tmp_path, trials=1, samples=6_000), "8.3")["test-8.3-rates"]
    assert "means of up to 10 such rates" in drawn.caption
    assert len(drawn.svg) < 300_000


def test_a_series_that_names_no_trial_is_one_clear_line(tmp_path):
    path = made_results.convergence(tmp_path, trials=1)
    file = next(path.glob("series/*"))
    pq.write_table(pq.read_table(file).replace_schema_metadata({"test": "8.3"}), file)
    with pytest.raises(SpecError, match=r"\.parquet: lacks 'trial'; it holds no rates of a trial"):
        write_report(path)


def test_the_series_of_another_test_are_left_alone(tmp_path):
    path = made_results.convergence(tmp_path, trials=1)
    assert read_series(path, "8.2") == ()
    first = read_series(path, "8.3")[0]
    assert set(first.rates) == {"kv_cache", "expert_parallelism"}
    assert all(np.all(np.diff(time_us) > 0) for time_us, _ in first.rates.values())


def test_the_line_of_a_moment_ends_below_the_text_of_a_higher_one():
    axes = Canvas().subplots()
    mark_time(axes, 1.0, "first", 0.99)
    mark_time(axes, 1.1, "second", 0.89)
    assert [line.get_ydata()[1] for line in axes.lines] == [0.99, 0.89]


def test_yes_and_no_are_said_with_the_number_of_trials(storm, storm_report):
    html, markdown = storm_report
    assert "| yes (3 of 3 trials) | no (0 of 3 trials) |" in markdown
    assert "- deadlock\\_occurred: yes (3 of 6 trials)\n" in markdown
    assert "yes where it occurred in at least one trial" in html
    assert "yes (3 of 3 trials)" in kpi_table(storm)
    assert "storm\\_occurred mean" not in markdown


def test_a_test_without_a_point_of_load_reads_as_one_load(storm_report):
    assert "Test 8.4 covers 2 settings of PFC watchdog (off, on) under one load." in storm_report[1]


def test_every_trial_of_a_storm_has_its_row(storm, tmp_path):
    figure = figures(storm, "8.4")["test-8.4-table"]
    table = figure.table
    assert figure.caption == "A row is a trial. recovery_time n/a, as no deadlock ended before its trial did."
    assert table.columns[:4] == ("PFC watchdog", "Trial", "storm_occurred", "deadlock_occurred")
    assert table.rows[0] == ("off", "8.4-off-1", "yes", "yes", "4", "299,800", "n/a")
    assert table.rows[-1] == ("on", "8.4-on-3", "yes", "no", "4", "212", "208.0")
    assert not table.is_folded
    assert figures(made_results.storm(tmp_path, trials=20), "8.4")["test-8.4-table"].table.is_folded


def test_a_recovery_that_never_happened_is_na_with_a_note(storm_report):
    html, markdown = storm_report
    assert "recovery_time in 1 of 2 rows: n/a, as no deadlock ended before its trial did." in html
    row = next(line for line in markdown.splitlines() if line.startswith("| off | 3 |"))
    assert row.rstrip(" |").endswith("n/a (n=0)")


@pytest.mark.usefixtures("undrawn")
def test_a_percentile_of_too_few_samples_is_na_with_a_note_and_gives_way_to_another(tmp_path):
    path = made_results.bursts(tmp_path, (10_000,), (4,), (0.0001,))
    text = (path / "kpis.csv").read_text()
    text = re.sub(r"Fabric_FCT,(p95|p99),[^,]*,us,[^,]*,[^,]*,", r"Fabric_FCT,\1,n/a,us,n/a,n/a,", text)
    (path / "kpis.csv").write_text(text)
    html, markdown = report(path)
    assert "Fabric_FCT p95 in 1 of 1 rows, Fabric_FCT p99 in 1 of 1 rows: n/a, for want of samples" in html
    assert re.search(r"- Fabric\\_FCT p50: [\d,]+ us", markdown)
    assert "FCT p99" not in kpi_table(path)


def test_simulated_and_skipped_time_stand_beside_the_values(storm_report):
    html, _ = storm_report
    assert "Method of the values: packet+skip." in html
    assert "14.25 s simulated packet by packet, 1,785.75 s skipped" in html


def test_load_balancing_is_a_table_of_algorithms_by_traffic_and_drawn_beside(tmp_path):
    drawn = figures(made_results.balance(tmp_path), "9.3")
    table = drawn["test-9.3-table"].table
    assert table.columns == ("KPI", "Load balancing", "KV only", "EP only", "mixed")
    assert table.rows[2][:3] == ("JFI", "packet spray", "0.960 [0.912, 1.008]")
    assert table.rows[3][:2] == ("maximum_link_utilization [%]", "ECMP")
    shown = texts(drawn["load-balancing"].svg)
    assert {"ECMP", "flowlet", "packet spray", "Link utilization, lowest to highest [%]"} <= set(shown)


def test_an_algorithm_that_was_left_out_of_one_traffic_is_na_there(tmp_path):
    path = made_results.balance(tmp_path)
    kept = [
        line for line in (path / "kpis.csv").read_text().splitlines() if not ("flowlet" in line and "mixed" in line)
    ]
    (path / "kpis.csv").write_text("\n".join(kept) + "\n")
    table = by_level(read_results(path), benchmark("9.3")).table
    assert table.rows[1][1:] == ("flowlet", "0.840 [0.798, 0.882]", "0.860 [0.817, 0.903]", "n/a")


@pytest.mark.slow
def test_several_tests_of_one_run_keep_their_trials_and_figures_apart(tmp_path):
    html, markdown = report(
        made_results.together(tmp_path, FEW_BURSTS, made_results.convergence, made_results.storm, made_results.balance)
    )
    assert "<h1>Tests 8.2, 8.3, 8.4 and 9.3</h1>" in html
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert html.count("<figure>") == 4
    assert all(LAB in svg for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "<script" not in html
    assert markdown.count("all settings and points (simulated):") == 4
    assert kpi_table(tmp_path).count("DUT counters:") == 4
