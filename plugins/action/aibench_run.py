"""Open a run, find runs that left switches changed, close a run."""

import os
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from aibench_lib.errors import AibenchError
from aibench_lib.run import session
from aibench_lib.run.lab import read_inventory

_SPEC = {
    "state": {"choices": ["pending", "opened", "closed"], "required": True},
    "section": {"type": "int"},
    "tests": {"type": "raw"},
    "also": {"type": "list", "elements": "str", "default": []},
    "results_dir": {"type": "path"},
    "run_dir": {"type": "path"},
    "lab_state": {"type": "path"},
    "break_lock": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """See ``plugins/modules/aibench_run.py`` for the options."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make the one library call of the wanted state."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(_SPEC)
        paths = {key: Path(str(args[key])).resolve() for key in ("results_dir", "run_dir", "lab_state") if args[key]}
        variables = task_vars or {}
        try:
            if args["state"] == "pending":
                found = session.pending(
                    paths["results_dir"],
                    paths.get("lab_state"),
                    read_inventory(variables, paths.get("lab_state")),
                    write=not self._task.check_mode,
                    break_lock=bool(args["break_lock"]),
                )
                for line in found.ended:
                    Display().display(line)
                said = found.said or ["none: every switch is as it was"]
                return {"changed": bool(found.ended), "runs": [str(path) for path in found.runs], "msg": said}
            if args["state"] == "closed":
                return {"changed": True, "status": session.close_run(paths["run_dir"])}
            return session.open_run(
                session.Request(
                    inventory=read_inventory(variables, paths.get("lab_state")),
                    inventory_dir=Path(str(variables["inventory_dir"])),
                    section=args["section"],
                    tests=args["tests"],
                    also=[str(test) for test in args["also"]],
                    results=paths["results_dir"],
                    play=[str(host) for host in variables["ansible_play_hosts_all"]],
                    owner=os.getppid(),
                ),
                preview=bool(self._task.check_mode),
            )
        except AibenchError as error:
            return {"failed": True, "msg": str(error)}
