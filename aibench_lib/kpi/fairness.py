"""How evenly rates are shared."""

import numpy as np
from numpy.typing import ArrayLike

from aibench_lib.errors import UndefinedKpi


def jain_index(rates: ArrayLike) -> float:
    """Return Jain's fairness index, from 1/n (one has all) to 1 (all equal).

    Draft: Sections 5.3, 8.3, 9.3 and 9.4; the formula is the companion terminology's.

    Args:
        rates: Non-negative rates in any one unit, shape ``(n,)``.

    Raises:
        UndefinedKpi: There are no rates, all are zero, or one is negative or not a finite number.
    """
    values = np.asarray(rates, dtype=np.float64).ravel()
    if values.size == 0 or not np.isfinite(values).all() or (values < 0).any():
        raise UndefinedKpi("JFI needs rates that are finite and not negative")
    largest = values.max()
    if largest == 0:
        raise UndefinedKpi("JFI is not defined when all rates are zero")
    # Scaled by the largest, so that the squares neither overflow nor vanish.
    shares = values / largest
    return float(shares.sum() ** 2 / (values.size * (shares**2).sum()))
