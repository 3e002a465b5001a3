"""The gNMI service of one simulated switch."""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import grpc
from pygnmi.spec.v080 import gnmi_pb2

from aibench_lib.model import Port
from aibench_lib.virtual_lab.credentials import USERNAME
from aibench_lib.virtual_lab.faults import Faults, Refusal
from aibench_lib.virtual_lab.gnmi import values as typed
from aibench_lib.virtual_lab.gnmi.paths import Elements, from_proto, text, to_proto, without_keys
from aibench_lib.virtual_lab.gnmi.plan import Listing, RequestError, plan
from aibench_lib.virtual_lab.gnmi.subscription import Subscription
from aibench_lib.virtual_lab.history import Rows, Snapshot, Table
from aibench_lib.virtual_lab.observed import Container, Entry, Subject

GNMI_VERSION = "0.8.0"

Code = grpc.StatusCode
Context: TypeAlias = grpc.aio.ServicerContext


class Fabric(Protocol):
    """What the service needs of the lab behind it."""

    rows: Rows
    now: Snapshot

    def is_up(self, port: Port) -> bool:
        """Whether a port's link is up."""


class Configuration(Protocol):
    """The configuration that gNMI shows and changes; a switch that is configured by CLI has none."""

    def show(self, path: Elements) -> list[tuple[Elements, object]] | None:
        """Return what is configured at a path, None if the path is not in the schema."""

    def change(
        self,
        deletes: Sequence[Elements],
        replaces: Sequence[tuple[Elements, object]],
        updates: Sequence[tuple[Elements, object]],
    ) -> str:
        """Change it, all or nothing; return the reason of a refusal, or an empty string."""


@dataclass(frozen=True)
class Target:
    """One switch as gNMI sees it."""

    name: str
    interfaces: list[str]
    containers: tuple[Container, ...]
    configuration: Configuration | None
    models: tuple[str, ...]
    note: Callable[[str], None]
    """Told of every change that a client asks for."""
    faults: Faults = field(default_factory=Faults)


