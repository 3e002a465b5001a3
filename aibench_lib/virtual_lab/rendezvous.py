"""Where the agents of one trial meet: what each prepared, who is connected, and the start when all have come."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from aibench_lib.errors import SpecError
from aibench_lib.virtual_lab.trial import Flow, Loop, Messages, Outcome, Trial


class Refusal(Exception):  # noqa: N818 - an agent's answer, not a fault of this program
    """Why an agent does not do as it is told."""


class InvalidRequest(Refusal):
    """The request itself is wrong."""


class NotReady(Refusal):
    """Something that must come first has not."""


class Missing(Refusal):
    """Somebody has not come in time."""


class Aborted(Refusal):
    """Somebody has stopped the trial."""


@dataclass(frozen=True)
class Start:
    """What every participant must say alike."""

    t0_ns: int
    participants: int
    timeout_ns: int


@dataclass(frozen=True)
class Pair:
    """What all transfers on one queue pair have in common."""

    peer: str
    priority: int


@dataclass(frozen=True)
class Share:
    """What one host was to send in a trial, and how the trial went."""

    flows: list[Flow]
    places: slice
    """Of these flows in the trial."""
    loops: list[tuple[Loop, Messages]]
    outcome: Outcome


@dataclass
class Meeting:
    """One trial."""

    name: str
    seed: int
    flows: dict[str, list[Flow]] = field(default_factory=dict)
    """Host -> what it sends."""
    loops: dict[str, list[Loop]] = field(default_factory=dict)
    pairs: dict[str, dict[int, Pair]] = field(default_factory=dict)
    """Host -> its queue pairs by number."""
    connected: set[tuple[str, str, int]] = field(default_factory=set)
    """(receiver, sender, queue pair)."""
    start: Start | None = None
    waiting: set[str] = field(default_factory=set)
    """Participants that have called Run."""
    alarm: asyncio.TimerHandle | None = None
    """Rings when the first of them has waited long enough."""
    task: "asyncio.Task[None] | None" = None
    """Simulates it."""
    outcome: "asyncio.Future[Outcome]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Rendezvous:
    """All trials that agents know of.

    Args:
        now_ns: Tells lab time.
        simulate: Runs a trial, and asks meanwhile whether nobody waits for it any more.
        patience_seconds: How long a participant waits for the others [s of wall time].
    """

    def __init__(
        self,
        now_ns: Callable[[], int],
        simulate: Callable[[Trial, Callable[[], bool]], Awaitable[Outcome]],
        patience_seconds: float,
    ) -> None:
        self._now_ns = now_ns
        self._simulate = simulate
        self._patience_seconds = patience_seconds
        self._meetings: dict[str, Meeting] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def prepare(self, trial: str, host: str, flows: list[Flow], loops: list[Loop], seed: int) -> None:
        """Note what a host will send.

        Raises:
            InvalidRequest: The seed is not that of the other participants, two transfers of one queue pair go to
                different peers or in different priorities, or a queue pair with a loop has something else to send.
            NotReady: The trial runs already.
        """
        meeting = self._meetings.get(trial)
        if meeting is None:
            meeting = self._meetings[trial] = Meeting(trial, seed)
        if meeting.seed != seed:
            raise InvalidRequest(f"trial {trial}: seed {seed} differs from the other participants' {meeting.seed}")
        if meeting.start is not None:
            raise NotReady(f"trial {trial}: it runs already; stop it first")
        meeting.pairs[host] = _pairs(host, flows, loops)
        meeting.flows[host] = flows
        meeting.loops[host] = loops

    def connect(self, trial: str, host: str, senders: list[tuple[str, int]]) -> None:
        """Note that a host is ready to receive from (sender, queue pair).

        Raises:
            NotReady: The trial is not known here, or a sender has not prepared this.
        """
        meeting = self._meeting(trial, host)
        for peer, qp in senders:
            pair = meeting.pairs.get(peer, {}).get(qp)
            if pair is None or pair.peer != host:
                raise NotReady(f"trial {trial}: {peer} has not prepared queue pair {qp} towards {host}")
            meeting.connected.add((host, peer, qp))

    async def run(self, trial: str, host: str, start: Start) -> Share:
        """Wait for every participant, then for the trial's end.

        Raises:
            InvalidRequest: T0 has passed, or the participants do not agree.
            NotReady: The trial is not prepared, or a receiver is not connected.
            Missing: A participant never came.
            Aborted: The trial was stopped.
        """
        meeting = self._meeting(trial, host)
        self._check(meeting, host, start)
        meeting.start = start
        meeting.waiting.add(host)
        if meeting.alarm is None:
            loop = asyncio.get_running_loop()
            meeting.alarm = loop.call_later(self._patience_seconds, self._give_up, meeting, start)
        if len(meeting.waiting) == start.participants:
            meeting.alarm.cancel()
            self._begin(meeting, start)
        try:
            outcome = await asyncio.shield(meeting.outcome)
        finally:
            meeting.waiting.discard(host)
        flows = meeting.flows[host]
        first = sum(len(meeting.flows[other]) for other in meeting.flows if other < host)
        before = sum(len(meeting.loops[other]) for other in meeting.loops if other < host)
        loops = meeting.loops[host]
        mine = zip(loops, outcome.loops[before : before + len(loops)], strict=True)
        return Share(flows, slice(first, first + len(flows)), list(mine), outcome)

    async def stop(self, trial: str) -> None:
        """Release whoever waits for a trial (empty: for any), forget it, and return when it is no longer simulated."""
        under_way = []
        for name in [trial] if trial else list(self._meetings):
            meeting = self._meetings.get(name)
            if meeting is not None:
                self._end(meeting, Aborted(f"trial {name}: stopped"))
                if meeting.task is not None:
                    under_way.append(meeting.task)
        await asyncio.gather(*under_way, return_exceptions=True)

    def _meeting(self, trial: str, host: str) -> Meeting:
        meeting = self._meetings.get(trial)
        if meeting is None or host not in meeting.flows:
            raise NotReady(f"trial {trial}: unknown on {host}; call Prepare first")
        return meeting

    def _check(self, meeting: Meeting, host: str, start: Start) -> None:
        trial = meeting.name
        if meeting.start is not None and start != meeting.start:
            raise InvalidRequest(f"trial {trial}: {start} differs from the other participants' {meeting.start}")
        if host in meeting.waiting:
            raise InvalidRequest(f"trial {trial}: {host} runs it already")
        if start.t0_ns < self._now_ns():
            raise InvalidRequest(f"trial {trial}: T0 {start.t0_ns} has passed; lab time is {self._now_ns()}")
        for qp, pair in meeting.pairs[host].items():
            if (pair.peer, host, qp) not in meeting.connected:
                raise NotReady(f"trial {trial}: {pair.peer} is not connected to {host}'s queue pair {qp}")

    def _give_up(self, meeting: Meeting, start: Start) -> None:
        names = sorted(set(meeting.flows) - meeting.waiting)
        named = f": {', '.join(names)}" if names else ""
        absent = start.participants - len(meeting.waiting)
        self._end(
            meeting,
            Missing(
                f"trial {meeting.name}: {absent} of {start.participants} participants did not call Run within"
                f" {self._patience_seconds:g} s{named}"
            ),
        )

    def _end(self, meeting: Meeting, end: Outcome | Refusal) -> None:
        """Tell everybody who waits, and forget the trial."""
        if meeting.alarm is not None:
            meeting.alarm.cancel()
        if self._meetings.get(meeting.name) is meeting:
            del self._meetings[meeting.name]
        if meeting.outcome.done():
            return
        if isinstance(end, Refusal):
            meeting.outcome.set_exception(end)
            meeting.outcome.exception()  # marks it as seen: it is no fault if nobody waits
        else:
            meeting.outcome.set_result(end)

    def _begin(self, meeting: Meeting, start: Start) -> None:
        task = meeting.task = asyncio.create_task(self._hold(meeting, start))
        self._tasks.add(task)  # the loop itself keeps no reference to its tasks

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self._end(meeting, Aborted(f"trial {meeting.name}: the simulation failed: {task.exception()!r}"))

        task.add_done_callback(done)

    async def _hold(self, meeting: Meeting, start: Start) -> None:
        flows = [flow for host in sorted(meeting.flows) for flow in meeting.flows[host]]
        loops = [loop for host in sorted(meeting.loops) for loop in meeting.loops[host]]
        trial = Trial(t0_ns=start.t0_ns, seed=meeting.seed, flows=flows, timeout_ns=start.timeout_ns, loops=loops)
        try:
            outcome = await self._simulate(trial, meeting.outcome.done)
        except SpecError as error:
            self._end(meeting, NotReady(f"trial {meeting.name}: {error}"))
        else:
            self._end(meeting, outcome)


def _pairs(host: str, flows: Iterable[Flow], loops: Iterable[Loop]) -> dict[int, Pair]:
    pairs: dict[int, Pair] = {}
    for flow in flows:
        pair = pairs.setdefault(flow.qp, Pair(flow.destination, flow.priority))
        if pair.peer != flow.destination or pair.priority != flow.priority:
            raise InvalidRequest(
                f"{host}: queue pair {flow.qp} cannot serve {pair.peer} in priority {pair.priority} and "
                f"{flow.destination} in priority {flow.priority}; use another queue pair"
            )
    for loop in loops:
        if loop.qp in pairs:
            raise InvalidRequest(f"{host}: queue pair {loop.qp} has a stream and something else to send")
        pairs[loop.qp] = Pair(loop.destination, loop.priority)
    return pairs
