"""One trial of a procedure with streams, on the simulated fabric without wires: load, simulation, observation."""

import pandas as pd
import pyarrow as pa
from simulated_inventory import LAB, PLATFORMS

from aibench_lib.procedures import PROCEDURES
from aibench_lib.procedures.procedure import Observation, Terms
from aibench_lib.simulator import Parameters
from aibench_lib.virtual_lab.course import Demand
from aibench_lib.virtual_lab.nos import make_switches
from aibench_lib.virtual_lab.rendezvous import Share
from aibench_lib.virtual_lab.samples import rows
from aibench_lib.virtual_lab.trial import Loop, Trial
from aibench_lib.virtual_lab.world import World
from aibench_lib.virtual_lab.writes import Writes

START_NS = 1_700_000_000_000_000_000


def run_streams(test, point, *, trial_seconds, seed=1, clock_uncertainty_ns=0):
    """Return what one trial leaves behind; its samples carry the procedure's remarks, as the runner's do."""
    procedure, fabric = PROCEDURES[test], LAB.fabric(test)
    site = procedure.site(point, fabric)
    load = procedure.load(point, site, Terms(start_jitter_ns=0, trial_seconds=trial_seconds, fabric=fabric), seed)
    platforms = {name: PLATFORMS.get(name, "nokia_srlinux") for name in fabric.topology.switches}
    world = World(
        fabric.topology, Parameters(dcqcn="off"), make_switches(fabric.topology, platforms, Writes()), START_NS
    )
    loops = [_loop(host, one) for host, streams in load.streams.items() for one in streams]
    trial = Trial(t0_ns=START_NS, seed=seed, flows=[], timeout_ns=load.duration_ns or 0, loops=loops)
    parts = []
    queues = frozenset((port, 3) for port in site.watched)
    outcome = world.run(trial, Demand(queues=queues, series_ns=100_000), parts.append)
    tables = [
        rows(loop.source, Share([], slice(0, 0), [(loop, messages)], outcome), START_NS)
        for loop, messages in zip(loops, outcome.loops, strict=True)
    ]

    def queue_of(port):
        series = [part.series[port, 3] for part in parts if (port, 3) in part.series]
        columns = {"time_ns": "time_ns", "transmit_bytes": "tx_bytes"}
        return pd.DataFrame({ours: [x for one in series for x in one[theirs]] for ours, theirs in columns.items()})

    seen = Observation(
        samples=pa.concat_tables(tables),
        queue_of=queue_of,
        pfc_of=queue_of,
        nic={},
        t0_ns=START_NS,
        t_end_ns=outcome.end_ns,
        interval_ns=100_000,
        buffer_bytes=0,
        setting={},
        point=point,
        site=site,
        fabric=fabric,
        length_ns=round(trial_seconds * 1e9),
        clock_uncertainty_ns=clock_uncertainty_ns,
    )
    return seen, remarked(test, seen)


def remarked(test, seen):
    """Return an observation's samples as the runner keeps them."""
    return seen.samples.replace_schema_metadata(dict(PROCEDURES[test].remarks(seen)))


def _loop(host, stream):
    names = ("qp", "size_bytes", "depth", "batch", "offset_ns", "duration_ns", "rate_bps", "priority", "operation")
    return Loop(source=host, destination=stream.peer, **{name: getattr(stream, name) for name in names})
