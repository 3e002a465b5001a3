"""The rows the kernel works on, made from topology, parameters and seed."""

import hashlib
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from aibench_lib.errors import SpecError
from aibench_lib.model import Topology
from aibench_lib.simulator import kernel
from aibench_lib.simulator.parameters import Dcqcn, Parameters
from aibench_lib.simulator.routes import Routes
from aibench_lib.simulator.window_control import UetNsccLike
from aibench_lib.units import BITS_PER_BYTE, PS_PER_NS, PS_PER_SECOND

Rows = TypeVar("Rows", npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float64], npt.NDArray[np.uint8])
Ints = npt.NDArray[np.int64]
SmallInts = npt.NDArray[np.int32]

CACHE_LINE = 64
"""Bytes a processor fetches at once; a row that begins with one is not spread over two."""

HEAP_LEAD = CACHE_LINE - 2 * 8
"""Bytes before the heap's root in its cache line, so that the four children of an event share one."""

MOST_EVENTS = 16
"""An event may schedule so many, and one for each port of its switch: XON frames when a queue is flushed."""

NIC_QUEUE_PACKETS = 2
"""Full data packets that may wait in a NIC's queue before its queue pairs are parked: enough to keep the wire busy, and
few enough that queue pairs share it in turn."""

QUANTUM_BITS = 512
"""Bit times of a pause quantum (IEEE 802.3)."""

BALANCING_CODES = {
    "ecmp": kernel.ECMP,
    "flowlet": kernel.FLOWLET,
    "packet_spray": kernel.PACKET_SPRAY,
    "least_queue": kernel.LEAST_QUEUE,
}


def table(rows: int, columns: int, dtype: type, lead: int = 0) -> npt.NDArray[Any]:
    """Return a table of zeros whose first row lies ``lead`` bytes behind the beginning of a cache line."""
    size = rows * columns * np.dtype(dtype).itemsize
    memory = np.zeros(size + 2 * CACHE_LINE, np.uint8)
    start = (lead - memory.ctypes.data) % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(rows, columns)


def settings_row(parameters: Parameters) -> npt.NDArray[np.int64]:
    """Return the integer parameters, times in ps."""
    row = np.zeros(kernel.SETTINGS_COLUMNS, np.int64)
    row[kernel.MTU] = parameters.mtu_bytes
    row[kernel.HEADER] = parameters.header_bytes
    row[kernel.ACK_SIZE] = parameters.ack_bytes
    row[kernel.CONTROL_PRIORITY] = parameters.control_priority
    row[kernel.MARK_AT_ENQUEUE] = parameters.mark_at == "enqueue"
    row[kernel.NACK_GAP] = parameters.nack_gap_ns * PS_PER_NS
    row[kernel.NIC_LIMIT] = NIC_QUEUE_PACKETS * (parameters.mtu_bytes + parameters.header_bytes)
    row[kernel.PAUSE_RESPONSE] = parameters.pause_response_ns * PS_PER_NS
    row[kernel.HOP_LIMIT] = parameters.hop_limit
    control = parameters.congestion_control
    row[kernel.MESSAGE_OVERHEAD] = parameters.nic_profile.message_overhead_ns * PS_PER_NS
    row[kernel.OUT_OF_ORDER] = parameters.receiver == "out-of-order"
    row[kernel.SELECTIVE] = parameters.transport == "selective-repeat"
    row[kernel.WINDOWED] = isinstance(control, UetNsccLike)
    row[kernel.TRACKED] = row[kernel.OUT_OF_ORDER] or row[kernel.WINDOWED]
    row[kernel.WINDOW_PACKETS] = parameters.window_packets
    row[kernel.REORDERING] = parameters.reordering_ns * PS_PER_NS
    if isinstance(control, Dcqcn):
        row[kernel.DCQCN_ON] = 1
        row[kernel.CNP_GAP] = control.cnp_gap_ns * PS_PER_NS
        row[kernel.ALPHA_PERIOD] = control.alpha_period_ns * PS_PER_NS
        row[kernel.CUT_PERIOD] = control.cut_period_ns * PS_PER_NS
        row[kernel.INCREASE_PERIOD] = control.increase_period_ns * PS_PER_NS
        row[kernel.INCREASE_BYTES] = control.increase_bytes
        row[kernel.FAST_STEPS] = control.fast_recovery_steps
        row[kernel.CLAMP] = control.clamp_target
        row[kernel.CLAMP_AFTER_TIMER] = control.clamp_target_after_timer
    return row


