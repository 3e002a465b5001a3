"""Bring a lab of this machine up or down, or keep it alive for a process."""

import os
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from aibench_lib.errors import AibenchError
from aibench_lib.labs import ALL


class ActionModule(ActionBase):
    """See ``plugins/modules/aibench_lab.py`` for the options."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make the one library call."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            {
                "kind": {"choices": list(ALL), "default": "simulated"},
                "state": {"choices": ["up", "held", "down"], "default": "up"},
                "inventory": {"type": "path"},
                "network": {"type": "str", "default": "127.81"},
                "state_dir": {"type": "path", "required": True},
                "holder": {"type": "int"},
            }
        )
        lab = ALL[str(args["kind"])]
        state_dir = Path(str(args["state_dir"])).resolve()
        try:
            if args["state"] == "down":
                was_up = lab.status(state_dir) is not None
                lab.down(state_dir)
                return {"changed": was_up}
            if args["state"] == "held":
                lab.hold(state_dir, int(args["holder"]))
                return {"changed": False}
            was_up = lab.status(state_dir) is not None
            started = lab.up(
                Path(str(args["inventory"])).resolve(), state_dir, str(args["network"]), os.getppid(), Display().display
            )
        except AibenchError as error:
            return {"failed": True, "msg": str(error)}
        return {"changed": not was_up, "lab_instance": started.lab_instance}
