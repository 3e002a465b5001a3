import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.errors import SpecError, TrialError, UndefinedKpi
from aibench_lib.kpi import (
    algo_factor,
    buffer_utilization,
    bus_bandwidth,
    ecn_marking_rate,
    fabric_fct,
    fabric_goodput,
    inference_goodput,
    jain_index,
    link_utilization,
    marking_onset,
    packet_drop_rate,
)

# Of numbers near the smallest there are, a thousandth is another number or none.
rates = st.lists(st.just(0.0) | st.floats(1e-200, 1e12), min_size=1, max_size=100).filter(any)


def test_the_marking_rate_is_a_percentage_of_transmitted_packets():
    assert ecn_marking_rate(125, 1000) == 12.5
    assert ecn_marking_rate(0, 1000) == 0


def test_the_marking_rate_of_an_idle_port_is_undefined():
    with pytest.raises(UndefinedKpi, match="no packet"):
        ecn_marking_rate(0, 0)


def test_more_marks_than_packets_are_counters_of_different_things():
    with pytest.raises(TrialError, match="1001 packets marked, only 1000 transmitted"):
        ecn_marking_rate(1001, 1000)


@pytest.mark.parametrize("growth", [(-1, 10), (1, -10)])
def test_a_counter_that_went_backwards_spoils_the_trial(growth):
    with pytest.raises(TrialError, match="went backwards"):
        ecn_marking_rate(*growth)
    with pytest.raises(TrialError, match="went backwards"):
        packet_drop_rate(*growth)


def test_the_drop_rate_is_per_million_offered():
    # 3 dropped and 999,997 transmitted are a million offered.
    assert packet_drop_rate(3, 999_997) == 3
    assert packet_drop_rate(5, 0) == 1_000_000


def test_the_drop_rate_without_packets_is_undefined():
    with pytest.raises(UndefinedKpi):
        packet_drop_rate(0, 0)


def test_buffer_utilization_is_the_peak():
    assert buffer_utilization([10, 250, 40], 1000) == 25


@pytest.mark.parametrize(("used", "size"), [([], 1000), ([1], 0)])
def test_buffer_utilization_needs_samples_and_a_size(used, size):
    with pytest.raises(UndefinedKpi):
        buffer_utilization(used, size)


def test_link_utilization_is_taken_interval_by_interval():
    # 400 Gbit/s are 50 bytes a ns: 25,000 of 50,000 bytes in the first microsecond, 100,000 of 100,000 in the next two.
    assert link_utilization([0, 1000, 3000], [7, 25_007, 125_007], 400_000_000_000) == pytest.approx([50, 100])


def test_link_utilization_needs_two_readings():
    with pytest.raises(UndefinedKpi):
        link_utilization([0], [7], 400_000_000_000)


@pytest.mark.parametrize(("time", "counter"), [([0, 0], [1, 2]), ([0, 1], [2, 1])])
def test_link_utilization_refuses_a_counter_or_clock_that_goes_backwards(time, counter):
    with pytest.raises(TrialError, match="backwards"):
        link_utilization(time, counter, 400_000_000_000)


def test_flow_completion_times_are_microseconds():
    assert list(fabric_fct([0, 1500], [500, 4000])) == [0.5, 2.5]


def test_a_transfer_that_completes_before_it_was_posted_spoils_the_trial():
    with pytest.raises(TrialError, match="before it was posted"):
        fabric_fct([100], [99])


def test_time_stamps_since_the_epoch_lose_no_nanosecond():
    # 2^53 ns are 104 days: in floating point, stamps of today would be 256 ns apart.
    now = 1_790_000_000_123_456_789
    assert list(fabric_fct([now], [now + 1])) == [0.001]


def test_fabric_goodput_of_50_bytes_a_nanosecond_is_50_gb_a_second():
    # 32 blocks of 16 MB in 10.24 ms are the 400 Gbit/s of the port.
    assert fabric_goodput(32 * 16_000_000, 10_240_000) == pytest.approx(50)


def test_fabric_goodput_needs_time():
    with pytest.raises(UndefinedKpi):
        fabric_goodput(1, 0)


def test_inference_goodput_counts_only_undisturbed_requests():
    assert inference_goodput([100, 200, 400], [True, False, True], 10) == 50
    assert inference_goodput([100], [False], 10) == 0
    with pytest.raises(UndefinedKpi):
        inference_goodput([100], [True], 0)


