"""Drives the transports of some hosts through a trial, each in a process of its own, without any agent."""

import contextlib
import gc
import multiprocessing
import os
import signal
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from aibench_lib.worker import transports
from aibench_lib.worker.transports import clock
from aibench_lib.worker.transports.rows import NEVER, RECEIPT, SAMPLE, STATUSES, Rows
from aibench_lib.worker.transports.transport import Loop, Message, Options, Sender, SendQueue, TransportError

ANSWER_SECONDS = 20.0
LEAD_NS = 30_000_000
SECOND, MS, US = 1_000_000_000, 1_000_000, 1_000
KIB, MIB = 1 << 10, 1 << 20


class SampleRow(NamedTuple):
    place: int
    operations: int
    size_bytes: int
    intended_ns: int
    posted_ns: int
    completed_ns: int
    received_ns: int
    echoed_ns: int
    status: str


class ReceiptRow(NamedTuple):
    place: int
    sequence: int
    size_bytes: int
    received_ns: int


@dataclass
class Outcome:
    """What one host has to say after its run."""

    samples: list = field(default_factory=list)
    receipts: list = field(default_factory=list)
    finished_ns: int = 0
    cpu_seconds: float = 0.0
    resident_kib: list = field(default_factory=list)
    """Memory at the first blocks of rows and at the last ones."""
    rows: int = 0
    operations: int = 0
    error: str = ""


def scheduled(qp, *messages, peer="b", operation="write_with_imm", priority=3):
    made = tuple(Message(size_bytes=size, offset_ns=offset) for size, offset in messages)
    return SendQueue(peer=peer, qp=qp, priority=priority, operation=operation, messages=made)


def looped(qp, size, *, seconds=0.2, depth=1, batch=1, rate=0, offset=0, peer="b", operation="write_with_imm"):
    loop = Loop(
        size_bytes=size,
        depth=depth,
        batch=batch,
        offset_ns=offset,
        duration_ns=int(seconds * SECOND),
        rate_bps=rate,
        echo=False,
    )
    return SendQueue(peer=peer, qp=qp, priority=3, operation=operation, loop=loop)


def assert_whole(rows):
    """Every row has arrived, in the order of its stamps."""
    assert rows
    for row in rows:
        assert row.status == "ok"
        assert row.intended_ns <= row.posted_ns <= row.completed_ns == row.echoed_ns
        if row.received_ns != NEVER:  # one machine: one clock, read anew by each process
            assert row.posted_ns - 50 * US <= row.received_ns <= row.completed_ns + 50 * US


class Host:
    """A host's transport in a process of its own; leaving the context ends both."""

    def __init__(self, name, transport="tcp", *, keep_rows=True, **options):
        self.name = name
        options = Options(**{"host": name, "address": "127.0.0.1", **options})
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, transport, options, keep_rows), daemon=True)
        self.process.start()
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            self.ask("close")
        self.process.kill()
        self.process.join()
        self._pipe.close()

    def tell(self, method, *arguments):
        self._pipe.send((method, arguments))

    def answer(self, seconds=ANSWER_SECONDS):
        """Return what the method told last has returned, or raise its TransportError."""
        if not self._pipe.poll(seconds):
            raise TimeoutError(f"{self.name} does not answer")
        kind, value = self._pipe.recv()
        if kind == "failed":
            raise TransportError(value)
        return value

    def ask(self, method, *arguments, seconds=ANSWER_SECONDS):
        self.tell(method, *arguments)
        return self.answer(seconds)

    def pause(self):
        """Let nothing of the host run until :meth:`go_on`; its kernel still acknowledges packets."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.join()


def connect(hosts, loads):
    """Take hosts through prepare, accept and join; ``loads`` maps sending host -> its queues."""
    senders = defaultdict(list)
    for name, host in hosts.items():
        queues = list(loads.get(name, ()))
        addresses = host.ask("prepare", queues)
        for queue in queues:
            senders[queue.peer].append(Sender(host=name, qp=queue.qp, address=addresses[queue.qp]))
    receivers = defaultdict(dict)
    for name, host in hosts.items():
        for (sending, qp), address in host.ask("accept", senders[name]).items():
            receivers[sending][qp] = address
    for name, host in hosts.items():
        host.ask("join", receivers[name])


def start(hosts, seconds):
    """Let hosts run; return T0."""
    t0_ns = time.time_ns() + LEAD_NS
    for host in hosts.values():
        host.tell("run", t0_ns, t0_ns + int(seconds * SECOND))
    return t0_ns


def finish(hosts, seconds):
    return {name: host.answer(seconds + ANSWER_SECONDS) for name, host in hosts.items()}


def trial(loads, *, names=(), seconds=10.0, transport="tcp", keep_rows=True, **options):
    """Run a whole trial; return host -> its outcome."""
    every = dict.fromkeys([*loads, *(queue.peer for queues in loads.values() for queue in queues), *names])
    with contextlib.ExitStack() as stack:
        hosts = {name: stack.enter_context(Host(name, transport, keep_rows=keep_rows, **options)) for name in every}
        connect(hosts, loads)
        start(hosts, seconds)
        return finish(hosts, seconds)


def _serve(pipe, name, options, keep_rows):
    gc.freeze()  # what other tests have left, gRPC's channels among it, is not to be collected in a fork: it would hang
    transport = transports.open(name, options)
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            os._exit(0)
        try:
            if method == "run":
                pipe.send(("done", _run(transport, *arguments, keep_rows)))
            else:
                pipe.send(("done", getattr(transport, method)(*arguments)))
        except TransportError as error:
            pipe.send(("failed", str(error)))


def _run(transport, t0_ns, deadline_ns, keep_rows):
    outcome = Outcome()
    blocks = defaultdict(list)

    def flush(kind, block):
        outcome.resident_kib = [*outcome.resident_kib[:4], *outcome.resident_kib[4:][-3:], _resident_kib()]
        if kind == "samples":
            outcome.rows += len(block) // SAMPLE.size
            outcome.operations += sum(row[1] for row in SAMPLE.iter_unpack(block))
        if keep_rows:
            blocks[kind].append(block)

    clock.synchronise()
    time.sleep(max(t0_ns - clock.now_ns(), 0) / SECOND)
    rows, cpu = Rows(flush), time.process_time()
    transport.run(t0_ns, deadline_ns, rows)
    rows.close()
    outcome.cpu_seconds = time.process_time() - cpu
    outcome.finished_ns = clock.now_ns()
    for block in blocks["samples"]:
        outcome.samples += [SampleRow(*row[:8], STATUSES[row[8]]) for row in SAMPLE.iter_unpack(block)]
    for block in blocks["receipts"]:
        outcome.receipts += [ReceiptRow(row[0], *row[2:]) for row in RECEIPT.iter_unpack(block)]
    return outcome


def _resident_kib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024
