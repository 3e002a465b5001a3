"""What a trial on many real agents costs beyond its load's own time, beside the bare calls that it cannot do without.

Run it as a program: ``python tests/bench/bench_agents.py [agents] [trials]``.  Agents and the coordinator share this
machine, each agent with the processes that a trial has on a host: hosts of a real lab have theirs to themselves.
"""

import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab"))
from agent_lab import AgentLab

from aibench_lib.model import Transfer, TrialLoad
from aibench_lib.worker import agent_pb2
from aibench_lib.worker.coordinator import Coordinator

AGENTS, TRIALS = 256, 7
MESSAGE_BYTES = 65_536
ANSWER_SECONDS = 60.0
"""A busy machine must give a number, too."""
TICKS = os.sysconf("SC_CLK_TCK")


def ring(hosts):
    """Each host sends one small message to the next: all are senders and receivers, and the load takes no time."""
    following = [*hosts[1:], hosts[0]]
    sends = {
        host: (Transfer(peer=peer, qp=1, size_bytes=MESSAGE_BYTES),)
        for host, peer in zip(hosts, following, strict=True)
    }
    return TrialLoad(transfers=sends, seed=1)


class Parts:
    """Times the calls of a coordinator by their method."""

    def __init__(self, calls):
        self.seconds = defaultdict(list)
        for name in ("ask", "read"):
            setattr(calls, name, self.timed(getattr(calls, name)))

    def timed(self, call):
        def timed(method, *arguments):
            begin = time.perf_counter()
            try:
                return call(method, *arguments)
            finally:
                self.seconds[method].append(time.perf_counter() - begin)

        return timed


def processes_of(pid):
    """Return a process and all that descend from it."""
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        for children in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            left += [int(child) for child in children.read_text().split()]
    return found


def cpu_seconds(pids):
    """Return what processes, and those they have waited for, have computed so far [s]."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS


def describe_seconds(coordinator, hosts):
    """Return how long one call to every agent takes that does nothing there: the reference."""
    requests = {host: agent_pb2.DescribeRequest() for host in hosts}
    begin = time.perf_counter()
    coordinator._calls.ask("Describe", requests, ANSWER_SECONDS)
    return time.perf_counter() - begin


def measure(lab, trials):
    hosts = list(lab.agents)
    agents = processes_of(lab.parent.pid)
    overheads, references, controller, elsewhere = [], [], [], []
    with Coordinator(lab.agents.values(), answer_seconds=ANSWER_SECONDS) as coordinator:
        coordinator.describe()
        coordinator.run_trial("first", ring(hosts), 0)
        parts = Parts(coordinator._calls)
        for number in range(trials):
            references.append(describe_seconds(coordinator, hosts))
            before, own, theirs = time.perf_counter(), time.process_time(), cpu_seconds(agents)
            trial = coordinator.run_trial(f"t{number}", ring(hosts), 0)
            took = time.perf_counter() - before
            controller.append(time.process_time() - own)
            elsewhere.append(cpu_seconds(agents) - theirs)
            load = (trial.table["completed_ns"].to_numpy().max() - trial.table["posted_ns"].to_numpy().min()) / 1e9
            overheads.append(took - load)
    return overheads, references, controller, elsewhere, parts.seconds


def show(name, seconds, reference):
    middle = statistics.median(seconds)
    print(f"{name:<34}{min(seconds):>9.3f}{middle:>9.3f}{middle / reference:>9.1f}")  # noqa: T201 - a bench prints


def main(agents=AGENTS, trials=TRIALS):
    with tempfile.TemporaryDirectory() as folder, AgentLab(folder, agents) as lab:
        overheads, references, controller, elsewhere, parts = measure(lab, trials)
    reference = statistics.median(references)
    print(f"{agents} agents, {trials} trials{'':<12}least s median s   ratio")  # noqa: T201
    show(f"{agents} bare calls (reference)", references, reference)
    for method in ("Prepare", "Connect", "Join", "Run"):
        show(f"  {method}", parts[method], reference)
    show("a trial beyond its load", overheads, reference)
    show("  CPU of the coordinator", controller, reference)
    show("  CPU of the agents", elsewhere, reference)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
