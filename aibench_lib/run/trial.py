"""One trial: offer the load, observe, judge whether it is valid, write it down."""

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aibench_lib.errors import TrialError
from aibench_lib.files import write_whole
from aibench_lib.model import Port
from aibench_lib.procedures import PROCEDURES
from aibench_lib.procedures.procedure import LOSSLESS_PRIORITY, Fabric, Observation, Point, Procedure, Site
from aibench_lib.run.lab import Lab
from aibench_lib.run.plan import PlannedTest, PlannedTrial, Profile, terms_of
from aibench_lib.telemetry import frames
from aibench_lib.telemetry.control import Collector
from aibench_lib.telemetry.ledger import Window
from aibench_lib.units import NS_PER_SECOND
from aibench_lib.worker.coordinator import Coordinator
from aibench_lib.worker.trial_samples import TrialSamples

_TELEMETRY_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Bench:
    """Everything the trials of one setting share."""

    planned: PlannedTest
    setting: Point
    lab: Lab
    profile: Profile
    run_dir: Path
    collector: Collector
    coordinator: Coordinator

    def offer(self, trial: PlannedTrial, name: str) -> TrialSamples:
        """Have the workers send a trial's load; return what they sent and when.

        Args:
            trial: The trial.
            name: What the agents call this attempt at it.

        Raises:
            TrialError: Not everything was sent, or not in time.
        """
        terms = terms_of(self.profile, self.planned.trial_seconds, self._fabric)
        load = self._procedure.load(trial.point, self._site(trial), terms, trial.seed)
        return self.coordinator.run_trial(name, load, self.profile.start_lead_ns)

    def judge(self, trial: PlannedTrial, sent: TrialSamples) -> dict[str, object]:
        """Observe what the fabric did with a trial, write its samples, and return what the journal keeps of it.

        Raises:
            TrialError: The trial is not valid: telemetry has a gap or a reset, or observations contradict each other.
            LabError: The samples cannot be written.
        """
        window = self.collector.window(sent.t0_ns, sent.t_end_ns, _TELEMETRY_TIMEOUT_SECONDS)
        if window.reasons:
            raise TrialError("; ".join(window.reasons))
        seen = self._observation(trial, sent, window)
        values = self._procedure.measure(seen)
        remarks = dict(self._procedure.remarks(seen))
        about = {"trial": trial.id, "test": self.planned.benchmark.id, "t0_ns": sent.t0_ns, "t_end_ns": sent.t_end_ns}
        about["transport"] = "+".join(sorted(pc.unique(sent.table["transport"]).to_pylist()))
        where = {"setting": dict(self.setting), "point": dict(trial.point)}
        self._write("samples", trial, sent.table, {**about, **where, **remarks})
        series = self._procedure.series(seen)
        if series is not None:
            table = pa.Table.from_pandas(series, preserve_index=False)
            self._write(
                "series", trial, table, {**about, **where, **{str(key): value for key, value in series.attrs.items()}}
            )
        simulation = {"simulation": asdict(sent.simulation)} if sent.simulation else {}
        start = {"start": asdict(sent.start)} if sent.start else {}
        return {**about, **where, **simulation, **start, "seed": trial.seed, "values": dict(values), "remarks": remarks}

    def _observation(self, trial: PlannedTrial, sent: TrialSamples, window: Window) -> Observation:
        site = self._site(trial)
        switches = self.lab.switches
        seen = frames.Frames(window.tables)

        def series(measurement: str, port: Port, **tags: str) -> pd.DataFrame:
            names = {"switch": port.node, "interface": port.interface, **tags}
            return seen.series(measurement, names)

        return Observation(
            samples=sent.table,
            queue_of=functools.cache(
                lambda port: series("queue", port, queue=str(switches[port.node].options["queue"]))
            ),
            interface_of=functools.cache(lambda port: series("interface", port)),
            pfc_of=functools.cache(lambda port: series("pfc", port, priority=str(LOSSLESS_PRIORITY))),
            nic=sent.nic,
            t0_ns=sent.t0_ns,
            t_end_ns=sent.t_end_ns,
            interval_ns=self.profile.telemetry_interval_ns,
            buffer_bytes=int(switches[site.watched[0].node].options.get("buffer_bytes", 0)),
            setting=self.setting,
            point=trial.point,
            site=site,
            fabric=self._fabric,
            length_ns=round((self.planned.trial_seconds or 0) * NS_PER_SECOND),
            clock_uncertainty_ns=sent.clock_uncertainty_ns,
        )

    @property
    def _procedure(self) -> Procedure:
        return PROCEDURES[self.planned.benchmark.id]

    def _site(self, trial: PlannedTrial) -> Site:
        return self._procedure.site(trial.point, self._fabric)

    @functools.cached_property
    def _fabric(self) -> Fabric:
        return self.lab.fabric(self.planned.benchmark.id)

    def _write(self, folder: str, trial: PlannedTrial, rows: pa.Table, about: dict[str, object]) -> None:
        described = {
            key: json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
            for key, value in about.items()
        }
        table = rows.replace_schema_metadata(described)
        write_whole(self.run_dir / folder / f"{trial.id}.parquet", lambda file: pq.write_table(table, file))
