"""Simulate one point of a sweep: a pure function of the point, wherever it runs."""

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from aibench_lib.errors import UndefinedKpi
from aibench_lib.kpi.fairness import jain_index
from aibench_lib.simulator import Simulation, skip
from aibench_lib.stats import percentile
from aibench_lib.sweep.spec import Case, Point, case, label
from aibench_lib.units import BITS_PER_BYTE, NS_PER_MS, PS_PER_NS, PS_PER_SECOND, PS_PER_US

_STEP_PS = 100 * PS_PER_US
"""A simulation looks this often whether it is to stop; one that skips, in steps that are worth skipping."""
_SKIPPING_STEP_PS = 100_000 * PS_PER_US

Row = dict[str, int | float | str | None]


def run_point(point: Point, stop: threading.Event | None = None) -> Row:
    """Return the table's row of a point.

    Args:
        point: What to simulate.
        stop: When it is set, the simulation ends early and the row is of no use.
    """
    simulated = case(point)
    simulation = _simulation(simulated, point.seed)
    limit = simulated.limit_ms * NS_PER_MS * PS_PER_NS
    while not simulation.idle and simulation.now_ps < limit and not (stop and stop.is_set()):
        if simulated.skip_ahead:
            skip.advance(simulation, min(simulation.now_ps + _SKIPPING_STEP_PS, limit))
        else:
            simulation.advance(min(simulation.now_ps + _STEP_PS, limit))
    varied = {key: label(value) for key, value in point.varied.items()}
    return {**varied, "seed": point.seed, **_results(simulated, simulation)}


def _simulation(simulated: Case, seed: int) -> Simulation:
    simulation = Simulation(simulated.topology, simulated.parameters, seed)
    priority = simulated.pattern.priority
    switches = set(simulated.topology.switches)
    for link in simulated.topology.links:
        for port in (link.a, link.b):
            if port.node in switches:
                simulation.set_ecn(port, priority, simulated.ecn)
                simulation.set_pfc(port, priority, simulated.pfc)
    if simulated.load_balancing is not None:
        for switch in simulated.topology.switches:
            simulation.set_load_balancing(switch, simulated.load_balancing)
    for flow in simulated.flows:
        simulation.start_flow(
            flow.source, flow.destination, simulated.pattern.size_bytes, flow.start_ps, flow.qp, priority
        )
    return simulation


def _results(simulated: Case, simulation: Simulation) -> Row:
    done = simulation.completions()
    counters = simulation.counters()
    at_switches = np.isin(counters["node"], simulated.topology.switches)
    times_ps = (done["completed_ps"] - done["posted_ps"]).astype(np.float64)
    span_ps = int(done["completed_ps"].max() - done["posted_ps"].min()) if len(done) else None
    delivered = int(done["size_bytes"].sum())
    return {
        "flows": len(simulated.flows),
        "completed_flows": len(done),
        "completion_min_us": float(times_ps.min()) / PS_PER_US if len(done) else None,
        **{f"completion_p{share:.0%}_us".replace("%", ""): _percentile_us(times_ps, share) for share in (0.5, 0.99)},
        "completion_max_us": float(times_ps.max()) / PS_PER_US if len(done) else None,
        "goodput_bps": delivered * BITS_PER_BYTE * PS_PER_SECOND / span_ps if span_ps else None,
        "jfi": _jain(done["size_bytes"] / times_ps),
        "ecn_marked_packets": _total(counters, "ecn_marked_packets"),
        "dropped_packets": _total(counters, "dropped_packets"),
        "retransmitted_packets": int(done["retransmitted_packets"].sum()),
        "reordered_packets": int(done["reordered_packets"].sum()),
        "pause_tx_frames": _total(counters, "pause_tx_frames"),
        "paused_us": _total(counters, "paused_ps") / PS_PER_US,
        "peak_queue_bytes": int(counters["peak_depth_bytes"][at_switches].max()),
        "peak_buffer_bytes": int(simulation.buffers()["peak_bytes"].max()),
        "method": simulation.method,
        "skipped_us": simulation.skipped_ps / PS_PER_US,
        "packet_hops": simulation.packet_hops,
        "events": simulation.events,
    }


def _total(counters: npt.NDArray[Any], name: str) -> int:
    return int(counters[name].sum())


def _percentile_us(times_ps: npt.NDArray[np.float64], share: float) -> float | None:
    try:
        return percentile(times_ps, share) / PS_PER_US
    except UndefinedKpi:
        return None


def _jain(rates: npt.NDArray[np.float64]) -> float | None:
    try:
        return jain_index(rates)
    except UndefinedKpi:
        return None
