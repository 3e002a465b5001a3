"""Speed of the packet simulator on one core, with DCQCN, ECN, PFC, a shared buffer and all counters on; and of sweeps.

Seconds drift on shared machines, so a rate is also given as a ratio to a frozen loop in the same process (a binary heap
of 128 events from which the first is taken and put back later), and the work as events per packet and link, which does
not depend on the machine. Every case has a process of its own, whose largest memory is given.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numba
import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from simulator_cases import PAYLOAD_BYTES, WHOLE

from aibench_lib.simulator import warm_up
from aibench_lib.sweep import run_sweep
from aibench_lib.units import GBPS, MIB

ROUNDS = {"(a)": 5, "(b)": 2, "(c)": 1, "(d)": 2}
HOLDS = 2_000_000
SWEEP: Mapping[str, object] = {
    "topology": {
        "link_bps": 400 * GBPS,
        "fabric": {"kind": "two_tier_clos", "leaves": 8, "spines": 8, "hosts_per_leaf": 8},
    },
    "simulation": {"dcqcn": "ns3-hpcc"},
    "pattern": {"kind": "permutation", "size_bytes": 16 * MIB},
    "seeds": [1, 2, 3, 4, 5, 6],
}


@numba.njit
def reference_loop(heap: np.ndarray, holds: int) -> int:
    """Take the first event of a binary heap and put it back at a later time, ``holds`` times. Do not change it."""
    state = np.uint64(88172645463325252)
    for _ in range(holds):
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        key = heap[0] + np.int64(state >> np.uint64(44))
        place, child = 0, 1
        while child < len(heap):
            if child + 1 < len(heap) and heap[child + 1] < heap[child]:
                child += 1
            if heap[child] >= key:
                break
            heap[place] = heap[child]
            place, child = child, 2 * child + 1
        heap[place] = key
    return heap[0]


def seconds(run: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Return the CPU seconds of one run."""
    start = clock()
    run()
    return clock() - start


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_case(name: str) -> None:
    """Print a case's line, in this process."""
    warm_up(lambda line: None)
    reference_loop(np.arange(128), 1)
    rounds = range(ROUNDS[name[:3]])
    holds = HOLDS / min(seconds(lambda: reference_loop(np.arange(128), HOLDS)) for _ in range(3))
    set_up, run = [], []
    for _ in rounds:
        made = []
        set_up.append(seconds(lambda made=made: made.append(WHOLE[name]())))
        run.append(seconds(made[0].advance))
        simulation = made[0]
    rate = sum(-(-int(size) // PAYLOAD_BYTES) for size in simulation.completions()["size_bytes"]) / min(run)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(
        f"{name}: {rate / 1e6:.2f} M data packets/s, {rate / holds:.4f} of the reference loop, "
        f"{simulation.events / simulation.packet_hops:.3f} events a packet and link, "
        f"{min(run):.2f} s and {min(set_up):.2f} s of set-up, {memory:.0f} MB"
    )


def starts() -> None:
    """Print what the first start takes, which compiles, and the next."""
    with tempfile.TemporaryDirectory() as cache:
        program = [sys.executable, "-c", "from aibench_lib.simulator import warm_up; warm_up(print)"]
        for name in ("first start", "next start"):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
            wall = seconds(
                lambda environment=environment: subprocess.run(
                    program, env=environment, check=True, capture_output=True
                ),
                time.perf_counter,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
            say(f"{name}: {cpu:.1f} s of CPU, {wall:.1f} s")


def sweeps() -> None:
    """Print how much sooner two workers end a sweep than one."""
    with tempfile.TemporaryDirectory() as folder:
        file, table = Path(folder, "sweep.yml"), Path(folder, "table.parquet")
        file.write_text(yaml.safe_dump({"sweep": dict(SWEEP)}))
        walls, processors = [], []
        for workers in (1, 2):
            start = time.process_time()
            run = lambda workers=workers: run_sweep(file, table, workers, None, lambda line: None)  # noqa: E731
            walls.append(seconds(run, time.perf_counter))
            processors.append(time.process_time() - start)
    say(
        f"sweep of 6 permutations, 64 hosts, 16 MiB: {walls[0]:.1f} s with 1 worker, {walls[1]:.1f} s with 2, "
        f"{walls[0] / walls[1]:.2f} times as fast ({processors[0]:.1f} and {processors[1]:.1f} s of CPU)"
    )


def main() -> None:
    if len(sys.argv) > 1:
        run_case(sys.argv[1])
        return
    starts()
    warm_up(say)
    for name in WHOLE:
        subprocess.run([sys.executable, __file__, name], check=True)
    sweeps()


if __name__ == "__main__":
    main()
