"""The transport of a group: which tools run, and the rows that come of what they say."""

import contextlib
import functools
import hmac
import json
import secrets
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aibench_lib.units import NS_PER_SECOND, NS_PER_US
from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.perftest import output, relay
from aibench_lib.worker.transports.perftest.commands import (
    Device,
    Measurement,
    check_tool,
    client,
    device_of,
    measurement_of,
    server,
)
from aibench_lib.worker.transports.perftest.runs import Process, Runs
from aibench_lib.worker.transports.rows import NEVER, TIMEOUT, Rows
from aibench_lib.worker.transports.transport import Options, Sender, SendQueue, TransportError

_FIRST_MESSAGES = 100
"""Of a latency test: as many as tell how many there can be in the time that is left."""
_FEWEST_MESSAGES, _MOST_MESSAGES = 5, 200_000
"""perftest takes no fewer; and what it keeps of more of them is held in memory here, too."""
_SLOW_BYTES_PER_SECOND = 1 << 20
"""Below this the two decimals that the tool prints are too few."""
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the receiving end waits for the runs of a queue pair."""

    address: str
    port: int
    token: bytes


class Perftest:
    """Queue pairs whose loops are runs of perftest's tools; see :class:`~..transport.Transport`.

    Args:
        options: How the transports of this host are set.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self.label = ""
        self._device: Device | None = None
        self._queues: Sequence[SendQueue] = ()
        self._tests: list[Measurement] = []
        self._served: dict[bytes, Measurement] = {}
        self._listener: socket.socket | None = None
        self._places: Mapping[int, _Place] = {}
        self._runs: Runs | None = None

    def prepare(self, queues: Sequence[SendQueue]) -> Mapping[int, bytes]:
        """Check that the tools can do what is asked; return queue pair -> the run it is."""
        self._tests = [measurement_of(queue, self._options) for queue in queues]
        self._device = device_of(self._options)
        self.label = self._device.label
        for tool in {(test.tool, test.operation): test for test in self._tests}.values():
            check_tool(tool)
        self._queues = queues
        return {queue.qp: test.to_bytes() for queue, test in zip(queues, self._tests, strict=True)}

    def accept(self, senders: Sequence[Sender]) -> Mapping[tuple[str, int], bytes]:
        """Listen for the sending ends' runs; return where, and the token of each."""
        if not senders:
            return {}
        try:
            self._listener = relay.listen(self._options.address)
        except OSError as error:
            raise TransportError(
                f"cannot listen on {self._options.address}: {error.strerror}; see that the host has this address"
            ) from error
        port = self._listener.getsockname()[1]
        places = {}
        for sender in senders:
            test, token = Measurement.from_bytes(sender.address), secrets.token_bytes(16)
            check_tool(test)
            self._served[token] = test
            place = {"address": self._options.address, "port": port, "token": token.hex()}
            places[sender.host, sender.qp] = json.dumps(place).encode()
        return places

    def join(self, receivers: Mapping[int, bytes]) -> None:
        """Keep where the receiving ends wait; the tools connect when they run."""
        try:
            found = {qp: json.loads(text) for qp, text in receivers.items()}
            self._places = {
                qp: _Place(str(one["address"]), int(one["port"]), bytes.fromhex(one["token"]))
                for qp, one in found.items()
            }
        except (KeyError, TypeError, ValueError) as error:
            raise TransportError(f"the receiving end does not say where it waits ({error})") from error

    def run(self, t0_ns: int, deadline_ns: int, rows: Rows) -> None:
        """Run the tools of all queue pairs side by side."""
        runs = self._runs = Runs(deadline_ns)
        unfinished = set(range(len(self._queues)))
        for place in range(len(self._queues)):
            runs.add(functools.partial(self._send, place, t0_ns, rows, runs, unfinished))
        if self._served:
            runs.add(functools.partial(self._receive, runs))
        runs.serve()
        for place in sorted(unfinished):
            loop = self._queues[place].loop
            assert loop is not None, "prepare refuses a queue pair without a loop"
            rows.sample(place, 1, loop.size_bytes, t0_ns + loop.offset_ns, NEVER, NEVER, status=TIMEOUT)

    def states(self) -> Mapping[str, str]:
        """Return nothing: the queue pairs have ended with their tools."""
        return {}

    def close(self) -> None:
        """Kill the tools and stop listening."""
        if self._runs is not None:
            self._runs.close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    # The sending end

    def _send(self, place: int, t0_ns: int, rows: Rows, runs: Runs, unfinished: set[int]) -> None:
        queue, test = self._queues[place], self._tests[place]
        loop = queue.loop
        assert loop is not None, "prepare refuses a queue pair without a loop"
        begin_ns = t0_ns + loop.offset_ns
        runs.sleep_until(begin_ns)
        if test.kind == "bw":
            self._bandwidth(place, begin_ns, rows, runs)
        else:
            self._latencies(place, begin_ns + loop.duration_ns, rows, runs)
        with self._hello(queue, relay.END):
            runs.order(functools.partial(unfinished.discard, place))

    def _bandwidth(self, place: int, begin_ns: int, rows: Rows, runs: Runs) -> None:
        queue, test = self._queues[place], self._tests[place]
        with tempfile.TemporaryDirectory(prefix="aibench-perftest-") as folder:
            report = Path(folder) / "report.json"
            text, words = self._one_run(queue, test, 0, str(report), runs)
            json_text = report.read_text(errors="replace") if report.exists() else ""
        found = output.bandwidth(text, json_text)
        if found is None:
            raise TransportError(f"{_where(queue, test)} printed no result: {output.complaint(text)}")
        sent = found.operations * test.size_bytes
        slow = found.bytes_per_second < _SLOW_BYTES_PER_SECOND
        seconds = test.seconds if slow else sent / found.bytes_per_second
        measured_ns = round(seconds * NS_PER_SECOND)
        posted_ns = relay.began_ns(words, measured_ns)
        row = (place, found.operations, sent, begin_ns, posted_ns, posted_ns + measured_ns)
        runs.order(functools.partial(rows.sample, *row))

    def _latencies(self, place: int, end_ns: int, rows: Rows, runs: Runs) -> None:
        """Measure again and again, until the time is up; messages posted after it are not counted."""
        queue, test = self._queues[place], self._tests[place]
        messages, first = _FIRST_MESSAGES, True
        while first or now_ns() < end_ns:
            text, words = self._one_run(queue, test, messages, "", runs)
            trips_ns = [round(sample * NS_PER_US * (2 if test.halves else 1)) for sample in output.samples_us(text)]
            if not trips_ns:
                raise TransportError(f"{_where(queue, test)} printed no samples: {output.complaint(text)}")
            posted_ns = relay.began_ns(words, sum(trips_ns))
            if first and posted_ns >= end_ns:
                raise TransportError(f"{_where(queue, test)} was not ready before its time was up; give it more time")
            runs.order(functools.partial(_write, rows, place, test, posted_ns, end_ns, trips_ns))
            left = (end_ns - now_ns()) * len(trips_ns) // max(sum(trips_ns), 1)
            messages, first = min(max(left, _FEWEST_MESSAGES), _MOST_MESSAGES), False

    def _one_run(
        self, queue: SendQueue, test: Measurement, messages: int, report: str, runs: Runs
    ) -> tuple[str, list[int]]:
        """Return what one run of the tool printed, and when both ends spoke to each other [ns]."""
        assert self._device is not None, "prepare comes first"
        with self._hello(queue, messages) as other, relay.listen("127.0.0.1") as own:
            if relay.exactly(other, 1, runs.over) != relay.READY:
                raise TransportError(f"{_where(queue, test)}: the receiving end speaks another language")
            line = client(test, self._device, own.getsockname()[1], messages, report)
            process = runs.start(line)
            try:
                with relay.accept(own, lambda: process.ended or runs.over()) as tool:
                    words = relay.carry(tool, other, runs.over)
            except relay.Ended:
                if runs.over():
                    raise
                words = []  # the tool ended without a word to the other end: its status says why
            status, text = process.result(runs.over)
        if runs.over():
            raise relay.Ended
        if status:
            raise TransportError(f"{_where(queue, test)} failed: {output.complaint(text)}")
        return text, words

    def _hello(self, queue: SendQueue, messages: int) -> socket.socket:
        place = self._places[queue.qp]
        try:
            other = socket.create_connection(
                (place.address, place.port), timeout=_CONNECT_SECONDS, source_address=(self._options.address, 0)
            )
        except OSError as error:
            raise TransportError(
                f"queue pair {queue.qp} to {queue.peer}: cannot reach {place.address}:{place.port} ({error}); "
                "both hosts must reach each other by TCP in the fabric"
            ) from error
        other.sendall(relay.HELLO.pack(place.token, messages))
        return other

    # The receiving end

    def _receive(self, runs: Runs) -> None:
        """Serve runs until every sending end has said that it is done."""
        assert self._listener is not None, "accept comes first"
        left = set(self._served)
        while left:
            other = relay.accept(self._listener, runs.over)
            token, messages = relay.hello(other, runs.over)
            known = next((own for own in self._served if hmac.compare_digest(own, token)), None)
            if known is None or messages == relay.END:
                other.close()
                left.discard(token)
            else:
                runs.add(functools.partial(self._serve, self._served[known], messages, other, runs), counts=False)

    def _serve(self, test: Measurement, messages: int, other: socket.socket, runs: Runs) -> None:
        assert self._device is not None, "prepare comes first"
        port = relay.free_port()
        process = runs.start(server(test, self._device, port, messages))
        with other:
            try:
                tool = relay.connect_to_tool(port, lambda: process.ended or runs.over())
            except relay.Ended:
                self._explain(test, process, runs)
                return
            with tool:
                other.sendall(relay.READY)
                with contextlib.suppress(BrokenPipeError):
                    relay.carry(tool, other, runs.over)
        self._explain(test, process, runs)

    def _explain(self, test: Measurement, process: Process, runs: Runs) -> None:
        """Wait for a tool's end; a failure of it is one of the trial.

        Raises:
            TransportError: The tool has failed.
        """
        status, text = process.result(runs.over)
        if status > 0 and not runs.over():
            raise TransportError(f"{test.tool}, receiving, failed: {output.complaint(text)}")


def _write(rows: Rows, place: int, test: Measurement, posted_ns: int, end_ns: int, trips_ns: Sequence[int]) -> None:
    """Write the rows of messages that followed each other, up to the end of their loop."""
    for trip_ns in trips_ns:
        if posted_ns >= end_ns:
            return
        back_ns = posted_ns + trip_ns
        echoed_ns = back_ns if test.halves else NEVER
        rows.sample(place, 1, test.size_bytes, posted_ns, posted_ns, back_ns, echoed_ns=echoed_ns)
        posted_ns = back_ns


def _where(queue: SendQueue, test: Measurement) -> str:
    return f"{test.tool} to {queue.peer}, queue pair {queue.qp},"
