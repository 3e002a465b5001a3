"""Bring a switch back to what it was before the run, and prove it."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.switch import checkpoint, snapshot
from aibench_lib.switch.record import RESTORE, Record, record_of
from aibench_lib.switch.session import Switch, connect
from aibench_lib.switch.target import Target


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A switch that is proven to be as it was before the run, or the way there."""

    host: str
    changed: bool
    before: str = ""
    """The configuration that was found, without what differs between two reads of the same one."""
    after: str = ""
    """The configuration of the snapshot, likewise."""


@dataclass(frozen=True, kw_only=True)
class _Task:
    """A switch that has to be brought back."""

    target: Target
    record: Record
    text: str
    """Its snapshot."""
    journal: Journal
    run_dir: Path

    @property
    def host(self) -> str:
        return self.target.host

    def note(self, event: str, **fields: object) -> None:
        """Journal something; a full disk must not keep a switch changed, and ``restored`` will report it."""
        with suppress(LabError):
            self.journal.append(event, host=self.host, **fields)


@dataclass(frozen=True)
class _Method:
    """One way back."""

    name: str
    write: Callable[[Switch], None]


def restore(target: Target, journal: Journal, run_dir: Path, *, overwrite_foreign_changes: bool = False) -> Restored:
    """Bring a switch back to its snapshot and prove it, from the journal and the snapshot alone.

    A switch without a snapshot in the journal, or already restored, is left alone.  A change that was never confirmed
    is cancelled first.  Then the switch's own checkpoint, the text on our side, and once more the text are tried.

    Args:
        target: The switch.
        journal: The run's journal.
        run_dir: The run's folder, with the snapshot.
        overwrite_foreign_changes: Whether to go back behind what somebody else has changed since our last change.

    Raises:
        SpecError: The snapshot belongs to another platform.
        LabError: The snapshot is damaged, somebody else changed the switch, it refused or is unreachable, or it still
            differs; the message shows the difference, which is also in ``settings/<host>.diff``.
    """
    record = record_of(journal, target.host)
    if record.taken is None:
        return Restored(host=target.host, changed=False)
    with suppress(LabError):  # a full disk must not keep the switch changed; "restored" below will report it
        journal.append("restore_started", host=target.host)
    try:
        text = snapshot.load(record.taken, target, run_dir)
        task = _Task(target=target, record=record, text=text, journal=journal, run_dir=run_dir)
        found, wanted = _bring_back(task, overwrite=overwrite_foreign_changes)
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
    taken = record_of(journal, target.host).taken
    if taken is None:
        return Restored(host=target.host, changed=False)
    text = snapshot.load(taken, target, run_dir)
    with connect(target) as switch:
        return _restored(target.host, switch.comparable(switch.read_config()), switch.comparable(text))


def refuse_foreign_changes(switch: Switch, target: Target, record: Record, found: Sequence[str], run_dir: Path) -> None:
    """Raise an error if a switch is not what our last change, or the snapshot, has left.

    Raises:
        LabError: Somebody else has changed it; the message shows what.
    """
    if record.left is not None and record.left.get("after_sha256") == snapshot.fingerprint(found):
        return
    left = snapshot.load_after(record.left, run_dir) if record.left is not None else None
    since = "our last change"
    if left is None:
        assert record.taken is not None, "only a switch with a snapshot is compared"
        left, since = switch.comparable(snapshot.load(record.taken, target, run_dir)), "the snapshot"
        if record.left is None and left == found:
            return
    difference = snapshot.difference(left, found, (since, "switch now"))
    path = snapshot.keep_difference(difference, target.host, run_dir)
    raise LabError(
        target.host,
        f"somebody else has changed it since {since}; nothing was sent. To give up what they did, restore with "
        f"-e overwrite_foreign_changes=true; all of it is in {path}:\n{snapshot.shown(difference)}",
    )


