"""A real peer: FRR and OpenSSH in a network namespace of this machine, joined by a veth to one more namespace.

Everything lives in namespaces and below one folder; leaving the context ends every process and deletes the namespaces.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DAEMONS = ("zebra", "staticd")
NEEDED = {
    "root": lambda: os.geteuid() == 0,
    "FRR (apt install frr frr-pythontools)": lambda: (
        shutil.which("vtysh") and Path("/usr/lib/frr/frr-reload.py").exists()
    ),
    "OpenSSH's server (apt install openssh-server)": lambda: Path("/usr/sbin/sshd").exists(),
    "network namespaces": lambda: (
        subprocess.run(["ip", "netns", "list"], capture_output=True, check=False).returncode == 0
    ),
}
_START = """
set -e
mount --make-rprivate /
mkdir -p /run/frr /run/sshd
mount --bind {state}/run /run/frr
mount --bind {state}/etc /etc/frr
cd /
{daemons}
vtysh -b >/dev/null
exec /usr/sbin/sshd -D -e -f {state}/sshd_config 2>{state}/sshd.log
"""
_SSHD = """
ListenAddress {address}:{port}
HostKey {state}/host_key
AuthorizedKeysFile {state}/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile {state}/sshd.pid
"""
_CONFIG = """
hostname {name}
log file {state}/frr.log
!
interface eth1
 description the other end
 ip address 10.255.3.0/31
!
"""


def missing() -> str:
    """Return what this machine lacks, for the reason of a skipped test; empty: nothing."""
    return ", ".join(name for name, there in NEEDED.items() if not there())


class FrrPeer:
    """One Linux switch and what an inventory says of it."""

    def __init__(self, name: str, address: str, port: int, state: Path) -> None:
        self.name, self.address, self.port, self.state = name, address, port, state

    def variables(self) -> dict[str, Any]:
        """Return the inventory's variables of the switch."""
        return {
            "ansible_host": self.address,
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.state / "key"),
            "switch": {
                "platform": "frr_linux",
                "known_hosts": str(self.state / "known_hosts"),
                "interfaces": ["eth1"],
            },
        }

    def run(self, command: str) -> str:
        """Return what a command prints in the switch's namespace, looked at from behind its SSH server."""
        inside = f"mount --bind {self.state}/run /run/frr; {command}"
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, "sh", "-c", inside], capture_output=True, text=True, check=True
        )
        return done.stdout


@contextmanager
def frr_peer(state: Path, name: str, third_octet: int, port: int = 2222) -> Iterator[FrrPeer]:
    """Bring a switch up and down.

    Args:
        state: Folder for its files.
        name: Of its namespace; the neighbour's is this and ``-far``.
        third_octet: Of its management subnet 10.255.x.0/30.
        port: Of its SSH server.
    """
    address, ours, far = f"10.255.{third_octet}.2", f"10.255.{third_octet}.1", f"{name}-far"
    _files(state, name, address, port)
    process: subprocess.Popen[bytes] | None = None
    try:
        for command in (
            f"ip netns add {name}",
            f"ip netns add {far}",
            f"ip link add {name}-m type veth peer name mgmt netns {name}",
            f"ip address add {ours}/30 dev {name}-m",
            f"ip link set {name}-m up",
            f"ip -n {name} address add {address}/30 dev mgmt",
            f"ip -n {name} link set mgmt up",
            f"ip -n {name} link set lo up",
            f"ip -n {name} link add eth1 type veth peer name eth1 netns {far}",
            f"ip -n {name} link set eth1 up",
            f"ip -n {far} link set eth1 up",
        ):
            subprocess.run(command.split(), check=True)
        daemons = "\n".join(f"/usr/lib/frr/{daemon} -d --log file:{state}/frr.log" for daemon in DAEMONS)
        script = _START.format(state=state, daemons=daemons)
        process = subprocess.Popen(
            ["ip", "netns", "exec", name, "unshare", "--mount", "sh", "-c", script], start_new_session=True
        )
        _wait_for(address, port, state)
        yield FrrPeer(name, address, port, state)
    finally:
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait()
        for namespace in (name, far):
            pids = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
            for pid in pids.stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", f"{name}-m"], capture_output=True, check=False)


def _files(state: Path, name: str, address: str, port: int) -> None:
    for folder in ("run", "etc"):
        (state / folder).mkdir()
        shutil.chown(state / folder, "frr", "frr")
    for parent in (state, *state.parents):  # FRR's daemons give up root, and pytest's folders are private
        if parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    (state / "frr.log").touch()
    shutil.chown(state / "frr.log", "frr", "frr")
    (state / "etc" / "vtysh.conf").write_text("service integrated-vtysh-config\n")
    (state / "etc" / "frr.conf").write_text(_CONFIG.format(name=name, state=state))
    for key in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(state / key)], check=True)
    shutil.copy(state / "key.pub", state / "authorized_keys")
    (state / "sshd_config").write_text(_SSHD.format(address=address, port=port, state=state))
    host_key = " ".join((state / "host_key.pub").read_text().split()[:2])
    (state / "known_hosts").write_text(f"[{address}]:{port} {host_key}\n")


def _wait_for(address: str, port: int, state: Path) -> None:
    for _ in range(100):
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"no SSH server at {address}:{port}: {(state / 'sshd.log').read_text()}")
