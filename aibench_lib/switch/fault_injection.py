"""Start a fault, prove that it is there, stop it, prove that it is gone; whatever happens in between, it is stopped."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aibench_lib.errors import AibenchError, LabError
from aibench_lib.model import Port
from aibench_lib.switch import link_state, transaction
from aibench_lib.switch.facts import InterfaceFacts
from aibench_lib.switch.faults import OF_LINKS, Fault, FaultKind, Place, Step, steps
from aibench_lib.switch.record import record_of


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a fault."""

    changed: bool
    ends: Mapping[str, str] = field(default_factory=dict)
    """Port -> up or down, of the ends that are switches; empty for a fault that is not of links."""
    unasked: Sequence[str] = ()
    """Ends of which nobody can say: those of hosts."""
    held: bool = False
    """Whether every switch will end the fault by itself."""
    seconds_down: Sequence[float] = ()
    """Of a flap: how long the ports were seen down each time [s, controller's clock]."""
    notes: Sequence[str] = ()


def preview(fault: Fault, place: Place, *, starts: bool = True) -> list[transaction.Change]:
    """Say what `start`, or `stop`, would change; reads the switches and writes nothing.

    A fault that only a snapshot ends has nothing to show for its stop.

    Raises:
        SpecError: The fault is wrong, or not attainable.
        LabError: A switch cannot be read.
    """
    asked = [(step, step.start if starts else step.stop) for step in steps(fault, place)]
    return [transaction.preview(step.target, step.feature, values) for step, values in asked if values]


def start(fault: Fault, place: Place) -> Outcome:
    """Start a fault and return when it is seen at both ends; a flap is over by then.

    Raises:
        SpecError: The fault is wrong, or not attainable; nothing was sent.
        LabError: A switch did not do as told, or the fault is not seen; it was taken back, or the message says that it
            was not.
    """
    planned, ends = steps(fault, place), _ends(fault, place)
    if ends:
        link_state.verify(ends, place.targets, "up", 0)
    place.journal.append("fault_intended", fault=fault.plain())
    try:
        if fault.kind is FaultKind.LINK_FLAP:
            down = [_flap(fault, place, planned, ends) for _ in range(fault.flaps)]
            outcome = _outcome(place, fault, link_state.verify(ends, place.targets, "up"), seconds_down=down)
        else:
            held = [_begin(step, place) for step in planned]
            found = link_state.verify(ends, place.targets, "down") if ends else {}
            outcome = _outcome(place, fault, found, held=all(held))
        event = "fault_stopped" if fault.kind is FaultKind.LINK_FLAP else "fault_started"
        place.journal.append(event, fault=fault.plain(), ends=outcome.ends, held=outcome.held)
    except BaseException as error:  # Ctrl-C as well: nothing may leave a link down
        _clean_up(fault, place, planned, error)
        raise
    return outcome


def stop(fault: Fault, place: Place) -> Outcome:
    """Stop a fault, whether or not it is there, and return when both ends are seen up.

    Raises:
        SpecError: The fault is wrong.
        LabError: A switch did not do as told, or a link stays down; the message says what both ends are.
    """
    planned, ends = steps(fault, place), _ends(fault, place)
    place.journal.append("fault_stopping", fault=fault.plain())
    changed, notes = _take_back(planned, place)
    found = link_state.verify(ends, place.targets, "up") if ends else {}
    outcome = _outcome(place, fault, found, changed=changed, notes=notes)
    place.journal.append("fault_stopped", fault=fault.plain(), ends=outcome.ends)
    return outcome


@contextmanager
def active(fault: Fault, place: Place) -> Iterator[Outcome]:
    """Have a fault while the block runs; however it ends, the fault ends with it."""
    outcome = start(fault, place)
    try:
        yield outcome
    finally:
        stop(fault, place)


def _ends(fault: Fault, place: Place) -> list[Port]:
    return place.ends(fault) if fault.kind in OF_LINKS else []


