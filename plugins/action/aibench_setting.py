"""Action of the module ``aibench_setting``: one call into the library, in the controller's process."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# The main process imports this file once, so that its forks need not import netmiko and gRPC each.
from aibench_lib.errors import AibenchError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.run import lock
from aibench_lib.run.parent import end_with_parent
from aibench_lib.run.variables import plain, target_of
from aibench_lib.switch import transaction
from aibench_lib.switch.target import Target

ARGUMENTS = {
    "state": {"type": "str", "choices": ["applied", "restored"], "default": "applied"},
    "feature": {"type": "str"},
    "values": {"type": "dict"},
    "settings": {
        "type": "list",
        "elements": "dict",
        "options": {"feature": {"type": "str", "required": True}, "values": {"type": "dict", "required": True}},
    },
    "run_dir": {"type": "path"},
    "overwrite_foreign_changes": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Apply a switch setting, or bring the switch back to what it was before the run."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do the task; whatever the switch does is a failure and never "unreachable", so that ``always`` runs."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec=ARGUMENTS,
            required_if=[("state", "applied", ("feature", "settings"), True)],
            required_together=[("feature", "values")],
            mutually_exclusive=[("feature", "settings")],
        )
        end_with_parent()
        variables = task_vars or {}
        try:
            target = target_of(variables, self._templar.template)
            return result | self._transact(target, plain(arguments))
        except AibenchError as error:
            return result | {"failed": True, "msg": str(error)}

    def _transact(self, target: Target, arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments["state"] == "restored":
            return self._restore(target, *_run(arguments), overwrite=bool(arguments["overwrite_foreign_changes"]))
        asked = [
            (one["feature"], {name: _number(value) for name, value in one["values"].items()})
            for one in arguments["settings"] or [arguments]
        ]
        if self._task.check_mode:
            changes = [transaction.preview(target, feature, values) for feature, values in asked]
        else:
            journal, run_dir = _run(arguments)
            with lock.held(target, run_dir, os.getppid()):
                changes = transaction.apply_all(target, asked, journal, run_dir)
        return {
            "changed": any(change.changed for change in changes),
            "settings": [
                {
                    "feature": change.feature,
                    "requested": dict(change.requested),
                    "programmed": dict(change.programmed),
                    "changed": change.changed,
                }
                for change in changes
            ],
            "diff": [
                _difference(f"{target.host}: {change.feature}", change.before, change.after) for change in changes
            ],
        }

    def _restore(self, target: Target, journal: Journal, run_dir: Path, *, overwrite: bool) -> dict[str, Any]:
        if self._task.check_mode:
            restored = transaction.preview_restore(target, journal, run_dir)
        else:
            with lock.held(target, run_dir, os.getppid(), restoring=True):
                restored = transaction.restore(target, journal, run_dir, overwrite_foreign_changes=overwrite)
        return {
            "changed": restored.changed,
            "diff": _difference(f"{target.host}: configuration", restored.before, restored.after),
        }


def _run(arguments: Mapping[str, Any]) -> tuple[Journal, Path]:
    if not arguments["run_dir"]:
        raise SpecError("run_dir: missing; the journal and the snapshots are kept there")
    run_dir = Path(arguments["run_dir"])
    return Journal(run_dir / "journal.jsonl"), run_dir


def _difference(what: str, before: str, after: str) -> dict[str, str]:
    return {"before": before, "after": after, "before_header": f"{what} before", "after_header": f"{what} after"}


def _number(value: Any) -> Any:
    """Return a number for its digits: what is given with ``-e name=100`` arrives as text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value
