"""Job: what the transport says when something is wrong, each in a trial of its own."""

import dataclasses
import os
import resource
import subprocess
from collections.abc import Callable
from typing import Any

from aibench_lib.worker.transports.transport import Loop, Options, SendQueue, TransportError
from aibench_lib.worker.transports.verbs import Verbs, library, queue_pairs, senders
from rdma_vm.guest.operations import left, listed, looped
from rdma_vm.guest.pair import Outcome, trial
from rdma_vm.guest.results import Results

MEMLOCK_BYTES = 65_536


class _Deaf:
    """A queue pair whose owner never posts a receive."""

    def __init__(self, pair: Any) -> None:
        self._pair = pair

    def __getattr__(self, name: str) -> Any:
        return (lambda _request: None) if name == "post_recv" else getattr(self._pair, name)


def _deafen(_transport: Any, _outcome: Outcome) -> None:
    make = queue_pairs.Ends.make
    queue_pairs.Ends.make = lambda ends, access: _Deaf(make(ends, access))


def _cached(transport: Any, outcome: Outcome) -> None:
    """Note what the library remembers of the queue pair's state, which nobody should report."""
    outcome.extra["remembered"] = library.STATES[int(transport._senders.outgoing[0].pair.qp_state)]


def _break(transport: Any, _outcome: Outcome) -> None:
    """Have the driver say that the second queue pair has failed."""
    failed = library.QPAttr(port_num=1)
    failed.qp_state = library.ERR
    transport._senders.outgoing[1].pair.modify(failed, library.QP_STATE)


def _wrong_key(_transport: Any, _outcome: Outcome) -> None:
    understand = senders.address.receiving_end

    def misunderstand(data: bytes) -> Any:
        said = understand(data)
        return dataclasses.replace(said, end=dataclasses.replace(said.end, key=said.end.key ^ 0x55))

    senders.address.receiving_end = misunderstand


def _read_instead(transport: Any, _outcome: Outcome) -> None:
    """Pull from memory that its owner has registered to be written."""
    transport._senders._queues = [dataclasses.replace(queue, operation="read") for queue in transport._senders._queues]


def _impatient(_transport: Any, _outcome: Outcome) -> None:
    queue_pairs.TIMEOUTS["soft-roce"], queue_pairs.RETRIES = 12, 2


def _cut(_transport: Any, _outcome: Outcome) -> None:
    subprocess.run(["ip", "-n", "switch", "link", "set", "s2", "down"], check=True)


def _mend() -> None:
    subprocess.run(["ip", "-n", "switch", "link", "set", "s2", "up"], check=True)


def _say(outcome: Outcome) -> dict[str, Any]:
    return {
        "statuses": [row[8] for row in sorted(outcome.samples)],
        "posted": [row[4] > 0 for row in sorted(outcome.samples)],
        "errors": outcome.errors,
        "states": outcome.states,
        **outcome.extra,
    }


def peers(results: Results) -> None:
    """Peers that do not do their part."""
    hooks = {("h2", "accept"): _deafen, ("h1", "ran"): _cached}
    outcome = trial(listed("write_with_imm", 1, (4096, 4096, 4096)), hooks=hooks, seconds=2)
    results.add("no receives", _say(outcome))
    results.add("no receives for the end", _say(trial(listed("write", 1, (4096,)), hooks=hooks, seconds=2)))
    outcome = trial(listed("write_with_imm", 2, (4096,)), hooks={("h1", "run"): _break}, seconds=2)
    results.add("queue pair in ERR", _say(outcome))
    outcome = trial(listed("write_with_imm", 1, (4096,)), hooks={("h1", "join"): _wrong_key}, seconds=2)
    results.add("wrong key", _say(outcome))
    outcome = trial(listed("write", 1, (4096,)), hooks={("h1", "join"): _read_instead}, seconds=2)
    results.add("read of what may be written", _say(outcome))


def paths(results: Results) -> None:
    """Links that lead nowhere."""
    hooks = {("h1", "join"): _impatient, ("h1", "run"): _cut}
    results.add("path cut", _say(trial(listed("write", 1, (4096, 4096)), hooks=hooks, seconds=8)))
    _mend()
    outcome = trial(looped("write", size_bytes=4096, duration_ns=10**9), hooks={("h1", "run"): _cut}, seconds=1)
    results.add("no answer before the deadline", _say(outcome))
    _mend()


def _refusal(act: Callable[[], Any]) -> str:
    """Return what a transport says in a child process, which may have given up its rights."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = "nothing"
        try:
            act()
        except TransportError as error:
            said = str(error)
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as said:
        return said.read()


def _with_little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (MEMLOCK_BYTES, MEMLOCK_BYTES))
    os.setgid(65534)
    os.setuid(65534)
    Verbs(Options(host="h1", address="10.0.0.1")).prepare(listed("write", 1, (1 << 20,)))


def _without_device_rights() -> None:
    os.setgid(65534)
    os.setuid(65534)
    Verbs(Options(host="h1", address="10.0.0.1")).prepare([])


def hosts(results: Results) -> None:
    """Hosts that are not fit."""

    def prepare(address: str, queues: list[SendQueue], **options: Any) -> Callable[[], Any]:
        return lambda: Verbs(Options(host="h1", address=address, **options)).prepare(queues)

    results.add("little memory", _refusal(_with_little_memory))
    results.add("no such address", _refusal(prepare("10.9.9.9", [])))
    results.add("no GID", _refusal(prepare("10.9.9.9", [], device="rxe1")))
    many = listed("write", 8, (200 << 20,))
    results.add("too much to compare", _refusal(prepare("10.0.0.1", many, verify=True)))
    loop = Loop(size_bytes=64, depth=1, batch=1, offset_ns=0, duration_ns=1, rate_bps=0, echo=True)
    echo = [SendQueue(peer="h2", qp=0, priority=3, operation="write", loop=loop)]
    results.add("echo of a write", _refusal(prepare("10.0.0.1", echo)))
    deep = dataclasses.replace(echo[0], loop=dataclasses.replace(loop, depth=1 << 21, echo=False))
    results.add("too deep", _refusal(prepare("10.0.0.1", [deep])))
    subprocess.run("chmod 0600 /dev/infiniband/uverbs*", shell=True, check=True)
    results.add("no rights", _refusal(_without_device_rights))


if __name__ == "__main__":
    found = Results()
    for step in (peers, paths, hosts):
        step(found)
    left(found, "after")
