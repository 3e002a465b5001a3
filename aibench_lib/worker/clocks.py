"""By how much each host's clock is ahead of the controller's, and how well that is known.

Hosts that say they have one clock (a boot of a kernel, a simulated lab) have no difference.  Others are probed: the
offset comes from the probe with the shortest round trip, and lies within half of that trip, however unequal its two
directions are.  Where hosts say how well PTP or chrony keeps them, and that is better between them, it is used instead.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aibench_lib.errors import LabError
from aibench_lib.units import NS_PER_MS, NS_PER_SECOND, NS_PER_US
from aibench_lib.worker import agent_pb2
from aibench_lib.worker.calls import Calls
from aibench_lib.worker.probes import Exchange, Probed, probe

MAX_AGE_NS = 30 * NS_PER_SECOND
"""An older measurement is made anew before the next trial."""
_ROUNDS = 16
_CALL_ROUNDS = 8
_UNKNOWN_DRIFT_PPM = 50
"""What a clock that nobody disciplines may drift; assumed until two measurements have shown better or worse."""
_MILLION = 1_000_000
_SLEW_PPM = 500
"""As fast as the kernel turns a clock on purpose; what is more, is a jump."""
_JUMP_NS = NS_PER_MS
_LAB = "lab"
"""The ``clock`` of a simulated lab's agents, which share one."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SYNC, _BOUND = "clock.sync", "clock.offset_bound_ns"
"""Facts of a host: what keeps its clock, and how far it may be from true time."""


@dataclass(frozen=True)
class Reading:
    """What is known of a host's clock."""

    clock: str
    """Hosts with the same have one clock."""
    offset_ns: int
    """By how much it is ahead of the controller's [ns]."""
    uncertainty_ns: int
    """The true offset differs by no more [ns]."""
    method: str
    """``one clock``, ``probes``, ``calls``, or what keeps it, as ``ptp``."""


@dataclass(frozen=True)
class Measurement:
    """An offset that was measured."""

    offset_ns: int
    uncertainty_ns: int
    time_ns: int
    """When, on a clock that nobody turns [ns]."""
    drift_ppm: float = _UNKNOWN_DRIFT_PPM
    """How fast the offset may change."""
    method: str = "probes"

    def uncertainty_at(self, time_ns: int) -> int:
        """Return how well the offset is known later [ns]."""
        return self.uncertainty_ns + round(self.drift_ppm * abs(time_ns - self.time_ns) / _MILLION)


