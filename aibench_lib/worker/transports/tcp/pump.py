"""What drives the connections of one thread: it waits for the kernel and for the clock, and calls whom it concerns."""

import heapq
import os
import select
import socket
import time
from typing import Protocol

from aibench_lib.units import NS_PER_MS, NS_PER_SECOND
from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.tcp.inflow import Scratch
from aibench_lib.worker.transports.tcp.patience import Patience

_EPOLL_NS = 2 * NS_PER_MS
"""Waits longer than this are the epoll's, which counts in whole milliseconds."""
_SPIN_NS = 60_000
"""Waits shorter than this are spent asking: a sleeping process may be woken so late."""
_IN, _OUT = int(select.EPOLLIN), int(select.EPOLLOUT)
_IN_OUT = _IN | _OUT
_EVENTS = 64
"""Asked of the kernel at a time; what is left comes with the next call."""


class End(Protocol):
    """An end of a queue pair, as the pump sees it."""

    connection: socket.socket
    finished: bool
    held_up: bool
    """Whether the kernel must take more before anything else is sent."""
    due_ns: int | None
    """When :meth:`due` must be called; None: never."""

    def due(self) -> None:
        """Do what is due."""
        ...

    def readable(self) -> None:
        """Receive."""
        ...

    def writable(self) -> None:
        """Send on."""
        ...

    def broken(self) -> None:
        """The connection is gone."""
        ...

    def expire(self) -> None:
        """The deadline has passed."""
        ...


class Pump:
    """Drives the ends it was given until all have finished, the deadline has passed, or it is told to stop."""

    def __init__(self) -> None:
        self.scratch = Scratch()
        self._epoll = select.epoll()
        self._waker = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._waker, select.EPOLLIN)
        self._ends: dict[int, End] = {}
        self._masks: dict[int, int] = {}
        self._timers: list[tuple[int, int]] = []
        self._timed: dict[int, int] = {}
        self._stopped = False
        self._prompt = True
        self._patience = Patience()

    def add(self, end: End, prompt: bool) -> None:
        """Take an end.

        Args:
            end: It.
            prompt: Whether what it measures is the time of single messages, for which the pump may wait awake; it does
                if this holds for all its ends.
        """
        self._prompt = self._prompt and prompt
        file = end.connection.fileno()
        self._masks[file] = select.EPOLLIN
        self._epoll.register(file, select.EPOLLIN)
        self._ends[file] = end

    def run(self, deadline_ns: int) -> None:
        """Drive the ends.

        Raises:
            TransportError: One of them has met what no row can say.
        """
        for file, end in self._ends.items():
            self._set_timer(file, end.due_ns)
        timers, ends = self._timers, self._ends
        while ends and not self._stopped:
            now = now_ns()
            if now >= deadline_ns:
                break
            while timers and timers[0][0] <= now:
                self._fire(*heapq.heappop(timers))
                now = now_ns()
            until = min(timers[0][0], deadline_ns) if timers else deadline_ns
            for file, mask in self._wait(until - now):
                if file in ends:
                    self._serve(file, mask)
        for end in self._ends.values():
            end.expire()
        self._ends.clear()

    def stop(self) -> None:
        """Make :meth:`run` return soon; from any thread."""
        self._stopped = True
        if self._waker >= 0:
            os.eventfd_write(self._waker, 1)

    def close(self) -> None:
        """Free what the pump itself holds; not while it runs."""
        self._epoll.close()
        if self._waker >= 0:
            os.close(self._waker)
            self._waker = -1

    def _wait(self, ns: int) -> list[tuple[int, int]]:
        poll = self._epoll.poll
        if ns > _EPOLL_NS:
            return (self._prompt and self._wait_awake()) or poll((ns - NS_PER_MS) / NS_PER_SECOND, _EVENTS)
        if ns > _SPIN_NS:
            select.select([self._epoll], [], [], (ns - _SPIN_NS) / NS_PER_SECOND)
        return poll(0, _EVENTS)

    def _wait_awake(self) -> list[tuple[int, int]]:
        """Ask for some time without sleeping, where that has paid lately."""
        poll, until_ns = self._epoll.poll, self._patience.awake_until_ns()
        while time.monotonic_ns() < until_ns:
            if events := poll(0, _EVENTS):
                self._patience.learn(True)
                return events
        if until_ns:
            self._patience.learn(False)
        return []

    def _fire(self, due_ns: int, file: int) -> None:
        end = self._ends.get(file)
        if end is None or self._timed.get(file) != due_ns:
            return
        del self._timed[file]
        try:
            end.due()
        except OSError:
            end.broken()
        self._settle(file, end)

    def _serve(self, file: int, mask: int) -> None:
        end = self._ends[file]
        try:
            if mask & _OUT:
                end.writable()
            if mask & ~_OUT:
                end.readable()
        except OSError:
            end.broken()
        self._settle(file, end)

    def _settle(self, file: int, end: End) -> None:
        """Wait from now on for what the end waits for."""
        if end.finished:
            del self._ends[file]
            self._epoll.unregister(file)
            return
        mask = _IN_OUT if end.held_up else _IN
        if mask != self._masks[file]:
            self._masks[file] = mask
            self._epoll.modify(file, mask)
        due_ns = end.due_ns
        if due_ns is not None and self._timed.get(file) != due_ns:
            self._set_timer(file, due_ns)

    def _set_timer(self, file: int, due_ns: int | None) -> None:
        if due_ns is not None:
            self._timed[file] = due_ns
            heapq.heappush(self._timers, (due_ns, file))
