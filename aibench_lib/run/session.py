"""Open a run, find runs that did not end, and close a run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aibench_lib import DRAFT
from aibench_lib.errors import LabError, SpecError
from aibench_lib.files import make_private_directory, write_json
from aibench_lib.journal import Journal
from aibench_lib.model import Deviation, LabKind
from aibench_lib.run import guard, lock, provenance
from aibench_lib.run.described import hosts_of, switches_of, system_of, workers_of, workload_of
from aibench_lib.run.lab import Lab, lab_instance, parse_lab
from aibench_lib.run.left import left_changed
from aibench_lib.run.plan import (
    PlannedTest,
    Profile,
    check_play,
    choose_profile,
    choose_tests,
    plan_tests,
    planned_deviations,
    said,
    shown,
    steps,
)
from aibench_lib.run.summary import methods, starts, summarise, write_values
from aibench_lib.run.trials import check_sites
from aibench_lib.switch.target import parse_target

TERMINOLOGY = "draft-calabria-bmwg-ai-fabric-terminology-01"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of :func:`open_run`."""

    inventory: Mapping[str, Any]
    """As :func:`aibench_lib.run.lab.read_inventory` returns it."""
    inventory_dir: Path
    """Hashed for provenance."""
    section: int | None
    tests: str | float | Sequence[str] | None
    results: Path
    """Folder of all runs."""
    also: Sequence[str] = ()
    """Tests of other sections that the playbook runs, too, in a lab in real time."""
    play: Sequence[str]
    """The switches of the play, which ``--limit`` may have narrowed."""
    owner: int
    """Process whose end is the end of the run."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """What stands before a run."""

    runs: list[Path]
    """Folders of runs that ended with switches still changed."""
    said: list[str]
    """What to know of them, a line each."""
    ended: list[str]
    """Runs that were ended to have the lab, a line each."""


def pending(
    results: Path, lab_state: Path | None, inventory: Mapping[str, Any], *, write: bool, break_lock: bool = False
) -> Pending:
    """Return the runs that ended with switches still changed, a NIC that may still send PAUSE, or agents on hosts.

    The journal of a run whose lab no longer exists (a virtual lab that has ended, its switches with it), or that left
    nothing changed, is closed here.

    Args:
        results: The results folder.
        lab_state: State folder of a virtual lab, None for a lab that is always there.
        inventory: As :func:`aibench_lib.run.lab.read_inventory` returns it.
        write: False to close nothing and to end nobody.
        break_lock: Whether to end a run that uses the lab's switches.

    Raises:
        LabError: A run uses the lab's switches, and shall not or cannot be ended.
    """
    said, ended = [], []
    if write:
        hosts = inventory["hosts"]
        locks = lock.keys([parse_target(name, hosts[name]) for name in inventory["groups"].get("switches", ())])
        ended = lock.break_locks(locks) if break_lock else []
        lock.refuse_busy(locks)
    instance = lab_instance(lab_state)
    found = []
    for path in sorted(results.glob("*/journal.jsonl")):
        journal = Journal(path)
        events = journal.events()
        if not events or any(event["event"] == "run_closed" for event in events):
            continue
        if guard.alive(events[0].get("guard")):
            continue
        gone = events[0].get("lab_instance") != instance
        changed = [] if gone else left_changed(journal)
        if changed:
            found.append(path.parent)
            said.append(f"left changed by {path.parent.name}: {', '.join(changed)}")
        elif write:
            journal.append("run_closed", status="lab_gone" if gone else "interrupted")
    return Pending(runs=found, said=said, ended=ended)


def open_run(request: Request, *, preview: bool) -> dict[str, Any]:
    """Plan a run; unless it is a preview, make its folder, begin its journal and start its guard.

    Returns:
        ``changed``, ``run_dir``, ``guard``, ``trials``, ``workers`` (whose agents the run must deploy), ``msg`` and
        ``steps``: one item a setting, with ``test``, ``changes``, ``setting`` and ``label``.

    Raises:
        SpecError: Something in the inventory or in the request is wrong.
        LabError: Another run uses the lab, or the folder cannot be written.
    """
    inventory = request.inventory
    lab = parse_lab(inventory)
    profile = choose_profile(inventory.get("profile", "draft"), inventory["profiles"])
    also = () if request.tests is None and lab.kind is LabKind.SIMULATED else request.also
    planned = plan_tests(choose_tests(request.tests, request.section, also), profile, lab)
    total = sum(test.total_trials for test in planned)
    for test in planned:
        check_sites(test, lab)
    check_play(planned, lab, request.play)
    opened = {
        "changed": False,
        "run_dir": "",
        "guard": 0,
        "trials": total,
        "workers": list(lab.deployments),
        "steps": steps(planned, lab),
        "msg": said(planned),
    }
    if preview:
        return opened
    if not lab.isolated:
        raise SpecError(
            "inventory: isolated_lab: must be true before anything is sent: Section 15 of the draft allows tests only "
            "in a lab that is connected to no production network"
        )
    run_dir = _make_folders(request.results, planned)
    guard_pid = guard.start(
        request.owner, run_dir, tuple(lab.switches.values()), tuple(lab.workers.values()), lab.deployments
    )
    Journal(run_dir / "journal.jsonl").append(
        "run_opened",
        run=run_dir.name,
        lab=str(lab.kind),
        lab_instance=lab.instance,
        owner=request.owner,
        guard=guard_pid,
        trials=total,
    )
    write_json(run_dir / "run.json", _run_json(request, run_dir.name, lab, profile, planned))
    return {**opened, "changed": True, "run_dir": str(run_dir), "guard": guard_pid}


def open_outside(run_dir: Path, lab: Lab, owner: int) -> int:
    """Begin the journal of an act outside of a run, with a guard that undoes it when its playbook is gone.

    Args:
        run_dir: The act's folder; within a run, whose journal is there, nothing is done.
        lab: Where.
        owner: Process whose end is the end of the act.

    Returns:
        The guard's process id, 0 within a run, which has one.
    """
    make_private_directory(run_dir)
    journal = Journal(run_dir / "journal.jsonl")
    events = journal.events()
    if events:
        return 0 if events[0].get("trials") != 0 else int(events[0].get("guard") or 0)
    watch = guard.start(owner, run_dir, tuple(lab.switches.values()), tuple(lab.workers.values()), lab.deployments)
    journal.append(
        "run_opened",
        run=run_dir.resolve().name,
        lab=str(lab.kind),
        lab_instance=lab.instance,
        owner=owner,
        guard=watch,
        trials=0,
    )
    return watch


def _make_folders(results: Path, planned: Sequence[PlannedTest]) -> Path:
    make_private_directory(results)
    run_dir = results / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{'-'.join(test.benchmark.id for test in planned)}"
    if run_dir.exists():
        raise LabError("controller", f"{run_dir} is there already; start again in a second")
    for folder in (run_dir, *(run_dir / name for name in ("settings", "samples", "series", "telemetry"))):
        make_private_directory(folder)
    return run_dir


def _run_json(request: Request, run: str, lab: Lab, profile: Profile, planned: Sequence[PlannedTest]) -> dict[str, Any]:
    inventory = request.inventory
    return {
        "run": run,
        "draft": DRAFT,
        "terminology": TERMINOLOGY,
        "lab": str(lab.kind),
        "profile": inventory.get("profile", "draft"),
        "seed": profile.seed,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "finished": None,
        "tests": [test.benchmark.id for test in planned],
        "trials_planned": sum(test.total_trials for test in planned),
        "versions": provenance.versions(),
        "git_commit": provenance.git_commit(Path(__file__).parent),
        "inventory_sha256": provenance.folder_sha256(request.inventory_dir),
        "deviations": [asdict(item) for item in _deviations(planned, lab)],
        "anomalies": [],
        "telemetry": {
            "sample_interval_ns": {
                test.benchmark.id: profile.of(test.benchmark.id).telemetry_interval_ns for test in planned
            },
        },
        "system": {**inventory.get("system", {}), **system_of(lab, inventory.get("simulation", {}))},
        "workload": {**inventory.get("workload", {}), **workload_of(planned, profile)},
    }


def _deviations(planned: Sequence[PlannedTest], lab: Lab) -> list[Deviation]:
    found = planned_deviations(planned)
    if lab.kind is not LabKind.HARDWARE:
        found.append(
            Deviation(
                subject="Device under test",
                draft="a leaf switch (DUT-S) in a controlled laboratory",
                here=f"{lab.kind}: no hardware was measured",
            )
        )
    return found


def close_run(run_dir: Path) -> str:
    """Write the run's values, close its journal and end its guard; return the run's status.

    A run with a switch that could not be restored stays open: its guard ends, and the next run or
    ``playbooks/restore.yml`` tries again.

    Raises:
        LabError: The values cannot be written.
    """
    journal = Journal(run_dir / "journal.jsonl")
    events = journal.events()
    opened = next(event for event in events if event["event"] == "run_opened")
    done = [event for event in events if event["event"] == "trial_done"]
    changed = left_changed(journal)
    complete = len(done) == opened["trials"]
    status = "not_restored" if changed else "complete" if complete else "partial"
    try:
        write_values(summarise(opened["run"], LabKind(opened["lab"]), done, run_dir / "samples"), run_dir)
        _finish_run_json(run_dir, events, len(done))
    finally:
        try:
            if not changed:
                journal.append("run_closed", status=status)
        finally:
            guard.stop(opened["guard"])
    return status


def _finish_run_json(run_dir: Path, events: Sequence[Mapping[str, Any]], done: int) -> None:
    content = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    for event in events:
        if event["event"] == "agents_described":
            content["system"]["Workers"] |= workers_of(event["agents"])
    hosts = [event["hosts"] for event in events if event["event"] == "hosts_inspected"]
    content["system"] |= {"Hosts": said} if (said := hosts_of({h: one[h] for one in hosts for h in one})) else {}
    content["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    content["trials_done"] = done
    content["methods"] = methods(event for event in events if event["event"] == "trial_done")
    content["starts"] = starts(event for event in events if event["event"] == "trial_done")
    content["discarded"] = [
        {"trial": event["trial"], "reason": event["reason"]} for event in events if event["event"] == "trial_discarded"
    ]
    content["programmed"] = [
        {
            "platform": content["system"]["Switches"][event["host"]],
            **{key: event[key] for key in ("host", "feature", "requested", "programmed")},
        }
        for event in events
        if event["event"] == "change_applied"
    ]
    content["rendered_sha256"] = {
        f"{event['host']} {event['feature']} {shown(event['requested'])}": hashlib.sha256(
            event["rendered"].encode()
        ).hexdigest()
        for event in events
        if event["event"] == "change_intended"
    }
    described = {event["host"]: event["facts"] for event in events if event["event"] == "switch_described"}
    content["system"]["Switches"] |= switches_of(described, content["system"]["Switches"])
    content["anomalies"] = [{"text": event["text"], "where": {}} for event in events if event["event"] == "anomaly"]
    write_json(run_dir / "run.json", content)
