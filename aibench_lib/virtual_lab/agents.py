"""The traffic agents of the simulated hosts: one gRPC server each, on the host's own address."""

from collections.abc import AsyncIterator, Callable
from typing import NoReturn, TypeAlias

import grpc
import numpy as np
import pyarrow as pa

from aibench_lib import __version__
from aibench_lib.model import LabKind, ObservationPoint
from aibench_lib.units import NS_PER_SECOND
from aibench_lib.virtual_lab.rendezvous import (
    Aborted,
    InvalidRequest,
    Missing,
    NotReady,
    Refusal,
    Rendezvous,
    Share,
    Start,
)
from aibench_lib.virtual_lab.storms import Storm, Storms
from aibench_lib.virtual_lab.trial import NEVER, Flow, Integers
from aibench_lib.worker import agent_pb2, agent_pb2_grpc
from aibench_lib.worker.samples import SCHEMA, to_ipc

PORT = 50051

Context: TypeAlias = grpc.aio.ServicerContext

_CLOCK = "lab"
_TRANSPORT = "simulated"
_OPERATION = "write_with_imm"
_ROWS_A_MESSAGE = 10_000
"""Well below the 4 MiB that a gRPC client receives by default."""
_LARGEST_REQUEST_BYTES = 1 << 26
"""Room for a million transfers of one host."""
_HIGHEST_PRIORITY = 7
_LONGEST_STORM_NS = 3600 * NS_PER_SECOND
_CODES = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    Missing: grpc.StatusCode.DEADLINE_EXCEEDED,
    Aborted: grpc.StatusCode.ABORTED,
}


class AgentService(agent_pb2_grpc.AgentServicer):  # type: ignore[misc] # generated without types
    """The agent of one host.

    Args:
        host: Inventory name.
        hosts: All hosts of the lab.
        rendezvous: Where the agents of a trial meet.
        now_ns: Tells lab time.
        counters: Tells the NIC's counters.
        nic: What the NIC is.
        storms: The PAUSE storms of all NICs.
        moment_ns: Tells lab time, in a trial as far as it has come.
    """

    def __init__(
        self,
        host: str,
        hosts: frozenset[str],
        rendezvous: Rendezvous,
        now_ns: Callable[[], int],
        counters: Callable[[str], dict[str, int]],
        nic: str,
        storms: Storms,
        moment_ns: Callable[[], int],
    ) -> None:
        self._host = host
        self._hosts = hosts
        self._rendezvous = rendezvous
        self._now_ns = now_ns
        self._counters = counters
        self._nic = nic
        self._storms = storms
        self._moment_ns = moment_ns

    async def Describe(self, request: agent_pb2.DescribeRequest, context: Context) -> agent_pb2.Description:  # noqa: N802 - the names of the service definition
        """Say who the agent is."""
        return agent_pb2.Description(
            host=self._host,
            version=__version__,
            lab=LabKind.SIMULATED,
            transport=_TRANSPORT,
            clock=_CLOCK,
            now_ns=self._now_ns(),
            nic=self._nic,
        )

    async def Prepare(self, request: agent_pb2.PrepareRequest, context: Context) -> agent_pb2.Prepared:  # noqa: N802
        """Note what to send."""
        try:
            flows = [self._flow(transfer) for transfer in request.transfers]
            self._rendezvous.prepare(request.trial, self._host, flows, request.seed)
        except Refusal as refusal:
            await _refuse(context, refusal)
        qps = dict.fromkeys(flow.qp for flow in flows)
        endpoints = [agent_pb2.Endpoint(peer=self._host, qp=qp, address=self._host.encode()) for qp in qps]
        return agent_pb2.Prepared(endpoints=endpoints, now_ns=self._now_ns())

    async def Connect(self, request: agent_pb2.ConnectRequest, context: Context) -> agent_pb2.Connected:  # noqa: N802
        """Note from whom to receive."""
        try:
            self._rendezvous.connect(
                request.trial, self._host, [(sender.peer, sender.qp) for sender in request.senders]
            )
        except Refusal as refusal:
            await _refuse(context, refusal)
        return agent_pb2.Connected(now_ns=self._now_ns())

    async def Run(self, request: agent_pb2.RunRequest, context: Context) -> AsyncIterator[agent_pb2.SampleBatch]:  # noqa: N802
        """Send from T0 on, once every participant is here."""
        start = Start(request.t0_ns, request.participants, request.timeout_ns)
        try:
            share = await self._rendezvous.run(request.trial, self._host, start)
        except Refusal as refusal:
            await _refuse(context, refusal)
        outcome, samples = share.outcome, _samples(self._host, share, request.t0_ns)
        for first in range(0, len(samples), _ROWS_A_MESSAGE):
            yield agent_pb2.SampleBatch(arrow=to_ipc(samples.slice(first, _ROWS_A_MESSAGE)))
        yield agent_pb2.SampleBatch(
            finished_ns=outcome.finished_ns.get(self._host, request.t0_ns),
            nic_growth=outcome.nic_growth.get(self._host, {}),
            method=outcome.method,
            simulated_ns=outcome.end_ns - request.t0_ns - outcome.skipped_ns,
            skipped_ns=outcome.skipped_ns,
        )

    async def Counters(self, request: agent_pb2.CountersRequest, context: Context) -> agent_pb2.CounterValues:  # noqa: N802
        """Read the NIC."""
        return agent_pb2.CounterValues(values=self._counters(self._host), time_ns=self._now_ns())

    async def Stop(self, request: agent_pb2.StopRequest, context: Context) -> agent_pb2.Stopped:  # noqa: N802
        """Forget a trial, and release whoever waits for it."""
        await self._rendezvous.stop(request.trial)
        return agent_pb2.Stopped()

    async def Storm(self, request: agent_pb2.StormRequest, context: Context) -> agent_pb2.StormState:  # noqa: N802
        """Send PAUSE without end, for a time of lab time; it ends with that, whoever has called."""
        now_ns = self._moment_ns()
        try:
            self._storm(request, now_ns)
        except Refusal as refusal:
            await _refuse(context, refusal)
        found = self._storms.find(self._host, request.priority, now_ns)
        return agent_pb2.StormState(active=found is not None, until_ns=found.until_ns if found else 0, now_ns=now_ns)

    def _storm(self, request: agent_pb2.StormRequest, now_ns: int) -> None:
        where = f"{self._host}: storm in priority {request.priority}"
        if request.host != self._host:
            raise InvalidRequest(f"{where}: meant for {request.host!r}")
        if request.priority > _HIGHEST_PRIORITY:
            raise InvalidRequest(f"{where}: priority must be 0 to {_HIGHEST_PRIORITY}")
        if request.act == "start":
            if not 0 < request.duration_ns <= _LONGEST_STORM_NS:
                raise InvalidRequest(
                    f"{where}: its duration must be positive and at most {_LONGEST_STORM_NS // NS_PER_SECOND} s"
                )
            if self._storms.find(self._host, request.priority, now_ns):
                raise NotReady(f"{where}: there is one already; stop it first")
            self._storms.start(Storm(self._host, request.priority, now_ns + request.duration_ns))
        elif request.act == "stop":
            self._storms.stop(self._host, request.priority)
        elif request.act != "status":
            raise InvalidRequest(f"{where}: {request.act!r} is not one of start, stop, status")

    def _flow(self, transfer: agent_pb2.Transfer) -> Flow:
        if transfer.peer not in self._hosts or transfer.peer == self._host:
            raise InvalidRequest(f"{self._host}: cannot send to {transfer.peer!r}: no such peer in this lab")
        if transfer.size_bytes <= 0 or transfer.offset_ns < 0 or transfer.priority > 7:
            raise InvalidRequest(
                f"{self._host}: queue pair {transfer.qp}: size must be positive, offset not negative, priority 0 to 7"
            )
        return Flow(
            source=self._host,
            destination=transfer.peer,
            qp=transfer.qp,
            size_bytes=transfer.size_bytes,
            offset_ns=transfer.offset_ns,
            priority=transfer.priority,
        )


