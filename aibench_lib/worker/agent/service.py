"""The agent's gRPC service: checks what it is asked, and has a trial do it."""

import functools
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc

from aibench_lib import __version__
from aibench_lib.errors import AibenchError, SpecError
from aibench_lib.worker import agent_pb2, agent_pb2_grpc, transports
from aibench_lib.worker.agent import cpu, load, nic
from aibench_lib.worker.agent import host as host_facts
from aibench_lib.worker.agent.batches import Batches
from aibench_lib.worker.agent.config import AgentConfig
from aibench_lib.worker.agent.lease import Lease
from aibench_lib.worker.agent.refusals import Broken, InvalidRequest, NotReady, Refusal, Stopped, WrongOrder
from aibench_lib.worker.agent.trial import Group, Trial
from aibench_lib.worker.agent.zygote import Zygote
from aibench_lib.worker.transports.transport import Options

Context: TypeAlias = grpc.ServicerContext

_CLOCK = "realtime"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LARGEST_REQUEST_BYTES = 64 << 20
"""Room for a million transfers of one host."""
_CALLS_AT_ONCE = 16
"""Each open call has a thread, made when it is needed."""
_KEEPALIVE_MS = 10_000
"""A coordinator whose host has lost its power is noticed after twice that: the trial ends, and the lease runs."""
_CODES = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    WrongOrder: grpc.StatusCode.FAILED_PRECONDITION,
    Stopped: grpc.StatusCode.ABORTED,
    Broken: grpc.StatusCode.INTERNAL,
}
_HIGHEST_PRIORITY = 7

