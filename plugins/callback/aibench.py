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

_LONG = ("aibench_lab", "aibench_trials", "aibench_report")
"""Steps whose name must stand there while they work."""


class CallbackModule(Default):
    """The default callback, with less of it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "aibench"

    def __init__(self) -> None:
        super().__init__()
        self._headline: str | None = None
        self._changed: list[str] = []
        self._failed: dict[str, list[str]] = {}
        self._once = False

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
        self._last_task_banner = task._uuid
        self._once = bool(task.run_once)  # done for the whole run: the host it was done on says nothing
        self._headline = task.name if task.action.startswith("aibench_") else None
        if task.action in _LONG and not task.check_mode:
            self._tell_headline()

    def v2_runner_on_ok(self, result: Any) -> None:
        """Remember a host that was changed, and say what the step has to say."""
        if not self._terse:
            super().v2_runner_on_ok(result)
            return
        if result.result.get("changed"):
            self._changed.append(result.host.get_name())
        if result.task.action.startswith("aibench_"):
            self._tell_table(result)
            for line in result.result.get("msg") or ():
                self._tell_headline()
                self._display.display(f"  {line}")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Remember why a host failed."""
        if not self._terse:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        self._tell_table(result)
        message = str(result.result.get("msg", "failed without a message"))
        self._failed.setdefault(message, []).append(result.host.get_name())

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Say nothing of what was skipped."""
        if not self._terse:
            super().v2_runner_on_skipped(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """Say nothing of a change that is not for a switch."""
        if not self._terse:
            super().v2_runner_item_on_skipped(result)

    def v2_on_file_diff(self, result: Any) -> None:
        """Show a difference below the name of its step."""
        if self._terse and result.result.get("diff"):
            self._tell_headline()
        super().v2_on_file_diff(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Tell the last step's results."""
        if not self._terse:
            super().v2_playbook_on_stats(stats)
            return
        self._tell_results()

    def _tell_headline(self) -> None:
        if self._headline is not None:
            self._display.display(self._headline, color=constants.COLOR_HIGHLIGHT)
            self._headline = None

    def _tell_table(self, result: Any) -> None:
        """Show the lines of a table, each in the colour it names."""
        for colour, line in result.result.get("table") or ():
            self._tell_headline()
            self._display.display(f"  {line}", color=colour)

    def _tell_results(self) -> None:
        if self._changed or self._failed:
            self._tell_headline()
        if self._changed and not self._once:
            self._display.display(f"  changed: {', '.join(sorted(self._changed))}", color=constants.COLOR_CHANGED)
        for message, hosts in self._failed.items():
            named = self._once or any(message.startswith(f"{host}:") for host in hosts)
            where = "" if named else f"{', '.join(sorted(hosts))}: "
            self._display.display(f"  failed: {where}{message}", color=constants.COLOR_ERROR, stderr=True)
        self._changed, self._failed = [], {}
