"""Two hosts of the guest's fabric: a process each, with one transport each, driven as the agents do, without agents."""

import os
import pickle
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aibench_lib.worker.transports import clock
from aibench_lib.worker.transports.rows import RECEIPT, SAMPLE, Rows
from aibench_lib.worker.transports.transport import Options, Sender, SendQueue, TransportError
from aibench_lib.worker.transports.verbs import Verbs

SENDER, RECEIVER = "h1", "h2"
_BEFORE_T0_NS = 20_000_000


@dataclass
class Outcome:
    """What became of a trial at both ends."""

    samples: list[tuple[int, ...]] = field(default_factory=list)
    receipts: list[tuple[int, ...]] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    label: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


class _Wire:
    """Pickles over a socket pair."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def say(self, what: Any) -> None:
        data = pickle.dumps(what)
        self._end.sendall(struct.pack("<I", len(data)) + data)

    def hear(self) -> Any:
        return pickle.loads(self._exactly(struct.unpack("<I", self._exactly(4))[0]))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._end.recv(count - len(data))
            if not part:
                raise EOFError("the other end is gone")
            data += part
        return data


def _end(host: str, queues: Sequence[SendQueue], wire: _Wire, options: dict, hooks: dict, seconds: float) -> Outcome:
    outcome = Outcome()
    blocks: dict[str, list[bytes]] = {"samples": [], "receipts": []}
    rows = Rows(lambda kind, block: blocks[kind].append(block))
    transport = Verbs(Options(host=host, address=f"10.0.0.{host[1:]}", seed=7, **options))
    try:
        for step in ("prepare", "accept", "join", "run"):
            hooks.get((host, step), lambda *_: None)(transport, outcome)
            if step == "prepare":
                wire.say(transport.prepare(queues))
                outcome.label = transport.label
                theirs = wire.hear()
            elif step == "accept":
                other = RECEIVER if host == SENDER else SENDER
                accepted = transport.accept([Sender(host=other, qp=qp, address=end) for qp, end in theirs.items()])
                wire.say(accepted)
                ends = {qp: end for (_, qp), end in wire.hear().items()}
            elif step == "join":
                transport.join(ends)
                wire.say("ready")
                wire.hear()
            else:
                clock.synchronise()
                t0 = clock.now_ns() + _BEFORE_T0_NS
                transport.run(t0, t0 + round(seconds * 1e9), rows)
        hooks.get((host, "ran"), lambda *_: None)(transport, outcome)
        outcome.states = dict(transport.states())
    except TransportError as error:
        outcome.errors[host] = str(error)
    rows.close()
    outcome.samples = [row for block in blocks["samples"] for row in SAMPLE.iter_unpack(block)]
    outcome.receipts = [row for block in blocks["receipts"] for row in RECEIPT.iter_unpack(block)]
    transport.close()
    transport.close()
    return outcome


def trial(
    queues: Sequence[SendQueue],
    *,
    seconds: float = 60,
    hooks: dict | None = None,
    back: Sequence[SendQueue] = (),
    **options,
) -> Outcome:
    """Run one trial from h1 to h2, and from h2 to h1 with the queues ``back``.

    Args:
        queues: What h1 sends.
        seconds: The deadline after T0 [s].
        hooks: (host, step) -> what is called before ``prepare``, ``accept``, ``join`` or ``run``, or as ``ran`` behind
            it, in the host's process, with the transport and the outcome.
        back: What h2 sends.
        options: Of the transports.
    """
    here, there = socket.socketpair()
    ends = [
        _start(SENDER, queues, here, there, options, hooks or {}, seconds),
        _start(RECEIVER, back, there, here, options, hooks or {}, seconds),
    ]
    here.close()
    there.close()
    total = Outcome()
    for host, child, results in zip((SENDER, RECEIVER), *zip(*ends, strict=True), strict=True):
        with os.fdopen(results, "rb") as inp:
            said = inp.read()
        os.waitpid(child, 0)
        outcome = pickle.loads(said) if said else Outcome(errors={host: "died"})
        total.samples += outcome.samples
        total.receipts += outcome.receipts
        total.states |= outcome.states
        total.errors |= outcome.errors
        total.extra |= outcome.extra
        total.label = total.label or outcome.label
    return total


def _start(
    host: str,
    queues: Sequence[SendQueue],
    own: socket.socket,
    other: socket.socket,
    options: dict,
    hooks: dict,
    seconds: float,
) -> tuple[int, int]:
    """Start the process of one end; return it, and the pipe that its outcome comes through."""
    results, result = os.pipe()
    child = os.fork()
    if child:
        os.close(result)
        return child, results
    other.close()
    try:
        outcome = _end(host, queues, _Wire(own), options, hooks, seconds)
        with os.fdopen(result, "wb") as out:
            pickle.dump(outcome, out)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - the child must end here, whatever it was
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
