"""Section 11: throughput."""

from aibench_lib.catalogue import benchmark


def test_11_1_raises_the_rate_from_1_request_a_second_until_an_slo_breaks():
    """11.1: from 1 req/s until TTFT P99 exceeds 500 ms or ITL P99 exceeds 50 ms."""
    assert benchmark("11.1").constants == {"request_rate_start": 1, "ttft_p99_slo_ms": 500, "itl_p99_slo_ms": 50}


def test_11_1_and_6_2_have_the_same_slos():
    """6.2 and 11.1: 500 ms and 50 ms."""
    for key in ("ttft_p99_slo_ms", "itl_p99_slo_ms"):
        assert benchmark("6.2").constants[key] == benchmark("11.1").constants[key]


def test_11_1_reports_throughput_goodput_latency_and_the_fabrics_use_at_the_boundary():
    """11.1: TPS_output, TPS_input, Goodput, every latency KPI, fabric utilisation at the SLO boundary."""
    test = benchmark("11.1")
    latencies = {"TTFT", "ITL", "TTFT_fabric", "ITL_fabric", "E2E_latency"}
    assert {"TPS_output", "TPS_input", "Request_Rate", *latencies} <= set(test.kpis)
    assert test.derived == ("Inference_Goodput", "fabric_utilization_at_slo")


def test_11_2_tries_seven_batch_sizes_with_and_without_continuous_batching():
    """11.2: 1, 4, 8, 16, 32, 64, 128; transfers at a time, bandwidth, TPS_output, TTFT P99."""
    test = benchmark("11.2")
    assert test.setting == {"continuous_batching": ("off", "on"), "maximum_batch": (1, 4, 8, 16, 32, 64, 128)}
    assert set(test.kpis) == {"TPS_output", "TTFT", "KV_BW"}
    assert test.derived == ("peak_concurrent_transfers",)


def test_11_3_oversubscribes_the_rate_of_11_1_by_up_to_two():
    """11.3: 110, 125, 150 and 200 %."""
    assert benchmark("11.3").load == {"rate_fraction": (1.1, 1.25, 1.5, 2.0)}


def test_11_3_reports_what_is_lost():
    """11.3: Goodput, eviction and preemption rates, wasted bandwidth, Goodput over TPS_output."""
    assert benchmark("11.3").derived == (
        "Inference_Goodput",
        "eviction_rate",
        "preemption_rate",
        "wasted_fabric_bandwidth",
        "efficiency",
    )