def estimate(exchanges: Iterable[Exchange], time_ns: int, method: str = "probes") -> Measurement | None:
    """Return what probes say, None where none is of use.

    Args:
        exchanges: Probes of one host, made within a moment.
        time_ns: When.
        method: How they were made.
    """
    usable = [one for one in exchanges if one.round_trip_ns >= 0]  # unless a clock was set in between
    if not usable:
        return None
    best = min(usable, key=lambda one: one.round_trip_ns)
    offset_ns = ((best.received_ns - best.sent_ns) + (best.answered_ns - best.back_ns)) // 2
    return Measurement(offset_ns, (best.round_trip_ns + 1) // 2, time_ns, method=method)


def following(host: str, before: Measurement, now: Measurement) -> Measurement:
    """Return a measurement with what it and the one before it show of the drift.

    Raises:
        LabError: The clock was set in between.
    """
    elapsed_ns = max(1, now.time_ns - before.time_ns)
    moved_ns = abs(now.offset_ns - before.offset_ns)
    known_ns = before.uncertainty_ns + now.uncertainty_ns
    if moved_ns > known_ns + elapsed_ns * _SLEW_PPM / _MILLION + _JUMP_NS:
        raise LabError(
            host,
            f"its clock and the controller's moved apart by {shown_ns(moved_ns)} within "
            f"{shown_ns(elapsed_ns)}; let the time service of both settle (chronyc tracking) and run again",
        )
    seen_ppm = moved_ns * _MILLION / elapsed_ns
    at_most_ppm = (moved_ns + known_ns) * _MILLION / elapsed_ns
    drift_ppm = max(seen_ppm, min(_UNKNOWN_DRIFT_PPM, at_most_ppm))
    return Measurement(now.offset_ns, now.uncertainty_ns, now.time_ns, drift_ppm, now.method)


class Clocks:
    """The clocks of a coordinator's hosts.

    Args:
        calls: To their agents.
        seconds: How long an agent may take to answer.
        own: The identity of the controller's clock; by default this machine's.
        monotonic_ns: A clock that nobody turns.
    """

    def __init__(
        self, calls: Calls, seconds: float, *, own: str = "", monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._calls = calls
        self._seconds = seconds
        self._own = own or own_clock_id()
        self._monotonic_ns = monotonic_ns
        self._measured: dict[str, Measurement] = {}
        self._bounds: dict[str, tuple[str, int]] = {}
        self._set_ns = self._reading_ns()

    def measure(self, agents: Mapping[str, agent_pb2.Description], max_age_ns: int = MAX_AGE_NS) -> None:
        """Measure the clocks of hosts where the last measurement is older than it may be.

        Args:
            agents: Host -> what its agent says of itself.
            max_age_ns: As old as a measurement may be [ns].

        Raises:
            LabError: An agent does not answer, hosts are of different labs, or a clock was set.
        """
        _check_labs(agents)
        if abs(self._reading_ns() - self._set_ns) > _JUMP_NS:  # our own clock was set: nothing measured holds
            self._measured.clear()
            self._set_ns = self._reading_ns()
        now_ns = self._monotonic_ns()
        stale = {
            clock: host
            for clock, host in self._others(agents).items()
            if clock not in self._measured or now_ns - self._measured[clock].time_ns > max_age_ns
        }
        if not stale:
            return
        self._inspect([host for host in agents if self._clock(host, agents[host]) in stale])
        for clock, found in self._probe({host: agents[host] for host in stale.values()}, stale).items():
            before = self._measured.get(clock)
            self._measured[clock] = found
            if before is not None:
                self._measured[clock] = following(stale[clock], before, found)

    def readings(self, agents: Mapping[str, agent_pb2.Description]) -> dict[str, Reading]:
        """Return what is known now of hosts whose clocks were measured."""
        now_ns = self._monotonic_ns()
        probed = {host: self._reading(host, agents[host], now_ns) for host in agents}
        kept = self._kept(probed)
        return kept if kept and pair_uncertainty_ns(kept) < pair_uncertainty_ns(probed) else probed

    def forget(self, host: str, agent: agent_pb2.Description) -> None:
        """Forget what was measured of a host's clock."""
        self._measured.pop(self._clock(host, agent), None)

    def _reading(self, host: str, agent: agent_pb2.Description, now_ns: int) -> Reading:
        clock = self._clock(host, agent)
        if clock == self._own or is_simulated(agent):
            return Reading(clock, 0, 0, "one clock")
        measured = self._measured[clock]
        return Reading(clock, measured.offset_ns, measured.uncertainty_at(now_ns), measured.method)

    def _kept(self, probed: Mapping[str, Reading]) -> dict[str, Reading]:
        """Return the readings by what keeps the hosts' clocks; none where a host does not say, or probes contradict it.

        Such clocks agree with each other; where they are as seen from here, the best known of them says.
        """
        if not probed or not all(host in self._bounds for host in probed):
            return {}
        best = min(probed, key=lambda host: probed[host].uncertainty_ns)
        offset_ns, known_ns = probed[best].offset_ns, probed[best].uncertainty_ns + self._bounds[best][1]
        for host, reading in probed.items():  # two grandmasters are two times
            if abs(reading.offset_ns - offset_ns) > known_ns + reading.uncertainty_ns + self._bounds[host][1]:
                return {}
        return {
            host: Reading(reading.clock, offset_ns, self._bounds[host][1], self._bounds[host][0])
            for host, reading in probed.items()
        }

    def _others(self, agents: Mapping[str, agent_pb2.Description]) -> dict[str, str]:
        """Return, for each clock that is not the controller's, one host that has it."""
        found: dict[str, str] = {}
        for host, agent in agents.items():
            clock = self._clock(host, agent)
            if not is_simulated(agent) and clock != self._own:
                found.setdefault(clock, host)
        return found

    def _clock(self, host: str, agent: agent_pb2.Description) -> str:
        return str(agent.clock_id) or f"that of {host}"

    def _inspect(self, hosts: Iterable[str]) -> None:
        """Ask hosts what keeps their clocks; those that do not say it are probed like any other."""
        requests = {host: agent_pb2.InspectRequest() for host in hosts}
        for host, reply in self._calls.try_each("Inspect", requests, self._seconds).items():
            sync, bound = reply.facts.get(_SYNC, ""), reply.facts.get(_BOUND, "")
            self._bounds.pop(host, None)
            if sync and bound.isdecimal():
                self._bounds[host] = (sync, int(bound))

    def _probe(self, agents: Mapping[str, agent_pb2.Description], clocks: Mapping[str, str]) -> dict[str, Measurement]:
        addresses = {
            host: Probed(self._calls.agents[host].address, agent.probe_port, agent.probe_token)
            for host, agent in agents.items()
            if agent.probe_port
        }
        exchanges = probe(addresses, _ROUNDS)
        now_ns = self._monotonic_ns()
        found = {host: estimate(own, now_ns) for host, own in exchanges.items()}
        silent = [host for host in agents if found.get(host) is None]
        found.update(self._time_calls(silent))
        measured = {}
        for clock, host in clocks.items():
            one = found[host]
            if one is None:
                raise LabError(host, "its clock was set while it was read; let its time service settle and run again")
            measured[clock] = one
        return measured

    def _time_calls(self, hosts: list[str]) -> dict[str, Measurement | None]:
        """Read clocks by calls to the agents, where probes do not come through: a hundred times less exact."""
        exchanges: dict[str, list[Exchange]] = {host: [] for host in hosts}
        for _ in range(_CALL_ROUNDS):
            for host in hosts:  # one after the other: calls at the same time wait for each other
                sent_ns = time.time_ns()
                reply = self._calls.ask("Describe", {host: agent_pb2.DescribeRequest()}, self._seconds)[host]
                exchanges[host].append(Exchange(sent_ns, reply.now_ns, reply.now_ns, time.time_ns()))
        now_ns = self._monotonic_ns()
        return {
            host: estimate(own, now_ns, "calls, as probes by UDP are not answered") for host, own in exchanges.items()
        }

    def _reading_ns(self) -> int:
        """Return by how much real time is ahead of a clock that nobody turns [ns]."""
        return time.time_ns() - time.monotonic_ns()


def is_simulated(agent: agent_pb2.Description) -> bool:
    """Return whether an agent's clock is that of a simulated lab: one for all hosts, and only moved by trials."""
    return bool(agent.clock == _LAB)


def pair_uncertainty_ns(clocks: Mapping[str, Reading]) -> int:
    """Return to how much the difference between any two hosts' clocks is known [ns]; hosts with one clock have none."""
    by_clock: dict[str, int] = {}
    for reading in clocks.values():
        by_clock[reading.clock] = max(by_clock.get(reading.clock, 0), reading.uncertainty_ns)
    return sum(sorted(by_clock.values())[-2:]) if len(by_clock) > 1 else 0


def shown_ns(time_ns: int) -> str:
    """Return a duration for a reader, as ``25 us``."""
    for unit, name in ((NS_PER_SECOND, "s"), (NS_PER_MS, "ms"), (NS_PER_US, "us")):
        if abs(time_ns) >= unit:
            return f"{time_ns / unit:.3g} {name}"
    return f"{time_ns} ns"


def own_clock_id() -> str:
    """Return the identity of this machine's clock."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def _check_labs(agents: Mapping[str, agent_pb2.Description]) -> None:
    """Check that hosts with a simulated clock share it with all others."""
    simulated = [host for host, agent in agents.items() if is_simulated(agent)]
    if not simulated:
        return
    first = agents[simulated[0]]
    for host, agent in agents.items():
        if not is_simulated(agent) or agent.clock_id != first.clock_id:
            raise LabError(host, f"its agent is of another lab than that of {simulated[0]}; use hosts of one lab")
