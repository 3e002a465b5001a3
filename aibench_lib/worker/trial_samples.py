"""What the hosts sent in one trial, and how it came about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from aibench_lib.worker import agent_pb2
from aibench_lib.worker.start import Started


@dataclass(frozen=True)
class Simulated:
    """What stands behind a simulated trial's values."""

    method: str
    """``packet``: every packet was simulated; ``packet+skip``: steady time was skipped."""
    simulated_ns: int
    skipped_ns: int


@dataclass(frozen=True)
class TrialSamples:
    """What the hosts sent in one trial."""

    table: pa.Table
    """One row a transfer or a batch of a stream, columns of :data:`aibench_lib.worker.samples.SCHEMA`, times on the
    controller's clock.  It lies on disk, in a file without a name that is gone when nobody holds the table any more."""
    t0_ns: int
    """The common start [ns since the epoch, lab clock]."""
    t_end_ns: int
    """When the last host had ended the trial [ns since the epoch, lab clock]."""
    nic: Mapping[str, Mapping[str, int]]
    """Host -> by how much each counter of its NIC grew in the trial."""
    simulation: Simulated | None
    """How the trial was simulated, None where packets are real."""
    start: Started | None = None
    """How the senders began; None in a simulated lab, where they begin at T0, and where a transport does not say it."""
    clock_uncertainty_ns: int = 0
    """To how much the difference between any two participants' clocks is known; 0 where they have one clock [ns]."""
    qp_states: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Host -> ``peer/qp`` -> the queue pair's state at the trial's end, of hosts whose transport can be asked."""


def simulated(last: Iterable[agent_pb2.SampleBatch]) -> Simulated | None:
    """Return how the trial was simulated: one simulation serves all hosts, and each of them says so."""
    said = [batch for batch in last if batch.method]
    if not said:
        return None
    return Simulated(said[0].method, said[0].simulated_ns, said[0].skipped_ns)
