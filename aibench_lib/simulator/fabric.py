"""The state of one simulated fabric, and what may be set at its switches at any time."""

from collections.abc import Mapping

import numpy as np

from aibench_lib.errors import SpecError
from aibench_lib.model import Port, Topology
from aibench_lib.simulator import kernel
from aibench_lib.simulator.deadlock import PausedQueue
from aibench_lib.simulator.layout import (
    BALANCING_CODES,
    HEAP_LEAD,
    MOST_EVENTS,
    gains_row,
    node_rows,
    opposite,
    port_rows,
    queue_rows,
    random_bits,
    require_index,
    route_tables,
    settings_row,
    table,
    with_room,
)
from aibench_lib.simulator.load_balancing import LoadBalancing
from aibench_lib.simulator.parameters import MOST_ALPHA, PRIORITIES, Ecn, Parameters, Pfc, PfcWatchdog
from aibench_lib.simulator.routes import Routes, shortest_paths
from aibench_lib.units import BITS_PER_BYTE, PS_PER_NS, PS_PER_SECOND

PACKETS_ABOVE_XOFF = 3
"""Full packets headroom must hold beside what is on the way: see :attr:`Pfc.headroom_bytes`."""


class Fabric:
    """Switches, links and NICs: the kernel's arrays, names for their rows, and settings that may change in a trial."""

    def __init__(self, topology: Topology, parameters: Parameters, seed: int) -> None:
        """Lay out the fabric's state.

        Args:
            topology: Switches, hosts and links.
            parameters: See :class:`Parameters`.
            seed: All draws, and the salts of the ECMP hash, come from it.

        Raises:
            SpecError: The topology is too large for the event's index.
        """
        self._parameters = parameters
        self._seed = seed
        self._topology = topology
        self._hosts = {name: index for index, name in enumerate(topology.hosts)}
        self._switches = topology.switches
        self._port_names = tuple(end for link in topology.links for end in (link.a, link.b))
        require_index("queues", len(self._port_names) * kernel.ROWS)
        self._ports = {port: index for index, port in enumerate(self._port_names)}
        self._routes = shortest_paths(topology, self._port_names)
        self._lay_out(topology)
        self._use(self._routes)

    def _lay_out(self, topology: Topology) -> None:
        ports = len(self._port_names)
        self._clock = np.zeros(kernel.CLOCK_COLUMNS, np.int64)
        self._clock[[kernel.FREE_PACKET, kernel.ADMITTED_QP]] = kernel.NONE
        self._clock[kernel.SAMPLE_AT] = kernel.NEVER
        self._settings = settings_row(self._parameters)
        self._settings[kernel.FIRST_HOST] = len(self._switches)
        self._gains = gains_row(self._parameters)
        self._port_rows = port_rows(topology, self._parameters)
        self._node_rows = node_rows(topology, self._parameters, self._seed)
        self._queue_rows = queue_rows(ports)
        at_hosts = self._node_rows[self._port_rows[:, kernel.NODE], kernel.IS_HOST] == 1
        self._queue_rows[np.repeat(at_hosts, kernel.ROWS), kernel.OBEYS] = 1
        radix = int(np.bincount(self._port_rows[:, kernel.NODE]).max(initial=0))
        self._settings[kernel.HEAP_MARGIN] = MOST_EVENTS + radix
        self._heap = table(2 * ports + MOST_EVENTS + radix, kernel.HEAP_COLUMNS, np.int64, HEAP_LEAD)
        self._heap[:, kernel.TIME] = kernel.NEVER
        self._packets = table(0, kernel.PACKET_COLUMNS, np.int32)
        self._flowlets = np.zeros((0, 0), np.int64)

    def _use(self, routes: Routes) -> None:
        """Let the kernel follow these routes from now on."""
        self._routes = routes
        self._sets, self._destinations = route_tables(routes, self._port_rows, len(self._switches))

    @property
    def now_ps(self) -> int:
        """The time reached [ps]."""
        return int(self._clock[kernel.NOW])

    def set_ecn(self, port: Port, priority: int, ecn: Ecn | None) -> None:
        """Set the marking of a switch's egress queue, None for off (the default).

        Draft: Section 8.1.

        Raises:
            SpecError: No such port or priority, or the port is a host's.
        """
        queue = self._queue_rows[self._switch_queue(port, priority, "a host's NIC does not mark; set ECN")]
        if ecn is None:
            queue[[kernel.KMIN, kernel.KMAX]] = kernel.NEVER
            return
        width = ecn.kmax_bytes - ecn.kmin_bytes
        queue[kernel.KMIN] = ecn.kmin_bytes
        queue[kernel.KMAX] = ecn.kmax_bytes
        queue[kernel.MARK_SLOPE] = int(ecn.pmax * (1 << 53) / width) if width else 0
        queue[kernel.RANDOM] = random_bits(63, self._seed, "wred", port.node, port.interface, priority) | 1

    def set_pfc(self, port: Port, priority: int, pfc: Pfc | None) -> None:
        """Set the priority flow control of one priority at a switch port, None for off (the default).

        The port then sends PAUSE when too much waits of what came in at it, and obeys the PAUSE its neighbour sends. A
        host's NIC always obeys.

        Draft: Section 8.2.

        Raises:
            SpecError: No such port or priority, the port is a host's, or its switch's buffer is too small.
        """
        number = self._switch_queue(port, priority, "a host's NIC sends no PAUSE; set PFC")
        queue = self._queue_rows[number]
        parts = [kernel.PFC, kernel.HEADROOM, kernel.GROUP_RESERVED]
        before = queue[parts]
        queue[kernel.PFC] = kernel.PFC_OFF
        if pfc is not None:
            queue[kernel.PFC] = kernel.PFC_DYNAMIC if pfc.xoff_bytes is None else kernel.PFC_STATIC
            queue[kernel.HEADROOM] = self.headroom_bytes(port) if pfc.headroom_bytes is None else pfc.headroom_bytes
            queue[kernel.GROUP_RESERVED] = (
                self._parameters.reserved_bytes if pfc.reserved_bytes is None else pfc.reserved_bytes
            )
        try:
            self._share_out(port.node)
        except SpecError:
            queue[parts] = before
            raise
        used = int(queue[kernel.GROUP_USED])  # by packets that are here already
        then, now = (max(0, used - int(reserved)) for reserved in (before[-1], queue[kernel.GROUP_RESERVED]))
        self._node_rows[self._switches.index(port.node), kernel.POOL_USED] += now - then
        if pfc is not None:
            queue[kernel.PFC_LIMIT] = _share(pfc.alpha) if pfc.xoff_bytes is None else pfc.xoff_bytes
            queue[kernel.XON_OFFSET] = pfc.xon_offset_bytes
        elif queue[kernel.XOFF_SINCE] != kernel.NONE:
            self._say_pause(number, kernel.RESUME)
        self._set_bit(number // kernel.ROWS ^ 1, kernel.GROUPED + priority, pfc is not None)
        self._obey(number, pfc is not None)

    def headroom_bytes(self, port: Port) -> int:
        """Return what can come in at a port after it has found XOFF due, and the packet that made it so [B]."""
        row = self._port_rows[self._port(port)]
        parameters = self._parameters
        silent_ns = 2 * parameters.propagation_ns + parameters.pause_response_ns
        on_the_way = -(-silent_ns * PS_PER_NS * int(row[kernel.LINE_RATE]) // (BITS_PER_BYTE * PS_PER_SECOND))
        packet = parameters.mtu_bytes + parameters.header_bytes
        return on_the_way + kernel.PAUSE_BYTES + PACKETS_ABOVE_XOFF * packet

    def _say_pause(self, number: int, kind: int) -> None:
        """Let the port of a priority group send XOFF (``PAUSE``) or XON (``RESUME``)."""
        self._room_for_events(1)
        kernel.say_pause(self._clock, self._settings, self._heap, self._port_rows, self._queue_rows, number, kind)

    def _share_out(self, switch: str) -> None:
        """Divide a switch's buffer anew into what is reserved, headroom, and the shared pool."""
        node = self._switches.index(switch)
        mine = np.flatnonzero(self._port_rows[:, kernel.NODE] == node)
        groups = self._queue_rows.reshape(-1, kernel.ROWS, kernel.QUEUE_COLUMNS)[mine].reshape(-1, kernel.QUEUE_COLUMNS)
        groups = groups[groups[:, kernel.PFC] != kernel.PFC_OFF]
        aside = int(groups[:, [kernel.GROUP_RESERVED, kernel.HEADROOM]].sum())
        if aside > self._parameters.buffer_bytes:
            raise SpecError(
                f"{switch}: PFC needs {aside} B for reserved parts and headroom, its buffer_bytes is "
                f"{self._parameters.buffer_bytes}; make it larger or give less headroom"
            )
        self._node_rows[node, kernel.POOL_SIZE] = self._parameters.buffer_bytes - aside

    def _set_bit(self, port: int, place: int, value: bool) -> None:
        """Set a bit of a port's state."""
        row = self._port_rows[port]
        row[kernel.PORT_STATE] = row[kernel.PORT_STATE] & ~(1 << place) | int(value) << place

    def _obey(self, number: int, obeys: bool) -> None:
        """Let a queue obey PAUSE from now on, or no longer."""
        queue = self._queue_rows[number]
        held = queue[kernel.HELD_SINCE] != kernel.NONE
        if held and obeys != bool(queue[kernel.OBEYS]):
            so_far = self.now_ps - queue[kernel.HELD_SINCE]
            queue[kernel.PAUSED_TIME] += -so_far if obeys else so_far  # the pause is counted from its start at its end
            queue[kernel.TRANSITIONS] += obeys
        queue[kernel.OBEYS] = obeys
        self._block(number)

    def _block(self, number: int) -> None:
        """Block a queue that must not be served, unblock one that may be."""
        queue, port = self._queue_rows[number], self._port_rows[number // kernel.ROWS]
        held = queue[kernel.HELD_SINCE] != kernel.NONE and queue[kernel.OBEYS]
        taken = queue[kernel.TRIPPED] and not queue[kernel.FORWARDS]
        if port[kernel.PORT_STATE] & kernel.DOWN or taken or (held and not queue[kernel.TRIPPED]):
            port[kernel.PORT_STATE] |= 1 << kernel.BLOCKED + number % kernel.ROWS
            if held and queue[kernel.HEAD] != kernel.NONE and not queue[kernel.TRIPPED]:
                self._room_for_events(1)
                kernel.watch(self._clock, self._heap, self._queue_rows, number)
        else:
            self._room_for_events(1)
            kernel.unblock(self._clock, self._heap, self._port_rows, number)

    def paused(self) -> tuple[PausedQueue, ...]:
        """Return every egress queue that PAUSE keeps from sending now, and where what it sent waits.

        Draft: Section 8.4.
        """
        queues = self._queue_rows
        held = (queues[:, kernel.HELD_SINCE] != kernel.NONE) & (queues[:, kernel.OBEYS] == 1)
        return tuple(
            self._paused(number) for number in np.flatnonzero(held & (queues[:, kernel.TRIPPED] == 0)).tolist()
        )

    def _paused(self, number: int) -> PausedQueue:
        queue, group, (port, priority) = self._queue_rows[number], opposite(number), divmod(number, kernel.ROWS)
        neighbour = self._port_names[port ^ 1]
        waits_for: dict[tuple[Port, int], int] = {}
        for other in np.flatnonzero(self._port_rows[:, kernel.NODE] == self._port_rows[port ^ 1, kernel.NODE]).tolist():
            egress = other * kernel.ROWS + priority
            waiting = np.zeros(len(self._port_rows), np.int64)
            kernel.count_by_ingress(self._packets, self._queue_rows, egress, waiting)
            if waiting[port ^ 1]:
                waits_for[self._port_names[other], priority] = int(waiting[port ^ 1])
        return PausedQueue(
            port=self._port_names[port],
            priority=priority,
            since_ps=int(queue[kernel.HELD_SINCE]),
            depth_bytes=int(queue[kernel.DEPTH]),
            paused_by=neighbour,
            resume_bytes=None if neighbour.node in self._hosts else self._resume_bytes(group),
            waits_for=waits_for,
        )

    def _resume_bytes(self, group: int) -> int:
        """Return how much of a priority group may wait when XON is sent, as the shared pool is now [B]."""
        queue, node = self._queue_rows[group], self._node_rows[self._port_rows[group // kernel.ROWS, kernel.NODE]]
        limit = int(queue[kernel.PFC_LIMIT])
        if queue[kernel.PFC] == kernel.PFC_DYNAMIC:
            free = int(node[kernel.POOL_SIZE] - node[kernel.POOL_USED])
            limit = (free * limit >> kernel.SHARE_BITS) + int(queue[kernel.GROUP_RESERVED])
        return max(0, limit - int(queue[kernel.XON_OFFSET]))

    def set_watchdog(self, port: Port, watchdog: PfcWatchdog | None) -> None:
        """Set the PFC watchdog of all lossless priorities of a switch port, None for off (the default).

        Draft: Section 8.4.

        Raises:
            SpecError: No such port, or it is a host's.
        """
        for priority in range(PRIORITIES):
            number = self._switch_queue(port, priority, "a host's NIC has no PFC watchdog; set it")
            queue = self._queue_rows[number]
            queue[kernel.DETECTION] = watchdog.detection_ns * PS_PER_NS if watchdog else 0
            queue[kernel.RESTORATION] = watchdog.restoration_ns * PS_PER_NS if watchdog else 0
            queue[kernel.FORWARDS] = watchdog is not None and watchdog.action == "forward"
            queue[kernel.TRIPPED] = watchdog is not None and queue[kernel.TRIPPED]
            self._block(number)

    def set_scheduling(self, port: Port, weights: Mapping[int, int]) -> None:
        """Share what strict priorities leave of a port among others by deficit weighted round robin.

        Args:
            port: Of a switch.
            weights: By priority, at least 1: full packets a turn. Those not named are served before them, the highest
                first, as all are by default.

        Raises:
            SpecError: No such port or priority, the port is a host's, or a weight is below 1.
        """
        numbers = {priority: self._switch_queue(port, priority, "set weights") for priority in weights}
        for priority, weight in weights.items():
            if weight < 1:
                raise SpecError(f"{port}: the weight of priority {priority} is {weight}, must be at least 1")
            if priority == self._parameters.control_priority:
                raise SpecError(
                    f"{port}: priority {priority} is that of ACKs and CNPs, which is served before all data"
                )
        row = self._port_rows[self._port(port)]
        row[kernel.PORT_STATE] &= ~(kernel.ALL_PRIORITIES << kernel.WEIGHTED)
        row[kernel.PORT_STATE] |= sum(1 << kernel.WEIGHTED + priority for priority in weights)
        row[kernel.SERVED] = max(weights, default=0)
        packet = self._parameters.mtu_bytes + self._parameters.header_bytes
        for priority, number in numbers.items():
            self._queue_rows[number, kernel.QUANTUM] = weights[priority] * packet
            self._queue_rows[number, kernel.DEFICIT] = 0

    def set_queue_limit(self, port: Port, priority: int, alpha: float | None) -> None:
        """Drop what would make an egress queue longer than ``alpha`` times the free shared pool; None for no limit.

        Raises:
            SpecError: No such port or priority, the port is a host's, or alpha cannot be.
        """
        number = self._switch_queue(port, priority, "set a queue's limit")
        if alpha is not None and not 0 < alpha <= MOST_ALPHA:
            raise SpecError(f"{port}: alpha {alpha} is not in (0, {MOST_ALPHA}]")
        self._queue_rows[number, kernel.EGRESS_LIMIT] = _share(alpha)
        self._set_bit(number // kernel.ROWS, kernel.CAPPED + priority, alpha is not None)

    def set_load_balancing(self, switch: str, balancing: LoadBalancing) -> None:
        """Set how a switch spreads packets over equal-cost ports; by ECMP until set.

        Draft: Section 9.3.

        Raises:
            SpecError: No such switch.
        """
        node = self._node_rows[self._switch(switch)]
        node[kernel.BALANCING] = BALANCING_CODES[balancing.mode]
        node[kernel.FLOWLET_GAP] = balancing.flowlet_gap_ns * PS_PER_NS
        if balancing.mode == "flowlet" and node[kernel.FLOWLET_PLACE] == kernel.NONE:
            node[kernel.FLOWLET_PLACE] = self._flowlets.shape[1]
            self._flowlets = np.pad(self._flowlets, ((0, 0), (0, kernel.FLOWLET_COLUMNS)))

    def _room_for_events(self, more: int) -> None:
        """Make room for events scheduled from outside the kernel."""
        before = len(self._heap)
        self._heap = with_room(self._heap, int(self._clock[kernel.HEAP_SIZE]) + more + 4, HEAP_LEAD)
        self._heap[before:, kernel.TIME] = kernel.NEVER

    def _switch(self, name: str) -> int:
        if name not in self._switches:
            raise SpecError(f"{name}: not a switch of the topology")
        return self._switches.index(name)

    def _port(self, port: Port) -> int:
        if port not in self._ports:
            raise SpecError(f"{port}: not a port of the topology")
        return self._ports[port]

    def _queue(self, port: Port, priority: int) -> int:
        number = self._port(port)
        if not 0 <= priority < PRIORITIES:
            raise SpecError(f"{port}: {priority} is not a priority; 0 to {PRIORITIES - 1} are")
        return number * kernel.ROWS + priority

    def _switch_queue(self, port: Port, priority: int, what: str) -> int:
        if port.node in self._hosts:
            raise SpecError(f"{port}: {what} on the switch port")
        return self._queue(port, priority)


def _share(alpha: float | None) -> int:
    """Return a share of the free pool as the kernel counts it; at least the smallest there is."""
    return max(1, round((alpha or 0) * (1 << kernel.SHARE_BITS)))
