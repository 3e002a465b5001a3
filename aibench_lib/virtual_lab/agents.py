"""The traffic agents of the simulated hosts: one gRPC server each, on the host's own address."""

from collections.abc import AsyncIterator, Callable
from typing import NoReturn, TypeAlias

import grpc

from aibench_lib import __version__
from aibench_lib.model import LabKind
from aibench_lib.units import NS_PER_SECOND
from aibench_lib.virtual_lab.rendezvous import (
    Aborted,
    InvalidRequest,
    Missing,
    NotReady,
    Refusal,
    Rendezvous,
    Start,
)
from aibench_lib.virtual_lab.samples import CLOCK, TRANSPORT, rows
from aibench_lib.virtual_lab.storms import Storm, Storms
from aibench_lib.virtual_lab.trial import Flow, Loop
from aibench_lib.worker import agent_pb2, agent_pb2_grpc
from aibench_lib.worker.samples import to_ipc

PORT = 50051

Context: TypeAlias = grpc.aio.ServicerContext

_OPERATIONS = ("write_with_imm", "write", "send")
"""What differs between them on the wire is no part of the model; of a read the bytes would flow the other way."""
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
        clock_id: What all agents of the lab call its clock.
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
        clock_id: str,
    ) -> None:
        self._host = host
        self._hosts = hosts
        self._rendezvous = rendezvous
        self._now_ns = now_ns
        self._counters = counters
        self._nic = nic
        self._storms = storms
        self._moment_ns = moment_ns
        self._clock_id = clock_id

    async def Describe(self, request: agent_pb2.DescribeRequest, context: Context) -> agent_pb2.Description:  # noqa: N802 - the names of the service definition
        """Say who the agent is."""
        return agent_pb2.Description(
            host=self._host,
            version=__version__,
            lab=LabKind.SIMULATED,
            transport=TRANSPORT,
            clock=CLOCK,
            now_ns=self._now_ns(),
            nic=self._nic,
            clock_id=self._clock_id,
            transports=[TRANSPORT],
        )

    async def Prepare(self, request: agent_pb2.PrepareRequest, context: Context) -> agent_pb2.Prepared:  # noqa: N802
        """Note what to send."""
        try:
            flows = [self._flow(transfer) for transfer in request.transfers]
            loops = [self._loop(stream) for stream in request.streams]
            self._rendezvous.prepare(request.trial, self._host, flows, loops, request.seed)
        except Refusal as refusal:
            await _refuse(context, refusal)
        qps = dict.fromkeys([flow.qp for flow in flows] + [loop.qp for loop in loops])
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
        outcome, samples = share.outcome, rows(self._host, share, request.t0_ns)
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

    def _check(self, sent: agent_pb2.Transfer | agent_pb2.Stream) -> None:
        where = f"{self._host}: queue pair {sent.qp}"
        if sent.peer not in self._hosts or sent.peer == self._host:
            raise InvalidRequest(f"{self._host}: cannot send to {sent.peer!r}: no such peer in this lab")
        if sent.size_bytes <= 0 or sent.offset_ns < 0 or sent.priority > _HIGHEST_PRIORITY:
            raise InvalidRequest(f"{where}: size must be positive, offset not negative, priority 0 to 7")
        if sent.operation not in ("", *_OPERATIONS):
            raise InvalidRequest(f"{where}: {sent.operation!r} is not simulated; {', '.join(_OPERATIONS)} are")

    def _loop(self, stream: agent_pb2.Stream) -> Loop:
        self._check(stream)
        if not 0 < stream.batch <= stream.depth or stream.duration_ns < 0 or stream.rate_bps < 0:
            raise InvalidRequest(
                f"{self._host}: queue pair {stream.qp}: batch must be 1 to depth, duration and rate not negative"
            )
        return Loop(
            source=self._host,
            destination=stream.peer,
            qp=stream.qp,
            size_bytes=stream.size_bytes,
            depth=stream.depth,
            batch=stream.batch,
            offset_ns=stream.offset_ns,
            duration_ns=stream.duration_ns,
            rate_bps=stream.rate_bps,
            priority=stream.priority,
            operation=stream.operation or _OPERATIONS[0],
        )

    def _flow(self, transfer: agent_pb2.Transfer) -> Flow:
        self._check(transfer)
        return Flow(
            source=self._host,
            destination=transfer.peer,
            qp=transfer.qp,
            size_bytes=transfer.size_bytes,
            offset_ns=transfer.offset_ns,
            priority=transfer.priority,
            operation=transfer.operation or _OPERATIONS[0],
        )


async def _refuse(context: Context, refusal: Refusal) -> NoReturn:
    await context.abort(_CODES[type(refusal)], str(refusal))
    raise AssertionError("unreachable: abort raises") from refusal


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
