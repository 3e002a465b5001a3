"""What drives the connections of one thread: it waits for the kernel and for the clock, and calls whom it concerns."""

import heapq
import os
import select
import socket
from typing import Protocol

from aibench_lib.units import NS_PER_MS, NS_PER_SECOND
from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.tcp.inflow import Scratch

_EPOLL_NS = 2 * NS_PER_MS
"""Waits longer than this are the epoll's, which counts in whole milliseconds."""
_SPIN_NS = 60_000
"""Waits shorter than this are spent asking: a sleeping process may be woken so late."""


class End(Protocol):
    """An end of a queue pair, as the pump sees it."""

    connection: socket.socket
    finished: bool
    held_up: bool

    @property
    def due_ns(self) -> int | None:
        """When :meth:`due` must be called; None: never."""
        ...

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

    def add(self, end: End) -> None:
        """Take an end."""
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
            self._set_timer(file, end)
        while self._ends and not self._stopped:
            now = now_ns()
            if now >= deadline_ns:
                break
            while self._timers and self._timers[0][0] <= now:
                self._fire(*heapq.heappop(self._timers))
                now = now_ns()
            until = min(self._timers[0][0], deadline_ns) if self._timers else deadline_ns
            for file, mask in self._wait(until - now):
                if file in self._ends:
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
        if ns > _EPOLL_NS:
            return self._epoll.poll((ns - NS_PER_MS) / NS_PER_SECOND)
        if ns > _SPIN_NS:
            select.select([self._epoll], [], [], (ns - _SPIN_NS) / NS_PER_SECOND)
        return self._epoll.poll(0)

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
            if mask & select.EPOLLOUT:
                end.writable()
            if mask & ~select.EPOLLOUT:
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
        mask = select.EPOLLIN | select.EPOLLOUT if end.held_up else select.EPOLLIN
        if mask != self._masks[file]:
            self._masks[file] = mask
            self._epoll.modify(file, mask)
        self._set_timer(file, end)

    def _set_timer(self, file: int, end: End) -> None:
        due_ns = end.due_ns
        if due_ns is not None and self._timed.get(file) != due_ns:
            self._timed[file] = due_ns
            heapq.heappush(self._timers, (due_ns, file))
