"""When each signal was seen by its receiver, on disk, found by queue pair and sequence."""

import itertools
import os
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

NEVER = -1
"""A signal that was not seen."""

_SLOTS = 4096
"""Times in one piece of the file; a piece belongs to one queue pair."""
_SLOT_BYTES = 8
_QP_BITS = 32
_EMPTY = np.full(_SLOTS, NEVER, np.int64).tobytes()


class ReceiptSheet:
    """A slot a signal in an unnamed file, so that no number of receipts has to fit in memory.

    Args:
        file: Empty, opened for reading and writing; closed with the sheet.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._pieces: dict[tuple[str, int, int], int] = {}
        self._hosts: set[str] = set()
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def knows(self, host: str) -> bool:
        """Return whether there is any receipt of what a host sent."""
        return host in self._hosts

    def add(self, receipts: pa.RecordBatch) -> None:
        """Note receipts.

        Args:
            receipts: Columns of :data:`aibench_lib.worker.samples.RECEIPTS`.

        Raises:
            OSError: The disk is full.
        """
        hosts = receipts.column("host").dictionary_encode()
        names = hosts.dictionary.to_pylist()
        self._hosts.update(names)
        sequences = receipts.column("sequence").to_numpy()
        qps = receipts.column("qp").to_numpy().astype(np.int64)
        keys = hosts.indices.to_numpy().astype(np.int64) << _QP_BITS | qps
        order = np.lexsort((sequences, keys))
        keys, sequences = keys[order], sequences[order]
        times = receipts.column("received_ns").to_numpy()[order]
        for first, last in _runs(keys, sequences):
            piece, slot = divmod(int(sequences[first]), _SLOTS)
            start = self._piece(names[keys[first] >> _QP_BITS], int(qps[order[first]]), piece) + slot * _SLOT_BYTES
            _write_all(self._file.fileno(), times[first:last].tobytes(), start)

    def times(self, host: str, qp: int, first: int, count: int) -> NDArray[np.int64]:
        """Return when ``count`` signals of a queue pair from the ``first`` on were seen, shape ``(count,)`` [ns].

        :data:`NEVER` where one was not.
        """
        found = np.full(count, NEVER, np.int64)
        done = 0
        while done < count:
            piece, slot = divmod(first + done, _SLOTS)
            part = min(count - done, _SLOTS - slot)
            place = self._pieces.get((host, qp, piece))
            if place is not None:
                data = os.pread(self._file.fileno(), part * _SLOT_BYTES, place + slot * _SLOT_BYTES)
                found[done : done + part] = np.frombuffer(data, np.int64)
            done += part
        return found

    def _piece(self, host: str, qp: int, piece: int) -> int:
        """Return where a piece lies in the file; a new one says of every signal that it was not seen."""
        key = (host, qp, piece)
        if key not in self._pieces:
            _write_all(self._file.fileno(), _EMPTY, self._end)
            self._pieces[key] = self._end
            self._end += len(_EMPTY)
        return self._pieces[key]


def _runs(keys: NDArray[np.int64], sequences: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield where runs of rows with one queue pair, one piece and no gap begin and end: each is written at once."""
    breaks = (np.diff(keys) != 0) | (np.diff(sequences) != 1) | (sequences[1:] % _SLOTS == 0)
    bounds = [0, *(np.flatnonzero(breaks) + 1).tolist(), keys.size]
    yield from itertools.pairwise(bounds)


def _write_all(descriptor: int, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, start)
        view, start = view[written:], start + written
