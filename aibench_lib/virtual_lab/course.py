"""The course of one trial: the simulation advances, and what listeners want to know is kept and handed on in parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aibench_lib.model import Port
from aibench_lib.simulator import Simulation, skip
from aibench_lib.units import NS_PER_MS, PS_PER_NS
from aibench_lib.virtual_lab.history import (
    CUMULATIVE,
    SERIES_COLUMNS,
    History,
    Rows,
    Series,
    Snapshot,
    snapshot,
    value_of,
)

_SNAPSHOTS = 128
"""Of all counters, that are kept before they are handed on."""
_SAMPLES = 200_000
"""Of single queues, likewise."""
_SHORTEST_STRIDE_NS = NS_PER_MS
_SKIP_AFTER_NS = 20 * NS_PER_MS
_BUSY_EVENTS = 5_000
"""What repeats itself is looked for in trials that are longer than this, after a stride of so many events."""
_STRIDES_SO_FAR = 64
"""A stride is at most this part of the time that has passed: an end is overlooked by that much at most."""
_SKIPPED_SO_FAR = 16
"""Likewise after a stride of which most was skipped: each one begins with a search for what repeats itself."""


@dataclass(frozen=True)
class Demand:
    """What must be recorded for those who listen."""

    queues: frozenset[tuple[Port, int]] = frozenset()
    """Recorded in the kernel every ``series_ns``."""
    series_ns: int = 0
    step_ns: int = 0
    """All counters are wanted at multiples of this; 0: at the end only."""
    settle_ns: frozenset[int] = frozenset()
    """Intervals of which lab time must reach a multiple after the trial."""


class Course:
    """One trial while it is simulated.

    Memory does not grow with the trial's length: what was recorded is handed on and forgotten from time to time.

    Args:
        simulation: Its flows are started.
        origin_ns: Lab time at the simulation's time 0 [ns since the epoch].
        demand: What to record.
        queues: Those of its queues that the simulation has.
        rows: Where a port's counters are.
        before: The counters when the trial began.
        tell: Told of every part but the last.
    """

    def __init__(
        self,
        simulation: Simulation,
        origin_ns: int,
        demand: Demand,
        queues: Sequence[tuple[Port, int]],
        rows: Rows,
        before: Snapshot,
        tell: Callable[[History], None],
    ) -> None:
        self._simulation = simulation
        self._origin_ns = origin_ns
        self._step_ns = demand.step_ns
        self._queues = queues
        self._rows = rows
        self._places = rows.places(simulation.counters())
        self._before = before
        self._tell = tell
        self._steps: list[Snapshot] = []
        self._is_busy = False
        self._skips = False
        self._longest_ns = _SNAPSHOTS * NS_PER_MS * 1000
        if queues:
            simulation.record_series(queues, demand.series_ns * PS_PER_NS)
            self._longest_ns = max(demand.series_ns, _SAMPLES // len(queues) * demand.series_ns)

    def run(self, last_ns: int | None, stopped: Callable[[], bool], passing: Callable[[int], None]) -> int:
        """Advance until nothing more happens, to a time, or until told to stop; return the time reached.

        Args:
            last_ns: Where to end at the latest.
            stopped: Asked before each step.
            passing: Told before each step what time it is.
        """
        now_ns = part_ns = self._origin_ns
        while not self._simulation.idle and now_ns != last_ns and not stopped():
            passing(now_ns)
            now_ns = self._next_stop(now_ns, last_ns)
            self._advance(now_ns - self._origin_ns)
            if self._step_ns and now_ns % self._step_ns == 0:
                self._steps.append(self.snapshot(now_ns))
            full = len(self._steps) >= _SNAPSHOTS or (self._queues and now_ns - part_ns >= self._longest_ns)
            if full and not self._simulation.idle and now_ns != last_ns:
                self._tell(self._part(now_ns + 1))
                part_ns = now_ns
        return now_ns

    def snapshot(self, time_ns: int) -> Snapshot:
        """Return all counters as they are, under a time."""
        simulation = self._simulation
        return snapshot(time_ns, simulation.counters(), self._places, simulation.buffers(), self._before)

    def last_part(self, end_ns: int, after: Snapshot) -> History:
        """Return what was recorded since the part before, up to the trial's end."""
        self._steps = [snap for snap in self._steps if snap.time_ns < end_ns]
        return self._part(end_ns, after)

    def _advance(self, until_ns: int) -> None:
        simulation = self._simulation
        began_ps, events, skipped_ps = simulation.now_ps, simulation.events, simulation.skipped_ps
        looks = self._is_busy and until_ns > _SKIP_AFTER_NS
        (skip.advance if looks else Simulation.advance)(simulation, until_ns * PS_PER_NS)
        skipped_ps = simulation.skipped_ps - skipped_ps
        self._is_busy = simulation.events - events >= _BUSY_EVENTS or skipped_ps > 0
        self._skips = 2 * skipped_ps > until_ns * PS_PER_NS - began_ps

    def _next_stop(self, now_ns: int, last_ns: int | None) -> int:
        strides = _SKIPPED_SO_FAR if self._skips else _STRIDES_SO_FAR
        stride_ns = max(_SHORTEST_STRIDE_NS, (now_ns - self._origin_ns) // strides)
        stop_ns = next_multiple(now_ns + 1, _SHORTEST_STRIDE_NS)
        if stride_ns > _SHORTEST_STRIDE_NS:
            stop_ns = now_ns + stride_ns - stride_ns % _SHORTEST_STRIDE_NS
        stop_ns = min(stop_ns, now_ns + self._longest_ns)
        if self._step_ns:
            stop_ns = min(stop_ns, next_multiple(now_ns + 1, self._step_ns))
        return stop_ns if last_ns is None else min(stop_ns, last_ns)

    def _part(self, end_ns: int, after: Snapshot | None = None) -> History:
        steps, self._steps = self._steps, []
        return History(self._rows, self._before.time_ns, end_ns, steps, self._take_series(), after)

    def _take_series(self) -> Series:
        if not self._queues:
            return {}
        table = self._simulation.take_series().reshape(-1, len(self._queues))  # samples of one time stand together
        rows = [self._rows.queue(port.node, port.interface, priority)[0] for port, priority in self._queues]
        columns = {"time_ns": self._origin_ns + table["time_ps"] // PS_PER_NS}
        for name in SERIES_COLUMNS:  # of all queues at once, as there may be a hundred
            columns[name] = value_of(table, name) + (self._before.columns[name][rows] if name in CUMULATIVE else 0)
        return {
            queue: {name: values[:, index] for name, values in columns.items()}
            for index, queue in enumerate(self._queues)
        }


def next_multiple(time_ns: int, interval_ns: int) -> int:
    """Return the first multiple of an interval at or after a time."""
    return -(-time_ns // interval_ns) * interval_ns
