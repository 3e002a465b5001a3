"""Section 9: request routing and load balancing."""

from aibench_lib.catalogue import benchmark


def test_9_1_compares_kv_aware_with_round_robin_at_four_rates():
    """9.1: 10, 50, 100 and 200 req/s, round-robin as the baseline."""
    test = benchmark("9.1")
    assert test.setting == {"router": ("round_robin", "kv_aware")}
    assert test.load == {"request_rate": (10, 50, 100, 200)}


def test_9_1_reports_memory_spread_latency_evictions_and_goodput():
    """9.1: CV of decode memory utilisation, P99 of TTFT and ITL, eviction rate, Goodput."""
    test = benchmark("9.1")
    assert (test.kpis, test.statistics) == (("TTFT", "ITL"), ("p99",))
    assert set(test.derived) == {"memory_utilization_cv", "eviction_rate", "Inference_Goodput"}


def test_9_2_shares_prefixes_of_four_lengths_among_four_shares_of_requests():
    """9.2: P = 25, 50, 75, 90 %; L = 256, 512, 1024, 2048 tokens; against routing without prefixes."""
    test = benchmark("9.2")
    assert test.load == {"prefix_share": (0.25, 0.5, 0.75, 0.9), "prefix_tokens": (256, 512, 1024, 2048)}
    assert test.setting == {"router": ("round_robin", "prefix_aware")}


def test_9_2_reports_hits_and_three_savings():
    """9.2: cache hit rate, bandwidth reduction, TTFT reduction, TPS improvement."""
    assert benchmark("9.2").derived == (
        "prefix_cache_hit_rate",
        "fabric_bandwidth_reduction",
        "ttft_reduction",
        "tps_improvement",
    )


def test_9_3_balances_large_flows_small_flows_and_their_mix():
    """9.3: KV flows of 16 MB and more, EP flows under 1 MB, both; for each load balancing algorithm."""
    test = benchmark("9.3")
    assert test.load["traffic"] == ("kv_only", "ep_only", "mixed")
    assert test.cases["traffic"]["kv_only"] == {"kv_message_bytes_minimum": 16_000_000}
    assert test.cases["traffic"]["ep_only"] == {"ep_message_bytes_below": 1_000_000}
    assert test.cases["traffic"]["mixed"] == test.cases["traffic"]["kv_only"] | test.cases["traffic"]["ep_only"]


def test_9_3_compares_the_algorithms_that_section_9_names():
    """9: ECMP, flowlet, packet spray, named as examples of fabric-layer load balancing."""
    assert benchmark("9.3").setting == {"load_balancing": ("ecmp", "flowlet", "packet_spray")}


def test_9_3_reports_fairness_extremes_and_oversubscription():
    """9.3: JFI, highest and lowest link utilisation, oversubscription ratio; what follows them is ours."""
    assert benchmark("9.3").derived[:4] == (
        "JFI",
        "maximum_link_utilization",
        "minimum_link_utilization",
        "oversubscription_ratio",
    )
    assert benchmark("9.3").derived[4:] == (
        "leaf_oversubscription",
        "peak_link_utilization",
        "Fabric_Goodput",
        "reordered_packets",
    )


def test_9_4_measures_fairness_over_8_to_64_decode_workers():
    """9.4: N_D = 8, 16, 32, 64; JFI and max/min of receive rate, GPU utilisation and output TPS."""
    test = benchmark("9.4")
    assert test.setting == {"decode_workers": (8, 16, 32, 64)}
    assert {"JFI", "max_min_ratio", "gpu_utilization"} == set(test.derived)
    assert {"KV_xfer_bandwidth", "TPS_output"} == set(test.kpis)
