"""The folder of one deployment: whose it is, which run's, and that one act at a time works in it."""

import contextlib
import fcntl
import json
import os
import pwd
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aibench_lib.worker.on_host.forks import RefusedError

MARKER = "aibench.json"
"""Says that a folder was made by a deployment, and of which run."""
STAMP = "installed"
"""Says what the virtual environment was made of."""
VENV, KEYS = "venv", "keys"
CONFIG, OUTPUT, LOG = "agent.json", "agent.out", "agent.log"

_BUSY_SECONDS = 90.0
"""How long another act in the folder may last: that of a controller that has just died."""


def uid_of(run_as: str) -> int:
    """Return the user who owns the folder: the login, or whom a login as root shall become."""
    if os.geteuid() != 0:
        return os.geteuid()
    try:
        return pwd.getpwnam(run_as).pw_uid
    except KeyError:
        raise RefusedError(f"there is no user {run_as!r}; make one, or set worker.run_as to another") from None


def name_of(uid: int) -> str:
    """Return a user's name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def become(uid: int) -> None:
    """Give up root for good, and every group and capability with it; what is written is the user's alone."""
    os.umask(0o077)
    if os.geteuid() != 0 or uid == 0:
        return
    group = pwd.getpwuid(uid).pw_gid
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(uid, uid, uid)


def owned(folder: Path, uid: int) -> bool:
    """Return whether a folder is there.

    Raises:
        RefusedError: It is no folder, or somebody else's.
    """
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    if folder.is_symlink() or not folder.is_dir():
        raise RefusedError(f"{folder} is no folder; remove it, or set worker.folder to another path")
    if found.st_uid != uid:
        raise RefusedError(
            f"{folder} belongs to user {name_of(found.st_uid)}, and the agent would run as {name_of(uid)}; remove it, "
            "or set worker.folder to another path"
        )
    return True


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep every other act out of the folder: one whose controller has died may still be at work there.

    Raises:
        RefusedError: The other one does not come to an end.
        FileNotFoundError: The folder is not there, or was deleted meanwhile.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        until = time.monotonic() + _BUSY_SECONDS
        while not _locked(descriptor):
            if time.monotonic() > until:
                raise RefusedError(f"another deployment is at work in {folder}; try again when it is done")
            time.sleep(0.05)
        if not os.path.samestat(os.fstat(descriptor), folder.lstat()):
            raise RefusedError(f"{folder} was deleted and made again meanwhile; start again")
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def marker_of(folder: Path) -> dict[str, Any] | None:
    """Return what the folder's marker says; nothing if a full disk has torn it, None if there is none."""
    try:
        found = json.loads((folder / MARKER).read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def is_of(folder: Path, uid: int, run: str) -> bool:
    """Return whether a folder is there, and was made for a run.

    An empty one without a marker was cut short as it was made.
    """
    if not owned(folder, uid):
        return False
    found = marker_of(folder)
    if found is None:
        return not any(folder.iterdir())
    return bool(found.get("run", run) == run)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(content)
    part.replace(path)
