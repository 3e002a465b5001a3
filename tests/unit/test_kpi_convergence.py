import numpy as np
import pytest

from aibench_lib.errors import TrialError, UndefinedKpi
from aibench_lib.kpi import Criterion, convergence_ns, delivered_rate, service_start_ns, steady_state

MS = 1_000_000
CRITERION = Criterion(fraction=0.05, steady_ns=20 * MS, hold_ns=10 * MS)
TIMES = np.arange(100) * MS
INTRODUCED = 40 * MS


def both(first, second):
    """Two classes over 100 windows of 1 ms; the second one is introduced at 40 ms."""
    return np.stack([np.asarray(first, float), np.asarray(second, float)], axis=1)


def after(values):
    """A class that has 80 GB/s alone, and then these values."""
    return np.concatenate([np.full(40, 80.0), values])


def introduced(values):
    return np.concatenate([np.zeros(40), values])


def test_a_step_to_the_steady_state_has_converged_at_once():
    rates = both(after(np.full(60, 50.0)), introduced(np.full(60, 45.0)))
    assert convergence_ns(TIMES, rates, INTRODUCED, CRITERION) == 0


def test_a_step_that_comes_late_converges_when_it_comes():
    rates = both(after([*[80.0] * 7, *[50.0] * 53]), introduced([*[10.0] * 7, *[45.0] * 53]))
    assert convergence_ns(TIMES, rates, INTRODUCED, CRITERION) == 7 * MS


def test_the_slower_of_two_classes_decides():
    rates = both(after([*[80.0] * 3, *[50.0] * 57]), introduced([*[10.0] * 12, *[45.0] * 48]))
    assert convergence_ns(TIMES, rates, INTRODUCED, CRITERION) == 12 * MS


def test_an_overshoot_that_passes_through_the_band_has_not_converged_yet():
    """It is in the band for 2 windows on its way up and for good after its way down."""
    rising = [10, 30, 49, 51, 70, 90, 75, 60, *[50] * 52]
    rates = both(after(np.full(60, 50.0)), introduced(rising))
    assert convergence_ns(TIMES, rates, INTRODUCED, CRITERION) == 8 * MS


def test_an_oscillation_that_dies_out_converges_when_its_amplitude_is_in_the_band():
    """50 (1 + 0.5 e^(-t / 10 ms) cos): the envelope is 5 % of it after 10 ln 10 = 23.03 ms."""
    t = np.arange(60)
    swinging = 50 * (1 + 0.5 * np.exp(-t / 10) * np.where(t % 2, -1, 1))
    rates = both(after(np.full(60, 50.0)), introduced(swinging))
    assert convergence_ns(TIMES, rates, INTRODUCED, CRITERION) == 24 * MS


def test_an_oscillation_that_goes_on_never_converges():
    swinging = 50 + 10 * np.where(np.arange(60) % 2, -1, 1)
    with pytest.raises(UndefinedKpi, match="within 5 % of the steady state"):
        convergence_ns(TIMES, both(after(np.full(60, 50.0)), introduced(swinging)), INTRODUCED, CRITERION)


def test_a_rate_that_drifts_to_the_end_never_converges():
    drifting = np.linspace(10, 90, 60)
    with pytest.raises(UndefinedKpi):
        convergence_ns(TIMES, both(after(np.full(60, 50.0)), introduced(drifting)), INTRODUCED, CRITERION)


def test_a_stretch_that_the_end_cuts_short_does_not_count():
    rates = both(after([*[10.0] * 51, *[50.0] * 9]), introduced(np.full(60, 45.0)))
    criterion = Criterion(fraction=0.05, steady_ns=9 * MS, hold_ns=10 * MS)
    with pytest.raises(UndefinedKpi):
        convergence_ns(TIMES, rates, INTRODUCED, criterion)
    assert (
        convergence_ns(TIMES, rates, INTRODUCED, Criterion(fraction=0.05, steady_ns=9 * MS, hold_ns=9 * MS)) == 51 * MS
    )


