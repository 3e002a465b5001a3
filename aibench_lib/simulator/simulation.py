"""One simulated trial: names, units and growing arrays around the compiled kernel."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aibench_lib.errors import SpecError
from aibench_lib.model import Port, Topology
from aibench_lib.simulator import kernel
from aibench_lib.simulator.injection import FaultyFabric
from aibench_lib.simulator.layout import random_bits, require_index, unloaded_ps, window_places, with_room
from aibench_lib.simulator.parameters import PRIORITIES, Parameters
from aibench_lib.simulator.results import COMPLETION, COMPLETION_COLUMNS, SAMPLE, fill_counters, named_counters
from aibench_lib.units import PS_PER_NS


class SeriesPort(NamedTuple):
    """An egress queue to record."""

    port: Port
    priority: int


class Simulation(FaultyFabric):
    """A fabric from the start of one trial on; deterministic for a seed.

    Time counts integer picoseconds from 0. Flows are started ahead of time, :meth:`advance` lets time pass, and
    counters may be read in between.
    """

    def __init__(self, topology: Topology, parameters: Parameters, seed: int) -> None:
        """Lay out the fabric's state.

        Args:
            topology: Switches, hosts and links.
            parameters: See :class:`Parameters`.
            seed: Draws of WRED and salts of the ECMP hash come from it.

        Raises:
            SpecError: The topology is too large for the event's index.
        """
        super().__init__(topology, parameters, seed)
        self._qps: dict[tuple[str, str, int], int] = {}
        self._qps_of: dict[str, int] = {}
        self._senders = np.zeros((0, kernel.SENDER_COLUMNS), np.int64)
        self._rates = np.zeros((0, kernel.RATE_COLUMNS), np.float64)
        self._receivers = np.zeros((0, kernel.RECEIVER_COLUMNS), np.int64)
        self._flow_rows = np.zeros((0, kernel.FLOW_COLUMNS), np.int64)
        places = window_places(self._parameters)
        self._sent = np.zeros((0, places), np.int64)
        self._arrived = np.zeros((0, places), np.uint8)
        self._series_queues = np.zeros(0, np.int64)
        self._series_rows = np.zeros((0, kernel.SERIES_COLUMNS), np.int64)
        self._counter_rows = named_counters(self._port_names)
        self.skipped_ps = 0
        """Time that was not simulated packet by packet; see :mod:`aibench_lib.simulator.skip` [ps]."""

    @property
    def simulated_ps(self) -> int:
        """Time that was simulated packet by packet [ps]."""
        return self.now_ps - self.skipped_ps

    @property
    def method(self) -> str:
        """How the results came about, their label: ``packet`` or ``packet+skip``."""
        return "packet+skip" if self.skipped_ps else "packet"

    @property
    def idle(self) -> bool:
        """Whether every flow is complete and no packet is left in the fabric."""
        return not self._clock[kernel.ACTIVE_FLOWS] and not self._clock[kernel.PACKETS_IN_USE]

    @property
    def events(self) -> int:
        """Events handled so far; with :attr:`packet_hops`, the measure of the kernel's work."""
        return int(self._clock[kernel.EVENTS])

    @property
    def packet_hops(self) -> int:
        """Transmissions of a packet onto a link so far, ACKs included."""
        return int(self._clock[kernel.HOPS])

    def start_flow(
        self, source: str, destination: str, size_bytes: int, start_ps: int, qp: int, priority: int = 3
    ) -> int:
        """Post a message at a time to come; messages of one queue pair are sent in the order of their start.

        Args:
            source: The sending host.
            destination: The receiving host.
            size_bytes: Payload, at least 1 [B].
            start_ps: When it is posted, not before now [ps].
            qp: With source and destination, the queue pair; its 5-tuple decides the path.
            priority: Traffic class of its data.

        Returns:
            The flow's number, counted from 0.

        Raises:
            SpecError: An unknown host, no path, a size, time or priority that cannot be.
        """
        self._check_flow(source, destination, size_bytes, start_ps, priority)
        key = (source, destination, qp)
        number = self._qps.get(key)
        if number is None:
            number = self._qps[key] = self._add_qp(source, destination, qp, priority)
        elif self._senders[number, kernel.PRIORITY] != priority:
            raise SpecError(
                f"queue pair {qp} {source} -> {destination}: its priority is not {priority}; use another one"
            )
        elif self._senders[number, kernel.LOOP_SIZE]:
            raise SpecError(f"queue pair {qp} {source} -> {destination}: it has a loop; use another one")
        flow = int(self._clock[kernel.FLOWS])
        require_index("flows", flow + 1)
        self._flow_rows = with_room(self._flow_rows, flow + 1)
        self._flow_rows[flow] = kernel.NONE
        row = self._flow_rows[flow]
        row[kernel.FLOW_QP] = number
        row[kernel.FLOW_SIZE] = size_bytes
        row[kernel.POSTED] = start_ps
        row[[kernel.RETRANSMITTED, kernel.REORDERED]] = 0
        self._clock[kernel.FLOWS] = flow + 1
        self._clock[kernel.ACTIVE_FLOWS] += 1
        self._room_for_events(1)
        kernel.push(self._heap, self._clock, start_ps, kernel.START, flow)
        return flow

    def start_loop(
        self,
        source: str,
        destination: str,
        size_bytes: int,
        start_ps: int,
        end_ps: int,
        qp: int,
        priority: int = 3,
        *,
        depth: int = 1,
        gap_ps: int = 0,
    ) -> int:
        """Let a queue pair post message after message: each as soon as the one ``depth`` before it is complete.

        Args:
            source: The sending host.
            destination: The receiving host.
            size_bytes: Payload of each message, at least 1 [B].
            start_ps: When the first is posted, not before now [ps].
            end_ps: No message is posted later [ps].
            qp: With source and destination, the queue pair; it has no other messages.
            priority: Traffic class of its data.
            depth: Messages that are outstanding at most.
            gap_ps: Message i is not posted earlier than i times this after the first [ps].

        Returns:
            The loop's number, for :meth:`messages`.

        Raises:
            SpecError: As for :meth:`start_flow`; or the queue pair has messages already.
        """
        self._check_flow(source, destination, size_bytes, start_ps, priority)
        where = f"loop {source} -> {destination}"
        if end_ps < start_ps or depth < 1 or gap_ps < 0:
            raise SpecError(f"{where}: end_ps is {end_ps}, depth {depth}, gap_ps {gap_ps}: they cannot be")
        key = (source, destination, qp)
        if key in self._qps:
            raise SpecError(f"{where}: queue pair {qp} has messages already; use another one")
        number = self._qps[key] = self._add_qp(source, destination, qp, priority)
        row = self._senders[number]
        row[kernel.LOOP_SIZE], row[kernel.LOOP_LEFT] = size_bytes, depth
        row[kernel.LOOP_NEXT], row[kernel.LOOP_END], row[kernel.LOOP_GAP] = start_ps, end_ps, gap_ps
        self._room_for_events(1)
        kernel.plan_post(self._clock, self._heap, self._senders, number)
        return number

    def messages(self, loop: int) -> npt.NDArray[np.void]:
        """Return what a loop has posted, a row of :data:`COMPLETION` each in the order of posting; -1: not yet."""
        flows = self._flow_rows[: self._clock[kernel.FLOWS]]
        return self._completions(np.flatnonzero(flows[:, kernel.FLOW_QP] == loop))

    def _check_flow(self, source: str, destination: str, size_bytes: int, start_ps: int, priority: int) -> None:
        for host in (source, destination):
            if host not in self._hosts:
                raise SpecError(f"{host}: not a host of the topology")
        if source == destination:
            raise SpecError(f"{source}: a flow needs two different hosts")
        if size_bytes < 1:
            raise SpecError(f"flow {source} -> {destination}: size_bytes is {size_bytes}, must be at least 1")
        if start_ps < self.now_ps:
            raise SpecError(f"flow {source} -> {destination}: start_ps {start_ps} is before now, {self.now_ps}")
        if not 0 <= priority < PRIORITIES or priority == self._parameters.control_priority:
            raise SpecError(
                f"flow {source} -> {destination}: priority {priority} is not one of 0 to {PRIORITIES - 1} "
                f"without {self._parameters.control_priority}, the priority of ACKs and CNPs"
            )

    def _add_qp(self, source: str, destination: str, qp: int, priority: int) -> int:
        number = len(self._qps)
        require_index("queue pairs", number + 1)
        sender, receiver = self._hosts[source], self._hosts[destination]
        there = self._intact.sets[len(self._switches) + sender, receiver]
        back = self._intact.sets[len(self._switches) + receiver, sender]
        if not there or not back:
            raise SpecError(f"flow {source} -> {destination}: the topology has no path between them")
        self._count_qp(source, destination)
        self._senders = with_room(self._senders, number + 1)
        self._rates = with_room(self._rates, number + 1)
        self._receivers = with_room(self._receivers, number + 1)
        self._flowlets = with_room(self._flowlets, 2 * number + 2)
        self._sent = with_room(self._sent, number + 1)
        self._arrived = with_room(self._arrived, number + 1)
        row = self._senders[number]
        row[[kernel.SEND_FLOW, kernel.ACKED_FLOW, kernel.LAST_FLOW, kernel.NIC]] = kernel.NONE
        row[[kernel.RATE_DUE, kernel.CUT_DUE, kernel.INCREASE_DUE, kernel.RESEND_PSN]] = kernel.NEVER
        if self._settings[kernel.WINDOWED]:
            row[kernel.BASE_RTT] = self._base_round_trip(sender, receiver)
        row[kernel.PRIORITY] = priority
        row[kernel.SOURCE] = sender
        row[kernel.PEER] = receiver
        row[kernel.PATIENCE] = self._timeout(source, destination, qp)
        row[kernel.ENTROPY] = random_bits(31, "data", source, destination, qp)
        row[kernel.ACK_ENTROPY] = random_bits(31, "ack", destination, source, qp)
        self._receivers[number, kernel.RECEIVE_FLOW] = kernel.NONE
        return number

    def _count_qp(self, *hosts: str) -> None:
        most = self._parameters.nic_profile.max_qps
        for host in hosts:
            if most is not None and self._qps_of.get(host, 0) >= most:
                raise SpecError(f"{host}: its NIC holds no more than {most} queue pairs (nic.max_qps)")
        for host in hosts:
            self._qps_of[host] = self._qps_of.get(host, 0) + 1

    def _timeout(self, source: str, destination: str, qp: int) -> int:
        """Return a queue pair's own retransmission timeout [ps]."""
        shortest = self._parameters.retransmit_timeout_ns * PS_PER_NS
        most_more = (self._parameters.retransmit_timeout_spread - 1) * shortest
        drawn = random_bits(31, self._seed, "timeout", source, destination, qp)
        return shortest + (most_more * drawn >> 31)

    def _base_round_trip(self, sender: int, receiver: int) -> int:
        """Return the time from a full packet's start to its ACK's arrival in an empty fabric [ps]."""
        full, ack = self._parameters.mtu_bytes + self._parameters.header_bytes, self._parameters.ack_bytes
        first = len(self._switches)
        there = unloaded_ps(self._port_rows, self._routes, first + sender, receiver, full)
        return there + unloaded_ps(self._port_rows, self._routes, first + receiver, sender, ack)

    def record_series(self, ports: Sequence[tuple[Port, int]], every_ps: int) -> None:
        """Sample egress queues at every multiple of ``every_ps`` from now on; call it once.

        A sample shows the state before the events of its instant.

        Args:
            ports: (port, priority) pairs; a sample's ``index`` counts them.
            every_ps: Time between samples [ps].

        Raises:
            SpecError: No such port or priority, or ``every_ps`` is below 1.
        """
        if every_ps < 1:
            raise SpecError(f"record_series: every_ps is {every_ps}, must be at least 1")
        self._series_queues = np.array([self._queue(port, priority) for port, priority in ports], np.int64)
        self._clock[kernel.SAMPLE_EVERY] = every_ps
        self._clock[kernel.SAMPLE_AT] = -(-self.now_ps // every_ps) * every_ps if ports else kernel.NEVER

    def advance(self, until_ps: int | None = None) -> None:
        """Let time pass to ``until_ps``, or, if None, until the simulation is idle; releases the GIL.

        Give a time where a flow may never complete: its sender would try for ever.

        Raises:
            SpecError: ``until_ps`` is in the past.
        """
        if until_ps is not None and until_ps < self.now_ps:
            raise SpecError(f"advance: until_ps {until_ps} is before now, {self.now_ps}")
        until = kernel.NEVER if until_ps is None else until_ps
        self._clock[kernel.UNTIL_IDLE] = until_ps is None
        while self._agenda and self._next_action_ps() <= until:
            self._run_to(self._next_action_ps())
            if until_ps is None and self.idle:
                return
            self._act()
        self._run_to(until)

    def _run_to(self, until: int) -> None:
        """Handle the events up to a time, with room for what they need."""
        while reason := self._run(until):
            if reason == kernel.NEEDS_PACKETS:
                self._add_packets()
            elif reason == kernel.NEEDS_HEAP:
                self._room_for_events(int(self._settings[kernel.HEAP_MARGIN]))
            elif reason == kernel.NEEDS_FLOWS:
                require_index("flows", len(self._flow_rows) + 1)
                self._flow_rows = with_room(self._flow_rows, len(self._flow_rows) + 1)
            elif reason == kernel.NEEDS_SERIES:
                self._series_rows = with_room(self._series_rows, len(self._series_rows) + len(self._series_queues))
            else:
                raise AssertionError("an array of the simulation is not as wide as the kernel's constants say")

    def _run(self, until: int) -> int:
        return kernel.advance(
            until,
            self._clock,
            self._settings,
            self._gains,
            self._heap,
            self._packets,
            self._packets.view(np.int64),
            self._port_rows,
            self._queue_rows,
            self._node_rows,
            self._senders,
            self._rates,
            self._receivers,
            self._flow_rows,
            self._sets,
            self._destinations,
            self._routes.next_hops,
            self._series_queues,
            self._series_rows,
            self._flowlets,
            self._sent,
            self._arrived,
        )

    def _add_packets(self) -> None:
        """Make room for more packets, the new ones in the free list."""
        first = len(self._packets)
        self._packets = with_room(self._packets, first + 1)
        self._packets[first:, kernel.NEXT] = np.arange(first + 1, len(self._packets) + 1)
        self._packets[-1, kernel.NEXT] = self._clock[kernel.FREE_PACKET]
        self._clock[kernel.FREE_PACKET] = first

    def completions(self) -> npt.NDArray[np.void]:
        """Return the completed flows, a row of :data:`COMPLETION` each, in the order of their numbers."""
        flows = self._flow_rows[: self._clock[kernel.FLOWS]]
        return self._completions(np.flatnonzero(flows[:, kernel.COMPLETED] != kernel.NONE))

    def _completions(self, flows: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
        rows = np.zeros(len(flows), COMPLETION)
        rows["flow"] = flows
        for name, column in COMPLETION_COLUMNS.items():
            rows[name] = self._flow_rows[flows, column]
        return rows

    def counters(self) -> npt.NDArray[np.void]:
        """Return the counters, a row per (port, priority).

        ``tx_*``, ``ecn_marked_packets``, ``dropped_*`` and the depths are of the egress queue; ``rx_*`` counts what
        arrived at the port. A depth [B] does not include the packet on its way out. ``peak_depth_bytes`` is since the
        start.
        """
        rows = self._counter_rows.copy()
        on_wires = np.zeros((len(self._port_rows), 2 * PRIORITIES), np.int64)
        kernel.count_on_wires(self._packets, self._port_rows, on_wires)
        fill_counters(rows, self._queue_rows, self._port_rows, on_wires, self.now_ps)
        return rows

    def hosts(self) -> npt.NDArray[np.void]:
        """Return what hosts count beside their ports, a row per host.

        ``out_of_sequence_packets`` came while an earlier packet was missing; ``cnps_sent_packets`` answered marks.
        """
        names = np.array(tuple(self._hosts), np.str_)
        columns = {"out_of_sequence_packets": kernel.OUT_OF_SEQUENCE, "cnps_sent_packets": kernel.CNPS_SENT}
        rows = np.zeros(len(names), [("node", names.dtype), *((name, np.int64) for name in columns)])
        rows["node"] = names
        for name, column in columns.items():
            rows[name] = self._node_rows[len(self._switches) :, column]
        return rows

    def buffers(self) -> npt.NDArray[np.void]:
        """Return the use of every switch's buffer [B], a row per switch."""
        names = np.array(self._switches, np.str_)
        kind = [("node", names.dtype), ("used_bytes", np.int64), ("peak_bytes", np.int64), ("size_bytes", np.int64)]
        rows = np.zeros(len(names), kind)
        nodes = self._node_rows[: len(names)]
        rows["node"] = names
        rows["used_bytes"] = nodes[:, kernel.BUFFER_USED]
        rows["peak_bytes"] = nodes[:, kernel.BUFFER_PEAK]
        rows["size_bytes"] = nodes[:, kernel.BUFFER_SIZE]
        return rows

    def series(self) -> npt.NDArray[np.void]:
        """Return the samples so far, rows of :data:`SAMPLE` in the order of time and port."""
        samples = int(self._clock[kernel.SAMPLES])
        return self._series_rows[:samples].copy().view(SAMPLE).reshape(samples)

    def take_series(self) -> npt.NDArray[np.void]:
        """Return the samples so far and forget them, so that a long trial needs no more memory."""
        rows = self.series()
        self._clock[kernel.SAMPLES] = 0
        return rows
