"""Section 13: soak and stability."""

import pytest

from aibench_lib.catalogue import benchmark

HOUR = 3600


@pytest.mark.parametrize("id_", ["13.1", "13.2", "13.3"])
def test_a_soak_is_one_trial_of_24_hours(id_):
    """13.1 to 13.3: 24 hours; repetition is not asked for."""
    assert (benchmark(id_).trials, benchmark(id_).trial_seconds) == (1, 24 * HOUR)


def test_13_1_serves_at_80_percent_and_samples_every_15_minutes():
    """13.1: 80 % of the SLO-bounded throughput of 11.1, a sample every 15 minutes."""
    constants = benchmark("13.1").constants
    assert (constants["serving_load"], constants["sample_every_seconds"]) == (0.8, 15 * 60)


def test_13_1_follows_latency_throughput_links_switches_and_nics():
    """13.1: TTFT, ITL and KV latency at P99, TPS_output, links, switch CPU and memory, NIC counters, PFC and ECN."""
    test = benchmark("13.1")
    serving = {"TTFT", "ITL", "TPS_output", "KV_xfer_latency"}
    switches = {"Link_utilization", "CPU Utilization (switch)", "Memory Usage (switch)"}
    congestion = {"PFC_frame_count", "ECN_marking_rate"}
    assert serving | switches | congestion <= set(test.kpis)
    assert test.derived == ("retransmissions", "qp_errors")
    assert test.statistics == ("p99",)


def test_13_1_notes_a_variation_of_ttft_above_1_percent():
    """13.1: zero QP errors, zero flaps and under 1 % of variation are hoped for; they are no verdict here."""
    assert benchmark("13.1").constants["ttft_p99_variation"] == 0.01
    assert "BGP/OSPF Stability" in benchmark("13.1").kpis


def test_13_2_follows_six_uses_of_memory():
    """13.2: GPU and CPU memory, NIC memory regions, RDMA registrations, cache pages, pinned memory."""
    assert set(benchmark("13.2").derived) == {
        "gpu_memory",
        "cpu_memory",
        "pinned_memory",
        "kv_cache_pages",
        "registered_memory_regions",
        "rdma_memory_regions",
    }


def test_13_3_flaps_one_link_after_12_hours():
    """13.3: a single link flap at the 12-hour mark; the recovery time is reported."""
    test = benchmark("13.3")
    assert (test.constants["link_flap_at_seconds"], test.constants["links_flapped"]) == (12 * HOUR, 1)
    assert "recovery_time" in test.derived


def test_13_3_follows_queue_pairs_buffers_fec_and_adjacencies():
    """13.3: QP transitions, buffer utilisation, FEC errors, adjacency flaps, retransmissions."""
    test = benchmark("13.3")
    assert set(test.kpis) == {"Buffer_utilization", "FEC Error Rate", "BGP/OSPF Stability", "NIC QP State"}
    assert {"qp_transitions", "retransmissions"} <= set(test.derived)
