"""Percentiles, confidence intervals and spread: pure functions of arrays.

A percentile is the smallest sample that at least the stated fraction of all samples fall at or below: the inverse of
the empirical distribution, with no interpolation, as the companion terminology words it.  Percentiles are taken over
pooled samples and never averaged; confidence intervals of means are taken over trials.
"""

import math
from bisect import bisect_left, bisect_right
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aibench_lib.errors import SpecError, UndefinedKpi


class Interval(NamedTuple):
    """A two-sided confidence interval; a bound that the data does not define is None."""

    low: float | None
    high: float | None


def percentile(samples: ArrayLike, fraction: float) -> float:
    """Return the percentile of samples; ``fraction`` 0.999 is P99.9.

    Draft: Section 2 (ITL) asks for P50, P95, P99 and P99.9; how to compute one is the terminology draft's.

    Args:
        samples: Values in any one unit, shape ``(n,)``; ``inf`` stands for an operation that never ended.
        fraction: The fraction of samples at or below the result, above 0 and below 1.

    Raises:
        UndefinedKpi: Fewer than 1 / (1 - fraction) samples, such as 1000 for P99.9, or a sample is not a number.
        SpecError: The fraction is not between 0 and 1.
    """
    values = _numbers(samples)
    exact = _exact_fraction(fraction)
    needed = math.ceil(1 / (1 - exact))
    if values.size < needed:
        raise UndefinedKpi(f"P{float(exact * 100):g} needs at least {needed} samples, there are {values.size}")
    rank = math.ceil(exact * values.size)
    return float(np.partition(values, rank - 1)[rank - 1])


def percentile_confidence_interval(samples: ArrayLike, fraction: float, level: float = 0.95) -> Interval:
    """Return the confidence interval of a percentile, from order statistics and the exact binomial distribution.

    Each bound is one of the samples and is missed with a probability of at most ``(1 - level) / 2``, whatever the
    distribution of the samples, provided they are independent.  A bound that would lie beyond the smallest or the
    largest sample is None: that many samples cannot bound this percentile on that side.

    Draft: Section 14 asks for confidence intervals, without saying which.

    Args:
        samples: Values in any one unit, shape ``(n,)``.
        fraction: As for :func:`percentile`.
        level: Confidence level, above 0 and below 1.

    Raises:
        UndefinedKpi: There is no sample, or a sample is not a number.
        SpecError: The fraction or the level is not between 0 and 1.
    """
    # Loaded here and not above: it takes 0.3 s, and most commands compute no interval.
    from scipy.special import bdtr

    values = np.sort(_numbers(samples))
    below = float(_exact_fraction(fraction))
    tail = float((1 - _exact_fraction(level)) / 2)
    n = values.size
    if n == 0:
        raise UndefinedKpi("a confidence interval needs samples, there are none")

    def at_most(count: int) -> float:
        """Return the probability that at most ``count`` of the samples lie at or below the percentile."""
        return float(bdtr(count, n, below))

    low = bisect_right(range(n + 1), tail, key=at_most)
    high = bisect_left(range(n + 1), 1 - tail, key=at_most) + 1
    return Interval(
        float(values[low - 1]) if low >= 1 else None,
        float(values[high - 1]) if high <= n else None,
    )


def mean_confidence_interval(trials: ArrayLike, level: float = 0.95) -> Interval:
    """Return the confidence interval of a mean over trials, from Student's t distribution.

    Draft: Section 14 asks for confidence intervals, without saying which.

    Args:
        trials: One value a trial in any one unit, shape ``(n_trials,)``; both bounds are None for a single trial.
        level: Confidence level, above 0 and below 1.

    Raises:
        UndefinedKpi: There is no trial, or a value is not a finite number.
        SpecError: The level is not between 0 and 1.
    """
    # Loaded here and not above: it takes 0.3 s, and most commands compute no interval.
    from scipy.special import stdtrit

    values = _finite(trials)
    tail = float((1 - _exact_fraction(level)) / 2)
    if values.size == 1:
        return Interval(None, None)
    mean = float(values.mean())
    half = float(stdtrit(values.size - 1, 1 - tail)) * float(values.std(ddof=1)) / math.sqrt(values.size)
    return Interval(mean - half, mean + half)


def coefficient_of_variation(values: ArrayLike) -> float:
    """Return the sample standard deviation (divisor n - 1) over the mean.

    Draft: Section 9.1.

    Args:
        values: Values in any one unit, shape ``(n,)``.

    Raises:
        UndefinedKpi: Fewer than two values, a value is not a finite number, or the mean is zero.
    """
    numbers = _finite(values)
    mean = float(numbers.mean())
    if numbers.size < 2:
        raise UndefinedKpi("the coefficient of variation needs at least 2 values, there is 1")
    if mean == 0:
        raise UndefinedKpi("the coefficient of variation is not defined for a mean of zero")
    return float(numbers.std(ddof=1)) / mean


def _numbers(values: ArrayLike) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64).ravel()
    if np.isnan(numbers).any():
        raise UndefinedKpi("a sample is not a number")
    return numbers


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    numbers = _numbers(values)
    if numbers.size == 0:
        raise UndefinedKpi("there are no values")
    if np.isinf(numbers).any():
        raise UndefinedKpi("a value is infinite")
    return numbers


def _exact_fraction(fraction: float) -> Fraction:
    """Return the decimal that was written: 0.999 of 1000 samples is sample 999, and not 1000 by a rounding error."""
    if not 0 < fraction < 1:
        raise SpecError(f"a percentile or a confidence level lies between 0 and 1, not at {fraction}")
    return Fraction(str(float(fraction)))
