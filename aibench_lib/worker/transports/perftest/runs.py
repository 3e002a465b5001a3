"""The runs of tools in a trial: their processes, started by one thread, and all killed when the trial is over."""

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import IO

from aibench_lib.units import NS_PER_SECOND
from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.perftest.relay import Ended
from aibench_lib.worker.transports.transport import TransportError

_ENDING_SECONDS = 10.0
"""A tool that has hung up and not ended after this time is killed."""
_POLL_SECONDS = 0.02
_WAKE_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Process:
    """A tool, and what it prints."""

    def __init__(self, command: Sequence[str]) -> None:
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - see close
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,  # two system calls; nothing else makes it end with us
        )

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def result(self, over: Callable[[], bool]) -> tuple[int, str]:
        """Return its exit status and what it printed, once it has ended; it is killed if it takes too long.

        Raises:
            Ended: The trial is over.
        """
        latest = time.monotonic() + _ENDING_SECONDS
        while not self.ended:
            if time.monotonic() > latest or over():
                self.kill()
            time.sleep(_POLL_SECONDS)
        if self._printed.closed:
            raise Ended
        self._printed.seek(0)
        return self._process.returncode, self._printed.read().decode(errors="replace")

    def kill(self) -> None:
        """End it, and whatever it has started."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        """End it, and forget what it has printed."""
        self.kill()
        self._printed.close()


class Runs:
    """A thread for each queue pair, which waits for tools, and the thread of the trial, which does what they ask for.

    Tools are children of the trial's thread: the kernel kills them when that ends, whatever has happened.
    """

    def __init__(self, deadline_ns: int) -> None:
        self._deadline_ns = deadline_ns
        self._orders: queue.Queue[Callable[[], None]] = queue.Queue()
        self._processes: list[Process] = []
        self._threads: list[threading.Thread] = []
        self._working = 0
        self._failure: TransportError | None = None
        self._closed = False

    def over(self) -> bool:
        """Whether the trial's time is up, or something has failed."""
        return self._closed or now_ns() >= self._deadline_ns

    def sleep_until(self, time_ns: int) -> None:
        """Wait.

        Raises:
            Ended: The trial was over first.
        """
        while (left := time_ns - now_ns()) > 0:
            if self.over():
                raise Ended
            time.sleep(min(left / NS_PER_SECOND, _WAKE_SECONDS))

    def add(self, work: Callable[[], None], *, counts: bool = True) -> None:
        """Start a thread; the trial goes on until every one that counts has returned."""
        self._working += counts

        def run() -> None:
            failure: TransportError | None = None
            try:
                work()
            except Ended:
                pass
            except TransportError as error:
                failure = error
            except OSError as error:
                failure = TransportError(f"perftest: a connection between the two hosts failed: {error}")
            if counts or failure:
                self.order(lambda: self._returned(counts, failure))

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _returned(self, counts: bool, failure: TransportError | None) -> None:
        self._working -= counts
        self._failure = self._failure or failure

    def order(self, what: Callable[[], None]) -> None:
        """Have something done by the trial's thread."""
        self._orders.put(what)

    def start(self, command: Sequence[str]) -> Process:
        """Start a tool, from any thread.

        Raises:
            Ended: The trial is over.
            TransportError: It cannot be started.
        """
        started: Future[Process] = Future()

        def spawn() -> None:
            if self._closed:
                started.set_exception(Ended())
                return
            try:
                process = Process(command)
            except OSError as error:
                started.set_exception(TransportError(f"{command[0]} cannot be started: {error.strerror}"))
                return
            self._processes.append(process)
            started.set_result(process)

        self.order(spawn)
        while not started.done():
            if self._closed:
                raise Ended
            time.sleep(_POLL_SECONDS / 10)
        return started.result()

    def serve(self) -> None:
        """Do what the threads ask for, until all have returned or the time is up.

        Raises:
            TransportError: One of them has failed.
        """
        try:
            while self._working and not self._failure and not self.over():
                with contextlib.suppress(queue.Empty):
                    self._orders.get(timeout=_WAKE_SECONDS)()
        finally:
            self.close()
            self._do_what_is_left()
        if self._failure:
            raise self._failure

    def _do_what_is_left(self) -> None:
        """Write the rows of what ended in the last moment; no tool is started any more."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._orders.get_nowait()()

    def close(self) -> None:
        """Kill every tool, and wait for the threads to see that the trial is over."""
        self._closed = True
        for process in self._processes:
            process.kill()
        for thread in self._threads:
            thread.join(timeout=1.0)
        for process in self._processes:
            process.close()
