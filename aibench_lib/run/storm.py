"""PAUSE storms of hosts' NICs as a run makes them: announced before they begin, seen, ended, and never forgotten.

A storm is no change of a switch, so no snapshot brings it back.  The journal names the host, the address of its agent
and the priority before the agent is told; whoever restores a run ends what the journal does not say has ended.  If
nobody does, the agent ends it itself when its time is over.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from aibench_lib.errors import AibenchError, LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.model import Topology
from aibench_lib.units import NS_PER_SECOND
from aibench_lib.worker import storm as door
from aibench_lib.worker.agents import Agent
from aibench_lib.worker.storm import StormState

HIGHEST_PRIORITY = 7


@dataclass(frozen=True, kw_only=True)
class Storm:
    """What one NIC shall do, or may still do."""

    host: str
    priority: int
    seconds: int = 0
    """After which the agent ends it by itself [s of lab time]."""
    address: str = ""
    """Of the agent that was told, empty: that of the inventory."""
    port: int = 0

    def agent(self, agents: Mapping[str, Agent]) -> Agent:
        """Return whom to ask: where the journal says, with the inventory's certificates.

        Raises:
            SpecError: The inventory does not know the host.
        """
        if self.host not in agents:
            raise SpecError(f"pause_storm: host: {self.host!r} is no worker of the inventory")
        agent = agents[self.host]
        return replace(agent, address=self.address, port=self.port) if self.address else agent

    def __str__(self) -> str:
        return f"{self.host}, priority {self.priority}"


def check(storm: Storm) -> None:
    """Check what is asked of a storm that shall begin.

    Raises:
        SpecError: It has no end, or the priority is none.
    """
    if storm.seconds < 1:
        raise SpecError("fault pause_storm: duration_s: give at least 1: the agent ends it by then, whatever happens")
    if not 0 <= storm.priority <= HIGHEST_PRIORITY:
        raise SpecError(f"fault pause_storm: priority: {storm.priority} is not in 0..{HIGHEST_PRIORITY}")


def state(storm: Storm, agents: Mapping[str, Agent]) -> StormState:
    """Ask whether a storm is there; changes nothing.

    Raises:
        SpecError: The inventory does not know the host.
        LabError: Its agent does not answer.
    """
    return door.status(storm.agent(agents), storm.priority)


def start(storm: Storm, agents: Mapping[str, Agent], journal: Journal) -> StormState:
    """Let a NIC begin, and return when its agent says that it does.

    Raises:
        SpecError: What is asked cannot be; nothing was sent.
        LabError: It does so already, the agent does not answer, or it does not do as told; then it was told to stop, or
            the message says that it could not be.
    """
    check(storm)
    agent = storm.agent(agents)
    storm = replace(storm, address=agent.address, port=agent.port)
    if door.status(agent, storm.priority).active:
        raise LabError(storm.host, f"its NIC sends PAUSE for priority {storm.priority} already; stop that first")
    journal.append("storm_intended", **asdict(storm))
    try:
        found = _begin(storm, agent)
        journal.append("storm_started", host=storm.host, priority=storm.priority, until_ns=found.until_ns)
    except BaseException as error:  # Ctrl-C as well: nothing may leave a storm
        _clean_up(storm, agents, journal, error)
        raise
    return found


def stop(storm: Storm, agents: Mapping[str, Agent], journal: Journal) -> bool:
    """Let a NIC fall silent, whether or not it sends anything; return whether it did.

    Raises:
        SpecError: The inventory does not know the host.
        LabError: Its agent does not answer, or the storm goes on.
    """
    agent = storm.agent(agents)
    with suppress(LabError):  # a full disk must not keep a storm; "storm_stopped" below will report it
        journal.append("storm_stopping", host=storm.host, priority=storm.priority)
    was_there = door.status(agent, storm.priority).active
    door.stop(agent, storm.priority)
    if door.status(agent, storm.priority).active:
        raise LabError(storm.host, f"its NIC still sends PAUSE for priority {storm.priority} after it was told to stop")
    journal.append("storm_stopped", host=storm.host, priority=storm.priority, changed=was_there)
    return was_there


def standing(journal: Journal) -> list[Storm]:
    """Return the storms that were announced and are not known to have been ended."""
    found: dict[tuple[str, int], Storm] = {}
    for event in journal.events():
        if event["event"] == "storm_intended":
            storm = Storm(**{name: event[name] for name in Storm.__dataclass_fields__})
            found[storm.host, storm.priority] = storm
        elif event["event"] == "storm_stopped":
            found.pop((event["host"], event["priority"]), None)
    return list(found.values())


def end(storms: Sequence[Storm], agents: Mapping[str, Agent], journal: Journal) -> list[Storm]:
    """End storms, and return those that were there; one that cannot be ended does not keep the others.

    Raises:
        LabError: One could not be ended.
    """
    ended: list[Storm] = []
    failed: list[str] = []
    for storm in storms:
        try:
            if stop(storm, agents, journal):
                ended.append(storm)
        except AibenchError as error:
            failed.append(f"the PAUSE storm of {storm} could not be ended: {error}{_by_itself(storm)}")
    if failed:
        raise LabError("controller", "; ".join(failed))
    return ended


def _by_itself(storm: Storm) -> str:
    return f" (the agent ends it itself {storm.seconds} s of lab time after its start)" if storm.seconds else ""


def neighbours(storms: Sequence[Storm], topology: Topology) -> list[str]:
    """Return the nodes that the NICs of storms are linked to."""
    hosts = {storm.host for storm in storms}
    pairs = [pair for link in topology.links for pair in ((link.a, link.b), (link.b, link.a))]
    return list(dict.fromkeys(there.node for here, there in pairs if here.node in hosts))


def _begin(storm: Storm, agent: Agent) -> StormState:
    door.start(agent, storm.priority, storm.seconds * NS_PER_SECOND)
    found = door.status(agent, storm.priority)
    if not found.active:
        raise LabError(storm.host, f"the agent has taken the PAUSE storm for {storm.seconds} s, and there is none")
    return found


def _clean_up(storm: Storm, agents: Mapping[str, Agent], journal: Journal, error: BaseException) -> None:
    """End what a start has left; what could not be ended is added to the error."""
    with suppress(LabError):
        journal.append("storm_failed", host=storm.host, priority=storm.priority, error=str(error))
    try:
        stop(storm, agents, journal)
    except AibenchError as left:
        raise LabError(
            storm.host, f"{error}; and the storm could NOT be ended: {left}. Run playbooks/restore.yml"
        ) from error
