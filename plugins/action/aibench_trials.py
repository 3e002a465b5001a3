"""Run the trials of one setting."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from aibench_lib.errors import AibenchError
from aibench_lib.run.lab import parse_lab, read_inventory
from aibench_lib.run.parent import end_with_parent
from aibench_lib.run.plan import choose_profile, plan_tests
from aibench_lib.run.trials import run_setting

_SPEC = {
    "test": {"type": "str", "required": True},
    "setting": {"type": "dict", "required": True},
    "run_dir": {"type": "path", "required": True},
    "lab_state": {"type": "path"},
}


class ActionModule(ActionBase):
    """See ``plugins/modules/aibench_trials.py`` for the options."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make the one library call."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(_SPEC)
        if self._task.check_mode:
            return {"changed": False, "skipped": True, "msg": "a check run sends no load"}
        end_with_parent()
        variables = task_vars or {}
        state = Path(str(args["lab_state"])).resolve() if args["lab_state"] else None
        try:
            inventory = read_inventory(variables, state)
            profile = choose_profile(inventory.get("profile", "draft"), inventory["profiles"])
            lab = parse_lab(inventory)
            (planned,) = plan_tests([str(args["test"])], profile, lab)
            setting = next(one for one in planned.settings if dict(one) == dict(args["setting"]))
            outcome = run_setting(planned, setting, lab, profile, Path(str(args["run_dir"])), Display().display)
        except AibenchError as error:
            return {"failed": True, "msg": str(error)}
        return {"changed": True, **asdict(outcome)}
