"""Start an agent so that it goes on when the SSH connection has ended."""

import contextlib
import errno
import json
import os
import pwd
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from aibench_lib.worker.on_host.folder import (
    CONFIG,
    KEYS,
    LOG,
    OUTPUT,
    VENV,
    alone_in,
    become,
    owned,
    uid_of,
    write_whole,
)
from aibench_lib.worker.on_host.forks import RefusedError, in_child
from aibench_lib.worker.on_host.login import own_address, raise_memlock
from aibench_lib.worker.on_host.processes import end, processes

_KEY_FILES = {"ca": "ca.pem", "cert": "host.pem", "key": "host.key"}
"""Setting of the agent -> its file."""
_RDMA_DEVICES = Path("/sys/class/infiniband")
_LOG_TAIL_BYTES = 4096
_SURELY_VISIBLE_SECONDS = 2.0
"""After which a process that was started can be seen."""
_REDIRECTED = 'out=$0 log=$1; shift; umask 077; exec "$@" </dev/null >"$out" 2>>"$log"'
"""The files are opened by the agent's user, whoever has started the shell."""


def start(
    folder: str, run_as: str, config: dict[str, Any], keys: dict[str, str], unit: str, seconds: float
) -> dict[str, Any]:
    """Start the agent unless it runs just so; return whether it had to be, and what bears on RDMA.

    That is the limit of locked memory, and whether there is a device that needs it.

    Args:
        folder: Where it is installed.
        run_as: Whom a login as root shall become.
        config: For the agent, without what only the host knows.
        keys: Setting (``ca``, ``cert``, ``key``) -> text.
        unit: Name of the transient unit, where systemd starts it.
        seconds: How long it may take until it says that it is ready [s].
    """
    path, uid = Path(folder), uid_of(run_as)
    if not owned(path, uid):
        raise RefusedError(f"{path} is not there; the agent must be deployed first")
    bind = own_address()
    own = {"bind": bind, "address": config["address"] or bind, "folder": folder}
    files = {name: str(path / KEYS / file) for name, file in _KEY_FILES.items()}
    content = json.dumps({**config, **own, **files}, sort_keys=True)
    with alone_in(path):
        if _runs_so(path, content, keys):
            return {"changed": False}
        taken = _who_has(bind, int(config["port"]), path)  # while root can see whose it is
        limit = raise_memlock()
        in_child(lambda: _prepare(path, uid, content, keys, taken))
        _launch(path, uid, unit)
        in_child(lambda: _await_ready(path, uid, seconds))
    return {"changed": True, "memlock_bytes": limit, "rdma": any(_RDMA_DEVICES.glob("*"))}


def _runs_so(path: Path, content: str, keys: dict[str, str]) -> bool:
    """Return whether the agent runs with this very configuration and these keys."""
    try:
        same = (path / CONFIG).read_text() == content and all(
            (path / KEYS / _KEY_FILES[name]).read_text() == text for name, text in keys.items()
        )
    except FileNotFoundError:
        return False
    return same and bool(processes(path))


def _prepare(path: Path, uid: int, content: str, keys: dict[str, str], taken: str) -> None:
    """End an agent of another configuration, and write this one's."""
    become(uid)
    end(path)
    if taken:
        raise RefusedError(taken)
    (path / KEYS).mkdir(mode=0o700, exist_ok=True)
    for name, text in keys.items():
        write_whole(path / KEYS / _KEY_FILES[name], text.encode())
    write_whole(path / CONFIG, content.encode())
    write_whole(path / OUTPUT, b"")


def _who_has(bind: str, port: int, path: Path) -> str:
    """Return why the port cannot be had; empty: it can, or only the agent that will be ended has it."""
    with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                why = os.strerror(error.errno or 0)
                return f"port {port} of {bind} cannot be had ({why}); set worker.port to another one"
            owner = _listener(port)
            if owner in processes(path):
                return ""
            whose = f" by process {owner} ({_command(owner)})" if owner else ""
            return f"port {port} is in use{whose}; end that, or set worker.port to another one"
    return ""


def _listener(port: int) -> int | None:
    """Return the process that listens on a TCP port, None if this user may not see it."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if any(str(link.readlink()) in sockets for link in (entry / "fd").iterdir()):
                    return int(entry.name)
    return None


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "ended"


def _launch(path: Path, uid: int, unit: str) -> None:
    agent = [
        str(path / VENV / "bin" / "python"),
        "-I",
        "-m",
        "aibench_lib.worker.agent",
        "--config",
        str(path / CONFIG),
    ]
    command = ["/bin/sh", "-c", _REDIRECTED, str(path / OUTPUT), str(path / LOG), *agent]
    if os.geteuid() == 0 and Path("/run/systemd/system").is_dir():
        _launch_unit(command, uid, unit)
    else:
        in_child(lambda: _launch_session(command, uid))


def _launch_unit(command: list[str], uid: int, unit: str) -> None:
    """Start a command in a transient unit of its own, as a user without any further right."""
    run = [
        *("systemd-run", "--quiet", "--collect", f"--unit={unit}", "--property=LimitMEMLOCK=infinity"),
        *("--property=Restart=no", "--property=KillMode=control-group", "--"),
    ]
    if uid:
        group = pwd.getpwuid(uid).pw_gid
        run += ["setpriv", f"--reuid={uid}", f"--regid={group}", "--clear-groups", "--no-new-privs", "--"]
    done = subprocess.run([*run, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusedError(f"systemd-run does not start the agent: {_last_line(done.stderr)}")


def _launch_session(command: list[str], uid: int) -> None:
    """Start a command in a session of its own, which does not end with this one."""
    become(uid)
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": pwd.getpwuid(uid).pw_dir,
    }
    nowhere = subprocess.DEVNULL
    subprocess.Popen(
        command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True, cwd="/", env=environment
    )


def _await_ready(path: Path, uid: int, seconds: float) -> None:
    """Wait until the agent says that it is ready.

    Raises:
        RefusedError: It says that it cannot be, ends, or says nothing; then it was ended.
    """
    become(uid)
    began = time.monotonic()
    while True:
        line, newline, _ = (path / OUTPUT).read_text(errors="replace").partition("\n")
        if newline:
            said = json.loads(line) if line.startswith("{") else {"error": line}
            if said.get("ready"):
                return
            raise RefusedError(f"the agent does not start: {said.get('error', line)}")
        passed = time.monotonic() - began
        if passed > _SURELY_VISIBLE_SECONDS and not processes(path):
            raise RefusedError(f"the agent ended as it began: {_tail(path / LOG)}")
        if passed > seconds:
            end(path)
            raise RefusedError(
                f"the agent was not ready within {seconds:g} s and was ended; see whether the host is overloaded; the "
                f"last it said: {_tail(path / LOG)}"
            )
        time.sleep(0.05)


def _tail(log: Path) -> str:
    try:
        return _last_line(log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace"))
    except OSError:
        return "nothing"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"
