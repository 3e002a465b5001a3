"""Change a switch so that it can always be brought back.

Journal before act; snapshot before the first change; everything that was applied is read back; a restore needs the
journal and the snapshot alone, and counts only when an empty difference proves it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.switch import snapshot
from aibench_lib.switch.session import Switch, connect
from aibench_lib.switch.setting import Setting, parse_setting
from aibench_lib.switch.target import Target

SHOWN_LINES = 40
"""Lines of a difference in a message; the file has them all."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A setting as it was asked for and as the switch has it."""

    host: str
    feature: str
    requested: Mapping[str, Any]
    programmed: Mapping[str, Any]
    """Read back from the switch: after an `apply` what it made of the request, in a `preview` what it has now."""
    changed: bool
    before: str
    """The template rendered with the values the switch had; empty if it had none."""
    after: str
    """The template rendered with the requested values."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A switch that is proven to be as it was before the run, or the way there."""

    host: str
    changed: bool
    before: str = ""
    """The configuration that was found, without what differs between two reads of the same one."""
    after: str = ""
    """The configuration of the snapshot, likewise."""


def preview(target: Target, feature: str, values: Mapping[str, Any]) -> Change:
    """Say what `apply` would change; reads the switch and writes nothing, neither there nor here.

    Raises:
        SpecError: The values are wrong or not attainable on this platform.
        LabError: The switch cannot be read.
    """
    setting = parse_setting(target, feature, values)
    with connect(target) as switch:
        current = switch.read_back(setting)
    return _change(setting, current, current)


def apply(target: Target, feature: str, values: Mapping[str, Any], journal: Journal, run_dir: Path) -> Change:
    """Make a switch take a setting, and return what it made of it.

    What is already there is not sent again.  A programmed value that differs from the requested one (a switch rounds
    to its buffer cells) is returned and journalled, and is no failure.

    Args:
        target: The switch.
        feature: Such as ``ecn``.
        values: Such as ``ecn_threshold_bytes``.
        journal: The run's journal.
        run_dir: The run's folder; the snapshot goes into its ``settings/``.

    Raises:
        SpecError: The values are wrong or not attainable on this platform; nothing was sent.
        LabError: The switch refused, is unreachable, or does not show what was applied.
    """
    setting = parse_setting(target, feature, values)
    if not run_dir.is_dir():
        raise SpecError(f"run_dir: {run_dir}: no such folder; the snapshot of {target.host} goes into it")
    facts = {"host": target.host, "feature": feature, "requested": setting.requested}
    with connect(target) as switch:
        before = switch.read_back(setting)
        programmed = before
        if before != setting.requested:
            rendered = setting.rendered(setting.requested)
            if _pending(journal, target.host) is None:
                snapshot.take(switch, target, journal, run_dir)
            journal.append("change_intended", **facts, rendered=rendered)
            switch.apply(rendered)
            programmed = switch.read_back(setting)
    _check_present(setting, programmed)
    change = _change(setting, before, programmed)
    journal.append("change_applied", **facts, programmed=programmed, changed=change.changed)
    return change


def restore(target: Target, journal: Journal, run_dir: Path) -> Restored:
    """Bring a switch back to its snapshot and prove it, from the journal and the snapshot alone.

    A switch without a snapshot in the journal, or already restored, is left alone.

    Raises:
        SpecError: The snapshot belongs to another platform.
        LabError: The snapshot is damaged, the switch refused or is unreachable, or it still differs; the message shows
            the difference, which is also in ``settings/<host>.diff``.
    """
    taken = _pending(journal, target.host)
    if taken is None:
        return Restored(host=target.host, changed=False)
    with suppress(LabError):  # a full disk must not keep the switch changed; "restored" below will report it
        journal.append("restore_started", host=target.host)
    try:
        text = snapshot.load(taken, target, run_dir)
        with connect(target) as switch:
            found = switch.comparable(switch.read_config())
            wanted = switch.comparable(text)
            if found != wanted:
                switch.restore(text)
                _prove(switch, wanted, target.host, run_dir)
    except (LabError, SpecError) as error:
        with suppress(LabError):  # what went wrong with the switch is what the operator must read
            journal.append("restore_failed", host=target.host, error=str(error))
        raise
    journal.append("restored", host=target.host, changed=found != wanted)
    return _restored(target.host, found, wanted)


def preview_restore(target: Target, journal: Journal, run_dir: Path) -> Restored:
    """Say what `restore` would change; writes nothing, neither on the switch nor here.

    Raises:
        SpecError: The snapshot belongs to another platform.
        LabError: The snapshot is damaged or the switch cannot be read.
    """
    taken = _pending(journal, target.host)
    if taken is None:
        return Restored(host=target.host, changed=False)
    text = snapshot.load(taken, target, run_dir)
    with connect(target) as switch:
        return _restored(target.host, switch.comparable(switch.read_config()), switch.comparable(text))


def unrestored(journal: Journal) -> list[str]:
    """Return the switches that have a snapshot and are not restored since, in the order they were first changed."""
    pending: dict[str, None] = {}
    for event in journal.events():
        if event["event"] == "snapshot_taken":
            pending[event["host"]] = None
        elif event["event"] == "restored":
            pending.pop(event["host"], None)
    return list(pending)


def _pending(journal: Journal, host: str) -> dict[str, Any] | None:
    """Return the ``snapshot_taken`` event of a switch that is not restored since."""
    taken = None
    for event in journal.events():
        if event.get("host") == host and event["event"] in ("snapshot_taken", "restored"):
            taken = event if event["event"] == "snapshot_taken" else None
    return taken


def _change(setting: Setting, before: Mapping[str, Any], programmed: Mapping[str, Any]) -> Change:
    known = not any(_lacking(value) for value in before.values())
    return Change(
        host=setting.target.host,
        feature=setting.feature,
        requested=setting.requested,
        programmed=programmed,
        changed=before != setting.requested,
        before=setting.rendered(before) if known else "",
        after=setting.rendered(setting.requested),
    )


def _check_present(setting: Setting, programmed: Mapping[str, Any]) -> None:
    for name, value in programmed.items():
        if _lacking(value):
            raise LabError(
                setting.target.host,
                f"took {setting.feature} but shows no {name} when it is read back; compare the switch's configuration "
                f"with templates/{setting.platform.name}/platform.yml",
            )


def _lacking(value: object) -> bool:
    return value is None or (isinstance(value, Mapping) and None in value.values())


def _prove(switch: Switch, wanted: list[str], host: str, run_dir: Path) -> None:
    difference = snapshot.difference(switch.comparable(switch.read_config()), wanted)
    if difference:
        path = snapshot.keep_difference(difference, host, run_dir)
        shown = "\n".join(difference[:SHOWN_LINES])
        more = f"\n... {len(difference) - SHOWN_LINES} more lines" if len(difference) > SHOWN_LINES else ""
        raise LabError(host, f"still differs from its snapshot; put this right by hand ({path}):\n{shown}{more}")


def _restored(host: str, found: list[str], wanted: list[str]) -> Restored:
    return Restored(host=host, changed=found != wanted, before="\n".join(found) + "\n", after="\n".join(wanted) + "\n")
