"""The fabric behind the wires: lab time, counters that outlive trials, and one simulation a trial."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping

from aibench_lib.errors import SpecError
from aibench_lib.model import Port, Topology
from aibench_lib.simulator import Parameters, Simulation
from aibench_lib.virtual_lab import nic
from aibench_lib.virtual_lab.configured import Switch, configure
from aibench_lib.virtual_lab.course import Course, Demand, next_multiple
from aibench_lib.virtual_lab.history import History, Rows, at_rest, nothing
from aibench_lib.virtual_lab.storms import Storms, Weather
from aibench_lib.virtual_lab.trial import Outcome, Trial, outcome, start


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
        ends = [end for link in topology.links for end in (link.a, link.b)]
        self._nics = {host: [end for end in ends if end.node == host] for host in topology.hosts}
        self._out_of_sequence: Counter[str] = Counter()
        self.storms = Storms()
        self._passing_ns = start_ns
        """How far the trial that is under way has come."""

    @property
    def now_ns(self) -> int:
        """Lab time [ns since the epoch]."""
        return self.now.time_ns

    @property
    def moment_ns(self) -> int:
        """Lab time, in a trial as far as it has been simulated [ns since the epoch]."""
        return max(self.now_ns, self._passing_ns)

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
        counters = nic.counters(self.now, self.rows, self._nics[host])
        return counters | {nic.OUT_OF_SEQUENCE: self._out_of_sequence[host]}

    def run(
        self,
        trial: Trial,
        demand: Demand,
        tell: Callable[[History], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Simulate one trial and move lab time to its end.

        Args:
            trial: What is sent.
            demand: What must be recorded meanwhile.
            tell: Told of every part of the trial once it is over, in the order of time.
            stopped: Asked now and then whether the trial shall end at once, as at its timeout.

        Raises:
            SpecError: A host's link is down, or the simulator refuses a flow.
        """
        # The simulator records at multiples of the interval from its time 0 on, so that must be one on the lab's clock.
        origin_ns = trial.t0_ns - trial.t0_ns % (demand.series_ns or 1)
        simulation = self._simulation(trial)
        queues = sorted((port, priority) for port, priority in demand.queues if self.is_up(port))
        course = Course(simulation, origin_ns, demand, queues, self.rows, self.now, tell)
        loops = start(simulation, trial, origin_ns)
        weather = Weather(self.storms, simulation, origin_ns)

        def passing(now_ns: int) -> None:
            self._passing_ns = now_ns
            weather.follow(self.moment_ns)

        reached_ns = course.run(trial.last_ns, stopped, passing)
        result = outcome(simulation, trial, loops, origin_ns, reached_ns)
        after = at_rest(result.end_ns, course.snapshot(result.end_ns))
        tell(course.last_part(result.end_ns, after))
        before = {host: self.nic_counters(host) for host in result.finished_ns}
        self.now = at_rest(_rest_ns(self.now.time_ns, result.end_ns, demand.settle_ns), after)
        self._out_of_sequence.update(result.out_of_sequence)
        return dataclasses.replace(
            result,
            nic_growth={host: nic.growth(earlier, self.nic_counters(host)) for host, earlier in before.items()},
        )

    def _simulation(self, trial: Trial) -> Simulation:
        links = tuple(link for link in self.topology.links if self.is_up(link.a))
        connected = {end.node for link in links for end in (link.a, link.b)}
        for one in trial.sent:
            for host in (one.source, one.destination):
                if host not in connected:
                    raise SpecError(f"{host}: its link is down; bring the switch's interface up")
        simulation = Simulation(
            Topology(self.topology.hosts, self.topology.switches, links), self._parameters, trial.seed
        )
        configure(simulation, self.topology, links, self._switches)
        return simulation


def _rest_ns(now_ns: int, end_ns: int, intervals: frozenset[int]) -> int:
    """Return when lab time comes to rest after a trial: every listener's interval has passed a multiple by then."""
    return max([now_ns, end_ns, *(next_multiple(end_ns, interval) for interval in intervals)])
