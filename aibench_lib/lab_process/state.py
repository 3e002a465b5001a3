"""The lab state directory: who runs, and the files a client needs to reach it."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from aibench_lib.errors import LabError
from aibench_lib.spec import build

_STATE = "state.json"
_FILES = ("ca.pem", "client.pem", "client.key", "password", "known_hosts", "key", "disciplines")
_LOCK = "lock"
NODES = "nodes"
"""Folder below the state folder with a folder a node, where nodes have files."""


@dataclass(frozen=True, kw_only=True)
class State:
    """A lab that is up."""

    pid: int
    lab_instance: str
    """UUID of this start, in hexadecimal digits."""
    network: str
    """First two octets of the network that the nodes' addresses are taken from."""
    started_ns: int
    """The wall clock at the start; virtual time began at its last whole second [ns since the epoch]."""
    kind: str = "simulated"
    """As an inventory calls it."""


class StateDirectory:
    """Reads and writes one lab state directory; made with mode 0700, secrets in it with 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make the directory, closed to other users."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)

    def write(self, name: str, content: bytes) -> None:
        """Write a file of mode 0600, whole or not at all."""
        target = self.path / name
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(target)

    def announce(self, state: State) -> None:
        """Write ``state.json``: from now on the lab counts as up."""
        self.write(_STATE, json.dumps(asdict(state)).encode() + b"\n")

    def forget(self) -> None:
        """Remove ``state.json``: from now on the lab counts as down."""
        (self.path / _STATE).unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove the keys, certificates and password of a lab that goes down, and the files of its nodes."""
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / NODES, ignore_errors=True)

    def read(self) -> State | None:
        """Return who runs, or None if nobody does.

        Whoever runs holds the lock until its process has ended; a file that a killed lab has left is not believed.
        """
        if not self.path.is_dir() or self.is_free():
            return None
        try:
            values = json.loads((self.path / _STATE).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return build(State, values, str(self.path / _STATE))

    def occupy(self) -> int:
        """Take the lock that marks a running lab, for the rest of this process's life; return its descriptor.

        Raises:
            LabError: Another lab runs with this state directory.
        """
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise LabError("lab", f"another one runs with state directory {self.path}") from error
        return descriptor

    @contextlib.contextmanager
    def deciding(self) -> Iterator[None]:
        """Hold off everybody else who decides whether the lab lives: who joins, and the lab that wants to go."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def is_free(self) -> bool:
        """Whether no lab runs or starts with this directory."""
        try:
            descriptor = os.open(self.path / _LOCK, os.O_RDONLY)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(descriptor)
