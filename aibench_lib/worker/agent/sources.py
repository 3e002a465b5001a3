"""Where the facts of a host are read: files of the kernel, its network sockets, and what tools print.

Everything here is tolerant: a file, a tool or an answer that is not there is an empty one.  Nothing needs rights.
"""

import ctypes
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from aibench_lib.worker import transports
from aibench_lib.worker.agent import addresses, ethtool

_TOOL_SECONDS = 3.0
_TOOL_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin:/opt/mellanox/ethtool/sbin"
"""An unprivileged user's own path often leaves ``sbin`` out."""


_NUMBER_BYTES = 64
"""More than any number takes in a file of the kernel."""


_NOT_KEPT = 0x40
"""STA_UNSYNC of the kernel's clock state: nobody keeps the clock."""


_MAY_LOCK = 1 << 14
"""CAP_IPC_LOCK."""


class _ClockState(ctypes.Structure):
    """The beginning of struct timex, and more room than the rest of it takes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("largest_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("more", ctypes.c_long * 40),
    )


class Sources:
    """The machine that this process runs on.

    Args:
        root: Where ``/sys`` and ``/proc`` are found.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def text(self, path: str) -> str:
        """Return a file's text without the white space around it; empty if it cannot be read."""
        try:
            return (self._root / path).read_text(encoding="utf-8", errors="replace").strip("\0 \t\r\n")
        except OSError:  # sysfs answers EINVAL, EOPNOTSUPP and others where a driver has nothing to say
            return ""

    def number(self, path: str) -> int | None:
        """Return the whole number a file holds, None if it holds none."""
        try:
            return int(self.text(path), 0)
        except ValueError:
            return None

    def numbers(self, path: str) -> dict[str, int]:
        """Return the whole numbers that the files of a folder hold, by their names in order.

        A NIC has up to hundreds of counters, each a file, which are read as a trial begins: without objects for paths.
        """
        found: dict[str, int] = {}
        try:
            folder = os.open(self._root / path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return found
        try:
            for name in sorted(os.listdir(folder)):  # noqa: PTH208 - of a descriptor
                value = _number(name, folder)
                if value is not None:
                    found[name] = value
        finally:
            os.close(folder)
        return found

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, in order; none if there is no such folder."""
        try:
            return sorted(entry.name for entry in (self._root / path).iterdir())
        except OSError:
            return []

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return (self._root / path).exists()

    def link(self, path: str) -> str:
        """Return the last part of what a symbolic link points to; empty if it is none."""
        try:
            return (self._root / path).readlink().name
        except OSError:
            return ""

    def addresses(self) -> list[tuple[str, str]]:
        """Return (interface, IP address) of every address of this host."""
        return addresses.of_host()

    def driver(self, interface: str) -> Mapping[str, str]:
        """Return ``driver``, ``firmware`` and ``bus`` as the interface's driver says them."""
        return ethtool.driver(interface)

    def statistics(self, interface: str) -> Mapping[str, int]:
        """Return the driver's own counters, those that ``ethtool -S`` shows."""
        return ethtool.statistics(interface)

    def features(self, interface: str) -> Mapping[str, bool]:
        """Return the offloads that the driver can do -> whether they are on, those that ``ethtool -k`` shows."""
        return ethtool.features(interface)

    def kernel_clock(self) -> tuple[bool, int]:
        """Return whether somebody keeps the clock, and how far it may be off [us]: what the kernel was told."""
        state = _ClockState()  # no mode: only reads
        if ctypes.CDLL(None).adjtimex(ctypes.byref(state)) < 0:
            return False, 0
        return not state.status & _NOT_KEPT, int(state.largest_error)

    def memory_lock(self) -> str:
        """Return how much memory a process may lock [bytes], or ``unlimited``, as for who may lock what he likes."""
        rights = re.search(r"^CapEff:\s*([0-9a-f]+)$", self.text("proc/self/status"), re.MULTILINE)
        if rights and int(rights[1], 16) & _MAY_LOCK:
            return "unlimited"
        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)

    def own_cpus(self) -> set[int]:
        """Return the processors that this process may run on."""
        return os.sched_getaffinity(0)

    def transports(self, address: str, device: str) -> tuple[str, ...]:
        """Return what this host can send with, the best first."""
        return transports.available(address, device)

    def output(self, command: Sequence[str]) -> str:
        """Return what a tool prints; empty if it is not there, fails, or takes longer than 3 s."""
        tool = shutil.which(command[0], path=_TOOL_PATH)
        if tool is None:
            return ""
        try:
            done = subprocess.run(
                [tool, *command[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TOOL_SECONDS,
                check=True,
                env={"LC_ALL": "C", "PATH": _TOOL_PATH},
            )
        except (OSError, subprocess.SubprocessError):  # what a tool cannot say is not known
            return ""
        return done.stdout.decode(errors="replace")


def _number(name: str, folder: int) -> int | None:
    """Return the whole number that a file of an open folder holds, None if it holds none."""
    try:
        file = os.open(name, os.O_RDONLY, dir_fd=folder)
    except OSError:
        return None
    try:
        return int(os.read(file, _NUMBER_BYTES).strip(b"\0 \t\r\n"), 0)
    except (OSError, ValueError):
        return None
    finally:
        os.close(file)
