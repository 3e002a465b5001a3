"""The fabric behind the wires: lab time, counters that outlive trials, and one simulation a trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aibench_lib.errors import SpecError
from aibench_lib.model import Port, Topology
from aibench_lib.simulator import Ecn, Parameters, Simulation
from aibench_lib.units import NS_PER_MS, PS_PER_NS
from aibench_lib.virtual_lab.history import (
    CUMULATIVE,
    SERIES_COLUMNS,
    History,
    Integers,
    Rows,
    Snapshot,
    at_rest,
    nothing,
    snapshot,
)
from aibench_lib.virtual_lab.observed import PRIORITIES


class Switch(Protocol):
    """What the fabric asks a switch's running configuration."""

    name: str
    neighbours: Mapping[str, Port]

    def ecn(self, interface: str, queue: int) -> Ecn | None:
        """Return the marking at a queue, or None."""

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One transfer of a trial."""

    source: str
    destination: str
    qp: int
    size_bytes: int
    offset_ns: int
    """After T0."""
    priority: int


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is simulated."""

    t0_ns: int
    seed: int
    flows: Sequence[Flow]
    timeout_ns: int
    """After T0, 0: none."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """When one flow was posted, had arrived whole, and was acknowledged [lab time, ns]; None: it never happened."""

    posted_ns: int | None = None
    received_ns: int | None = None
    completed_ns: int | None = None


@dataclass(frozen=True)
class Outcome:
    """How a trial went."""

    times: Mapping[Flow, Times]
    end_ns: int


@dataclass(frozen=True)
class Demand:
    """What must be recorded for those who listen."""

    queues: frozenset[tuple[Port, int]] = frozenset()
    """Recorded in the kernel every ``series_ns``."""
    series_ns: int = 0
    step_ns: int = 0
    """All counters are wanted at multiples of this; 0: at the end only."""
    settle_ns: frozenset[int] = frozenset()
    """Intervals of which lab time must reach a multiple after the trial."""


class World:
    """Lab time stands still between trials; a trial moves it from T0 to its end.

    Args:
        topology: The fabric.
        parameters: The simulator's.
        switches: By name.
        start_ns: Where lab time begins.
    """

    def __init__(
        self, topology: Topology, parameters: Parameters, switches: Mapping[str, Switch], start_ns: int
    ) -> None:
        self.topology = topology
        self._parameters = parameters
        self._switches = switches
        idle = Simulation(topology, parameters, 0)
        counters = idle.counters()
        self.rows = Rows(counters)
        self.now = nothing(start_ns, counters, idle.buffers())

    @property
    def now_ns(self) -> int:
        """Lab time [ns since the epoch]."""
        return self.now.time_ns

    def is_up(self, port: Port) -> bool:
        """Whether neither end of a port's link is shut."""
        other = self.topology.neighbour(port)
        return not any(
            end.node in self._switches and self._switches[end.node].is_shut(end.interface)
            for end in (port, other)
            if end is not None
        )

    def nic_bps(self, host: str) -> int:
        """Return the line rate of a host's links together [bit/s]."""
        return sum(link.bps for link in self.topology.links if host in (link.a.node, link.b.node))

    def nic_counters(self, host: str) -> dict[str, int]:
        """Return the counters of a host's NIC, since the lab came up."""
        ends = [end for link in self.topology.links for end in (link.a, link.b) if end.node == host]
        rows = [row for nic in ends for row in self.rows.port(nic.node, nic.interface)]
        return {name: int(self.now.columns[name][rows].sum()) for name in CUMULATIVE}

    def run(self, trial: Trial, demand: Demand) -> tuple[Outcome, History]:
        """Simulate one trial and move lab time to its end.

        Raises:
            SpecError: A host's link is down, or the simulator refuses a flow.
        """
        # The simulator records at multiples of the interval from its time 0 on, so that must be one on the lab's clock.
        origin_ns = trial.t0_ns - trial.t0_ns % (demand.series_ns or 1)
        simulation = self._simulation(trial)
        ports = sorted((port, priority) for port, priority in demand.queues if self.is_up(port))
        if ports:
            simulation.record_series(ports, demand.series_ns * PS_PER_NS)
        numbers = {
            simulation.start_flow(
                flow.source,
                flow.destination,
                flow.size_bytes,
                (trial.t0_ns + flow.offset_ns - origin_ns) * PS_PER_NS,
                flow.qp,
                flow.priority,
            ): flow
            for flow in trial.flows
        }
        steps = self._advance(simulation, trial, origin_ns, demand.step_ns)
        outcome = _outcome(simulation, trial, numbers, origin_ns)
        before, last = self.now, self._snapshot(outcome.end_ns, simulation)
        series = _series(simulation, ports, origin_ns, self.rows, before) if ports else {}
        self.now = at_rest(_rest_ns(before.time_ns, outcome.end_ns, demand.settle_ns), last)
        steps = [snap for snap in steps if snap.time_ns < outcome.end_ns]
        return outcome, History(self.rows, before, steps, at_rest(outcome.end_ns, last), series)

    def _simulation(self, trial: Trial) -> Simulation:
        links = tuple(link for link in self.topology.links if self.is_up(link.a))
        topology = Topology(self.topology.hosts, self.topology.switches, links)
        for flow in trial.flows:
            for host in (flow.source, flow.destination):
                if all(host not in (link.a.node, link.b.node) for link in links):
                    raise SpecError(f"{host}: its link is down; bring the switch's interface up")
        simulation = Simulation(topology, self._parameters, trial.seed)
        for link in links:
            for port in (link.a, link.b):
                switch = self._switches.get(port.node)
                if switch is not None:
                    for priority in PRIORITIES:
                        simulation.set_ecn(port, priority, switch.ecn(port.interface, priority))
        return simulation

    def _advance(self, simulation: Simulation, trial: Trial, origin_ns: int, step_ns: int) -> list[Snapshot]:
        """Let the simulation run to its end or to the timeout; return the snapshots at multiples of a step."""
        snapshots = []
        last_ns = trial.t0_ns + trial.timeout_ns if trial.timeout_ns else None
        now_ns = origin_ns
        # In short strides, and not at once to the timeout: the series would be recorded long after the last packet.
        strides_ns = (step_ns or NS_PER_MS, NS_PER_MS)
        while not simulation.idle and now_ns != last_ns:
            now_ns = min(next_multiple(now_ns + 1, stride_ns) for stride_ns in strides_ns)
            if last_ns is not None:
                now_ns = min(now_ns, last_ns)
            simulation.advance((now_ns - origin_ns) * PS_PER_NS)
            if step_ns and now_ns % step_ns == 0:
                snapshots.append(self._snapshot(now_ns, simulation))
        return snapshots

    def _snapshot(self, time_ns: int, simulation: Simulation) -> Snapshot:
        counters = simulation.counters()
        return snapshot(time_ns, counters, self.rows.places(counters), simulation.buffers(), self.now)


