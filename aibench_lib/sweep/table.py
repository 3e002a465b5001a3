"""Run a sweep and write its table, a row a point, the same bytes however the points were run."""

import contextlib
import math
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from aibench_lib.errors import SpecError
from aibench_lib.files import write_whole
from aibench_lib.simulator import warm_up
from aibench_lib.sweep.point import Row
from aibench_lib.sweep.spec import load_sweep
from aibench_lib.sweep.workers import on_cluster, on_this_machine

_SUFFIXES = (".csv", ".parquet")


def run_sweep(file: Path, output: Path, workers: int, scheduler: str | None, say: Callable[[str], None]) -> int:
    """Run all points of a sweep and write the table; return the number of points.

    Args:
        file: The sweep's file; see ``docs/sweep.md``.
        output: The table, ``.csv`` or ``.parquet``; there is none before the last point is done.
        workers: Simulations at a time.
        scheduler: Address of a Dask scheduler, ``local`` for a cluster started here, None for threads.
        say: Called with a line for the user: progress and the time left.

    Raises:
        SpecError: The file or an argument is wrong.
        LabError: The table cannot be written, or the cluster fails.
    """
    if output.suffix not in _SUFFIXES:
        raise SpecError(f"{output}: the table's name must end in {' or '.join(_SUFFIXES)}")
    if workers < 1:
        raise SpecError(f"--workers: {workers} is too few, at least 1")
    points = load_sweep(file)
    if scheduler is None:
        warm_up(say)
    running = on_this_machine(points, workers) if scheduler is None else on_cluster(points, workers, scheduler)
    rows: dict[int, Row] = {}
    start = time.monotonic()
    with contextlib.closing(running):  # what is running ends with it, also after Ctrl-C
        for number, row in running:
            rows[number] = row
            say(progress(len(rows), len(points), time.monotonic() - start))
    table = pa.Table.from_pylist([rows[number] for number in range(len(points))])
    write = pa.csv.write_csv if output.suffix == ".csv" else pa.parquet.write_table
    write_whole(output, lambda file: write(table, file))
    return len(points)


def progress(done: int, of: int, seconds: float) -> str:
    """Return how far a sweep is and how long it will take, if the rest is like what is done."""
    left = math.ceil(seconds / done * (of - done))
    minutes, rest = divmod(left, 60)
    return f"{done} of {of} points, {minutes} min {rest} s left" if minutes else f"{done} of {of} points, {rest} s left"
