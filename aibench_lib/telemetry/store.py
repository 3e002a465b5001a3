"""Keep records as columns: those a window may need in memory, all of them as Parquet segments in the run's folder."""

from array import array
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aibench_lib.files import write_whole
from aibench_lib.model import Record
from aibench_lib.telemetry.measurements import FIELDS, TAGS, schema
from aibench_lib.telemetry.windows import cut

_NO_END = (1 << 63) - 1


class MeasurementStore:
    """The rows of one measurement; its owner holds a lock around every call.

    Args:
        measurement: Its name.
        folder: Where its segments are written; those of an earlier collector are not touched.
        groups: The fields that come together with each sample; see :func:`aibench_lib.telemetry.windows.cut`.
    """

    def __init__(self, measurement: str, folder: Path, groups: Collection[Collection[str]]) -> None:
        self.measurement = measurement
        self.rows = 0
        self._folder = folder
        self._groups = groups
        self._schema = schema(measurement)
        written = [int(path.stem.rpartition("-")[2]) for path in folder.glob(f"{measurement}-*.parquet")]
        self._next_segment = max(written, default=-1) + 1
        self._series: dict[tuple[str, ...], int] = {}
        self._times = array("q")
        self._numbers = array("q")
        self._columns: dict[str, list[int | bool | None]] = {name: [] for name in FIELDS[measurement]}
        self._recent = self._schema.empty_table()
        self._unwritten = self._schema.empty_table()

    def append(self, record: Record) -> None:
        """Add one row."""
        self.rows += 1
        self._times.append(record.time_ns)
        self._numbers.append(self._series.setdefault(tuple(record.tags.values()), len(self._series)))
        fields = record.fields
        for name, column in self._columns.items():
            column.append(fields.get(name))  # type: ignore[arg-type] # the reader has converted it to the field's type

    def write(self) -> pa.Table:
        """Write the rows not yet written as the next segment, if there are any, and return them.

        Raises:
            LabError: The file cannot be written; no part of it stays, and the rows stay to be written next time.
        """
        fresh = self._drain()
        self._recent = pa.concat_tables([self._recent, fresh])
        self._unwritten = pa.concat_tables([self._unwritten, fresh])
        written = self._unwritten
        if written.num_rows:
            path = self._folder / f"{self.measurement}-{self._next_segment:06d}.parquet"
            write_whole(path, lambda file: pq.write_table(written, file, compression="zstd"), durable=False)
            self._next_segment += 1
            self._unwritten = self._schema.empty_table()
        return written

    def window(self, begin_ns: int, end_ns: int) -> pa.Table:
        """Return a window's written rows (see :func:`aibench_lib.telemetry.windows.cut`); forget those before it."""
        self._recent = cut(self._recent, self.measurement, begin_ns, _NO_END)
        return cut(self._recent, self.measurement, begin_ns, end_ns, self._groups)

    @property
    def pending_rows(self) -> int:
        """Rows that are in no segment yet."""
        return len(self._times) + int(self._unwritten.num_rows)

    def _drain(self) -> pa.Table:
        numbers = pa.array(np.array(self._numbers), pa.int64())
        keys = list(self._series)
        tags = {
            tag: pa.DictionaryArray.from_arrays(numbers, pa.array([key[place] for key in keys], pa.string())).cast(
                pa.string()
            )
            for place, tag in enumerate(TAGS[self.measurement])
        }
        fields = {name: pa.array(self._columns[name], kind) for name, kind in FIELDS[self.measurement].items()}
        table = pa.table(
            {"time_ns": pa.array(np.array(self._times), pa.int64()), **tags, **fields}, schema=self._schema
        )
        del self._times[:], self._numbers[:]
        for column in self._columns.values():
            column.clear()
        return table
