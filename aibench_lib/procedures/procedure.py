"""What the runner needs to know of a test to run it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from aibench_lib.errors import UndefinedKpi
from aibench_lib.model import ObservationPoint, Port, Topology, TrialLoad

Point = Mapping[str, int | float | str]
"""One combination of offered loads, or one setting."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a test's load meets the fabric."""

    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    queue: Port
    """The switch port whose egress queue the test observes."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What one trial left behind."""

    samples: pa.Table
    """One row a transfer, as in ``worker/samples.py``."""
    queue: pd.DataFrame
    """The observed queue over the trial's window, filled forward: ``time_ns`` and the ``queue`` fields."""
    t0_ns: int
    t_end_ns: int
    interval_ns: int
    """Sampling interval of the observed queue [ns]."""
    buffer_bytes: int
    """Size of the observed switch's buffer, 0 where the inventory does not say [bytes]."""

    def growth(self, counter: str) -> int:
        """Return how much a counter of the observed queue grew over the trial's window.

        Raises:
            UndefinedKpi: The switch does not report it.
        """
        values = self.queue[counter].dropna()
        if values.empty:
            raise UndefinedKpi(f"{counter}: the switch does not report it")
        return int(values.iloc[-1]) - int(values.iloc[0])

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


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """One test of the draft, as the runner drives it."""

    feature: str
    """The switch feature that the test's settings configure."""
    site: Callable[[Point, Topology, Mapping[str, Sequence[str]]], Site]
    """Point, topology and the workers by pool (``prefill``, ``decode``) -> where the load goes."""
    load: Callable[[Point, Site, int, int], TrialLoad]
    """Point, site, start jitter [ns] and seed -> what every host sends."""
    measure: Callable[[Observation], Mapping[str, float | None]]
    """One trial -> a value a ``Quantity``; None where the trial does not define it."""
    quantities: tuple[Quantity, ...]
    distributions: tuple[Distribution, ...]


def defined(value: Callable[[], float]) -> float | None:
    """Return what ``value()`` returns, or None where the trial does not define it."""
    try:
        return value()
    except UndefinedKpi:
        return None
