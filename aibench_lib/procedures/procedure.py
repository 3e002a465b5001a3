"""What the runner needs to know of a test to run it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from aibench_lib.errors import SpecError, UndefinedKpi
from aibench_lib.model import ObservationPoint, Port, Topology, TrialLoad
from aibench_lib.switch.faults import Fault
from aibench_lib.telemetry.measurements import schema
from aibench_lib.units import NS_PER_SECOND

LOSSLESS_PRIORITY = 3
"""The traffic class of KV cache transfers and dispatches, the one that PFC keeps from losing packets."""

Point = Mapping[str, int | float | str]
"""One combination of offered loads, or one setting."""


@dataclass(frozen=True, kw_only=True)
class Fabric:
    """What a procedure may know of the lab."""

    topology: Topology
    pools: Mapping[str, Sequence[str]]
    """``prefill`` and ``decode``: worker names in inventory order."""
    platforms: Mapping[str, str] = field(default_factory=dict)
    """Switch -> its platform; empty: all are of one."""
    leaf_under_test: str = ""
    """The inventory's leaf under test (DUT-S) of this test; empty: the leaf of the first decode worker."""
    baseline: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The inventory's ``fabric_settings``: feature -> values for tests that do not vary it; empty leaves the fabric as
    its operator configured it."""

    @property
    def leaf(self) -> str:
        """The leaf under test (DUT-S)."""
        return self.leaf_under_test or self.topology.attachment(self.pools["decode"][0]).node

    def workers_on(self, leaf: str, pool: str) -> list[str]:
        """Return the workers of a pool that hang on a leaf, in inventory order."""
        return [host for host in self.pools[pool] if self.topology.attachment(host).node == leaf]

    def usual_changes(self) -> "tuple[Change, ...]":
        """Return what makes the fabric as it usually is, for a test that varies something else or nothing."""
        return tuple(Change(feature=feature, values=values) for feature, values in self.baseline.items())


@dataclass(frozen=True, kw_only=True)
class Change:
    """One feature that switches are configured with before the trials of a setting."""

    feature: str
    values: Mapping[str, Any]
    only: tuple[str, ...] = ()
    """The switches that get it; empty: every switch of the play."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a test's load meets the fabric."""

    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    watched: tuple[Port, ...]
    """Switch ports whose egress queue and flow control are sampled finely; the first is the observed queue."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a profile decides of a load."""

    start_jitter_ns: int
    """Senders of a simultaneous start post within this time after T0 [ns]."""
    trial_seconds: float | None
    """How long a trial lasts where the test has a duration [s, lab clock]."""
    fabric: Fabric
    overrun_seconds: float = 30.0
    """How long what is outstanding at the end of a trial's length may take [s, lab clock]."""

    @property
    def duration_ns(self) -> int:
        """The trial's length [ns, lab clock].

        Raises:
            SpecError: The test has none.
        """
        if self.trial_seconds is None:
            raise SpecError("trial_seconds: missing; neither the catalogue nor the profile says how long a trial lasts")
        return round(self.trial_seconds * NS_PER_SECOND)


def _not_reported(_: Port) -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in schema("interface").names})


