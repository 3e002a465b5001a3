import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.errors import SpecError, UndefinedKpi
from aibench_lib.stats import (
    Interval,
    coefficient_of_variation,
    mean_confidence_interval,
    percentile,
    percentile_confidence_interval,
)

finite = st.floats(min_value=-1e9, max_value=1e9)
fractions = st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.9, 0.95])


def test_a_percentile_is_the_smallest_sample_with_enough_at_or_below():
    # 5 of 10 samples lie at or below 5, so P50 is 5 and not 5.5; 9 of 10 at or below 9; P85 needs 8.5, so 9 samples.
    samples = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert percentile(samples, 0.5) == 5
    assert percentile(samples, 0.9) == 9
    assert percentile(samples, 0.85) == 9


@pytest.mark.parametrize("n", [1000, 2000, 7000, 10_000])
def test_p99_9_of_a_thousand_is_sample_999_in_spite_of_binary_fractions(n):
    # 0.999 * 7000 is 6993.000000000001 in floating point, whose ceiling would be one sample too far.
    assert percentile(np.arange(1, n + 1), 0.999) == n * 999 // 1000


@pytest.mark.parametrize(("fraction", "needed"), [(0.5, 2), (0.95, 20), (0.99, 100), (0.999, 1000)])
def test_a_percentile_needs_one_sample_beyond_it(fraction, needed):
    assert percentile(range(needed), fraction) == needed - 2
    with pytest.raises(UndefinedKpi, match=f"needs at least {needed} samples, there are {needed - 1}"):
        percentile(range(needed - 1), fraction)


def test_the_message_names_the_percentile():
    with pytest.raises(UndefinedKpi, match=r"P99\.9 needs at least 1000 samples, there are 3"):
        percentile([1, 2, 3], 0.999)


def test_an_operation_that_never_ended_counts_as_infinite():
    assert percentile([1.0, 2.0, math.inf, math.inf], 0.5) == 2
    assert percentile([1.0, 2.0, math.inf, math.inf], 0.75) == math.inf


def test_a_sample_that_is_not_a_number_is_refused():
    with pytest.raises(UndefinedKpi, match="not a number"):
        percentile([1.0, math.nan], 0.5)


@pytest.mark.parametrize("fraction", [0, 1, 99, -0.5])
def test_a_fraction_outside_0_and_1_is_refused(fraction):
    with pytest.raises(SpecError, match="between 0 and 1"):
        percentile([1, 2, 3], fraction)


@given(st.lists(finite, min_size=20, max_size=60), fractions)
def test_a_percentile_is_a_sample_that_the_stated_fraction_does_not_exceed(samples, fraction):
    value = percentile(samples, fraction)
    assert value in samples
    at_or_below = sum(sample <= value for sample in samples)
    below = sum(sample < value for sample in samples)
    assert at_or_below >= fraction * len(samples) - 1e-9
    assert below < fraction * len(samples) + 1e-9


@given(st.lists(finite, min_size=20, max_size=60))
def test_percentiles_rise_with_their_fraction(samples):
    values = [percentile(samples, fraction) for fraction in (0.05, 0.25, 0.5, 0.75, 0.9, 0.95)]
    assert values == sorted(values)


@given(st.lists(finite, min_size=2, max_size=50), st.randoms())
def test_a_percentile_does_not_depend_on_the_order_of_samples(samples, random):
    shuffled = samples[:]
    random.shuffle(shuffled)
    assert percentile(shuffled, 0.5) == percentile(samples, 0.5)


def test_the_interval_of_a_median_of_ten_lies_between_the_second_and_the_ninth():
    # P(Bin(10, 1/2) <= 1) = 11/1024 = 0.0107 <= 0.025 < P(<= 2) = 56/1024: the 2nd and, by symmetry, the 9th sample.
    assert percentile_confidence_interval(range(1, 11), 0.5) == Interval(2, 9)


def test_the_interval_of_p99_of_a_thousand_follows_the_binomial_distribution():
    # Bin(1000, 0.01) of samples above P99: P(<= 4) = 0.0287 > 0.025 >= P(<= 3) = 0.0101 from above, so rank 1000 - 3 =
    # 997; P(>= 17) = 0.0264 > 0.025 >= P(>= 18) = 0.0138 from below, so rank 1000 - 17 = 983.
    low, high = percentile_confidence_interval(range(1, 1001), 0.99)
    assert (low, high) == (983, 997)


def test_few_samples_cannot_bound_a_high_percentile_from_above():
    # All of 100 samples lie at or below P99 with probability 0.99^100 = 0.366, far more than 0.025.
    low, high = percentile_confidence_interval(range(1, 101), 0.99)
    assert low == 97
    assert high is None