async def _refuse(context: Context, refusal: Refusal) -> NoReturn:
    await context.abort(_CODES[type(refusal)], str(refusal))
    raise AssertionError("unreachable: abort raises") from refusal


def _samples(host: str, share: Share, t0_ns: int) -> pa.Table:
    """Return a row for each transfer, built by columns: a trial may have tens of thousands."""
    flows, places, outcome = share.flows, share.places, share.outcome
    count = len(flows)
    completed = outcome.completed_ns[places]
    columns = {
        "host": pa.repeat(host, count),
        "peer": pa.array([flow.destination for flow in flows], pa.string()),
        "qp": pa.array([flow.qp for flow in flows], pa.uint32()),
        "priority": pa.array([flow.priority for flow in flows], pa.uint32()),
        "size_bytes": pa.array([flow.size_bytes for flow in flows], pa.int64()),
        "intended_ns": pa.array([t0_ns + flow.offset_ns for flow in flows], pa.int64()),
        "posted_ns": _moments(outcome.posted_ns[places]),
        "completed_ns": _moments(completed),
        "received_ns": _moments(outcome.received_ns[places]),
        "status": pa.array(np.where(completed == NEVER, "timeout", "ok"), pa.string()),
        "clock": pa.repeat(_CLOCK, count),
        "transport": pa.repeat(_TRANSPORT, count),
        "observation_point": pa.repeat(str(ObservationPoint.ENDPOINT), count),
        "operations": pa.repeat(pa.scalar(1, pa.uint32()), count),
        "operation": pa.repeat(_OPERATION, count),
        "echoed_ns": pa.nulls(count, pa.int64()),
    }
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _moments(times_ns: Integers) -> pa.Array:
    return pa.array(times_ns, pa.int64(), mask=times_ns == NEVER)


async def serve_agent(service: AgentService, address: str, credentials: grpc.ServerCredentials) -> grpc.aio.Server:
    """Listen for coordinators on one host's address.

    Raises:
        OSError: The address is in use.
    """
    server = grpc.aio.server(
        options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", _LARGEST_REQUEST_BYTES)]
    )
    agent_pb2_grpc.add_AgentServicer_to_server(service, server)
    try:
        server.add_secure_port(f"{address}:{PORT}", credentials)
    except RuntimeError as error:
        raise OSError(f"{address}:{PORT}") from error
    await server.start()
    return server