Answered = TypeVar("Answered", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What an agent has found and made when it started."""

    config: AgentConfig
    zygote: Zygote
    lease: Lease
    probe_port: int
    probe_token: bytes
    transports: tuple[str, ...]
    """What this host can send with, the best first."""


def _answered(method: Answered) -> Answered:
    """Hold the lease while a call is answered, and tell the caller in one line why it is not."""

    @functools.wraps(method)
    def answer(self: "AgentService", request: object, context: Context) -> object:
        with self.here.lease.call():
            try:
                return method(self, request, context)
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller must be told
                code, line = self.said(error)
        return context.abort(code, line)  # which raises

    return answer  # type: ignore[return-value] # it takes and returns what the method does


def _streamed(method: Answered) -> Answered:
    """As :func:`_answered`, of a call that answers many times."""

    @functools.wraps(method)
    def answer(self: "AgentService", request: object, context: Context) -> Iterator[object]:
        with self.here.lease.call():
            try:
                yield from method(self, request, context)
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller must be told
                code, line = self.said(error)
            else:
                return
        context.abort(code, line)

    return answer  # type: ignore[return-value] # it takes and returns what the method does


class AgentService(agent_pb2_grpc.AgentServicer):  # type: ignore[misc] # generated without types
    """The agent of one host.

    Args:
        here: What it has found and made when it started.
    """

    def __init__(self, here: Surroundings) -> None:
        self.here = here
        self._host = here.config.host
        self._nic = nic.find(here.config.address, here.config.device)
        self._clock_id = _BOOT_ID.read_text().strip()
        self._lock = threading.Lock()
        self._trial: Trial | None = None

    @_answered
    def Describe(self, request: agent_pb2.DescribeRequest, context: Context) -> agent_pb2.Description:  # noqa: N802 - the names of the service definition
        """Say who the agent is."""
        return agent_pb2.Description(
            host=self._host,
            version=__version__,
            lab=self.here.config.lab,
            transport=self._label(),
            clock=_CLOCK,
            now_ns=time.time_ns(),
            nic=self._nic.model or self._nic.interface,
            firmware=self._nic.firmware,
            clock_id=self._clock_id,
            probe_port=self.here.probe_port,
            probe_token=self.here.probe_token,
            transports=self.here.transports,
        )

    @_answered
    def Prepare(self, request: agent_pb2.PrepareRequest, context: Context) -> agent_pb2.Prepared:  # noqa: N802
        """Start the processes of a trial; one that has been left over gives way."""
        queues = load.send_queues(self._host, request)
        trial = self._begin(request)
        with self._until_gone(trial, context):
            addresses, trigger_address = trial.prepare(queues, trigger=request.trigger)
        ends = [agent_pb2.Endpoint(peer=self._host, qp=qp, address=address) for qp, address in addresses.items()]
        return agent_pb2.Prepared(endpoints=ends, now_ns=time.time_ns(), trigger_address=trigger_address)

    @_answered
    def Connect(self, request: agent_pb2.ConnectRequest, context: Context) -> agent_pb2.Connected:  # noqa: N802
        """Make ready to receive."""
        senders = load.senders(self._host, request)
        trial = self._find(request.trial)
        with self._until_gone(trial, context):
            ends = trial.connect(senders)
        endpoints = [agent_pb2.Endpoint(peer=host, qp=qp, address=address) for (host, qp), address in ends.items()]
        return agent_pb2.Connected(now_ns=time.time_ns(), endpoints=endpoints)

    @_answered
    def Join(self, request: agent_pb2.JoinRequest, context: Context) -> agent_pb2.Joined:  # noqa: N802
        """Make the queue pairs ready that send."""
        receivers = load.receivers(self._host, request)
        trial = self._find(request.trial)
        with self._until_gone(trial, context):
            trial.join(receivers)
        return agent_pb2.Joined(now_ns=time.time_ns())

    @_streamed
    def Run(self, request: agent_pb2.RunRequest, context: Context) -> Iterator[agent_pb2.SampleBatch]:  # noqa: N802
        """Send and receive from T0 on, and pass on what the processes write as fast as the coordinator takes it."""
        start = load.start(request)
        trial = self._find(request.trial)
        late_ns = time.time_ns() - start.t0_ns
        if late_ns >= 0:
            raise NotReady(f"T0 was {late_ns // 1000} us ago when the call to run came; give the agents more time")
        with self._until_gone(trial, context):
            before = nic.counters(self._nic) | cpu.times()
            trial.begin(start)
            told_ns = time.time_ns()
            last = yield from self._batches(trial)
            after = nic.counters(self._nic) | cpu.times()
        ending = trial.ending
        yield agent_pb2.SampleBatch(
            arrow=last.arrow,
            receipts=last.receipts,
            told_ns=told_ns,
            finished_ns=ending.finished_ns,
            nic_growth={name: value - before[name] for name, value in after.items() if name in before},
            started_ns=min(ending.started_ns, default=0),
            started_last_ns=max(ending.started_ns, default=0),
            qp_states=ending.states,
        )

    def _batches(self, trial: Trial) -> Generator[agent_pb2.SampleBatch, None, agent_pb2.SampleBatch]:
        """Yield all batches of rows but the last, and return that: a short trial's rows travel with how it ended."""
        makers: dict[Group, Batches] = {}
        last = agent_pb2.SampleBatch()
        while not trial.is_finished:
            for rows in trial.rows():
                if last.arrow or last.receipts:
                    yield last
                group = rows.group
                if group not in makers:
                    makers[group] = Batches(self._host, group.label, _CLOCK, group.sends, group.receives)
                last = agent_pb2.SampleBatch(
                    arrow=makers[group].samples(rows.samples) if rows.samples else b"",
                    receipts=makers[group].receipts(rows.receipts) if rows.receipts else b"",
                )
        return last

    @_answered
    def Counters(self, request: agent_pb2.CountersRequest, context: Context) -> agent_pb2.CounterValues:  # noqa: N802
        """Read the NIC."""
        return agent_pb2.CounterValues(values=nic.counters(self._nic), time_ns=time.time_ns())

    @_answered
    def Stop(self, request: agent_pb2.StopRequest, context: Context) -> agent_pb2.Stopped:  # noqa: N802
        """Forget a trial; when this answers, nothing of it is left."""
        with self._lock:
            trial = self._trial
        if trial is not None and request.trial in ("", trial.name):
            self._forget(trial)
        return agent_pb2.Stopped()

    @_answered
    def Storm(self, request: agent_pb2.StormRequest, context: Context) -> agent_pb2.StormState:  # noqa: N802
        """Say that there is none: a process without privileges cannot send PAUSE."""
        where = f"storm in priority {request.priority}"
        if request.host != self._host:
            raise InvalidRequest(f"{where}: meant for {request.host!r}")
        if request.priority > _HIGHEST_PRIORITY:
            raise InvalidRequest(f"{where}: priority must be 0 to {_HIGHEST_PRIORITY}")
        if request.act == "start":
            raise NotReady(
                f"{where}: this host cannot send PAUSE by itself: an agent without privileges may not; use a traffic "
                "generator at its switch port, or leave out the tests that need a storm"
            )
        if request.act not in ("stop", "status"):
            raise InvalidRequest(f"{where}: {request.act!r} is not one of start, stop, status")
        return agent_pb2.StormState(active=False, now_ns=time.time_ns())

    @_answered
    def Inspect(self, request: agent_pb2.InspectRequest, context: Context) -> agent_pb2.Inspection:  # noqa: N802
        """Say what the host is."""
        return agent_pb2.Inspection(facts=host_facts.inspect(self._nic, self._default_transport()))

    @_streamed
    def Hold(self, request: agent_pb2.HoldRequest, context: Context) -> Iterator[agent_pb2.Held]:  # noqa: N802
        """Keep the lease until the call ends."""
        ended = threading.Event()
        if context.add_callback(ended.set):
            yield agent_pb2.Held(lease_ns=self.here.lease.length_ns)
            ended.wait()

    def said(self, error: Exception) -> tuple[grpc.StatusCode, str]:
        """Return what a caller is told of an error."""
        if isinstance(error, Refusal):
            return _CODES[type(error)], f"{self._host}: {error}"
        line = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"unexpected: {line}", file=sys.stderr)  # noqa: T201 - the agent's log
        return grpc.StatusCode.INTERNAL, f"{self._host}: {error if isinstance(error, AibenchError) else line}"

    def _default_transport(self) -> str:
        return self.here.config.transport or self.here.transports[0]

    def _label(self) -> str:
        """Return what the default transport is called in results, as far as is known before it has been opened."""
        name = self._default_transport()
        return self._nic.label if name in ("verbs", "perftest") else name

    def _begin(self, request: agent_pb2.PrepareRequest) -> Trial:
        config, name = self.here.config, request.transport or self._default_transport()
        if name not in transports.NAMES:
            raise InvalidRequest(f"transport {name!r} is not one of {', '.join(transports.NAMES)}")
        if name not in self.here.transports:
            raise NotReady(f"transport {name} is not there on this host; it has {', '.join(self.here.transports)}")
        options = Options(
            host=config.host,
            address=config.address,
            device=config.device,
            gid_index=config.gid_index,
            dscp=config.dscp,
            verify=request.verify,
            seed=request.seed,
        )
        with self._lock:
            old = self._trial
            if old is not None and old.is_busy:
                raise WrongOrder(f"trial {old.name} is under way on this host; stop it first")
            self._trial = trial = Trial(request.trial, self.here.zygote, name, options, old)
        return trial

    def _find(self, name: str) -> Trial:
        with self._lock:
            trial = self._trial
        if trial is None or trial.name != name:
            raise WrongOrder(f"trial {name!r} is not known here: it has not been prepared, or was stopped since")
        return trial

    def _forget(self, trial: Trial) -> None:
        with self._lock:
            if self._trial is trial:
                self._trial = None
        trial.stop()

    @contextmanager
    def _until_gone(self, trial: Trial, context: Context) -> Iterator[None]:
        """Forget a trial whose step fails, or whose caller goes away meanwhile."""
        done = threading.Event()

        def ended() -> None:
            if not done.is_set():
                threading.Thread(target=self._forget, args=(trial,), daemon=True).start()

        if not context.add_callback(ended):
            ended()
        try:
            yield
        except (InvalidRequest, WrongOrder):  # the trial is as it was
            done.set()
            raise
        except BaseException:  # of a generator that nobody reads on, too
            done.set()
            self._forget(trial)
            raise
        done.set()


