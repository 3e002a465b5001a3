"""Terminal output of a run: the steps that matter, what they changed, and what went wrong, a line each."""

from typing import Any

from ansible import constants
from ansible.plugins.callback.default import CallbackModule as Default

DOCUMENTATION = r"""
name: aibench
type: stdout
short_description: Terminal output of a run
description:
  - Names each step once, then the hosts it changed. A failure is one line that says what is wrong, where, and what to
    do.
  - With C(-v) the output is that of the default callback.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
author: aibench
"""


class CallbackModule(Default):
    """The default callback, with less of it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "aibench"

    def __init__(self) -> None:
        super().__init__()
        self._changed: list[str] = []
        self._failed: dict[str, list[str]] = {}

    @property
    def _terse(self) -> bool:
        return bool(self._display.verbosity == 0)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Begin a play; its steps say enough."""
        if not self._terse:
            super().v2_playbook_on_play_start(play)
        self._play = play

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Say nothing: the included steps speak for themselves."""
        if not self._terse:
            super().v2_playbook_on_include(included_file)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Name a step of ours; Ansible's own (includes, argument checks) stay silent."""
        if not self._terse:
            super().v2_playbook_on_task_start(task, is_conditional)
            return
        self._tell_results()
        if task.action.startswith("aibench_"):
            self._display.display(task.name or task.action, color=constants.COLOR_HIGHLIGHT)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Remember a host that was changed."""
        if not self._terse:
            super().v2_runner_on_ok(result)
        elif result.result.get("changed"):
            self._changed.append(result.host.get_name())

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Remember why a host failed."""
        if not self._terse:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        message = " ".join(str(result.result.get("msg", "failed without a message")).split(" "))
        self._failed.setdefault(message, []).append(result.host.get_name())

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Say nothing of what was skipped."""
        if not self._terse:
            super().v2_runner_on_skipped(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Tell the last step's results."""
        if not self._terse:
            super().v2_playbook_on_stats(stats)
            return
        self._tell_results()

    def _tell_results(self) -> None:
        if self._changed:
            self._display.display(f"  changed: {', '.join(self._changed)}", color=constants.COLOR_CHANGED)
        for message, hosts in self._failed.items():
            where = "" if any(message.startswith(f"{host}:") for host in hosts) else f"{', '.join(hosts)}: "
            self._display.display(f"  failed: {where}{message}", color=constants.COLOR_ERROR, stderr=True)
        self._changed, self._failed = [], {}
