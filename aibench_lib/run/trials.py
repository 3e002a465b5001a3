"""Run the trials of one setting: offer the load, observe, judge whether the trial is valid, write it down."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from aibench_lib.errors import LabError, TrialError
from aibench_lib.files import write_whole
from aibench_lib.journal import Journal
from aibench_lib.model import Port
from aibench_lib.procedures import PROCEDURES
from aibench_lib.procedures.procedure import Observation, Point, Procedure
from aibench_lib.run.lab import Lab
from aibench_lib.run.plan import PlannedTest, PlannedTrial, Profile, duration, shown, trials_of_setting
from aibench_lib.run.subscriptions import subscriptions
from aibench_lib.telemetry import frames
from aibench_lib.telemetry.config import Config
from aibench_lib.telemetry.control import Collector
from aibench_lib.worker.coordinator import Coordinator, TrialSamples

ATTEMPTS = 3
"""A trial that is not valid is repeated; after so many attempts the lab needs a person."""
_TELEMETRY_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the trials of one setting."""

    done: int
    discarded: int
    seconds: float
    """On the controller's clock [s]."""


def run_setting(
    planned: PlannedTest, setting: Point, lab: Lab, profile: Profile, run_dir: Path, say: Callable[[str], None]
) -> Outcome:
    """Run every trial of one setting that the journal does not hold yet.

    Args:
        planned: The test.
        setting: One of its settings; the switches have it already.
        lab: Where to run.
        profile: How much of the draft is run.
        run_dir: The run's folder.
        say: Called with a line of progress after each point.

    Raises:
        LabError: The lab does not answer, the disk is full, or a trial was not valid ``ATTEMPTS`` times.
        SpecError: The lab has too few workers for a point.
    """
    journal = Journal(run_dir / "journal.jsonl")
    procedure = PROCEDURES[planned.benchmark.id]
    progress = _Progress(planned, journal, setting, say)
    discarded = 0
    sites = [procedure.site(point, lab.topology, lab.pools) for point in planned.points]
    hosts = {host for site in sites for host in (*site.senders, *site.receivers)}
    watched = tuple(sorted({site.queue for site in sites}))
    with (
        Collector.start(_collected(lab, watched, profile), run_dir) as collector,
        Coordinator([lab.workers[host] for host in sorted(hosts)]) as coordinator,
    ):
        _describe(coordinator, journal)
        progress.begin()
        trial = _Trial(planned, setting, procedure, lab, profile, run_dir, collector, coordinator)
        for planned_trial in trials_of_setting(planned, setting, profile.seed):
            if planned_trial.id in progress.done:
                continue
            discarded += _until_valid(trial, planned_trial, journal)
            progress.advance(planned_trial)
        for warning in collector.stop().warnings:
            journal.append("anomaly", text=warning)
    return Outcome(done=len(progress.done), discarded=discarded, seconds=progress.seconds())


def _collected(lab: Lab, watched: Sequence[Port], profile: Profile) -> Config:
    return Config(subscriptions=subscriptions(lab, watched, profile), influx=lab.influx)


def _describe(coordinator: Coordinator, journal: Journal) -> None:
    """Write down which agents the run uses, once."""
    agents = coordinator.describe()
    if not any(event["event"] == "agents_described" for event in journal.events()):
        fields = ("version", "lab", "transport", "clock", "nic", "firmware")
        journal.append("agents_described", agents={a.host: {name: getattr(a, name) for name in fields} for a in agents})


def check_sites(planned: PlannedTest, lab: Lab) -> None:
    """Check that the lab has the workers that every point of a test needs.

    Raises:
        SpecError: It has not.
    """
    for point in planned.points:
        PROCEDURES[planned.benchmark.id].site(point, lab.topology, lab.pools)


def _until_valid(trial: "_Trial", planned: PlannedTrial, journal: Journal) -> int:
    """Run a trial until it is valid; return how often it was not."""
    for attempt in range(ATTEMPTS):
        try:
            event = trial.run(planned, f"{planned.id}-a{attempt + 1}")
        except TrialError as error:
            journal.append("trial_discarded", trial=planned.id, attempt=attempt + 1, reason=str(error))
            last = error
            continue
        journal.append("trial_done", **event)
        return attempt
    raise LabError(
        "controller", f"trial {planned.id} was not valid {ATTEMPTS} times in a row; the last reason: {last}"
    ) from last


