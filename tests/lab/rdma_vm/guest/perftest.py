"""Runs in the guest: the transport perftest, and what the agent's inspection says of a host with soft-RoCE."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, "/src/tests/unit")

from transport_pair import Host, connect, finish, start

from aibench_lib.worker.agent import host, nic
from aibench_lib.worker.transports.transport import Loop, SendQueue, TransportError

SECOND = 1_000_000_000
TOOLS = {f"ib_{operation}_{kind}" for operation in ("write", "read", "send") for kind in ("bw", "lat")}
ADDRESSES = {"h1": "10.0.0.1", "h2": "10.0.0.2"}


def queue(qp, operation, seconds, *, size, depth=1, batch=1, echo=False):
    loop = Loop(
        size_bytes=size,
        depth=depth,
        batch=batch,
        offset_ns=0,
        duration_ns=seconds * SECOND,
        rate_bps=0,
        echo=echo,
    )
    return SendQueue(peer="h2", qp=qp, priority=3, operation=operation, loop=loop)


def trial(queues, seconds=60.0):
    hosts = {name: Host(name, "perftest", address=address) for name, address in ADDRESSES.items()}
    try:
        connect(hosts, {"h1": queues})
        labels = {}
        t0_ns = start(hosts, seconds)
        outcomes = finish(hosts, seconds)
        return {
            "t0_ns": t0_ns,
            "labels": labels,
            "rows": outcomes["h1"].samples,
            "finished_ns": {name: outcome.finished_ns for name, outcome in outcomes.items()},
        }
    finally:
        for one in hosts.values():
            one.__exit__()


def refused(queues):
    with Host("h1", "perftest", address="10.0.0.1") as one:
        try:
            one.ask("prepare", queues)
        except TransportError as error:
            return str(error)
    return ""


def tools():
    """Return the perftest processes that there are."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                name = (folder / "comm").read_text().strip()
            except OSError:
                continue
            if name in TOOLS:
                found.append(name)
    return found


def killed(seconds):
    """Kill the group process of the sending host in the middle of a run; return the tools left."""
    hosts = {name: Host(name, "perftest", address=address) for name, address in ADDRESSES.items()}
    connect(hosts, {"h1": [queue(1, "write", 30, size=65536, depth=16)]})
    start(hosts, 60)
    end = time.monotonic() + 30
    while len(tools()) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    running = len(tools())
    hosts["h1"].kill()
    hosts["h2"].kill()
    time.sleep(seconds)
    return {"running": running, "left": tools()}


def main():
    results = {}
    for name, queues in {
        "write": [queue(1, "write", 3, size=65536, depth=16, batch=4)],
        # long enough that two tools still overlap where starting one takes seconds
        "two": [queue(1, "write", 8, size=65536, depth=8), queue(2, "send", 8, size=65536, depth=8)],
        "read": [queue(5, "read", 2, size=262144, depth=4)],
        "latency": [queue(7, "write", 6, size=8, echo=True)],
        "read_latency": [queue(9, "read", 6, size=8)],
        "late": None,
    }.items():
        began = time.monotonic()
        if name == "late":
            results[name] = trial([queue(1, "write", 8, size=65536, depth=16)], seconds=5.0)
        else:
            results[name] = trial(queues)
        results[name]["seconds"] = time.monotonic() - began
    results["refused"] = refused([queue(1, "write_with_imm", 2, size=65536, depth=4)])
    results["killed"] = killed(1.0)
    found = nic.find("10.0.0.1")
    results["inspection"] = host.inspect(found, "perftest")
    results["counters"] = nic.counters(found)
    Path("/job/results.json").write_text(json.dumps(results))


main()