class GnmiService:
    """Answers for one switch.

    Args:
        target: The switch.
        fabric: What its counters are.
        password: What a client must know.
        attach: Called with a new subscription once no trial runs; from then on every trial is pushed into it.
        detach: Called when its client has gone.
    """

    def __init__(
        self,
        target: Target,
        fabric: Fabric,
        password: str,
        attach: Callable[[Subscription], Awaitable[None]],
        detach: Callable[[Subscription], None],
    ) -> None:
        self._target = target
        self._listing = Listing(target)
        self._fabric = fabric
        self._password = password
        self._attach = attach
        self._detach = detach

    def rpc_handlers(self) -> grpc.GenericRpcHandler:
        """Return the service for a gRPC server; Subscribe writes messages that are serialised already."""
        unary = grpc.unary_unary_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            "gnmi.gNMI",
            {
                "Capabilities": unary(
                    self._capabilities,
                    gnmi_pb2.CapabilityRequest.FromString,
                    gnmi_pb2.CapabilityResponse.SerializeToString,
                ),
                "Get": unary(self._get, gnmi_pb2.GetRequest.FromString, gnmi_pb2.GetResponse.SerializeToString),
                "Set": unary(self._set, gnmi_pb2.SetRequest.FromString, gnmi_pb2.SetResponse.SerializeToString),
                "Subscribe": grpc.stream_stream_rpc_method_handler(
                    self._subscribe, gnmi_pb2.SubscribeRequest.FromString
                ),
            },
        )

    async def _authenticate(self, context: Context) -> None:
        metadata = dict(context.invocation_metadata())
        password = str(metadata.get("password", ""))
        right = hmac.compare_digest(password.encode(), self._password.encode())
        if metadata.get("username") != USERNAME or not right:
            await context.abort(Code.UNAUTHENTICATED, f"{self._target.name}: unknown user name or wrong password")

    async def _capabilities(self, _: gnmi_pb2.CapabilityRequest, context: Context) -> gnmi_pb2.CapabilityResponse:
        await self._authenticate(context)
        return gnmi_pb2.CapabilityResponse(
            supported_models=[gnmi_pb2.ModelData(name=name) for name in self._target.models],
            supported_encodings=list(typed.ENCODINGS),
            gNMI_version=GNMI_VERSION,
        )

    async def _get(self, request: gnmi_pb2.GetRequest, context: Context) -> gnmi_pb2.GetResponse:
        await self._authenticate(context)
        await self._check_encoding(request.encoding, context)
        notifications = []
        for proto in request.path or [gnmi_pb2.Path()]:
            path = from_proto(request.prefix, proto)
            try:
                notifications += self._notifications(path, request.type, request.encoding)
            except RequestError as error:
                await context.abort(Code.INVALID_ARGUMENT, str(error))
        return gnmi_pb2.GetResponse(notification=notifications)

    def _notifications(self, path: Elements, kind: int, encoding: int) -> list[gnmi_pb2.Notification]:
        found: list[tuple[Elements, object]] | None = None
        if kind in (gnmi_pb2.GetRequest.ALL, gnmi_pb2.GetRequest.CONFIG) and self._target.configuration:
            found = self._target.configuration.show(path)
        notification = gnmi_pb2.Notification(timestamp=self._fabric.now.time_ns)
        for place, value in found or []:
            update = notification.update.add(path=to_proto(place))
            if isinstance(value, dict):
                typed.write_json(update.val, value, _json(encoding))
            else:
                typed.write(update.val, value, encoding)
        wanted: list[Entry] = []
        if kind != gnmi_pb2.GetRequest.CONFIG:
            wanted = self._listing.find(path)
        if found is None and not wanted and not self._listing.find(without_keys(path)):
            raise RequestError(f"Invalid path '{text(path)}': not in the schema")
        return [notification, *(self._state(entry, encoding) for entry in wanted)]

    def _state(self, entry: Entry, encoding: int) -> gnmi_pb2.Notification:
        now = self._fabric.now
        notification = gnmi_pb2.Notification(timestamp=now.time_ns)
        for leaf, value in self._state_values(entry, now).items():
            update = notification.update.add(path=to_proto((*entry.path, (leaf, ()))))
            typed.write(update.val, value, encoding, wide=True)
        return notification

    def _state_values(self, entry: Entry, now: Snapshot) -> Mapping[str, int | str]:
        if entry.container.subject is Subject.CONGESTION:
            return {}  # records are events: nothing is congested while lab time stands still
        if entry.container.subject is Subject.OPERATION:
            up = self._fabric.is_up(Port(entry.node, entry.interface))
            return dict.fromkeys(entry.leaves, entry.container.states[up])
        track = Table([now]).track(entry, self._fabric.rows)
        return {leaf: int(column[0]) for leaf, column in track.columns.items()}

    async def _set(self, request: gnmi_pb2.SetRequest, context: Context) -> gnmi_pb2.SetResponse:
        await self._authenticate(context)
        for verb, paths in (
            ("delete", request.delete),
            ("replace", [item.path for item in request.replace]),
            ("update", [item.path for item in request.update]),
        ):
            for path in paths:
                self._target.note(f"{verb} {text(from_proto(request.prefix, path))}")
        configuration = self._target.configuration
        if configuration is None:
            await context.abort(
                Code.UNIMPLEMENTED, f"{self._target.name}: configuration is changed by the CLI over SSH"
            )
            return None
        try:
            request = self._target.faults.hear_set(request)
        except Refusal as refused:
            await context.abort(Code.INVALID_ARGUMENT, str(refused))
        deletes = [from_proto(request.prefix, path) for path in request.delete]
        try:
            replaces = [(from_proto(request.prefix, item.path), typed.read(item.val)) for item in request.replace]
            updates = [(from_proto(request.prefix, item.path), typed.read(item.val)) for item in request.update]
        except ValueError as error:
            await context.abort(Code.INVALID_ARGUMENT, f"{self._target.name}: {error}")
        refusal = configuration.change(deletes, replaces, updates)
        if refusal:
            await context.abort(Code.INVALID_ARGUMENT, refusal)
        if self._target.faults.loses_answers:
            await context.abort(Code.UNAVAILABLE, "Socket closed")
        result = gnmi_pb2.UpdateResult
        operations = [
            *((path, result.DELETE) for path in deletes),
            *((path, result.REPLACE) for path, _ in replaces),
            *((path, result.UPDATE) for path, _ in updates),
        ]
        return gnmi_pb2.SetResponse(
            prefix=request.prefix,
            response=[result(path=to_proto(path), op=operation) for path, operation in operations],
            timestamp=self._fabric.now.time_ns,
        )

    async def _subscribe(self, requests: AsyncIterator[gnmi_pb2.SubscribeRequest], context: Context) -> None:
        await self._authenticate(context)
        async for request in requests:
            if request.WhichOneof("request") != "subscribe":
                await context.abort(Code.INVALID_ARGUMENT, "the first message of Subscribe must be a subscription list")
            break
        else:
            return
        wanted = request.subscribe
        if wanted.mode == gnmi_pb2.SubscriptionList.POLL:
            await context.abort(Code.UNIMPLEMENTED, f"{self._target.name}: POLL subscriptions are not supported")
        await self._check_encoding(wanted.encoding, context)
        try:
            subscription = plan(self._target, wanted, self._fabric.is_up)
        except RequestError as error:
            await context.abort(Code.INVALID_ARGUMENT, str(error))
            return
        await self._stream(subscription, context, once=wanted.mode == gnmi_pb2.SubscriptionList.ONCE)

    async def _stream(self, subscription: Subscription, context: Context, *, once: bool) -> None:
        await self._attach(subscription)
        try:
            for message in subscription.current(self._fabric.rows, self._fabric.now):
                await context.write(message)
            await context.write(gnmi_pb2.SubscribeResponse(sync_response=True).SerializeToString())
            while not once:
                batch = await subscription.outbox.take()
                if batch is None:
                    await context.abort(
                        Code.RESOURCE_EXHAUSTED, f"{self._target.name}: the subscriber is too slow; subscribe again"
                    )
                    return
                for message in batch:
                    await context.write(message)
        finally:
            subscription.outbox.close()
            self._detach(subscription)

    async def _check_encoding(self, encoding: int, context: Context) -> None:
        if encoding not in typed.ENCODINGS:
            name = gnmi_pb2.Encoding.Name(encoding)
            await context.abort(Code.UNIMPLEMENTED, f"{self._target.name}: encoding {name} is not supported")


def _json(encoding: int) -> int:
    return int(gnmi_pb2.JSON if encoding == gnmi_pb2.JSON else gnmi_pb2.JSON_IETF)


async def serve_gnmi(
    service: GnmiService, address: str, port: int, credentials: grpc.ServerCredentials
) -> grpc.aio.Server:
    """Listen for gNMI clients of one switch.

    Raises:
        OSError: The address is in use.
    """
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((service.rpc_handlers(),))
    try:
        server.add_secure_port(f"{address}:{port}", credentials)
    except RuntimeError as error:
        raise OSError(f"{address}:{port}") from error
    await server.start()
    return server
