"""One trial of a procedure on the packet simulator, without wires: load, simulation, and what was observed of it."""

import pandas as pd
import pyarrow as pa
from simulated_inventory import LAB

from aibench_lib.model import Port
from aibench_lib.procedures import PROCEDURES
from aibench_lib.procedures.procedure import Observation, Terms
from aibench_lib.simulator import Ecn, Parameters, Pfc, Simulation

LOSSLESS = 3
BUFFER_BYTES = 118_000_000
_FIELDS = {
    "transmit_packets": "tx_packets",
    "ecn_marked_packets": "ecn_marked_packets",
    "dropped_packets": "dropped_packets",
    "depth_bytes": "depth_bytes",
}


def run_trial(test, point, *, pfc_bytes, ecn=None, seed=1, trial_seconds=None, dcqcn="nvidia-default"):
    """Return the observation of one trial and the simulation after it; PFC is on at every switch port."""
    procedure, fabric = PROCEDURES[test], LAB.fabric(test)
    site = procedure.site(point, fabric)
    load = procedure.load(point, site, Terms(start_jitter_ns=0, trial_seconds=trial_seconds, fabric=fabric), seed)
    simulation = Simulation(fabric.topology, Parameters(buffer_bytes=BUFFER_BYTES, dcqcn=dcqcn), seed)
    for port in (end for link in fabric.topology.links for end in (link.a, link.b)):
        if port.node in fabric.topology.switches:
            simulation.set_pfc(port, LOSSLESS, Pfc(xoff_bytes=pfc_bytes))
            simulation.set_ecn(port, LOSSLESS, ecn and Ecn(*ecn))
    flows = {
        simulation.start_flow(host, one.peer, one.size_bytes, 1000 * one.offset_ns, one.qp, one.priority): (host, one)
        for host, transfers in load.transfers.items()
        for one in transfers
    }
    simulation.record_series([(port, LOSSLESS) for port in site.watched], 10_000_000)
    simulation.advance(load.duration_ns and 1000 * load.duration_ns)
    return _observation(test, point, fabric, site, simulation, flows), simulation


def _observation(test, point, fabric, site, simulation, flows):
    counters, series = simulation.counters(), simulation.series()
    end_ns = simulation.now_ps // 1000

    def row(port):
        here = (counters["node"] == port.node) & (counters["interface"] == port.interface)
        return counters[here & (counters["priority"] == LOSSLESS)][0]

    def queue_of(port):
        own = series[series["index"] == site.watched.index(port)]
        frame = pd.DataFrame({name: own[field] for name, field in _FIELDS.items()})
        frame.insert(0, "time_ns", own["time_ps"] // 1000)
        frame.loc[len(frame)] = [end_ns, *(int(row(port)[field]) for field in _FIELDS.values())]
        return frame

    return Observation(
        samples=_samples(simulation, flows),
        queue_of=queue_of,
        pfc_of=lambda port: pd.DataFrame({"pause_tx_frames": [0, int(row(port)["pause_tx_frames"])]}),
        nic={
            host: {"rx_prio3_pause_duration": int(row(Port(host, "nic0"))["paused_ps"]) // 1_000_000}
            for host in site.senders
        },
        t0_ns=0,
        t_end_ns=end_ns,
        interval_ns=10_000,
        buffer_bytes=BUFFER_BYTES,
        setting={},
        point=point,
        site=site,
        fabric=fabric,
    )


def _samples(simulation, flows):
    done = simulation.completions()
    completed = dict(zip(done["flow"].tolist(), (done["completed_ps"] // 1000).tolist(), strict=True))
    rows = [
        {
            "host": host,
            "peer": one.peer,
            "qp": one.qp,
            "size_bytes": one.size_bytes,
            "intended_ns": one.offset_ns,
            "posted_ns": one.offset_ns,
            "completed_ns": completed.get(number),
        }
        for number, (host, one) in flows.items()
    ]
    return pa.Table.from_pylist(rows)
