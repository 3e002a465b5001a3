"""Pure functions over tables of telemetry: cut a window, fill forward, find gaps and resets.

A null means "unchanged since the row before", so whoever reads a value fills forward first. Integers stay integers:
a counter may need all 64 bits.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aibench_lib.telemetry.measurements import FIELDS, TAGS

Integers = npt.NDArray[np.int64]

_NEVER, _LATEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def cut(
    table: pa.Table, measurement: str, begin_ns: int, end_ns: int, groups: Collection[Collection[str]] = ()
) -> pa.Table:
    """Return a window's rows: of each series from the last at or before its begin to the first at or after its end.

    Args:
        table: Rows of one measurement in any order.
        measurement: Its name.
        begin_ns: Begin of the window [ns].
        end_ns: End of the window [ns].
        groups: Fields that come together, where a measurement's fields come at different times; the window then goes
            on to the first row at or after its end of each group that has one. By default all fields are one group.

    Returns:
        The rows sorted by series and time. Each series' first row is filled forward from all of its rows before, so
        that a field which has not changed since long ago is there.
    """
    if not table.num_rows:
        return table
    starts, rows, filled = _fill_by_series(table, measurement)
    times = rows["time_ns"].to_numpy()
    positions = np.arange(times.size)
    before = np.maximum.reduceat(np.where(times <= begin_ns, positions, -1), starts)
    until = np.full(starts.size, _NEVER)
    for group in groups or [FIELDS[measurement]]:
        here = np.logical_or.reduce([_known(rows[name]) for name in group])
        after = np.minimum.reduceat(np.where(here & (times >= end_ns), times, _LATEST), starts)
        until = np.maximum(until, np.where(after < _LATEST, after, _NEVER))
    until[until == _NEVER] = _LATEST
    lengths = np.diff(starts, append=times.size)
    first = np.repeat(np.maximum(before, starts), lengths)
    is_first = pa.array(positions == first)
    for place, name in enumerate(rows.schema.names):
        if name in FIELDS[measurement]:
            column = pc.if_else(is_first, filled[name].combine_chunks(), rows[name].combine_chunks())
            rows = rows.set_column(place, rows.schema.field(name), column)
    return rows.filter(pa.array((positions >= first) & (times <= np.repeat(until, lengths))))


def fill_forward(table: pa.Table, measurement: str) -> pa.Table:
    """Return the rows sorted by series and time, each null replaced by the value of the series' row before."""
    return _fill_by_series(table, measurement)[2] if table.num_rows else table


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
    starts, _, filled = _fill_by_series(table, measurement)
    for name in counters:
        column = filled[name]
        known = _known(column)
        positions = np.flatnonzero(known)
        back = positions[resets(column.drop_null().to_numpy())]
        back = back[~np.isin(back, starts) & known[back - 1]]
        if back.size:
            row = filled.slice(int(back[0]), 1).select(["time_ns", *TAGS[measurement]]).to_pylist()[0]
            return {**row, "field": name}
    return None


def _fill_by_series(table: pa.Table, measurement: str) -> tuple[Integers, pa.Table, pa.Table]:
    """Return where each series starts, the rows sorted by series and time, and these with nulls filled forward."""
    rows = table.take(pa.array(np.lexsort((table["time_ns"].to_numpy(), _series_numbers(table, measurement)))))
    numbers = _series_numbers(rows, measurement)
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    series_start = np.repeat(starts, np.diff(starts, append=numbers.size))
    filled = rows
    for place, name in enumerate(rows.schema.names):
        if name not in FIELDS[measurement]:
            continue
        source = np.maximum.accumulate(np.where(_known(rows[name]), np.arange(numbers.size), -1))
        nothing = source < series_start
        column = rows[name].combine_chunks().take(pa.array(np.where(nothing, 0, source), mask=nothing))
        filled = filled.set_column(place, rows.schema.field(name), column)
    return starts, rows, filled


def _known(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    known: npt.NDArray[np.bool_] = column.is_valid().to_numpy()
    return known


def _series_numbers(table: pa.Table, measurement: str) -> Integers:
    """Return a number a row that is the same for, and only for, rows of the same tags."""
    numbers = np.zeros(table.num_rows, dtype=np.int64)
    for tag in TAGS[measurement]:
        encoded = table[tag].combine_chunks().dictionary_encode()
        numbers = numbers * (len(encoded.dictionary) + 1) + encoded.indices.to_numpy()
    return numbers
