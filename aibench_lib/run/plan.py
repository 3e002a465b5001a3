"""What a run will do: tests, settings, load points and trials, before anything is touched."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from aibench_lib.catalogue import Benchmark, load_benchmarks, points, settings
from aibench_lib.errors import NotAttainable, SpecError
from aibench_lib.model import Deviation, LabKind
from aibench_lib.procedures import PROCEDURES
from aibench_lib.procedures.procedure import Change, Fabric, Point, Procedure, Terms
from aibench_lib.run.lab import Lab
from aibench_lib.spec import build
from aibench_lib.switch.setting import parse_setting


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How much of the draft a run does; what is None is as the draft says."""

    trials: int | None = None
    start_jitter_ns: int = 1000
    """Senders of a simultaneous start post within this time after T0 [ns]."""
    telemetry_interval_ns: int = 1_000_000_000
    """Sampling interval of the observed queue, on the lab's clock [ns]."""
    start_lead_ns: int = 500_000_000
    """T0 is this long after every worker is connected; must cover a call to all workers [ns]."""
    fabric_interval_ns: int | None = None
    """Sampling interval of every other counter; None: 100 times that of the observed queue [ns]."""
    trial_seconds: float | None = None
    """How long a trial lasts, of the tests that have a duration [s, lab clock]."""
    overrun_seconds: float = 30.0
    """How long what is outstanding at the end of a trial's length may take; points that need longer at line rate are
    left out [s, lab clock]."""
    seed: int = 1
    tests: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Test id -> the keys above that differ for this test."""

    def __post_init__(self) -> None:
        for name, value in self._numbers().items():
            kinds = (int, float) if name.endswith("_seconds") else int
            if value is not None and (not isinstance(value, kinds) or isinstance(value, bool) or value < 0):
                raise ValueError(f"{name}: expected a whole number, found {value!r}")
        if 0 in (self.trials, self.telemetry_interval_ns, self.trial_seconds, self.overrun_seconds):
            raise ValueError("trials, telemetry_interval_ns, trial_seconds and overrun_seconds must not be 0")
        known = [name for name in self._numbers() if name != "seed"]
        for test, own in self.tests.items():
            for name in own:
                if name not in known:
                    raise ValueError(f"tests: {test!r}: {name}: unknown key; known: {', '.join(known)}")
            self.of(test)

    def of(self, test: str) -> "Profile":
        """Return the profile as it is for one test."""
        return replace(self, **{**self.tests.get(test, {}), "tests": {}})

    def _numbers(self) -> dict[str, Any]:
        return {part.name: getattr(self, part.name) for part in fields(self) if part.name != "tests"}


@dataclass(frozen=True, kw_only=True)
class PlannedTest:
    """One test with everything that is to be tried."""

    benchmark: Benchmark
    settings: tuple[Point, ...]
    points: tuple[Point, ...]
    trials: int
    trial_seconds: float | None = None
    """How long a trial lasts where the test has a duration [s, lab clock]."""
    not_attainable: Mapping[str, str] = field(default_factory=dict)
    """A setting that is left out, as it is shown -> why the switches cannot take it."""
    points_left_out: Mapping[str, str] = field(default_factory=dict)
    """A point that is left out, as it is shown -> why this lab or profile cannot offer it."""

    @property
    def total_trials(self) -> int:
        """Trials over all settings and points."""
        return len(self.settings) * len(self.points) * self.trials


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """One trial: its name in the results, its load point and its seed."""

    id: str
    point: Point
    number: int
    """1 for the first trial of the point."""
    seed: int


def choose_profile(name: str, profiles: object) -> Profile:
    """Return the profile called ``name`` of the inventory's ``profiles``.

    Raises:
        SpecError: No such profile, or one of its keys is unknown or not a whole number.
    """
    if not isinstance(profiles, Mapping) or name not in profiles:
        known = ", ".join(profiles) if isinstance(profiles, Mapping) else "none"
        raise SpecError(f"profile: there is no profile {name!r}; the inventory's profiles are: {known}")
    return build(Profile, profiles[name] or {}, f"inventory: profiles.{name}")


def choose_tests(
    wanted: str | float | Sequence[str] | None, section: int | None, also: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the ids of the tests to run, in the draft's order.

    Args:
        wanted: Ids as a list or as ``"8.1,8.2"`` (one id without quotes is a number in YAML); None for every test of
            the section that this version runs.
        section: The playbook's section, None for any.
        also: Tests of other sections that belong to the playbook, too.

    Raises:
        SpecError: An id is not in the draft, not of this section, or not runnable yet.
    """
    catalogue = load_benchmarks()
    runnable = [id_ for id_ in catalogue if id_ in PROCEDURES and (section in (None, _section(id_)) or id_ in also)]
    if wanted is None:
        return tuple(runnable)
    parts = wanted if isinstance(wanted, list | tuple) else str(wanted).split(",")
    ids = [str(part).strip() for part in parts]
    for id_ in ids:
        if id_ not in catalogue:
            raise SpecError(f"tests: {id_!r} is no test of the draft; its tests are: {', '.join(catalogue)}")
        if section is not None and _section(id_) != section and id_ not in also:
            raise SpecError(f"tests: {id_} is not in Section {section}; use the playbook of Section {_section(id_)}")
        if id_ not in PROCEDURES:
            raise SpecError(
                f"tests: {id_} ({catalogue[id_].title}) cannot be run by this version; it runs: {', '.join(PROCEDURES)}"
            )
    return tuple(id_ for id_ in catalogue if id_ in ids)


