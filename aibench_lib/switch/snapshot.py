"""The text of a switch's configuration from before the run, kept on our side."""

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aibench_lib.errors import LabError, SpecError
from aibench_lib.files import make_private_directory, write_whole
from aibench_lib.journal import Journal
from aibench_lib.platforms import Transport, load_platform
from aibench_lib.switch.session import Switch
from aibench_lib.switch.target import Target

SETTINGS = "settings"
SUFFIX = {Transport.NETMIKO: "cfg", Transport.GNMI: "json"}


def take(switch: Switch, target: Target, journal: Journal, run_dir: Path) -> None:
    """Read the configuration, write it to disk, then journal that it is there.

    Raises:
        LabError: The switch cannot be read, or the file cannot be written.
    """
    text = switch.read_config()
    file = f"{SETTINGS}/{target.host}.before.{SUFFIX[load_platform(target.platform).transport]}"
    _write(run_dir / file, text)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    journal.append("snapshot_taken", host=target.host, platform=target.platform, file=file, sha256=sha256)


def load(taken: Mapping[str, Any], target: Target, run_dir: Path) -> str:
    """Return the snapshot that a ``snapshot_taken`` event tells of.

    Raises:
        SpecError: It was taken of another platform.
        LabError: The file is missing, or is not what was written.
    """
    if taken["platform"] != target.platform:
        raise SpecError(
            f"{target.host}: switch.platform: {target.platform}, but its snapshot was taken as {taken['platform']}"
        )
    path = run_dir / str(taken["file"])
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LabError(
            target.host, f"its snapshot {path} cannot be read: {error.strerror}; restore it by hand"
        ) from error
    if hashlib.sha256(content).hexdigest() != taken["sha256"]:
        raise LabError(
            target.host, f"its snapshot {path} is not what was written; nothing was sent, restore it by hand"
        )
    return content.decode()


def difference(found: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return what has to change in ``found`` to become ``wanted``, as a unified diff; empty if nothing."""
    return list(difflib.unified_diff(found, wanted, "switch", "snapshot", lineterm="", n=1))


def keep_difference(lines: Sequence[str], host: str, run_dir: Path) -> Path:
    """Write a difference beside the snapshot and return its path.

    Raises:
        LabError: The file cannot be written.
    """
    path = run_dir / SETTINGS / f"{host}.diff"
    _write(path, "\n".join(lines) + "\n")
    return path


def _write(path: Path, text: str) -> None:
    make_private_directory(path.parent)
    write_whole(path, lambda file: file.write(text.encode()))
