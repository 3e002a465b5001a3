"""Section 5: RDMA KV cache transfer."""

from aibench_lib.catalogue import benchmark


def test_5_1_sweeps_eight_message_sizes_and_seven_numbers_of_queue_pairs():
    """5.1: 64 KB, 256 KB, 1, 4, 16, 64 and 256 MB and 1 GB must be tried, each with 1, 4, ... 128 QPs."""
    test = benchmark("5.1")
    kb, mb, gb = 10**3, 10**6, 10**9
    assert test.load["message_bytes"] == (64 * kb, 256 * kb, mb, 4 * mb, 16 * mb, 64 * mb, 256 * mb, gb)
    assert test.load["queue_pairs"] == (1, 4, 8, 16, 32, 64, 128)


def test_5_1_repeats_trials_of_60_seconds_20_times_and_reports_the_average():
    """5.1: at least 60 s a trial, at least 20 trials a configuration."""
    test = benchmark("5.1")
    assert (test.trials, test.trial_seconds, test.statistics) == (20, 60, ("mean",))


def test_5_1_has_the_path_between_the_nics_under_test_and_records_the_endpoints_cost():
    """5.1: throughput, CPU use at both ends, GPU-to-NIC overhead, NIC offload use."""
    test = benchmark("5.1")
    assert "DUT-F" in test.dut
    assert test.kpis == ("KV_xfer_bandwidth",)
    ends = ("cpu_utilization_sender", "cpu_utilization_receiver")
    assert test.derived == (*ends, "gpu_to_nic_overhead", "nic_offload_utilization")


def test_5_1_is_drawn_over_a_logarithmic_size_axis_with_a_line_for_each_number_of_queue_pairs():
    """5.1: multi-line graph, throughput over message size, with the line rate as reference."""
    figure = benchmark("5.1").figure
    assert (figure.kind, figure.x, figure.x_scale) == ("lines", "message_bytes", "log")
    assert (figure.y, figure.lines) == (("KV_xfer_bandwidth",), "queue_pairs")
    assert figure.marks == ("line rate of the NIC",)


def test_5_2_measures_unloaded_and_at_four_background_loads():
    """5.2: one outstanding operation, then background at 25, 50, 75 and 90 %; 64 KB, 1, 16 and 256 MB."""
    test = benchmark("5.2")
    assert test.load["background_load"] == (0.0, 0.25, 0.5, 0.75, 0.9)
    assert test.load["message_bytes"] == (64_000, 1_000_000, 16_000_000, 256_000_000)
    assert test.constants["outstanding_operations"] == 1


def test_5_2_repeats_trials_of_120_seconds_20_times():
    """5.2: at least 20 trials of at least 120 s."""
    assert (benchmark("5.2").trials, benchmark("5.2").trial_seconds) == (20, 120)


def test_5_2_reports_percentiles_up_to_p99_9_and_the_tail_spread():
    """5.2: P50, P95, P99, P99.9, and P99 - P50; a table of size and load, and a CDF."""
    test = benchmark("5.2")
    assert test.kpis[0] == "KV_xfer_latency"
    assert test.statistics == ("p50", "p95", "p99", "p99.9")
    assert test.derived == ("tail_latency_spread", "background_delivered")
    assert (test.figure.kind, test.figure.rows, test.figure.x) == ("table", "message_bytes", "background_load")
    assert test.figure.companion.startswith("CDF")


def test_5_3_scales_pairs_of_16_mb_transfers_from_1_to_128():
    """5.3: N from 1 to what the fabric bears, for example in powers of two to 128; 16 MB; 20 trials a value."""
    test = benchmark("5.3")
    assert test.load == {"transfer_pairs": (1, 2, 4, 8, 16, 32, 64, 128), "message_bytes": (16_000_000,)}
    assert test.examples == ("transfer_pairs",)
    assert test.trials == 20


def test_5_3_reports_throughput_latency_fairness_and_link_use_on_two_axes():
    """5.3: aggregate throughput left, P99 right, JFI written beside; median and P99 of each pair."""
    test = benchmark("5.3")
    assert {"KV_xfer_bandwidth", "KV_xfer_latency", "Link_utilization"} <= set(test.kpis)
    assert test.derived == ("JFI", "maximum_link_utilization")
    assert test.statistics == ("p50", "p99")
    assert (test.figure.kind, test.figure.x) == ("dual_axis", "transfer_pairs")
    assert (test.figure.y, test.figure.y_right) == (("KV_xfer_bandwidth",), ("KV_xfer_latency",))
    assert test.figure.marks == ("JFI",)


def test_5_4_measures_four_pairs_of_tiers_at_three_sizes():
    """5.4: GPU to GPU, to remote CPU memory and to NVMe, and CPU memory to GPU; 1, 16 and 256 MB; P50 and P99."""
    test = benchmark("5.4")
    assert test.load["tier_pair"] == ("gpu_to_gpu", "gpu_to_remote_cpu", "cpu_to_gpu", "gpu_to_nvme")
    assert test.load["message_bytes"] == (1_000_000, 16_000_000, 256_000_000)
    assert test.statistics == ("p50", "p99")
    assert test.derived == ("tier_throughput_ratio",)
    assert (test.figure.kind, test.figure.rows, test.figure.x) == ("table", "tier_pair", "message_bytes")