def _section(test: str) -> int:
    return int(test.split(".")[0])


def plan_tests(tests: Sequence[str], profile: Profile, lab: Lab) -> tuple[PlannedTest, ...]:
    """Return the settings, points and trials of each test; what the lab cannot take or offer is left out.

    Raises:
        SpecError: The lab does not fit a test, the inventory lacks a value that a setting needs, or no setting and
            point of any test is attainable.
    """
    planned = tuple(_plan(load_benchmarks()[id_], profile, lab) for id_ in tests)
    if not any(test.settings for test in planned):
        reasons = dict.fromkeys(reason for test in planned for reason in _reasons(test).values())
        raise SpecError(f"tests: {', '.join(tests)}: {'; '.join(reasons)}")
    return planned


def _reasons(test: PlannedTest) -> Mapping[str, str]:
    """Return what is left out of a test -> why: settings, then points."""
    return {**test.not_attainable, **test.points_left_out}


def _plan(benchmark: Benchmark, profile: Profile, lab: Lab) -> PlannedTest:
    procedure = PROCEDURES[benchmark.id]
    attainable: list[Point] = []
    refused: dict[str, str] = {}
    for setting in settings(benchmark):
        try:
            for change in procedure.changes(setting, lab.fabric(benchmark.id)):
                _check_attainable(change, lab)
            attainable.append(setting)
        except NotAttainable as error:
            refused[shown(setting)] = str(error)
    own = profile.of(benchmark.id)
    trial_seconds = own.trial_seconds or benchmark.trial_seconds
    possible, left_out = (
        _points(benchmark, terms_of(own, trial_seconds, lab.fabric(benchmark.id))) if attainable else ([], {})
    )
    if procedure.fault and lab.kind is LabKind.SIMULATED:
        left_out |= dict.fromkeys(map(shown, possible), _NOT_IN_A_TRIAL)
        possible = []
    return PlannedTest(
        benchmark=benchmark,
        settings=tuple(attainable) if possible else (),
        points=tuple(possible),
        trials=own.trials or benchmark.trials,
        trial_seconds=trial_seconds,
        not_attainable=refused,
        points_left_out=left_out,
    )


_NOT_IN_A_TRIAL = (
    "a link fails within a trial, which needs a lab in real time (inventory/kernel, or hardware): in the simulated lab "
    "a change of a link takes effect between two trials"
)


def terms_of(profile: Profile, trial_seconds: float | None, fabric: Fabric) -> Terms:
    """Return what a test's own profile decides of its load."""
    return Terms(
        start_jitter_ns=profile.start_jitter_ns,
        trial_seconds=trial_seconds,
        fabric=fabric,
        overrun_seconds=profile.overrun_seconds,
    )


def _points(benchmark: Benchmark, terms: Terms) -> tuple[list[Point], dict[str, str]]:
    """Return the points that the lab can offer, and why it cannot offer the others."""
    procedure = PROCEDURES[benchmark.id]
    possible: list[Point] = []
    left_out: dict[str, str] = {}
    for point in points(benchmark):
        try:
            procedure.check(point, procedure.site(point, terms.fabric), terms)
            possible.append(point)
        except NotAttainable as error:
            left_out[shown(point)] = str(error)
    return possible, left_out


def _check_attainable(change: Change, lab: Lab) -> None:
    for name, target in lab.switches.items():
        if name in change.only or not change.only:
            parse_setting(target, change.feature, change.values)