@dataclass(frozen=True)
class _Trial:
    """Everything the trials of one setting share."""

    planned: PlannedTest
    setting: Point
    procedure: Procedure
    lab: Lab
    profile: Profile
    run_dir: Path
    collector: Collector
    coordinator: Coordinator

    def run(self, trial: PlannedTrial, name: str) -> dict[str, object]:
        """Run one trial and write its samples; return what the journal keeps of it.

        Raises:
            TrialError: The trial is not valid.
        """
        site = self.procedure.site(trial.point, self.lab.topology, self.lab.pools)
        load = self.procedure.load(trial.point, site, self.profile.start_jitter_ns, trial.seed)
        sent = self.coordinator.run_trial(name, load, self.profile.start_lead_ns)
        window = self.collector.window(sent.t0_ns, sent.t_end_ns, _TELEMETRY_TIMEOUT_SECONDS)
        if window.reasons:
            raise TrialError("; ".join(window.reasons))
        dut = self.lab.switches[site.queue.node]
        queue = frames.queue_frame(window.tables, site.queue.node, site.queue.interface, str(dut.options["queue"]))
        values = self.procedure.measure(
            Observation(
                samples=sent.table,
                queue=queue,
                t0_ns=sent.t0_ns,
                t_end_ns=sent.t_end_ns,
                interval_ns=self.profile.telemetry_interval_ns,
                buffer_bytes=int(dut.options.get("buffer_bytes", 0)),
            )
        )
        self._write_samples(trial, sent)
        return {
            "trial": trial.id,
            "test": self.planned.benchmark.id,
            "setting": dict(self.setting),
            "point": dict(trial.point),
            "seed": trial.seed,
            "t0_ns": sent.t0_ns,
            "t_end_ns": sent.t_end_ns,
            "values": dict(values),
        }

    def _write_samples(self, trial: PlannedTrial, sent: TrialSamples) -> None:
        about = {
            "trial": trial.id,
            "test": self.planned.benchmark.id,
            "setting": json.dumps(self.setting, sort_keys=True),
            "point": json.dumps(trial.point, sort_keys=True),
            "t0_ns": str(sent.t0_ns),
            "t_end_ns": str(sent.t_end_ns),
        }
        table: pa.Table = sent.table.replace_schema_metadata(about)
        write_whole(self.run_dir / "samples" / f"{trial.id}.parquet", lambda stream: pq.write_table(table, stream))


class _Progress:
    """Says after each point how far the run is and how long it will take."""

    def __init__(self, planned: PlannedTest, journal: Journal, setting: Point, say: Callable[[str], None]) -> None:
        events = journal.events()
        mine = f"{planned.benchmark.id}-s{planned.settings.index(setting) + 1}-"
        done = [event["trial"] for event in events if event["event"] == "trial_done"]
        self.done = {trial for trial in done if trial.startswith(mine)}
        self._before = len(done)
        self._total = next(event["trials"] for event in events if event["event"] == "run_opened")
        self._planned = planned
        self._setting = setting
        self._say = say
        self._work = 0.0
        self.begin()

    def begin(self) -> None:
        """Let the clock run from now: what was started before the first trial says nothing of a trial's length."""
        self._began = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def advance(self, trial: PlannedTrial) -> None:
        self.done.add(trial.id)
        self._before += 1
        self._work += _work(trial.point)
        if trial.number == self._planned.trials:
            self._say(
                f"  {shown(trial.point)}: {self._planned.trials} trials  "
                f"[{self._before} of {self._total}, {duration(self._left())} left]"
            )

    def _left(self) -> float:
        """Return the time the rest of the run will take at the pace of this setting [s]."""
        per_point = [_work(point) * self._planned.trials for point in self._planned.points]
        settings_left = len(self._planned.settings) - self._planned.settings.index(self._setting) - 1
        work_left = sum(per_point) * (settings_left + 1) - self._work
        return max(0.0, self.seconds() / self._work * work_left)


def _work(point: Point) -> float:
    """Return a point's share of a run: the bytes it offers, and as many again as a trial's fixed cost is worth."""
    offered = float(point.get("prefill_workers", 1)) * float(point.get("message_bytes", 0))
    return offered + 50e6