def test_an_all_reduce_of_a_gigabyte_over_eight_ranks_in_10_ms():
    # 2 * 7 / 8 = 1.75; 1 GB * 1.75 / 0.01 s = 175 GB/s = 1400 Gbit/s.
    found = bus_bandwidth(10**9, 0.01, collective="AllReduce", algorithm="ring", ranks=8)
    assert found.algo_factor == 1.75
    assert found.gbps_per_accelerator == pytest.approx(1400)
    assert found.terminology.endswith("terminology-01")


def test_an_all_to_all_of_ninety_six_ranks_keeps_one_part_at_home():
    assert algo_factor("AllToAll", "direct", 96) == 95 / 96


def test_a_tree_all_reduce_has_its_own_factor():
    # 2 * log2(8) / 8.
    assert algo_factor("AllReduce", "double binary tree", 8) == 0.75


def test_a_collective_without_a_factor_is_refused():
    with pytest.raises(SpecError, match="no factor for AllToAll ring; known: AllReduce ring"):
        algo_factor("AllToAll", "ring", 8)
    with pytest.raises(SpecError, match="at least 2 ranks"):
        algo_factor("AllToAll", "direct", 1)


def test_bus_bandwidth_needs_time():
    with pytest.raises(UndefinedKpi):
        bus_bandwidth(1, 0, collective="AllToAll", algorithm="direct", ranks=8)


def test_equal_rates_are_perfectly_fair_and_a_monopoly_is_not():
    assert jain_index([5, 5, 5, 5]) == 1
    assert jain_index([5, 0, 0, 0]) == 0.25
    # (1 + 2 + 3)^2 / (3 * (1 + 4 + 9)) = 36 / 42.
    assert jain_index([1, 2, 3]) == pytest.approx(36 / 42)


@pytest.mark.parametrize("values", [[], [0, 0], [-1, 2], [np.nan, 1], [np.inf, 1]])
def test_fairness_is_undefined_without_rates(values):
    with pytest.raises(UndefinedKpi):
        jain_index(values)


@given(rates)
def test_fairness_lies_between_one_in_n_and_one(values):
    assert 1 / len(values) - 1e-9 <= jain_index(values) <= 1 + 1e-9


@given(rates, st.floats(1e-3, 1e3))
def test_fairness_has_no_unit(values, factor):
    assert jain_index(np.array(values) * factor) == pytest.approx(jain_index(values), rel=1e-6)


@given(rates, st.integers(2, 5))
def test_fairness_of_copies_is_the_same(values, copies):
    assert jain_index(values * copies) == pytest.approx(jain_index(values), rel=1e-6)


def test_the_onset_is_the_first_sample_with_more_marks_than_before():
    onset = marking_onset(
        time_ns=[900, 1000, 1100, 1200, 1300],
        marked_packets=[70, 70, 70, 75, 99],
        depth_bytes=[0, 0, 60_000, 110_000, 200_000],
        start_ns=1000,
    )
    assert (onset.after_start_ns, onset.queue_depth_bytes, onset.resolution_ns) == (200, 110_000, 100)


def test_marks_of_an_earlier_trial_are_no_onset():
    with pytest.raises(UndefinedKpi, match="no packet was marked"):
        marking_onset([0, 100, 200, 300], [0, 50, 50, 50], [0, 9, 0, 0], start_ns=150)


def test_a_series_that_begins_after_the_trial_has_nothing_to_compare_with():
    with pytest.raises(UndefinedKpi, match="at or before the start"):
        marking_onset([100, 200], [5, 9], [0, 0], start_ns=50)


def test_samples_left_out_as_unchanged_do_not_blur_the_onset():
    onset = marking_onset([0, 5000], [7, 8], [0, 100_000], start_ns=1000, interval_ns=100)
    assert (onset.after_start_ns, onset.resolution_ns) == (4000, 100)


def test_a_counter_reset_in_the_trial_spoils_it():
    with pytest.raises(TrialError, match="backwards"):
        marking_onset([0, 100, 200], [50, 0, 3], [0, 0, 0], start_ns=0)


def test_a_counter_reset_before_the_trial_does_not_matter():
    assert marking_onset([0, 100, 200], [50, 0, 3], [0, 0, 8], start_ns=100).queue_depth_bytes == 8


def test_series_of_different_lengths_are_refused():
    with pytest.raises(TrialError, match="torn"):
        marking_onset([0, 100], [0, 1], [0], start_ns=0)
