"""What agents send in a trial goes to disk as it comes, and is laid out as one table when the trial is over.

A trial of an hour needs no more memory than one of a second: nothing is decoded while the load runs, what is laid out
afterwards passes in pieces, and the table is mapped from its file.  The files have no name, so that nobody else can
open them and nothing is left of them, whatever becomes of this process.
"""

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aibench_lib.errors import LabError
from aibench_lib.worker.receipts import NEVER, ReceiptSheet
from aibench_lib.worker.samples import RECEIPTS, SCHEMA

_ROWS_A_PIECE = 1 << 16
"""Rows of the table's record batches: large enough that a batch costs nothing, small beside what a process takes."""
_OWN_TIMES = ("intended_ns", "posted_ns", "completed_ns", "echoed_ns")
"""Columns on the sending host's clock."""


class Spool:
    """The batches of one trial; a context manager that frees the disk.

    Args:
        folder: On whose file system they lie.

    Raises:
        LabError: The file system takes no file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with _disk(folder):
            self._file = _unnamed(folder)
        self._end = 0
        self._samples: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._receipts: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, host: str, samples: bytes, receipts: bytes) -> None:
        """Keep what one message of a host brought, encoded as it came; either may be empty.

        Raises:
            LabError: The disk is full.
        """
        for kind, data in ((self._samples, samples), (self._receipts, receipts)):
            if data:
                with _disk(self._folder):
                    self._file.write(data)
                kind[host].append((self._end, len(data)))
                self._end += len(data)

    def table(self, hosts: Iterable[str], offsets_ns: Mapping[str, int]) -> pa.Table:
        """Return all samples: host after host, the rows of each in its order, times on the controller's clock.

        Where a row has no ``received_ns``, the receipt of its signal gives it.

        Args:
            hosts: In the table's order.
            offsets_ns: Host -> by how much its clock is ahead of the controller's; a host that is missing is not ahead.

        Raises:
            LabError: A host's rows have another schema than ours, or the disk is full.
        """
        with _disk(self._folder), _unnamed(self._folder) as laid_out, ReceiptSheet(_unnamed(self._folder)) as sheet:
            self._file.flush()
            for host, places in self._receipts.items():
                for rows in self._read(host, places, RECEIPTS):
                    sheet.add(rows)
            with pa.ipc.new_file(laid_out, SCHEMA) as writer:
                for piece in _pieces(rows for host in hosts for rows in self._rows_of(host, sheet, offsets_ns)):
                    writer.write_batch(piece)
            laid_out.flush()
            # Not compressed: what is must be unpacked into memory before it can be read.
            with pa.memory_map(f"/proc/self/fd/{laid_out.fileno()}") as source:
                return pa.ipc.open_file(source).read_all()

    def _rows_of(self, host: str, sheet: ReceiptSheet, offsets_ns: Mapping[str, int]) -> Iterator[pa.RecordBatch]:
        position: dict[int, int] = {}
        for rows in self._read(host, self._samples[host], SCHEMA):
            yield _converted(_joined(rows, host, sheet, position), host, offsets_ns)

    def _read(self, host: str, places: Iterable[tuple[int, int]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for start, length in places:
            data = os.pread(self._file.fileno(), length, start)
            try:
                with pa.ipc.open_stream(data) as reader:
                    batches = list(reader)
                    same = reader.schema.equals(schema)
            except pa.ArrowInvalid as error:
                raise LabError(host, f"the agent sent rows that cannot be read: {error}") from error
            if not same:
                raise LabError(host, "the agent sent rows of another schema than ours; install the same version there")
            yield from (batch for batch in batches if batch.num_rows)


def _joined(rows: pa.RecordBatch, host: str, sheet: ReceiptSheet, position: dict[int, int]) -> pa.RecordBatch:
    """Fill ``received_ns`` from receipts; the rows of a queue pair are counted on from ``position``."""
    if not sheet.knows(host):
        return rows
    received = np.full(rows.num_rows, NEVER, np.int64)
    qps = rows.column("qp").to_numpy()
    for qp in np.unique(qps).tolist():
        places = np.flatnonzero(qps == qp)
        first = position.get(qp, 0)
        received[places] = sheet.times(host, qp, first, places.size)
        position[qp] = first + places.size
    from_receipts = pa.array(received, pa.int64(), mask=received == NEVER)
    return _with(rows, "received_ns", pc.coalesce(rows.column("received_ns"), from_receipts))


def _converted(rows: pa.RecordBatch, host: str, offsets_ns: Mapping[str, int]) -> pa.RecordBatch:
    """Put times on the controller's clock: the sender's own by its offset, what its peer has stamped by the peer's."""
    if not any(offsets_ns.values()):
        return rows
    for name in _OWN_TIMES:
        rows = _with(rows, name, pc.subtract(rows.column(name), offsets_ns.get(host, 0)))
    peers = rows.column("peer").dictionary_encode()
    ahead = pa.array([offsets_ns.get(peer, 0) for peer in peers.dictionary.to_pylist()], pa.int64())
    return _with(rows, "received_ns", pc.subtract(rows.column("received_ns"), ahead.take(peers.indices)))


def _with(rows: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    place = SCHEMA.get_field_index(name)
    return rows.set_column(place, SCHEMA.field(place), column)


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join small batches to such of about :data:`_ROWS_A_PIECE` rows."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= _ROWS_A_PIECE:
            yield pa.concat_batches(waiting)
            waiting = []
    if waiting:
        yield pa.concat_batches(waiting)


def _unnamed(folder: Path) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=folder)


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise LabError("controller", f"{folder}: the samples of the trial cannot be kept there: {reason}") from error