def serve(service: AgentService) -> tuple[grpc.Server, int]:
    """Listen for coordinators: with mutual TLS only.

    Returns:
        The server, and its port.

    Raises:
        SpecError: A certificate cannot be read, or the address is not to be had.
    """
    config = service.here.config
    try:
        ca, cert, key = (path.read_bytes() for path in (config.ca, config.cert, config.key))
    except OSError as error:
        raise SpecError(f"{error.filename}: cannot be read: {error.strerror}") from error
    server = grpc.server(
        ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="call"),
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", _LARGEST_REQUEST_BYTES),
            ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS),
        ],
        maximum_concurrent_rpcs=_CALLS_AT_ONCE,
    )
    agent_pb2_grpc.add_AgentServicer_to_server(service, server)
    where = f"[{config.bind}]:{config.port}" if ":" in config.bind else f"{config.bind}:{config.port}"
    credentials = grpc.ssl_server_credentials([(key, cert)], root_certificates=ca, require_client_auth=True)
    try:
        port = server.add_secure_port(where, credentials)
    except RuntimeError as error:
        _cannot_listen(where, error)
    server.start()
    return server, port


def _cannot_listen(where: str, error: RuntimeError) -> NoReturn:
    raise SpecError(
        f"cannot listen on {where}: the port is taken, the address is not this host's, or the certificate and key do "
        f"not belong together ({' '.join(str(error).split())})"
    ) from error
