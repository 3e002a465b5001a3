"""One series of a window as a pandas frame, and how much its counters grew."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from aibench_lib.errors import UndefinedKpi
from aibench_lib.telemetry.measurements import FIELDS, schema
from aibench_lib.telemetry.windows import fill_forward, resets


def series_frame(tables: Mapping[str, pa.Table], measurement: str, tags: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of one series of a measurement, one a time, filled forward.

    Args:
        tables: A window's rows by measurement.
        measurement: Such as ``queue``.
        tags: The tags that name the series, such as ``switch``, ``interface`` and ``queue``.

    Returns:
        ``time_ns`` (int64, ascending) and the fields of the measurement: int64, or pandas' nullable Int64 with NA up
        to the first row that has the field.  Empty where nothing reports the series.
    """
    table = tables.get(measurement, schema(measurement).empty_table())
    for tag, value in tags.items():
        table = table.filter(pc.equal(table[tag], value))
    filled = fill_forward(table, measurement).select(["time_ns", *FIELDS[measurement]])
    frame: pd.DataFrame = filled.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    # Counters and depth may come in two messages of one time: the later row, filled forward, has both.
    frame = frame.drop_duplicates("time_ns", keep="last", ignore_index=True)
    whole = [name for name in frame if frame[name].dtype == "Int64" and not frame[name].hasnans]
    return frame.astype(dict.fromkeys(whole, "int64"))


def delta(frame: pd.DataFrame, field: str, begin_ns: int, end_ns: int) -> int:
    """Return by how much a counter grew in a window.

    That is from its first row, which holds the last sample at or before the begin, to its last row, in which the first
    sample at or after the end is whatever other field that row came for.

    Args:
        frame: One series over one window, as :func:`series_frame` returns it.
        field: A counter's name.
        begin_ns: Begin of the window [ns].
        end_ns: End of the window [ns].

    Raises:
        UndefinedKpi: There is no sample before, or none after, or the counter went backwards.
    """
    known = frame[frame[field].notna()]
    times, values = known["time_ns"].to_numpy(np.int64), known[field].to_numpy(np.int64)
    for side, missing in (
        ("at or before the begin", not times.size or times[0] > begin_ns),
        ("at or after the end", not times.size or times[-1] < end_ns),
    ):
        if missing:
            raise UndefinedKpi(f"{field}: no sample {side} of the window from {begin_ns} to {end_ns} ns")
    if resets(values).size:
        raise UndefinedKpi(f"{field}: the counter went backwards in the window from {begin_ns} to {end_ns} ns")
    return int(values[-1] - values[0])
