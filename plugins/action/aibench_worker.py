"""Deploy, start, check, stop and remove the agents of hosts."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from aibench_lib.errors import AibenchError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.run import workers
from aibench_lib.run.lab import Lab, parse_lab, read_inventory
from aibench_lib.run.left import standing
from aibench_lib.run.parent import end_with_parent
from aibench_lib.run.session import open_outside
from aibench_lib.run.variables import plain
from aibench_lib.worker.deployment import Outcome

_SPEC = {
    "state": {"choices": ["deployed", "started", "healthy", "stopped", "removed"], "required": True},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "run_dir": {"type": "path", "required": True},
    "wheelhouse": {"type": "path"},
    "lab_state": {"type": "path"},
}


class ActionModule(ActionBase):
    """See ``plugins/modules/aibench_worker.py`` for the options."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make the one library call; a host that cannot be reached is a failure and never "unreachable"."""
        super().run(tmp, task_vars)
        _, found = self.validate_argument_spec(_SPEC)
        args = plain(found)
        end_with_parent()
        journal = Journal(Path(args["run_dir"]) / "journal.jsonl")
        try:
            if args["state"] == "removed" and not standing(journal):
                return {"changed": False, "msg": []}  # the end of most runs: the inventory need not be read
            lab_state = Path(args["lab_state"]).resolve() if args["lab_state"] else None
            lab = parse_lab(read_inventory(task_vars or {}, lab_state))
            if self._task.check_mode:
                return _previewed(args, lab, journal)
            if args["state"] == "deployed" and lab.deployments:
                open_outside(Path(args["run_dir"]), lab, os.getppid())
            outcome = _act(args, lab, journal, Display().display)
        except AibenchError as error:
            return {"failed": True, "msg": str(error)}
        return _result(outcome)


def _act(args: dict[str, Any], lab: Lab, journal: Journal, say: Callable[[str], None]) -> Outcome:
    hosts = args["hosts"]
    match args["state"]:
        case "deployed":
            return workers.deploy(lab, hosts, journal, _wheelhouse(args, lab), say) if lab.deployments else Outcome()
        case "started":
            return workers.start(lab, hosts, journal, say) if lab.deployments else Outcome()
        case "healthy":
            return workers.check_healthy(lab, hosts)
        case "stopped":
            return workers.stop(lab, hosts, journal, say)
        case _:
            return workers.remove(lab.deployments, journal, say, hosts or None)


def _wheelhouse(args: dict[str, Any], lab: Lab) -> Path:
    if args["wheelhouse"]:
        return Path(args["wheelhouse"]).resolve()
    if lab.workers_state is None:
        raise SpecError("wheelhouse: missing; name a folder on the controller for what is installed on hosts")
    return lab.workers_state.parent / "wheelhouse"


def _previewed(args: dict[str, Any], lab: Lab, journal: Journal) -> dict[str, Any]:
    """Say what would be done; a check run asks no host."""
    there = standing(journal)
    changes = {
        "deployed": [one for host, one in lab.deployments.items() if host not in there],
        "started": [one for host, one in lab.deployments.items() if host not in there],
        "healthy": [],
        "stopped": [one for host, one in lab.deployments.items() if host in there],
        "removed": [one for host, one in lab.deployments.items() if host in there],
    }[args["state"]]
    wanted = [one for one in changes if not args["hosts"] or one.host in args["hosts"]]
    return {
        "changed": bool(wanted),
        "msg": [f"{one.host}: the agent in {one.folder} would be {args['state']}" for one in wanted],
    }


def _result(outcome: Outcome) -> dict[str, Any]:
    failures = outcome.lines
    return {
        "changed": bool(outcome.changed),
        "failed": bool(failures),
        "msg": "\n    ".join(failures) if failures else list(outcome.said),
        "changed_hosts": list(outcome.changed),
        "failed_hosts": list(outcome.failed),
    }
