"""One series of a window as a pandas frame, and how much its counters grew."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from aibench_lib.errors import UndefinedKpi
from aibench_lib.telemetry.measurements import FIELDS, TAGS, schema
from aibench_lib.telemetry.windows import fill_forward, resets


class Frames:
    """The series of a window; all of a measurement's are told apart at once, since some procedures need dozens.

    Args:
        tables: A window's rows by measurement.
    """

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = tables
        self._split: dict[str, Mapping[tuple[str, ...], pa.Table]] = {}

    def series(self, measurement: str, tags: Mapping[str, str]) -> pd.DataFrame:
        """Return the rows of one series of a measurement, one a time, filled forward.

        Args:
            measurement: Such as ``queue``.
            tags: The tags that name the series, such as ``switch``, ``interface`` and ``queue``.

        Returns:
            ``time_ns`` (int64, ascending) and the fields of the measurement: int64, or pandas' nullable Int64 with NA
            up to the first row that has the field.  Empty where nothing reports the series.
        """
        if measurement not in self._split:
            known = self._tables.get(measurement)
            self._split[measurement] = {} if known is None else _by_series(known, measurement)
        rows = self._split[measurement].get(tuple(tags[tag] for tag in TAGS[measurement]))
        if rows is None:
            rows = schema(measurement).empty_table()
        rows = rows.select(["time_ns", *FIELDS[measurement]])
        times = rows["time_ns"].to_numpy()
        # Counters and depth may come in two messages of one time: the later row, filled forward, has both.
        last_of_its_time = np.append(times[1:] != times[:-1], np.ones(min(1, times.size), bool))
        if not last_of_its_time.all():
            rows = rows.filter(pa.array(last_of_its_time))
        return pd.DataFrame({name: _column(rows[name].combine_chunks()) for name in rows.schema.names}, copy=False)


def _by_series(table: pa.Table, measurement: str) -> Mapping[tuple[str, ...], pa.Table]:
    """Return the rows of each series, filled forward, by the values of its tags."""
    filled = fill_forward(table, measurement)
    tags = [filled[tag].combine_chunks().dictionary_encode() for tag in TAGS[measurement]]
    codes = np.stack([tag.indices.to_numpy() for tag in tags])
    starts = np.flatnonzero(np.append(True, (codes[:, 1:] != codes[:, :-1]).any(axis=0))[: filled.num_rows])
    lengths = np.diff(starts, append=filled.num_rows)
    return {
        tuple(tag[start].as_py() for tag in tags): filled.slice(start, length)
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    }


def _column(values: pa.Array) -> NDArray[np.generic] | pd.api.extensions.ExtensionArray:
    """Return a column's values; whole numbers without pandas' own conversion, which costs ms where there are few."""
    if not pa.types.is_int64(values.type):
        return np.asarray(values.to_pandas())
    numbers: NDArray[np.int64] = values.fill_null(0).to_numpy()
    if not values.null_count:
        return numbers
    return pd.arrays.IntegerArray(numbers, values.is_null().to_numpy(zero_copy_only=False))


def delta(frame: pd.DataFrame, field: str, begin_ns: int, end_ns: int) -> int:
    """Return by how much a counter grew in a window.

    That is from its first row, which holds the last sample at or before the begin, to its last row, in which the first
    sample at or after the end is whatever other field that row came for.

    Args:
        frame: One series over one window, as :meth:`Frames.series` returns it.
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
