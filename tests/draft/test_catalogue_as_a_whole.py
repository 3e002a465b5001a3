"""Statements of the draft about all tests: their number, their repetition, what they refer to."""

import pytest

from aibench_lib.catalogue import load_benchmarks, load_derived, load_duts, load_kpis, points, settings

IDS = [
    *("5.1", "5.2", "5.3", "5.4"),
    *("6.1", "6.2", "6.3", "6.4"),
    *("7.1", "7.2", "7.3", "7.4"),
    *("8.1", "8.2", "8.3", "8.4"),
    *("9.1", "9.2", "9.3", "9.4"),
    *("10.1", "10.2", "10.3", "10.4"),
    *("11.1", "11.2", "11.3"),
    *("12.1", "12.2", "12.3"),
    *("13.1", "13.2", "13.3"),
]


def test_the_draft_has_33_tests_in_nine_sections():
    """Sections 5 to 13."""
    assert list(load_benchmarks()) == IDS
    assert {test.section for test in load_benchmarks().values()} == set(range(5, 14))


def test_every_test_has_the_title_of_its_section():
    """Sections 5 to 13, headings."""
    assert {id_: test.title for id_, test in load_benchmarks().items()} == {
        "5.1": "Point-to-Point KV Cache Transfer Throughput",
        "5.2": "KV Cache Transfer Latency",
        "5.3": "Concurrent KV Cache Transfer Scaling",
        "5.4": "Multi-Tier Storage Transfer Characterization",
        "6.1": "End-to-End Disaggregated TTFT",
        "6.2": "xPyD Ratio Optimization",
        "6.3": "Heterogeneous Parallelism Configuration",
        "6.4": "Prefill Queue Depth Impact on Transfer Latency",
        "7.1": "AllToAll Dispatch Throughput",
        "7.2": "Routing Mode and Dispatch Mode Comparison",
        "7.3": "Wide Expert Parallelism Scaling",
        "7.4": "Expert Parallelism and KV Cache Transfer Contention",
        "8.1": "ECN Marking Under Inference Incast",
        "8.2": "PFC Behavior Under Bursty KV Cache Transfers",
        "8.3": "Congestion Control Convergence for Mixed Traffic",
        "8.4": "PFC Storm and Deadlock Resilience",
        "9.1": "KV-Aware Request Routing Efficacy",
        "9.2": "Prefix-Aware Cache Hit Rate",
        "9.3": "ECMP and Dynamic Load Balancing Under Inference Traffic",
        "9.4": "Jain Fairness Index for Decode Worker Utilization",
        "10.1": "TTFT Under Varying Prompt Lengths",
        "10.2": "ITL Characterization and Tail Latency",
        "10.3": "End-to-End Latency Under Multi-Tenant Load",
        "10.4": "Latency Sensitivity to Fabric Congestion",
        "11.1": "Aggregate Tokens Per Second",
        "11.2": "Batch Size Scaling and Continuous Batching Impact",
        "11.3": "Goodput Under Preemption and Eviction",
        "12.1": "Fabric Scale Limits for Inference Clusters",
        "12.2": "Dynamic Autoscaling Response Time",
        "12.3": "Link Failure Convergence Impact on Serving",
        "13.1": "24-Hour Sustained Inference Load",
        "13.2": "KV Cache Memory Leak Detection",
        "13.3": "Long-Running Serving Stability",
    }


def test_a_test_without_a_number_of_trials_has_20_of_60_seconds():
    """Section 1.3: trials of 60 seconds, 20 of them for latency; each section's own numbers come first."""
    own_trials = {"8.2": 50, "10.1": 100, "13.1": 1, "13.2": 1, "13.3": 1}
    own_seconds = {"5.2": 120, "8.4": 300, "13.1": 86_400, "13.2": 86_400, "13.3": 86_400}
    ends_with_its_load = {"8.1", "8.2", "8.3", "10.1", "10.2", "12.2", "12.3"}
    for id_, test in load_benchmarks().items():
        assert test.trials == own_trials.get(id_, 20), id_
        assert test.trial_seconds == (None if id_ in ends_with_its_load else own_seconds.get(id_, 60)), id_


def test_a_burst_test_has_50_trials():
    """Section 1.3: 50 repetitions for burst tests; 8.2 is the one that offers bursts and names no number."""
    assert load_benchmarks()["8.2"].trials == 50


@pytest.mark.parametrize("id_", IDS)
def test_every_name_a_test_uses_is_defined(id_):
    """Table 1 for the DUT, Tables 2 to 5 for KPIs, the derived values for the rest."""
    test = load_benchmarks()[id_]
    assert test.dut
    assert set(test.dut) <= set(load_duts())
    assert set(test.kpis) <= set(load_kpis())
    assert set(test.derived) <= set(load_derived())
    assert test.kpis or test.derived


@pytest.mark.parametrize("id_", IDS)
def test_what_is_marked_as_an_example_or_as_ours_is_there(id_):
    test = load_benchmarks()[id_]
    keys = {*test.setting, *test.load, *test.constants, "trials", "figure", "statistics"}
    assert {*test.examples, *test.chosen} <= keys
    assert not set(test.examples) & set(test.chosen)


@pytest.mark.parametrize("id_", IDS)
def test_cases_explain_exactly_the_values_of_a_parameter(id_):
    test = load_benchmarks()[id_]
    parameters = {**test.setting, **test.load}
    for parameter, cases in test.cases.items():
        assert set(cases) == {str(value) for value in parameters[parameter]}


@pytest.mark.parametrize("id_", IDS)
def test_a_figure_shows_what_the_test_varies_and_reports(id_):
    test = load_benchmarks()[id_]
    varied = {*test.setting, *test.load, *test.kpis, *test.derived}
    of_the_run = {"time", "trial", "traffic_class", "metric", "statistic", "request_rate", "cumulative_fraction", ""}
    figure = test.figure
    assert figure.kind in {"lines", "dual_axis", "table", "stacked_bars", "panels", "heatmap"}
    assert {figure.x, figure.rows, figure.lines, figure.panels, *figure.y, *figure.y_right} <= varied | of_the_run
    assert figure.y


def test_procedures_have_one_name_each():
    names = [test.procedure for test in load_benchmarks().values()]
    assert len(names) == len(set(names))


def test_settings_and_points_multiply():
    """Sections 5 to 13: a test is run for every combination of what it varies."""
    sizes = {id_: len(settings(test)) * len(points(test)) for id_, test in load_benchmarks().items()}
    assert sizes == {
        "5.1": 8 * 7,
        "5.2": 4 * 5,
        "5.3": 8,
        "5.4": 4 * 3,
        "6.1": 7,
        "6.2": 8 * 4,
        "6.3": 3,
        "6.4": 5,
        "7.1": 4 * 6 * 3,
        "7.2": 4 * 2,
        "7.3": 6,
        "7.4": 2 * 3,
        "8.1": 4 * 5,
        "8.2": 5 * 4 * 3,
        "8.3": 2,
        "8.4": 2,
        "9.1": 2 * 4,
        "9.2": 2 * 4 * 4,
        "9.3": 3 * 3,
        "9.4": 4,
        "10.1": 8,
        "10.2": 3,
        "10.3": 2,
        "10.4": 20,
        "11.1": 1,
        "11.2": 2 * 7,
        "11.3": 4,
        "12.1": 10,
        "12.2": 2,
        "12.3": 3 * 2,
        "13.1": 1,
        "13.2": 1,
        "13.3": 1,
    }
