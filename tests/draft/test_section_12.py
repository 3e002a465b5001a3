"""Section 12: scale and autoscaling."""

from aibench_lib.catalogue import benchmark


def test_12_1_doubles_the_cluster_from_16_to_8192_gpus():
    """12.1: powers of two, for example from 2 nodes with 16 GPUs to 1024 nodes with 8192."""
    test = benchmark("12.1")
    assert test.setting == {"nodes": tuple(2**i for i in range(1, 11))}
    assert 2 * test.constants["gpus_per_node"] == 16
    assert 1024 * test.constants["gpus_per_node"] == 8192
    assert set(test.examples) == {"nodes", "gpus_per_node"}


def test_12_1_finds_the_limit_where_a_kpi_is_10_percent_worse():
    """12.1: against the smallest configuration."""
    test = benchmark("12.1")
    assert test.constants["degradation_fraction"] == 0.1
    assert {"control_plane_convergence_time", "routing_table_size", "scale_limit"} == set(test.derived)
    fabric, serving = {"KV_xfer_bandwidth", "KV_xfer_latency", "EP_alltoall_latency"}, {"TTFT", "TPS_output"}
    assert fabric | serving <= set(test.kpis)


def test_12_2_adds_and_removes_four_decode_nodes():
    """12.2: 4 as an example; the same for scale-down."""
    test = benchmark("12.2")
    assert test.cases["event"] == {"scale_up": {"decode_nodes_added": 4}, "scale_down": {"decode_nodes_removed": 4}}


def test_12_2_reports_three_times_and_the_disturbance():
    """12.2: fabric convergence, first transfer, steady state; loss and latency spikes."""
    test = benchmark("12.2")
    assert test.derived == ("fabric_convergence_time", "first_transfer_time", "time_to_steady_state", "latency_spike")
    assert test.kpis == ("Packet_drop_rate",)


def test_12_3_fails_one_and_two_links_in_three_places_20_times():
    """12.3: leaf-spine, spine-spine, the decode worker's leaf; single, then dual; at least 20 times each."""
    test = benchmark("12.3")
    assert test.load == {"failed_link": ("leaf_spine", "spine_spine", "decode_leaf"), "links_failed": (1, 2)}
    assert test.trials == 20


def test_12_3_serves_at_80_percent_while_links_fail():
    """12.3: of the SLO-bounded throughput; five values are reported."""
    test = benchmark("12.3")
    assert test.constants == {"serving_load": 0.8}
    assert test.derived == (
        "disruption_duration",
        "convergence_time",
        "ttft_degradation",
        "tps_reduction",
        "full_recovery_time",
    )
