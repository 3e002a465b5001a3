"""Write results so that a file is there whole or not at all."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from aibench_lib.errors import LabError


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file by way of a temporary one beside it and a rename.

    Raises:
        LabError: The disk is full or the folder cannot be written; what was at ``path`` is still there.
    """
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - a rename that is atomic on one file system
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise LabError(
            "controller", f"cannot write {path}: {error.strerror or error}; free space or choose another results_dir"
        ) from error


def write_json(path: Path, content: object) -> None:
    """Write indented JSON with :func:`write_whole`."""
    write_whole(path, lambda stream: stream.write((json.dumps(content, indent=2) + "\n").encode()))


def make_private_directory(path: Path) -> None:
    """Make a directory only its owner may enter; results are sensitive.

    Draft: Section 15.

    Raises:
        LabError: It cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LabError("controller", f"cannot make {path}: {error.strerror or error}") from error
