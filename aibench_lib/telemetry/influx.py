"""Copy telemetry to an InfluxDB 2 database: the library's one door to influxdb_client.

The run's folder has everything already, so a database that fails costs nothing but the copy: it is said once.
"""

import queue
import threading
from collections.abc import Iterator, Sequence

import pyarrow as pa
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from aibench_lib.telemetry.config import Influx
from aibench_lib.telemetry.measurements import FIELDS, TAGS

_BATCH_LINES = 5_000
_QUEUED_TABLES = 256
_ATTEMPTS = 4
_LONGEST_PAUSE_SECONDS = 10.0
_DRAIN_SECONDS = 10.0
_TOO_LARGE = 413
_WORTH_REPEATING = frozenset({429, 500, 502, 503, 504})

_TAG_ESCAPES = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r"})


def lines(measurement: str, table: pa.Table) -> Iterator[str]:
    """Yield the rows of a table in line protocol, times in ns; a row without any field gives no line.

    Integers get their suffix, so that the database keeps all of their 64 bits.
    """
    tags = [_tag_column(tag, table[tag].to_pylist()) for tag in TAGS[measurement]]
    fields = [_field_column(name, kind, table[name].to_pylist()) for name, kind in FIELDS[measurement].items()]
    heads = zip(*tags, strict=True)
    bodies = zip(*fields, strict=True)
    for head, body, time_ns in zip(heads, bodies, table["time_ns"].to_pylist(), strict=True):
        values = ",".join(filter(None, body))
        if values:
            yield f"{measurement}{''.join(head)} {values} {time_ns}"


def _tag_column(tag: str, values: Sequence[str]) -> list[str]:
    texts = {value: f",{tag}={escape_tag(value)}" if value else "" for value in set(values)}
    return [texts[value] for value in values]


def _field_column(name: str, kind: pa.DataType, values: Sequence[int | bool | None]) -> list[str]:
    if kind == pa.int64():
        return ["" if value is None else f"{name}={value}i" for value in values]
    return ["" if value is None else f"{name}={'true' if value else 'false'}" for value in values]


def escape_tag(value: str) -> str:
    r"""Return a tag's value as line protocol writes it; a backslash at the end gets a space, or it would escape."""
    return value.translate(_TAG_ESCAPES) + (r"\ " if value.endswith("\\") else "")


class InfluxWriter:
    """A thread that writes tables to the database; nobody waits for it, and it never raises.

    Args:
        influx: The database.
    """

    def __init__(self, influx: Influx) -> None:
        self._influx = influx
        self._tables: queue.Queue[tuple[str, pa.Table] | None] = queue.Queue(_QUEUED_TABLES)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._reason = ""
        self._lost_lines = 0
        self.written_lines = 0
        self._client = InfluxDBClient(
            url=influx.url,
            token=influx.token,
            org=influx.organisation,
            timeout=int(influx.timeout_seconds * 1_000),
            retries=False,
        )
        self._api = self._client.write_api(write_options=SYNCHRONOUS)
        self._thread = threading.Thread(target=self._run, name="influx", daemon=True)
        self._thread.start()

    def offer(self, measurement: str, table: pa.Table) -> None:
        """Have a table written, unless the database is so far behind that there is no room left."""
        if not table.num_rows:
            return
        try:
            self._tables.put_nowait((measurement, table))
        except queue.Full:
            self._lose(table.num_rows, "the database does not keep up")

    def close(self, drain_seconds: float = _DRAIN_SECONDS) -> None:
        """Write what is left, for so long at most, and end."""
        self._closing.set()
        try:
            self._tables.put(None, timeout=drain_seconds)
        except queue.Full:
            self._lose(self._tables.qsize(), "the database does not keep up")
        self._thread.join(drain_seconds)
        if self._thread.is_alive():
            self._lose(0, "the database did not take the last tables in time")
        self._client.close()  # type: ignore[no-untyped-call] # the library types it only in part

    def warnings(self) -> list[str]:
        """Return one line if anything was not copied."""
        with self._lock:
            if not self._reason:
                return []
            return [
                f"{self._influx.url}: {self._reason}; {self._lost_lines} lines were not copied to InfluxDB "
                "(the run's telemetry folder has them)"
            ]

    def _run(self) -> None:
        while (item := self._tables.get()) is not None:
            pending = list(lines(*item))
            for start in range(0, len(pending), _BATCH_LINES):
                self._send(pending[start : start + _BATCH_LINES])

    def _send(self, batch: list[str]) -> None:
        reason = ""
        for attempt in range(_ATTEMPTS):
            pause_seconds = 0.5 * 2**attempt
            try:
                self._write(batch)
            except ApiException as error:
                if error.status == _TOO_LARGE and len(batch) > 1:
                    self._send(batch[: len(batch) // 2])
                    self._send(batch[len(batch) // 2 :])
                    return
                reason = f"status {error.status}: {error.message or error.reason}"
                if error.status not in _WORTH_REPEATING:
                    break
                pause_seconds = _retry_after_seconds(error, pause_seconds)
            except HTTPError as error:
                reason = f"does not answer ({type(error).__name__})"
            else:
                return
            self._closing.wait(min(pause_seconds, _LONGEST_PAUSE_SECONDS))
        self._lose(len(batch), reason)

    def _write(self, batch: list[str]) -> None:
        record = "\n".join(batch).encode()
        self._api.write(self._influx.bucket, self._influx.organisation, record)  # nanoseconds are its default
        self.written_lines += len(batch)

    def _lose(self, count: int, reason: str) -> None:
        with self._lock:
            self._lost_lines += count
            self._reason = self._reason or reason


def _retry_after_seconds(error: ApiException, otherwise: float) -> float:
    try:
        return float(error.retry_after or otherwise)
    except ValueError:
        return otherwise  # a date: not worth reading for a copy
