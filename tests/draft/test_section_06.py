"""Section 6: disaggregated prefill and decode."""

from aibench_lib.catalogue import benchmark, settings


def test_6_1_sweeps_seven_prompt_lengths():
    """6.1: 128, 512, 1024, 2048, 4096, 8192 and 16384 tokens; for example 3P9D of 12 nodes."""
    test = benchmark("6.1")
    assert test.load == {"prompt_tokens": (128, 512, 1024, 2048, 4096, 8192, 16384)}
    assert test.setting == {"pool_ratio": ("3P9D",)}
    assert test.constants == {"nodes": 12}
    assert set(test.examples) == {"pool_ratio", "nodes"}
    assert "SUT-E" in test.dut


def test_6_1_decomposes_ttft_in_three_and_reports_the_fabrics_fraction():
    """6.1: T_prefill, T_transfer (at DUT-PD), T_decode_init; P50, P95, P99; stacked bars and a table; 20 trials."""
    test = benchmark("6.1")
    parts = ("T_prefill", "T_transfer", "T_decode_init")
    assert test.derived == (*parts, "fabric_fraction")
    assert test.statistics == ("p50", "p95", "p99")
    assert (test.figure.kind, test.figure.x, test.figure.y) == ("stacked_bars", "prompt_tokens", parts)
    assert "DUT-PD" in test.dut
    assert test.trials == 20


def test_6_2_tries_eight_ratios_of_twelve_nodes():
    """6.2: 1P11D to 11P1D; N is 12 as an example, and every ratio adds up to it."""
    ratios = [str(setting["pool_ratio"]) for setting in settings(benchmark("6.2"))]
    assert ratios == ["1P11D", "2P10D", "3P9D", "4P8D", "6P6D", "8P4D", "10P2D", "11P1D"]
    assert {sum(map(int, ratio.rstrip("D").split("P"))) for ratio in ratios} == {benchmark("6.2").constants["nodes"]}


def test_6_2_draws_prompts_from_a_zipf_distribution_as_an_example():
    """6.2: alpha 1.0 over 128 to 8192 tokens."""
    constants = benchmark("6.2").constants
    assert (constants["prompt_distribution"], constants["zipf_alpha"]) == ("zipf", 1.0)
    assert (constants["prompt_tokens_minimum"], constants["prompt_tokens_maximum"]) == (128, 8192)
    assert {"prompt_distribution", "zipf_alpha"} <= set(benchmark("6.2").examples)


def test_6_2_looks_for_the_best_ratio_under_two_slos():
    """6.2: TTFT P99 under 500 ms and ITL P99 under 50 ms; the SLOs bound the search, they are no verdict."""
    test = benchmark("6.2")
    assert (test.constants["ttft_p99_slo_ms"], test.constants["itl_p99_slo_ms"]) == (500, 50)
    assert {"TTFT", "ITL", "TPS_output"} == set(test.kpis)
    assert test.derived == ("Inference_Goodput", "pareto_optimal")


def test_6_2_has_a_panel_for_each_request_rate():
    """6.2: latencies on the left axis, TPS on the right; the draft names no request rate."""
    test = benchmark("6.2")
    assert (test.figure.kind, test.figure.panels, test.figure.x) == ("panels", "request_rate", "pool_ratio")
    assert (test.figure.y, test.figure.y_right) == (("TTFT", "ITL"), ("TPS_output",))
    assert "request_rate" in test.chosen


def test_6_3_compares_three_parallelism_configurations():
    """6.3: TP 8 and 8; TP 8 and 4 with DP attention 2; TP 4 with DP 2, and TP 2 with DP attention 4."""
    cases = benchmark("6.3").cases["parallelism"]
    columns = ("prefill_tp", "prefill_dp", "decode_tp", "decode_dp_attention")
    rows = [tuple(case[column] for column in columns) for case in cases.values()]
    assert rows == [(8, 1, 8, 1), (8, 1, 4, 2), (4, 2, 2, 4)]


def test_6_3_keeps_eight_gpus_in_every_worker():
    """6.3: the three configurations trade TP for DP on the same GPUs."""
    for case in benchmark("6.3").cases["parallelism"].values():
        assert case["prefill_tp"] * case["prefill_dp"] == case["decode_tp"] * case["decode_dp_attention"] == 8


def test_6_3_reports_flows_bandwidth_ttft_and_itl():
    """6.3: concurrent RDMA flows, aggregate bandwidth, TTFT and ITL at P50 and P99."""
    test = benchmark("6.3")
    assert (test.kpis, test.derived, test.statistics) == (
        ("TTFT", "ITL", "KV_BW"),
        ("concurrent_flows",),
        ("p50", "p99"),
    )


def test_6_4_oversubscribes_prefill_from_1_to_2_in_quarters():
    """6.4: 1.0 to 2.0 in steps of 0.25."""
    assert benchmark("6.4").load == {"oversubscription": (1.0, 1.25, 1.5, 1.75, 2.0)}


def test_6_4_reports_bursts_latency_and_congestion_events():
    """6.4: size, duration and gap of bursts, peak and average bandwidth, latency P99, ECN and PFC counts."""
    test = benchmark("6.4")
    assert set(test.derived) == {"burst_size", "burst_duration", "inter_burst_gap", "peak_fabric_bandwidth"}
    assert set(test.kpis) == {"KV_xfer_latency", "KV_BW", "ECN_marking_rate", "PFC_frame_count"}
    assert test.statistics == ("p99",)
