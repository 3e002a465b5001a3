"""A trial as the fabric sees it: what is to be sent, and how that went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from aibench_lib.simulator import Simulation
from aibench_lib.units import BITS_PER_BYTE, PS_PER_NS, PS_PER_SECOND

Integers = npt.NDArray[np.int64]

NEVER = -1
"""A time at which something has not happened."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """One transfer of a trial."""

    source: str
    destination: str
    qp: int
    size_bytes: int
    offset_ns: int
    """After T0."""
    priority: int
    operation: str = "write_with_imm"


@dataclass(frozen=True, kw_only=True, slots=True)
class Loop:
    """One stream of a trial: a queue pair that sends message after message."""

    source: str
    destination: str
    qp: int
    size_bytes: int
    """Of each message."""
    depth: int
    """Messages outstanding at most."""
    batch: int
    """Messages that one row of samples stands for."""
    offset_ns: int
    """After T0."""
    duration_ns: int
    """No message is posted later than this after ``offset_ns``."""
    rate_bps: int
    """Payload at most [bit/s], 0: as fast as it goes."""
    priority: int
    operation: str = "write_with_imm"

    @property
    def gap_ps(self) -> int:
        """From one message's turn to the next one's [ps]."""
        return self.size_bytes * BITS_PER_BYTE * PS_PER_SECOND // self.rate_bps if self.rate_bps else 0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is simulated."""

    t0_ns: int
    seed: int
    flows: Sequence[Flow]
    """Two of them may be alike in everything; their places in this sequence tell them apart."""
    timeout_ns: int
    """After T0, 0: none."""
    loops: Sequence[Loop] = ()

    @property
    def sent(self) -> tuple[Flow | Loop, ...]:
        """All flows and loops."""
        return (*self.flows, *self.loops)

    @property
    def last_ns(self) -> int | None:
        """When the trial ends at the latest, None if it has no timeout."""
        return self.t0_ns + self.timeout_ns if self.timeout_ns else None


@dataclass(frozen=True, kw_only=True)
class Messages:
    """What a loop has posted, in this order; times as in :class:`Outcome`."""

    posted_ns: Integers
    received_ns: Integers
    completed_ns: Integers


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial went; times are lab time [ns], by a flow's place in the trial, :data:`NEVER` if it never happened."""

    posted_ns: Integers
    received_ns: Integers
    """When a flow had arrived whole."""
    completed_ns: Integers
    """When it was acknowledged."""
    end_ns: int
    finished_ns: Mapping[str, int]
    """Host -> when the last transfer from or to it had ended."""
    out_of_sequence: Mapping[str, int]
    """Host -> packets that came to it while an earlier one was missing."""
    method: str
    skipped_ns: int
    """Lab time that was not simulated packet by packet."""
    loops: Sequence[Messages] = ()
    """By a loop's place in the trial."""
    nic_growth: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Host -> by how much each counter of its NIC grew."""


def start(simulation: Simulation, trial: Trial, origin_ns: int) -> list[int]:
    """Start the flows and loops of a trial; return the loops' numbers.

    Raises:
        SpecError: The simulator refuses one.
    """
    begin_ps = (trial.t0_ns - origin_ns) * PS_PER_NS
    for flow in trial.flows:
        start_ps = begin_ps + flow.offset_ns * PS_PER_NS
        simulation.start_flow(flow.source, flow.destination, flow.size_bytes, start_ps, flow.qp, flow.priority)
    return [
        simulation.start_loop(
            loop.source,
            loop.destination,
            loop.size_bytes,
            begin_ps + loop.offset_ns * PS_PER_NS,
            begin_ps + (loop.offset_ns + loop.duration_ns) * PS_PER_NS,
            loop.qp,
            loop.priority,
            depth=loop.depth,
            gap_ps=loop.gap_ps,
        )
        for loop in trial.loops
    ]


def outcome(simulation: Simulation, trial: Trial, loops: Sequence[int], origin_ns: int, reached_ns: int) -> Outcome:
    """Return how a trial went.

    Args:
        simulation: Its flows and loops were started by :func:`start`.
        trial: What was to be sent.
        loops: What :func:`start` returned.
        origin_ns: Lab time at the simulation's time 0 [ns since the epoch].
        reached_ns: When a trial that is not complete has ended.
    """
    done = simulation.completions()
    done = done[done["flow"] < len(trial.flows)]  # loops make theirs after these
    flows = done["flow"]
    sent = [_messages(simulation, loop, origin_ns) for loop in loops]
    times = {name: np.full(len(trial.flows), NEVER, np.int64) for name in ("received_ps", "completed_ps")}
    for name, column in times.items():
        column[flows] = origin_ns + done[name] // PS_PER_NS
    received, completed = times["received_ps"], times["completed_ps"]
    last_ns = [int(each.completed_ns.max(initial=trial.t0_ns)) for each in sent]
    end_ns = max(int(completed.max(initial=trial.t0_ns)), *last_ns, trial.t0_ns) + 1
    if len(flows) < len(trial.flows) or any((each.completed_ns == NEVER).any() for each in sent):
        end_ns = max(reached_ns, trial.t0_ns + 1)
    offsets = np.fromiter((flow.offset_ns for flow in trial.flows), np.int64, len(trial.flows))
    posted = np.where(trial.t0_ns + offsets < end_ns, trial.t0_ns + offsets, NEVER)
    names = sorted({host for one in trial.sent for host in (one.source, one.destination)})
    sources, destinations = _places(trial, names)
    finished = np.full(len(names), trial.t0_ns)
    np.maximum.at(finished, sources, np.where(completed == NEVER, end_ns, completed))
    np.maximum.at(finished, destinations, np.where(received == NEVER, end_ns, received))
    for loop, each in zip(trial.loops, sent, strict=True):
        for host, times_ns in ((loop.source, each.completed_ns), (loop.destination, each.received_ns)):
            place = names.index(host)
            finished[place] = max(finished[place], np.where(times_ns == NEVER, end_ns, times_ns).max(initial=0))
    hosts = simulation.hosts()
    disorder = dict(zip(hosts["node"].tolist(), hosts["out_of_sequence_packets"].tolist(), strict=True))
    return Outcome(
        posted_ns=posted,
        received_ns=received,
        completed_ns=completed,
        end_ns=end_ns,
        finished_ns=dict(zip(names, finished.tolist(), strict=True)),
        out_of_sequence={name: disorder[name] for name in names},
        loops=sent,
        method=simulation.method,
        skipped_ns=simulation.skipped_ps // PS_PER_NS,
    )


def _messages(simulation: Simulation, loop: int, origin_ns: int) -> Messages:
    rows = simulation.messages(loop)
    names = ("posted_ps", "received_ps", "completed_ps")
    posted, received, completed = (
        np.where(rows[name] == NEVER, NEVER, origin_ns + rows[name] // PS_PER_NS) for name in names
    )
    return Messages(posted_ns=posted, received_ns=received, completed_ns=completed)


def _places(trial: Trial, names: Sequence[str]) -> tuple[Integers, Integers]:
    """Return every flow's source and destination as places in a list of hosts."""
    place = {name: number for number, name in enumerate(names)}
    count = len(trial.flows)
    return (
        np.fromiter((place[flow.source] for flow in trial.flows), np.int64, count),
        np.fromiter((place[flow.destination] for flow in trial.flows), np.int64, count),
    )
