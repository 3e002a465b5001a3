"""Run the trials of one setting: one after the other, repeated where not valid, with progress."""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aibench_lib.errors import LabError, StartError, TrialError
from aibench_lib.journal import Journal
from aibench_lib.model import LabKind, Port
from aibench_lib.procedures import PROCEDURES
from aibench_lib.procedures.procedure import Point
from aibench_lib.run.lab import Lab
from aibench_lib.run.plan import PlannedTest, PlannedTrial, Profile, counted, duration, shown, trials_of_setting
from aibench_lib.run.subscriptions import subscriptions
from aibench_lib.run.trial import Bench
from aibench_lib.telemetry.config import Config
from aibench_lib.telemetry.control import Collector
from aibench_lib.worker.coordinator import Coordinator

ATTEMPTS = 3
"""A trial that is not valid is repeated; after so many attempts the lab needs a person."""

_SAY_EVERY_SECONDS = 1.0
"""Points that end sooner after the line before are not told of, but for a setting's last one."""


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
        say: Called with a line of progress, at most one a point and second.

    Raises:
        LabError: The lab does not answer, the disk is full, or a trial was not valid ``ATTEMPTS`` times.
        SpecError: The lab has too few workers for a point.
    """
    journal = Journal(run_dir / "journal.jsonl")
    procedure = PROCEDURES[planned.benchmark.id]
    progress = _Progress(planned, journal, setting, say)
    profile = profile.of(planned.benchmark.id)
    fabric = lab.fabric(planned.benchmark.id)
    sites = [procedure.site(point, fabric) for point in planned.points]
    hosts = {host for site in sites for host in (*site.senders, *site.receivers)}
    watched = tuple(sorted({port for site in sites for port in site.watched}))
    with (
        Collector.start(_collected(lab, watched, profile), run_dir) as collector,
        Coordinator([lab.workers[host] for host in sorted(hosts)], spool=run_dir) as coordinator,
    ):
        _describe(coordinator, journal)
        progress.begin()
        bench = Bench(planned, setting, lab, profile, run_dir, collector, coordinator)
        waiting = [
            trial for trial in trials_of_setting(planned, setting, profile.seed) if trial.id not in progress.done
        ]
        discarded = _run_all(bench, waiting, journal, progress)
        for warning in collector.stop().warnings:
            journal.append("anomaly", text=warning)
    return Outcome(done=len(progress.done), discarded=discarded, seconds=progress.seconds())


def _collected(lab: Lab, watched: Sequence[Port], profile: Profile) -> Config:
    return Config(subscriptions=subscriptions(lab, watched, profile), influx=lab.influx)


def _describe(coordinator: Coordinator, journal: Journal) -> None:
    """Write down which agents the run uses, once, and what each of their hosts says of itself."""
    agents = coordinator.describe()
    if not any(event["event"] == "agents_described" for event in journal.events()):
        fields = ("version", "lab", "transport", "clock", "nic", "firmware")
        journal.append("agents_described", agents={a.host: {name: getattr(a, name) for name in fields} for a in agents})
    known = {host for event in journal.events() if event["event"] == "hosts_inspected" for host in event["hosts"]}
    if any(agent.lab != LabKind.SIMULATED and agent.host not in known for agent in agents):
        journal.append(
            "hosts_inspected", hosts={h: said for h, said in coordinator.inspect().items() if h not in known}
        )


def check_sites(planned: PlannedTest, lab: Lab) -> None:
    """Check that the lab has the workers that every point of a test needs.

    Raises:
        SpecError: It has not.
    """
    fabric = lab.fabric(planned.benchmark.id)
    for point in planned.points if planned.settings else ():
        PROCEDURES[planned.benchmark.id].site(point, fabric)


def _run_all(bench: Bench, waiting: Sequence[PlannedTrial], journal: Journal, progress: "_Progress") -> int:
    """Offer one trial while the one before it is judged; repeat those that are not valid; return how many were not."""
    ahead = deque((trial, 1) for trial in waiting)
    behind: tuple[PlannedTrial, int, Future[dict[str, object]]] | None = None
    discarded = 0
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="judge") as judge:
        while ahead or behind:
            offered = None
            if ahead:
                trial, attempt = ahead.popleft()
                try:
                    sent = bench.offer(trial, f"{trial.id}-a{attempt}")
                    offered = (trial, attempt, judge.submit(bench.judge, trial, sent))
                except StartError as error:
                    ahead = _unless_refused(journal, trial, attempt, error, ahead)
                    discarded += 1
                except TrialError as error:
                    ahead.appendleft(_again(journal, trial, attempt, error))
                    discarded += 1
            if behind:
                trial, attempt, judgement = behind
                try:
                    journal.append("trial_done", **judgement.result())
                    progress.advance(trial)
                except TrialError as error:
                    ahead.appendleft(_again(journal, trial, attempt, error))
                    discarded += 1
            behind = offered
    return discarded


def _unless_refused(
    journal: Journal, trial: PlannedTrial, attempt: int, reason: StartError, ahead: deque[tuple[PlannedTrial, int]]
) -> deque[tuple[PlannedTrial, int]]:
    """Return what is ahead after a start that was not exact enough: the trial again, or all but its point's trials.

    Clocks and hosts that are not good enough for one window may be for the others.
    """
    if attempt < ATTEMPTS:
        ahead.appendleft(_again(journal, trial, attempt, reason))
        return ahead
    journal.append("trial_discarded", trial=trial.id, attempt=attempt, reason=str(reason))
    journal.append("anomaly", text=f"left out from trial {trial.id} on: {shown(trial.point)}; {reason}")
    return deque(one for one in ahead if one[0].point != trial.point)


def _again(journal: Journal, trial: PlannedTrial, attempt: int, reason: TrialError) -> tuple[PlannedTrial, int]:
    """Write down that a trial is not valid; return it with the number of its next attempt.

    Raises:
        LabError: This was its last one.
    """
    journal.append("trial_discarded", trial=trial.id, attempt=attempt, reason=str(reason))
    if attempt == ATTEMPTS:
        raise LabError(
            "controller", f"trial {trial.id} was not valid {ATTEMPTS} times in a row; the last reason: {reason}"
        ) from reason
    return trial, attempt + 1


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
        others = self._total > planned.total_trials  # whose trials' length is not known yet
        self._of_test = f" of {planned.benchmark.id}" if others else ""
        self._say = say
        self._work = 0.0
        self._left_of = Counter(
            shown(trial.point) for trial in trials_of_setting(planned, setting, 0) if trial.id not in self.done
        )
        self.begin()

    def begin(self) -> None:
        """Let the clock run from now: what was started before the first trial says nothing of a trial's length."""
        self._began = time.monotonic()
        self._said = -_SAY_EVERY_SECONDS

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def advance(self, trial: PlannedTrial) -> None:
        self.done.add(trial.id)
        self._before += 1
        self._work += _work(trial.point)
        self._left_of[shown(trial.point)] -= 1
        point_done = not self._left_of[shown(trial.point)]
        if point_done and (not self._left_of.total() or self.seconds() >= self._said + _SAY_EVERY_SECONDS):
            self._said = self.seconds()
            self._say(
                f"  {shown(trial.point)}{': ' if trial.point else ''}{counted(self._planned.trials, 'trial')}  "
                f"[{self._before} of {self._total}, {duration(self._left())} left{self._of_test}]"
            )

    def _left(self) -> float:
        """Return the time the rest of the run will take at the pace of this setting [s]."""
        per_point = [_work(point) * self._planned.trials for point in self._planned.points]
        settings_left = len(self._planned.settings) - self._planned.settings.index(self._setting) - 1
        work_left = sum(per_point) * (settings_left + 1) - self._work
        return max(0.0, self.seconds() / self._work * work_left)


def _work(point: Point) -> float:
    """Return a point's share of a run: the bytes it offers, and as many again as a trial's fixed cost is worth."""
    senders = float(point.get("prefill_workers", point.get("concurrent_transfers", 1)))
    offered = senders * float(point.get("message_bytes", 0))
    return offered + 50e6