def test_five_samples_bound_not_even_the_median():
    # 2^-5 = 0.03125 > 0.025, and 2^-6 = 0.0156 is not.
    assert percentile_confidence_interval(range(5), 0.5) == Interval(None, None)
    assert percentile_confidence_interval(range(6), 0.5) == Interval(0, 5)


def test_an_interval_of_no_samples_is_undefined():
    with pytest.raises(UndefinedKpi, match="none"):
        percentile_confidence_interval([], 0.5)


@given(st.lists(finite, min_size=20, max_size=60), fractions)
def test_a_percentile_lies_in_its_interval(samples, fraction):
    low, high = percentile_confidence_interval(samples, fraction)
    value = percentile(samples, fraction)
    assert low is None or low <= value
    assert high is None or value <= high


@given(st.integers(1, 400), fractions, st.sampled_from([0.9, 0.95, 0.99]))
def test_the_ranks_cover_the_percentile_with_the_stated_probability_and_no_tighter_ranks_do(n, fraction, level):
    low, high = percentile_confidence_interval(range(1, n + 1), fraction, level)
    chances = [math.comb(n, k) * fraction**k * (1 - fraction) ** (n - k) for k in range(n + 1)]
    tail = (1 - level) / 2

    def at_most(count):
        return math.fsum(chances[: count + 1])

    if low is not None:
        assert at_most(int(low) - 1) <= tail + 1e-9
        assert at_most(int(low)) > tail - 1e-9
    else:
        assert at_most(0) > tail - 1e-9
    if high is not None:
        assert at_most(int(high) - 1) >= 1 - tail - 1e-9
        assert at_most(int(high) - 2) < 1 - tail + 1e-9
    else:
        assert at_most(n - 1) < 1 - tail + 1e-9


def test_the_interval_of_a_percentile_covers_the_true_one_in_95_of_100_samples():
    rng = np.random.default_rng(1)
    true = math.log(10)  # P90 of the exponential distribution
    hits = 0
    for _ in range(400):
        low, high = percentile_confidence_interval(rng.exponential(size=200), 0.9)
        hits += low is not None and high is not None and low <= true <= high
    assert hits >= 0.93 * 400


def test_the_interval_of_a_mean_uses_students_t():
    # Mean 3, s = sqrt(2.5), t(0.975; 4) = 2.776445: 3 -+ 2.776445 * sqrt(2.5 / 5) = 3 -+ 1.963243.
    low, high = mean_confidence_interval([1, 2, 3, 4, 5])
    assert (low, high) == (pytest.approx(3 - 1.963243, abs=1e-6), pytest.approx(3 + 1.963243, abs=1e-6))


def test_twenty_trials_have_a_t_of_2_093():
    # Ten times -1 and ten times 1: mean 0, s = sqrt(20/19), half width = 2.093024 * s / sqrt(20) = 2.093024 / sqrt(19).
    low, high = mean_confidence_interval([-1, 1] * 10)
    assert high == pytest.approx(2.093024 / math.sqrt(19), abs=1e-6)
    assert low == pytest.approx(-high)


def test_one_trial_has_a_mean_and_no_interval():
    assert mean_confidence_interval([7.0]) == Interval(None, None)


def test_equal_trials_have_an_interval_of_no_width():
    assert mean_confidence_interval([7.0] * 20) == Interval(7.0, 7.0)


@pytest.mark.parametrize("trials", [[], [math.nan, 1], [math.inf, 1]])
def test_the_interval_of_a_mean_needs_finite_trials(trials):
    with pytest.raises(UndefinedKpi):
        mean_confidence_interval(trials)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_a_mean_lies_in_its_interval_and_a_higher_level_is_wider(trials):
    low, high = mean_confidence_interval(trials, 0.9)
    wider_low, wider_high = mean_confidence_interval(trials, 0.99)
    slack = 1e-6
    assert wider_low - slack <= low - slack <= np.mean(trials) <= high + slack <= wider_high + slack


def test_the_coefficient_of_variation_is_the_spread_over_the_mean():
    # Mean 5, sum of squares 2 * 9 = 18, divisor 1: s = sqrt(18); 2 and 8.
    assert coefficient_of_variation([2, 8]) == pytest.approx(math.sqrt(18) / 5)


@pytest.mark.parametrize("values", [[], [1], [-1, 1], [0, 0], [math.nan, 1]])
def test_the_coefficient_of_variation_is_undefined_without_two_values_and_a_mean(values):
    with pytest.raises(UndefinedKpi):
        coefficient_of_variation(values)


@given(st.lists(st.floats(1, 1e6), min_size=2, max_size=30), st.floats(0.001, 1000))
def test_the_coefficient_of_variation_has_no_unit(values, factor):
    scaled = [value * factor for value in values]
    assert coefficient_of_variation(scaled) == pytest.approx(coefficient_of_variation(values), rel=1e-6, abs=1e-9)
