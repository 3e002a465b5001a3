"""Section 8: congestion management."""

from aibench_lib.catalogue import benchmark, points, settings


def test_8_1_sets_four_ecn_thresholds_on_a_single_leaf():
    """8.1: 100 KB, 500 KB, 1 MB and 5 MB; the DUT is one leaf switch."""
    test = benchmark("8.1")
    assert settings(test) == [
        {"ecn_threshold_bytes": threshold} for threshold in (100_000, 500_000, 1_000_000, 5_000_000)
    ]
    assert test.dut == ("DUT-S",)


def test_8_1_has_2_to_32_prefill_workers_send_16_mb_to_one_port():
    """8.1: M = 2, 4, 8, 16, 32, simultaneous transfers of 16 MB blocks to one decode worker."""
    assert points(benchmark("8.1")) == [
        {"prefill_workers": workers, "message_bytes": 16_000_000} for workers in (2, 4, 8, 16, 32)
    ]


def test_8_1_is_400_trials():
    """8.1: at least 20 for each configuration, and there are 4 x 5 of them."""
    test = benchmark("8.1")
    assert test.trials == 20
    assert len(settings(test)) * len(points(test)) * test.trials == 400


def test_8_1_reports_marking_its_onset_the_depth_there_and_throughput():
    """8.1: marking rate, onset of marking, queue depth at onset, aggregate throughput; Table 10 adds two."""
    test = benchmark("8.1")
    assert test.kpis == ("ECN_marking_rate", "Buffer_utilization", "Packet_drop_rate", "Fabric_FCT")
    assert test.derived == ("marking_onset", "queue_depth_at_onset", "Fabric_Goodput", "JFI")


def test_8_2_sends_4_to_32_transfers_of_16_mb_within_three_windows():
    """8.2: N_burst 4, 8, 16, 32; T_arrival 100 us, 1 ms, 10 ms."""
    assert benchmark("8.2").load == {
        "concurrent_transfers": (4, 8, 16, 32),
        "message_bytes": (16_000_000,),
        "arrival_window_seconds": (100e-6, 1e-3, 10e-3),
    }


def test_8_2_varies_the_pfc_threshold_from_10_kb_to_1_mb():
    """8.2: the ends are the draft's, the values between are ours."""
    test = benchmark("8.2")
    thresholds = test.setting["pfc_threshold_bytes"]
    assert (thresholds[0], thresholds[-1]) == (10_000, 1_000_000)
    assert list(thresholds) == sorted(thresholds)
    assert len(thresholds) >= 5
    assert "pfc_threshold_bytes" in test.chosen


def test_8_2_reports_frames_pause_blocking_and_completion_time():
    """8.2: PFC frames, total PAUSE duration, HOL delay of other classes, transfer completion time."""
    test = benchmark("8.2")
    assert {"PFC_frame_count", "Fabric_FCT"} <= set(test.kpis)
    assert test.derived == ("pause_duration", "hol_blocking_delay", "victim_delay")


def test_8_3_brings_each_traffic_into_80_percent_of_the_other():
    """8.3: sustained KV transfers at 80 %, dispatches introduced; then the roles reversed."""
    test = benchmark("8.3")
    assert test.constants["established_load"] == 0.8
    pairs = [(case["established"], case["introduced"]) for case in test.cases["established_traffic"].values()]
    assert pairs == [pairs[1][::-1], pairs[0][::-1]]


def test_8_3_has_converged_within_5_percent_of_the_steady_state():
    """8.3: convergence time to within 5 %, allocation, loss, and JFI of the allocation."""
    test = benchmark("8.3")
    assert test.constants["convergence_fraction"] == 0.05
    assert test.derived == (
        "convergence_time",
        "steady_state_bandwidth_kv_cache",
        "steady_state_bandwidth_expert_parallelism",
        "packet_loss_during_convergence",
        "JFI",
    )


def test_8_3_lets_both_classes_ask_for_a_fair_share_and_together_for_more_than_there_is():
    """8.3: "share fabric capacity"; the load of the class that is introduced is ours."""
    constants = benchmark("8.3").constants
    assert min(constants["established_load"], constants["introduced_load"]) >= 0.5
    assert constants["established_load"] + constants["introduced_load"] > 1


def test_8_4_lasts_300_seconds():
    """8.4: at least 300 s."""
    assert benchmark("8.4").trial_seconds == 300


def test_8_4_reports_storm_deadlock_depth_standstill_and_recovery():
    """8.4: two yes or no, hops of PAUSE propagation, longest zero throughput, recovery time; the trips are ours."""
    assert benchmark("8.4").derived == (
        "storm_occurred",
        "deadlock_occurred",
        "pause_propagation_depth",
        "zero_throughput_duration",
        "recovery_time",
        "watchdog_trips",
    )


def test_8_4_is_measured_without_and_with_a_watchdog():
    """8.4: the draft names none; a deadlock that nothing breaks has no recovery time."""
    test = benchmark("8.4")
    assert settings(test) == [{"pfc_watchdog": "off"}, {"pfc_watchdog": "on"}]
    assert "pfc_watchdog" in test.chosen