def _begin(step: Step, place: Place) -> bool:
    """Make a switch begin; return whether it will end it by itself.

    Raises:
        LabError: It did not take what was asked.
    """
    change = transaction.apply(
        step.target, step.feature, step.start, place.journal, place.run_dir, hold_seconds=step.hold_seconds
    )
    for name, value in change.requested.items():
        if change.programmed[name] != value:
            raise LabError(
                step.target.host, f"shows {name} {change.programmed[name]!r} for {step.feature}, not {value!r}"
            )
    return change.held


def _end(step: Step, place: Place) -> tuple[bool, str]:
    """Make a switch end it, and return whether that changed anything, and what else went with it.

    Raises:
        LabError: It refused.
    """
    released = transaction.release(step.target, place.journal)
    if step.stop:
        change = transaction.apply(step.target, step.feature, step.stop, place.journal, place.run_dir)
        return released or change.changed, ""
    return (True, "") if released else _end_by_snapshot(step, place)


def _end_by_snapshot(step: Step, place: Place) -> tuple[bool, str]:
    """Bring a switch back to its snapshot, for what has no command that ends it."""
    host = step.target.host
    others = [
        event["feature"]
        for event in place.journal.events()
        if event["event"] == "change_applied" and event["host"] == host and event["feature"] != step.feature
    ]
    changed = transaction.restore(step.target, place.journal, place.run_dir).changed
    gone = ", ".join(dict.fromkeys(others))
    return changed, f"{host} was brought back to its snapshot; {gone} went as well" if changed and gone else ""


def _take_back(planned: Sequence[Step], place: Place) -> tuple[bool, list[str]]:
    """End every step, the last one first; one that fails does not keep the others.

    Raises:
        LabError: One could not be ended, nor its switch be brought back to its snapshot.
    """
    ended, failed = [], []
    for step in reversed(planned):
        try:
            ended.append(_end(step, place))
        except AibenchError as error:
            failed += _restored(step, place, error)
            ended.append((True, ""))
    if failed:
        raise LabError(planned[0].target.host, f"{'; '.join(failed)}. Run playbooks/restore.yml")
    return any(changed for changed, _ in ended), [note for _, note in ended if note]


def _restored(step: Step, place: Place, error: AibenchError) -> list[str]:
    """Bring a switch that would not end a fault back to its snapshot; return why not, or nothing."""
    try:
        transaction.restore(step.target, place.journal, place.run_dir)
    except AibenchError as other:
        return [f"{step.feature} could not be taken back ({error}), nor the switch restored ({other})"]
    return []


def _clean_up(fault: Fault, place: Place, planned: Sequence[Step], error: BaseException) -> None:
    """Take back what a start has left; what could not be taken back is added to the error."""
    touched = [step for step in planned if record_of(place.journal, step.target.host).taken is not None]
    with suppress(LabError):  # a full disk must not keep a link down
        place.journal.append("fault_failed", fault=fault.plain(), error=str(error))
    try:
        _take_back(touched, place)
    except AibenchError as left:
        raise LabError(planned[0].target.host, f"{error}; and the fault could NOT be taken back: {left}") from error


def _flap(fault: Fault, place: Place, planned: Sequence[Step], ends: Sequence[Port]) -> float:
    """Let the ports go down and up once; return how long they were seen down [s]."""
    begun = time.monotonic()
    for step in planned:
        _begin(step, place)
    link_state.verify(ends, place.targets, "down")
    seen = time.monotonic()
    time.sleep(fault.period_s / 2)
    ended = time.monotonic()
    _take_back(planned, place)
    link_state.verify(ends, place.targets, "up")
    time.sleep(max(0.0, begun + fault.period_s - time.monotonic()))
    place.journal.append("fault_flapped", fault=fault.plain(), seconds_down=round(ended - seen, 3))
    return round(ended - seen, 3)


def _outcome(
    place: Place,
    fault: Fault,
    found: Mapping[Port, InterfaceFacts],
    *,
    changed: bool = True,
    **more: Any,  # noqa: ANN401 - fields of the outcome
) -> Outcome:
    return Outcome(
        changed=changed,
        ends={str(end): str(facts.oper) for end, facts in found.items()},
        unasked=[str(end) for end in _ends(fault, place) if end not in found],
        **more,
    )
