"""Look at the lab before a run."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from aibench_lib.errors import AibenchError
from aibench_lib.run import session
from aibench_lib.run.findings import rows, table, verdict
from aibench_lib.run.lab import parse_lab, read_inventory
from aibench_lib.run.parent import end_with_parent
from aibench_lib.run.preflight import DEFAULT_PAYLOAD_BYTES, is_red, preflight

_SPEC = {
    "results_dir": {"type": "path"},
    "lab_state": {"type": "path"},
    "payload_bytes": {"type": "int", "default": DEFAULT_PAYLOAD_BYTES},
}


class ActionModule(ActionBase):
    """See ``plugins/modules/aibench_preflight.py`` for the options."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make the one library call; red is a failure."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(_SPEC)
        end_with_parent()
        variables = task_vars or {}
        paths = {key: Path(str(args[key])).resolve() for key in ("results_dir", "lab_state") if args[key]}
        try:
            inventory = read_inventory(variables, paths.get("lab_state"))
            findings = preflight(
                parse_lab(inventory),
                [str(host) for host in variables["ansible_play_hosts_all"]],
                left_changed=_left_changed(inventory, **paths),
                payload_bytes=int(args["payload_bytes"]),
            )
        except AibenchError as error:
            return {"failed": True, "msg": str(error)}
        said = verdict(findings)
        return {
            "changed": False,
            "failed": is_red(findings),
            "msg": said if is_red(findings) else [said],
            "findings": [asdict(row) for row in rows(findings)],
            "table": [list(line) for line in table(findings)],
        }


def _left_changed(
    inventory: dict[str, Any], results_dir: Path | None = None, lab_state: Path | None = None
) -> list[str] | None:
    """Return the earlier runs that have left switches changed, None if nobody wants to know."""
    if results_dir is None:
        return None
    return [path.name for path in session.pending(results_dir, lab_state, inventory, write=False).runs]
