"""Start or stop a fault of the fabric."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from aibench_lib.errors import AibenchError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.procedures.procedure import LOSSLESS_PRIORITY
from aibench_lib.run import lock, storm
from aibench_lib.run.lab import Lab, parse_lab, read_inventory
from aibench_lib.run.parent import end_with_parent
from aibench_lib.run.session import open_outside
from aibench_lib.run.variables import plain
from aibench_lib.switch import fault_injection
from aibench_lib.switch.faults import Fault, FaultKind, Place, parse_ports

_PAUSE_STORM = "pause_storm"
_SPEC = {
    "fault": {"type": "str", "required": True, "choices": [*(str(kind) for kind in FaultKind), _PAUSE_STORM]},
    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
    "ports": {"type": "list", "elements": "str", "default": []},
    "host": {"type": "str"},
    "priority": {"type": "int", "default": LOSSLESS_PRIORITY},
    "duration_s": {"type": "int"},
    "flaps": {"type": "int", "default": 1},
    "period_s": {"type": "float", "default": 2.0},
    "loss_percent": {"type": "int", "default": 0},
    "routes": {"type": "list", "elements": "dict", "default": []},
    "run_dir": {"type": "path"},
    "lab_state": {"type": "path"},
}


class ActionModule(ActionBase):
    """See ``plugins/modules/aibench_fault.py`` for the options."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make the one library call."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(_SPEC)
        end_with_parent()
        try:
            act = self._storm if args["fault"] == _PAUSE_STORM else self._act
            return result | act(plain(args), task_vars or {})
        except AibenchError as error:
            return result | {"failed": True, "msg": str(error)}

    def _act(self, args: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        fault = Fault(
            kind=FaultKind(args["fault"]),
            ports=parse_ports(args["ports"]),
            **{name: args[name] for name in ("duration_s", "flaps", "period_s", "loss_percent")},
            routes=tuple(args["routes"]),
        )
        lab = _lab(args, variables)
        if not args["run_dir"] and not self._task.check_mode:
            raise SpecError("run_dir: missing; the journal and the snapshots are kept there")
        run_dir = Path(args["run_dir"] or ".")
        place = Place(
            topology=lab.topology,
            targets=lab.switches,
            journal=Journal(run_dir / "journal.jsonl"),
            run_dir=run_dir,
        )
        if self._task.check_mode:
            return _previewed(fault, place, starts=args["state"] == "started")
        watch = open_outside(run_dir, lab, os.getppid())
        with _locked([port.node for port in fault.ports], lab, run_dir):
            do = fault_injection.start if args["state"] == "started" else fault_injection.stop
            outcome = do(fault, place)
        return {
            "changed": outcome.changed,
            "ends": dict(outcome.ends),
            "unasked": list(outcome.unasked),
            "held": outcome.held,
            "guard": watch,
            "seconds_down": list(outcome.seconds_down),
            "msg": _said(fault, outcome, args["state"]),
        }

    def _storm(self, args: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Have a host's NIC send PAUSE, or end that; a stop that names no host ends what the journal knows of."""
        starts, check, named = args["state"] == "started", self._task.check_mode, bool(args["host"])
        if starts and not named:
            raise SpecError("fault pause_storm: host: missing; name the worker whose NIC shall send PAUSE")
        if not args["run_dir"] and not (check and named):
            raise SpecError("run_dir: missing; the journal is kept there")
        run_dir = Path(args["run_dir"] or ".")
        journal = Journal(run_dir / "journal.jsonl")
        own = storm.Storm(host=args["host"] or "", priority=args["priority"], seconds=args["duration_s"] or 0)
        if starts:
            storm.check(own)
        storms = [own] if named else storm.standing(journal)
        if not storms:  # the end of most runs: nothing to ask, so that the inventory need not be read
            return {"changed": False, "msg": []}
        lab = _lab(args, variables)
        if check:
            return _storms_previewed(storms, lab, starts=starts)
        watch = open_outside(run_dir, lab, os.getppid())
        with _locked(storm.neighbours(storms, lab.topology), lab, run_dir):
            if starts:
                storm.start(own, lab.workers, journal)
            changed = starts or bool(storm.end(storms, lab.workers, journal))
        said = [f"pause_storm {args['state']}: {one}" for one in storms]
        if starts:
            said.append(f"its agent ends it by itself after {own.seconds} s of lab time")
        return {"changed": changed, "held": starts, "guard": watch, "msg": said}


def _lab(args: dict[str, Any], variables: dict[str, Any]) -> Lab:
    state = Path(args["lab_state"]).resolve() if args["lab_state"] else None
    return parse_lab(read_inventory(variables, state))


@contextmanager
def _locked(nodes: Sequence[str], lab: Lab, run_dir: Path) -> Iterator[None]:
    """Hold the locks of those nodes that are switches."""
    with ExitStack() as locks:
        for host in dict.fromkeys(node for node in nodes if node in lab.switches):
            locks.enter_context(lock.held(lab.switches[host], run_dir, os.getppid()))
        yield


def _storms_previewed(storms: Sequence[storm.Storm], lab: Lab, *, starts: bool) -> dict[str, Any]:
    found = [(one, storm.state(one, lab.workers).active) for one in storms]
    return {
        "changed": any(active != starts for _, active in found),
        "diff": [
            {
                "before": f"{'PAUSE without end' if active else 'silent'}\n",
                "after": f"{'PAUSE without end' if starts else 'silent'}\n",
                "before_header": f"{one} before",
                "after_header": f"{one} after",
            }
            for one, active in found
        ],
    }


def _previewed(fault: Fault, place: Place, *, starts: bool) -> dict[str, Any]:
    changes = fault_injection.preview(fault, place, starts=starts)
    return {
        "changed": any(change.changed for change in changes),
        "diff": [
            {
                "before": change.before,
                "after": change.after,
                "before_header": f"{change.host}: {change.feature} before",
                "after_header": f"{change.host}: {change.feature} after",
            }
            for change in changes
        ],
    }


def _said(fault: Fault, outcome: fault_injection.Outcome, state: str) -> list[str]:
    """Return what a person wants to know, a line each."""
    ends = ", ".join(f"{end} {oper}" for end, oper in outcome.ends.items())
    unasked = f"; nobody can ask {', '.join(outcome.unasked)}" if outcome.unasked else ""
    lines = [f"{fault.kind} {state}" + (f": {ends}{unasked}" if ends else "")]
    if outcome.held:
        lines.append(f"the switch ends it by itself after {fault.duration_s} s")
    if outcome.seconds_down:
        lines.append(f"down for {', '.join(f'{seconds:g} s' for seconds in outcome.seconds_down)}")
    return [*lines, *outcome.notes]
