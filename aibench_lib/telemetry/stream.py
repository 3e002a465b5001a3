"""One switch's stream: connect, hand on message after message, connect again.

All subscriptions to a switch share one Subscribe call, since only within a call the order of messages is kept: when the
samples after a trial's end are here, so is everything that was said before it.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import grpc
from pygnmi.spec.v080 import gnmi_pb2
from pygnmi.spec.v080.gnmi_pb2_grpc import gNMIStub

from aibench_lib.errors import LabError
from aibench_lib.telemetry.ledger import Ledger
from aibench_lib.telemetry.notifications import NotificationReader, device_path, spelt_out
from aibench_lib.telemetry.progress import Line
from aibench_lib.telemetry.reconnecting import receive_until
from aibench_lib.telemetry.subscription import Subscription

_NO_PATH = gnmi_pb2.Path()
_CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 600_000),  # middleboxes cut an idle connection, many after two hours
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_receive_message_length", 64 << 20),
)


def open_channel(subscription: Subscription) -> grpc.Channel:
    """Return a channel to a subscription's switch; it connects with the first call.

    The library's client is not used for this: its connect needs the Capabilities RPC, which not every device has, and
    its plain subscribe closes the request's side of the stream, upon which some devices end it.

    Raises:
        LabError: The certificate of the switch's authority cannot be read.
    """
    target = f"{subscription.address}:{subscription.port}"
    if not subscription.tls:
        return grpc.insecure_channel(target, _CHANNEL_OPTIONS)
    try:
        authority = Path(subscription.ca).read_bytes() if subscription.ca else None
    except OSError as error:
        raise LabError(subscription.host, f"{subscription.ca}: cannot be read: {error.strerror}") from error
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(authority), _CHANNEL_OPTIONS)


def subscribe_request(subscriptions: Sequence[Subscription]) -> gnmi_pb2.SubscribeRequest:
    """Return the message that asks a switch for a stream of several subscriptions, of one encoding.

    Where two of them are of the same path, the switch is asked once.

    Raises:
        SpecError: A path is not a gNMI path.
    """
    entries = [
        gnmi_pb2.Subscription(
            path=device_path(subscription),
            mode=gnmi_pb2.SubscriptionMode.Value(subscription.mode.upper()),
            sample_interval=subscription.interval_ns if subscription.is_sampled else 0,
            heartbeat_interval=subscription.heartbeat_ns,
            suppress_redundant=subscription.suppress_redundant,
        )
        for subscription in subscriptions
    ]
    encoding = gnmi_pb2.Encoding.Value(subscriptions[0].encoding.upper())
    target = subscriptions[0].target
    wanted = gnmi_pb2.SubscriptionList(
        prefix=gnmi_pb2.Path(target=target) if target else None,
        mode=gnmi_pb2.SubscriptionList.STREAM,
        encoding=encoding,
        subscription={entry.SerializeToString(deterministic=True): entry for entry in entries}.values(),
        allow_aggregation=True,
    )
    return gnmi_pb2.SubscribeRequest(subscribe=wanted)


class Stream:
    """A thread that keeps a switch's stream alive until it is closed; one that never synced is not repeated.

    Args:
        line: The ledger's entry of the switch's subscriptions.
        channel: To the switch.
        ledger: Is told everything.
    """

    def __init__(self, line: Line, channel: grpc.Channel, ledger: Ledger) -> None:
        self._line = line
        self._subscriptions = line.subscriptions
        self._ledger = ledger
        self._stub = gNMIStub(channel)
        self._request = subscribe_request(self._subscriptions)
        self._readers = [NotificationReader(subscription) for subscription in line.subscriptions]
        self._routes: dict[tuple[bytes, bytes], list[int]] = {}
        self._closed = threading.Event()
        self._call: grpc.Call | None = None
        self._thread = threading.Thread(
            target=receive_until, args=(self._closed, line, ledger, self._receive), name=f"stream of {line.host}"
        )

    def start(self) -> None:
        """Connect and receive from now on."""
        self._thread.start()

    def close(self) -> None:
        """End the stream, and wait until nothing more will come of it."""
        self._closed.set()
        if self._call is not None:
            self._call.cancel()
        if self._thread.is_alive():
            self._thread.join()

    def _receive(self) -> str:
        """Receive until the stream ends, and return why it did."""
        ended = threading.Event()
        user = (("username", self._subscriptions[0].username), ("password", self._subscriptions[0].password))
        call = self._call = self._stub.Subscribe(_requests(self._request, ended), metadata=user)
        if self._closed.is_set():
            call.cancel()
        try:
            for response in call:
                self._take(response)
        except grpc.RpcError as error:
            return _explain(self._subscriptions, error)
        finally:
            ended.set()
        return "the switch ended the subscription"

    def _take(self, response: gnmi_pb2.SubscribeResponse) -> None:
        if response.WhichOneof("response") == "sync_response":
            self._ledger.synced(self._line)
            return
        notification = response.update
        for number, updates in self._parts(notification):
            reader, progress = self._readers[number], self._line.progresses[number]
            try:
                records = reader.records(notification, updates)
            except ValueError as error:
                self._ledger.unreadable(progress, notification.timestamp, str(error))
                continue
            gone = reader.deleted(notification) if notification.delete else []
            self._ledger.received(progress, notification.timestamp, records, gone)

    def _parts(self, notification: gnmi_pb2.Notification) -> Iterable[tuple[int, Sequence[gnmi_pb2.Update] | None]]:
        """Return which updates of a notification are for which reader; None stands for all of them.

        Mostly the prefix tells. Where the switch has put answers to several subscriptions into one notification, the
        path of each update does.
        """
        prefix = notification.prefix
        encoded = prefix.SerializeToString()
        numbers = self._readers_of(encoded, prefix, _NO_PATH)
        if len(numbers) < 2:
            return [(number, None) for number in numbers]
        parts: dict[int, list[gnmi_pb2.Update]] = {}
        for update in notification.update:
            for number in self._readers_of(encoded, prefix, update.path):
                parts.setdefault(number, []).append(update)
        return parts.items() if parts else [(number, ()) for number in numbers]

    def _readers_of(self, encoded: bytes, prefix: gnmi_pb2.Path, path: gnmi_pb2.Path) -> list[int]:
        key = (encoded, path.SerializeToString())
        numbers = self._routes.get(key)
        if numbers is None:
            names, keys = spelt_out((*prefix.elem, *path.elem))
            numbers = [number for number, reader in enumerate(self._readers) if reader.is_about(names, keys)]
            self._routes[key] = numbers
        return numbers


def _requests(request: gnmi_pb2.SubscribeRequest, ended: threading.Event) -> Iterator[gnmi_pb2.SubscribeRequest]:
    yield request
    ended.wait()  # the request's side of the stream stays open as long as the stream


def _explain(subscriptions: Sequence[Subscription], error: grpc.RpcError) -> str:
    code, details = error.code(), " ".join((error.details() or "").split())
    where = f"gNMI at {subscriptions[0].address}:{subscriptions[0].port}"
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return f"{where} refuses user {subscriptions[0].username!r} ({details}); check user name and password"
    if code == grpc.StatusCode.UNAVAILABLE:
        return f"{where} does not answer ({details}); see that it is enabled and its port can be reached"
    what = subscriptions[0].path if len(subscriptions) == 1 else f"one of {len(subscriptions)} paths"
    return f"{where} refuses to stream {what}: {details or code.name}"
