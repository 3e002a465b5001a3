"""Section 8.4: what telemetry and samples of one trial say of storm, deadlock and recovery.

Nothing here asks the lab itself whether it is stuck: a real one could not tell.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from aibench_lib.catalogue import benchmark
from aibench_lib.errors import UndefinedKpi
from aibench_lib.kpi.pause_propagation import Dependencies, Standstill, propagation_depth, standstills
from aibench_lib.kpi.sampling import held
from aibench_lib.kpi.stalls import Stall, stalls
from aibench_lib.model import Port
from aibench_lib.procedures.cycle import BufferCycle, cycle_of, dependencies
from aibench_lib.procedures.procedure import Observation, defined, growth
from aibench_lib.units import NS_PER_MS

STORM_HOPS = 2
"""A storm is PAUSE that reached a port which is not the neighbour of the congestion: it was passed on at least once."""
_NIC_PAUSE = "rx_prio3_pause"
_SETTLING_NS = NS_PER_MS
"""What the circle let go before it stood still may complete for so long."""

Path = tuple[str, str]
"""Sending and receiving host."""


def measure_storm(seen: Observation) -> dict[str, float | None]:
    """Return what Section 8.4 asks of one trial.

    Draft: Section 8.4, which gives no criterion for a storm or a deadlock; ``docs/draft_notes.md`` has ours.

    Raises:
        TrialError: Samples contradict each other.
    """
    cycle = cycle_of(seen.fabric)
    still = _stalls_by_path(seen)
    waits = dependencies(seen.fabric.topology, cycle.detours, still)
    depth = defined(lambda: float(propagation_depth(waits, _paused(seen, waits))))
    try:
        deadlocks: Sequence[Standstill] | None = _deadlocks(seen, cycle, waits, still)
    except UndefinedKpi:
        deadlocks = None
    return {
        "storm_occurred": None if depth is None else float(depth >= STORM_HOPS),
        "deadlock_occurred": None if deadlocks is None else float(bool(deadlocks)),
        "pause_propagation_depth": depth,
        "zero_throughput_duration": max(stall.duration_ns for own in still.values() for stall in own) / NS_PER_MS,
        "recovery_time": _recovery_ms(deadlocks or (), cycle, still),
        "PFC_frame_count": defined(lambda: float(_total(seen, "pause_tx_frames"))),
        "watchdog_trips": defined(lambda: float(_total(seen, "watchdog_trips"))),
    }


def _stalls_by_path(seen: Observation) -> dict[Path, list[Stall]]:
    """Return the times without progress of every path that was used."""
    frame = pd.DataFrame(
        {
            **{name: seen.samples[name].to_pylist() for name in ("host", "peer")},
            "intended_ns": seen.samples["intended_ns"].to_numpy(),
            "completed_ns": pc.fill_null(seen.samples["completed_ns"], -1).to_numpy(),
        }
    )
    return {
        (str(host), str(peer)): stalls(own["intended_ns"], own["completed_ns"], seen.t_end_ns)
        for (host, peer), own in frame.groupby(["host", "peer"])
    }


def _switch_ports(seen: Observation) -> Iterable[Port]:
    switches = set(seen.fabric.topology.switches)
    return (port for link in seen.fabric.topology.links for port in (link.a, link.b) if port.node in switches)


def _total(seen: Observation, counter: str) -> int:
    """Return the growth of a flow control counter over all ports of all switches that report it.

    Raises:
        UndefinedKpi: None does.
    """
    grown = [_growth(seen.pfc_of(port), counter) for port in _switch_ports(seen)]
    known = [value for value in grown if value is not None]
    if not known:
        raise UndefinedKpi(f"{counter}: no switch reports it")
    return sum(known)


def _growth(frame: pd.DataFrame, counter: str) -> int | None:
    if counter not in frame:
        return None
    try:
        return growth(frame, counter)
    except UndefinedKpi:
        return None


def _paused(seen: Observation, waits: Dependencies) -> set[Port]:
    """Return the ports, of switches and hosts, that received PAUSE in the trial.

    Raises:
        UndefinedKpi: No switch counts PAUSE.
    """
    switches = [port for port in waits if port.node not in seen.nic]
    grown = {port: _growth(seen.pfc_of(port), "pause_rx_frames") for port in switches}
    if all(value is None for value in grown.values()):
        raise UndefinedKpi("pause_rx_frames: no switch reports it")
    hosts = {port for port in waits if seen.nic.get(port.node, {}).get(_NIC_PAUSE, 0) > 0}
    return {port for port, value in grown.items() if value} | hosts


def _deadlocks(
    seen: Observation, cycle: BufferCycle, waits: Dependencies, still: Mapping[Path, Sequence[Stall]]
) -> list[Standstill]:
    """Return when ports stood still in a circle and no path that is detoured through it made progress.

    Raises:
        UndefinedKpi: A switch of the circle does not report what is needed.
    """
    times = np.arange(seen.t0_ns, seen.t_end_ns + 1, seen.interval_ns, dtype=np.int64)
    stopped = np.stack([_stopped(seen, port, times) for port in cycle.ports], axis=1)
    at_least_ns = round(benchmark("8.4").constants["standstill_ms"] * NS_PER_MS)
    found = standstills(waits, cycle.ports, times, stopped, at_least_ns=at_least_ns)
    detoured = [own for path, own in still.items() if _is_detoured(path, cycle)]
    return [one for one in found if not any(_progress(own, one) for own in detoured)]


def _stopped(seen: Observation, port: Port, times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether a port received PAUSE and sent nothing between any two of some times, shape ``(n - 1,)``."""
    sent = _grown(seen.queue_of(port), "transmit_packets", times)
    paused = _grown(seen.pfc_of(port), "pause_rx_frames", times)
    return np.asarray((sent == 0) & (paused > 0))


def _grown(frame: pd.DataFrame, counter: str, times: NDArray[np.int64]) -> NDArray[np.int64]:
    if counter not in frame:
        raise UndefinedKpi(f"{counter}: the switch does not report it")
    known = frame[frame[counter].notna()]
    return np.diff(held(known["time_ns"], known[counter], times))


def _is_detoured(path: Path, cycle: BufferCycle) -> bool:
    return path[1] in {detour.destination for detour in cycle.detours}


def _progress(own: Sequence[Stall], standstill: Standstill) -> bool:
    """Return whether a transfer of a path completed during a standstill; each completion ends a stall."""
    first = standstill.begin_ns + _SETTLING_NS
    return any(stall.recovered and first < stall.end_ns < standstill.end_ns for stall in own)


def _recovery_ms(
    deadlocks: Sequence[Standstill], cycle: BufferCycle, still: Mapping[Path, Sequence[Stall]]
) -> float | None:
    """Return the longest time from the begin of a deadlock to the first progress on every path that it stopped [ms].

    It begins when the last detoured path stopped making progress.  None if there was none, or one that did not end.
    """
    times = []
    for deadlock in deadlocks:
        stopped = {
            path: stall
            for path, own in still.items()
            for stall in own
            if stall.begin_ns < deadlock.end_ns <= stall.end_ns
        }
        detoured = [stall.begin_ns for path, stall in stopped.items() if _is_detoured(path, cycle)]
        if not detoured or not all(stall.recovered for stall in stopped.values()):
            return None
        begin = min(deadlock.begin_ns, max(detoured))
        times.append((max(stall.end_ns for stall in stopped.values()) - begin) / NS_PER_MS)
    return max(times, default=None)
