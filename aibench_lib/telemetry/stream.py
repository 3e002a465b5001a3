"""One subscription's thread: connect, hand on message after message, connect again."""

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
from pygnmi.spec.v080 import gnmi_pb2
from pygnmi.spec.v080.gnmi_pb2_grpc import gNMIStub

from aibench_lib.errors import LabError
from aibench_lib.telemetry.ledger import Ledger
from aibench_lib.telemetry.notifications import NotificationReader, device_path
from aibench_lib.telemetry.progress import Progress
from aibench_lib.telemetry.subscription import Subscription

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
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


def subscribe_request(subscription: Subscription) -> gnmi_pb2.SubscribeRequest:
    """Return the message that asks a switch for a subscription's stream.

    Raises:
        SpecError: The path is not a gNMI path.
    """
    entry = gnmi_pb2.Subscription(
        path=device_path(subscription),
        mode=gnmi_pb2.SubscriptionMode.Value(subscription.mode.upper()),
        sample_interval=subscription.interval_ns if subscription.is_sampled else 0,
        heartbeat_interval=subscription.heartbeat_ns,
        suppress_redundant=subscription.suppress_redundant,
    )
    return gnmi_pb2.SubscribeRequest(
        subscribe=gnmi_pb2.SubscriptionList(
            mode=gnmi_pb2.SubscriptionList.STREAM,
            encoding=gnmi_pb2.Encoding.Value(subscription.encoding.upper()),
            subscription=[entry],
        )
    )


class Stream:
    """A thread that keeps one subscription alive until it is closed; one that never synced is not repeated.

    Args:
        progress: The subscription's entry in the ledger.
        channel: To its switch.
        ledger: Is told everything.
    """

    def __init__(self, progress: Progress, channel: grpc.Channel, ledger: Ledger) -> None:
        self._progress = progress
        self._subscription = progress.subscription
        self._ledger = ledger
        self._stub = gNMIStub(channel)
        self._request = subscribe_request(self._subscription)
        self._reader = NotificationReader(self._subscription)
        self._closed = threading.Event()
        self._call: grpc.Call | None = None
        self._thread = threading.Thread(target=self._run, name=f"{self._subscription.host}:{self._subscription.path}")

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

    def _run(self) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while not self._closed.is_set():
            messages = self._progress.messages
            reason = self._receive()
            if self._closed.is_set():
                return
            self._ledger.lost(self._progress, reason)
            if not self._progress.synced:
                return
            if self._progress.messages > messages:
                pause_seconds = _FIRST_PAUSE_SECONDS
            self._closed.wait(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def _receive(self) -> str:
        """Receive until the stream ends, and return why it did."""
        ended = threading.Event()
        user = (("username", self._subscription.username), ("password", self._subscription.password))
        call = self._call = self._stub.Subscribe(_requests(self._request, ended), metadata=user)
        if self._closed.is_set():
            call.cancel()
        try:
            for response in call:
                self._take(response)
        except grpc.RpcError as error:
            return _explain(self._subscription, error)
        finally:
            ended.set()
        return "the switch ended the subscription"

    def _take(self, response: gnmi_pb2.SubscribeResponse) -> None:
        if response.WhichOneof("response") == "sync_response":
            self._ledger.synced(self._progress)
            return
        notification = response.update
        try:
            records = self._reader.records(notification)
        except ValueError as error:
            self._ledger.unreadable(self._progress, notification.timestamp, str(error))
            return
        gone = self._reader.deleted(notification) if notification.delete else []
        self._ledger.received(self._progress, notification.timestamp, records, gone)


def _requests(request: gnmi_pb2.SubscribeRequest, ended: threading.Event) -> Iterator[gnmi_pb2.SubscribeRequest]:
    yield request
    ended.wait()  # the request's side of the stream stays open as long as the stream


def _explain(subscription: Subscription, error: grpc.RpcError) -> str:
    code, details = error.code(), " ".join((error.details() or "").split())
    where = f"{subscription.address}:{subscription.port}"
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return f"gNMI at {where} refuses user {subscription.username!r} ({details}); check user name and password"
    if code == grpc.StatusCode.UNAVAILABLE:
        return f"gNMI at {where} does not answer ({details}); see that it is enabled and its port can be reached"
    return f"gNMI at {where} refuses the subscription: {details or code.name}"
