"""A controller that is killed at a chosen moment of a change; a process of its own, forked from one that is ready."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from netmiko import base_connection

from aibench_lib.errors import LabError
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
    is written back and that is not proven; ``rewriting``: it is being written back from its text.
    """
    process = _context.Process(target=_run, args=(when, host, variables, values, str(run_dir)))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, f"the controller ended with {process.exitcode}"


def hurry() -> None:
    """Let netmiko, which sleeps between two looks at what has come, sleep a tenth of that."""
    hurried = SimpleNamespace(**{**vars(time), "sleep": lambda seconds: time.sleep(seconds / 10)})
    base_connection.time = hurried


def _run(when: str, host: str, variables: dict[str, Any], values: dict[str, Any], run_dir: str) -> None:
    hurry()
    for kind in (CliSwitch, GnmiSwitch):
        for method, fault in _FAULTS.get(when, {}).items():
            setattr(kind, method, fault(getattr(kind, method)))
    if when in ("inside", "rewriting"):
        CliSwitch._send = _dying_at_a_line(CliSwitch._send)
    target = parse_target(host, variables)
    journal = Journal(Path(run_dir) / "journal.jsonl")
    append = journal.append

    def appending(event: str, **fields: Any) -> None:
        append(event, **fields)
        if (when, event) in (("before", "change_intended"), ("after", "change_applied")):
            _die()

    journal.append = appending  # type: ignore[method-assign]
    if when in ("restoring", "rewriting"):
        transaction.restore(target, journal, Path(run_dir))
    else:
        transaction.apply(target, "ecn", values, journal, Path(run_dir))


def _last(do: Any) -> Any:
    """Return a method after which the controller is dead."""

    def doing(*arguments: Any) -> None:
        do(*arguments)
        _die()

    return doing


def _refusing(_: Any) -> Any:
    """Return a method that does nothing but refuse."""

    def refusing(switch: Any, name: str) -> None:
        raise LabError("switch", f"does not want {name}")

    return refusing


def _dying_at_a_line(send: Any) -> Any:
    """Return a method that sends lines, and at one of those that are counted the controller is dead."""

    def sending(switch: Any, *arguments: Any) -> Any:
        if hasattr(switch, "lines_said"):
            switch.lines_said += 1
            if switch.lines_said == LINES_INSIDE:
                _die()
        return send(switch, *arguments)

    return sending


def _counting(do: Any) -> Any:
    """Return a method whose lines are counted, and after which the controller is dead."""

    def counting(switch: Any, *arguments: Any) -> None:
        switch.lines_said = 0
        do(switch, *arguments)
        _die()  # the change has fewer lines

    return counting


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


_FAULTS = {
    "inside": {"apply": _counting},
    "unconfirmed": {"confirm": lambda _: _die},
    "confirmed": {"confirm": _last},
    "checkpoint": {"save_checkpoint": _last},
    "restoring": {"roll_back": _last, "restore": _last},
    "rewriting": {"roll_back": _refusing, "restore": _counting},
}
"""When the controller is killed -> what becomes of the methods of its drivers."""
