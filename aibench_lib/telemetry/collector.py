"""The collector process: streams that feed a ledger, and a socket on which windows of it are asked for."""

import contextlib
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pyarrow as pa

from aibench_lib.errors import AibenchError, LabError
from aibench_lib.files import write_whole
from aibench_lib.spec import build
from aibench_lib.telemetry.config import Influx
from aibench_lib.telemetry.control import SUMMARY_FILE, Summary
from aibench_lib.telemetry.ledger import Ledger
from aibench_lib.telemetry.polled import PolledStream
from aibench_lib.telemetry.stream import Stream, open_channel
from aibench_lib.telemetry.subscription import Subscription

if TYPE_CHECKING:
    from aibench_lib.telemetry.influx import InfluxWriter


class Collection:
    """All streams of a collector, its ledger and its copy to a database.

    Args:
        subscriptions: What to receive.
        folder: Where segments are written.
        influx: The database for the copy.
    """

    def __init__(self, subscriptions: list[Subscription], folder: Path, influx: Influx | None) -> None:
        self._folder = folder
        self._writer = _open_writer(influx) if influx else None
        on_written = self._writer.offer if self._writer else lambda _measurement, _rows: None
        self.ledger = Ledger(subscriptions, folder, on_written)
        self._channels: list[grpc.Channel] = []
        self._streams: list[Stream | PolledStream] = []
        for line in self.ledger.lines:
            if line.subscriptions[0].command:
                self._streams.append(PolledStream(line, self.ledger))
                continue
            self._channels.append(open_channel(line.subscriptions[0]))
            self._streams.append(Stream(line, self._channels[-1], self.ledger))
        self._closing = threading.Lock()
        self._summary: Summary | None = None

    def start(self, timeout_seconds: float) -> None:
        """Receive from now on; return when every subscription has sent everything once.

        Raises:
            LabError: A switch cannot be reached, refuses, or is late.
        """
        for stream in self._streams:
            stream.start()
        self.ledger.wait_for_sync(timeout_seconds)

    def close(self) -> Summary:
        """End all streams, write what is left, and return what was done; doing so again changes nothing.

        Raises:
            LabError: The last rows cannot be written; closing again tries again.
        """
        with self._closing:
            if self._summary is None:
                for stream in self._streams:
                    stream.close()
                for channel in self._channels:
                    channel.close()
                self.ledger.write()
                if self._writer:
                    self._writer.close()
                summary = Summary(
                    messages=self.ledger.messages(),
                    rows=self.ledger.rows(),
                    outages=self.ledger.outages(),
                    influx_lines=self._writer.written_lines if self._writer else 0,
                    warnings=self._writer.warnings() if self._writer else [],
                )
                text = json.dumps(asdict(summary)).encode()
                write_whole(self._folder / SUMMARY_FILE, lambda file: file.write(text))
                self._summary = summary
            return self._summary


def _open_writer(influx: Influx) -> "InfluxWriter":
    from aibench_lib.telemetry.influx import InfluxWriter  # loads for half a second, which a run without may save

    return InfluxWriter(influx)


def run(socket: Path) -> int:
    """Read orders from standard input, collect until told to stop or the owner ends, and return an exit status.

    Standard output gets one line of JSON: ``{"ready": true}``, or the error with which the start failed.
    """
    stopped = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    orders = json.loads(sys.stdin.buffer.read())
    threading.Thread(target=_watch_owner, args=(orders["owner_pid"], stopped), name="owner", daemon=True).start()
    try:
        collection = _start(orders)
    except AibenchError as error:
        _say(_error(error))
        return 1
    with Listener(str(socket), family="AF_UNIX", backlog=8) as listener:
        threading.Thread(target=_accept, args=(listener, collection, stopped), name="control", daemon=True).start()
        try:
            _say({"ready": True})
        except BrokenPipeError:  # who started it has ended meanwhile
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still in the buffer at exit
            stopped.set()
        stopped.wait()
    with contextlib.suppress(OSError):
        socket.parent.rmdir()
    try:
        collection.close()
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _start(orders: Mapping[str, Any]) -> Collection:
    subscriptions = [build(Subscription, values, "telemetry subscription") for values in orders["subscriptions"]]
    influx = build(Influx, orders["influx"], "influxdb") if orders["influx"] else None
    collection = Collection(subscriptions, Path(orders["folder"]), influx)
    try:
        collection.start(orders["start_seconds"])
    except LabError:
        collection.close()
        raise
    return collection


def _watch_owner(pid: int, stopped: threading.Event) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        stopped.set()
        return
    select.select([descriptor], [], [])
    stopped.set()


def _accept(listener: Listener, collection: Collection, stopped: threading.Event) -> None:
    while True:
        try:
            connection = listener.accept()
        except OSError:
            return  # the listener is closed
        threading.Thread(target=_serve, args=(connection, collection, stopped), name="client", daemon=True).start()


def _serve(connection: Connection, collection: Collection, stopped: threading.Event) -> None:
    """Answer a client's one request; it may have gone meanwhile."""
    reply: dict[str, Any] = {}
    with connection, contextlib.suppress(EOFError, OSError):
        request = json.loads(connection.recv_bytes())
        try:
            reply, tables = _answer(request, collection)
        except LabError as error:
            reply, tables = _error(error), []
        connection.send_bytes(json.dumps(reply).encode())
        for table in tables:
            connection.send_bytes(_table_bytes(table))
    if "summary" in reply:
        stopped.set()


def _answer(request: Mapping[str, Any], collection: Collection) -> tuple[dict[str, Any], list[pa.Table]]:
    if request["request"] == "stop":
        return {"summary": asdict(collection.close())}, []
    window = collection.ledger.window(request["begin_ns"], request["end_ns"], request["timeout_seconds"])
    return {"measurements": list(window.tables), "reasons": list(window.reasons)}, list(window.tables.values())


def _error(error: AibenchError) -> dict[str, Any]:
    host = error.host if isinstance(error, LabError) else "controller"
    return {"error": {"host": host, "message": str(error).removeprefix(f"{host}: ")}}


def _table_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _say(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
