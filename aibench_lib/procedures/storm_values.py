"""Section 8.4: what telemetry and samples of one trial say of storm, deadlock and recovery.

Nothing here asks the lab itself whether it is stuck: a real one could not tell.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from aibench_lib.catalogue import benchmark
from aibench_lib.errors import UndefinedKpi
from aibench_lib.kpi.pause_propagation import Dependencies, Standstill, propagation_depth, standstills
from aibench_lib.kpi.sampling import held
from aibench_lib.kpi.stalls import Stall, longest_stall_ns, stalls
from aibench_lib.model import Port
from aibench_lib.procedures.cycle import BufferCycle, cycle_of, dependencies
from aibench_lib.procedures.procedure import LOSSLESS_PRIORITY, Observation, defined, growth
from aibench_lib.units import NS_PER_MS

STORM_HOPS = 2
"""A storm is PAUSE that reached a port which is not the neighbour of the congestion: it was passed on at least once."""
_NIC_PAUSE = f"rx_prio{LOSSLESS_PRIORITY}_pause"
_SETTLING_NS = NS_PER_MS
"""What the circle let go before it stood still may complete for so long; a shorter stall is none."""

Hosts = tuple[str, str]
"""Sending and receiving host of a path."""


def measure_storm(seen: Observation) -> dict[str, float | None]:
    """Return what Section 8.4 asks of one trial.

    Draft: Section 8.4, which gives no criterion for a storm or a deadlock; ``docs/draft_notes.md`` has ours.

    Raises:
        TrialError: Samples contradict each other.
    """
    cycle = cycle_of(seen.fabric)
    paths = _paths(seen)
    waits = dependencies(seen.fabric.topology, cycle.detours, paths)
    depth = defined(lambda: float(propagation_depth(waits, _paused(seen, waits))))
    try:
        deadlocks: Sequence[Standstill] | None = _deadlocks(seen, cycle, waits, paths)
    except UndefinedKpi:
        deadlocks = None
    return {
        "storm_occurred": None if depth is None else float(depth >= STORM_HOPS),
        "deadlock_occurred": None if deadlocks is None else float(bool(deadlocks)),
        "pause_propagation_depth": depth,
        "zero_throughput_duration": max(path.longest_ns for path in paths.values()) / NS_PER_MS,
        "recovery_time": _recovery_ms(deadlocks or (), cycle, paths),
        "PFC_frame_count": defined(lambda: float(_total(seen, "pause_tx_frames"))),
        "watchdog_trips": defined(lambda: float(_total(seen, "watchdog_trips"))),
    }


@dataclass(frozen=True, kw_only=True)
class _Path:
    """How transfers went from one host to another."""

    stalls: list[Stall]
    """Those of ``_SETTLING_NS`` and longer."""
    longest_ns: int
    """The longest stall, of any length."""
    completed_ns: NDArray[np.int64]
    """When transfers completed; negative where one did not."""


def _paths(seen: Observation) -> dict[Hosts, _Path]:
    """Return how every path fared that was used."""
    names = pc.binary_join_element_wise(seen.samples["host"], seen.samples["peer"], " ")
    codes = pc.dictionary_encode(names).combine_chunks()
    number = codes.indices.to_numpy()
    posted = seen.samples["intended_ns"].to_numpy()
    completed = pc.fill_null(seen.samples["completed_ns"], -1).to_numpy()
    found = {}
    for at, name in enumerate(codes.dictionary.to_pylist()):
        source, _, destination = name.partition(" ")
        mine = number == at
        of_path = (posted[mine], completed[mine], seen.t_end_ns)
        found[source, destination] = _Path(
            stalls=stalls(*of_path, at_least_ns=_SETTLING_NS),
            longest_ns=longest_stall_ns(*of_path),
            completed_ns=completed[mine],
        )
    return found


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
    seen: Observation, cycle: BufferCycle, waits: Dependencies, paths: Mapping[Hosts, _Path]
) -> list[Standstill]:
    """Return when ports stood still in a circle and no path that is detoured through it made progress.

    Raises:
        UndefinedKpi: A switch of the circle does not report what is needed.
    """
    times = np.arange(seen.t0_ns, seen.t_end_ns + 1, seen.interval_ns, dtype=np.int64)
    stopped = np.stack([_stopped(seen, port, times) for port in cycle.ports], axis=1)
    at_least_ns = round(benchmark("8.4").constants["standstill_ms"] * NS_PER_MS)
    found = standstills(waits, cycle.ports, times, stopped, at_least_ns=at_least_ns)
    detoured = [path.completed_ns for hosts, path in paths.items() if _is_detoured(hosts, cycle)]
    return [one for one in found if not _progress(np.concatenate(detoured), one)]


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


def _is_detoured(hosts: Hosts, cycle: BufferCycle) -> bool:
    return hosts[1] in {detour.destination for detour in cycle.detours}


def _progress(completed_ns: NDArray[np.int64], standstill: Standstill) -> bool:
    """Return whether a transfer completed during a standstill."""
    after = standstill.begin_ns + _SETTLING_NS
    return bool(((completed_ns > after) & (completed_ns < standstill.end_ns)).any())


def _recovery_ms(deadlocks: Sequence[Standstill], cycle: BufferCycle, paths: Mapping[Hosts, _Path]) -> float | None:
    """Return the longest time from the begin of a deadlock to the first progress on every path that it stopped [ms].

    It begins when the last detoured path stopped making progress.  None if there was none, or one that did not end.
    """
    times = []
    for deadlock in deadlocks:
        stopped = {
            hosts: stall
            for hosts, path in paths.items()
            for stall in path.stalls
            if stall.begin_ns < deadlock.end_ns <= stall.end_ns
        }
        detoured = [stall.begin_ns for hosts, stall in stopped.items() if _is_detoured(hosts, cycle)]
        if not detoured or not all(stall.recovered for stall in stopped.values()):
            return None
        begin = min(deadlock.begin_ns, max(detoured))
        times.append((max(stall.end_ns for stall in stopped.values()) - begin) / NS_PER_MS)
    return max(times, default=None)
