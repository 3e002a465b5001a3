"""Ask all switches and agents of a lab what a preflight must know: reads only, and one that is down hides nobody."""

import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from aibench_lib.errors import AibenchError, LabError
from aibench_lib.platforms import ReadBack, Sessions, Transport, load_platform
from aibench_lib.run.lab import Lab
from aibench_lib.switch.facts import Facts, Shows, ask
from aibench_lib.switch.gnmi import GnmiSwitch
from aibench_lib.switch.session import Switch, connect
from aibench_lib.switch.setting import Setting
from aibench_lib.switch.target import Target
from aibench_lib.worker.agents import Agent
from aibench_lib.worker.coordinator import Coordinator

COMPARED = ("pfc_priority", "pfc", "pfc_watchdog", "ecn", "dscp", "scheduling")
"""Features whose values both ends of a link are asked for."""
_THREADS = 16
_AGENT_SECONDS = 5.0
_MOST_SILENT = 5
"""So many agents that do not answer are named one by one."""


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What one switch answered."""

    host: str
    cli: str = ""
    """Why it cannot be configured; empty: it can."""
    gnmi: str = ""
    """Why its telemetry cannot be read; empty: it can."""
    facts: Facts | None = None
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Feature -> value -> what the switch has now."""
    checkpoints: Sequence[str] | None = None
    """None: its platform has none."""
    slots: int | None = None
    sessions: Sequence[str] = ()
    """Candidate configurations that are open."""
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Agents:
    """What the hosts' agents answered."""

    silent: Mapping[str, str] = field(default_factory=dict)
    """Host -> why it did not."""
    answered: int = 0
    let_in: int = 0
    """Hosts without an agent yet, to which a run will bring one: those that SSH let us in to."""
    clock_ns: int | None = None
    """The latest of the hosts' clocks when they were asked: that of the lab [ns since the epoch]."""
    asked_at: float = 0.0
    """On the controller's clock [s since the epoch]."""
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Host -> what it says of itself."""


def inspect_switches(lab: Lab, hosts: Collection[str]) -> list[Inspected]:
    """Ask the switches, all at once."""
    targets = [target for name, target in lab.switches.items() if name in hosts]
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        return list(pool.map(inspect_switch, targets))


def inspect_switch(target: Target) -> Inspected:
    """Ask one switch."""
    platform = load_platform(target.platform)
    asks_gnmi = platform.transport is not Transport.GNMI and platform.telemetry
    gnmi = _why_no_gnmi(target) if asks_gnmi else ""
    try:
        with connect(target) as switch:
            return _asked(switch, target, gnmi)
    except AibenchError as error:
        why = str(error).removeprefix(f"{target.host}: ")
        return Inspected(host=target.host, cli=why, gnmi=gnmi or (why if platform.transport is Transport.GNMI else ""))


def _asked(switch: Switch, target: Target, gnmi: str) -> Inspected:
    notes: list[str] = []
    facts, checkpoints = None, None
    try:
        facts = ask(switch, target)
    except LabError as error:
        notes.append(f"facts: {error}")
    try:
        checkpoints = switch.checkpoints()
    except LabError as error:
        notes.append(f"checkpoints: {error}")
    values = {}
    for feature in COMPARED:
        try:
            found = _read_back(switch, target, feature)
        except AibenchError as error:
            notes.append(f"{feature}: {error}")
            continue
        if found is not None:
            values[feature] = found
    cli = load_platform(target.platform).cli
    return Inspected(
        host=target.host,
        gnmi=gnmi,
        facts=facts,
        values=values,
        checkpoints=checkpoints,
        slots=cli.checkpoint.slots if cli and cli.checkpoint else None,
        sessions=_sessions(switch, cli.sessions, notes) if cli and cli.sessions else (),
        notes=notes,
    )


def _sessions(switch: object, sessions: Sessions, notes: list[str]) -> list[str]:
    """Return the names of the candidate configurations that are open."""
    assert isinstance(switch, Shows), "a platform with sessions has a command line"
    try:
        lines = switch.show(sessions.show).splitlines()
    except LabError as error:
        notes.append(f"sessions: {error}")
        return []
    return [match["name"] for line in lines if (match := re.search(sessions.name, line))]


def _read_back(switch: Switch, target: Target, feature: str) -> Mapping[str, Any] | None:
    """Return the values of a feature as the switch has them; None where the platform or the inventory has none."""
    platform = load_platform(target.platform)
    facts = platform.features.get(feature)
    if facts is None or any(option not in target.options for option in facts.options):
        return None
    asked = [*facts.ranges, *facts.choices]
    known = [name for name in asked if name in facts.read_back.names]
    if not known or _needs_values(facts.read_back, [*asked, *facts.names]):
        return None
    return switch.read_back(Setting(target=target, platform=platform, feature=feature, requested=dict.fromkeys(known)))


def _needs_values(read_back: ReadBack, names: Sequence[str]) -> bool:
    """Whether the place of a value is only known with a value, such as the code point that is asked for."""
    texts = [*read_back.paths, *(leaf for leaves in read_back.paths.values() for leaf in leaves.values())]
    texts += [text for block in read_back.blocks for text in (*block.within, *block.lines)]
    return any(f"{{{name}}}" in text for text in texts for name in names)


def _why_no_gnmi(target: Target) -> str:
    try:
        GnmiSwitch(target, load_platform(target.platform)).close()
    except AibenchError as error:
        return str(error).removeprefix(f"{target.host}: ")
    return ""


def inspect_agents(agents: Mapping[str, Agent], now: float, *, real: bool = True) -> Agents:
    """Ask the agents, all at once, until those that do not answer are known.

    Args:
        agents: Host -> its agent.
        now: The controller's clock [s since the epoch].
        real: Whether there are hosts behind them, which can be inspected.
    """
    silent: dict[str, str] = {}
    with Coordinator(agents.values(), answer_seconds=_AGENT_SECONDS) as coordinator:
        while len(silent) < min(_MOST_SILENT, len(agents)):
            asked = [host for host in agents if host not in silent]
            try:
                answers = coordinator.describe(asked)
            except AibenchError as error:
                host = getattr(error, "host", "")
                if host not in asked:
                    return Agents(silent={**silent, "agents": str(error)}, asked_at=now)
                silent[host] = str(error).removeprefix(f"{host}: ")
                continue
            clock = max((answer.now_ns for answer in answers), default=None)
            facts = {host: said for host, said in coordinator.inspect().items() if host in asked} if real else {}
            return Agents(silent=silent, answered=len(answers), clock_ns=clock, asked_at=now, facts=facts)
    return Agents(silent=silent, asked_at=now)