def _no_routing(_: str) -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in schema("routing").names})


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What one trial left behind."""

    samples: pa.Table
    """One row a transfer, as in ``worker/samples.py``."""
    queue_of: Callable[[Port], pd.DataFrame]
    """The egress queue of a switch port over the trial's window, filled forward: ``time_ns`` and the ``queue`` fields;
    empty where the switch reports none."""
    pfc_of: Callable[[Port], pd.DataFrame]
    """Likewise the ``pfc`` fields of a switch port's lossless priority."""
    nic: Mapping[str, Mapping[str, int]]
    """Host -> growth of its NIC's counters over the trial."""
    t0_ns: int
    t_end_ns: int
    interval_ns: int
    """Sampling interval of the watched ports [ns]."""
    buffer_bytes: int
    """Size of the observed switch's buffer, 0 where the inventory does not say [bytes]."""
    setting: Point
    point: Point
    site: Site
    fabric: Fabric
    routing_of: Callable[[str], pd.DataFrame] = _no_routing
    """Likewise the ``routing`` fields of a switch."""
    disturbed: tuple[int, int] | None = None
    """When the switches were told to begin the trial's fault, and to end it [ns]; None: it has none."""
    interface_of: Callable[[Port], pd.DataFrame] = _not_reported
    """Likewise the ``interface`` fields of a switch port."""
    length_ns: int = 0
    """How long was sent, of tests that have a duration; what was outstanding then came later [ns]."""
    clock_uncertainty_ns: int = 0
    """To how much the difference between any two hosts' clocks is known, 0 where they have one [ns]."""

    @property
    def queue(self) -> pd.DataFrame:
        """The observed queue."""
        return self.queue_of(self.site.watched[0])

    def growth(self, counter: str) -> int:
        """Return how much a counter of the observed queue grew over the trial's window.

        Raises:
            UndefinedKpi: The switch does not report it.
        """
        return growth(self.queue, counter)

    def depth_bytes(self) -> NDArray[np.int64]:
        """Return the depth of the observed queue in each row of the window, shape ``(n,)`` [bytes].

        A switch that reports congestion, and not queues, says nothing of a queue before it first fills: it is empty.

        Raises:
            UndefinedKpi: The switch reports no depth at all.
        """
        depths = self.queue["depth_bytes"]
        if depths.isna().all():
            raise UndefinedKpi("queue depth: the switch does not report it")
        return depths.fillna(0).to_numpy(dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A value that a trial yields once and the report averages over trials."""

    kpi: str
    unit: str
    observation_point: ObservationPoint


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A value that every transfer yields; percentiles are taken over the transfers of all trials together."""

    kpi: str
    unit: str
    observation_point: ObservationPoint
    fractions: tuple[float, ...]
    """Percentiles to report: 0.99 is P99."""
    of: Callable[[pa.Table], NDArray[np.float64]]
    """Samples of one trial -> one value a transfer, shape ``(n_transfers,)``."""
    spread: str = ""
    """KPI under which P99 less P50 is reported; empty: it is not."""


def _no_series(_: Observation) -> pd.DataFrame | None:
    return None


def _no_remarks(_: Observation) -> Mapping[str, str]:
    return {}


def _no_check(_: Point, __: Site, ___: Terms) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """One test of the draft, as the runner drives it."""

    changes: Callable[[Point, Fabric], tuple[Change, ...]]
    """Setting and fabric -> how the switches are configured."""
    site: Callable[[Point, Fabric], Site]
    """Point and fabric -> where the load goes.  A point that this lab is too small for is not attainable."""
    load: Callable[[Point, Site, Terms, int], TrialLoad]
    """Point, site, terms and seed -> what every host sends."""
    measure: Callable[[Observation], Mapping[str, float | None]]
    """One trial -> a value a ``Quantity``; None where the trial does not define it."""
    quantities: tuple[Quantity, ...]
    distributions: tuple[Distribution, ...] = ()
    check: Callable[[Point, Site, Terms], None] = _no_check
    """Refuses a point that cannot be offered under these terms, as not attainable."""
    fault: Callable[[Point, Fabric], Fault] | None = None
    """Point and fabric -> what goes wrong, and is mended, within each trial; None: nothing."""
    remarks: Callable[[Observation], Mapping[str, str]] = _no_remarks
    """One trial -> what the report says of how its values came about; kept with its samples."""
    series: Callable[[Observation], pd.DataFrame | None] = _no_series
    """One trial -> a table over time that figures need; its ``attrs`` are kept with it."""


def growth(frame: pd.DataFrame, counter: str) -> int:
    """Return how much a counter grew from a frame's first known value to its last.

    Raises:
        UndefinedKpi: The switch does not report it.
    """
    values = frame[counter].dropna()
    if values.empty:
        raise UndefinedKpi(f"{counter}: the switch does not report it")
    return int(values.iloc[-1]) - int(values.iloc[0])


def defined(value: Callable[[], float]) -> float | None:
    """Return what ``value()`` returns, or None where the trial does not define it."""
    try:
        return value()
    except UndefinedKpi:
        return None
