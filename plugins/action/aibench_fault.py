"""Start or stop a fault of the fabric."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from aibench_lib.errors import AibenchError, SpecError
from aibench_lib.files import make_private_directory
from aibench_lib.journal import Journal
from aibench_lib.run import lock
from aibench_lib.run.lab import Lab, parse_lab, read_inventory
from aibench_lib.run.parent import end_with_parent
from aibench_lib.run.variables import plain
from aibench_lib.switch import fault_injection
from aibench_lib.switch.faults import Fault, FaultKind, Place, parse_ports

_SPEC = {
    "fault": {"type": "str", "required": True, "choices": [str(kind) for kind in FaultKind]},
    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
    "ports": {"type": "list", "elements": "str", "default": []},
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
            return result | self._act(plain(args), task_vars or {})
        except AibenchError as error:
            return result | {"failed": True, "msg": str(error)}

    def _act(self, args: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        fault = Fault(
            kind=FaultKind(args["fault"]),
            ports=parse_ports(args["ports"]),
            **{name: args[name] for name in ("duration_s", "flaps", "period_s", "loss_percent")},
            routes=tuple(args["routes"]),
        )
        state = Path(args["lab_state"]).resolve() if args["lab_state"] else None
        lab = parse_lab(read_inventory(variables, state))
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
        _open(place, lab)
        with ExitStack() as locks:
            for host in dict.fromkeys(port.node for port in fault.ports if port.node in lab.switches):
                locks.enter_context(lock.held(lab.switches[host], run_dir, os.getppid()))
            do = fault_injection.start if args["state"] == "started" else fault_injection.stop
            outcome = do(fault, place)
        return {
            "changed": outcome.changed,
            "ends": dict(outcome.ends),
            "unasked": list(outcome.unasked),
            "held": outcome.held,
            "seconds_down": list(outcome.seconds_down),
            "msg": _said(fault, outcome, args["state"]),
        }


def _open(place: Place, lab: Lab) -> None:
    """Begin the journal of a fault outside of a run, so that ``playbooks/restore.yml`` finds it."""
    make_private_directory(place.run_dir)
    if not place.journal.events():
        place.journal.append(
            "run_opened",
            run=place.run_dir.resolve().name,
            lab=str(lab.kind),
            lab_instance=lab.instance,
            owner=os.getppid(),
            guard=None,
            trials=0,
        )


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