def _bring_back(task: _Task, *, overwrite: bool) -> tuple[list[str], list[str]]:
    """Return the configuration that was found and the one that is there now."""
    with ExitStack() as session:
        switch = session.enter_context(connect(task.target))
        armed = _cancel(switch, task)
        found = switch.comparable(switch.read_config())
        wanted = switch.comparable(task.text)
        untouched = task.record.left is None and task.record.is_clear
        if found == wanted or untouched:  # what differs though we have changed nothing is not ours to take back
            _tidy(switch, task)
        else:
            if task.record.is_clear and not overwrite:
                refuse_foreign_changes(switch, task.target, task.record, found, task.run_dir)
            _write_back(task, session, switch, found, wanted)
    if armed:
        raise LabError(task.host, f"is as it was before the run, but may fall back to a later state by itself: {armed}")
    return (wanted, wanted) if untouched else (found, wanted)


def _cancel(switch: Switch, task: _Task) -> str:
    """Take back what was never confirmed; return why that was not possible, or an empty string."""
    reasons = []
    open_changes = dict(task.record.in_the_air)
    if task.record.restoring:  # whoever was bringing the switch back may have been killed in the middle
        open_changes[RESTORE] = task.record.checkpoint
    for change, kept in open_changes.items():
        if not change:
            continue
        here = functools.partial(switch.cancel, change, kept)
        reason = _why_not(here) and _why_not(functools.partial(_cancel_anew, task.target, change, kept))
        if reason:
            reasons.append(f"{change}: {reason}")
    return "; ".join(reasons)


def _cancel_anew(target: Target, change: str, kept: str | None) -> None:
    with connect(target) as switch:
        switch.cancel(change, kept)


def _why_not(do: Callable[[], None]) -> str:
    try:
        do()
    except LabError as error:
        return str(error)
    return ""


def _write_back(task: _Task, session: ExitStack, switch: Switch, found: list[str], wanted: list[str]) -> None:
    """Try one way after the other until the difference is empty."""
    difference = snapshot.difference(found, wanted)
    reasons: list[str] = []
    for method in _methods(task):
        task.note("restore_intended", method=method.name)
        proven = False
        try:
            if reasons:  # the session may be what is broken, or hold a lock
                session.close()
                switch = session.enter_context(connect(task.target))
            method.write(switch)
            difference = snapshot.difference(switch.comparable(switch.read_config()), wanted)
            proven = not difference
            if proven:
                _tidy(switch, task)
                return
            reasons.append(f"{method.name}: taken, and still different")
        except LabError as error:
            if proven:
                raise
            reasons.append(f"{method.name}: {str(error).removeprefix(f'{task.host}: ')}")
    path = snapshot.keep_difference(difference, task.host, task.run_dir)
    raise LabError(
        task.host,
        f"still differs from its snapshot (tried {'; '.join(reasons)}); put this right by hand ({path}):\n"
        f"{snapshot.shown(difference)}",
    )


def _methods(task: _Task) -> Iterator[_Method]:
    kept = task.record.checkpoint
    if kept is not None:
        yield _Method(f"its checkpoint {kept}", lambda switch: switch.roll_back(kept))
    yield _Method("the text", lambda switch: switch.restore(task.text))
    yield _Method("the text again", lambda switch: switch.restore(task.text))


def _tidy(switch: Switch, task: _Task) -> None:
    """Remove what we have left on a switch that is as it was.

    Raises:
        LabError: It is as it was, and a checkpoint of ours is still there.
    """
    try:
        checkpoint.remove(switch, task.target, task.record.checkpoints)
    except LabError as error:
        why = str(error).removeprefix(f"{task.host}: ")
        names = ", ".join(task.record.checkpoints)
        raise LabError(
            task.host, f"is as it was before the run, but our checkpoint {names} cannot be removed: {why}"
        ) from error


def _restored(host: str, found: list[str], wanted: list[str]) -> Restored:
    return Restored(host=host, changed=found != wanted, before="\n".join(found) + "\n", after="\n".join(wanted) + "\n")
