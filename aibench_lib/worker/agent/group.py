"""The process of a group of queue pairs: drives one transport through one trial as the agent says, then ends.

An agent that has use for it in the next trial says so before it ends, and what it had opened is closed then.
"""

import errno
import gc
import mmap
import select
import socket
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aibench_lib.units import NS_PER_MS, NS_PER_SECOND
from aibench_lib.worker import transports
from aibench_lib.worker.agent.messages import Channel, Gone
from aibench_lib.worker.transports import clock
from aibench_lib.worker.transports.rows import Rows
from aibench_lib.worker.transports.transport import Options, Sender, SendQueue, Transport, TransportError

_SPIN_NS = NS_PER_MS // 2
"""Before T0 the process no longer sleeps: waking up may take that long on an idle core."""
_TRIGGER_PATIENCE_NS = NS_PER_SECOND
"""After T0 a trigger that has not come is lost."""
_LINGER_NS = NS_PER_SECOND
"""How long after a trial's deadline a process that has finished stays: a peer may read from it or write to it."""
_TOKEN_BYTES = 64
_WANTS = {
    errno.ENOSPC: "a disk of the host is full, or its shared memory; free some",
    errno.ENOMEM: "the host's memory is full, or the limit for it; see ulimit -l and -v",
    errno.EMFILE: "this user may not open more files; see ulimit -n",
    errno.ENFILE: "the host's table of open files is full",
    errno.ENOBUFS: "the host has no buffers left for its sockets; see net.core.wmem_max and rmem_max",
    errno.EADDRNOTAVAIL: "the host has not, or no longer, the address it is to send from",
    errno.ENETUNREACH: "no route leads from this host to its peer",
    errno.EHOSTUNREACH: "no route leads from this host to its peer",
}
"""What the host lacks when the kernel refuses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """How a trial begins and ends; times on this host's clock [ns since the epoch]."""

    t0_ns: int
    timeout_ns: int
    trigger_to: tuple[tuple[str, int], ...] = ()
    """To whom this process sends the trigger at T0."""
    await_trigger: bool = False
    trigger_token: bytes = b""


def serve(channel: Channel, started: mmap.mmap) -> None:
    """Do what the agent says until it says stop, or is gone.

    Args:
        channel: To the agent.
        started: Memory that the groups of the trial share: when the trigger came (8 bytes), 0 before.
    """
    one = _Group(channel, started)
    try:
        one.obey()
    except Gone:
        pass  # there is nobody to tell, and nothing to do but to end
    except Exception as error:  # noqa: BLE001 - whatever it is, the agent must be told in one line
        with suppress(Gone):
            channel.send(*_said(error))
    finally:
        one.close()


def _said(error: Exception) -> tuple[str, str]:
    """Return what the agent is told: ``failed`` for want of something, ``broke`` where this program is wrong."""
    if isinstance(error, TransportError):
        return "failed", _line(str(error))
    if isinstance(error, MemoryError):
        return "failed", "there is not enough memory; use fewer or smaller messages, or a shallower depth"
    where = traceback.extract_tb(error.__traceback__)[-1]
    if isinstance(error, OSError) and error.errno in _WANTS:
        return "failed", f"{error.strerror} ({_WANTS[error.errno]})"
    return "broke", _line(f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})")


