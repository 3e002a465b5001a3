"""Files that are there whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from aibench_lib.errors import LabError


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside its place, and put it there when it is complete.

    Args:
        path: Where the file will be.
        write: Writes the content into an open file.

    Raises:
        LabError: It cannot be written, because the disk is full for one; no part of it stays.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            write(file)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise LabError("controller", f"{path}: {reason}; free space or set results_dir") from error
