"""Change a switch so that it can always be brought back.

Journal before act; snapshot before the first change, on our side and on the switch; a change is armed to fall back by
itself until everything was read back; a restore (:mod:`aibench_lib.switch.restoration`) needs the journal and the
snapshot alone, and counts only when an empty difference proves it.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.switch import checkpoint, snapshot
from aibench_lib.switch.broken import SessionBrokenError
from aibench_lib.switch.record import change_name, record_of, unrestored
from aibench_lib.switch.restoration import Restored, preview_restore, refuse_foreign_changes, restore
from aibench_lib.switch.session import Switch, connect
from aibench_lib.switch.setting import Setting, parse_setting
from aibench_lib.switch.target import Target

__all__ = ["Change", "Restored", "apply", "apply_all", "preview", "preview_restore", "release", "restore", "unrestored"]

DEAD_MAN_SECONDS = 300
"""After this time a switch takes a change back by itself unless it was confirmed; reading back takes a part of it."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A setting as it was asked for and as the switch has it."""

    host: str
    feature: str
    requested: Mapping[str, Any]
    programmed: Mapping[str, Any]
    """Read back from the switch: after an `apply` what it made of the request, in a `preview` what it has now."""
    changed: bool
    held: bool = False
    """Whether the switch will take it back by itself, because it was never confirmed."""
    before: str
    """The template rendered with the values the switch had; empty if it had none."""
    after: str
    """The template rendered with the requested values."""


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


def apply(
    target: Target,
    feature: str,
    values: Mapping[str, Any],
    journal: Journal,
    run_dir: Path,
    *,
    hold_seconds: int | None = None,
    session: Switch | None = None,
) -> Change:
    """Make a switch take a setting, and return what it made of it.

    What is already there is not sent again.  A programmed value that differs from the requested one (a switch rounds
    to its buffer cells) is returned and journalled, and is no failure.

    Args:
        target: The switch.
        feature: Such as ``ecn``.
        values: Such as ``ecn_threshold_bytes``.
        journal: The run's journal.
        run_dir: The run's folder; the snapshot goes into its ``settings/``.
        hold_seconds: Leave the change unconfirmed, where the platform has a dead man: the switch takes it back after
            this time, or at a `release`.  Until then it takes no other change.
        session: An open session with the switch, for several changes with one login; None: one is opened and closed.

    Raises:
        SpecError: The values are wrong or not attainable on this platform; nothing was sent.
        LabError: The switch refused, is unreachable, has no room for a checkpoint, does not show what was applied, or
            was changed by somebody else since our last change.
    """
    setting = parse_setting(target, feature, values)
    if not run_dir.is_dir():
        raise SpecError(f"run_dir: {run_dir}: no such folder; the snapshot of {target.host} goes into it")
    facts = {"host": target.host, "feature": feature, "requested": setting.requested}
    _check_whole(journal, target.host)
    ended: dict[str, Any] = {}
    with nullcontext(session) if session else connect(target) as switch:
        before = programmed = switch.read_back(setting)
        if before != setting.expected:
            programmed, ended = _program(switch, setting, journal, run_dir, hold_seconds)
    _check_present(setting, programmed)
    held = bool(ended) and "after_sha256" not in ended
    change = _change(setting, before, programmed, held=held)
    event = "change_held" if held else "change_applied"
    journal.append(event, **facts, programmed=programmed, changed=change.changed, **ended)
    return change


def apply_all(
    target: Target, asked: Sequence[tuple[str, Mapping[str, Any]]], journal: Journal, run_dir: Path
) -> list[Change]:
    """Make a switch take several settings in their order, with one login; see `apply`.

    Args:
        target: The switch.
        asked: Features and their values.
        journal: The run's journal.
        run_dir: The run's folder.

    Raises:
        SpecError: A value of any of them is wrong or not attainable; nothing was sent.
        LabError: As for `apply`; what came before the setting that failed is on the switch, and in the journal.
    """
    for feature, values in asked:
        parse_setting(target, feature, values)
    with connect(target) as switch:
        return [apply(target, feature, values, journal, run_dir, session=switch) for feature, values in asked]


def release(target: Target, journal: Journal) -> bool:
    """Take back what `apply` has left unconfirmed; return whether there was anything.

    What the switch has taken back by itself meanwhile is no error.

    Raises:
        LabError: The switch is unreachable or refused.
    """
    held = dict(record_of(journal, target.host).held)
    if not held:
        return False
    with connect(target) as switch:
        for change, kept in held.items():
            switch.cancel(change, kept)
            journal.append("change_released", host=target.host, change=change)
    return True


def _check_whole(journal: Journal, host: str) -> None:
    """Raise an error if an earlier change was broken off: it may fall back later and take this one with it."""
    record = record_of(journal, host)
    if not record.is_clear:
        raise LabError(host, "an earlier change of this run was broken off; restore it first (playbooks/restore.yml)")


def _program(
    switch: Switch, setting: Setting, journal: Journal, run_dir: Path, hold_seconds: int | None
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Make the change; return the values read back, and what the journal must know of its end."""
    target = setting.target
    found = switch.comparable(switch.read_config())
    kept = _prepare(switch, target, journal, run_dir)
    name = change_name(run_dir, record_of(journal, target.host))
    seconds = (hold_seconds or DEAD_MAN_SECONDS) if switch.has_dead_man else None
    rendered = setting.rendered(setting.requested)
    journal.append(
        "change_intended",
        host=target.host,
        feature=setting.feature,
        requested=setting.requested,
        rendered=rendered,
        change=name,
        checkpoint=kept,
        seconds=seconds,
    )
    switch.apply(rendered, name, seconds, kept)
    try:
        programmed = switch.read_back(setting)
        _check_present(setting, programmed)
    except LabError:
        with suppress(LabError):  # what went wrong first is what the operator must read; the restore cancels again
            switch.cancel(name, kept)
        raise
    if hold_seconds and switch.has_dead_man:
        return programmed, {"change": name}
    armed = switch.comparable(switch.read_config())
    _confirm(switch, name, is_needed=armed != found)
    left = switch.comparable(switch.read_config())
    if left != armed:  # some switches take a confirmation that comes too late, and say nothing
        raise LabError(
            target.host,
            f"{setting.feature} was taken and is not what is there after it was confirmed; if it took {seconds} s to "
            "read it back, the switch has taken it back, else somebody changes it: look at its load and its log",
        )
    return programmed, {"change": name, **snapshot.keep_after(left, target.host, run_dir)}


def _confirm(switch: Switch, change: str, *, is_needed: bool) -> None:
    """Keep a change; of one that made no difference some switches have nothing to confirm, and say so."""
    try:
        switch.confirm(change)
    except SessionBrokenError:
        raise
    except LabError:
        if is_needed:
            raise


def _prepare(switch: Switch, target: Target, journal: Journal, run_dir: Path) -> str | None:
    """See to it that the switch can be brought back; return the name of its own checkpoint, None if it has none."""
    record = record_of(journal, target.host)
    if record.taken is None:
        snapshot.take(switch, target, journal, run_dir)
        record = record_of(journal, target.host)
    else:
        refuse_foreign_changes(switch, target, record, switch.comparable(switch.read_config()), run_dir)
    return checkpoint.save(switch, target, record, journal, run_dir)


def _change(
    setting: Setting, before: Mapping[str, Any], programmed: Mapping[str, Any], *, held: bool = False
) -> Change:
    known = not any(_lacking(value) for value in before.values())
    return Change(
        host=setting.target.host,
        feature=setting.feature,
        requested=setting.requested,
        programmed=programmed,
        changed=before != setting.expected,
        held=held,
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
