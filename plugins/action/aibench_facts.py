"""Action of the module ``aibench_facts``: ask a switch what it is, in the controller's process."""

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from aibench_lib.errors import AibenchError
from aibench_lib.journal import Journal
from aibench_lib.run.parent import end_with_parent
from aibench_lib.run.variables import target_of
from aibench_lib.switch.facts import read_facts


class ActionModule(ActionBase):
    """See ``plugins/modules/aibench_facts.py`` for the options."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make the one library call; a switch that cannot be asked is a failure and never "unreachable"."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec({"run_dir": {"type": "path"}})
        end_with_parent()
        try:
            facts = read_facts(target_of(task_vars or {}, self._templar.template))
            if args["run_dir"] and not self._task.check_mode:
                Journal(Path(str(args["run_dir"])) / "journal.jsonl").append(
                    "switch_described", host=facts.host, facts=facts.plain()
                )
        except AibenchError as error:
            return result | {"failed": True, "msg": str(error)}
        return result | {"changed": False, "ansible_facts": {"aibench_switch": facts.plain()}}
