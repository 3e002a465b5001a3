"""A node: processes in namespaces of their own, which the kernel removes with the process that started them."""

import os
import select
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from aibench_lib.errors import LabError
from aibench_lib.kernel_lab.machine import FRR, HOST, SSHD

_OWN = ("/run", "/tmp", "/root", "/var/log")
"""Folders of which every node has its own, in memory."""
_DAEMONS = ("zebra", "staticd", "bgpd")
_START = """
set -eu
mount -t sysfs sysfs /sys
mount --bind {folder} /mnt
for own in {own}; do mount -t tmpfs -o mode=755 tmpfs $own; done
chmod 1777 /tmp
mkdir -p /run/node /run/sshd
mount --move /mnt /run/node
mount --bind /run/node/var-tmp /var/tmp
hostname {name}
umask 022
echo ready
read -r go
exec </dev/null
{switch}
ip -batch /run/node/addresses
tc -batch /run/node/limits
{daemons}
exec {sshd} -D -e -f /run/node/sshd_config
"""
_SWITCH = """
mkdir -p /run/frr /var/log/frr
mount -t tmpfs -o mode=755 tmpfs /etc/frr
cp /run/node/frr.conf /run/node/vtysh.conf /etc/frr
chown -R frr:frr /run/frr /var/log/frr /etc/frr
sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.fib_multipath_hash_policy=1
sysctl -q -w net.ipv4.conf.all.ignore_routes_with_linkdown=1 net.ipv4.conf.default.ignore_routes_with_linkdown=1
"""
_SSHD = """
ListenAddress {address}:22
HostKey /run/node/host_key
AuthorizedKeysFile /run/node/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
StrictModes no
MaxStartups 100
MaxSessions 100
PrintMotd no
PidFile none
Subsystem sftp internal-sftp
"""


@dataclass
class Node:
    """One node of the lab.

    Its first process is the SSH server, which also buries what nobody waits for.
    """

    name: str
    folder: Path
    """Its files, which it sees as ``/run/node``; ``var-tmp`` in it is its ``/var/tmp``."""
    address: str
    """For management."""
    is_switch: bool
    process: "subprocess.Popen[str] | None" = field(default=None, repr=False)

    def write(self, files: Mapping[str, str]) -> None:
        """Write its files before it starts.

        Args:
            files: Name -> content: addresses, limits, host_key, authorized_keys; of a switch frr.conf.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "var-tmp").mkdir(parents=True)
        self.folder.chmod(0o755)  # the folder above is closed
        (self.folder / "var-tmp").chmod(0o1777)
        own = {"sshd_config": _SSHD.format(address=self.address), "vtysh.conf": "service integrated-vtysh-config\n"}
        for name, content in {**own, **files}.items():
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(content, encoding="utf-8")

    def start(self) -> None:
        """Make its namespaces; it then waits for :meth:`go`."""
        daemons = [f"{FRR}/{name} -d --log file:/var/log/frr/{name}.log" for name in _DAEMONS]
        script = _START.format(
            folder=shlex.quote(str(self.folder)),
            own=" ".join(_OWN),
            name=self.name,
            switch=_SWITCH if self.is_switch else "",
            daemons="\n".join([*daemons, "vtysh -b >/run/node/vtysh.log 2>&1"]) if self.is_switch else "",
            sshd=SSHD,
        )
        # The chain that ends everything: this process -> unshare -> the first process of the namespace -> all in it.
        namespaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", *namespaces, "sh", "-c", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
                text=True,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """A process whose network namespace is the node's."""
        assert self.process is not None, "start() was called"
        return self.process.pid

    def wait_until_made(self, seconds: float) -> None:
        """Wait until its namespaces are there.

        Raises:
            LabError: They are not.
        """
        assert self.process is not None, "start() was called"
        assert self.process.stdout is not None, "it is a pipe"
        readable, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not readable or self.process.stdout.readline() != "ready\n":
            raise LabError(HOST, f"{self.name} did not start: {self.last_words()}")

    def go(self) -> None:
        """Let it configure its interfaces and start its servers: its cables are there.

        Raises:
            LabError: It has ended.
        """
        assert self.process is not None, "start() was called"
        assert self.process.stdin is not None, "it is a pipe"
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.close()
        except BrokenPipeError as error:
            raise LabError(HOST, f"{self.name} ended while it started: {self.last_words()}") from error

    def is_running(self) -> bool:
        """Whether it is still there."""
        return self.process is not None and self.process.poll() is None

    def last_words(self) -> str:
        """Return the last line it has said."""
        lines = (self.folder / "log").read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def kill(self) -> None:
        """End it with everything in it: with the first process of a namespace the kernel ends all others."""
        if self.process is None:
            return
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with suppress(OSError):  # it has gone
            first = children.read_text(encoding="ascii").split()
            for pid in first:
                os.kill(int(pid), signal.SIGKILL)
            if not first:
                self.process.kill()

    def wait_until_gone(self, seconds: float) -> None:
        """Wait until nothing of it is left."""
        if self.process is None:
            return
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
