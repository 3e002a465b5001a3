"""One trial on a host: the processes of its groups of queue pairs, and what is asked of them in which order.

Each step asks all groups at once and fails with the first that fails.  Stopping kills the groups, from whichever
thread; a step that waits for one then sees that it is gone.
"""

import mmap
import os
import select
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aibench_lib.worker.agent.group import Start
from aibench_lib.worker.agent.messages import Channel, Gone
from aibench_lib.worker.agent.refusals import Broken, InvalidRequest, NotReady, Refusal, Stopped, WrongOrder
from aibench_lib.worker.agent.zygote import Zygote
from aibench_lib.worker.transports.transport import Options, Sender, SendQueue

_PAIRS_A_GROUP = {"tcp": 8, "verbs": 1}
"""Queue pairs that one process serves before there is another; a transport that is not here has one process."""
_BLOCKS_AT_ONCE = 8
"""Blocks of rows that travel to the coordinator together, where so many are there."""
_SERVE_AGAIN = frozenset({"tcp"})
"""Transports whose processes may serve the next trial: what others register with a device ends with its process."""
_FREE_SECONDS = 1.0
"""So long a process may take to close what it had opened for a trial."""
_LEADER = 0
"""The group that gives or awaits the trigger."""


@dataclass(eq=False)
class Group:
    """The agent's side of one process."""

    pid: int
    channel: Channel
    sends: list[SendQueue]
    receives: list[Sender] = field(default_factory=list)
    label: str = ""
    """What its transport is."""

    def fileno(self) -> int:
        """Return the descriptor on which its messages come."""
        return self.channel.fileno()


@dataclass
class Rows:
    """Blocks of rows of one group."""

    group: Group
    samples: list[bytes] = field(default_factory=list)
    receipts: list[bytes] = field(default_factory=list)


@dataclass
class Ending:
    """How a trial ended on this host; times on its own clock [ns since the epoch]."""

    started_ns: list[int] = field(default_factory=list)
    """When each group that sends began."""
    finished_ns: int = 0
    states: dict[str, str] = field(default_factory=dict)
    """``peer/qp`` -> state."""


