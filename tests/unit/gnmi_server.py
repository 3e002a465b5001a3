"""A small gNMI server on loopback that says what a test tells it to: the peer of the collector's tests."""

import threading
from concurrent import futures
from queue import SimpleQueue

import grpc
from pygnmi.create_gnmi_path import gnmi_path_degenerator, gnmi_path_generator
from pygnmi.spec.v080 import gnmi_pb2
from pygnmi.spec.v080.gnmi_pb2_grpc import add_gNMIServicer_to_server, gNMIServicer

from aibench_lib.telemetry.subscription import Subscription

T = 1_700_000_000_000_000_000
US = 1_000
QUEUES = "qos/interfaces/interface[interface-id=*]/output/queues/queue[name=3]/state"

SYNC = gnmi_pb2.SubscribeResponse(sync_response=True)
_END = object()


def notification(time_ns, prefix, **leaves):
    """A message of whole numbers below one prefix; leaves are spelt with ``_`` for ``-``."""
    return gnmi_pb2.SubscribeResponse(
        update=gnmi_pb2.Notification(
            timestamp=time_ns,
            prefix=gnmi_path_generator(prefix),
            update=[
                gnmi_pb2.Update(
                    path=gnmi_path_generator(name.replace("_", "-")), val=gnmi_pb2.TypedValue(uint_val=value)
                )
                for name, value in leaves.items()
            ],
        )
    )


class GnmiServer(gNMIServicer):
    """Answers each subscription with ``initial[path]`` and the sync, then with whatever is sent.

    Paths are written as pygnmi prints them, without the slash in front.
    """

    def __init__(self, password="secret", credentials=None):
        self.initial = {}
        self.requests = []
        self.password = password
        self._credentials = credentials
        self._streams = {}
        self._arrived = threading.Condition()
        self._server = None
        self.port = 0

    def start(self):
        self._server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
        add_gNMIServicer_to_server(self, self._server)
        address = f"127.0.0.1:{self.port}"
        if self._credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, self._credentials)
        self._server.start()
        return self

    def stop(self):
        """End the server and every stream as a crash would."""
        for stream in self._streams.values():
            stream.put(_END)
        self._streams.clear()
        self._server.stop(None).wait()

    def send(self, path, *responses):
        """Send messages on the stream of a path."""
        for response in responses:
            self._streams[path].put(response)

    def abort(self, path, code=grpc.StatusCode.UNAVAILABLE, details="rebooting"):
        """End the stream of a path with an error."""
        self._streams.pop(path).put((code, details))

    def wait_for_stream(self, path, seconds=10):
        """Return when there is a stream of a path."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: path in self._streams, seconds)

    def Subscribe(self, request_iterator, context):  # noqa: N802 - gRPC's name
        if dict(context.invocation_metadata()).get("password") != self.password:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "bad username/password")
        request = next(request_iterator)
        paths = [gnmi_path_degenerator(item.path) for item in request.subscribe.subscription]
        stream = SimpleQueue()
        with self._arrived:
            self.requests.append(request)
            self._streams.update(dict.fromkeys(paths, stream))
            self._arrived.notify_all()
        context.add_callback(lambda: stream.put(_END))
        for path in paths:
            if path not in self.initial:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no such path: {path}")
            yield from self.initial[path]
        yield SYNC
        while (response := stream.get()) is not _END:
            if isinstance(response, tuple):
                context.abort(*response)
            yield response


def queue(interface):
    return f"/qos/interfaces/interface[interface-id={interface}]/output/queues/queue[name=3]/state"


def sample(us, interface="Ethernet33", **leaves):
    return notification(T + us * US, queue(interface), **leaves)


def subscription(server, **values):
    given = {
        "host": "leaf1",
        "address": "127.0.0.1",
        "port": server.port,
        "username": "admin",
        "password": "secret",
        "tls": False,
        "path": f"/{QUEUES}",
        "mode": "sample",
        "interval_ns": 10 * US,
        "measurement": "queue",
        "tags": {"interface": "interface-id", "queue": "name"},
        "leaves": {"transmit-octets": "transmit_bytes", "ecn-marked-pkts": "ecn_marked_packets"},
    }
    return Subscription(**{**given, **values})


def short(table):
    return [(row["interface"], row["time_ns"] - T, row["transmit_bytes"]) for row in table.to_pylist()]


def steady(server, until_us):
    for us in range(10, until_us + 1, 10):
        server.send(
            QUEUES, sample(us, "Ethernet33", transmit_octets=100 + us), sample(us, "Ethernet34", transmit_octets=7)
        )


def leaf_server():
    """A started server with two queues at time T."""
    server = GnmiServer()
    server.initial[QUEUES] = [
        sample(0, "Ethernet33", transmit_octets=100, ecn_marked_pkts=1),
        sample(0, "Ethernet34", transmit_octets=7),
    ]
    return server.start()