def check_play(planned: Sequence[PlannedTest], lab: Lab, play: Collection[str]) -> None:
    """Check that a narrowed play still configures what decides the values: a trial must not run under another setting.

    Those are the switches that a change is for by name, and, of a change for every switch, the one that is observed.

    Raises:
        SpecError: The play lacks one.
    """
    for test in planned:
        procedure, fabric = PROCEDURES[test.benchmark.id], lab.fabric(test.benchmark.id)
        for setting in test.settings:
            observed = {procedure.site(point, fabric).watched[0].node for point in test.points}
            for change in procedure.changes(setting, fabric):
                missing = sorted({*(change.only or observed)} - {*play})
                if missing:
                    raise SpecError(
                        f"--limit leaves out {', '.join(missing)}, which test {test.benchmark.id} must configure; "
                        "widen the limit, or choose other tests"
                    )


def trials_of_setting(planned: PlannedTest, setting: Point, seed: int) -> Iterator[PlannedTrial]:
    """Yield the trials of one setting, point by point, each with a seed of its own.

    A trial's seed depends on the run's seed, the test, the setting, the point and the trial's number alone, so that a
    trial can be repeated by itself.
    """
    id_ = planned.benchmark.id
    at = planned.settings.index(setting)
    for place, point in enumerate(planned.points):
        for number in range(1, planned.trials + 1):
            words = [seed, *(int(part) for part in id_.split(".")), at, place, number]
            trial_seed = int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))
            yield PlannedTrial(
                id=f"{id_}-s{at + 1}-p{place + 1}-t{number:03d}", point=point, number=number, seed=trial_seed
            )


def planned_deviations(planned: Sequence[PlannedTest]) -> list[Deviation]:
    """Return where the plan itself differs from the draft."""
    left_out = [
        Deviation(subject=f"Test {test.benchmark.id}: {setting}", draft="to be measured", here=reason)
        for test in planned
        for setting, reason in _reasons(test).items()
    ]
    shorter = [
        Deviation(
            subject=f"Test {test.benchmark.id}: length of a trial",
            draft=f"{test.benchmark.trial_seconds:g} s",
            here=f"{test.trial_seconds:g} s",
        )
        for test in planned
        if test.settings and (test.trial_seconds or 0) < (test.benchmark.trial_seconds or 0)
    ]
    return (
        left_out
        + shorter
        + [
            Deviation(
                subject=f"Test {test.benchmark.id}: trials per configuration",
                draft=f"at least {test.benchmark.trials}",
                here=str(test.trials),
            )
            for test in planned
            if test.settings and test.trials < test.benchmark.trials
        ]
    )


def steps(planned: Sequence[PlannedTest], lab: Lab) -> list[dict[str, Any]]:
    """Return what a playbook loops over: one item a test and setting, with what each switch is told."""
    return [
        {
            "test": test.benchmark.id,
            "changes": _changes_by_switch(PROCEDURES[test.benchmark.id], setting, lab, test.benchmark.id),
            "setting": dict(setting),
            "restore_first": setting is test.settings[0] and test is not planned[0],
            "label": f"Test {test.benchmark.id}, {shown(setting) or 'the fabric as it is'}",
        }
        for test in planned
        for setting in test.settings
    ]


def _changes_by_switch(procedure: Procedure, setting: Point, lab: Lab, test: str) -> dict[str, list[dict[str, Any]]]:
    """Return the features and values of each switch that a setting changes, in their order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for change in procedure.changes(setting, lab.fabric(test)):
        for switch in change.only or lab.switches:
            found.setdefault(switch, []).append({"feature": change.feature, "values": dict(change.values)})
    return found


def said(planned: Sequence[PlannedTest]) -> list[str]:
    """Return the plan in a line a test."""
    return [
        line
        for test in planned
        for line in (
            f"Test {test.benchmark.id} {test.benchmark.title}: {counted(len(test.settings), 'setting')} x "
            f"{counted(len(test.points), 'point')} x {counted(test.trials, 'trial')} = "
            f"{counted(test.total_trials, 'trial')}",
            *_left_out(test),
        )
    ]


def _left_out(test: PlannedTest) -> Iterator[str]:
    """Yield what is left out, a line a reason."""
    alike: dict[str, list[str]] = {}
    for what, reason in _reasons(test).items():
        alike.setdefault(reason, []).append(what)
    for reason, (first, *others) in alike.items():
        more = f" and {len(others)} more" if len(others) > 1 else "".join(f", {one}" for one in others)
        yield f"  left out: {first}{more}: {reason}"


def counted(count: int, what: str) -> str:
    """Return a number with its noun in the singular or plural."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def shown(point: Point) -> str:
    """Return a setting or a load point as ``key=value key=value``."""
    return " ".join(f"{key}={value}" for key, value in point.items())


def duration(seconds: float) -> str:
    """Return a duration as a person reads it: ``1:05`` or ``2:03:04``."""
    whole = math.ceil(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