class Trial:
    """A trial from its preparation on.

    Args:
        name: The trial's.
        zygote: Forks the groups.
        transport: What they send with.
        options: How it is set.
        before: The host's last trial, which is stopped; processes of it that may serve again do so.
    """

    def __init__(
        self, name: str, zygote: Zygote, transport: str, options: Options, before: "Trial | None" = None
    ) -> None:
        self.name = name
        self.ending = Ending()
        self._zygote, self._transport, self._options = zygote, transport, options
        self._groups: list[Group] = []
        self._running: set[Group] = set()
        self._changed = threading.Condition()
        self._state = "new"
        self._busy = False
        self._stopped = False
        self._before = before
        self._idle: list[Group] = []
        self._shared = -1

    @property
    def is_busy(self) -> bool:
        """Whether something is under way that another trial must not end."""
        with self._changed:
            return self._busy or self._state == "running"

    def prepare(self, queues: Sequence[SendQueue], *, trigger: bool) -> tuple[dict[int, bytes], str]:
        """Start the groups that send; return queue pair -> address, and the trigger's address.

        Raises:
            Refusal: A group cannot, or has died, or the trial was stopped.
        """
        with self._step("prepare", "new", "prepared"):
            self._shared, self._idle = self._take_over()
            count = self._group_count(len(queues))
            shares = [list(queues[first::count]) for first in range(count)]
            return self._start_groups(shares, trigger=trigger)

    def connect(self, senders: Sequence[Sender]) -> dict[tuple[str, int], bytes]:
        """Make ready to receive; return (sending host, queue pair) -> address.

        Raises:
            Refusal: As :meth:`prepare`.
        """
        with self._step("connect", "prepared", "connected"):
            missing = self._group_count(len(senders)) - len(self._groups)
            if missing > 0:
                self._start_groups([[] for _ in range(missing)], trigger=False)
            for place, group in enumerate(self._groups):
                group.receives = list(senders[place :: len(self._groups)])
            replies = self._ask({group: ("accept", group.receives) for group in self._groups}, "accepted", "connect")
            return {end: address for (addresses,) in replies.values() for end, address in addresses.items()}

    def join(self, receivers: Mapping[int, bytes]) -> None:
        """Make the queue pairs that send ready.

        Raises:
            Refusal: As :meth:`prepare`, or the receiving ends are not those of the queue pairs.
        """
        if self._state == "prepared":
            self.connect(())
        with self._step("join", "connected", "joined"):
            own = {queue.qp for group in self._groups for queue in group.sends}
            if own != set(receivers):
                wrong = ", ".join(str(qp) for qp in sorted(own ^ set(receivers)))
                raise InvalidRequest(
                    f"the receiving ends are not those of the queue pairs prepared (queue pair {wrong})"
                )
            orders = {group: ("join", {q.qp: receivers[q.qp] for q in group.sends}) for group in self._groups}
            self._ask(orders, "joined", "join")

    def begin(self, start: Start) -> None:
        """Let the groups wait for T0.

        Raises:
            Refusal: As :meth:`prepare`.
        """
        if not any(group.sends for group in self._groups) and self._state in ("prepared", "connected"):
            self.join({})
        with self._step("run", "joined", "running"):
            for place, group in enumerate(self._groups):
                self._send(group, ("run", start if place == _LEADER else _of_follower(start)), "run")
            self._running = set(self._groups)

    def rows(self) -> list[Rows]:
        """Wait for rows, and return what is there at once; empty when groups have only ended.

        Raises:
            Refusal: As :meth:`prepare`.
        """
        found: dict[Group, Rows] = {}
        with self._step("run", "running", "running"):
            timeout, count = None, 0
            while self._running and count < _BLOCKS_AT_ONCE:
                ready = select.select(list(self._running), [], [], timeout)[0]
                if not ready:
                    break
                for group in ready:
                    kind, *content = self._receive(group, "run")
                    if kind == "finished":
                        self._end_of(group, *content)
                        continue
                    rows = found.setdefault(group, Rows(group))
                    (rows.samples if kind == "samples" else rows.receipts).append(content[0])
                    count += 1
                timeout = 0
            if not self._running:
                self._state = "finished"
        return list(found.values())

    @property
    def is_finished(self) -> bool:
        """Whether every group has ended the trial."""
        return self._state == "finished"

    def stop(self) -> None:
        """Kill the groups, and wait until all that they held is free; also twice."""
        with self._changed:
            self._stopped = True
            if self._busy:  # a step that waits for a group sees that it is gone
                for group in self._groups:
                    with suppress(ProcessLookupError):  # its zygote has died, and it with that
                        os.killpg(group.pid, signal.SIGKILL)
            self._changed.wait_for(lambda: not self._busy)
            self._free()

    def _take_over(self) -> tuple[int, list[Group]]:
        """End the trial before; return memory to share, and the processes that have mapped it and may serve again."""
        before, self._before = self._before, None
        if before is not None and before._transport == self._transport and self._transport in _SERVE_AGAIN:
            shared, groups = before._hand_over()
            if groups:
                os.pwrite(shared, bytes(mmap.PAGESIZE), 0)
                return shared, groups
        elif before is not None:
            before.stop()
        shared = os.memfd_create("aibench-started")
        os.ftruncate(shared, mmap.PAGESIZE)
        return shared, []

    def _hand_over(self) -> tuple[int, list[Group]]:
        """End a trial, but for those processes that have finished it and are as new."""
        with self._changed:
            finished = self._state == "finished" and not self._busy and not self._stopped
            free = [*self._idle, *filter(_is_freed, self._groups)] if finished else []
            self._groups = [group for group in self._groups if group not in free]
            self._idle, shared = [], self._shared
            if free:
                self._shared = -1
        self.stop()
        return shared, [Group(group.pid, group.channel, []) for group in free]

    def _free(self) -> None:
        if self._before is not None:
            self._before.stop()
        groups, self._groups, self._idle, self._running = [*self._groups, *self._idle], [], [], set()
        with suppress(Broken):  # the zygote is gone, and has taken the groups with it
            self._zygote.end(group.pid for group in groups)
        for group in groups:
            group.channel.close()
        if self._shared >= 0:
            os.close(self._shared)
            self._shared = -1

    @contextmanager
    def _step(self, name: str, before: str, after: str) -> Iterator[None]:
        with self._changed:
            if self._stopped:
                raise Stopped(f"trial {self.name}: was stopped")
            if self._busy or self._state != before:
                raise WrongOrder(
                    f"trial {self.name}: {name} was called when it was {'busy' if self._busy else self._state}"
                )
            self._busy = True
        try:
            yield
            if self._state == before:
                self._state = after
        except Refusal:
            if self._stopped:
                raise Stopped(f"trial {self.name}: was stopped during {name}") from None
            raise
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _group_count(self, pairs: int) -> int:
        if self._transport not in _PAIRS_A_GROUP:
            return 1
        cores = len(os.sched_getaffinity(0))
        return max(1, min(-(-pairs // _PAIRS_A_GROUP[self._transport]), cores - 1))

    def _start_groups(self, shares: Iterable[list[SendQueue]], *, trigger: bool) -> tuple[dict[int, bytes], str]:
        orders: dict[Group, tuple[Any, ...]] = {}
        for share in shares:
            group = self._idle.pop() if self._idle else self._fork_group()
            group.sends = share
            with self._changed:
                self._groups.append(group)
            orders[group] = ("prepare", self._transport, self._options, share, trigger and not orders)
        replies = self._ask(orders, "prepared", "prepare")
        for group, (label, _, _) in replies.items():
            group.label = label
        addresses = {qp: address for _, own, _ in replies.values() for qp, address in own.items()}
        return addresses, next((where for _, _, where in replies.values() if where), "")

    def _fork_group(self) -> Group:
        ours, theirs = socket.socketpair()
        with theirs:
            return Group(self._zygote.fork(theirs, self._shared), Channel(ours), [])

    def _ask(self, orders: Mapping[Group, tuple[Any, ...]], answer: str, step: str) -> dict[Group, list[Any]]:
        """Give each group its order, and wait until all have answered or one has failed."""
        for group, order in orders.items():
            self._send(group, order, step)
        replies: dict[Group, list[Any]] = {}
        while len(replies) < len(orders):
            for group in select.select([one for one in orders if one not in replies], [], [])[0]:
                kind, *content = self._receive(group, step)
                if kind != answer:
                    raise Broken(f"the process of {_pairs(group)} answered {kind} instead of {answer}")
                replies[group] = content
        return {group: replies[group] for group in orders}

    def _send(self, group: Group, order: tuple[Any, ...], step: str) -> None:
        try:
            group.channel.send(*order)
        except Gone:
            raise self._gone(group, step) from None

    def _receive(self, group: Group, step: str) -> tuple[Any, ...]:
        try:
            message = group.channel.receive()
        except Gone:
            raise self._gone(group, step) from None
        if message[0] == "failed":
            raise NotReady(message[1])
        if message[0] == "broke":
            raise Broken(f"the process of {_pairs(group)} failed in {step}: {message[1]}")
        return message

    def _gone(self, group: Group, step: str) -> Broken:
        with self._changed:  # so that nobody kills by its number what this waits for
            status = self._zygote.end([group.pid]).get(group.pid, 0)
            self._groups.remove(group)
        group.channel.close()
        how = f"ended with status {os.waitstatus_to_exitcode(status)}"
        if os.WIFSIGNALED(status):
            how = f"was ended by {signal.Signals(os.WTERMSIG(status)).name}"
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            how += " (by hand, or for want of memory; see the host's kernel log)"
        return Broken(f"trial {self.name}: the process of {_pairs(group)} {how} in {step}")

    def _end_of(self, group: Group, started_ns: int, finished_ns: int, states: Mapping[str, str]) -> None:
        self._running.remove(group)
        if started_ns:
            self.ending.started_ns.append(started_ns)
        self.ending.finished_ns = max(self.ending.finished_ns, finished_ns)
        self.ending.states.update(states)


def _is_freed(group: Group) -> bool:
    """Have a process that has finished its trial close all of it; return whether it has, and waits for another."""
    try:
        group.channel.send("free")
        return bool(select.select([group], [], [], _FREE_SECONDS)[0]) and group.channel.receive() == ("freed",)
    except Gone:  # it has ended, as it does when nobody can need it any more
        return False


def _of_follower(start: Start) -> Start:
    """Return what a group hears that neither gives the trigger nor has its socket."""
    return Start(
        t0_ns=start.t0_ns,
        timeout_ns=start.timeout_ns,
        await_trigger=start.await_trigger,
        trigger_token=start.trigger_token,
    )


def _pairs(group: Group) -> str:
    numbers = [str(queue.qp) for queue in group.sends] + [f"{one.host}/{one.qp}" for one in group.receives]
    if not numbers:
        return "no queue pair"
    return f"queue pair{'s' if numbers[1:] else ''} {', '.join(numbers[:4])}{', ...' if numbers[4:] else ''}"
