"""What is done on a host, an act a call."""

import contextlib
import hashlib
import json
import os
import platform
import pwd
import shutil
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aibench_lib.worker.on_host.folder import (
    MARKER,
    STAMP,
    VENV,
    WHEELS,
    alone_in,
    become,
    is_of,
    marker_of,
    name_of,
    owned,
    uid_of,
    write_whole,
)
from aibench_lib.worker.on_host.forks import RefusedError, answer, in_child, said
from aibench_lib.worker.on_host.processes import end, processes
from aibench_lib.worker.on_host.starting import start

_CHUNK_BYTES = 1 << 18
_TRIES = 5


def look(folder: str, run_as: str) -> dict[str, Any]:
    """Say what the host is and what is in the folder; changes nothing."""
    path, uid = Path(folder), uid_of(run_as)
    there = owned(path, uid)
    become(uid)
    libc, version = platform.libc_ver()
    found: dict[str, Any] = {
        "python": list(sys.version_info[:2]),
        "machine": platform.machine(),
        "glibc": version if libc == "glibc" else "",
        "user": name_of(uid),
        "marker": None,
        "installed": "",
        "running": False,
    }
    if there:
        with contextlib.suppress(FileNotFoundError):
            found["installed"] = (path / STAMP).read_text()
        found |= {"marker": marker_of(path), "running": bool(processes(path))}
    return found


def claim(folder: str, run_as: str, marker: dict[str, Any]) -> bool:
    """Make the folder the run's own; return whether that has changed anything."""
    path, uid = Path(folder), uid_of(run_as)
    if not owned(path, uid):
        _make(path, uid)
    become(uid)
    with alone_in(path):
        path.chmod(0o700)
        found = marker_of(path)
        if found is None and any(path.iterdir()):
            raise RefusedError(
                f"{path} holds files that no deployment has put there; set worker.folder to another path"
            )
        if found and found.get("run") != marker["run"] and processes(path):
            raise RefusedError(
                f"the agent of run {found.get('run')} ({found.get('controller')}) runs in {path}; wait for that run: "
                f"the agent ends by itself {found.get('lease_seconds')} s after its controller is gone"
            )
        if found == marker:
            return False
        write_whole(path / MARKER, json.dumps(marker).encode())
    return True


def _make(path: Path, uid: int) -> None:
    if not path.parent.is_dir():
        raise RefusedError(f"{path.parent}: no such folder; make it, or set worker.folder to another path")
    path.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(path, uid, pwd.getpwuid(uid).pw_gid, follow_symlinks=False)


def missing(folder: str, run_as: str, wheels: dict[str, str], unpacked_bytes: int) -> list[str]:
    """Return which wheels (name -> SHA-256) are not there yet, once it is clear that there is room for all."""
    path = Path(folder)
    become(uid_of(run_as))
    with alone_in(path):
        free = shutil.disk_usage(path).free
        if free < unpacked_bytes:
            raise RefusedError(
                f"{free >> 20} MB are free where {path} is, and the agent needs {unpacked_bytes >> 20} MB; free some, "
                "or set worker.folder to a path on another disk"
            )
        (path / WHEELS).mkdir(mode=0o700, exist_ok=True)
        return [name for name, digest in wheels.items() if _digest(path / WHEELS / name) != digest]


def put(folder: str, run_as: str, name: str, size_bytes: int, sha256: str) -> bool:
    """Take one wheel from standard input."""
    path = Path(folder)
    become(uid_of(run_as))
    with alone_in(path):
        target = path / WHEELS / name
        part, left, digest = target.with_name(f".{name}.part"), size_bytes, hashlib.sha256()
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            while left and (piece := sys.stdin.buffer.read(min(left, _CHUNK_BYTES))):
                file.write(piece)
                digest.update(piece)
                left -= len(piece)
        if left or digest.hexdigest() != sha256:
            raise RefusedError(f"{name} did not arrive whole; try again")
        part.replace(target)
    return True


def install(folder: str, run_as: str, wheels: list[str], stamp: str) -> bool:
    """Make the virtual environment anew from wheels that are there, and delete them."""
    path = Path(folder)
    become(uid_of(run_as))
    with alone_in(path):
        end(path)  # whoever runs would lose its files
        (path / STAMP).unlink(missing_ok=True)
        _delete_tree(path / VENV)
        # The distribution's pyverbs must be found: it fits the distribution's RDMA libraries, and no wheel does.
        venv.EnvBuilder(system_site_packages=True, symlinks=True).create(path / VENV)
        (packages,) = (path / VENV / "lib").glob("python*/site-packages")
        for name in wheels:  # without scripts, so that to unpack them is to install them
            with zipfile.ZipFile(path / WHEELS / name) as wheel:
                wheel.extractall(packages)
        _delete_tree(path / WHEELS)
        write_whole(path / STAMP, stamp.encode())
    return True


def stop(folder: str, run_as: str, run: str) -> bool:
    """End the agent of a run; return whether there was one."""
    path, uid = Path(folder), uid_of(run_as)
    if not is_of(path, uid, run):
        return False
    become(uid)
    with alone_in(path):
        return end(path)


def remove(folder: str, run_as: str, run: str) -> bool:
    """End the agent of a run and delete its folder, unless it is another run's; return whether it was there."""
    path, uid = Path(folder), uid_of(run_as)
    if not is_of(path, uid, run):
        return False
    in_child(lambda: _delete(path, uid))
    with contextlib.suppress(FileNotFoundError):  # where its user may not write into the folder above, root is asked
        path.rmdir()
    return True


def _delete(path: Path, uid: int) -> None:
    become(uid)
    with contextlib.suppress(FileNotFoundError), alone_in(path):  # gone: the agent's lease had ended
        end(path)
        # The marker goes last, so that a removal that was cut short can be done again.
        for entry in sorted(path.iterdir(), key=lambda entry: entry.name == MARKER):
            _delete_tree(entry)


def _delete_tree(path: Path) -> None:
    """Delete a file or a folder; an agent whose lease ends at this moment deletes it, too."""
    for _ in range(_TRIES):
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
        return


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


ACTS: dict[str, Callable[..., Any]] = {
    act.__name__: act for act in (look, claim, missing, put, install, start, stop, remove)
}


def main(act: str, arguments: dict[str, Any]) -> None:
    """Do one act and answer: ``{"ok": ...}`` or ``{"error": "one line"}``."""
    try:
        answer({"ok": ACTS[act](**arguments)})
    except Exception as error:  # noqa: BLE001 - the one place where it becomes an answer, which a person reads
        answer({"error": said(error)})
        sys.exit(1)
