"""The processes a lab lives for: it goes down when the last of them is gone."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from aibench_lib.lab_process.state import StateDirectory

_HOLDERS = "holders"


def add_holder(directory: StateDirectory, pid: int) -> bool:
    """Let the lab live at least as long as a process does.

    Returns:
        Whether the process is alive and now counts.
    """
    start = start_time(pid)
    if start is None:
        return False
    holders = directory.path / _HOLDERS
    holders.mkdir(mode=0o700, exist_ok=True)
    directory.write(f"{_HOLDERS}/{pid}", start.encode())
    return True


def start_time(pid: int) -> str | None:
    """Return when a process started [clock ticks after boot], which tells it from a later one with its number."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()[19]


def clear_holders(directory: StateDirectory) -> None:
    """Forget every holder."""
    for file in _files(directory):
        file.unlink(missing_ok=True)


class HolderWatch:
    """Calls ``gone`` once, when no holder is left; a lab that starts without holders is not watched.

    Holders that join later are found when one that is known has ended: until then nothing depends on them.
    """

    def __init__(self, directory: StateDirectory, gone: Callable[[], None]) -> None:
        self._directory = directory
        self._gone = gone
        self._descriptors: dict[str, int] = {}

    def start(self) -> None:
        """Watch the holders there are; must be called in the event loop."""
        if _files(self._directory) and not self._watch_all():
            self._gone()

    def _watch_all(self) -> bool:
        for file in _files(self._directory):
            if file.name not in self._descriptors and not self._watch(file):
                file.unlink(missing_ok=True)
        return bool(self._descriptors)

    def _watch(self, file: Path) -> bool:
        pid = int(file.name)
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        if start_time(pid) != file.read_text(encoding="utf-8"):
            os.close(descriptor)
            return False
        self._descriptors[file.name] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._ended, file)
        return True

    def _ended(self, file: Path) -> None:
        descriptor = self._descriptors.pop(file.name)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        with self._directory.deciding():
            file.unlink(missing_ok=True)
            if self._watch_all():
                return
            self._directory.forget()
        self._gone()


def _files(directory: StateDirectory) -> list[Path]:
    holders = directory.path / _HOLDERS
    return [file for file in holders.iterdir() if file.name.isdigit()] if holders.is_dir() else []
