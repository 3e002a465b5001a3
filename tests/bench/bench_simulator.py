"""Speed of the packet simulator: 32 senders of 16 MiB to one 400 Gb/s port, counters and ECN on, one core.

Seconds drift on shared machines, so the rate is also given as a ratio to a frozen loop in the same process (a binary
heap of 128 events from which the first is taken and put back later), and the work as events per packet and link, which
does not depend on the machine.
"""

import sys
import time
from collections.abc import Callable

import numba
import numpy as np

from aibench_lib.model import Link, Port, Topology
from aibench_lib.simulator import Ecn, Parameters, Simulation, warm_up
from aibench_lib.units import GBPS, MIB

SENDERS = 32
BLOCK_BYTES = 16 * MIB
ROUNDS = 5
HOLDS = 2_000_000


def incast(dcqcn: str) -> Simulation:
    """The case of the table in docs/performance.md."""
    hosts = (*(f"sender{number}" for number in range(SENDERS)), "receiver")
    links = tuple(Link(Port("leaf", host), Port(host, "nic"), 400 * GBPS) for host in hosts)
    simulation = Simulation(Topology(hosts, ("leaf",), links), Parameters(dcqcn=dcqcn, buffer_bytes=1 << 40), seed=1)
    simulation.set_ecn(Port("leaf", "receiver"), 3, Ecn(800_000, 3_200_000, 0.2))
    for host in hosts[:-1]:
        simulation.start_flow(host, "receiver", BLOCK_BYTES, 0, qp=1)
    return simulation


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


def fastest(run: Callable[[], object]) -> float:
    """Return the least CPU seconds of several runs."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    start = time.perf_counter()
    warm_up(say)
    say(f"start of the simulator (compiling it, or loading it from the cache): {time.perf_counter() - start:.2f} s")
    reference_loop(np.arange(128), 1)
    holds = HOLDS / fastest(lambda: reference_loop(np.arange(128), HOLDS))
    say(f"reference loop: {holds / 1e6:.1f} M holds/s")
    for dcqcn in ("off", "nvidia-default", "ns3-hpcc"):
        simulations = [incast(dcqcn) for _ in range(ROUNDS)]
        waiting = iter(simulations)
        rate = SENDERS * BLOCK_BYTES / 4096 / fastest(lambda waiting=waiting: next(waiting).advance())
        work = simulations[0].events / simulations[0].packet_hops
        say(
            f"incast 32:1 of 16 MiB, dcqcn {dcqcn}: {rate / 1e6:.2f} M data packets/s, "
            f"{rate / holds:.3f} of the reference loop, {work:.3f} events a packet and link"
        )


if __name__ == "__main__":
    main()
