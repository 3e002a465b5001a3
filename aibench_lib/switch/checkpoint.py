"""The copy of the configuration that the switch itself keeps for the run, where its platform can keep one."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from aibench_lib.errors import LabError
from aibench_lib.journal import Journal
from aibench_lib.platforms import Checkpoint, load_platform
from aibench_lib.switch.record import Record, checkpoint_name
from aibench_lib.switch.session import Switch
from aibench_lib.switch.target import Target


def save(switch: Switch, target: Target, record: Record, journal: Journal, run_dir: Path) -> str | None:
    """Have the switch keep its configuration before the first change; return the checkpoint's name.

    Returns:
        None where the platform has no checkpoints.

    Raises:
        LabError: There is no room for one, the switch refuses, does not list what it took, or the run's own is gone;
            nothing was changed.
    """
    there = switch.checkpoints()
    if there is None:
        return None
    if record.checkpoint is not None:
        if record.checkpoint not in there:
            raise LabError(
                target.host,
                f"its checkpoint {record.checkpoint} was removed by somebody during the run; nothing was sent: "
                "restore the switch (playbooks/restore.yml) and start again",
            )
        return record.checkpoint
    if record.left is not None or not record.is_clear:
        return None  # what the switch has now is not what it had before the run
    facts = _facts(target)
    if facts is not None and facts.slots is not None and len(there) >= facts.slots:
        raise LabError(target.host, f"has no room for a checkpoint; {_cure(target, there)}")
    return _save_new(switch, target, checkpoint_name(run_dir, record), journal)


def remove(switch: Switch, target: Target, names: Sequence[str]) -> None:
    """Remove those of our checkpoints that are there.

    Raises:
        LabError: One cannot be removed.
    """
    there = switch.checkpoints() if names else None
    for name in names:
        if name not in (there or ()):
            continue
        try:
            switch.remove_checkpoint(name)
        except LabError:
            switch.remove_checkpoint(name)  # a switch that is busy may refuse once
    left = set(switch.checkpoints() or ()) & set(names) if there else ()
    if left:
        raise LabError(target.host, f"still lists the checkpoint {', '.join(sorted(left))} after it was removed")


def _save_new(switch: Switch, target: Target, name: str, journal: Journal) -> str:
    journal.append("checkpoint_intended", host=target.host, checkpoint=name)
    try:
        switch.save_checkpoint(name)
        there = switch.checkpoints() or []
    except LabError as error:
        there = []
        with suppress(LabError):  # the refusal is what the operator must read
            there = switch.checkpoints() or []
            remove(switch, target, [name])
        why = str(error).removeprefix(f"{target.host}: ")
        raise LabError(target.host, f"kept no checkpoint: {why}; {_cure(target, there)}") from error
    if name not in there:
        raise LabError(target.host, f"took the checkpoint {name} and does not list it; {_cure(target, there)}")
    journal.append("checkpoint_saved", host=target.host, checkpoint=name)
    return name


def _facts(target: Target) -> Checkpoint | None:
    cli = load_platform(target.platform).cli
    return cli.checkpoint if cli else None


def _cure(target: Target, there: Sequence[str]) -> str:
    """Return which checkpoints there are, and how to make room."""
    facts = _facts(target)
    count = f"{len(there)} of {facts.slots}" if facts and facts.slots else f"{len(there)}"
    listed = f"it has {count} ({', '.join(there)})" if there else "it lists none"
    how = " ".join(facts.remove).replace("{checkpoint}", there[0]) if facts and there else ""
    room = f"remove one that is not needed ({how!r}) and start again" if how else "check its storage and start again"
    return f"{listed}; nothing was changed: {room}"
