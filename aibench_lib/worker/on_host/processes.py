"""The processes of an agent: known by the configuration they were started with, and by their session."""

import contextlib
import os
import signal
import time
from pathlib import Path

from aibench_lib.worker.on_host.folder import CONFIG
from aibench_lib.worker.on_host.forks import RefusedError

_TERM_SECONDS, _KILL_SECONDS = 5.0, 5.0


def processes(folder: Path) -> dict[int, int]:
    """Return process id -> session of every process of the folder's agent."""
    mark = f"\0--config\0{folder / CONFIG}\0".encode()
    sessions: dict[int, int] = {}
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if fields[0] == "Z":
                continue
            sessions[int(entry.name)] = int(fields[3])
            if mark in (entry / "cmdline").read_bytes():
                found[int(entry.name)] = int(fields[3])
        except OSError:
            continue  # it has ended meanwhile
    led = {session for pid, session in found.items() if pid == session}
    return found | {pid: session for pid, session in sessions.items() if session in led}


def end(folder: Path) -> bool:
    """End the agent with all its processes; return whether there were any.

    Raises:
        RefusedError: One is still there.
    """
    there = processes(folder)
    if not there:
        return False
    leaders = [pid for pid, session in there.items() if pid == session] or list(there)
    _signal(leaders, signal.SIGTERM)
    if not _gone(folder, _TERM_SECONDS):
        _signal(list(processes(folder)), signal.SIGKILL)
        if not _gone(folder, _KILL_SECONDS):
            left = ", ".join(map(str, processes(folder)))
            raise RefusedError(f"the agent's process {left} does not end, not even by SIGKILL; see what it waits for")
    return True


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _gone(folder: Path, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while processes(folder):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
