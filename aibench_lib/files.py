"""Write files that are there whole or not at all."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from aibench_lib.errors import LabError


def write_whole(path: Path, write: Callable[[BinaryIO], object], *, durable: bool = True) -> None:
    """Write a file by way of a temporary one beside it and a rename.

    Args:
        path: Where the file will be; readable by its owner alone.
        write: Writes the content into an open file.
        durable: Whether to wait until the file would survive a loss of power.

    Raises:
        LabError: The disk is full or the folder cannot be written; what was at ``path`` is still there, and no part of
            the new file is.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            write(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise LabError(
            "controller", f"cannot write {path}: {_reason(error)}; free space or choose another results_dir"
        ) from error


def write_json(path: Path, content: object) -> None:
    """Write indented JSON with :func:`write_whole`."""
    write_whole(path, lambda file: file.write((json.dumps(content, indent=2) + "\n").encode()))


def make_private_directory(path: Path) -> None:
    """Make a directory only its owner may enter; results are sensitive.

    Draft: Section 15.

    Raises:
        LabError: It cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LabError("controller", f"cannot make {path}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    """Return what the system says; Arrow's errors have a number and a text of their own."""
    return os.strerror(error.errno) if error.errno else str(error)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
