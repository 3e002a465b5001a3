"""Section 10: latency."""

import pytest

from aibench_lib.catalogue import benchmark


def test_10_1_submits_single_requests_of_eight_prompt_lengths_100_times():
    """10.1: 128, 256, ... 16384 tokens, no concurrent load, at least 100 times each."""
    test = benchmark("10.1")
    assert test.load == {"prompt_tokens": tuple(128 * 2**i for i in range(8))}
    assert test.constants == {"concurrent_requests": 1}
    assert test.trials == 100


def test_10_1_reports_ttft_transfer_and_their_ratio():
    """10.1: P50, P95, P99; a line for P50 and P99 over prompt length, T_transfer shaded."""
    test = benchmark("10.1")
    assert {"T_transfer", "fabric_fraction"} <= set(test.derived)
    assert test.statistics == ("p50", "p95", "p99")
    assert (test.figure.kind, test.figure.x, test.figure.y) == ("lines", "prompt_tokens", ("TTFT",))
    assert test.figure.marks == ("T_transfer as a shaded region",)


def test_10_2_loads_the_fabric_in_three_steps():
    """10.2: unloaded, 50 % of capacity, and 90 % with concurrent EP dispatches; 2048 output tokens as an example."""
    test = benchmark("10.2")
    steps = [(case["background_load"], case["ep_dispatches"]) for case in test.cases["fabric_load"].values()]
    assert steps == [(0.0, False), (0.5, False), (0.9, True)]
    assert test.load["output_tokens"] == (2048,)
    assert test.examples == ("output_tokens",)


def test_10_2_counts_stalls_over_100_ms_in_10_000_samples():
    """10.2: P50 to P99.9 and the maximum, ITL over 100 ms is a stall, at least 10,000 samples a condition."""
    test = benchmark("10.2")
    assert (test.constants["stall_ms"], test.constants["itl_samples_minimum"]) == (100, 10_000)
    assert test.statistics == ("p50", "p95", "p99", "p99.9", "max")
    assert test.derived == ("stall_events",)


def test_10_2_reaches_its_samples_by_repeating_the_request():
    """10.2: a request of 2048 tokens has 2047 gaps, so one alone cannot give 10,000."""
    test = benchmark("10.2")
    (tokens,) = test.load["output_tokens"]
    assert int(tokens) - 1 < test.constants["itl_samples_minimum"] <= test.trials * (int(tokens) - 1)


def test_10_3_measures_one_tenant_and_two():
    """10.3: two or more instances; the penalty is relative to one alone."""
    test = benchmark("10.3")
    assert test.load == {"model_instances": (1, 2)}
    assert test.derived == ("interference_penalty",)
    assert {"TTFT", "ITL"} <= set(test.kpis)
    assert test.statistics == ("p99",)


def test_10_4_loads_the_fabric_from_0_to_95_percent_in_steps_of_5():
    """10.4: 20 levels of background traffic."""
    assert benchmark("10.4").load["background_load"] == tuple(pytest.approx(0.05 * i) for i in range(20))


def test_10_4_reports_degradation_at_50_75_and_90_percent():
    """10.4: P99 of TTFT and ITL, the inflection point, the factor at three loads that are among the levels."""
    test = benchmark("10.4")
    assert test.constants["degradation_factor_at"] == [0.5, 0.75, 0.9]
    assert set(test.constants["degradation_factor_at"]) <= set(test.load["background_load"])
    assert test.derived == ("inflection_load", "degradation_factor")
