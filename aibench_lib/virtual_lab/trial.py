"""A trial as the fabric sees it: what is to be sent, and how that went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from aibench_lib.simulator import Simulation
from aibench_lib.units import PS_PER_NS

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


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is simulated."""

    t0_ns: int
    seed: int
    flows: Sequence[Flow]
    """Two of them may be alike in everything; their places in this sequence tell them apart."""
    timeout_ns: int
    """After T0, 0: none."""

    @property
    def last_ns(self) -> int | None:
        """When the trial ends at the latest, None if it has no timeout."""
        return self.t0_ns + self.timeout_ns if self.timeout_ns else None


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
    nic_growth: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Host -> by how much each counter of its NIC grew."""


def outcome(simulation: Simulation, trial: Trial, origin_ns: int, reached_ns: int) -> Outcome:
    """Return how a trial went.

    Args:
        simulation: Its flows were started in the trial's order.
        trial: What was to be sent.
        origin_ns: Lab time at the simulation's time 0 [ns since the epoch].
        reached_ns: When a trial that is not complete has ended.
    """
    done = simulation.completions()
    flows = done["flow"]
    times = {name: np.full(len(trial.flows), NEVER, np.int64) for name in ("received_ps", "completed_ps")}
    for name, column in times.items():
        column[flows] = origin_ns + done[name] // PS_PER_NS
    received, completed = times["received_ps"], times["completed_ps"]
    end_ns = int(completed.max(initial=trial.t0_ns)) + 1
    if len(flows) < len(trial.flows):
        end_ns = max(reached_ns, trial.t0_ns + 1)
    offsets = np.fromiter((flow.offset_ns for flow in trial.flows), np.int64, len(trial.flows))
    posted = np.where(trial.t0_ns + offsets < end_ns, trial.t0_ns + offsets, NEVER)
    names = sorted({host for flow in trial.flows for host in (flow.source, flow.destination)})
    sources, destinations = _places(trial, names)
    finished = np.full(len(names), trial.t0_ns)
    np.maximum.at(finished, sources, np.where(completed == NEVER, end_ns, completed))
    np.maximum.at(finished, destinations, np.where(received == NEVER, end_ns, received))
    hosts = simulation.hosts()
    disorder = dict(zip(hosts["node"].tolist(), hosts["out_of_sequence_packets"].tolist(), strict=True))
    return Outcome(
        posted_ns=posted,
        received_ns=received,
        completed_ns=completed,
        end_ns=end_ns,
        finished_ns=dict(zip(names, finished.tolist(), strict=True)),
        out_of_sequence={name: disorder[name] for name in names},
        method=simulation.method,
        skipped_ns=simulation.skipped_ps // PS_PER_NS,
    )


def _places(trial: Trial, names: Sequence[str]) -> tuple[Integers, Integers]:
    """Return every flow's source and destination as places in a list of hosts."""
    place = {name: number for number, name in enumerate(names)}
    count = len(trial.flows)
    return (
        np.fromiter((place[flow.source] for flow in trial.flows), np.int64, count),
        np.fromiter((place[flow.destination] for flow in trial.flows), np.int64, count),
    )
