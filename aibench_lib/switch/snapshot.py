"""The text of a switch's configuration, kept on our side: from before the run, and as our last change has left it."""

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
SHOWN_LINES = 40
"""Lines of a difference in a message; the file has them all."""


def take(switch: Switch, target: Target, journal: Journal, run_dir: Path) -> None:
    """Read the configuration, write it to disk, then journal that it is there.

    Raises:
        LabError: The switch cannot be read or brought back, or the file cannot be written.
    """
    text = switch.read_config()
    switch.check_restorable(text)
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


def keep_after(lines: Sequence[str], host: str, run_dir: Path) -> dict[str, str]:
    """Write what a change has left beside the snapshot; return where, and by what to know it.

    Raises:
        LabError: The file cannot be written.
    """
    file = f"{SETTINGS}/{host}.after.cfg"
    _write(run_dir / file, _text(lines))
    return {"after": file, "after_sha256": fingerprint(lines)}


def load_after(left: Mapping[str, Any], run_dir: Path) -> list[str] | None:
    """Return what the change of a ``change_applied`` event had left, None if the file is not that any more."""
    try:
        text = (run_dir / str(left["after"])).read_text(encoding="utf-8")
    except (OSError, KeyError, UnicodeDecodeError):
        return None
    lines = text.splitlines()
    return lines if fingerprint(lines) == left["after_sha256"] else None


def fingerprint(lines: Sequence[str]) -> str:
    """Return by what a configuration is known again."""
    return hashlib.sha256(_text(lines).encode()).hexdigest()


def difference(
    found: Sequence[str], wanted: Sequence[str], names: tuple[str, str] = ("switch", "snapshot")
) -> list[str]:
    """Return what has to change in ``found`` to become ``wanted``, as a unified diff; empty if nothing."""
    return list(difflib.unified_diff(found, wanted, *names, lineterm="", n=1))


def shown(lines: Sequence[str]) -> str:
    """Return a difference as far as it fits into a message."""
    more = [f"... {len(lines) - SHOWN_LINES} more lines"] if len(lines) > SHOWN_LINES else []
    return "\n".join([*lines[:SHOWN_LINES], *more])


def keep_difference(lines: Sequence[str], host: str, run_dir: Path) -> Path:
    """Write a difference beside the snapshot and return its path.

    Raises:
        LabError: The file cannot be written.
    """
    path = run_dir / SETTINGS / f"{host}.diff"
    _write(path, _text(lines))
    return path


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    make_private_directory(path.parent)
    write_whole(path, lambda file: file.write(text.encode()))
