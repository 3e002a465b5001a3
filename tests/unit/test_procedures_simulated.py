"""What Tests 8.2 and 8.3 measure of the simulated fabric, against what must come out."""

import pytest
from simulated_trial import run_trial

from aibench_lib.procedures.bursts import BURSTS, burst_completion_us, probe_delay_us, victim_delay_us
from aibench_lib.procedures.convergence import CONVERGENCE

PACKET_US = 4158 * 8 / 400e9 * 1e6
ECN = (400_000, 1_600_000, 0.2)


def burst(transfers, pfc_bytes, window_seconds=0.000_1):
    point = {
        "concurrent_transfers": transfers,
        "message_bytes": 16_000_000,
        "arrival_window_seconds": window_seconds,
    }
    return run_trial("8.2", point, pfc_bytes=pfc_bytes)


@pytest.mark.parametrize("pfc_bytes", [10_000, 100_000, 1_000_000])
def test_a_burst_behind_pfc_loses_nothing_and_keeps_the_receivers_link_busy(pfc_bytes):
    """8 blocks of 16 MB are 31,256 packets; the last one ends 2.60 ms after the first began, within the window."""
    seen, simulation = burst(8, pfc_bytes)
    assert simulation.counters()["dropped_packets"].sum() == 0
    assert BURSTS.measure(seen)["Packet_drop_rate"] == 0
    packets = 8 * -(-16_000_000 // 4096)
    assert burst_completion_us(seen.samples).max() == pytest.approx(packets * PACKET_US, rel=0.04)


@pytest.mark.parametrize("transfers", [4, 8, 16])
def test_hosts_that_share_a_link_are_paused_for_all_but_their_share_of_the_time(transfers):
    """N hosts at line rate into one link: each sends 1/N of the time, and is paused for the rest."""
    seen, _ = burst(transfers, 100_000)
    paused_us = BURSTS.measure(seen)["pause_duration"] / transfers
    assert paused_us / burst_completion_us(seen.samples).mean() == pytest.approx(1 - 1 / transfers, abs=0.03)


def test_the_queue_holds_the_threshold_of_every_host_and_what_comes_after_xoff():
    """After XOFF come two propagation delays, the response time and up to three packets: 170 KB at most."""
    seen, simulation = burst(16, 1_000_000)
    counters = simulation.counters()
    port = seen.site.watched[0]
    here = (counters["node"] == port.node) & (counters["interface"] == port.interface) & (counters["priority"] == 3)
    assert 16 * 1_000_000 < int(counters[here]["peak_depth_bytes"][0]) < 16 * 1_175_000


def test_a_lower_threshold_pauses_more_often_and_fills_less_of_the_buffer():
    low, high = (BURSTS.measure(burst(8, pfc_bytes)[0]) for pfc_bytes in (10_000, 1_000_000))
    assert low["PFC_frame_count"] > high["PFC_frame_count"]
    assert low["Buffer_utilization"] < high["Buffer_utilization"]


def test_pfc_holds_up_its_own_class_on_the_paused_link_and_no_other_class():
    """The probe waits for the packet under way in each of three queues; the victim for the end of the pause."""
    seen, _ = burst(16, 100_000)
    assert probe_delay_us(seen.samples).max() < 3 * PACKET_US
    assert victim_delay_us(seen.samples).mean() > 100 * PACKET_US


@pytest.mark.slow
@pytest.mark.parametrize("established", ["kv_cache", "expert_parallelism"])
def test_both_classes_settle_on_the_uplinks_without_loss(established):
    """Before: 80 % of 100 GB/s, less where the hash overloads an uplink. Then: never more than payload that fits."""
    seen, simulation = run_trial(
        "8.3", {"established_traffic": established}, pfc_bytes=500_000, ecn=ECN, trial_seconds=0.06
    )
    values, rates = CONVERGENCE.measure(seen), CONVERGENCE.series(seen)
    before = rates[(rates["class"] == established) & rates["time_us"].between(2_000, 22_000)]
    assert 70 < before["rate_gbytes_per_second"].mean() < 82
    steady = [values[f"steady_state_bandwidth_{name}"] for name in ("kv_cache", "expert_parallelism")]
    assert 80 < sum(steady) < 100 * 4096 / 4158
    assert values["packet_loss_during_convergence"] == simulation.counters()["dropped_packets"].sum() == 0
    assert 0 < values["convergence_time"] <= 26
    assert values["ECN_marking_rate"] > 0
