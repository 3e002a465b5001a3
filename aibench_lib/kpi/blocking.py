"""How long paused traffic held up messages that are not part of it (Test 8.2)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aibench_lib.errors import UndefinedKpi
from aibench_lib.kpi.fabric import fabric_fct


def added_delay(
    posted_ns: ArrayLike, completed_ns: ArrayLike, *, calm_until_ns: int, begin_ns: int, end_ns: int
) -> NDArray[np.float64]:
    """Return by how much a disturbance delayed each message posted in it [us].

    That is the message's completion time less the mean completion time of the same stream's messages that were complete
    before anything else was sent.

    Draft: Section 8.2, head-of-line blocking delay, which it does not define.

    Args:
        posted_ns: When each message of one stream was posted, shape ``(n,)``.
        completed_ns: When it was complete at the sender, same shape.
        calm_until_ns: Until then the stream was alone.
        begin_ns: Begin of the disturbance.
        end_ns: End of the disturbance.

    Raises:
        UndefinedKpi: No message was complete before the disturbance, or none was posted in it.
        TrialError: A message completed before it was posted.
    """
    posted = np.asarray(posted_ns, dtype=np.int64)
    completed = np.asarray(completed_ns, dtype=np.int64)
    took_us = fabric_fct(posted, completed)
    calm = completed < calm_until_ns
    disturbed = (posted >= begin_ns) & (posted <= end_ns)
    if not calm.any() or not disturbed.any():
        raise UndefinedKpi(
            f"added delay: {int(calm.sum())} messages before the disturbance, {int(disturbed.sum())} in it; needs both"
        )
    return np.asarray(took_us[disturbed] - took_us[calm].mean(), dtype=np.float64)
