"""Write the Section 14 report of a run."""

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from aibench_lib.errors import AibenchError
from aibench_lib.report import kpi_table, write_report


class ActionModule(ActionBase):
    """See ``plugins/modules/aibench_report.py`` for the options."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the report and say where it is."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec({"run_dir": {"type": "path", "required": True}})
        if self._task.check_mode:
            return {"changed": False, "skipped": True, "msg": "a check run writes no report"}
        run_dir = Path(str(args["run_dir"]))
        try:
            report = write_report(run_dir)
            Display().display(f"\n{kpi_table(run_dir)}\n\nReport: {report}\n")
        except AibenchError as error:
            return {"failed": True, "msg": str(error)}
        return {"changed": True, "report": str(report)}
