"""Run trials on the agents of many hosts: one start time for all, and every sample back or none."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import pyarrow as pa

from aibench_lib import __version__
from aibench_lib.errors import LabError, SpecError, TrialError
from aibench_lib.model import TrialLoad
from aibench_lib.units import NS_PER_SECOND
from aibench_lib.worker import agent_pb2
from aibench_lib.worker.agent_pb2_grpc import AgentStub
from aibench_lib.worker.agents import Agent, Connection, credentials_of, explain
from aibench_lib.worker.completeness import check_complete
from aibench_lib.worker.samples import SCHEMA, from_ipc

_STOP_SECONDS = 5.0
"""An agent that does not answer to Stop in this time is left alone: its connection is closed."""


@dataclass(frozen=True)
class TrialSamples:
    """What the hosts sent in one trial."""

    table: pa.Table
    """One row a transfer, columns of :data:`aibench_lib.worker.samples.SCHEMA`."""
    t0_ns: int
    """The common start [ns since the epoch, lab clock]."""
    t_end_ns: int
    """When the last host had ended the trial [ns since the epoch, lab clock]."""
    nic: Mapping[str, Mapping[str, int]]
    """Host -> by how much each counter of its NIC grew in the trial."""
    simulation: "Simulated | None"
    """How the trial was simulated, None where packets are real."""


@dataclass(frozen=True)
class Simulated:
    """What stands behind a simulated trial's values."""

    method: str
    """``packet``: every packet was simulated; ``packet+skip``: steady time was skipped."""
    simulated_ns: int
    skipped_ns: int


