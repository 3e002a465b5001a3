"""Transient timers of the simulated switch's systemd: ``systemd-run`` and ``systemctl``."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from aibench_lib.virtual_lab.sonic.call import Call, Result

_SECONDS = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}
_NOT_LOADED = 5
_KNOWN = ("--unit", "--on-active", "--timer-property", "--description")


@dataclass(frozen=True)
class Timer:
    """A transient timer."""

    at: float
    """When it goes off, on the switch's clock [s]."""
    act: Callable[[], object]


def run(call: Call) -> Result:
    """Make a transient timer that does a command once, as root."""
    options: dict[str, str] = {}
    words = list(call.words)
    while words and words[0].startswith("-"):
        name, is_pair, value = words.pop(0).partition("=")
        if name in _KNOWN and (is_pair or words):
            options[name] = value if is_pair else words.pop(0)
        elif name not in ("--quiet", "-q"):
            return Result(err=f"systemd-run: unrecognized option '{name}'\n", status=1)
    if not words or "--unit" not in options or "--on-active" not in options:
        return Result(err="systemd-run: only timers with --unit and --on-active are simulated\n", status=1)
    seconds = _duration(options["--on-active"])
    if seconds is None:
        return Result(err=f"Failed to parse timer value: {options['--on-active']}\n", status=1)
    unit = options["--unit"].removesuffix(".timer")
    if not call.root:
        return Result(err="Failed to start transient timer unit: Interactive authentication required.\n", status=1)
    call.switch.note(" ".join(("systemd-run", *call.words)))
    if f"{unit}.timer" in call.switch.timers:
        problem = f"Unit {unit}.timer was already loaded or has a fragment file."
        return Result(err=f"Failed to start transient timer unit: {problem}\n", status=1)
    line = shlex.join(words)
    at = call.switch.now() + seconds
    call.switch.timers[f"{unit}.timer"] = Timer(at, lambda: call.shell.run(line, root=True))
    return Result(err=f"Running timer as unit: {unit}.timer\nWill run service as unit: {unit}.service\n")


def control(call: Call) -> Result:
    """Stop a timer."""
    if len(call.words) != 2 or call.words[0] != "stop":
        return Result(err=f"Unknown command verb {' '.join(call.words[:1])}.\n", status=1)
    unit = call.words[1]
    if not call.root:
        return Result(err=f"Failed to stop {unit}: Interactive authentication required.\n", status=1)
    call.switch.note(" ".join(("systemctl", *call.words)))
    if call.switch.timers.pop(unit, None) is None:
        return Result(err=f"Failed to stop {unit}: Unit {unit} not loaded.\n", status=_NOT_LOADED)
    return Result()


def _duration(text: str) -> float | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text)
    unit = _SECONDS.get(found[2]) if found else None
    return float(found[1]) * unit if found and unit is not None else None
