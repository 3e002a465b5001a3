"""How faults come about in a fabric: what changes when one starts, is detected, is routed around, and stops."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import prod

import numpy as np

from aibench_lib.errors import SpecError
from aibench_lib.model import Topology
from aibench_lib.simulator import kernel
from aibench_lib.simulator.fabric import Fabric
from aibench_lib.simulator.faults import Fault, LinkDown, LossyLink, PauseStorm, SwitchReload
from aibench_lib.simulator.layout import opposite, random_bits
from aibench_lib.simulator.parameters import PRIORITIES, Parameters
from aibench_lib.simulator.routes import NO_PORT, Routes, shortest_paths
from aibench_lib.units import PS_PER_NS


class FaultyFabric(Fabric):
    """A fabric in which something may go wrong.

    A link is numbered by its lower port. What its ends know of it follows what it is, and what routes assume follows
    what its ends know, each after a delay; so overlapping faults, and those shorter than a delay, need no more care.
    """

    def __init__(self, topology: Topology, parameters: Parameters, seed: int) -> None:
        """See :class:`Fabric`."""
        super().__init__(topology, parameters, seed)
        self._intact: Routes = self._routes
        self._converged: Routes = self._routes
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        """What Python has to do and when [ps]; the second number keeps the order of what is due at the same time."""
        self._planned = 0
        self._known_down: frozenset[int] = frozenset()
        # What there is of each kind of fault; one may come while another of its kind is there.
        self._cuts: dict[int, int] = defaultdict(int)
        self._corruptions: dict[int, list[float]] = defaultdict(list)
        self._storms: dict[int, int] = defaultdict(int)
        self._detours: dict[tuple[str, str], list[int]] = defaultdict(list)

    def inject(self, fault: Fault, start_ps: int, stop_ps: int | None = None) -> Callable[[], None]:
        """Let a fault come at a time, after the events of that instant, and go at another.

        Args:
            fault: What goes wrong.
            start_ps: When, not before now [ps].
            stop_ps: Until when [ps]; None: for good.

        Returns:
            What lets it go now, once it has come; nothing happens if it has gone.

        Raises:
            SpecError: It names what does not exist, or the times cannot be.
        """
        start, stop = self._effects(fault)
        if start_ps < self.now_ps:
            raise SpecError(f"{fault}: start_ps {start_ps} is before now, {self.now_ps}")
        if stop_ps is not None and stop_ps <= start_ps:
            raise SpecError(f"{fault}: stop_ps {stop_ps} is not after start_ps {start_ps}")
        left = [stop]

        def end() -> None:
            while left:
                left.pop()()

        self._plan(start_ps, start)
        if stop_ps is not None:
            self._plan(stop_ps, end)
        return lambda: self._plan(self.now_ps, end)

    def _effects(self, fault: Fault) -> tuple[Callable[[], None], Callable[[], None]]:
        """Return what starts and what stops a fault."""
        if isinstance(fault, LinkDown):
            link = self._port(fault.port) & ~1
            return partial(self._cut, link), partial(self._mend, link)
        if isinstance(fault, LossyLink):
            link = self._port(fault.port) & ~1
            probabilities = self._corruptions[link]
            return (
                partial(self._corrupt, link, partial(probabilities.append, fault.probability)),
                partial(self._corrupt, link, partial(probabilities.remove, fault.probability)),
            )
        if isinstance(fault, SwitchReload):
            ports = self._ports_of(self._switch(fault.switch))
            return partial(self._go_out, ports), partial(self._come_back, ports)
        if isinstance(fault, PauseStorm):
            if fault.host not in self._hosts:
                raise SpecError(f"{fault.host}: not a host of the topology")
            nics = self._ports_of(len(self._switches) + self._hosts[fault.host])
            queues = [self._queue(self._port_names[nic], fault.priority) for nic in nics]
            return partial(self._storm, queues), partial(self._calm, queues)
        if fault.host not in self._hosts:
            raise SpecError(f"{fault.host}: not a host of the topology")
        if fault.port.node != fault.switch:
            raise SpecError(f"{fault.port}: not a port of {fault.switch}")
        self._switch(fault.switch)
        ports, port = self._detours[fault.switch, fault.host], self._port(fault.port)
        return partial(self._detour, partial(ports.append, port)), partial(self._detour, partial(ports.remove, port))

    def _plan(self, at_ps: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at_ps, self._planned, action))
        self._planned += 1

    def _next_action_ps(self) -> int:
        return self._agenda[0][0] if self._agenda else kernel.NEVER

    def _act(self) -> None:
        """Do what is due now."""
        while self._next_action_ps() <= self.now_ps:
            heapq.heappop(self._agenda)[2]()

    def _ports_of(self, node: int) -> list[int]:
        return [port for port, row in enumerate(self._port_rows) if row[kernel.NODE] == node]

    # Links

    def _cut(self, link: int) -> None:
        self._cuts[link] += 1
        if self._cuts[link] > 1:
            return
        for port in (link, link + 1):
            self._port_rows[port, kernel.PORT_STATE] |= kernel.CUT
            for queue in self._rows_of(port):
                self._let_expire(queue, self.now_ps - int(self._queue_rows[queue, kernel.HELD_SINCE]))
        self._plan(self.now_ps + self._parameters.link_detection_ns * PS_PER_NS, partial(self._detect, link))

    def _mend(self, link: int) -> None:
        self._cuts[link] -= 1
        if self._cuts[link] > 0:
            return
        for port in (link, link + 1):
            row = self._port_rows[port]
            row[kernel.PORT_STATE] = row[kernel.PORT_STATE] & ~kernel.CUT | kernel.RESTORED
            row[kernel.RESTORED_AT] = self.now_ps
            for queue in self._rows_of(port):
                if self._queue_rows[queue, kernel.XOFF_SINCE] != kernel.NONE:
                    self._say_pause(queue, kernel.PAUSE)
        self._plan(self.now_ps + self._parameters.link_detection_ns * PS_PER_NS, partial(self._detect, link))

    def _detect(self, link: int) -> None:
        """Let both ends of a link know what it is; routes follow."""
        down = self._cuts[link] > 0
        for port in (link, link + 1):
            if down:
                self._take_down(port)
            else:
                self._bring_up(port)
        if down != (link in self._known_down):
            self._known_down ^= {link}
            self._set_routes()  # a static route goes with its port at once
            self._plan(self.now_ps + self._parameters.convergence_ns * PS_PER_NS, self._converge)

    def _take_down(self, port: int) -> None:
        """Stop using a port: its pauses end, and a switch drops what waits."""
        row = self._port_rows[port]
        row[kernel.PORT_STATE] |= kernel.DOWN | kernel.ALL_PRIORITIES << kernel.BLOCKED
        is_host = self._node_rows[row[kernel.NODE], kernel.IS_HOST]
        for number in self._rows_of(port):
            self._end_pause(number)
            if not is_host and self._queue_rows[number, kernel.HEAD] != kernel.NONE:
                self._flush(number)

    def _bring_up(self, port: int) -> None:
        if self._port_rows[port, kernel.PORT_STATE] & kernel.DOWN:
            self._port_rows[port, kernel.PORT_STATE] &= ~kernel.DOWN
            for number in self._rows_of(port):
                self._block(number)

    def _corrupt(self, link: int, change: Callable[[], object]) -> None:
        change()
        probability = 1 - prod(1 - one for one in self._corruptions[link])
        for port in (link, link + 1):
            row = self._port_rows[port]
            row[kernel.PORT_STATE] &= ~kernel.LOSSY
            row[kernel.CORRUPTION] = int(probability * (1 << 53))
            if probability:
                row[kernel.PORT_STATE] |= kernel.LOSSY
                name = self._port_names[port]
                row[kernel.PORT_RANDOM] = random_bits(63, self._seed, "corrupt", name.node, name.interface) | 1

    # Switches and NICs

    def _go_out(self, ports: Iterable[int]) -> None:
        for port in ports:
            self._cut(port & ~1)
            self._take_down(port)
            for number in self._rows_of(port):
                queue = self._queue_rows[number]
                if queue[kernel.XOFF_SINCE] != kernel.NONE:
                    queue[kernel.PAUSE_TX] += self._renewals(number, int(queue[kernel.XOFF_SINCE]), self.now_ps)
                    queue[kernel.XOFF_SINCE] = kernel.NONE
        self._unsay([opposite(number) for port in ports for number in self._rows_of(port)])

    def _unsay(self, queues: Sequence[int]) -> None:
        """Let XOFF frames for these queues that have not left yet, or are under way, come to nothing."""
        orders = self._heap[: self._clock[kernel.HEAP_SIZE], kernel.ORDER]
        what = orders & (1 << kernel.KIND_BITS + kernel.INDEX_BITS) - 1
        said = np.isin(what, kernel.PAUSE << kernel.INDEX_BITS | np.array(queues))
        orders[said] += kernel.EXPIRY - kernel.PAUSE << kernel.INDEX_BITS  # of a pause that is not there

    def _come_back(self, ports: Iterable[int]) -> None:
        for port in ports:
            self._mend(port & ~1)

    def _storm(self, queues: Iterable[int]) -> None:
        for queue in queues:
            self._storms[queue] += 1
            if self._storms[queue] == 1:
                self._say_pause(queue, kernel.PAUSE)

    def _calm(self, queues: Iterable[int]) -> None:
        """End a storm: no XON comes, so the pause ends when the last frame's time is over."""
        for number in queues:
            self._storms[number] -= 1
            if self._storms[number]:
                continue
            queue, port = self._queue_rows[number], self._port_rows[number // kernel.ROWS]
            since = int(queue[kernel.XOFF_SINCE])
            queue[kernel.PAUSE_TX] += self._renewals(number, since, self.now_ps)
            queue[kernel.XOFF_SINCE] = kernel.NONE
            packet = self._parameters.mtu_bytes + self._parameters.header_bytes
            at_most = (packet + kernel.PAUSE_BYTES) * int(port[kernel.BYTE_TIME]) >> kernel.BYTE_TIME_BITS
            delay = int(port[kernel.PROPAGATION] + self._settings[kernel.PAUSE_RESPONSE]) + at_most + 1
            self._plan(self.now_ps + delay, partial(self._let_expire, opposite(number), self.now_ps - since))

    def _rows_of(self, port: int) -> range:
        """Return the numbers of a port's queues."""
        return range(port * kernel.ROWS, port * kernel.ROWS + PRIORITIES)

    def _renewals(self, number: int, since_ps: int, until_ps: int) -> int:
        return max(0, until_ps - since_ps) // int(self._port_rows[number // kernel.ROWS, kernel.REFRESH])

    def _let_expire(self, number: int, renewed_ps: int) -> None:
        """Let the pause of a queue end with the time of its last frame, after renewals for ``renewed_ps``."""
        queue = self._queue_rows[number]
        since = int(queue[kernel.HELD_SINCE])
        if since != kernel.NONE and queue[kernel.EXPIRES] == kernel.NEVER:
            refresh = int(self._port_rows[number // kernel.ROWS, kernel.REFRESH])
            expires = max(self.now_ps, since + renewed_ps // refresh * refresh + 2 * refresh)
            queue[kernel.EXPIRES] = expires
            self._room_for_events(1)
            kernel.push(self._heap, self._clock, expires, kernel.EXPIRY, number)

    def _end_pause(self, number: int) -> None:
        """Forget the pause of a queue, as a port does whose link goes down."""
        queue = self._queue_rows[number]
        since = int(queue[kernel.HELD_SINCE])
        if since != kernel.NONE:
            queue[kernel.PAUSE_RX] += self._renewals(number, since, self.now_ps)
            queue[kernel.PAUSED_TIME] += self.now_ps - since if queue[kernel.OBEYS] else 0
            queue[kernel.HELD_SINCE] = kernel.NONE
            queue[kernel.EXPIRES] = kernel.NEVER
        queue[kernel.TRIPPED] = 0

    def _flush(self, number: int) -> None:
        self._room_for_events(int(self._settings[kernel.HEAP_MARGIN]))
        kernel.flush(
            self._clock,
            self._settings,
            self._heap,
            self._packets,
            self._port_rows,
            self._queue_rows,
            self._node_rows,
            number,
            kernel.LINK_DOWN,
        )

    # Routes

    def _converge(self) -> None:
        down = [self._port_names[link] for link in self._known_down]
        self._converged = shortest_paths(self._topology, self._port_names, down) if down else self._intact
        self._set_routes()

    def _detour(self, change: Callable[[], object]) -> None:
        change()
        self._set_routes()

    def _set_routes(self) -> None:
        """Put static routes before those of the last convergence; a host that has none left keeps its old ones."""
        hosts = slice(len(self._switches), None)
        lost = (self._converged.sets[hosts] == 0) & (self._intact.sets[hosts] != 0)
        static: dict[tuple[int, int], tuple[int, ...]] = {}
        for source, destination in np.argwhere(lost).tolist():
            number, *ports = self._intact.next_hops[self._intact.sets[hosts][source, destination]].tolist()
            static[len(self._switches) + source, destination] = tuple(ports[:number])
        for (switch, host), detours in self._detours.items():
            for port in detours:  # the last one counts
                if port & ~1 not in self._known_down:
                    static[self._switch(switch), self._hosts[host]] = (port,)
        self._use(_with_static_routes(self._converged, static) if static else self._converged)


def _with_static_routes(routes: Routes, static: Mapping[tuple[int, int], tuple[int, ...]]) -> Routes:
    """Return routes of which some, by (node, destination), are replaced by the ports given."""
    numbers = {ports: len(routes.next_hops) + place for place, ports in enumerate(dict.fromkeys(static.values()))}
    width = max(routes.next_hops.shape[1], 1 + max(map(len, numbers)))
    next_hops = np.full((len(routes.next_hops) + len(numbers), width), NO_PORT, np.int32)
    next_hops[: len(routes.next_hops), : routes.next_hops.shape[1]] = routes.next_hops
    for ports, number in numbers.items():
        next_hops[number, : 1 + len(ports)] = (len(ports), *ports)
    sets = routes.sets.copy()
    for place, ports in static.items():
        sets[place] = numbers[ports]
    return Routes(sets, next_hops)
