"""Start, hold, look at and stop the process of a lab."""

import contextlib
import json
import os
import select
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aibench_lib.errors import LabError
from aibench_lib.lab_process.holders import add_holder, clear_holders, start_time
from aibench_lib.lab_process.state import State, StateDirectory

__all__ = ["Program", "State", "down", "hold", "status", "up"]

_STOP_SECONDS = 10.0
_REPORT = 3
"""The lab's descriptor of the pipe to whoever starts it."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One kind of lab."""

    title: str
    """Opens every message."""
    module: str
    """What Python runs; it takes ``--inventory``, ``--state``, ``--network`` and ``--report``."""


def up(
    program: Program,
    inventory: Path,
    state_dir: Path,
    network: str,
    holder_pid: int | None,
    say: Callable[[str], None],
) -> State:
    """Start a lab as a process of its own and wait until it answers; one that is up is taken as it is.

    Args:
        program: What is started.
        inventory: Directory of the inventory that declares the fabric.
        state_dir: Lab state directory.
        network: First two octets of a network, such as ``127.81``.
        holder_pid: A process the lab lives for: it goes down when the last such process is gone. None at the start:
            it lives until :func:`down`.
        say: Told what takes long.

    Raises:
        LabError: It does not start, one is up on another network, or the holder does not exist.
    """
    if holder_pid is not None and start_time(holder_pid) is None:
        raise LabError(program.title, f"process {holder_pid}, which it shall live for, does not exist")
    directory = StateDirectory(state_dir)
    directory.make()
    seen = status(state_dir)
    with directory.deciding():  # of several that want a lab at once, one starts it
        state = status(state_dir)
        if state is None:
            if seen is not None:
                _wait_for_end(seen.pid)  # its last holder has just gone
            clear_holders(directory)
        elif state.network != network:
            raise LabError(program.title, f"it is up on network {state.network}, not {network}; take it down first")
        if holder_pid is not None:
            add_holder(directory, holder_pid)
        if state is None:
            _start(program, inventory, directory, network, say)
    state = state or status(state_dir)
    if state is None:
        raise LabError(program.title, f"it went down at once; see {state_dir / 'lab.log'}")
    return state


def hold(state_dir: Path, pid: int) -> bool:
    """Let the lab live at least as long as a process; return False if the lab is not up."""
    directory = StateDirectory(state_dir)
    if status(state_dir) is None:
        return False
    with directory.deciding():
        return status(state_dir) is not None and add_holder(directory, pid)


def status(state_dir: Path) -> State | None:
    """Return who runs with a state directory, or None."""
    return StateDirectory(state_dir).read()


def down(program: Program, state_dir: Path) -> None:
    """Stop the lab and wait until it has gone; nothing to stop is no error.

    Raises:
        LabError: It belongs to another user.
    """
    state = status(state_dir)
    directory = StateDirectory(state_dir)
    if state is None:
        if directory.is_free():
            directory.remove_leftovers()  # of a lab that was killed
            directory.forget()
        return
    try:
        os.kill(state.pid, signal.SIGTERM)
        if not _wait_for_end(state.pid):
            os.kill(state.pid, signal.SIGKILL)
            _wait_for_end(state.pid)
            directory.remove_leftovers()
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise LabError(program.title, f"process {state.pid} belongs to another user; stop it as that user") from error


def _wait_for_end(pid: int) -> bool:
    """Wait until the lab's process has ended; return False if it does not in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        ended = bool(poller.poll(_STOP_SECONDS * 1000))
    finally:
        os.close(descriptor)
    if ended:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)  # whoever started the lab is its parent, and must not leave a zombie
    return ended


def _start(
    program: Program, inventory: Path, directory: StateDirectory, network: str, say: Callable[[str], None]
) -> None:
    reading, writing = os.pipe()
    log = directory.path / "lab.log"
    command = [sys.executable, "-m", program.module, "--inventory", str(inventory.resolve())]
    command += ["--state", str(directory.path.resolve()), "--network", network, "--report", str(_REPORT)]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        (os.POSIX_SPAWN_DUP2, writing, _REPORT),
    ]
    try:
        os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
    finally:
        os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as reports:
        for line in reports:
            what, text = json.loads(line)
            if what == "say":
                say(text)
            elif what == "failed":
                raise LabError(program.title, text.removeprefix(f"{program.title}: "))
            else:
                return
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    raise LabError(program.title, f"it ended while it started: {last.strip()}; see {log}")
