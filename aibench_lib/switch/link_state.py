"""Whether links are up or down, as the switches at both of their ends see it."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from aibench_lib.errors import LabError
from aibench_lib.model import Port
from aibench_lib.switch.facts import InterfaceFacts, ask
from aibench_lib.switch.session import connect
from aibench_lib.switch.target import Target

VERIFY_SECONDS = 30.0
"""How long a link may take to be seen down or up: optics and negotiation take their time."""
_PAUSE_SECONDS = 0.2
_THREADS = 8


def states(ends: Sequence[Port], targets: Mapping[str, Target]) -> dict[Port, InterfaceFacts]:
    """Return what the switches among ``ends`` say of them; a host is asked nothing.

    Raises:
        LabError: A switch does not answer, or does not say whether the port is up.
    """
    asked = [targets[name] for name in dict.fromkeys(end.node for end in ends) if name in targets]
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        found = dict(zip((target.host for target in asked), pool.map(_interfaces, asked), strict=True))
    told = {end: found[end.node].get(end.interface) for end in ends if end.node in found}
    for end, facts in told.items():
        if facts is None or facts.oper is None:
            raise LabError(end.node, f"does not say whether {end.interface} is up; nothing can be verified there")
    return {end: facts for end, facts in told.items() if facts is not None}


def _interfaces(target: Target) -> Mapping[str, InterfaceFacts]:
    with connect(target) as switch:
        return ask(switch, target, only=("oper", "admin")).interfaces


def verify(
    ends: Sequence[Port], targets: Mapping[str, Target], wanted: str, seconds: float = VERIFY_SECONDS
) -> dict[Port, InterfaceFacts]:
    """Wait until every end is what it shall be, and return what they are.

    Args:
        ends: Of links; hosts among them are not asked.
        targets: The switches.
        wanted: up or down.
        seconds: How long to wait [s].

    Raises:
        LabError: One is not; the message says what all of them are.
    """
    until = time.monotonic() + seconds
    while True:
        found = states(ends, targets)
        wrong = [end for end, facts in found.items() if facts.oper != wanted]
        if not wrong:
            return found
        if time.monotonic() >= until:
            raise LabError(
                wrong[0].node, f"{wrong[0].interface} is not {wanted} after {seconds:g} s; both ends: {said(found)}"
            )
        time.sleep(_PAUSE_SECONDS)


def said(found: Mapping[Port, InterfaceFacts]) -> str:
    """Return the state of ends in words."""
    return ", ".join(f"{end} {facts.oper} (admin {facts.admin or 'not said'})" for end, facts in found.items())
