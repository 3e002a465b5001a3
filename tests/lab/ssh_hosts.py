"""Hosts with a real OpenSSH server: one process that listens on a port of loopback for each, below one folder.

Root logs in, and where this is root's process also a user without any rights, who exists in the server's mount
namespace alone.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aibench_lib.worker.deployment import Deployment
from aibench_lib.worker.shell import Login

SSHD = "/usr/sbin/sshd"
USER = "aibench-tester"
UID = 64217
_CONFIG = """
{listen}
HostKey {state}/host_key
AuthorizedKeysFile {state}/authorized_keys
PasswordAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
PidFile none
MaxStartups 100
MaxSessions 100
"""
_START = """
set -e
mount --make-rprivate /
mkdir -p /run/sshd
mount --bind {state}/passwd /etc/passwd
exec {sshd} -D -e -f {state}/sshd_config 2>{state}/sshd.log
"""


def missing() -> str:
    """Return what this machine lacks, for the reason of a skipped test; empty: nothing."""
    needed = {
        "root": os.geteuid() == 0,
        "OpenSSH's server (apt install openssh-server)": Path(SSHD).exists(),
        "ssh-keygen": shutil.which("ssh-keygen") is not None,
    }
    return ", ".join(name for name, there in needed.items() if not there)


class Hosts:
    """The servers that are up."""

    def __init__(self, state: Path, ports: dict[str, int]) -> None:
        self.state, self.ports = state, ports
        self.folders = state / "hosts"

    def deployment(self, name: str, **changed) -> Deployment:
        """Return a host as an inventory would describe it; its agent's port is free now."""
        login = {
            "host": name,
            "address": "127.0.0.1",
            "port": self.ports[name],
            "user": "root",
            "key_file": str(self.state / "key"),
            "known_hosts": str(self.state / "known_hosts"),
        }
        login |= {key: changed.pop(key) for key in ("user", "key_file", "known_hosts") if key in changed}
        values = {
            "folder": str(self.folders / name),
            "port": free_port(),
            "lab": "kernel",
            "transport": "tcp",
            "lease_seconds": 120.0,
            **changed,
        }
        return Deployment(login=Login(**login), **values)

    def deployments(self, **changed) -> list[Deployment]:
        return [self.deployment(name, **changed) for name in self.ports]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def ssh_hosts(names: Sequence[str]) -> Iterator[Hosts]:
    """Bring the servers up and down; whatever was started through them and names their folder is ended, too."""
    with tempfile.TemporaryDirectory(prefix="aibench-hosts-") as folder:  # pytest shuts other users out of its own
        state = Path(folder)
        state.chmod(0o711)
        with _servers(state, names) as hosts:
            yield hosts


@contextmanager
def _servers(state: Path, names: Sequence[str]) -> Iterator[Hosts]:
    ports = {name: free_port() for name in names}
    _files(state, ports)
    script = _START.format(state=state, sshd=SSHD)
    command = ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "sh", "-c", script]  # ends with its test
    process = subprocess.Popen(command, start_new_session=True)
    try:
        for port in ports.values():
            _wait_for(port, state)
        yield Hosts(state, ports)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        for pid in left_processes(state):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def left_processes(folder: Path) -> list[int]:
    """Return every process whose command line names a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if str(folder).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def _files(state: Path, ports: dict[str, int]) -> None:
    (state / "hosts").mkdir()
    (state / "hosts").chmod(0o1777)
    for key in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(state / key)], check=True)
    shutil.copy(state / "key.pub", state / "authorized_keys")
    (state / "authorized_keys").chmod(0o644)
    user = f"{USER}:x:{UID}:{UID}::/nonexistent:/bin/sh\n"
    (state / "passwd").write_text(Path("/etc/passwd").read_text() + user)
    (state / "passwd").chmod(0o644)
    listen = "\n".join(f"ListenAddress 127.0.0.1:{port}" for port in ports.values())
    (state / "sshd_config").write_text(_CONFIG.format(listen=listen, state=state))
    host_key = " ".join((state / "host_key.pub").read_text().split()[:2])
    (state / "known_hosts").write_text("".join(f"[127.0.0.1]:{port} {host_key}\n" for port in ports.values()))


def _wait_for(port: int, state: Path) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"no SSH server on port {port}: {(state / 'sshd.log').read_text()}")
