"""Job: every operation in many sizes on one and many queue pairs, what they look like on the wire, and what is left."""

import subprocess

from aibench_lib.worker.agent import nic
from aibench_lib.worker.transports.transport import OPERATIONS, Loop, Message, SendQueue
from rdma_vm.guest.capture import captured
from rdma_vm.guest.cases import CASES
from rdma_vm.guest.pair import trial
from rdma_vm.guest.results import Results


def listed(operation: str, qps: int, sizes: tuple[int, ...], priority: int = 3) -> list[SendQueue]:
    """Return queue pairs that send messages of these sizes, all at T0."""
    messages = tuple(Message(size_bytes=size, offset_ns=0) for size in sizes)
    return [SendQueue(peer="h2", qp=qp, priority=priority, operation=operation, messages=messages) for qp in range(qps)]


def looped(operation: str, qps: int = 1, **how: object) -> list[SendQueue]:
    """Return queue pairs with a loop each."""
    usual = {"depth": 16, "batch": 4, "offset_ns": 0, "rate_bps": 0, "echo": False}
    loop = Loop(**{**usual, **how})
    return [SendQueue(peer="h2", qp=qp, priority=3, operation=operation, loop=loop) for qp in range(qps)]


def payloads(results: Results) -> None:
    """Send everything with its payload compared."""
    for operation in OPERATIONS:
        for name, (qps, sizes) in CASES.items():
            outcome = trial(listed(operation, qps, sizes), verify=True)
            results.add(
                f"{operation}, {name}",
                {
                    "statuses": [row[8] for row in outcome.samples],
                    "bytes": sorted(row[2] for row in outcome.samples),
                    "receipts": sorted([place, sequence, size] for place, _, sequence, size, _ in outcome.receipts),
                    "states": sorted(outcome.states.values()),
                    "errors": outcome.errors,
                    "label": outcome.label,
                },
            )


def spoilt(results: Results) -> None:
    """Change one byte of what is sent, or of what is read, after the pattern has been written."""

    def spoil(transport: object, _outcome: object) -> None:
        side = transport._senders or transport._receivers
        side._regions[-1].view[77] ^= 1

    for operation in OPERATIONS:
        host = "h2" if operation == "read" else "h1"
        outcome = trial(listed(operation, 2, (4096, 4096)), verify=True, hooks={(host, "run"): spoil})
        results.add(f"spoilt {operation}", sorted([row[0], row[8]] for row in outcome.samples))


def signals(results: Results) -> None:
    """Note what completes at the receiver: opcode, bytes, whether there is an immediate."""

    def watch(transport: object, outcome: object) -> None:
        incoming = transport._receivers.incoming[0]
        arrived, outcome.extra["seen"] = incoming.arrived, []

        def note(completion: object, now: int) -> None:
            outcome.extra["seen"].append([int(completion.opcode), completion.byte_len, int(completion.wc_flags)])
            arrived(completion, now)

        incoming.arrived = note

    for operation in OPERATIONS:
        outcome = trial(listed(operation, 1, (64, 9 << 20)), hooks={("h2", "run"): watch})
        results.add(f"completions of {operation}", outcome.extra["seen"])


def loops(results: Results) -> None:
    """Run loops: more rows than receives, echoes, a pace, both directions at once."""
    before = nic.counters(nic.find("10.0.0.1"))
    for operation in ("write_with_imm", "send"):
        outcome = trial(looped(operation, size_bytes=64, batch=1, duration_ns=1_500_000_000))
        results.add(f"many {operation}", _summary(outcome))
    after = nic.counters(nic.find("10.0.0.1"))
    results.add("growth", {name: after[name] - before[name] for name in after if name in before})
    outcome = trial(looped("write_with_imm", 2, size_bytes=8192, depth=4, batch=2, echo=True, duration_ns=400_000_000))
    results.add("echoes", [list(row) for row in outcome.samples])
    outcome = trial(looped("write", size_bytes=65_536, batch=1, rate_bps=8_000_000, duration_ns=1_000_000_000))
    results.add("paced", [list(row) for row in outcome.samples])
    back = [SendQueue(peer="h1", qp=0, priority=3, operation="send", messages=(Message(size_bytes=9999, offset_ns=0),))]
    outcome = trial(listed("read", 1, (70_000,)), back=back, verify=True)
    results.add("both ways", {**_summary(outcome), "states": outcome.states})


def wire(results: Results) -> None:
    """Look at packets: opcodes, type of service, UDP source ports, immediates."""
    with captured("s1") as found:
        trial(listed("write", 4, (64, 65_536)))
        trial(listed("write_with_imm", 4, (64, 65_536, 64)))
    results.add("wire", found)
    with captured("s1") as found:
        trial(listed("write_with_imm", 1, (64,), priority=5))
        trial(listed("write_with_imm", 1, (64,), priority=5), dscp={5: 46})
    results.add("wire of priority 5", found)


def left(results: Results, when: str) -> None:
    """Ask the kernel what is registered."""
    said = subprocess.run(["rdma", "resource", "show"], capture_output=True, text=True, check=True).stdout
    results.add(f"registered {when}", said)


def _summary(outcome: object) -> dict:
    return {
        "rows": len(outcome.samples),
        "statuses": sorted({row[8] for row in outcome.samples}),
        "sequences": [row[2] for row in outcome.receipts],
        "errors": outcome.errors,
    }


if __name__ == "__main__":
    found = Results()
    left(found, "before")
    for step in (payloads, spoilt, signals, loops, wire):
        step(found)
    left(found, "after")
