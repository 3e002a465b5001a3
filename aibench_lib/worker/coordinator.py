"""Run trials on the agents of many hosts: one start time for all, and every sample back or none."""

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aibench_lib import __version__
from aibench_lib.errors import LabError, StartError, TrialError
from aibench_lib.model import TrialLoad
from aibench_lib.units import NS_PER_MS, NS_PER_SECOND
from aibench_lib.worker import agent_pb2, requests, start
from aibench_lib.worker.agents import Agent, is_late
from aibench_lib.worker.calls import Calls, named
from aibench_lib.worker.clocks import Clocks, Reading, is_simulated, pair_uncertainty_ns, shown_ns
from aibench_lib.worker.completeness import check_complete
from aibench_lib.worker.spool import Spool
from aibench_lib.worker.trial_samples import TrialSamples, simulated

_STOP_SECONDS = 5.0
"""An agent that does not answer to Stop in this time is left alone: its connection is closed."""
_TELL_NS, _TELL_EACH_NS = 100 * NS_PER_MS, 4 * NS_PER_MS
"""A call to many agents at once takes no longer than the first and so many times the second, whatever Prepare took."""
_READY_NS = 50 * NS_PER_MS
"""From when the last agent has been told to T0: a process that spins for it must have been woken before."""
_CLOCK_SLACK_NS = 5 * NS_PER_MS
"""By how much a host's times may contradict ours beyond what is known of its clock: it drifts in a long trial."""


def _nothing(_: int) -> None:
    pass


@dataclass(frozen=True)
class _Armed:
    """A trial whose queue pairs are ready."""

    answers: Sequence[tuple[str, int]]
    """Hosts, and what their clocks showed when they answered [ns since the epoch]."""
    joining_ns: int
    """How long it took to join the queue pairs, if as many hosts had been asked as take part [ns]."""
    told_ns: int
    """How long it may take to tell all hosts when to start [ns]."""
    trigger: start.Trigger | None

    @property
    def method(self) -> str:
        """How the hosts are started."""
        return "trigger" if self.trigger else "clock"


