"""The journal of a run: append-only JSON lines, on disk before the act they announce.

It drives resume and restore, so it must survive whatever ends the process that writes it.  Several processes append to
one journal (Ansible's forks); each event is one write under a lock.
"""

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aibench_lib.errors import LabError, SpecError


def _now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """The events of one run, in the order they were appended."""

    def __init__(self, path: Path, clock: Callable[[], datetime] = _now) -> None:
        """Name the file; it is made by the first event.

        Args:
            path: Usually ``results/<run>/journal.jsonl``.
            clock: Gives the wall clock's time of an event, in UTC.
        """
        self.path = path
        self._clock = clock

    def append(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
        """Write one event and wait until it is on disk.

        Args:
            event: What happened or is about to happen, such as ``change_intended``.
            fields: What to know of it; must be JSON values.

        Raises:
            LabError: The file cannot be written (a full disk); it then holds what it held before.
        """
        time = self._clock().isoformat(timespec="microseconds").replace("+00:00", "Z")
        line = json.dumps({"time": time, "event": event, **fields}, allow_nan=False).encode() + b"\n"
        try:
            with self._locked() as file:
                _append_whole(file, line)
        except OSError as error:
            raise LabError(
                "controller", f"cannot write {self.path}: {error.strerror}; free or repair the disk"
            ) from error

    def events(self) -> list[dict[str, Any]]:
        """Return every event; a last line that was torn by a crash is no event.

        Raises:
            SpecError: The file cannot be read, or a line other than the last is not an event.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SpecError(f"{self.path}: cannot be read: {error.strerror}") from error
        return [self._parse(line, number) for number, line in enumerate(lines[:-1], start=1)]

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            event = json.loads(line)
        except ValueError as error:
            raise SpecError(
                f"{self.path}: line {number} is not JSON; the file was damaged after it was written"
            ) from error
        if not isinstance(event, dict) or "event" not in event:
            raise SpecError(f"{self.path}: line {number} is not an event")
        return event

    @contextmanager
    def _locked(self) -> Iterator[int]:
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _append_whole(file: int, line: bytes) -> None:
    """Append ``line`` whole or not at all, after cutting off what an earlier crash left torn."""
    size = os.fstat(file).st_size
    whole = size - _torn_bytes(file, size)
    if whole < size:
        os.ftruncate(file, whole)
    if os.write(file, line) < len(line):  # the disk filled up in the middle of the line
        os.ftruncate(file, whole)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file)


def _torn_bytes(file: int, size: int) -> int:
    """Return how many bytes stand after the last newline."""
    if size == 0 or os.pread(file, 1, size - 1) == b"\n":
        return 0
    content = os.pread(file, size, 0)
    return size - (content.rfind(b"\n") + 1)
