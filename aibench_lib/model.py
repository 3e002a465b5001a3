"""The records that travel between packages; frozen, no behaviour beyond what a record knows of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class LabKind(StrEnum):
    """What stands behind the wires; the label of every value in a result."""

    SIMULATED = "simulated"
    KERNEL = "kernel"
    HARDWARE = "hardware"


class ObservationPoint(StrEnum):
    """Where a value was observed; values of different points are not interchangeable."""

    DUT_BOUNDARY = "dut_boundary"
    """(a) On the wire, at the DUT's ports."""
    DUT_COUNTER = "dut_counter"
    """(b) A counter the DUT reports of itself."""
    ENDPOINT = "endpoint"
    """(c) Software on the sending or receiving host."""


@dataclass(frozen=True, order=True)
class Port:
    """One end of a link: a switch's interface or a host's NIC."""

    node: str
    interface: str

    def __str__(self) -> str:
        return f"{self.node}:{self.interface}"


@dataclass(frozen=True)
class Link:
    """A full-duplex link."""

    a: Port
    b: Port
    bps: int
    """Line rate of each direction [bit/s]."""


@dataclass(frozen=True)
class Topology:
    """The fabric and what hangs on it."""

    hosts: tuple[str, ...]
    switches: tuple[str, ...]
    links: tuple[Link, ...]

    def neighbour(self, port: Port) -> Port | None:
        """Return the other end of the link at ``port``, or None."""
        for link in self.links:
            if link.a == port:
                return link.b
            if link.b == port:
                return link.a
        return None

    def attachment(self, host: str) -> Port:
        """Return the switch port that ``host`` hangs on (its first link).

        Raises:
            KeyError: The host has no link.
        """
        for link in self.links:
            if link.a.node == host:
                return link.b
            if link.b.node == host:
                return link.a
        raise KeyError(host)


@dataclass(frozen=True, slots=True)
class Record:
    """One telemetry observation, shaped like an InfluxDB point."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, int | float | str | bool]
    time_ns: int
    """The device's own timestamp, on the lab's clock [ns since the epoch]."""


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """One message a host is asked to send in a trial."""

    peer: str
    """The receiving host's inventory name."""
    qp: int
    """Queue pair number within the trial, unique per sending host."""
    size_bytes: int
    offset_ns: int = 0
    """Intended post time after T0 [ns]."""
    priority: int = 3
    """Traffic class of the data packets, 0 to 7."""
    operation: str = "write_with_imm"
    """The RDMA operation: ``write_with_imm`` (the draft's PUT-with-signal), ``write``, ``read`` (the sending host pulls
    from its peer) or ``send``."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A closed loop: a host sends message after message for a time."""

    peer: str
    """The receiving host's inventory name."""
    qp: int
    """Queue pair number within the trial, unique per sending host; transfers have other numbers."""
    size_bytes: int
    """Of each message."""
    duration_ns: int
    """No message is posted later than this after ``offset_ns`` [ns]."""
    depth: int = 1
    """Messages outstanding at most."""
    batch: int = 1
    """Messages that one completion, and so one sample, stands for; at most ``depth``."""
    offset_ns: int = 0
    """When the loop begins, after T0 [ns]."""
    rate_bps: int = 0
    """Payload at most [bit/s]; 0: as fast as it goes."""
    priority: int = 3
    operation: str = "write_with_imm"
    """As in :class:`Transfer`."""
    echo: bool = False
    """Whether the receiving software answers, which gives a round trip on the sender's clock."""


@dataclass(frozen=True, kw_only=True)
class TrialLoad:
    """What every host must send in one trial."""

    transfers: Mapping[str, tuple[Transfer, ...]]
    """Sending host -> its transfers; a host that only receives, or has only streams, maps to ``()``.  Every participant
    is a key."""
    seed: int
    streams: Mapping[str, tuple[Stream, ...]] = field(default_factory=dict)
    """Sending host -> its streams."""
    start_window_ns: int | None = None
    """Within which all hosts must begin, where the test names such a window: a trial whose start cannot be that exact
    is refused [ns]."""
    duration_ns: int | None = None
    """The trial ends so long after T0 at the latest; None: with its last transfer [ns, lab clock]."""
    unfinished_ok: bool = False
    """Whether transfers may be unfinished at the end: what they show is then the result, not a failure."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """One row of ``kpis.csv``."""

    run: str
    test: str
    setting: Mapping[str, int | float | str]
    point: Mapping[str, int | float | str]
    kpi: str
    statistic: str
    """mean, p50, p95, p99, p99.9, max, ..."""
    value: float | None
    """None where the data does not define the KPI; written ``n/a``."""
    unit: str
    ci_low: float | None
    ci_high: float | None
    """Bounds of the 95 % confidence interval, None where it is not defined."""
    n: int
    """Trials behind a mean, samples behind a percentile."""
    observation_point: ObservationPoint
    lab: LabKind
    method: str
    """``packet``: every packet was simulated; ``packet+skip``: steady time was skipped; ``real``: packets on a wire."""


@dataclass(frozen=True, kw_only=True)
class Discarded:
    """A trial that was run and not used, with the reason the report prints."""

    trial: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """Where a run differs from what the draft asks."""

    subject: str
    draft: str
    here: str


@dataclass(frozen=True, kw_only=True)
class Anomaly:
    """Something a reader of the results must know."""

    text: str
    where: Mapping[str, str] = field(default_factory=dict)