class _Group:
    def __init__(self, channel: Channel, started: mmap.mmap) -> None:
        self._channel = channel
        self._started = started
        self._transport: Transport | None = None
        self._trigger: socket.socket | None = None
        self._sends = False

    def obey(self) -> None:
        orders: dict[str, Callable[..., bool | None]] = {
            "prepare": self._prepare,
            "accept": self._accept,
            "join": self._join,
            "run": self._run,
            "free": self._free,
        }
        stays = True
        while stays:
            order, *arguments = self._channel.receive()
            stays = orders[order](*arguments) is not False

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    @property
    def _opened(self) -> Transport:
        if self._transport is None:
            raise TransportError("nothing has been prepared")
        return self._transport

    def _prepare(self, name: str, options: Options, queues: Sequence[SendQueue], trigger: bool) -> None:
        self._sends = bool(queues)
        self._transport = transports.open(name, options)
        addresses = dict(self._transport.prepare(queues))
        where = self._open_trigger(options.address) if trigger else ""
        self._channel.send("prepared", self._transport.label, addresses, where)

    def _open_trigger(self, address: str) -> str:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._trigger = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._trigger.bind((address, 0))
        except OSError as error:
            raise TransportError(
                f"cannot open the trigger's socket on {address}: {error.strerror}; see that the host has this address"
            ) from error
        port = self._trigger.getsockname()[1]
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    def _accept(self, senders: Sequence[Sender]) -> None:
        self._channel.send("accepted", dict(self._opened.accept(senders)))

    def _join(self, receivers: Mapping[int, bytes]) -> None:
        self._opened.join(receivers)
        self._channel.send("joined")

    def _free(self) -> None:
        """Be as new for another trial."""
        self.close()
        self._transport, self._sends = None, False
        if self._trigger is not None:
            self._trigger.close()
            self._trigger = None
        self._channel.send("freed")

    def _run(self, start: Start) -> bool:
        """Run the trial; return whether there is another order then."""
        transport = self._opened
        clock.synchronise()
        late_ns = clock.now_ns() - start.t0_ns
        if late_ns > 0:
            raise TransportError(f"T0 had passed {late_ns // 1000} us before this host was ready; give it more time")
        gc.collect()
        gc.freeze()
        rows = Rows(self._channel.send)
        t0_ns = self._wait(start)
        started_ns = clock.now_ns()
        transport.run(t0_ns, t0_ns + start.timeout_ns, rows)
        finished_ns = clock.now_ns()
        rows.close()
        self._channel.send("finished", started_ns if self._sends else 0, finished_ns, dict(transport.states()))
        return self._linger(t0_ns + start.timeout_ns + _LINGER_NS)

    def _wait(self, start: Start) -> int:
        """Return T0 once it is that time."""
        if start.await_trigger:
            return self._wait_for_trigger(start)
        _sleep_until(start.t0_ns - _SPIN_NS)
        while clock.now_ns() < start.t0_ns:
            pass
        if start.trigger_to:
            self._send_trigger(start)
        return start.t0_ns

    def _send_trigger(self, start: Start) -> None:
        if self._trigger is None:
            raise TransportError("the trial was prepared without a trigger, and cannot give one")
        for address in start.trigger_to:
            self._trigger.sendto(start.trigger_token, address)

    def _wait_for_trigger(self, start: Start) -> int:
        """Return when the trigger came; the process that holds its socket tells the others of this host."""
        own, shared = self._trigger, memoryview(self._started).cast("q")
        if own is None:
            _sleep_until(start.t0_ns - _SPIN_NS)
        else:
            own.setblocking(False)
            select.select([own], [], [], max(0, start.t0_ns - _SPIN_NS - clock.now_ns()) / NS_PER_SECOND)
        last_ns = start.t0_ns + _TRIGGER_PATIENCE_NS
        while clock.now_ns() < last_ns:
            if own is not None and _has_come(own, start.trigger_token):
                shared[0] = clock.now_ns()
            if shared[0]:
                return shared[0]
        raise TransportError(
            "the trigger did not come within 1 s after T0; see that UDP passes between the hosts in the fabric under "
            "test, or start by clock"
        )

    def _linger(self, until_ns: int) -> bool:
        left = (until_ns - clock.now_ns()) / NS_PER_SECOND
        return bool(select.select([self._channel], [], [], max(0.0, left))[0])


def _has_come(trigger: socket.socket, token: bytes) -> bool:
    """Return whether the token is what came; whatever else came is left out."""
    try:
        return trigger.recv(_TOKEN_BYTES) == token
    except BlockingIOError:
        return False


def _sleep_until(time_ns: int) -> None:
    left = time_ns - clock.now_ns()
    if left > 0:
        time.sleep(left / NS_PER_SECOND)


def _line(text: str) -> str:
    return " ".join(text.split())
