"""One trial: offer the load, observe, judge whether it is valid, write it down."""

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aibench_lib.errors import TrialError
from aibench_lib.files import write_whole
from aibench_lib.journal import Journal
from aibench_lib.model import Port
from aibench_lib.procedures import PROCEDURES
from aibench_lib.procedures.procedure import LOSSLESS_PRIORITY, Fabric, Observation, Point, Procedure, Site
from aibench_lib.run.disturbance import within
from aibench_lib.run.lab import Lab
from aibench_lib.run.plan import PlannedTest, PlannedTrial, Profile, terms_of
from aibench_lib.switch.faults import Place
from aibench_lib.telemetry import frames
from aibench_lib.telemetry.control import Collector
from aibench_lib.telemetry.ledger import Window
from aibench_lib.units import NS_PER_SECOND
from aibench_lib.worker.coordinator import Coordinator
from aibench_lib.worker.trial_samples import TrialSamples

_TELEMETRY_TIMEOUT_SECONDS = 30.0
_REASONS = 3
"""Of why a trial is not valid, so many are told."""


@dataclass(frozen=True)
class Offered:
    """What became of a trial's load."""

    sent: TrialSamples
    disturbed: tuple[int, int] | None
    """When the switches were told to begin the trial's fault, and to end it [ns since the epoch]; None: it has none."""


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

    def offer(self, trial: PlannedTrial, name: str) -> Offered:
        """Have the workers send a trial's load, with the fault that it has; return what they sent and when.

        Args:
            trial: The trial.
            name: What the agents call this attempt at it.

        Raises:
            TrialError: Not everything was sent, or not in time.
            LabError: A switch did not do as told, or the fault could not be ended.
        """
        terms = terms_of(self.profile, self.planned.trial_seconds, self._fabric)
        load = self._procedure.load(trial.point, self._site(trial), terms, trial.seed)
        fault = self._procedure.fault(trial.point, self._fabric) if self._procedure.fault else None
        place = Place(
            topology=self.lab.topology,
            targets=self.lab.switches,
            journal=Journal(self.run_dir / "journal.jsonl"),
            run_dir=self.run_dir,
        )
        with within(fault, place, self._length_ns) as disturbance:
            at_start = disturbance.at_start if disturbance else None
            sent = self.coordinator.run_trial(name, load, self.profile.start_lead_ns, at_start=at_start)
        return Offered(sent, disturbance.span_ns() if disturbance else None)

    def judge(self, trial: PlannedTrial, offered: Offered) -> dict[str, object]:
        """Observe what the fabric did with a trial, write its samples, and return what the journal keeps of it.

        Raises:
            TrialError: The trial is not valid: telemetry has a gap or a reset, or observations contradict each other.
            LabError: The samples cannot be written.
        """
        sent = offered.sent
        window = self.collector.window(sent.t0_ns, sent.t_end_ns, _TELEMETRY_TIMEOUT_SECONDS)
        if window.reasons:
            raise TrialError(_first_of(window.reasons))
        seen = self._observation(trial, offered, window)
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

    def _observation(self, trial: PlannedTrial, offered: Offered, window: Window) -> Observation:
        site, sent = self._site(trial), offered.sent
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
            routing_of=functools.cache(lambda switch: seen.series("routing", {"switch": switch})),
            disturbed=offered.disturbed,
            length_ns=self._length_ns,
            clock_uncertainty_ns=sent.clock_uncertainty_ns,
        )

    @property
    def _length_ns(self) -> int:
        return round((self.planned.trial_seconds or 0) * NS_PER_SECOND)

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


def _first_of(reasons: Sequence[str]) -> str:
    """Return reasons as one line that can be read: a machine that is too busy leaves gaps everywhere."""
    different = list(dict.fromkeys(reasons))
    more = len(different) - _REASONS
    return "; ".join(different[:_REASONS]) + (f"; and {more} more such reasons" if more > 0 else "")
