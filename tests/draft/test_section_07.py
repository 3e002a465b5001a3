"""Section 7: mixture-of-experts parallelism."""

from aibench_lib.catalogue import benchmark, load_dispatch_modes, load_routing_modes


def test_7_1_runs_the_canonical_configurations_20_times():
    """7.1: Table 6's rows, at least 20 trials; M5 is the tester's own."""
    test = benchmark("7.1")
    assert test.load["moe_config"] == ("M1", "M2", "M3", "M4")
    assert test.trials == 20


def test_7_1_covers_the_batch_and_the_group_of_table_6():
    """7.1: the table's volumes are for 128 tokens and 96 ranks; the draft names no others."""
    test = benchmark("7.1")
    assert test.constants == {"table_6_batch_tokens": 128, "table_6_ep_ranks": 96}
    assert 128 in test.load["batch_tokens"]
    assert 96 in test.load["ep_ranks"]
    assert set(test.chosen) == {"batch_tokens", "ep_ranks"}


def test_7_1_reports_bandwidth_latency_and_idle_time():
    """7.1: aggregate bandwidth, latency of a dispatch at P50 and P99, GPU idle time; BusBW if normalised."""
    test = benchmark("7.1")
    assert test.kpis == ("EP_alltoall_bandwidth", "EP_alltoall_latency")
    assert test.derived == ("gpu_idle_time", "BusBW")
    assert test.statistics == ("p50", "p99")


def test_7_1_is_a_heatmap_of_group_size_over_batch_size():
    """7.1: EP group size on Y, batch size on X, throughput as colour, with a table of latencies."""
    figure = benchmark("7.1").figure
    assert (figure.kind, figure.x, figure.rows) == ("heatmap", "batch_tokens", "ep_ranks")
    assert figure.y == ("EP_alltoall_bandwidth",)
    assert figure.companion == "table of EP_alltoall_latency"


def test_7_2_covers_both_dispatch_modes_and_the_routing_modes_of_table_7():
    """7.2: Normal and Low-Latency Dispatch must be covered, and at least one alternative routing mode."""
    load = benchmark("7.2").load
    assert load["dispatch_mode"] == tuple(load_dispatch_modes())
    assert load["routing_mode"] == tuple(load_routing_modes())


def test_7_2_reports_each_routing_mode_in_its_own_table():
    """7.2: results of different routing modes are not mixed."""
    assert (benchmark("7.2").figure.kind, benchmark("7.2").figure.panels) == ("table", "routing_mode")


def test_7_3_scales_from_one_node_to_twelve_at_128_tokens():
    """7.3: EP 8 in one node, then 16, 32, 48, 64 and 96 on 2, 4, 6, 8 and 12 nodes; batch 128."""
    test = benchmark("7.3")
    assert test.load["ep_ranks"] == (8, 16, 32, 48, 64, 96)
    assert test.load["batch_tokens"] == (128,)
    assert [case["nodes"] for case in test.cases["ep_ranks"].values()] == [1, 2, 4, 6, 8, 12]


def test_7_3_uses_at_least_one_row_of_table_6():
    """7.3: the row is to be named."""
    test = benchmark("7.3")
    assert test.load["moe_config"]
    assert set(test.load["moe_config"]) <= set(benchmark("7.1").load["moe_config"])
    assert "moe_config" in test.chosen


def test_7_3_reports_latency_bandwidth_its_parts_and_efficiency():
    """7.3: dispatch latency, inter-node bandwidth, intra- and inter-node fraction, scaling efficiency."""
    test = benchmark("7.3")
    assert "EP_alltoall_latency" in test.kpis
    assert test.derived == ("inter_node_bandwidth", "intra_node_fraction", "inter_node_fraction", "scaling_efficiency")


def test_7_4_contends_at_50_and_75_percent_of_capacity():
    """7.4: sustained KV transfers at, for example, 50 and 75 %, and a dispatch for each MoE layer."""
    test = benchmark("7.4")
    assert test.load["kv_load"] == (0.5, 0.75)
    assert test.examples == ("kv_load",)
    assert test.constants == {"dispatches_per_moe_layer": 1}


def test_7_4_compares_each_traffic_class_alone_and_contended():
    """7.4: P99 of both latencies, alone and together, their ratio, and ECN and PFC counts."""
    test = benchmark("7.4")
    assert test.load["traffic"] == ("kv_only", "ep_only", "contended")
    assert test.statistics == ("p99",)
    assert {"KV_xfer_latency", "EP_alltoall_latency", "ECN_marking_rate", "PFC_frame_count"} == set(test.kpis)
    assert test.derived == ("contention_penalty",)
