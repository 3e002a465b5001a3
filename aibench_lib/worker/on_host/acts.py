"""What is done on a host, an act a call."""

import contextlib
import hashlib
import io
import json
import os
import platform
import pwd
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aibench_lib.worker.on_host.folder import (
    MARKER,
    STAMP,
    VENV,
    alone_in,
    become,
    is_of,
    marker_of,
    name_of,
    owned,
    uid_of,
    write_whole,
)
from aibench_lib.worker.on_host.forks import RefusedError, answer_with, in_child
from aibench_lib.worker.on_host.processes import end, processes
from aibench_lib.worker.on_host.starting import start

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


def install(folder: str, run_as: str, wheels: list[dict[str, Any]], unpacked_bytes: int, stamp: str) -> bool:
    """Make the virtual environment anew, of wheels that arrive on standard input one after the other.

    Args:
        folder: Where.
        run_as: Whom a login as root shall become.
        wheels: ``name``, ``size_bytes`` and ``sha256`` of each.
        unpacked_bytes: What all of them need on disk; they themselves are kept in memory, one at a time.
        stamp: What the environment is known by when it is whole.
    """
    import venv  # together they cost as much as all other acts
    import zipfile

    path = Path(folder)
    become(uid_of(run_as))
    with alone_in(path):
        end(path)  # whoever runs would lose its files
        (path / STAMP).unlink(missing_ok=True)
        _delete_tree(path / VENV)
        _check_room(path, unpacked_bytes)
        # The distribution's pyverbs must be found: it fits the distribution's RDMA libraries, and no wheel does.
        venv.EnvBuilder(system_site_packages=True, symlinks=True).create(path / VENV)
        (packages,) = (path / VENV / "lib").glob("python*/site-packages")
        for wheel in wheels:  # without scripts, so that to unpack them is to install them
            content = sys.stdin.buffer.read(wheel["size_bytes"])
            if hashlib.sha256(content).hexdigest() != wheel["sha256"]:
                raise RefusedError(f"{wheel['name']} did not arrive whole; try again")
            with zipfile.ZipFile(io.BytesIO(content)) as unpacked:
                unpacked.extractall(packages)
        write_whole(path / STAMP, stamp.encode())
    return True


def _check_room(path: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(path).free
    if free < needed_bytes:
        raise RefusedError(
            f"{free >> 20} MB are free where {path} is, and the agent needs {needed_bytes >> 20} MB; free some, or set "
            "worker.folder to a path on another disk"
        )


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


ACTS: dict[str, Callable[..., Any]] = {act.__name__: act for act in (look, claim, install, start, stop, remove)}


def main(act: str, arguments: dict[str, Any]) -> None:
    """Do one act and answer."""
    answer_with(ACTS[act], arguments)
