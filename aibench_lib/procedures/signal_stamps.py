"""Section 5: when a transfer is complete: which of the stamps of a sample a latency ends with."""

from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from aibench_lib import kpi

_SHARE = 0.05
"""The clocks of both ends are good enough if they are known to this share of the median latency."""
KEY = "latency_stamp"
"""Under which the stamp of a trial is kept with its samples."""


class Stamp(StrEnum):
    """What a KV_xfer_latency ends with."""

    RECEIVED = "remote signal"
    """The signal at the decode worker, by its clock."""
    ECHOED = "half of a round trip"
    """Half of the time until the decode worker's answer to the signal was back, by one clock."""
    COMPLETED = "local completion"
    """The completion at the prefill worker, which includes the way of the last acknowledgement."""


def choose_stamp(samples: pa.Table, uncertainty_ns: int) -> Stamp:
    """Return the best stamp that all transfers of a trial have.

    Draft: Section 5.2: "to receipt of the completion signal on the decode NIC ... or to polling".

    Args:
        samples: Finished transfers.
        uncertainty_ns: How well the difference of the two ends' clocks is known [ns].
    """
    if samples.num_rows and not samples["received_ns"].null_count:
        took = samples["received_ns"].to_numpy() - samples["posted_ns"].to_numpy()
        if took.min() >= 0 and uncertainty_ns <= _SHARE * float(np.median(took)):
            return Stamp.RECEIVED
    if samples.num_rows and not samples["echoed_ns"].null_count:
        return Stamp.ECHOED
    return Stamp.COMPLETED


def stamp_of(samples: pa.Table) -> Stamp:
    """Return the stamp that was chosen for the trial of some samples, as it is kept with them."""
    return Stamp((samples.schema.metadata or {})[KEY.encode()].decode())


def latency_us(samples: pa.Table, stamp: Stamp) -> NDArray[np.float64]:
    """Return KV_xfer_latency of each finished transfer, shape ``(n,)`` [us].

    Draft: Table 4.
    """
    posted = samples["posted_ns"].to_numpy()
    if stamp is Stamp.ECHOED:
        return kpi.kv_xfer_latency(posted, samples["echoed_ns"].to_numpy()) / 2
    name = "received_ns" if stamp is Stamp.RECEIVED else "completed_ns"
    return kpi.kv_xfer_latency(posted, samples[name].to_numpy())


def finished(samples: pa.Table) -> pa.Table:
    """Return the rows of what was completed."""
    return samples.filter((pc.field("status") == "ok") & pc.field("completed_ns").is_valid())
