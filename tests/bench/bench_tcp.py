"""How fast the ``tcp`` transport is on loopback, beside iperf3 and beside a bare exchange between two sockets.

Run it as a program: ``python tests/bench/bench_tcp.py [rounds] [seconds]``.  Sender and receiver are a process each, so
that two cores are busy.  Each pair of numbers is measured in turns, ours first and then theirs first; the ratio is the
median over the rounds.
"""

import json
import multiprocessing
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "unit"))
from transport_pair import trial

from aibench_lib.worker.transports.transport import Loop, SendQueue

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SIZES = {"64 KiB": 64 * KIB, "1 MiB": MIB, "16 MiB": 16 * MIB, "1 GiB": GIB}
QUEUE_PAIRS = (1, 4)
OUTSTANDING = 32 * MIB
"""Of a queue pair, in messages of up to half of that; of larger ones two."""
LONGEST_BLOCK = MIB
"""iperf3 takes no longer ones."""
ROUND_TRIPS = {"8 B": 8, "64 KiB": 64 * KIB}


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def loop(size, qp, *, seconds, depth, batch, rate_bps=0):
    return SendQueue(
        peer="b",
        qp=qp,
        priority=3,
        operation="write_with_imm",
        loop=Loop(
            size_bytes=size,
            depth=depth,
            batch=batch,
            offset_ns=0,
            duration_ns=int(seconds * 1e9),
            rate_bps=rate_bps,
            echo=False,
        ),
    )


def ours_bps(size, queue_pairs, seconds, *, verify=False):
    """Payload of all queue pairs from the first post to the last completion [bit/s]."""
    depth = max(2, OUTSTANDING // size)
    queues = [loop(size, qp, seconds=seconds, depth=depth, batch=max(1, depth // 4)) for qp in range(queue_pairs)]
    rows = trial({"a": queues}, seconds=30 + seconds, verify=verify)["a"].samples
    assert all(row.status == "ok" for row in rows)
    took_ns = max(row.completed_ns for row in rows) - min(row.posted_ns for row in rows)
    return sum(row.size_bytes for row in rows) * 8e9 / took_ns


def iperf3_bps(size, queue_pairs, seconds):
    """What iperf3's receiver counted [bit/s]."""
    command = ["iperf3", "--client", "127.0.0.1", "--json", "--time", f"{seconds:g}"]
    command += ["--length", str(min(size, LONGEST_BLOCK)), "--parallel", str(queue_pairs)]
    for _ in range(20):
        report = iperf3_report(command, free_port())
        if "error" not in report:
            return report["end"]["sum_received"]["bits_per_second"]
    raise RuntimeError(f"iperf3: {report['error']}")


def iperf3_report(command, port):
    server = subprocess.Popen(
        ["iperf3", "--server", "--one-off", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(0.2)  # until it listens
        client = subprocess.run([*command, "--port", str(port)], capture_output=True, check=False, timeout=60)
        return json.loads(client.stdout)
    finally:
        server.kill()
        server.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def our_round_trip_ns(size, seconds):
    """Median time from post to completion, one message outstanding [ns]."""
    rows = trial({"a": [loop(size, 0, seconds=seconds, depth=1, batch=1)]}, seconds=30)["a"].samples
    return statistics.median(row.completed_ns - row.posted_ns for row in rows)


def bare_round_trip_ns(size, seconds):
    """Median time of ``sendall`` and the answer of as few bytes as ours, between two blocking sockets [ns]."""
    listening = socket.create_server(("127.0.0.1", 0))
    answering = multiprocessing.get_context("fork").Process(target=answer_all, args=(listening, size), daemon=True)
    answering.start()
    times = []
    with socket.create_connection(listening.getsockname()) as connection:
        listening.close()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        message, end = bytes(size), time.monotonic() + seconds
        while time.monotonic() < end:
            begin = time.monotonic_ns()
            connection.sendall(message)
            connection.recv(24)
            times.append(time.monotonic_ns() - begin)
    answering.join()
    return statistics.median(times)


def answer_all(listening, size):
    with listening.accept()[0] as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = memoryview(bytearray(size))
        while True:
            left = size
            while left:
                count = connection.recv_into(buffer[:left])
                if not count:
                    return
                left -= count
            connection.send(bytes(24))


def small_messages(seconds):
    """Print the rate of 8-byte messages, a row each 16, and what the sender's memory grew by."""
    sender = trial({"a": [loop(8, 0, seconds=seconds, depth=1024, batch=16)]}, seconds=30 + seconds, keep_rows=False)[
        "a"
    ]
    grown = sender.resident_kib[-1] - sender.resident_kib[3]
    say(f"{sender.operations:,} messages of 8 B: {sender.operations / seconds:,.0f}/s; memory grew by {grown} KiB")


def pace(size, rate_bps, seconds):
    """Print how close a loop comes to its rate, from its first post to its last."""
    queue = loop(size, 0, seconds=seconds, depth=64, batch=1, rate_bps=rate_bps)
    rows = trial({"a": [queue]}, seconds=30 + seconds)["a"].samples
    offered_bps = (len(rows) - 1) * size * 8e9 / (rows[-1].posted_ns - rows[0].posted_ns)
    say(f"{size} B at {rate_bps / 1e6:g} Mb/s: {100 * offered_bps / rate_bps:.1f} % of it")


def in_turns(ours, theirs, rounds):
    """Return the medians of ours, of theirs, and of their ratios."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            other = theirs()
            pairs.append((ours(), other))
        else:
            pairs.append((ours(), theirs()))
    return (
        statistics.median(our for our, _ in pairs),
        statistics.median(their for _, their in pairs),
        statistics.median(our / their for our, their in pairs),
    )


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    if shutil.which("iperf3"):
        say(f"{'messages, queue pairs':<24}{'tcp':>12}{'iperf3':>12}  ratio (median of {rounds} rounds)")
        for name, size in SIZES.items():
            for count in QUEUE_PAIRS:
                our, their, ratio = in_turns(
                    lambda size=size, count=count: ours_bps(size, count, seconds),
                    lambda size=size, count=count: iperf3_bps(size, count, max(1, round(seconds))),
                    rounds,
                )
                say(f"{name + ', ' + str(count):<24}{our / 1e9:>7.1f} Gb/s{their / 1e9:>7.1f} Gb/s  {ratio:.2f}")
    else:
        say("iperf3 is missing: install it to compare throughput")
    say(f"{'one outstanding':<24}{'tcp':>12}{'bare sockets':>12}  ratio (median of {rounds} rounds)")
    for name, size in ROUND_TRIPS.items():
        our, their, ratio = in_turns(
            lambda size=size: our_round_trip_ns(size, seconds),
            lambda size=size: bare_round_trip_ns(size, seconds),
            rounds,
        )
        say(f"{name:<24}{our / 1e3:>9.1f} us{their / 1e3:>9.1f} us  {ratio:.2f}")
    our, their, ratio = in_turns(
        lambda: ours_bps(MIB, 1, seconds, verify=True), lambda: ours_bps(MIB, 1, seconds), rounds
    )
    say(f"compared with what was sent, 1 MiB: {our / 1e9:.1f} Gb/s, not: {their / 1e9:.1f} Gb/s; ratio {ratio:.2f}")
    small_messages(max(seconds, 5))
    for size, rate_bps in ((8192, 100_000_000), (MIB, 1_000_000_000), (64 * MIB, 2_000_000_000)):
        pace(size, rate_bps, max(seconds, 2))


if __name__ == "__main__":
    main()