class Coordinator:
    """Runs one trial at a time on its agents; a context manager that holds a channel to each agent it has needed.

    Args:
        agents: Where the agents are; a host appears once.
        answer_seconds: How long an agent may take to connect and to answer [s of wall time].
        trial_seconds: How long a trial may take, on real hosts beyond its load's own time [s of wall time].
        transport: What the agents send with; empty: each agent's first.
        verify: Whether receivers compare what arrives with what was sent.
        spool: Folder on whose file system the samples lie; by default the system's for temporary files.

    Raises:
        SpecError: A host has two agents.
    """

    def __init__(
        self,
        agents: Iterable[Agent],
        *,
        answer_seconds: float = 10.0,
        trial_seconds: float = 600.0,
        transport: str = "",
        verify: bool = False,
        spool: Path | None = None,
    ) -> None:
        self._calls = Calls(agents)
        self._answer_seconds = answer_seconds
        self._trial_seconds = trial_seconds
        self._transport = transport
        self._verify = verify
        self._spool = spool or Path(tempfile.gettempdir())
        self._described: dict[str, agent_pb2.Description] = {}
        self._clocks = Clocks(self._calls, answer_seconds)
        self._telling = start.Telling()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every channel; the next call opens those it needs."""
        self._calls.close()

    def describe(self, hosts: Iterable[str] | None = None) -> list[agent_pb2.Description]:
        """Ask agents who they are, all at once.

        Args:
            hosts: The hosts to ask; by default every one.

        Returns:
            One description a host, in the order asked.

        Raises:
            SpecError: A host has no agent, or a certificate cannot be read.
            LabError: An agent does not answer, belongs to another host, or is of another version than ours.
        """
        asked = list(self._calls.agents if hosts is None else hosts)
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            replies = self._ask("Describe", {host: agent_pb2.DescribeRequest() for host in asked})
            on_failure.pop_all()
        self._check_agents(replies)
        self._described.update(replies)
        return list(replies.values())

    def inspect(self) -> dict[str, dict[str, str]]:
        """Return host -> what it says of itself; an agent that does not answer, or is of another kind, is left out."""
        requests = dict.fromkeys(self._calls.agents, agent_pb2.InspectRequest())
        replies = self._calls.try_each("Inspect", requests, self._answer_seconds)
        return {host: dict(reply.facts) for host, reply in replies.items()}

    def run_trial(
        self,
        trial: str,
        load: TrialLoad,
        lead_ns: int,
        *,
        timeout_ns: int = 60 * NS_PER_SECOND,
        at_start: Callable[[int], None] | None = None,
    ) -> TrialSamples:
        """Prepare, connect, start all hosts at one T0, and bring back every sample.

        Args:
            trial: The trial's name, unique within a run.
            load: What every participant sends; a host that only receives maps to ``()``.
            lead_ns: From the latest clock among the agents to T0, on real hosts at least [ns of lab time].
            timeout_ns: From the last post to when a transfer counts as failed, where the load has no duration
                [ns of lab time].
            at_start: Called with T0, before the hosts are told it [ns since the epoch, the controller's clock].

        Raises:
            SpecError: A participant has no agent, a peer is no participant, or a certificate cannot be read.
            TrialError: An agent failed or did not answer, a sample is missing or not ok, or the hosts cannot start, or
                did not, within the window that the load names. Every participant has been told to forget the trial, and
                the next trial connects anew to a host that did not answer.
        """
        requests.check_load(trial, load)
        with ExitStack() as on_failure:
            on_failure.callback(self._abandon, trial, load.transfers)
            try:
                end_ns = load.duration_ns or requests.last_post_ns(load) + timeout_ns
                samples = self._attempt(trial, load, lead_ns, end_ns, at_start or _nothing)
            except LabError as error:
                raise TrialError(str(error)) from error
            check_complete(samples.table, load)
            on_failure.pop_all()
        return samples

    def _attempt(
        self, trial: str, load: TrialLoad, lead_ns: int, timeout_ns: int, at_start: Callable[[int], None]
    ) -> TrialSamples:
        agents = self._agents_of(load)
        real = not all(is_simulated(agent) for agent in agents.values())
        self._clocks.measure(agents)
        armed = self._arm(trial, load, trigger=real and start.wants_trigger(load))
        clocks = self._clocks_for(load, agents) if real else self._clocks.readings(agents)
        t0_ns = max(now_ns - clocks[host].offset_ns for host, now_ns in armed.answers) + lead_ns
        if real:
            t0_ns = max(t0_ns, time.time_ns() + max(lead_ns, armed.told_ns + _READY_NS))
        common = agent_pb2.RunRequest(trial=trial, participants=len(agents), timeout_ns=timeout_ns)
        run = {host: start.run_request(common, host, t0_ns + clocks[host].offset_ns, armed.trigger) for host in agents}
        at_start(t0_ns)
        with Spool(self._spool) as spool:
            calling_ns = time.time_ns()
            own_seconds = (t0_ns - calling_ns + timeout_ns) / NS_PER_SECOND if real else 0
            last = self._collect(run, spool, self._trial_seconds + own_seconds)
            if real:
                _check_times(last, clocks, t0_ns)
                told_ns = max(batch.told_ns - clocks[host].offset_ns for host, batch in last.items()) - calling_ns
                self._telling.learn(armed.joining_ns, told_ns)
            started = start.achieved(armed.method, last, requests.senders_of(load), clocks)
            if real and load.start_window_ns is not None:
                start.check_start(load.start_window_ns, started)
            table = spool.table(agents, {host: clock.offset_ns for host, clock in clocks.items()})
        return TrialSamples(
            table=table,
            t0_ns=t0_ns,
            t_end_ns=max(batch.finished_ns - clocks[host].offset_ns for host, batch in last.items()),
            nic={host: dict(batch.nic_growth) for host, batch in last.items()},
            simulation=simulated(last.values()),
            start=started,
            clock_uncertainty_ns=pair_uncertainty_ns(clocks),
            qp_states={host: dict(batch.qp_states) for host, batch in last.items() if batch.qp_states},
        )

    def _check_agents(self, replies: Mapping[str, agent_pb2.Description]) -> None:
        for host, reply in replies.items():
            agent = self._calls.agents[host]
            if reply.host != host:
                raise LabError(host, f"the agent at {agent.address}:{agent.port} is that of {reply.host!r}")
        foreign = [host for host, reply in replies.items() if reply.version != __version__]
        if foreign:
            others = f" ({len(foreign)} of {len(replies)} agents differ: {named(foreign)})" if foreign[1:] else ""
            raise LabError(
                foreign[0],
                f"the agent has version {replies[foreign[0]].version}, the coordinator {__version__}{others}; "
                "install the same",
            )

    def _agents_of(self, load: TrialLoad) -> dict[str, agent_pb2.Description]:
        """Return what the agents of a load's hosts say of themselves; those not asked yet are asked."""
        unknown = [host for host in load.transfers if host not in self._described]
        if unknown:
            self.describe(unknown)
        return {host: self._described[host] for host in load.transfers}

    def _arm(self, trial: str, load: TrialLoad, *, trigger: bool) -> _Armed:
        """Make every queue pair of a trial ready."""
        began_ns = time.monotonic_ns()
        prepared = self._ask(
            "Prepare",
            requests.prepare_requests(trial, load, transport=self._transport, verify=self._verify, trigger=trigger),
        )
        told_ns = min(time.monotonic_ns() - began_ns, _TELL_NS + _TELL_EACH_NS * len(prepared))
        connected = self._ask("Connect", requests.connect_requests(trial, load, prepared))
        began_ns = time.monotonic_ns()
        joined = self._ask("Join", requests.join_requests(trial, load, connected))
        joining_ns = 0
        if joined:
            joining_ns = (time.monotonic_ns() - began_ns) * len(prepared) // len(joined)
            told_ns = min(told_ns, self._telling.expected_ns(joining_ns))
        return _Armed(
            answers=[
                (host, reply.now_ns) for replies in (prepared, connected, joined) for host, reply in replies.items()
            ],
            joining_ns=joining_ns,
            told_ns=told_ns,
            trigger=start.choose_trigger(requests.senders_of(load), prepared) if trigger else None,
        )

    def _clocks_for(self, load: TrialLoad, agents: Mapping[str, agent_pb2.Description]) -> dict[str, Reading]:
        """Return the participants' clocks; where a test names a window, known well enough for it."""
        clocks = self._clocks.readings(agents)
        if load.start_window_ns is None:
            return clocks
        senders = requests.senders_of(load)
        try:
            start.check_clocks(load.start_window_ns, {host: clocks[host] for host in senders})
        except StartError:  # as they were measured a while ago: once more
            self._clocks.measure(agents, max_age_ns=0)
            clocks = self._clocks.readings(agents)
            start.check_clocks(load.start_window_ns, {host: clocks[host] for host in senders})
        return clocks

    def _ask(self, method: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        return self._calls.ask(method, asked, self._answer_seconds)

    def _collect(
        self, run: Mapping[str, agent_pb2.RunRequest], spool: Spool, seconds: float
    ) -> dict[str, agent_pb2.SampleBatch]:
        """Start every host and keep what it sends; return its last batch, without rows."""
        last: dict[str, agent_pb2.SampleBatch] = {}

        def take(host: str, batch: agent_pb2.SampleBatch) -> None:
            spool.add(host, batch.arrow, batch.receipts)
            batch.ClearField("arrow")
            batch.ClearField("receipts")
            last[host] = batch

        failures = self._calls.read("Run", run, take, seconds)
        if failures:
            if is_late(next(iter(failures.values()))):
                late = [host for host in run if host in failures]
                raise LabError(late[0], _too_late(late, seconds))
            raise self._calls.failure(failures, len(run))
        for host in run:
            if host not in last or not last[host].finished_ns:
                raise LabError(host, "the agent ended its samples without saying when the trial ended")
        return last

    def _abandon(self, trial: str, hosts: Iterable[str]) -> None:
        """Tell every host to forget a trial; hang up on those that do not answer, who may be others when they do.

        How long telling T0 takes is learned anew: it may be what the trial has failed for.
        """
        self._telling = start.Telling()
        stop = agent_pb2.StopRequest(trial=trial)
        for host in self._calls.tell("Stop", dict.fromkeys(hosts, stop), _STOP_SECONDS):
            if host in self._described:
                self._clocks.forget(host, self._described.pop(host))


def _too_late(hosts: list[str], seconds: float) -> str:
    others = f" (nor did {named(hosts[1:])})" if hosts[1:] else ""
    return f"the agent did not end the trial within {seconds:g} s{others}; see that it runs and is not overloaded"


def _check_times(last: Mapping[str, agent_pb2.SampleBatch], clocks: Mapping[str, Reading], t0_ns: int) -> None:
    """Check that each host's trial lies between T0 and now.

    Raises:
        LabError: It does not: a clock was set since it was measured.
    """
    now_ns = time.time_ns()
    for host, batch in last.items():
        reading = clocks[host]
        slack_ns = reading.uncertainty_ns + _CLOCK_SLACK_NS
        began_ns = (batch.started_ns or t0_ns + reading.offset_ns) - reading.offset_ns
        ended_ns = batch.finished_ns - reading.offset_ns
        if began_ns < t0_ns - slack_ns or ended_ns > now_ns + slack_ns:
            raise LabError(
                host,
                f"by its clock its trial began {shown_ns(began_ns - t0_ns)} after T0 and ended "
                f"{shown_ns(now_ns - ended_ns)} before its last sample was here, so its clock or ours "
                "was set; let their time services settle (chronyc tracking) and run again",
            )
