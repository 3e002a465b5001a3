"""The loop of a trial: poll, hand completions to their queue pairs, post what has become due, until all is done.

pyverbs holds Python's lock while it posts and polls, so there is one thread, and a process for each group.
"""

import heapq
import os
import time
from collections.abc import Sequence

from aibench_lib.worker.transports.clock import now_ns
from aibench_lib.worker.transports.verbs.library import CQ, WC
from aibench_lib.worker.transports.verbs.receiving import Incoming
from aibench_lib.worker.transports.verbs.sending import Outgoing

_COMPLETIONS = 16
"""Polled at once at most."""
_PASSIVE_SECONDS = 1e-3
"""Between two looks for the last word of a sender whose messages give no signal."""


def _nap() -> None:
    """Let others have the processor for some 50 us, which is how late the kernel lets a timer be."""
    time.sleep(0)


class Loop:
    """The queue pairs of a group in a trial.

    Args:
        software: Whether this host's processors do the device's work: then polling without a rest takes time from it,
            0.15 to 0.4 of the throughput.  A NIC needs no rest, and a nap of 50 us would be seen in latencies.
    """

    def __init__(self, *, software: bool) -> None:
        self._rest = _nap if software else os.sched_yield
        self._polled: list[tuple[CQ, dict[int, Outgoing] | dict[int, Incoming], bool]] = []
        self._due: list[tuple[int, int]] = []
        self._due_of: dict[int, int] = {}
        self._outgoing: Sequence[Outgoing] = ()
        self._active: set[Outgoing | Incoming] = set()
        self._passive = True

    def send(self, outgoing: Sequence[Outgoing], sent: CQ, received: CQ) -> None:
        """Add the sending queue pairs and their completion queues."""
        owners = {each.pair.qp_num: each for each in outgoing}
        self._polled.append((sent, owners, True))
        if any(each.hears for each in outgoing):
            self._polled.append((received, owners, False))
        self._outgoing = outgoing
        self._active.update(outgoing)
        self._passive = False

    def receive(self, incoming: Sequence[Incoming], sent: CQ, received: CQ) -> None:
        """Add the receiving queue pairs and their completion queues."""
        owners = {each.pair.qp_num: each for each in incoming}
        self._polled += [(received, owners, False), (sent, owners, True)]
        self._active.update(incoming)
        self._passive = self._passive and all(each.passive for each in incoming)

    def run(self, deadline_ns: int) -> None:
        """Go on until every queue pair is done, or the deadline has passed."""
        for place, each in enumerate(self._outgoing):
            self._post(place, each, now_ns())
        while self._active:
            found = self._poll()
            now = now_ns()
            if now >= deadline_ns:
                return
            if self._due and self._due[0][0] <= now:
                _, place = heapq.heappop(self._due)
                self._due_of.pop(place, None)
                self._post(place, self._outgoing[place], now)
            elif found:
                continue
            elif self._passive:
                time.sleep(_PASSIVE_SECONDS)
            else:
                self._rest()

    def _poll(self) -> bool:
        """Take what has completed; return whether anything has."""
        found = False
        for queue, owners, sent in self._polled:
            count, completions = queue.poll(_COMPLETIONS)
            if count:
                found = True
                self._take(completions, owners, sent)
        return found

    def _take(self, completions: list[WC], owners: dict[int, Outgoing] | dict[int, Incoming], sent: bool) -> None:
        now = now_ns()
        for completion in completions:
            owner = owners[completion.qp_num]
            if sent:
                owner.sent(completion, now)
            else:
                owner.arrived(completion, now)
            if isinstance(owner, Outgoing):
                self._post(owner.place, owner, now)
            elif owner.done:
                self._active.discard(owner)

    def _post(self, place: int, owner: Outgoing, now: int) -> None:
        due = 0 if owner.done else owner.post(now)
        if owner.done:
            self._active.discard(owner)
        elif due and self._due_of.get(place) != due:
            self._due_of[place] = due
            heapq.heappush(self._due, (due, place))
