"""One series of a window as a pandas frame, and how much its counters grew."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from aibench_lib.errors import UndefinedKpi
from aibench_lib.telemetry.measurements import FIELDS
from aibench_lib.telemetry.windows import fill_forward, resets


def queue_frame(tables: Mapping[str, pa.Table], switch: str, interface: str, queue: str) -> pd.DataFrame:
    """Return the rows of one egress queue, one a time, filled forward.

    Args:
        tables: A window's rows by measurement.
        switch: The switch's inventory name.
        interface: The port, as the switch names it.
        queue: The queue, as the switch names it.

    Returns:
        ``time_ns`` (int64, ascending) and the fields of the measurement ``queue``: int64, or pandas' nullable Int64
        with NA up to the first row that has the field.
    """
    table = tables["queue"]
    for tag, value in (("switch", switch), ("interface", interface), ("queue", queue)):
        table = table.filter(pc.equal(table[tag], value))
    filled = fill_forward(table, "queue").select(["time_ns", *FIELDS["queue"]])
    frame: pd.DataFrame = filled.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    # Counters and depth may come in two messages of one time: the later row, filled forward, has both.
    frame = frame.drop_duplicates("time_ns", keep="last", ignore_index=True)
    return frame.astype({name: "int64" for name in frame if not frame[name].hasnans})


def delta(frame: pd.DataFrame, field: str, begin_ns: int, end_ns: int) -> int:
    """Return by how much a counter grew, from its last sample at or before begin to its first at or after end.

    Args:
        frame: One series, as :func:`queue_frame` returns it.
        field: A counter's name.
        begin_ns: Begin of the window [ns].
        end_ns: End of the window [ns].

    Raises:
        UndefinedKpi: There is no sample before, or none after, or the counter went backwards.
    """
    known = frame[frame[field].notna()]
    times, values = known["time_ns"].to_numpy(np.int64), known[field].to_numpy(np.int64)
    before = int(np.searchsorted(times, begin_ns, side="right")) - 1
    after = int(np.searchsorted(times, end_ns, side="left"))
    if before < 0 or after == times.size:
        missing = "at or before the begin" if before < 0 else "at or after the end"
        raise UndefinedKpi(f"{field}: no sample {missing} of the window from {begin_ns} to {end_ns} ns")
    if resets(values[before : after + 1]).size:
        raise UndefinedKpi(f"{field}: the counter went backwards in the window from {begin_ns} to {end_ns} ns")
    return int(values[after] - values[before])
