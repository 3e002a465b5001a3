"""Pure functions over tables of telemetry: cut a window, fill forward, find gaps and resets.

A null means "unchanged since the row before", so whoever reads a value fills forward first. Integers stay integers:
a counter may need all 64 bits.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aibench_lib.telemetry.measurements import FIELDS, TAGS

Integers = npt.NDArray[np.int64]


def cut(table: pa.Table, measurement: str, begin_ns: int, end_ns: int) -> pa.Table:
    """Return a window's rows: of each series from the last at or before its begin to the first at or after its end.

    Args:
        table: Rows of one measurement in any order.
        measurement: Its name.
        begin_ns: Begin of the window [ns].
        end_ns: End of the window [ns].

    Returns:
        The rows sorted by series and time. Each series' first row is filled forward from all of its rows before, so
        that a field which has not changed since long ago is there.
    """
    if not table.num_rows:
        return table
    starts, filled = _fill_by_series(table, measurement)
    times = filled["time_ns"].to_numpy()
    positions = np.arange(times.size)
    before = np.maximum.reduceat(np.where(times <= begin_ns, positions, -1), starts)
    after = np.minimum.reduceat(np.where(times >= end_ns, positions, times.size), starts)
    lengths = np.diff(starts, append=times.size)
    first = np.repeat(np.maximum(before, starts), lengths)
    chosen = (positions >= first) & (positions <= np.repeat(after, lengths))
    unfilled = _sorted(table, measurement)
    columns = [
        unfilled[name].combine_chunks()
        if name not in FIELDS[measurement]
        else pc.if_else(pa.array(positions == first), filled[name].combine_chunks(), unfilled[name].combine_chunks())
        for name in table.schema.names
    ]
    return pa.table(columns, schema=table.schema).filter(pa.array(chosen))


def fill_forward(table: pa.Table, measurement: str) -> pa.Table:
    """Return the rows sorted by series and time, each null replaced by the value of the series' row before."""
    return _fill_by_series(table, measurement)[1] if table.num_rows else table


def gaps(times_ns: Sequence[int] | Integers, longest_ns: int, begin_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """Return the silences within a window that are longer than allowed.

    Args:
        times_ns: Times of a subscription's messages, ascending [ns].
        longest_ns: Longest silence that is allowed [ns].
        begin_ns: Begin of the window [ns].
        end_ns: End of the window [ns].

    Returns:
        ``(from, to)`` of each silence that overlaps the window [ns].
    """
    times = np.asarray(times_ns, dtype=np.int64)
    before, after = times[:-1], times[1:]
    found = (after - before > longest_ns) & (after > begin_ns) & (before < end_ns)
    return [(int(a), int(b)) for a, b in zip(before[found], after[found], strict=True)]


def resets(values: Sequence[int] | Integers) -> npt.NDArray[np.intp]:
    """Return the positions at which a counter is smaller than just before."""
    counter = np.asarray(values, dtype=np.int64)
    return np.flatnonzero(counter[1:] < counter[:-1]) + 1


def first_reset(table: pa.Table, measurement: str, counters: Iterable[str]) -> dict[str, Any] | None:
    """Return the first row (filled forward) at which a counter of a series went backwards, and which.

    Args:
        table: A window's rows of one measurement.
        measurement: Its name.
        counters: Fields that never shrink.

    Returns:
        The row's tags and ``time_ns``, and the counter's name as ``field``; None if there is none.
    """
    if not table.num_rows:
        return None
    starts, filled = _fill_by_series(table, measurement)
    for name in counters:
        column = filled[name]
        known = column.is_valid().to_numpy()
        positions = np.flatnonzero(known)
        back = positions[resets(column.drop_null().to_numpy())]
        back = back[~np.isin(back, starts) & known[back - 1]]
        if back.size:
            row = filled.slice(int(back[0]), 1).select(["time_ns", *TAGS[measurement]]).to_pylist()[0]
            return {**row, "field": name}
    return None


def _sorted(table: pa.Table, measurement: str) -> pa.Table:
    return table.take(pa.array(np.lexsort((table["time_ns"].to_numpy(), _series_numbers(table, measurement)))))


def _fill_by_series(table: pa.Table, measurement: str) -> tuple[Integers, pa.Table]:
    """Return where each series starts, and the rows sorted by series and time with nulls filled within a series."""
    rows = _sorted(table, measurement)
    numbers = _series_numbers(rows, measurement)
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    series_start = np.repeat(starts, np.diff(starts, append=numbers.size))
    for place, name in enumerate(rows.schema.names):
        if name not in FIELDS[measurement]:
            continue
        column = rows[name].combine_chunks()
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        source = np.maximum.accumulate(np.where(valid, np.arange(numbers.size), -1))
        nothing = source < series_start
        filled = column.take(pa.array(np.where(nothing, 0, source), mask=nothing))
        rows = rows.set_column(place, rows.schema.field(name), filled)
    return starts, rows


def _series_numbers(table: pa.Table, measurement: str) -> Integers:
    """Return a number a row that is the same for, and only for, rows of the same tags."""
    numbers = np.zeros(table.num_rows, dtype=np.int64)
    for tag in TAGS[measurement]:
        encoded = table[tag].combine_chunks().dictionary_encode()
        numbers = numbers * (len(encoded.dictionary) + 1) + encoded.indices.to_numpy()
    return numbers
