"""What the journal says of one switch: all that a restore knows, whoever has written it and however that one ended."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aibench_lib.journal import Journal

RESTORE = "aibench-restore"
"""The name of the change by which a switch is brought back from its text."""
_RUN_CHARACTERS = 15
"""Of a run's name, which begins with its date and time; with the rest a name has 32 characters at most."""


@dataclass
class Record:
    """One switch since its snapshot was taken; as new after each restore."""

    taken: Mapping[str, Any] | None = None
    """The event of the snapshot; None: the run has changed nothing, or everything is restored."""
    checkpoints: list[str] = field(default_factory=list)
    """Checkpoints that may be on the switch because we have announced them."""
    checkpoint: str | None = None
    """The one that was seen there."""
    left: Mapping[str, Any] | None = None
    """The event of the last change whose end is known."""
    in_the_air: dict[str, str | None] = field(default_factory=dict)
    """Changes that were announced and whose end is not known -> the checkpoint that they may fall back to."""
    held: dict[str, str | None] = field(default_factory=dict)
    """Those of them that were left unconfirmed on purpose."""
    restoring: bool = False
    """Whether a restore has begun to write."""
    changes: int = 0
    """Announced in the whole run."""
    snapshots: int = 0
    """Checkpoints announced in the whole run."""

    @property
    def is_clear(self) -> bool:
        """Whether everything that we have written is known, so that anything else on the switch is somebody else's."""
        return not self.in_the_air and not self.restoring


def record_of(journal: Journal, host: str) -> Record:
    """Return what the journal says of a switch."""
    record = Record()
    for event in journal.events():
        if event.get("host") == host:
            record = _after(record, event)
    return record


def unrestored(journal: Journal) -> list[str]:
    """Return the switches that have a snapshot and are not restored since, in the order they were first changed."""
    pending: dict[str, None] = {}
    for event in journal.events():
        if event["event"] == "snapshot_taken":
            pending[event["host"]] = None
        elif event["event"] == "restored":
            pending.pop(event["host"], None)
    return list(pending)


def checkpoint_name(run_dir: Path, record: Record) -> str:
    """Return a name for a checkpoint that every platform takes and no other run or snapshot has."""
    return f"{_prefix(run_dir)}-{record.snapshots + 1}"


def change_name(run_dir: Path, record: Record) -> str:
    """Return a name for a change, likewise."""
    return f"{_prefix(run_dir)}-c{record.changes + 1}"


def _prefix(run_dir: Path) -> str:
    path = run_dir.resolve()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", path.name).strip("-").removeprefix("20")[:_RUN_CHARACTERS].strip("-")
    return f"aibench-{readable}-{hashlib.sha256(str(path).encode()).hexdigest()[:3]}"


def _after(record: Record, event: Mapping[str, Any]) -> Record:
    """Return the record with one event more."""
    match event["event"]:
        case "snapshot_taken":
            return Record(taken=event, changes=record.changes, snapshots=record.snapshots)
        case "restored":
            return Record(changes=record.changes, snapshots=record.snapshots)
        case "checkpoint_intended":
            record.checkpoints.append(event["checkpoint"])
            record.snapshots += 1
        case "checkpoint_saved":
            record.checkpoint = event["checkpoint"]
        case "change_intended":
            record.in_the_air[event.get("change", "")] = event.get("checkpoint")
            record.changes += 1
        case "change_applied" if event["changed"]:
            record.left = event
            record.in_the_air.clear()
        case "change_held":
            record.held[event["change"]] = record.in_the_air.get(event["change"])
        case "change_released":
            record.held.pop(event["change"], None)
            record.in_the_air.pop(event["change"], None)
        case "restore_intended":
            record.restoring = True
    return record
