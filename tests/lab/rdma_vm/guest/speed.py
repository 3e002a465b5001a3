"""Speed of the transport beside two references in one guest: ``ib_write_bw``, and a bare loop of pyverbs calls.

``python3 -m rdma_vm.guest.speed`` prints a JSON object a line.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from aibench_lib.worker.transports.transport import Loop, Options, SendQueue
from aibench_lib.worker.transports.verbs import queue_pairs
from aibench_lib.worker.transports.verbs.device import Device
from aibench_lib.worker.transports.verbs.library import LOCAL_WRITE, REMOTE_WRITE, SGE, SIGNALED, WRITE, SendWR
from aibench_lib.worker.transports.verbs.memory import Region
from aibench_lib.worker.transports.verbs.queue_pairs import Depths, Ends
from aibench_lib.worker.transports.verbs.senders import own_end
from rdma_vm.guest.pair import trial

DEPTH = 128
"""Of ``ib_write_bw``, and of the loop: messages outstanding at most."""


def perftest(size_bytes: int, qps: int, messages: int) -> float:
    """Return what ``ib_write_bw`` makes of so many messages a queue pair [MB/s]."""
    common = ["ib_write_bw", "-x", "1", "-F", "-s", str(size_bytes), "-q", str(qps), "-n", str(messages), "-m", "4096"]
    common += ["-t", str(DEPTH), "-u", "18"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*common, "-d", "rxe2"], **quiet) as server:
        for _ in range(100):
            time.sleep(0.1)  # until it listens
            if ":4853 " in Path("/proc/net/tcp").read_text():  # 18515, perftest's port
                break
        done = subprocess.run([*common, "-d", "rxe1", "127.0.0.1"], capture_output=True, text=True, check=False)
        server.wait()
    for line in done.stdout.splitlines():
        fields = line.split()
        if fields and fields[0] == str(size_bytes):
            return float(fields[3]) * 1.048576  # it calls 2**20 bytes a MB
    raise SystemExit(f"ib_write_bw says {done.stdout}{done.stderr}")


def loop(size_bytes: int, qps: int, seconds: float, operation: str = "write", **more: int) -> list[tuple[int, ...]]:
    """Return the sample rows of a loop on each queue pair."""
    how = {"depth": DEPTH, "batch": 1, **more}
    queues = [
        SendQueue(
            peer="h2",
            qp=qp,
            priority=3,
            operation=operation,
            loop=Loop(
                size_bytes=size_bytes, offset_ns=0, duration_ns=round(seconds * 1e9), rate_bps=0, echo=False, **how
            ),
        )
        for qp in range(qps)
    ]
    outcome = trial(queues, seconds=seconds + 600)
    wrong = {row[8] for row in outcome.samples} - {0}
    if wrong or outcome.errors:
        raise SystemExit(f"the loop has rows with the statuses {wrong} and the errors {outcome.errors}")
    return outcome.samples


def bandwidth(samples: list[tuple[int, ...]]) -> float:
    """Return what the rows make, from the first post to the last completion [MB/s]."""
    return 1e3 * sum(row[2] for row in samples) / (max(row[5] for row in samples) - min(row[4] for row in samples))


def bare_latency(count: int) -> list[int]:
    """Return the times from post to completion of 8-byte WRITEs, with pyverbs called as a first program would [ns]."""
    here, there = (Device(Options(host=f"h{number}", address=f"10.0.0.{number}")) for number in (1, 2))
    ends = [Ends(device, [Depths(sends=64, receives=64)]) for device in (here, there)]
    pairs = [end.make(REMOTE_WRITE) for end in ends]
    source, target = Region(4096), Region(4096)
    local = here.registrations.register(source, LOCAL_WRITE)
    remote = there.registrations.register(target, LOCAL_WRITE | REMOTE_WRITE)
    mine, theirs = own_end(here, pairs[0], 0, 0), own_end(there, pairs[1], remote.rkey, target.address)
    queue_pairs.connect(pairs[0], here, mine, theirs, 106, 3)
    queue_pairs.connect(pairs[1], there, theirs, mine, 106, 3)
    times = []
    for _ in range(count):
        begin = time.monotonic_ns()
        request = SendWR(opcode=WRITE, num_sge=1, sg=[SGE(source.address, 8, local.lkey)], send_flags=SIGNALED)
        request.set_wr_rdma(remote.rkey, target.address)
        pairs[0].post_send(request)
        while True:
            found, completions = ends[0].sent.poll(1)
            if found:
                break
            time.sleep(0)
        if completions[0].status:
            raise SystemExit(f"the bare loop has status {completions[0].status}")
        times.append(time.monotonic_ns() - begin)
    for end, device in zip(ends, (here, there), strict=True):
        end.close()
        device.close()
    return times


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 - a bench prints


def median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


def main(cases: list[str]) -> None:
    for _ in range(2):
        bare = median(bare_latency(1000))
        mine = median([row[5] - row[4] for row in loop(8, 1, 0.5, depth=1)])
        with_signal = median([row[5] - row[4] for row in loop(8, 1, 0.5, "write_with_imm", depth=1)])
        say(what="latency", bare_us=bare / 1e3, verbs_us=mine / 1e3, with_imm_us=with_signal / 1e3, ratio=mine / bare)
    for case in cases:
        size_bytes, qps, messages = map(int, case.split(","))
        theirs = perftest(size_bytes, qps, messages)
        seconds = messages * qps * size_bytes / theirs / 1e6
        depth = min(DEPTH, messages)
        ours = bandwidth(loop(size_bytes, qps, seconds, depth=depth, batch=max(1, depth // 8)))
        say(what="bandwidth", bytes=size_bytes, qps=qps, perftest=theirs, verbs=ours, ratio=ours / theirs)


if __name__ == "__main__":
    main(sys.argv[1:])
