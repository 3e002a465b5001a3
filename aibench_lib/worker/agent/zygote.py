"""The process that forks the others of an agent: small, of one thread, without gRPC; it answers clock probes, too.

A process that has used gRPC must not be forked, and importing what a transport needs takes longer than a trial may
wait.  So this one is forked while the agent is still small, imports the transports once, and forks a process for each
group of queue pairs within a millisecond.  It ends with its agent, and everything that it has forked ends with it.
"""

import ctypes
import gc
import hmac
import mmap
import os
import pickle
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, NoReturn

from aibench_lib.worker import transports
from aibench_lib.worker.agent import group
from aibench_lib.worker.agent.messages import Channel
from aibench_lib.worker.agent.refusals import Broken
from aibench_lib.worker.arrival import ANCILLARY_BYTES, arrived_ns, stamp_arrivals

_LARGEST_REQUEST_BYTES = 1 << 16
_TOKEN_BYTES = 16
_PROBE_BYTES = _TOKEN_BYTES + 8
_PROBES_AT_ONCE = 64
"""Before orders of the agent are looked at again."""
_STAMPS = struct.Struct("!qq")
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_OOM_SCORE = b"500"
"""Memory that runs out must cost a trial, not the agent."""


class Zygote:
    """The agent's handle of it; any thread may use it.

    Args:
        control: The agent's end of the control connection.
        pid: The process.
    """

    def __init__(self, control: socket.socket, pid: int) -> None:
        self._control = control
        self._lock = threading.Lock()
        self.pid = pid

    def fork(self, end: socket.socket, started: int) -> int:
        """Fork a group; return its process number.

        Args:
            end: The group's end of its connection to the agent; the caller closes its copy.
            started: Descriptor of memory that the groups of a trial share.

        Raises:
            Broken: There is no memory or process left for it, or the zygote is gone.
        """
        pid = self._ask(("fork",), [end.fileno(), started])
        if isinstance(pid, str):
            raise Broken(f"cannot start a process: {pid}; see the host's memory and limits of processes")
        return int(pid)

    def end(self, pids: Iterable[int]) -> dict[int, int]:
        """Kill groups, and all that they have started; return how each has ended (status as of ``os.waitpid``).

        Raises:
            Broken: The zygote is gone, and so are all groups.
        """
        ended: dict[int, int] = self._ask(("end", tuple(pids)), [])
        return ended

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        poll = select.poll()
        poll.register(self._control, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def close(self) -> None:
        """End it, and with it every group."""
        self._control.close()

    def _ask(self, request: tuple[Any, ...], descriptors: list[int]) -> Any:  # noqa: ANN401 - each order has an answer of its own
        try:
            with self._lock:
                socket.send_fds(self._control, [pickle.dumps(request)], descriptors)
                answer = self._control.recv(_LARGEST_REQUEST_BYTES)
        except OSError as error:
            raise Broken(f"the agent's fork server cannot be reached ({error}); start the agent anew") from error
        if not answer:
            raise Broken("the agent's fork server is gone; start the agent anew")
        return pickle.loads(answer)


def start(probe: socket.socket, token: bytes, names: Iterable[str]) -> Zygote:
    """Fork the zygote.

    Args:
        probe: Bound UDP socket on which clock probes come; the caller closes its copy.
        token: What a probe begins with.
        names: The transports to import.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _become_zygote(parent, theirs, probe, token, names)
    theirs.close()
    return Zygote(ours, pid)


def _become_zygote(
    parent: int, control: socket.socket, probe: socket.socket, token: bytes, names: Iterable[str]
) -> NoReturn:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # of a terminal: the agent decides
    signal.signal(signal.SIGTERM, _on_term)
    _die_with(parent, signal.SIGTERM)
    _name(b"aibench-zygote")
    with open(os.devnull, "r+b", buffering=0) as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    serving = _Serving(control, probe, token)
    try:
        for name in names:
            transports.preload(name)
        gc.collect()
        gc.freeze()  # what is not touched stays shared with the groups
        serving.serve()
    except _Ended:
        pass
    except Exception as error:  # noqa: BLE001 - whatever it is, the agent sees that this process is gone
        print(f"fork server: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - the agent's log
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # there is no more to end than this
        serving.kill(list(serving.pids))
        os._exit(0)


class _Ended(Exception):  # noqa: N818 - no fault
    """The agent is gone, or the host ends its processes."""


def _on_term(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough, and the groups are still to be ended
    raise _Ended


class _Serving:
    """What runs in the zygote."""

    def __init__(self, control: socket.socket, probe: socket.socket, token: bytes) -> None:
        self._control, self._probe, self._token = control, probe, token
        self.pids: set[int] = set()

    def serve(self) -> None:
        """Obey and answer until the agent is gone."""
        self._probe.setblocking(False)
        stamp_arrivals(self._probe)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._probe, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._probe.fileno():
                    self._answer_probes()
                else:
                    self._obey()

    def kill(self, pids: Iterable[int]) -> dict[int, int]:
        """End groups and whatever they have started; return how each has ended."""
        mine = [pid for pid in pids if pid in self.pids]
        for pid in mine:
            os.killpg(pid, signal.SIGKILL)
        ended = {pid: os.waitpid(pid, 0)[1] for pid in mine}
        self.pids.difference_update(mine)
        return ended

    def _obey(self) -> None:
        request, descriptors, _, _ = socket.recv_fds(self._control, _LARGEST_REQUEST_BYTES, 2)
        if not request:
            raise _Ended
        order, *arguments = pickle.loads(request)
        answer = self.kill(arguments[0]) if order == "end" else self._fork(*descriptors)
        self._control.send(pickle.dumps(answer))

    def _fork(self, connection: int, started: int) -> int | str:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            return str(error.strerror)
        if pid == 0:
            self._become_group(parent, connection, started)
        os.close(connection)
        os.close(started)
        os.setpgid(pid, pid)  # in both processes: neither may be ahead of it
        self.pids.add(pid)
        return pid

    def _become_group(self, parent: int, connection: int, started: int) -> NoReturn:
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            _die_with(parent, signal.SIGKILL)
            _name(b"aibench-group")
            _write("/proc/self/oom_score_adj", _OOM_SCORE)
            self._control.close()
            self._probe.close()
            channel = Channel(socket.socket(fileno=connection))
            group.serve(channel, mmap.mmap(started, mmap.PAGESIZE))
        finally:
            os._exit(0)

    def _answer_probes(self) -> None:
        for _ in range(_PROBES_AT_ONCE):
            try:
                probe, ancillary, _, address = self._probe.recvmsg(_PROBE_BYTES + 1, ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier answer
                continue
            received_ns = arrived_ns(ancillary) or time.time_ns()
            if len(probe) == _PROBE_BYTES and hmac.compare_digest(probe[:_TOKEN_BYTES], self._token):
                try:
                    self._probe.sendto(probe + _STAMPS.pack(received_ns, time.time_ns()), address)
                except OSError:  # whoever asked is not reachable any more: it asks again or gives up
                    continue


def _die_with(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent ends, whatever ends it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it has ended before that
        os._exit(0)


def _name(name: bytes) -> None:
    """Give the process a name of its own, for whoever lists processes."""
    _write("/proc/self/comm", name)


def _write(path: str, text: bytes) -> None:
    """Write to a file of the kernel, without the objects that Python's own files need in each new process."""
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, text)
    os.close(descriptor)
