"""Start, ask and stop the collector: the run's side of the control socket.

A window travels over the socket, as Arrow: the collector has its rows in memory, filled forward from rows that may be
many segments back, so that reading segments here would repeat its work, and read ever more files as the run goes on.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Client
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from aibench_lib.errors import LabError
from aibench_lib.files import write_whole
from aibench_lib.telemetry.config import Config
from aibench_lib.telemetry.ledger import Window

__all__ = ["Collector", "Config", "Summary", "Window"]

FOLDER = "telemetry"
"""Where in a run's folder telemetry is."""
ADDRESS_FILE = "collector.json"
SUMMARY_FILE = "summary.json"
LOG_FILE = "collector.log"
_ANSWER_SECONDS = 60.0
"""How long an answer may take beyond what the request allows, before the collector counts as hung."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a collector has done in its life."""

    messages: int
    rows: Mapping[str, int]
    """Measurement -> rows written."""
    outages: int
    """How often a connection was lost."""
    influx_lines: int
    warnings: Sequence[str] = field(default_factory=list)
    """What a reader of the results must know, such as a database that did not take the copy."""


class Collector:
    """A collector process, seen from a process that needs its windows; a context manager that stops it.

    Use :meth:`start` or :meth:`attach` to get one.
    """

    def __init__(self, run_dir: Path, socket: Path, process: subprocess.Popen[bytes] | None = None) -> None:
        self._folder = run_dir / FOLDER
        self._socket = socket
        self._process = process
        self._summary: Summary | None = None

    @classmethod
    def start(cls, config: Config, run_dir: Path, *, owner_pid: int | None = None, start_seconds: float = 30.0) -> Self:
        """Start a collector process, and return when every subscription has sent everything once.

        Args:
            config: What to collect.
            run_dir: The run's folder; telemetry goes to its folder ``telemetry``, after what is there already.
            owner_pid: The process with whose end the collector ends too; by default this one.
            start_seconds: How long the switches may take to send everything once [s of wall time].

        Raises:
            LabError: A switch cannot be reached, refuses the user or a path, or is late; the message names it.
        """
        folder = run_dir / FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / SUMMARY_FILE).unlink(missing_ok=True)
        socket = Path(tempfile.mkdtemp(prefix="aibench-")) / "control"  # mode 0700; a socket's path must be short
        orders = {
            "folder": str(folder),
            "owner_pid": os.getpid() if owner_pid is None else owner_pid,
            "start_seconds": start_seconds,
            "subscriptions": [asdict(subscription) for subscription in config.subscriptions],
            "influx": asdict(config.influx) if config.influx else None,
        }
        with (folder / LOG_FILE).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "aibench_lib.telemetry", "--control", str(socket)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C ends the run, which then stops the collector
            )
        try:
            _give_orders(process, orders, folder)
            address = json.dumps({"socket": str(socket), "pid": process.pid}).encode()
            write_whole(folder / ADDRESS_FILE, lambda file: file.write(address))
        except BaseException:
            process.kill()
            process.wait()
            shutil.rmtree(socket.parent)
            raise
        return cls(run_dir, socket, process)

    @classmethod
    def attach(cls, run_dir: Path) -> Self:
        """Return the collector that another process has started for a run; it may have ended since.

        Raises:
            LabError: None was started.
        """
        path = run_dir / FOLDER / ADDRESS_FILE
        try:
            address = json.loads(path.read_bytes())
        except OSError as error:
            raise LabError("controller", f"{path}: no telemetry collector was started for this run") from error
        return cls(run_dir, Path(address["socket"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def window(self, begin_ns: int, end_ns: int, timeout_seconds: float = 30.0) -> Window:
        """Wait for a window's last samples, have everything written to disk, and return the window's rows.

        Args:
            begin_ns: Begin of the window [ns, lab clock]; windows are asked for in the order of their begins.
            end_ns: End of the window [ns, lab clock].
            timeout_seconds: How long to wait for samples at or after the end [s of wall time]; what is late then is
                among the reasons why the window is not valid.

        Raises:
            LabError: The disk is full (ask again when there is space: nothing is lost), or the collector has ended.
        """
        request = {"request": "window", "begin_ns": begin_ns, "end_ns": end_ns, "timeout_seconds": timeout_seconds}
        try:
            reply, tables = self._ask(request, timeout_seconds)
        except (EOFError, OSError) as error:
            self._summary = self._last_words()
            raise LabError("controller", "the telemetry collector has been stopped; start one anew") from error
        return Window(dict(zip(reply["measurements"], tables, strict=True)), tuple(reply["reasons"]))

    def stop(self) -> Summary:
        """Have everything written, end the collector, and return what it has done; doing so again changes nothing.

        Raises:
            LabError: The last rows cannot be written (the collector goes on: stop it again when there is space), or the
                collector died before.
        """
        if self._summary is None:
            try:
                reply, _ = self._ask({"request": "stop"}, 0.0)
                self._summary = Summary(**reply["summary"])
            except (EOFError, OSError):
                self._summary = self._last_words()
            if self._process is not None:
                self._process.wait()
        return self._summary

    def _ask(self, request: Mapping[str, Any], allowed_seconds: float) -> tuple[dict[str, Any], list[pa.Table]]:
        """Return the answer to a request, on a connection of its own: Ctrl-C may cut one short."""
        with Client(str(self._socket), family="AF_UNIX") as connection:
            connection.send_bytes(json.dumps(request).encode())
            if not connection.poll(allowed_seconds + _ANSWER_SECONDS):
                raise LabError("controller", f"the telemetry collector does not answer; see {self._folder / LOG_FILE}")
            reply = json.loads(connection.recv_bytes())
            if "error" in reply:
                raise LabError(**reply["error"])
            return reply, [_read_table(connection.recv_bytes()) for _ in reply.get("measurements", ())]

    def _last_words(self) -> Summary:
        """Return what a collector that has ended left behind.

        Raises:
            LabError: Nothing: it was killed.
        """
        try:
            return Summary(**json.loads((self._folder / SUMMARY_FILE).read_bytes()))
        except OSError as error:
            if self._process is not None:
                self._process.wait()
            raise LabError("controller", f"the telemetry collector died; see {self._folder / LOG_FILE}") from error


def _give_orders(process: subprocess.Popen[bytes], orders: Mapping[str, Any], folder: Path) -> None:
    """Hand a new collector its orders, credentials among them, and wait for its one line of answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        try:
            process.stdin.write(json.dumps(orders).encode())
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has died at once: there will be no answer either
        line = process.stdout.readline()
    if not line:
        raise LabError("controller", f"the telemetry collector did not start; see {folder / LOG_FILE}")
    answer = json.loads(line)
    if "error" in answer:
        raise LabError(**answer["error"])


def _read_table(data: bytes) -> pa.Table:
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()
