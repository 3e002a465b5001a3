"""Series that are sampled at different times, put on common times."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aibench_lib.errors import UndefinedKpi


def held(time_ns: ArrayLike, values: ArrayLike, at_ns: ArrayLike) -> NDArray[np.int64]:
    """Return the last known value at each of some times; before the first sample, the first.

    Args:
        time_ns: When the series was sampled, rising, shape ``(n,)``.
        values: What was sampled, same shape; a counter that did not change may have no sample.
        at_ns: The times asked for, shape ``(m,)``.

    Returns:
        Shape ``(m,)``.

    Raises:
        UndefinedKpi: There is no sample.
    """
    time = np.asarray(time_ns, dtype=np.int64)
    if time.size == 0:
        raise UndefinedKpi("the series has no sample")
    last = np.searchsorted(time, np.asarray(at_ns, dtype=np.int64), side="right") - 1
    return np.asarray(values, dtype=np.int64)[np.maximum(last, 0)]
