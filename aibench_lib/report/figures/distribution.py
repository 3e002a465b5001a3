"""Cumulative distributions of what the transfers of trials took."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from aibench_lib.report.figures.style import series, thousands

_MARKERS = 7


def distribution(axes: Axes, values: NDArray[np.float64], number: int, label: str) -> None:
    """Draw the fraction of ``values`` up to x as line ``number``; nothing if there are none."""
    thousands(axes.xaxis)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    if len(values):
        marks = np.unique(np.linspace(0, len(values) - 1, _MARKERS).astype(int))[1:-1].tolist()
        axes.ecdf(values, markevery=marks, label=label, **series(number))
