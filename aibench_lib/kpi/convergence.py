"""When competing traffic classes have settled on stable rates (Test 8.3)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aibench_lib.errors import TrialError, UndefinedKpi


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """What counts as settled; the report prints it, since the draft leaves all but ``fraction`` open."""

    fraction: float
    """Largest distance of a rate from its steady state, as a part of the steady state."""
    steady_ns: int
    """The steady state is the mean over the last windows that begin within this time [ns]."""
    hold_ns: int
    """The rates must stay there for so long [ns]."""


def steady_state(begin_ns: ArrayLike, rates: ArrayLike, steady_ns: int) -> NDArray[np.float64]:
    """Return each class's mean rate over the end of a series, in the unit of ``rates``, shape ``(n_classes,)``.

    Draft: Section 8.3, which does not define the steady state.

    Args:
        begin_ns: Begin of each window of the series [ns], evenly rising, shape ``(n,)``.
        rates: Rate of each class in each window, any one unit, shape ``(n, n_classes)``.
        steady_ns: How much of the end is taken [ns].

    Raises:
        UndefinedKpi: There is no window.
        TrialError: Times and rates do not belong together.
    """
    begin, values, window_ns = _series(begin_ns, rates)
    last = begin >= begin[-1] + window_ns - steady_ns
    return np.asarray(values[last].mean(axis=0), dtype=np.float64)


def convergence_ns(begin_ns: ArrayLike, rates: ArrayLike, introduced_ns: int, criterion: Criterion) -> int:
    """Return the time from the introduction of the second class to stable rates of all [ns].

    Rates are stable from the first window on, not earlier than the introduction, with which a stretch of
    ``criterion.hold_ns`` begins in which every class stays within ``criterion.fraction`` of its steady state.
    A stretch that the end of the series cuts short does not count.

    Draft: Section 8.3, "to within 5% of steady-state rates".

    Args:
        begin_ns: As for :func:`steady_state`.
        rates: As for :func:`steady_state`.
        introduced_ns: When the second class began, on the clock of ``begin_ns`` [ns].
        criterion: What counts as stable.

    Returns:
        A multiple of the window's length after the first whole window, which is the resolution.

    Raises:
        UndefinedKpi: The rates do not settle within the series.
        TrialError: Times and rates do not belong together.
    """
    begin, values, window_ns = _series(begin_ns, rates)
    steady = steady_state(begin, values, criterion.steady_ns)
    near = np.all(np.abs(values - steady) <= criterion.fraction * steady, axis=1)
    needed = max(1, -(-criterion.hold_ns // window_ns))
    in_a_row = 0
    for time, is_near in zip(
        begin[begin >= introduced_ns].tolist(), near[begin >= introduced_ns].tolist(), strict=True
    ):
        in_a_row = in_a_row + 1 if is_near else 0
        if in_a_row == needed:
            return int(time) - (needed - 1) * window_ns - introduced_ns
    raise UndefinedKpi(
        f"convergence_time: no {criterion.hold_ns} ns in a row within {100 * criterion.fraction:g} % of the steady "
        "state after the introduction"
    )


def _series(begin_ns: ArrayLike, rates: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
    """Return times, rates by window and class, and the length of a window."""
    begin = np.asarray(begin_ns, dtype=np.int64)
    values = np.asarray(rates, dtype=np.float64)
    if begin.ndim != 1 or values.ndim != 2 or len(begin) != len(values):
        raise TrialError(f"rates over time: {begin.shape} times do not fit to {values.shape} rates")
    if begin.size < 2:
        raise UndefinedKpi("rates over time: fewer than two windows")
    steps = np.diff(begin)
    if steps[0] <= 0 or (steps != steps[0]).any():
        raise TrialError("rates over time: the windows are not evenly spaced")
    return begin, values, int(steps[0])
