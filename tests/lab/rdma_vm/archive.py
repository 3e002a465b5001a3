"""The guest's file system: a tree of names in memory, written as the cpio archive that a Linux kernel unpacks."""

import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO


@dataclass(frozen=True)
class _Entry:
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


class Tree:
    """Files, folders, links and devices by their names without a leading slash; all belong to root."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def folder(self, name: str) -> None:
        """Add a folder; those above a name come by themselves."""
        self._entries.setdefault(name, _Entry(stat.S_IFDIR | 0o755))

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self._entries[name] = _Entry(stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link, unless something has the name."""
        self._entries.setdefault(name, _Entry(stat.S_IFLNK | 0o777, target.encode()))

    def device(self, name: str, major: int, minor: int) -> None:
        """Add a character device."""
        self._entries[name] = _Entry(stat.S_IFCHR | 0o666, b"", (major, minor))

    def take(self, path: Path, name: str) -> None:
        """Add what lies at a path of this machine."""
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            self.link(name, str(path.readlink()))
        elif stat.S_ISDIR(mode):
            self.folder(name)
        else:
            self.file(name, path.read_bytes(), mode & 0o755)

    def write(self, file: Path) -> None:
        """Write the archive, whole or not at all."""
        for name in list(self._entries):
            for parent in PurePosixPath(name).parents[:-1]:
                self.folder(str(parent))
        partial = file.with_suffix(".partial")
        with partial.open("wb") as out:
            for number, name in enumerate(sorted(self._entries), start=1):
                _write(out, number, name, self._entries[name])
            _write(out, 0, "TRAILER!!!", _Entry(0))
        partial.replace(file)


def _write(out: BinaryIO, number: int, name: str, entry: _Entry) -> None:
    path = name.encode() + b"\0"
    fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(path), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    for part in (header, entry.data):
        out.write(part + b"\0" * (-len(part) % 4))