class Coordinator:
    """Runs one trial at a time on its agents; a context manager that holds a channel to each agent it has needed.

    Args:
        agents: Where the agents are; a host appears once.
        answer_seconds: How long an agent may take to connect and to answer [s of wall time].
        trial_seconds: How long a trial may take [s of wall time].

    Raises:
        SpecError: A host has two agents.
    """

    def __init__(self, agents: Iterable[Agent], *, answer_seconds: float = 10.0, trial_seconds: float = 600.0) -> None:
        self._agents: dict[str, Agent] = {}
        for agent in agents:
            if agent.host in self._agents:
                raise SpecError(f"{agent.host}: two agents have this host name")
            self._agents[agent.host] = agent
        self._answer_seconds = answer_seconds
        self._trial_seconds = trial_seconds
        self._credentials: dict[tuple[Path, Path, Path], grpc.ChannelCredentials] = {}
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every channel; the next call opens those it needs."""
        while self._connections:
            self._connections.popitem()[1].close()

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
        asked = list(self._agents if hosts is None else hosts)
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            replies = self._ask("Describe", {host: agent_pb2.DescribeRequest() for host in asked})
            on_failure.pop_all()
        for host, reply in replies.items():
            agent = self._agents[host]
            if reply.host != host:
                raise LabError(host, f"the agent at {agent.address}:{agent.port} is that of {reply.host!r}")
            if reply.version != __version__:
                raise LabError(
                    host, f"the agent has version {reply.version}, the coordinator {__version__}; install the same"
                )
        return list(replies.values())

    def run_trial(
        self, trial: str, load: TrialLoad, lead_ns: int, *, timeout_ns: int = 60 * NS_PER_SECOND
    ) -> TrialSamples:
        """Prepare, connect, start all hosts at one T0, and bring back every sample.

        Args:
            trial: The trial's name, unique within a run.
            load: What every participant sends; a host that only receives maps to ``()``.
            lead_ns: From the latest clock among the agents to T0 [ns of lab time].
            timeout_ns: From the last post to when a transfer counts as failed, where the load has no duration
                [ns of lab time].

        Raises:
            SpecError: A participant has no agent, a peer is no participant, or a certificate cannot be read.
            TrialError: An agent failed or did not answer, or a sample is missing or not ok. Every participant has
                been told to forget the trial, and the next trial connects anew to a host that did not answer.
        """
        for host, transfers in load.transfers.items():
            for transfer in transfers:
                if transfer.peer not in load.transfers:
                    raise SpecError(f"{trial}: {host} sends to {transfer.peer}, which does not take part in the trial")
        with ExitStack() as on_failure:
            on_failure.callback(self._abandon, trial, load.transfers)
            try:
                last_ns = max((one.offset_ns for own in load.transfers.values() for one in own), default=0)
                samples = self._attempt(trial, load, lead_ns, load.duration_ns or last_ns + timeout_ns)
            except LabError as error:
                raise TrialError(str(error)) from error
            check_complete(samples.table, load)
            on_failure.pop_all()
        return samples

    def _attempt(self, trial: str, load: TrialLoad, lead_ns: int, timeout_ns: int) -> TrialSamples:
        prepared = self._ask("Prepare", _prepare_requests(trial, load))
        senders = _senders(load, {host: reply.endpoints for host, reply in prepared.items()})
        connected = self._ask(
            "Connect",
            {host: agent_pb2.ConnectRequest(trial=trial, senders=endpoints) for host, endpoints in senders.items()},
        )
        t0_ns = max(reply.now_ns for reply in (*prepared.values(), *connected.values())) + lead_ns
        run = agent_pb2.RunRequest(trial=trial, t0_ns=t0_ns, participants=len(load.transfers), timeout_ns=timeout_ns)
        batches = self._collect(run, load.transfers)
        tables = [from_ipc(batch.arrow) for received in batches.values() for batch in received if batch.arrow]
        ends = {host: max((batch.finished_ns for batch in received), default=0) for host, received in batches.items()}
        for host, finished_ns in ends.items():
            if not finished_ns:
                raise LabError(host, "the agent ended its samples without saying when the trial ended")
        last = {host: received[-1] for host, received in batches.items()}
        return TrialSamples(
            table=pa.concat_tables([SCHEMA.empty_table(), *tables]),
            t0_ns=t0_ns,
            t_end_ns=max(ends.values()),
            nic={host: dict(batch.nic_growth) for host, batch in last.items()},
            simulation=_simulated(last.values()),
        )

    def _ask(self, method: str, requests: Mapping[str, Any]) -> dict[str, Any]:
        """Call one unary method on many agents at the same time; the first failure ends all."""
        calls = {
            host: getattr(self._stub(host), method).future(request, timeout=self._answer_seconds)
            for host, request in requests.items()
        }
        replies = {}
        for host, call in calls.items():
            try:
                replies[host] = call.result()
            except grpc.RpcError as error:
                for other in calls.values():
                    other.cancel()
                raise LabError(host, explain(self._agents[host], error)) from error
        return replies

    def _collect(self, run: agent_pb2.RunRequest, hosts: Iterable[str]) -> dict[str, list[agent_pb2.SampleBatch]]:
        """Start every host and read its batches; as soon as one fails, the calls to all others are cancelled."""
        calls = {host: self._stub(host).Run(run, timeout=self._trial_seconds) for host in hosts}
        failed: list[str] = []
        for host, call in calls.items():
            call.add_done_callback(_cancel_all_on_failure(host, calls, failed))
        batches = {}
        for host, call in calls.items():
            try:
                batches[host] = list(call)
            except grpc.RpcError as error:
                culprit = failed[0] if failed else host
                if calls[culprit].code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                    late = [name for name, other in calls.items() if other.code() != grpc.StatusCode.OK]
                    raise LabError(late[0], self._too_late(late)) from error
                raise LabError(culprit, explain(self._agents[culprit], calls[culprit])) from error
        return batches

    def _too_late(self, hosts: list[str]) -> str:
        others = f" (nor did {', '.join(hosts[1:])})" if hosts[1:] else ""
        return (
            f"the agent did not end the trial within {self._trial_seconds:g} s{others}; "
            "see that it runs and is not overloaded"
        )

    def _abandon(self, trial: str, hosts: Iterable[str]) -> None:
        """Tell every host to forget a trial; hang up on those that do not answer."""
        request = agent_pb2.StopRequest(trial=trial)
        calls = {
            host: self._connections[host].stub.Stop.future(request, timeout=_STOP_SECONDS)
            for host in hosts
            if host in self._connections
        }
        for host, call in calls.items():
            if call.exception() is not None:
                self._connections.pop(host).close()

    def _stub(self, host: str) -> AgentStub:
        if host not in self._connections:
            if host not in self._agents:
                raise SpecError(f"{host}: no agent is known for this host; known: {', '.join(self._agents)}")
            agent = self._agents[host]
            files = (agent.ca, agent.cert, agent.key)
            if files not in self._credentials:
                self._credentials[files] = credentials_of(agent)
            self._connections[host] = Connection(agent, self._credentials[files])
        return self._connections[host].stub


def _prepare_requests(trial: str, load: TrialLoad) -> dict[str, agent_pb2.PrepareRequest]:
    return {
        host: agent_pb2.PrepareRequest(
            trial=trial,
            seed=load.seed,
            transfers=[
                agent_pb2.Transfer(
                    peer=transfer.peer,
                    qp=transfer.qp,
                    size_bytes=transfer.size_bytes,
                    offset_ns=transfer.offset_ns,
                    priority=transfer.priority,
                )
                for transfer in transfers
            ],
        )
        for host, transfers in load.transfers.items()
    }


def _senders(
    load: TrialLoad, prepared: Mapping[str, Iterable[agent_pb2.Endpoint]]
) -> Mapping[str, list[agent_pb2.Endpoint]]:
    """Return receiving host -> the endpoints of the queue pairs that will send to it."""
    receivers = {
        (host, transfer.qp): transfer.peer for host, transfers in load.transfers.items() for transfer in transfers
    }
    senders: dict[str, list[agent_pb2.Endpoint]] = defaultdict(list)
    for host, endpoints in prepared.items():
        for endpoint in endpoints:
            if (host, endpoint.qp) not in receivers:
                raise LabError(host, f"the agent prepared queue pair {endpoint.qp}, which the trial does not use")
            senders[receivers[host, endpoint.qp]].append(endpoint)
    return senders


def _simulated(last: Iterable[agent_pb2.SampleBatch]) -> Simulated | None:
    """Return how the trial was simulated: one simulation serves all hosts, and each of them says so."""
    said = [batch for batch in last if batch.method]
    if not said:
        return None
    return Simulated(said[0].method, said[0].simulated_ns, said[0].skipped_ns)


def _cancel_all_on_failure(host: str, calls: Mapping[str, Any], failed: list[str]) -> Callable[[grpc.Call], None]:
    def done(call: grpc.Call) -> None:
        if call.code() != grpc.StatusCode.OK and not failed:
            failed.append(host)
            for other in calls.values():
                other.cancel()

    return done