def test_noise_within_the_band_is_steady_and_noise_beyond_it_is_not():
    noise = np.random.default_rng(1).uniform(-1, 1, size=(60, 2))
    for part, settles in ((0.03, True), (0.2, False)):
        rates = both(after(50 * (1 + part * noise[:, 0])), introduced(45 * (1 + part * noise[:, 1])))
        if settles:
            assert convergence_ns(TIMES, rates, INTRODUCED, CRITERION) == 0
        else:
            with pytest.raises(UndefinedKpi):
                convergence_ns(TIMES, rates, INTRODUCED, CRITERION)


def test_what_was_steady_before_the_introduction_does_not_count():
    """The steady state is the same as before; the disturbance between them is what is timed."""
    rates = both(after([*[60.0] * 5, *[80.0] * 55]), introduced([*[20.0] * 5, *[5.0] * 55]))
    assert convergence_ns(TIMES, rates, INTRODUCED, CRITERION) == 5 * MS


def test_the_detector_finds_the_closed_form_of_a_dcqcn_recovery():
    """One cut of 400 Gb/s to half, target clamped, timer 55 us: 5 periods of fast recovery, then 40 Mb/s a period.

    The target reaches 95 % of the line, 380 Gb/s, after 5 + 4,500 periods, and the rate follows it by half the distance
    a period, that is by one step of 40 Mb/s: 4,506 periods, 247.8 ms.
    """
    period_ns, line, step = 55_000, 400e9, 40e6
    target = line / 2 + step * np.maximum(np.arange(7_300) - 5, 0)
    rate = np.empty_like(target)
    rate[0] = line / 2
    for n in range(1, rate.size):
        rate[n] = (rate[n - 1] + target[n]) / 2
    rate, window = np.minimum(rate, line), 20
    windows = rate[: rate.size // window * window].reshape(-1, window).mean(axis=1)
    begin = np.arange(windows.size) * window * period_ns
    criterion = Criterion(fraction=0.05, steady_ns=50 * MS, hold_ns=50 * MS)
    found = convergence_ns(begin, windows[:, None], 0, criterion)
    assert found == pytest.approx(4_506 * period_ns, abs=window * period_ns)


def test_a_steady_state_is_the_mean_of_the_last_windows_of_each_class():
    rates = both(np.arange(100), np.full(100, 3.0))
    np.testing.assert_allclose(steady_state(TIMES, rates, 10 * MS), [np.arange(90, 100).mean(), 3.0])


@pytest.mark.parametrize(
    ("times", "rates"), [([0, 1], [[1.0]]), ([0, 1, 3], [[1.0]] * 3), ([2, 1, 0], [[1.0]] * 3), ([0, 1], [1.0, 1.0])]
)
def test_a_torn_or_uneven_series_is_no_measurement(times, rates):
    with pytest.raises(TrialError, match="rates over time"):
        steady_state(times, rates, 1)


def test_a_series_of_one_window_defines_nothing():
    with pytest.raises(UndefinedKpi, match="fewer than two windows"):
        steady_state([0], [[1.0]], 1)


def test_a_transfer_begins_when_the_one_before_it_on_its_queue_pair_is_complete():
    """Pair 1: posted at 0, 10 and 100; pair 2 goes its own way; the order of the rows does not matter."""
    starts = service_start_ns([1, 2, 1, 1], [10, 5, 100, 0], [90, 7, 120, 50])
    assert starts.tolist() == [50, 5, 100, 0]


def test_a_completion_before_the_posting_is_refused():
    with pytest.raises(TrialError, match="before it was posted"):
        service_start_ns([1], [10], [9])


def test_a_transfers_bytes_count_evenly_over_the_time_it_took():
    """1000 B from 50 to 150 ns, over windows of 100 ns: 500 B in each of the first two."""
    np.testing.assert_allclose(delivered_rate([50], [150], [1000], [0, 100, 200, 300]), [5.0, 5.0, 0.0])


def test_no_byte_is_lost_or_counted_twice():
    rng = np.random.default_rng(3)
    start = rng.integers(0, 900, 50)
    done = start + rng.integers(0, 100, 50)
    size = rng.integers(1, 10_000, 50)
    assert delivered_rate(start, done, size, np.arange(0, 1001, 10)).sum() * 10 == pytest.approx(size.sum())
