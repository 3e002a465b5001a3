"""How fast telemetry is read: notifications/s of the reader, of the library's parser, of the ledger, and over gRPC.

Run it as a program: ``python tests/bench/bench_telemetry.py``.
"""

import sys
import tempfile
import time
from pathlib import Path

from pygnmi.client import telemetryParser
from pygnmi.spec.v080 import gnmi_pb2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "unit"))
from gnmi_server import QUEUES, US, GnmiServer, T, sample, subscription

from aibench_lib.telemetry.collector import Collection
from aibench_lib.telemetry.ledger import Ledger
from aibench_lib.telemetry.notifications import NotificationReader

COUNT = 40_000
LEAVES = {
    "transmit-pkts": "transmit_packets",
    "transmit-octets": "transmit_bytes",
    "ecn-marked-pkts": "ecn_marked_packets",
    "dropped-pkts": "dropped_packets",
}


def messages(count):
    """Samples of 33 queues in turn, four counters each, as they arrive: encoded."""
    made = []
    for number in range(count):
        counters = {name.replace("-", "_"): number * place for place, name in enumerate(LEAVES, 1)}
        made.append(sample(10 * (number // 33), f"Ethernet{number % 33 + 1}", **counters).SerializeToString())
    return made


def rate(name, work, count):
    """Print and return how many notifications a second a piece of work gets through."""
    begin = time.perf_counter()
    work()
    per_second = count / (time.perf_counter() - begin)
    print(f"{name:<44}{per_second:>12,.0f} notifications/s")  # noqa: T201 - a bench prints
    return per_second


def decoded(encoded):
    for message in encoded:
        yield gnmi_pb2.SubscribeResponse.FromString(message)


def main():
    asked = subscription(GnmiServer(), leaves=LEAVES)
    encoded = messages(COUNT)
    reader = NotificationReader(asked)

    def read():
        for response in decoded(encoded):
            reader.records(response.update)

    def parse():
        for response in decoded(encoded):
            telemetryParser(response)

    ours = rate("aibench: message to records", read, COUNT)
    theirs = rate("pygnmi: message to dict (telemetryParser)", parse, COUNT)
    print(f"{'ratio':<44}{ours / theirs:>12.1f}")  # noqa: T201 - a bench prints

    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger([asked], Path(folder))

        def keep():
            for response in decoded(encoded):
                records = reader.records(response.update)
                ledger.received(ledger.lines[0].progresses[0], response.update.timestamp, records, [])
            ledger.window(T, T + 10 * (COUNT // 33 - 1) * US, 10)

        rate("aibench: message to rows, window and segment", keep, COUNT)

    over_the_wire(encoded[: COUNT // 5])


def over_the_wire(encoded):
    """The same over gRPC on loopback, server and collector in this process: what the transport leaves of it."""
    server = GnmiServer().start()
    server.initial[QUEUES] = list(decoded(encoded[:33]))
    with tempfile.TemporaryDirectory() as folder:
        collection = Collection([subscription(server, leaves=LEAVES)], Path(folder), None)
        collection.start(10)
        rest = list(decoded(encoded[33:]))

        def stream():
            server.send(QUEUES, *rest)
            collection.ledger.window(T, T + 10 * (len(encoded) // 33 - 1) * US, 60)

        rate("aibench: over gRPC, server in this process", stream, len(encoded))
        collection.close()
    server.stop()


if __name__ == "__main__":
    main()
