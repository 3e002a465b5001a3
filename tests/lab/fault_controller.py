"""A controller that is killed at a chosen moment of a change; a process of its own, forked from one that is ready."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

from aibench_lib.journal import Journal
from aibench_lib.switch import transaction
from aibench_lib.switch.cli import CliSwitch
from aibench_lib.switch.gnmi import GnmiSwitch
from aibench_lib.switch.target import parse_target

LINES_INSIDE = 3
"""The controller is killed when it is about to say its third line of a change, or after the last one."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["fault_controller"])


def killed(when: str, host: str, variables: dict[str, Any], values: dict[str, Any], run_dir: Path) -> None:
    """Run a controller until it is killed.

    ``checkpoint``: the switch has one and the journal does not know; ``before``, ``inside`` and ``after`` a change;
    ``unconfirmed``: the change was read back; ``confirmed``: and the journal does not know; ``restoring``: the switch
    is written back and that is not proven.
    """
    process = _context.Process(target=_run, args=(when, host, variables, values, str(run_dir)))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, f"the controller ended with {process.exitcode}"


def _run(when: str, host: str, variables: dict[str, Any], values: dict[str, Any], run_dir: str) -> None:
    if when == "inside":
        _die_inside()
    for kind in (CliSwitch, GnmiSwitch):
        if when == "unconfirmed":
            kind.confirm = _die
        if when == "confirmed":
            kind.confirm = _last(kind.confirm)
        if when == "checkpoint":
            kind.save_checkpoint = _last(kind.save_checkpoint)
        if when == "restoring":
            kind.roll_back, kind.restore = _last(kind.roll_back), _last(kind.restore)
    target = parse_target(host, variables)
    journal = Journal(Path(run_dir) / "journal.jsonl")
    append = journal.append

    def appending(event: str, **fields: Any) -> None:
        append(event, **fields)
        if (when, event) in (("before", "change_intended"), ("after", "change_applied")):
            _die()

    journal.append = appending  # type: ignore[method-assign]
    if when == "restoring":
        transaction.restore(target, journal, Path(run_dir))
    else:
        transaction.apply(target, "ecn", values, journal, Path(run_dir))


def _last(do: Any) -> Any:
    """Return a method after which the controller is dead."""

    def doing(*arguments: Any) -> None:
        do(*arguments)
        _die()

    return doing


def _die_inside() -> None:
    send = CliSwitch._send

    def sending(switch: CliSwitch, *arguments: Any) -> str:
        if getattr(switch, "lines_said", None) is not None:
            switch.lines_said += 1
            if switch.lines_said == LINES_INSIDE:
                _die()
        return send(switch, *arguments)

    CliSwitch._send = sending
    for kind in (CliSwitch, GnmiSwitch):
        kind.apply = _counting(kind.apply)


def _counting(apply: Any) -> Any:
    def counting(switch: Any, *arguments: Any) -> None:
        switch.lines_said = 0
        apply(switch, *arguments)
        _die()  # the change has fewer lines

    return counting


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
