"""The lab's lock: one run at a time on a switch, whatever its results folder is and whoever has started it.

There is a file for each switch, known by its address, in a folder that all users of the machine share.  The kernel
frees a lock with the process that holds it, so that a holder that died holds nothing; the file says who it was.
"""

import fcntl
import json
import os
import pwd
import re
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.run.left import left_changed
from aibench_lib.switch.target import Target

PATIENCE_SECONDS = 0.3
"""Somebody who only looks holds a lock for an instant."""
_TERM_SECONDS = 3.0
_BREAK_SECONDS = 300.0
"""A run that was ended is restored first."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who uses the lab."""

    run: str
    run_dir: str
    user: str
    """As user@host."""
    pid: int
    """The process whose end is the end of the run."""
    born: int
    """When the system started that process, by which it is known again [clock ticks]."""
    since: float
    """Wall clock [s since the epoch]."""
    restoring: bool = False
    """Whether it brings the switches back, so that nobody else may."""

    def __str__(self) -> str:
        age = max(0, round(time.time() - self.since))
        for_ = f"{age} s" if age < 120 else f"{age // 60} min" if age < 7200 else f"{age // 3600} h"
        what = "is restoring this lab" if self.restoring else "is using this lab"
        return f"run {self.run} of {self.user} {what} for {for_} (process {self.pid})"


class BusyError(LabError):
    """Somebody else uses a switch."""

    def __init__(self, holder: Holder | None, path: Path) -> None:
        who = str(holder) if holder else "another run is using this lab"
        super().__init__("controller", f"{who}, lock {path}; wait for it, or end it with -e break_lock=true")
        self.holder = holder
        """None if the file does not say."""


def holder(run_dir: Path, owner: int, *, restoring: bool = False) -> Holder:
    """Return what the lock of a run says.

    Args:
        run_dir: The run's folder.
        owner: Process whose end is the end of the run.
        restoring: Whether the switches are being brought back.
    """
    path = run_dir.resolve()
    user = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
    born = _born(owner) or 0
    return Holder(
        run=path.name, run_dir=str(path), user=user, pid=owner, born=born, since=time.time(), restoring=restoring
    )


def keys(targets: Sequence[Target]) -> list[str]:
    """Return by what the locks of switches are known: where they are reached."""
    return sorted({f"{target.address}{f':{target.port}' if target.port else ''}".lower() for target in targets})


def take(names: Sequence[str], own: Holder) -> list[int]:
    """Take the locks of switches, all or none, and return the descriptors that hold them until they are closed.

    Raises:
        BusyError: Somebody else has one.
        LabError: The folder of the locks cannot be used.
    """
    taken: list[int] = []
    try:
        for name in names:
            path = _path(name)
            taken.append(_open(path))
            if not _locked(taken[-1], PATIENCE_SECONDS):
                raise BusyError(_read(path), path)
    except LabError:
        release(taken)
        raise
    say(taken, own)
    return taken


def say(taken: Sequence[int], own: Holder) -> None:
    """Write who holds the locks, for whoever is refused."""
    text = json.dumps(asdict(own)).encode() + b"\n"
    for descriptor in taken:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)


def release(taken: Sequence[int]) -> None:
    """Free locks."""
    for descriptor in taken:
        os.close(descriptor)


@contextmanager
def held(target: Target, run_dir: Path, owner: int, *, restoring: bool = False) -> Iterator[None]:
    """Hold a switch's lock for one act, unless the guard of the same run holds it all the time.

    Args:
        target: The switch.
        run_dir: The run's folder.
        owner: As for :func:`holder`.
        restoring: Whether the act is a restore.

    Raises:
        BusyError: Another run has it, or this run is being restored by somebody else.
    """
    own = holder(run_dir, owner, restoring=restoring)
    names = keys([target])
    there = holder_of(names)
    if there is not None and there.run_dir == own.run_dir and not there.restoring:
        yield
        return
    taken = take(names, own)
    try:
        yield
    finally:
        release(taken)


def holder_of(names: Sequence[str]) -> Holder | None:
    """Return who has one of the locks, None if nobody has.

    Raises:
        BusyError: Somebody has, and the file does not say who.
    """
    for name in names:
        path = _path(name)
        if not path.exists():
            continue
        descriptor = _open(path)
        try:
            if _locked(descriptor, 0):
                continue
        finally:
            os.close(descriptor)
        found = _read(path)
        if found is None:
            raise BusyError(None, path)
        return found
    return None


def refuse_busy(names: Sequence[str]) -> None:
    """Raise an error if somebody has one of the locks.

    Raises:
        BusyError: Somebody has.
    """
    found = holder_of(names)
    if found is not None:
        raise BusyError(found, _path(names[0]).parent)


def break_locks(names: Sequence[str]) -> list[str]:
    """End every run that uses one of the switches, wait until its guard has restored them, and say so.

    Raises:
        LabError: A run belongs to another user, or its guard does not come to an end.
    """
    ended: list[Holder] = []
    while (found := holder_of(names)) is not None:
        if not found.restoring:
            _end(found)
            ended.append(found)
        if not _wait(lambda there=found: holder_of(names) != there, _BREAK_SECONDS):  # type: ignore[misc]
            raise LabError("controller", f"{found}, and has not ended within {_BREAK_SECONDS:g} s; try again later")
    return [f"break_lock: run {run.run} of {run.user} (process {run.pid}) was ended; {_left(run)}" for run in ended]


def _left(run: Holder) -> str:
    """Return what a run that was ended has left."""
    try:
        changed = left_changed(Journal(Path(run.run_dir) / "journal.jsonl"))
    except SpecError as error:
        return str(error)
    return f"{', '.join(changed)} is still changed" if changed else "every switch is as it was before it"


def _end(found: Holder) -> None:
    """End a run's process, if it is this user's: anybody can write into the lock's file, and root could end anything.

    Raises:
        LabError: It is another user's.
    """
    for number, seconds in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, _TERM_SECONDS)):
        if _born(found.pid) != found.born:
            return  # it has ended by itself; its number may be another process's by now
        with suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{found.pid}").stat().st_uid != os.getuid():
                raise LabError("controller", f"{found}: only that user can end it; ask them")
            os.kill(found.pid, number)
        if _wait(lambda: _born(found.pid) != found.born, seconds):
            return


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _born(pid: int) -> int | None:
    """Return when a process was started, None if there is none (one that nobody has waited for is none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def _path(name: str) -> Path:
    folder = Path("/run/lock")
    if not (folder.is_dir() and folder.stat().st_mode & stat.S_IWOTH):
        folder = Path("/tmp")  # the same for all users, unlike what TMPDIR names
    return folder / "aibench" / re.sub(r"[^a-z0-9.:-]", "_", name)


def _open(path: Path) -> int:
    """Open a lock's file, which may be another user's; where it is made, all users may write it.

    Raises:
        LabError: It cannot be opened.
    """
    try:
        with suppress(FileExistsError):
            path.parent.mkdir()
            path.parent.chmod(0o1777)
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW)
            os.fchmod(descriptor, 0o666)
            return descriptor
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise LabError(
            "controller", f"cannot use the lab's lock {path}: {error.strerror}; repair the folder"
        ) from error


def _locked(descriptor: int, seconds: float) -> bool:
    """Return whether the lock could be had within a time."""

    def attempt() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    return _wait(attempt, seconds) if seconds else attempt()


def _read(path: Path) -> Holder | None:
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