def gains_row(parameters: Parameters) -> npt.NDArray[np.float64]:
    """Return the real parameters, rates in bit/s."""
    row = np.zeros(kernel.GAINS_COLUMNS, np.float64)
    control = parameters.congestion_control
    if isinstance(control, UetNsccLike):
        row[kernel.TARGET_DELAY] = control.target_delay
        row[kernel.DELAY_GAIN] = control.delay_gain
        row[kernel.WINDOW_STEP] = control.increase_bytes
        row[kernel.WINDOW_FAST] = control.fast_increase
        row[kernel.WINDOW_CUT_GAIN] = control.cut_gain
        row[kernel.WINDOW_MAX_CUT] = control.max_cut
        row[kernel.FIRST_WINDOW] = control.first_window
        row[kernel.WINDOW_LIMIT] = control.max_window
    if isinstance(control, Dcqcn):
        row[kernel.GAIN] = control.gain
        row[kernel.INITIAL_ALPHA] = control.initial_alpha
        row[kernel.ADDITIVE_INCREASE] = control.additive_increase_bps
        row[kernel.HYPER_INCREASE] = control.hyper_increase_bps
        row[kernel.MAX_CUT] = control.max_cut
        row[kernel.MIN_RATE] = control.min_rate_bps
    return row


def port_rows(topology: Topology, parameters: Parameters) -> npt.NDArray[np.int64]:
    """Return the ports, both ends of link i in rows 2 i and 2 i + 1.

    Raises:
        SpecError: A link has no rate.
    """
    nodes = {name: index for index, name in enumerate((*topology.switches, *topology.hosts))}
    fastest: dict[str, int] = {}
    for link in topology.links:
        for end in (link.a, link.b):
            fastest[end.node] = max(fastest.get(end.node, 0), link.bps)
    rows = table(2 * len(topology.links), kernel.PORT_COLUMNS, np.int64)
    rows[:, [kernel.WIRE_HEAD, kernel.WIRE_TAIL]] = kernel.NONE
    rows[:, kernel.PROPAGATION] = parameters.propagation_ns * PS_PER_NS
    bus_bps = parameters.nic_profile.pcie_bps
    for number, link in enumerate(topology.links):
        if link.bps < 1:
            raise SpecError(f"link {link.a} - {link.b}: its rate is {link.bps} bit/s, must be at least 1")
        for row, end, other in ((2 * number, link.a, link.b), (2 * number + 1, link.b, link.a)):
            bps = link.bps if bus_bps is None or end.node in topology.switches else min(link.bps, bus_bps)
            cuts_through = (
                parameters.forwarding == "cut-through"
                and other.node in topology.switches
                and fastest[other.node] <= bps
            )
            rows[row, kernel.NODE] = nodes[end.node]
            rows[row, kernel.ENDS] = nodes[other.node] << kernel.PEER_NODE | nodes[end.node]
            rows[row, kernel.LINE_RATE] = bps
            rows[row, kernel.REFRESH] = max(1, parameters.pause_quanta * QUANTUM_BITS * PS_PER_SECOND // link.bps // 2)
            rows[row, kernel.BYTE_TIME] = (PS_PER_SECOND * BITS_PER_BYTE << kernel.BYTE_TIME_BITS) // bps
            rows[row, kernel.HEAD_BYTES] = parameters.header_bytes if cuts_through else kernel.NEVER
    return rows


def node_rows(topology: Topology, parameters: Parameters, seed: int) -> npt.NDArray[np.int64]:
    """Return the nodes, switches first; a host's queues have no buffer to share."""
    names = (*topology.switches, *topology.hosts)
    rows = table(len(names), kernel.NODE_COLUMNS, np.int64)
    rows[:, kernel.SALT] = [random_bits(31, seed, "salt", name) for name in names]
    rows[:, kernel.FLOWLET_PLACE] = kernel.NONE
    rows[:, kernel.BALANCE_RANDOM] = [random_bits(63, seed, "balance", name) | 1 for name in names]
    rows[:, kernel.BUFFER_SIZE] = parameters.buffer_bytes
    hosts = slice(len(topology.switches), None)
    rows[hosts, kernel.BUFFER_SIZE] = kernel.NEVER
    rows[:, kernel.POOL_SIZE] = rows[:, kernel.BUFFER_SIZE]
    rows[hosts, kernel.IS_HOST] = 1
    return rows


def queue_rows(ports: int) -> Ints:
    """Return empty queues, ECN and PFC off, of so many ports; a port's last row stands for no queue."""
    rows = table(ports * kernel.ROWS, kernel.QUEUE_COLUMNS, np.int64)
    rows[:, [kernel.HEAD, kernel.TAIL, kernel.PARKED_HEAD, kernel.PARKED_TAIL]] = kernel.NONE
    rows[:, [kernel.XOFF_SINCE, kernel.HELD_SINCE]] = kernel.NONE
    rows[:, [kernel.KMIN, kernel.KMAX, kernel.EXPIRES]] = kernel.NEVER
    return rows


def window_places(parameters: Parameters) -> int:
    """Return the places for a queue pair's packets on their way, a power of two; 0 where nothing keeps track."""
    if parameters.receiver == "in-order" and not isinstance(parameters.congestion_control, UetNsccLike):
        return 0
    return 1 << (parameters.window_packets - 1).bit_length()


def unloaded_ps(ports: npt.NDArray[np.int64], routes: Routes, node: int, destination: int, size: int) -> int:
    """Return the time a packet of ``size`` bytes takes through an empty fabric, along the first of the shortest paths.

    Args:
        ports: Of the kernel.
        routes: Next hops.
        node: Where it starts.
        destination: The host it goes to, counted among hosts.
        size: On the wire [B].
    """
    target = len(routes.sets) - routes.sets.shape[1] + destination
    time = 0
    for _ in routes.sets:  # a path that is longer goes round in a circle
        if node == target:
            break
        port = routes.next_hops[routes.sets[node, destination], 1]
        head = min(size, int(ports[port, kernel.HEAD_BYTES]))
        time += (head * int(ports[port, kernel.BYTE_TIME]) >> kernel.BYTE_TIME_BITS) + int(
            ports[port, kernel.PROPAGATION]
        )
        node = int(ports[port ^ 1, kernel.NODE])
    return time


def route_tables(routes: Routes, ports: Ints, first_host: int) -> tuple[SmallInts, SmallInts]:
    """Return the kernel's ``sets``, by node and group of hosts, and ``destinations``, by host.

    Hosts with one link to the same switch differ only there, so they share a column, and their last switch finds the
    port in ``destinations``: of a large fabric's table, what is in use fits into the processor's cache.
    """
    sets = routes.sets.copy()
    hosts = sets.shape[1]
    destinations = np.zeros((hosts, kernel.DESTINATION_COLUMNS), np.int32)
    links = np.bincount(ports[:, kernel.NODE], minlength=len(sets))
    for port, node in enumerate(ports[:, kernel.NODE].tolist()):
        if node >= first_host and links[node] == 1:
            last, host = ports[port ^ 1, kernel.NODE], node - first_host
            destinations[host, kernel.LAST_SET] = sets[last, host]
            sets[last, host] = kernel.BY_HOST
            sets[node, host] = sets[node, host - 1]  # it sends itself nothing: let it not differ from its neighbours
    groups: dict[bytes, int] = {}
    by_host = np.ascontiguousarray(sets.T)
    destinations[:, kernel.GROUP] = [groups.setdefault(column.tobytes(), len(groups)) for column in by_host]
    columns = np.unique(destinations[:, kernel.GROUP], return_index=True)[1]
    return np.ascontiguousarray(by_host[columns].T), destinations


def opposite(queue: int) -> int:
    """Return the queue of the same priority at the other end of the link."""
    port, priority = divmod(queue, kernel.ROWS)
    return (port ^ 1) * kernel.ROWS + priority


def with_room(array: Rows, rows: int, lead: int = 0) -> Rows:
    """Return a table with at least ``rows`` rows, doubled where it is too short; the new rows are zero."""
    if rows <= len(array):
        return array
    larger: Rows = table(max(rows, 2 * len(array), 64), array.shape[1], array.dtype.type, lead)
    larger[: len(array)] = array
    return larger


def require_index(what: str, count: int) -> None:
    """Refuse more things of a kind than an event can name.

    Raises:
        SpecError: There are too many.
    """
    limit = 1 << kernel.INDEX_BITS
    if count > limit:
        raise SpecError(f"simulation: {count} {what} are too many; at most {limit}")


def random_bits(count: int, *parts: str | int) -> int:
    """Return ``count`` bits that depend on all ``parts`` and nothing else."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & ((1 << count) - 1)