def next_multiple(time_ns: int, interval_ns: int) -> int:
    """Return the first multiple of an interval at or after a time."""
    return -(-time_ns // interval_ns) * interval_ns


def _rest_ns(now_ns: int, end_ns: int, intervals: frozenset[int]) -> int:
    """Return when lab time comes to rest after a trial: every listener's interval has passed a multiple by then."""
    return max([now_ns, end_ns, *(next_multiple(end_ns, interval) for interval in intervals)])


def _outcome(simulation: Simulation, trial: Trial, numbers: Mapping[int, Flow], origin_ns: int) -> Outcome:
    def lab(ps: int) -> int | None:
        return origin_ns + ps // PS_PER_NS if ps >= 0 else None

    times = {flow: Times() for flow in trial.flows}
    done = simulation.completions()
    columns = (done[name].tolist() for name in ("flow", "posted_ps", "received_ps", "completed_ps"))
    for number, posted, received, completed in zip(*columns, strict=True):
        times[numbers[number]] = Times(posted_ns=lab(posted), received_ns=lab(received), completed_ns=lab(completed))
    ends = [moment.completed_ns for moment in times.values()]
    known = [end for end in ends if end is not None]
    end_ns = max(known, default=trial.t0_ns) + 1
    if len(known) < len(ends):
        end_ns = trial.t0_ns + trial.timeout_ns
    return Outcome(times, end_ns)


def _series(
    simulation: Simulation, ports: Sequence[tuple[Port, int]], origin_ns: int, rows: Rows, before: Snapshot
) -> dict[tuple[Port, int], dict[str, Integers]]:
    table = simulation.series().reshape(-1, len(ports))  # the samples of all ports at one time stand together
    result = {}
    for index, (port, priority) in enumerate(ports):
        own = table[:, index]
        columns = {"time_ns": origin_ns + own["time_ps"] // PS_PER_NS}
        row = rows.queue(port.node, port.interface, priority)
        for name in SERIES_COLUMNS:
            base = before.columns[name][row].sum() if name in CUMULATIVE else 0
            columns[name] = own[name] + base
        result[port, priority] = columns
    return result
