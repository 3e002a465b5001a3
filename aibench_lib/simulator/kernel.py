"""The compiled event loop: packets, queues, wires, senders and receivers of one simulated fabric.

All of the simulator's inner loop is in this one module, above the usual length of a file, because Numba's cache on disk
notices a change of the file a function stands in, not of a function it calls in another file. It knows indices and
picoseconds only; names, units and seeds are the business of ``simulation``.

State is rows of int64 in a few two-dimensional arrays, so that what one event touches lies together in memory:

* ``clock``      scalars that change (time, heap size, free list, counts); ``settings`` and ``gains`` are parameters.
* ``heap``       pending events, a 4-ary heap of (time, sequence number | kind | index).
* ``packets``    int32 rows; ``arrivals`` is the same memory as int64, of which a column is the time of arrival.
* ``ports``      one row per link end. A wire is the list of packets on their way out of a port, in order of arrival.
* ``queues``     one row per (port, priority), ``port * ROWS + priority``, of cache lines for the egress queue, for the
  ingress side (a priority group: what came in at this port and is still in the buffer), and for what is seldom touched.
* ``nodes``      switches first, then hosts: buffer use, hash salt and load balancing.
* ``sets``       by node and group of destinations, ``destinations`` by host: rows of ``next_hops``, the ports to take.
* ``flowlets``   a row per QP and direction, two columns per switch that tells flowlets apart: last packet, port.
* ``senders``, ``rates``, ``receivers``   the state of a queue pair (QP), one row in each.
* ``sent``       by QP and place in the window: when the packet was last sent, ``NONE`` once it is acknowledged.
* ``arrived``    by QP and place in the window: whether the packet has come, where it may come out of order.
* ``flows``      messages; those of one QP form a list in the order they were started. A QP with a loop makes its own.

Events, at most one pending per port and kind, per QP and kind, and per flow not yet started:

* ``ARRIVAL``    the first packet on a port's wire reaches the other end (its header does, in cut-through).
* ``PORT_FREE``  a transmission ends and packets wait; no event where none waits.
* ``TURN``       a QP may send: its pacing gap is over. A QP whose NIC queue is full is parked, without an event, and
  has its turn with the event that makes room.
* ``START``      a flow is started.
* ``POST``       the loop of a QP posts its next message; the next ``POST`` is planned when a message may follow.
* ``TIMEOUT``    the retransmission timer of a QP, pushed on lazily as acknowledgements come.
* ``PAUSE`` and ``RESUME``   an XOFF or XON frame takes effect at an egress queue; as many as are on their way.
* ``EXPIRY``     a pause ends because no frame renewed it.
* ``WATCHDOG``   a look at a queue that is paused with packets, or that the watchdog has taken out of PFC.

Frames that only renew a pause are no events: a pause holds until XON, and both ends count from the time that passed.
A queue that is paused schedules nothing, so a frozen fabric has no events.

DCQCN has no events of its own: a QP's timers are settled, in the order they fell due, when it sends or receives a CNP.
Events at the same time happen in the order in which they were scheduled.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from aibench_lib.simulator.parameters import PRIORITIES
from aibench_lib.simulator.prefetch import prefetch

Ints = npt.NDArray[np.int64]
SmallInts = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])

NEVER = 1 << 62
NONE = -1

# clock
NOW = 0
SEQUENCE = 1
HEAP_SIZE = 2
ROOT_TAKEN = 3  # the heap's first row is the event in hand: the next push replaces it, which saves a sift
FREE_PACKET = 4
PACKETS_IN_USE = 5
ACTIVE_FLOWS = 6  # started or to be started, and not completed
EVENTS = 7
HOPS = 8  # transmissions of a packet onto a wire
SAMPLE_AT = 9
SAMPLE_EVERY = 10
SAMPLES = 11
UNTIL_IDLE = 12
ADMITTED_QP = 13  # has its turn at once, without an event; NONE
FLOWS = 14  # rows of flows in use
CLOCK_COLUMNS = 16

# settings
MTU = 0
HEADER = 1
ACK_SIZE = 2
CONTROL_PRIORITY = 3
MARK_AT_ENQUEUE = 4
FIRST_HOST = 5  # the first node that is one
NACK_GAP = 6
DCQCN_ON = 7
CNP_GAP = 8
ALPHA_PERIOD = 9
CUT_PERIOD = 10
INCREASE_PERIOD = 11
INCREASE_BYTES = 12
FAST_STEPS = 13
CLAMP = 14
CLAMP_AFTER_TIMER = 15
NIC_LIMIT = 16  # depth of a NIC queue above which its QPs are parked
PAUSE_RESPONSE = 18
HOP_LIMIT = 19
HEAP_MARGIN = 20  # events one event may schedule
OUT_OF_ORDER = 21  # the receiver keeps what comes out of order
SELECTIVE = 22  # the sender sends again only what is missing
TRACKED = 23  # the sender keeps the time of every packet
WINDOWED = 24  # the sender has a window instead of a rate
WINDOW_PACKETS = 25  # a packet this far beyond the first that is missing is not sent yet
REORDERING = 26  # a packet is lost when one sent this much later has come
MESSAGE_OVERHEAD = 27
SETTINGS_COLUMNS = 32

# gains
GAIN = 0
INITIAL_ALPHA = 1
ADDITIVE_INCREASE = 2
HYPER_INCREASE = 3
MAX_CUT = 4
MIN_RATE = 5
TARGET_DELAY = 6  # in base round trips
DELAY_GAIN = 7
WINDOW_STEP = 8  # bytes a round trip
WINDOW_FAST = 9  # bandwidth-delay products a round trip
WINDOW_CUT_GAIN = 10
WINDOW_MAX_CUT = 11
FIRST_WINDOW = 12  # bandwidth-delay products
WINDOW_LIMIT = 13
GAINS_COLUMNS = 16

# heap
TIME = 0
ORDER = 1  # sequence << 26 | kind << 22 | index
HEAP_COLUMNS = 2
INDEX_BITS = 22
KIND_BITS = 4
ARRIVAL = 0
PORT_FREE = 1
TURN = 2
START = 3
TIMEOUT = 4
PAUSE = 5
RESUME = 6
EXPIRY = 7
WATCHDOG = 8
POST = 9

# packets
QP = 0
PSN = 1  # packet sequence number; in an ACK or NACK the one expected next
SIZE = 2
FLAGS = 3
NEXT = 4
DESTINATION = 5
ARRIVES = 3  # in arrivals: columns 6 and 7
INGRESS = 8  # the port it came in at; in a host, the NIC
HOPS_LEFT = 9
SELECTED = 10  # of an ACK to a sender that keeps track: the packet that caused it, NONE where that was not kept
LABEL = 11  # the entropy of its 5-tuple
NEXT_ARRIVES = 6  # in arrivals: columns 12 and 13; so that the packet behind need not be looked at
PACKET_COLUMNS = 16
PRIORITY_MASK = 7  # flags
MARKED = 8
ACK = 16
CNP = 32
NACK = 64
COUNTED = 128  # its bytes are in its priority group's account
RESENT = 256

# ports: a cache line of what every packet needs, and the rest
BUSY_UNTIL = 0
PORT_STATE = 1  # bits, below
WIRE_HEAD = 2
WIRE_TAIL = 3
BYTE_TIME = 4  # time on the wire of a byte, in 2^-20 ps
PROPAGATION = 5
HEAD_BYTES = 6  # bytes of a packet that must be out before the other end acts on it; all of them unless cut-through
ENDS = 7  # the node at the other end << 32 | the node
NODE = 8
LINE_RATE = 9  # bit/s
REFRESH = 10  # time between the frames that renew a pause
SERVED = 11  # the weighted priority whose turn it is
RESTORED_AT = 12  # what was sent before is lost
CORRUPTION = 13  # probability a packet, in 2^-53
PORT_RANDOM = 14  # state of the generator for it
PORT_COLUMNS = 24
PEER_NODE = 32  # place in ENDS
NODE_MASK = (1 << PEER_NODE) - 1
BYTE_TIME_BITS = 20
# the state of a port: from each of these places on, a bit a priority
BACKLOG = 0  # the queue holds packets
BLOCKED = 8  # it must not be served: paused, taken by the watchdog, or the link is down
WEIGHTED = 16  # it is served by weight
CAPPED = 24  # it has an egress limit
GROUPED = 32  # the other end has PFC, and keeps account of what it holds of this
ALL_PRIORITIES = (1 << PRIORITIES) - 1
WAKING = 1 << 40  # PORT_FREE is pending
DOWN = 1 << 41  # the node knows that the link is down
CUT = 1 << 42
RESTORED = 1 << 43
LOSSY = 1 << 44
TROUBLE = CUT | RESTORED | LOSSY  # what may befall a packet on the wire

# queues, a cache line each: the egress queue
ROWS = PRIORITIES + 1  # of a port; one is not used, so that a queue of many ports does not meet in few cache sets
HEAD = 0
TAIL = 1
DEPTH = 2
PEAK_DEPTH = 3
TX_PACKETS = 4
TX_BYTES = 5
KMIN = 6
PARKED_HEAD = 7
# the priority group
GROUP_USED = 8  # of its reserved part and of the shared pool
GROUP_HEADROOM = 9
PFC = 10  # PFC_OFF, PFC_STATIC or PFC_DYNAMIC
PFC_LIMIT = 11  # XOFF above it: bytes; or share of the free pool, in 2^-16
GROUP_RESERVED = 12  # bytes of the buffer that are the priority group's own
XOFF_SINCE = 13  # NONE where the other end may send
XON_OFFSET = 14
HEADROOM = 15
# the egress queue again
KMAX = 16
MARK_SLOPE = 17  # marking probability per byte above kmin, in 2^-53
RANDOM = 18  # state of the queue's own generator, so that its draws do not depend on events elsewhere
MARKED_PACKETS = 19
PARKED_TAIL = 20
EGRESS_LIMIT = 21  # tail drop above this share of the free pool, in 2^-16
QUANTUM = 22  # bytes a turn
DEFICIT = 23  # bytes left of its turn
# drops, a column a cause
DROPPED = 24
DROPPED_BYTES = 30
LOST_BYTES = 31  # of them, those lost on the wire after they were counted as transmitted
# PAUSE
LOST_PACKETS = 32
PAUSE_TX = 33  # frames, without those that renew the pause that holds
PAUSE_RX = 34
HELD_SINCE = 35  # the other end's XOFF holds; NONE where not
PAUSED_TIME = 36  # without the pause that holds
TRANSITIONS = 37
OBEYS = 38
EXPIRES = 39  # when the pause that holds ends by itself
# the watchdog
DETECTION = 40  # 0 is off
RESTORATION = 41
FORWARDS = 42
TRIPPED = 43
LOOK_PENDING = 44
WATCHED_SINCE = 45
TRIPS = 46
QUEUE_COLUMNS = 48
PFC_OFF = 0
PFC_STATIC = 1
PFC_DYNAMIC = 2
SHARE_BITS = 16
NO_BUFFER = 0  # causes
LINK_DOWN = 1
NO_ROUTE = 2
CORRUPTED = 3
BY_WATCHDOG = 4
HOPS_OVER = 5
CAUSES = 6
PAUSE_BYTES = 64  # a PAUSE frame

# destinations, a row per host
GROUP = 0  # of hosts that all nodes but the last reach by the same ports; a column of sets
LAST_SET = 1  # the next-hop set of the last switch
DESTINATION_COLUMNS = 2
BY_HOST = -1  # in sets: see LAST_SET

# nodes
BUFFER_USED = 0
BUFFER_PEAK = 1
POOL_USED = 2
POOL_SIZE = 3  # the buffer without reserved parts and headroom
IS_HOST = 4
SALT = 5
BALANCING = 6
BUFFER_SIZE = 7
FLOWLET_GAP = 8
FLOWLET_PLACE = 9  # the first of the node's columns in flowlets
BALANCE_RANDOM = 10  # state of the node's own generator
OUT_OF_SEQUENCE = 11  # data packets that came while an earlier one was missing
CNPS_SENT = 12
NODE_COLUMNS = 16
ECMP = 0  # balancing
FLOWLET = 1
PACKET_SPRAY = 2
LEAST_QUEUE = 3

# flowlets
FLOWLET_SEEN = 0  # time of the last packet
FLOWLET_PORT = 1  # the port it took, counted from 1; 0 is none yet
FLOWLET_COLUMNS = 2

# senders
STATE = 0
PACE = 1  # earliest time of the next packet
NEXT_PSN = 2
UNACKED_PSN = 3
HIGHEST_PSN = 4  # one past the last packet ever sent: below it, a packet is a retransmission
END_PSN = 5
SEND_FLOW = 6
ACKED_FLOW = 7
LAST_FLOW = 8
NIC = 9
PRIORITY = 10
SOURCE = 11  # host number, and so for the peer
PEER = 12
ENTROPY = 13  # of the data's 5-tuple
ACK_ENTROPY = 14  # of the acknowledgements' 5-tuple
PARKED_NEXT = 15
TIMEOUT_DUE = 16
TIMEOUT_PENDING = 17
RATE_DUE = 18  # the earlier of the two below
CUT_DUE = 19
INCREASE_DUE = 20
TIME_STAGE = 21
BYTE_STAGE = 22
BYTES_SENT = 23
ALPHA_START = 24
ALPHA_PERIODS = 25  # periods since ALPHA_START that alpha accounts for
CNP_SEEN = 26  # in the current period of alpha
LIMITED = 27  # a CNP has ever come
RESEND_PSN = 28  # what is lost is looked for from here on; NEVER while nothing is
NEWEST_ACKED = 29  # when the last sent of the packets acknowledged was sent
SACKED = 30  # packets beyond UNACKED_PSN that are acknowledged
BASE_RTT = 31  # of the empty path
CUT_ALLOWED = 32  # earliest time of the window's next cut
PATIENCE = 33  # time without progress until the timeout
LOOP_SIZE = 34  # of each message of its loop; 0 is none
LOOP_END = 35  # no message is posted later
LOOP_GAP = 36  # time from one message's turn to the next one's
LOOP_NEXT = 37  # the turn of the next message: it is not posted earlier
LOOP_LEFT = 38  # messages that may be posted before another one is complete
LOOP_PENDING = 39  # POST is
SENDER_COLUMNS = 40
IDLE = 0  # states
WAITING = 1
PARKED = 2
ADMITTED = 3  # was parked, and sends in its next turn

# rates [bit/s]
RATE = 0
TARGET = 1
ALPHA = 2
LINE = 3
WINDOW = 4  # bytes that may be on their way
DELAY = 5  # moving mean of the queueing delay
RATE_COLUMNS = 8

# receivers
EXPECTED_PSN = 0
RECEIVE_FLOW = 1
CNP_ALLOWED = 2
NACK_ALLOWED = 3
HIGHEST_SEEN = 4  # of the packets that came before their turn
RECEIVER_COLUMNS = 8

# flows
FLOW_QP = 0
FLOW_SIZE = 1
POSTED = 2
RECEIVED = 3
COMPLETED = 4
RETRANSMITTED = 5
LAST_PSN = 6
FLOW_NEXT = 7
REORDERED = 8
FLOW_COLUMNS = 10

# series: a row per port and sample
SERIES_TIME = 0
SERIES_INDEX = 1
SERIES_TX_PACKETS = 2
SERIES_TX_BYTES = 3
SERIES_MARKED = 4
SERIES_DROPPED = 5
SERIES_DEPTH = 6
SERIES_PEAK = 7
SERIES_BUFFER = 8
SERIES_PAUSE_TX = 9
SERIES_PAUSE_RX = 10
SERIES_PAUSED = 11
SERIES_COLUMNS = 12

LOOK_AHEAD_FROM = 500  # pending events; with fewer, all fits into the processor's caches

# why advance returned
REACHED = 0
NEEDS_PACKETS = 1
NEEDS_SERIES = 2
NEEDS_HEAP = 3
NEEDS_FLOWS = 4
MISFIT = 5  # an array is not as wide as it must be

PS_PER_SECOND_BITS = 8e12  # a byte at 1 bit/s takes this many ps


def _compiled(inline: bool, entry: bool) -> Callable[[Function], Function]:
    """``numba.njit`` with this module's options, typed to keep a function's signature.

    ``_nrt=False`` leaves out the counting of references to arrays, which are all made by the caller: each inlined
    helper would otherwise count its arguments atomically, which takes two thirds of the time. What is no ``entry`` can
    be called from compiled functions only, which saves a fifth of the time to compile. Nor is a function compiled anew
    for every constant it is called with.
    """
    options: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
    options |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": not entry}

    def compiled(function: Function) -> Function:
        dispatcher = numba.njit(forceinline=inline, **options)(function)
        if dispatcher is not function:  # the kernel is not interpreted
            template = dispatcher.get_call_template
            dispatcher.get_call_template = lambda arguments, named: template(
                map(numba.types.unliteral, arguments), named
            )
        return cast(Function, dispatcher)

    return compiled


_inlined = _compiled(inline=True, entry=False)
_helper = _compiled(inline=False, entry=False)
_entry = _compiled(inline=False, entry=True)


# Events


@_inlined
def _look_ahead(heap: Ints, packets: SmallInts, ports: Ints) -> None:
    """Fetch what the next events will need while this one is handled."""
    for child in range(1, 5):
        order = heap[child, ORDER]
        index = order & ((1 << INDEX_BITS) - 1)
        kind = (order >> INDEX_BITS) & ((1 << KIND_BITS) - 1)
        if kind <= PORT_FREE:
            prefetch(ports, index)
            packet = ports[index, WIRE_HEAD]
            if packet >= 0:
                prefetch(packets, packet)


@_entry
def push(heap: Ints, clock: Ints, time: int, kind: int, index: int) -> None:
    """Schedule an event."""
    sequence = clock[SEQUENCE]
    clock[SEQUENCE] = sequence + 1
    order = (sequence << (KIND_BITS + INDEX_BITS)) | (kind << INDEX_BITS) | index
    if clock[ROOT_TAKEN]:
        clock[ROOT_TAKEN] = 0
        _sift_down(heap, clock[HEAP_SIZE], time, order)
        return
    place = clock[HEAP_SIZE]
    clock[HEAP_SIZE] = place + 1
    while place > 0:
        parent = (place - 1) >> 2
        if heap[parent, TIME] <= time:
            break
        heap[place, TIME] = heap[parent, TIME]
        heap[place, ORDER] = heap[parent, ORDER]
        place = parent
    heap[place, TIME] = time
    heap[place, ORDER] = order


@_helper
def _sift_down(heap: Ints, size: int, time: int, order: int) -> None:
    """Put an event at the heap's root and let it sink to its place.

    The least of four children is found without branches, which no processor could foretell; rows behind the heap's last
    hold ``NEVER``.
    """
    if heap.shape[1] != HEAP_COLUMNS:  # see advance
        return
    place = 0
    child = 1
    while child < size:
        first, second = heap[child, TIME], heap[child + 1, TIME]
        first_order, second_order = heap[child, ORDER], heap[child + 1, ORDER]
        third, fourth = heap[child + 2, TIME], heap[child + 3, TIME]
        third_order, fourth_order = heap[child + 2, ORDER], heap[child + 3, ORDER]
        left = (second < first) | ((second == first) & (second_order < first_order))
        right = (fourth < third) | ((fourth == third) & (fourth_order < third_order))
        low = second if left else first
        low_order = second_order if left else first_order
        high = fourth if right else third
        high_order = fourth_order if right else third_order
        low_place = child + (1 if left else 0)
        high_place = child + (3 if right else 2)
        other = (high < low) | ((high == low) & (high_order < low_order))
        least = high if other else low
        least_order = high_order if other else low_order
        least_place = high_place if other else low_place
        if (time < least) | ((time == least) & (order < least_order)):
            break
        heap[place, TIME] = least
        heap[place, ORDER] = least_order
        place = least_place
        child = (place << 2) + 1
    heap[place, TIME] = time
    heap[place, ORDER] = order


@_inlined
def _drop_root(heap: Ints, clock: Ints) -> None:
    """Remove the event in hand, if no push has taken its place."""
    if clock[ROOT_TAKEN]:
        clock[ROOT_TAKEN] = 0
        last = clock[HEAP_SIZE] - 1
        clock[HEAP_SIZE] = last
        time, order = heap[last, TIME], heap[last, ORDER]
        heap[last, TIME] = NEVER
        if last > 0:
            _sift_down(heap, last, time, order)


# Packets, ports and switches


@_inlined
def _free(clock: Ints, packets: SmallInts, packet: int) -> None:
    packets[packet, NEXT] = clock[FREE_PACKET]
    clock[FREE_PACKET] = packet
    clock[PACKETS_IN_USE] -= 1


@_inlined
def _draw(rows: Ints, row: int, column: int) -> int:
    """Return 53 random bits of the generator whose state is in that place (xorshift, 64 bits)."""
    x = rows[row, column]
    x ^= x << 13
    x ^= (x >> 7) & ((1 << 57) - 1)
    x ^= x << 17
    rows[row, column] = x
    bits: int = (x >> 11) & ((1 << 53) - 1)
    return bits


@_inlined
def _mark(queues: Ints, packets: SmallInts, queue: int, packet: int, depth: int) -> None:
    """Mark a data packet as WRED does at this depth of its queue, the packet itself not counted."""
    if depth <= queues[queue, KMIN] or packets[packet, FLAGS] & ACK:
        return
    if depth <= queues[queue, KMAX]:
        threshold = queues[queue, MARK_SLOPE] * (depth - queues[queue, KMIN])
        if _draw(queues, queue, RANDOM) >= threshold:
            return
    packets[packet, FLAGS] |= MARKED
    queues[queue, MARKED_PACKETS] += 1


@_inlined
def _hash(nodes: Ints, node: int, entropy: int, count: int) -> int:
    """Return one of ``count`` by a hash of the 5-tuple salted by the node."""
    mixed = (entropy ^ nodes[node, SALT]) * 0x5BD1E995
    mixed = ((mixed ^ (mixed >> 31)) & 0x7FFFFFFF) * 0x2C1B3C6D
    mixed = (mixed ^ (mixed >> 31)) & 0x7FFFFFFF
    choice: int = (mixed * count) >> 31
    return choice


@_inlined
def _any(nodes: Ints, node: int, count: int) -> int:
    """Return one of ``count`` at random."""
    choice: int = ((_draw(nodes, node, BALANCE_RANDOM) >> 22) * count) >> 31
    return choice


@_helper
def _flowlet_port(clock: Ints, nodes: Ints, flowlets: Ints, next_hops: SmallInts, node: int, row: int, key: int) -> int:
    """Return the port of a QP's current flowlet; a new flowlet takes one at random."""
    place = nodes[node, FLOWLET_PLACE]
    silence = clock[NOW] - flowlets[key, place + FLOWLET_SEEN]
    flowlets[key, place + FLOWLET_SEEN] = clock[NOW]
    count = next_hops[row, 0]
    if silence < nodes[node, FLOWLET_GAP]:
        port: int = flowlets[key, place + FLOWLET_PORT] - 1
        for choice in range(count):
            if next_hops[row, 1 + choice] == port:
                return port
    port = next_hops[row, 1 + _any(nodes, node, count)] + 0
    flowlets[key, place + FLOWLET_PORT] = port + 1
    return port


@_helper
def _least_queue_port(
    clock: Ints, ports: Ints, queues: Ints, nodes: Ints, next_hops: SmallInts, node: int, row: int, priority: int
) -> int:
    """Return the port that would send a packet of this priority first, at random among equals."""
    count = next_hops[row, 0]
    choice = _any(nodes, node, count)
    best = NONE
    least = NEVER
    for _ in range(count):
        port = next_hops[row, 1 + choice] + 0
        waiting = max(ports[port, BUSY_UNTIL] - clock[NOW], 0)
        waiting += (queues[port * ROWS + priority, DEPTH] * ports[port, BYTE_TIME]) >> BYTE_TIME_BITS
        if waiting < least:
            best = port
            least = waiting
        choice = choice + 1 if choice + 1 < count else 0
    return best


@_helper
def _balanced_port(
    clock: Ints,
    packets: SmallInts,
    ports: Ints,
    queues: Ints,
    nodes: Ints,
    flowlets: Ints,
    next_hops: SmallInts,
    node: int,
    row: int,
    packet: int,
) -> int:
    """Return the port for a packet at a switch that does not hash flows."""
    if nodes[node, BALANCING] == FLOWLET:
        key = packets[packet, QP] * 2 + (1 if packets[packet, FLAGS] & ACK else 0)
        return _flowlet_port(clock, nodes, flowlets, next_hops, node, row, key)
    if nodes[node, BALANCING] == LEAST_QUEUE:
        priority = packets[packet, FLAGS] & PRIORITY_MASK
        return _least_queue_port(clock, ports, queues, nodes, next_hops, node, row, priority)
    port: int = next_hops[row, 1 + _any(nodes, node, next_hops[row, 0])] + 0
    return port


@_inlined
def _next_hop(
    clock: Ints,
    packets: SmallInts,
    ports: Ints,
    queues: Ints,
    nodes: Ints,
    flowlets: Ints,
    sets: SmallInts,
    destinations: SmallInts,
    next_hops: SmallInts,
    node: int,
    packet: int,
) -> int:
    """Return the port a packet takes next."""
    destination = packets[packet, DESTINATION]
    row = sets[node, destinations[destination, GROUP]]
    if row == BY_HOST:
        row = destinations[destination, LAST_SET]
    port: int = next_hops[row, 1]
    if next_hops[row, 0] > 1:
        if nodes[node, BALANCING] == ECMP:
            port = next_hops[row, 1 + _hash(nodes, node, packets[packet, LABEL], next_hops[row, 0])]
        else:
            port = _balanced_port(clock, packets, ports, queues, nodes, flowlets, next_hops, node, row, packet)
    return port


@_helper
def _drop(clock: Ints, packets: SmallInts, queues: Ints, port: int, cause: int, packet: int) -> None:
    """Drop a packet, counted at a port under its priority."""
    queue = port * ROWS + (packets[packet, FLAGS] & PRIORITY_MASK)
    queues[queue, DROPPED + cause] += 1
    queues[queue, DROPPED_BYTES] += packets[packet, SIZE]
    _free(clock, packets, packet)


@_inlined
def _opposite(queue: int) -> int:
    """Return the queue of the same priority at the other end of the link."""
    return int((queue // ROWS ^ 1) * ROWS + queue % ROWS)


@_inlined
def _frame_time(settings: Ints, ports: Ints, port: int) -> int:
    """Return how long after it begins to leave a port a PAUSE frame takes effect at the other end."""
    on_the_wire = (PAUSE_BYTES * ports[port, BYTE_TIME]) >> BYTE_TIME_BITS
    return int(on_the_wire + ports[port, PROPAGATION] + settings[PAUSE_RESPONSE])


@_entry
def say_pause(clock: Ints, settings: Ints, heap: Ints, ports: Ints, queues: Ints, queue: int, kind: int) -> None:
    """Send XOFF (``PAUSE``) or XON (``RESUME``) to the other end of a port's link.

    The frame waits for the packet under way on its port, but takes no time of the wire from those behind it.
    """
    port = queue // ROWS
    now = clock[NOW]
    queues[queue, PAUSE_TX] += 1
    if kind == PAUSE:
        queues[queue, XOFF_SINCE] = now
    else:
        queues[queue, PAUSE_TX] += (now - queues[queue, XOFF_SINCE]) // ports[port, REFRESH]
        queues[queue, XOFF_SINCE] = NONE
    leaves = max(now, ports[port, BUSY_UNTIL])
    push(heap, clock, leaves + _frame_time(settings, ports, port), kind, _opposite(queue))


@_inlined
def _over_reserve(queues: Ints, group: int, used: int) -> int:
    """Return what a priority group takes of the shared pool when it uses so many bytes."""
    over: int = max(0, used - queues[group, GROUP_RESERVED])
    return over


@_inlined
def _within_limit(queues: Ints, group: int, free: int, used: int) -> bool:
    """Return whether a priority group that uses so many bytes is not above its XOFF threshold."""
    if queues[group, PFC] == PFC_STATIC:
        return bool(used <= queues[group, PFC_LIMIT])
    return bool(_over_reserve(queues, group, used) <= (free * queues[group, PFC_LIMIT]) >> SHARE_BITS)


@_helper
def _admit(
    clock: Ints,
    settings: Ints,
    heap: Ints,
    packets: SmallInts,
    ports: Ints,
    queues: Ints,
    nodes: Ints,
    node: int,
    group: int,
    packet: int,
) -> bool:
    """Find room for a packet of a priority group with PFC; return False where even its headroom is full.

    Up to the threshold it goes to the group's reserved part and to the shared pool; what is above, or finds the pool
    full, goes to the headroom and sends XOFF.
    """
    size = packets[packet, SIZE]
    used = queues[group, GROUP_USED] + size
    taken = _over_reserve(queues, group, used) - _over_reserve(queues, group, queues[group, GROUP_USED])
    free = nodes[node, POOL_SIZE] - nodes[node, POOL_USED]
    if taken <= free and _within_limit(queues, group, free, used):
        queues[group, GROUP_USED] = used
        nodes[node, POOL_USED] += taken
    else:
        if queues[group, XOFF_SINCE] == NONE:
            say_pause(clock, settings, heap, ports, queues, group, PAUSE)
        if queues[group, GROUP_HEADROOM] + size > queues[group, HEADROOM]:
            return False
        queues[group, GROUP_HEADROOM] += size
    packets[packet, FLAGS] |= COUNTED
    return True


@_helper
def _release(
    clock: Ints,
    settings: Ints,
    heap: Ints,
    packets: SmallInts,
    ports: Ints,
    queues: Ints,
    nodes: Ints,
    node: int,
    packet: int,
) -> None:
    """Give back the room of a priority group's packet, headroom first; send XON where it is far enough below XOFF."""
    group = packets[packet, INGRESS] * ROWS + (packets[packet, FLAGS] & PRIORITY_MASK)
    packets[packet, FLAGS] &= ~COUNTED
    size = packets[packet, SIZE]
    above = min(size, queues[group, GROUP_HEADROOM])
    queues[group, GROUP_HEADROOM] -= above
    before = queues[group, GROUP_USED]
    used = before - (size - above)
    queues[group, GROUP_USED] = used
    nodes[node, POOL_USED] -= _over_reserve(queues, group, before) - _over_reserve(queues, group, used)
    if queues[group, XOFF_SINCE] != NONE and queues[group, GROUP_HEADROOM] == 0:
        free = nodes[node, POOL_SIZE] - nodes[node, POOL_USED]
        low = used == 0 or _within_limit(queues, group, free, used + queues[group, XON_OFFSET])
        if low:
            say_pause(clock, settings, heap, ports, queues, group, RESUME)


@_inlined
def _takes(
    clock: Ints,
    settings: Ints,
    heap: Ints,
    packets: SmallInts,
    ports: Ints,
    queues: Ints,
    nodes: Ints,
    port: int,
    priority: int,
    packet: int,
) -> bool:
    """Find room in a node's buffer for a packet of an egress queue; return False where there is none."""
    size = packets[packet, SIZE]
    node = ports[port, ENDS] & NODE_MASK
    used = nodes[node, BUFFER_USED] + size
    if used > nodes[node, BUFFER_SIZE]:
        return False
    if (ports[port, PORT_STATE] >> (CAPPED + priority)) & 1:
        queue = port * ROWS + priority
        free = nodes[node, POOL_SIZE] - nodes[node, POOL_USED]
        if queues[queue, DEPTH] + size > (free * queues[queue, EGRESS_LIMIT]) >> SHARE_BITS:
            return False
    if (ports[packets[packet, INGRESS] ^ 1, PORT_STATE] >> (GROUPED + priority)) & 1:
        group = packets[packet, INGRESS] * ROWS + priority
        if not _admit(clock, settings, heap, packets, ports, queues, nodes, node, group, packet):
            return False
    else:
        taken = nodes[node, POOL_USED] + size
        if taken > nodes[node, POOL_SIZE]:
            return False
        nodes[node, POOL_USED] = taken
    nodes[node, BUFFER_USED] = used
    nodes[node, BUFFER_PEAK] = max(nodes[node, BUFFER_PEAK], used)
    return True


@_inlined
def _gives_back(
    clock: Ints,
    settings: Ints,
    heap: Ints,
    packets: SmallInts,
    ports: Ints,
    queues: Ints,
    nodes: Ints,
    node: int,
    packet: int,
) -> None:
    """Give back the room of a packet that leaves a node's buffer."""
    size = packets[packet, SIZE]
    nodes[node, BUFFER_USED] -= size
    if packets[packet, FLAGS] & COUNTED:
        _release(clock, settings, heap, packets, ports, queues, nodes, node, packet)
    else:
        nodes[node, POOL_USED] -= size


@_entry
def watch(clock: Ints, heap: Ints, queues: Ints, queue: int) -> None:
    """Start the watchdog's time of a queue that is paused with packets, or, once tripped, no longer paused."""
    if queues[queue, DETECTION]:
        queues[queue, WATCHED_SINCE] = clock[NOW]
        if not queues[queue, LOOK_PENDING]:
            queues[queue, LOOK_PENDING] = 1
            wait = queues[queue, RESTORATION] if queues[queue, TRIPPED] else queues[queue, DETECTION]
            push(heap, clock, clock[NOW] + wait, WATCHDOG, queue)


@_entry
def unblock(clock: Ints, heap: Ints, ports: Ints, queue: int) -> None:
    """Let a queue be served again."""
    port, priority = queue // ROWS, queue % ROWS
    ports[port, PORT_STATE] &= ~(1 << (BLOCKED + priority))
    if (ports[port, PORT_STATE] >> (BACKLOG + priority)) & 1 and not ports[port, PORT_STATE] & WAKING:
        ports[port, PORT_STATE] |= WAKING
        push(heap, clock, max(clock[NOW], ports[port, BUSY_UNTIL]), PORT_FREE, port)


@_inlined
def _is_frame_lost(clock: Ints, settings: Ints, ports: Ints, port: int) -> bool:
    """Return whether a PAUSE frame that would take effect at a port now was lost with its link."""
    state = ports[port, PORT_STATE]
    left = clock[NOW] - _frame_time(settings, ports, port ^ 1)
    return bool(state & CUT or (state & RESTORED and left < ports[port, RESTORED_AT]))


@_helper
def _pause(clock: Ints, settings: Ints, heap: Ints, ports: Ints, queues: Ints, queue: int) -> None:
    """Let an XOFF frame take effect at a queue."""
    if _is_frame_lost(clock, settings, ports, queue // ROWS):
        return
    queues[queue, PAUSE_RX] += 1
    queues[queue, EXPIRES] = NEVER
    if queues[queue, HELD_SINCE] != NONE:
        return
    queues[queue, HELD_SINCE] = clock[NOW]
    if queues[queue, OBEYS]:
        queues[queue, TRANSITIONS] += 1
        if not queues[queue, TRIPPED]:
            ports[queue // ROWS, PORT_STATE] |= 1 << (BLOCKED + queue % ROWS)
            if queues[queue, HEAD] != NONE:
                watch(clock, heap, queues, queue)


@_helper
def _resume(clock: Ints, settings: Ints, heap: Ints, ports: Ints, queues: Ints, queue: int, expired: bool) -> None:
    """Let an XON frame take effect at a queue, or the end of its last pause's time."""
    port = queue // ROWS
    now = clock[NOW]
    if expired and queues[queue, EXPIRES] != now:
        return
    if not expired:
        if _is_frame_lost(clock, settings, ports, port):
            return
        queues[queue, PAUSE_RX] += 1
    since = queues[queue, HELD_SINCE]
    if since == NONE:
        return
    last = now - 2 * ports[port, REFRESH] if expired else now
    queues[queue, PAUSE_RX] += max(0, last - since) // ports[port, REFRESH]
    queues[queue, HELD_SINCE] = NONE
    queues[queue, EXPIRES] = NEVER
    if queues[queue, OBEYS]:
        queues[queue, PAUSED_TIME] += now - since
        if queues[queue, TRIPPED]:
            watch(clock, heap, queues, queue)
        elif not ports[port, PORT_STATE] & DOWN:
            unblock(clock, heap, ports, queue)


@_entry
def flush(
    clock: Ints,
    settings: Ints,
    heap: Ints,
    packets: SmallInts,
    ports: Ints,
    queues: Ints,
    nodes: Ints,
    queue: int,
    cause: int,
) -> None:
    """Drop all packets of a queue."""
    port = queue // ROWS
    packet = queues[queue, HEAD]
    while packet != NONE:
        following = packets[packet, NEXT] + 0
        queues[queue, DEPTH] -= packets[packet, SIZE]
        _gives_back(clock, settings, heap, packets, ports, queues, nodes, ports[port, NODE], packet)
        _drop(clock, packets, queues, port, cause, packet)
        packet = following
    queues[queue, HEAD] = NONE
    queues[queue, DEFICIT] = 0
    ports[port, PORT_STATE] &= ~(1 << (BACKLOG + queue % ROWS))


@_entry
def count_by_ingress(packets: SmallInts, queues: Ints, queue: int, waiting: Ints) -> None:
    """Add up in ``waiting`` the bytes of a queue's packets of priority groups, by the port they came in at."""
    packet = queues[queue, HEAD]
    while packet != NONE:
        if packets[packet, FLAGS] & COUNTED:
            waiting[packets[packet, INGRESS]] += packets[packet, SIZE]
        packet = packets[packet, NEXT] + 0


@_helper
def _look(
    clock: Ints, settings: Ints, heap: Ints, packets: SmallInts, ports: Ints, queues: Ints, nodes: Ints, queue: int
) -> None:
    """Let a queue's watchdog look: trip, restore, or look again when that may be due."""
    queues[queue, LOOK_PENDING] = 0
    held = queues[queue, HELD_SINCE] != NONE
    tripped = queues[queue, TRIPPED]
    if not queues[queue, DETECTION] or (held if tripped else not held or queues[queue, HEAD] == NONE):
        return
    due = queues[queue, WATCHED_SINCE] + (queues[queue, RESTORATION] if tripped else queues[queue, DETECTION])
    if clock[NOW] < due:
        queues[queue, LOOK_PENDING] = 1
        push(heap, clock, due, WATCHDOG, queue)
        return
    queues[queue, TRIPPED] = 1 - tripped
    if not tripped:
        queues[queue, TRIPS] += 1
        if not queues[queue, FORWARDS]:
            flush(clock, settings, heap, packets, ports, queues, nodes, queue, BY_WATCHDOG)
            return
    if not ports[queue // ROWS, PORT_STATE] & DOWN:
        unblock(clock, heap, ports, queue)


@_inlined
def _enqueue(
    clock: Ints,
    settings: Ints,
    heap: Ints,
    packets: SmallInts,
    ports: Ints,
    queues: Ints,
    nodes: Ints,
    port: int,
    packet: int,
) -> None:
    """Append a packet to its queue at a busy or blocked port, or drop it."""
    size = packets[packet, SIZE]
    priority = packets[packet, FLAGS] & PRIORITY_MASK
    queue = port * ROWS + priority
    state = ports[port, PORT_STATE]
    blocked = (state >> (BLOCKED + priority)) & 1
    if blocked and state & DOWN and not nodes[ports[port, NODE], IS_HOST]:
        _drop(clock, packets, queues, port, LINK_DOWN, packet)
        return
    if blocked and queues[queue, TRIPPED]:
        _drop(clock, packets, queues, port, BY_WATCHDOG, packet)
        return
    if not _takes(clock, settings, heap, packets, ports, queues, nodes, port, priority, packet):
        _drop(clock, packets, queues, port, NO_BUFFER, packet)
        return
    depth = queues[queue, DEPTH]
    if settings[MARK_AT_ENQUEUE]:
        _mark(queues, packets, queue, packet, depth)
    depth += size
    queues[queue, DEPTH] = depth
    queues[queue, PEAK_DEPTH] = max(queues[queue, PEAK_DEPTH], depth)
    packets[packet, NEXT] = NONE
    if queues[queue, HEAD] == NONE:
        queues[queue, HEAD] = packet
        ports[port, PORT_STATE] |= 1 << (BACKLOG + priority)
        if blocked:
            watch(clock, heap, queues, queue)
    else:
        packets[queues[queue, TAIL], NEXT] = packet
    queues[queue, TAIL] = packet
    if not blocked and not state & WAKING:
        ports[port, PORT_STATE] |= WAKING
        push(heap, clock, ports[port, BUSY_UNTIL], PORT_FREE, port)


@_helper
def _next_in_turn(packets: SmallInts, ports: Ints, queues: Ints, port: int, ready: int) -> int:
    """Return the weighted priority to serve: deficit round robin, from the highest priority down."""
    priority = ports[port, SERVED]
    while True:
        queue = port * ROWS + priority
        if (ready >> priority) & 1 and packets[queues[queue, HEAD], SIZE] <= queues[queue, DEFICIT]:
            ports[port, SERVED] = priority
            return int(priority)
        priority = (priority - 1) % PRIORITIES
        if (ready >> priority) & 1:
            queues[port * ROWS + priority, DEFICIT] += queues[port * ROWS + priority, QUANTUM]


@_inlined
def _ready(state: int) -> int:
    """Return the priorities that may be served at a port in this state, a bit each."""
    ready: int = state & ~(state >> BLOCKED) & ALL_PRIORITIES
    return ready


@_inlined
def _next_priority(settings: Ints, packets: SmallInts, ports: Ints, queues: Ints, port: int, ready: int) -> int:
    """Return the priority to serve: control first, then the highest without a weight, then by weight."""
    priority: int = settings[CONTROL_PRIORITY]
    if not (ready >> priority) & 1:
        strict = ready & ~(ports[port, PORT_STATE] >> WEIGHTED)
        if not strict:
            return _next_in_turn(packets, ports, queues, port, ready)
        priority = PRIORITIES - 1
        while not (strict >> priority) & 1:
            priority -= 1
    return priority


@_inlined
def _unpark(clock: Ints, queues: Ints, senders: Ints, queue: int) -> None:
    """Give the QP that has waited longest for room in a NIC's queue its turn; until then it keeps its place."""
    qp = queues[queue, PARKED_HEAD]
    senders[qp, STATE] = ADMITTED
    clock[ADMITTED_QP] = qp


@_inlined
def _dequeue(
    clock: Ints,
    settings: Ints,
    heap: Ints,
    packets: SmallInts,
    ports: Ints,
    queues: Ints,
    nodes: Ints,
    senders: Ints,
    port: int,
) -> int:
    """Take the next packet to transmit from a port's queues; let a QP have its turn that waits for the room."""
    state = ports[port, PORT_STATE]
    priority = _next_priority(settings, packets, ports, queues, port, _ready(state))
    queue = port * ROWS + priority
    packet: int = queues[queue, HEAD]
    following = packets[packet, NEXT]
    queues[queue, HEAD] = following
    size = packets[packet, SIZE]
    if following == NONE:
        ports[port, PORT_STATE] = state & ~(1 << (BACKLOG + priority))
    if (state >> (WEIGHTED + priority)) & 1:
        queues[queue, DEFICIT] = queues[queue, DEFICIT] - size if following != NONE else 0
    depth = queues[queue, DEPTH] - size
    queues[queue, DEPTH] = depth
    _gives_back(clock, settings, heap, packets, ports, queues, nodes, ports[port, ENDS] & NODE_MASK, packet)
    if not settings[MARK_AT_ENQUEUE]:
        _mark(queues, packets, queue, packet, depth)
    waiting = queues[queue, PARKED_HEAD]
    if waiting != NONE and depth <= settings[NIC_LIMIT] and senders[waiting, STATE] == PARKED:
        _unpark(clock, queues, senders, queue)
    return packet


@_inlined
def _transmit(
    clock: Ints,
    heap: Ints,
    packets: SmallInts,
    arrivals: Ints,
    ports: Ints,
    queues: Ints,
    port: int,
    packet: int,
) -> None:
    """Put a packet on the wire."""
    size = packets[packet, SIZE]
    queue = port * ROWS + (packets[packet, FLAGS] & PRIORITY_MASK)
    queues[queue, TX_PACKETS] += 1
    queues[queue, TX_BYTES] += size
    clock[HOPS] += 1
    byte_time = ports[port, BYTE_TIME]
    now = clock[NOW]
    end = now + ((size * byte_time) >> BYTE_TIME_BITS)
    head_bytes = ports[port, HEAD_BYTES]
    head = end if size <= head_bytes else now + ((head_bytes * byte_time) >> BYTE_TIME_BITS)
    arrives = head + ports[port, PROPAGATION]
    ports[port, BUSY_UNTIL] = end
    arrivals[packet, ARRIVES] = arrives
    packets[packet, NEXT] = NONE
    if ports[port, WIRE_HEAD] == NONE:
        ports[port, WIRE_HEAD] = packet
        push(heap, clock, arrives, ARRIVAL, port)
    else:
        packets[ports[port, WIRE_TAIL], NEXT] = packet
        arrivals[ports[port, WIRE_TAIL], NEXT_ARRIVES] = arrives
    ports[port, WIRE_TAIL] = packet
    state = ports[port, PORT_STATE]
    if _ready(state):
        ports[port, PORT_STATE] = state | WAKING
        push(heap, clock, end, PORT_FREE, port)


@_helper
def _is_lost(clock: Ints, packets: SmallInts, ports: Ints, queues: Ints, port: int, packet: int) -> bool:
    """Return whether a packet out of a wire in trouble is lost, and count and drop it then."""
    size = packets[packet, SIZE]
    priority = packets[packet, FLAGS] & PRIORITY_MASK
    trouble = ports[port, PORT_STATE]
    on_the_wire = min(size, ports[port, HEAD_BYTES]) * ports[port, BYTE_TIME] >> BYTE_TIME_BITS
    sent = clock[NOW] - ports[port, PROPAGATION] - on_the_wire
    if trouble & CUT or (trouble & RESTORED and sent < ports[port, RESTORED_AT]):
        queues[port * ROWS + priority, LOST_PACKETS] += 1
        queues[port * ROWS + priority, LOST_BYTES] += size
        _drop(clock, packets, queues, port, LINK_DOWN, packet)
        return True
    if trouble & LOSSY and _draw(ports, port, PORT_RANDOM) < ports[port, CORRUPTION]:
        _drop(clock, packets, queues, port ^ 1, CORRUPTED, packet)
        return True
    return False


@_inlined
def _arrive(clock: Ints, heap: Ints, packets: SmallInts, arrivals: Ints, ports: Ints, queues: Ints, port: int) -> int:
    """Take the packet that has come out of the wire of ``port``; NONE where it is lost.

    What came in is not counted: it is what the other end sent, but for what is lost or on the wire.
    """
    packet: int = ports[port, WIRE_HEAD]
    following = packets[packet, NEXT]
    ports[port, WIRE_HEAD] = following
    if following != NONE:
        push(heap, clock, arrivals[packet, NEXT_ARRIVES], ARRIVAL, port)
    if ports[port, PORT_STATE] & TROUBLE and _is_lost(clock, packets, ports, queues, port, packet):
        return NONE
    return packet


@_entry
def count_on_wires(packets: SmallInts, ports: Ints, found: Ints) -> None:
    """Count what is on the wire out of every port: a row a port, packets and then bytes by priority."""
    for port in range(len(ports)):
        packet = ports[port, WIRE_HEAD]
        while packet != NONE:
            priority = packets[packet, FLAGS] & PRIORITY_MASK
            found[port, priority] += 1
            found[port, PRIORITIES + priority] += packets[packet, SIZE]
            packet = packets[packet, NEXT] + 0


# Congestion control (DCQCN) of a sender


@_inlined
def _power(base: float, exponent: int) -> float:
    """Return ``base ** exponent`` by repeated squaring: the same bits compiled and interpreted."""
    result = 1.0
    while exponent > 0:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


@_helper
def _age_alpha(settings: Ints, gains: Floats, senders: Ints, rates: Floats, qp: int, at: int) -> None:
    """Bring alpha up to date: the first period that has passed may have seen a CNP, the rest have not."""
    periods = (at - senders[qp, ALPHA_START]) // settings[ALPHA_PERIOD] - senders[qp, ALPHA_PERIODS]
    if periods > 0:
        keep = 1.0 - gains[GAIN]
        sample = gains[GAIN] if senders[qp, CNP_SEEN] else 0.0
        rates[qp, ALPHA] = (keep * rates[qp, ALPHA] + sample) * _power(keep, periods - 1)
        senders[qp, ALPHA_PERIODS] += periods
        senders[qp, CNP_SEEN] = 0


@_helper
def _cut_rate(settings: Ints, gains: Floats, senders: Ints, rates: Floats, qp: int, at: int) -> None:
    """Cut the rate by alpha / 2 and begin recovery anew."""
    _age_alpha(settings, gains, senders, rates, qp, at)
    by_timer = settings[CLAMP_AFTER_TIMER] and senders[qp, TIME_STAGE] > 0
    if settings[CLAMP] or by_timer or senders[qp, BYTE_STAGE] > 0:
        rates[qp, TARGET] = rates[qp, RATE]
    cut = min(rates[qp, ALPHA] / 2.0, gains[MAX_CUT])
    rates[qp, RATE] = max(gains[MIN_RATE], rates[qp, RATE] * (1.0 - cut))
    senders[qp, TIME_STAGE] = 0
    senders[qp, BYTE_STAGE] = 0
    senders[qp, BYTES_SENT] = 0
    senders[qp, CUT_DUE] = NEVER
    senders[qp, INCREASE_DUE] = at + settings[INCREASE_PERIOD]


@_helper
def _raise_rate(settings: Ints, gains: Floats, senders: Ints, rates: Floats, qp: int) -> None:
    """Raise the rate by one step of fast recovery, additive or hyper increase."""
    highest = lowest = senders[qp, TIME_STAGE]
    if settings[INCREASE_BYTES]:
        highest = max(senders[qp, TIME_STAGE], senders[qp, BYTE_STAGE])
        lowest = min(senders[qp, TIME_STAGE], senders[qp, BYTE_STAGE])
    if highest >= settings[FAST_STEPS]:
        step = gains[HYPER_INCREASE] if lowest > settings[FAST_STEPS] else gains[ADDITIVE_INCREASE]
        rates[qp, TARGET] = min(rates[qp, LINE], rates[qp, TARGET] + step)
    rates[qp, RATE] = 0.5 * (rates[qp, RATE] + rates[qp, TARGET])


@_helper
def _settle_rate(settings: Ints, gains: Floats, senders: Ints, rates: Floats, qp: int, now: int) -> None:
    """Do the cuts and timed increases that fell due up to now, in their order."""
    while senders[qp, RATE_DUE] <= now:
        if senders[qp, CUT_DUE] <= senders[qp, INCREASE_DUE]:
            _cut_rate(settings, gains, senders, rates, qp, senders[qp, CUT_DUE])
        else:
            _raise_rate(settings, gains, senders, rates, qp)
            senders[qp, TIME_STAGE] += 1
            senders[qp, INCREASE_DUE] += settings[INCREASE_PERIOD]
            if rates[qp, RATE] >= rates[qp, LINE]:
                senders[qp, INCREASE_DUE] = NEVER
        senders[qp, RATE_DUE] = min(senders[qp, CUT_DUE], senders[qp, INCREASE_DUE])


@_inlined
def _receive_cnp(settings: Ints, gains: Floats, senders: Ints, rates: Floats, qp: int, now: int) -> None:
    """Note a CNP: cut at once, or at the end of the cut period it falls in."""
    if senders[qp, RATE_DUE] <= now:
        _settle_rate(settings, gains, senders, rates, qp, now)
    if not senders[qp, LIMITED]:
        senders[qp, LIMITED] = 1
        senders[qp, ALPHA_START] = now
        rates[qp, ALPHA] = gains[INITIAL_ALPHA]
    elif settings[CUT_PERIOD]:
        _age_alpha(settings, gains, senders, rates, qp, now)
        senders[qp, CNP_SEEN] = 1
    if settings[CUT_PERIOD] == 0:
        _cut_rate(settings, gains, senders, rates, qp, now)
        rates[qp, ALPHA] = (1.0 - gains[GAIN]) * rates[qp, ALPHA] + gains[GAIN]
        senders[qp, ALPHA_START] = now
        senders[qp, ALPHA_PERIODS] = 0
    elif senders[qp, CUT_DUE] == NEVER:
        start = senders[qp, ALPHA_START]
        senders[qp, CUT_DUE] = start + ((now - start) // settings[CUT_PERIOD] + 1) * settings[CUT_PERIOD]
    senders[qp, RATE_DUE] = min(senders[qp, CUT_DUE], senders[qp, INCREASE_DUE])


@_inlined
def _count_sent(settings: Ints, gains: Floats, senders: Ints, rates: Floats, qp: int, size: int) -> None:
    """Raise the rate where the byte counter says so."""
    if senders[qp, LIMITED] and settings[INCREASE_BYTES]:
        senders[qp, BYTES_SENT] += size
        if senders[qp, BYTES_SENT] >= settings[INCREASE_BYTES]:
            senders[qp, BYTES_SENT] -= settings[INCREASE_BYTES]
            _raise_rate(settings, gains, senders, rates, qp)
            senders[qp, BYTE_STAGE] += 1


# Senders


@_inlined
def _schedule_turn(clock: Ints, heap: Ints, senders: Ints, qp: int) -> None:
    """Give a QP its next turn when its gap is over, or earlier, when an increase of its rate shortens the gap."""
    senders[qp, STATE] = WAITING
    due = max(clock[NOW], min(senders[qp, PACE], senders[qp, INCREASE_DUE]))
    push(heap, clock, due, TURN, qp)


@_inlined
def _wake(clock: Ints, heap: Ints, senders: Ints, qp: int) -> None:
    """Give an idle QP a turn."""
    if senders[qp, STATE] == IDLE:
        senders[qp, PACE] = max(senders[qp, PACE], clock[NOW])
        _schedule_turn(clock, heap, senders, qp)


@_helper
def _go_back(clock: Ints, heap: Ints, senders: Ints, qp: int) -> None:
    """Go on sending from the first packet that is not acknowledged."""
    senders[qp, NEXT_PSN] = senders[qp, UNACKED_PSN]
    senders[qp, SEND_FLOW] = senders[qp, ACKED_FLOW]
    if senders[qp, SEND_FLOW] != NONE:
        _wake(clock, heap, senders, qp)


@_helper
def _start(clock: Ints, settings: Ints, heap: Ints, senders: Ints, receivers: Ints, flows: Ints, flow: int) -> None:
    """Hand a message to its QP, behind those it has."""
    qp = flows[flow, FLOW_QP]
    last = senders[qp, LAST_FLOW]
    if last != NONE:
        flows[last, FLOW_NEXT] = flow
    senders[qp, LAST_FLOW] = flow
    senders[qp, END_PSN] += (flows[flow, FLOW_SIZE] + settings[MTU] - 1) // settings[MTU]
    flows[flow, LAST_PSN] = senders[qp, END_PSN] - 1
    if senders[qp, SEND_FLOW] == NONE:
        senders[qp, SEND_FLOW] = flow
        if settings[MESSAGE_OVERHEAD]:
            senders[qp, PACE] = max(senders[qp, PACE], clock[NOW]) + settings[MESSAGE_OVERHEAD]
    if senders[qp, ACKED_FLOW] == NONE:
        senders[qp, ACKED_FLOW] = flow
    if receivers[qp, RECEIVE_FLOW] == NONE:
        receivers[qp, RECEIVE_FLOW] = flow
    _wake(clock, heap, senders, qp)


@_entry
def plan_post(clock: Ints, heap: Ints, senders: Ints, qp: int) -> None:
    """Let the loop of a QP post its next message as soon as it may; nothing if it posts no more, or has planned it."""
    at = max(clock[NOW], senders[qp, LOOP_NEXT])
    if senders[qp, LOOP_LEFT] > 0 and not senders[qp, LOOP_PENDING] and at <= senders[qp, LOOP_END]:
        senders[qp, LOOP_PENDING] = 1
        clock[ACTIVE_FLOWS] += 1
        push(heap, clock, at, POST, qp)


@_helper
def _post(clock: Ints, heap: Ints, senders: Ints, flows: Ints, qp: int) -> int:
    """Make the next message of a loop, and plan the one after it; return it."""
    flow: int = clock[FLOWS]
    clock[FLOWS] += 1
    for column in range(FLOW_COLUMNS):
        flows[flow, column] = NONE
    flows[flow, FLOW_QP] = qp
    flows[flow, FLOW_SIZE] = senders[qp, LOOP_SIZE]
    flows[flow, POSTED] = clock[NOW]
    flows[flow, RETRANSMITTED] = 0
    flows[flow, REORDERED] = 0
    senders[qp, LOOP_PENDING] = 0
    senders[qp, LOOP_LEFT] -= 1
    senders[qp, LOOP_NEXT] += senders[qp, LOOP_GAP]
    plan_post(clock, heap, senders, qp)
    return flow


@_helper
def _repair(clock: Ints, settings: Ints, heap: Ints, senders: Ints, qp: int) -> None:
    """Send again what is lost: that alone, or all from the first of it on."""
    if settings[SELECTIVE]:
        senders[qp, RESEND_PSN] = senders[qp, UNACKED_PSN]
        _wake(clock, heap, senders, qp)
    else:
        _go_back(clock, heap, senders, qp)


@_helper
def _time_out(clock: Ints, settings: Ints, heap: Ints, senders: Ints, rates: Floats, qp: int) -> None:
    """Repair if nothing was acknowledged for the timeout; keep the timer while packets are outstanding."""
    if senders[qp, UNACKED_PSN] == senders[qp, HIGHEST_PSN]:
        senders[qp, TIMEOUT_PENDING] = 0
        return
    if clock[NOW] >= senders[qp, TIMEOUT_DUE]:
        senders[qp, TIMEOUT_DUE] = clock[NOW] + senders[qp, PATIENCE]
        senders[qp, NEWEST_ACKED] = clock[NOW] + settings[REORDERING]  # all that was sent until now is lost
        rates[qp, WINDOW] = 0.0  # one packet
        _repair(clock, settings, heap, senders, qp)
    push(heap, clock, senders[qp, TIMEOUT_DUE], TIMEOUT, qp)


@_inlined
def _park(queues: Ints, senders: Ints, qp: int, queue: int) -> None:
    """Let a QP wait, behind others, for room in its NIC's queue."""
    senders[qp, STATE] = PARKED
    senders[qp, PARKED_NEXT] = NONE
    if queues[queue, PARKED_HEAD] == NONE:
        queues[queue, PARKED_HEAD] = qp
    else:
        senders[queues[queue, PARKED_TAIL], PARKED_NEXT] = qp
    queues[queue, PARKED_TAIL] = qp


@_helper
def _is_held(settings: Ints, senders: Ints, rates: Floats, sent: Ints, qp: int) -> bool:
    """Return whether a QP that keeps track of its packets has none to send or no room for one in its window."""
    psn = senders[qp, RESEND_PSN]
    if psn != NEVER:
        lost_before = senders[qp, NEWEST_ACKED] - settings[REORDERING]
        place = sent.shape[1] - 1
        psn = max(psn, senders[qp, UNACKED_PSN])
        while psn < senders[qp, NEXT_PSN]:
            at = sent[qp, psn & place]
            if at != NONE and at < lost_before:
                senders[qp, RESEND_PSN] = psn
                return False
            psn += 1
        senders[qp, RESEND_PSN] = NEVER
    ahead = senders[qp, NEXT_PSN] - senders[qp, UNACKED_PSN]
    if senders[qp, SEND_FLOW] == NONE or ahead >= settings[WINDOW_PACKETS]:
        return True
    if not settings[WINDOWED]:
        return False
    full = settings[MTU] + settings[HEADER]
    held: bool = (ahead - senders[qp, SACKED]) * full >= max(rates[qp, WINDOW], full)
    return held


@_inlined
def _may_send(
    clock: Ints,
    settings: Ints,
    gains: Floats,
    heap: Ints,
    queues: Ints,
    senders: Ints,
    rates: Floats,
    sent: Ints,
    qp: int,
) -> bool:
    """Return whether a QP sends in this turn; if not, it is idle, waits on or is parked."""
    now = clock[NOW]
    before = rates[qp, RATE]
    if senders[qp, RATE_DUE] <= now:
        _settle_rate(settings, gains, senders, rates, qp, now)
    queue = senders[qp, NIC] * ROWS + senders[qp, PRIORITY]
    admitted = senders[qp, STATE] == ADMITTED
    if admitted:
        queues[queue, PARKED_HEAD] = senders[qp, PARKED_NEXT]
    held = senders[qp, SEND_FLOW] == NONE
    if settings[TRACKED]:
        held = _is_held(settings, senders, rates, sent, qp)
    if held or now < senders[qp, PACE]:
        if held:
            senders[qp, STATE] = IDLE
        else:
            senders[qp, PACE] = now + int((senders[qp, PACE] - now) * (before / rates[qp, RATE]))
            _schedule_turn(clock, heap, senders, qp)
        if admitted and queues[queue, PARKED_HEAD] != NONE:  # it does not use the room it was given
            _unpark(clock, queues, senders, queue)
        return False
    full = queues[queue, DEPTH] > settings[NIC_LIMIT] or queues[queue, PARKED_HEAD] != NONE
    if full and not admitted:
        _park(queues, senders, qp, queue)
        return False
    return True


@_helper
def _flow_of(flows: Ints, flow: int, psn: int) -> int:
    """Return which of a QP's messages, from ``flow`` on, a packet belongs to."""
    while flows[flow, LAST_PSN] < psn:
        flow = flows[flow, FLOW_NEXT]
    return flow


@_inlined
def _note_sent(settings: Ints, senders: Ints, flows: Ints, sent: Ints, qp: int, flow: int, psn: int, now: int) -> int:
    """Note that a packet is sent, for the first time or again; return its flags."""
    flags: int = senders[qp, PRIORITY]
    if psn < senders[qp, HIGHEST_PSN]:
        flows[flow, RETRANSMITTED] += 1
        flags |= RESENT
    if settings[TRACKED]:
        place = psn & (sent.shape[1] - 1)
        if psn < senders[qp, HIGHEST_PSN] and sent[qp, place] == NONE:
            senders[qp, SACKED] -= 1
        sent[qp, place] = now
    senders[qp, HIGHEST_PSN] = max(senders[qp, HIGHEST_PSN], psn + 1)
    return flags


@_inlined
def _room_at(settings: Ints, ports: Ints, queues: Ints, senders: Ints, qp: int, size: int) -> int:
    """Return before when a NIC's queue has no room for a QP's next packet, behind one of this size; 0 if it has."""
    port = senders[qp, NIC]
    queue = port * ROWS + senders[qp, PRIORITY]
    if queues[queue, PARKED_HEAD] != NONE:
        return int(ports[port, BUSY_UNTIL] + (size * ports[port, BYTE_TIME] >> BYTE_TIME_BITS))
    if queues[queue, DEPTH] + size > settings[NIC_LIMIT]:
        return int(ports[port, BUSY_UNTIL])
    return 0


@_inlined
def _send(
    clock: Ints,
    settings: Ints,
    gains: Floats,
    heap: Ints,
    packets: SmallInts,
    ports: Ints,
    queues: Ints,
    senders: Ints,
    rates: Floats,
    flows: Ints,
    sent: Ints,
    qp: int,
) -> int:
    """Make the next packet of a QP, and plan its next turn."""
    now = clock[NOW]
    flow = before = senders[qp, SEND_FLOW]
    psn = senders[qp, NEXT_PSN]
    again = settings[SELECTIVE] and senders[qp, RESEND_PSN] != NEVER
    if again:
        psn = senders[qp, RESEND_PSN]
        senders[qp, RESEND_PSN] = psn + 1
        flow = _flow_of(flows, senders[qp, ACKED_FLOW], psn)
    else:
        senders[qp, NEXT_PSN] = psn + 1
    size = settings[MTU]
    if psn == flows[flow, LAST_PSN]:
        size = (flows[flow, FLOW_SIZE] - 1) % settings[MTU] + 1
        if not again:
            senders[qp, SEND_FLOW] = flows[flow, FLOW_NEXT]
    size += settings[HEADER]
    if psn == senders[qp, UNACKED_PSN]:
        senders[qp, TIMEOUT_DUE] = now + senders[qp, PATIENCE]
        if not senders[qp, TIMEOUT_PENDING]:
            senders[qp, TIMEOUT_PENDING] = 1
            push(heap, clock, senders[qp, TIMEOUT_DUE], TIMEOUT, qp)
    packet: int = clock[FREE_PACKET]
    clock[FREE_PACKET] = packets[packet, NEXT]
    clock[PACKETS_IN_USE] += 1
    packets[packet, QP] = qp
    packets[packet, PSN] = psn
    packets[packet, SIZE] = size
    packets[packet, FLAGS] = _note_sent(settings, senders, flows, sent, qp, flow, psn, now)
    packets[packet, DESTINATION] = senders[qp, PEER]
    packets[packet, INGRESS] = senders[qp, NIC]
    packets[packet, LABEL] = senders[qp, ENTROPY]
    packets[packet, HOPS_LEFT] = settings[HOP_LIMIT]
    _count_sent(settings, gains, senders, rates, qp, size)
    senders[qp, PACE] = now + int(size * PS_PER_SECOND_BITS / rates[qp, RATE])
    if senders[qp, SEND_FLOW] != before and senders[qp, SEND_FLOW] != NONE:
        senders[qp, PACE] += settings[MESSAGE_OVERHEAD]
    held = senders[qp, SEND_FLOW] == NONE
    if settings[TRACKED]:
        held = _is_held(settings, senders, rates, sent, qp)
    if held:
        senders[qp, STATE] = IDLE
    elif senders[qp, PACE] <= _room_at(settings, ports, queues, senders, qp, size):
        _park(queues, senders, qp, senders[qp, NIC] * ROWS + senders[qp, PRIORITY])
    else:
        _schedule_turn(clock, heap, senders, qp)
    return packet


@_helper
def _adjust_window(
    settings: Ints, gains: Floats, senders: Ints, rates: Floats, qp: int, now: int, rtt: int, acked: int, marked: int
) -> None:
    """Widen or narrow a QP's window by what an acknowledgement tells of the path: its round trip, and a mark."""
    full = settings[MTU] + settings[HEADER]
    base = senders[qp, BASE_RTT]
    product = rates[qp, LINE] * base / PS_PER_SECOND_BITS
    target = gains[TARGET_DELAY] * base
    delay = max(0, rtt - base)
    mean = rates[qp, DELAY] + gains[DELAY_GAIN] * (delay - rates[qp, DELAY])
    rates[qp, DELAY] = mean
    window = max(rates[qp, WINDOW], full)
    if delay < target:
        if not marked:
            step = gains[WINDOW_STEP] + gains[WINDOW_FAST] * product * (1.0 - delay / target)
            window += step * (acked * full / window)
    elif mean > target and now >= senders[qp, CUT_ALLOWED]:
        window *= 1.0 - min(gains[WINDOW_MAX_CUT], gains[WINDOW_CUT_GAIN] * (mean - target) / mean)
        senders[qp, CUT_ALLOWED] = now + rtt
    rates[qp, WINDOW] = min(window, gains[WINDOW_LIMIT] * product)


@_helper
def _track(
    settings: Ints,
    gains: Floats,
    packets: SmallInts,
    senders: Ints,
    rates: Floats,
    sent: Ints,
    qp: int,
    now: int,
    packet: int,
) -> None:
    """Strike off what an acknowledgement tells to have come, before ``UNACKED_PSN`` moves."""
    place = sent.shape[1] - 1
    unacked = senders[qp, UNACKED_PSN]
    selected = packets[packet, SELECTED] + 0
    newest = senders[qp, NEWEST_ACKED]
    acked = 0
    rtt = NONE
    if unacked <= selected and selected < senders[qp, HIGHEST_PSN] and sent[qp, selected & place] != NONE:
        rtt = now - sent[qp, selected & place]
        newest = max(newest, sent[qp, selected & place])
        sent[qp, selected & place] = NONE
        senders[qp, SACKED] += 1
        acked = 1
    for psn in range(unacked, packets[packet, PSN]):
        at = sent[qp, psn & place]
        if at == NONE:
            senders[qp, SACKED] -= 1
        else:
            newest = max(newest, at)
            acked += 1
    senders[qp, NEWEST_ACKED] = newest
    if settings[WINDOWED] and rtt != NONE:
        _adjust_window(settings, gains, senders, rates, qp, now, rtt, acked, packets[packet, FLAGS] & MARKED)


@_helper
def _go_on(
    clock: Ints, settings: Ints, gains: Floats, heap: Ints, senders: Ints, rates: Floats, sent: Ints, qp: int
) -> None:
    """After an acknowledgement: look for loss, and let the QP send if it may."""
    first = senders[qp, UNACKED_PSN]
    if settings[OUT_OF_ORDER] and first < senders[qp, NEXT_PSN] and senders[qp, RESEND_PSN] == NEVER:
        at = sent[qp, first & (sent.shape[1] - 1)]
        if at != NONE and at < senders[qp, NEWEST_ACKED] - settings[REORDERING]:
            if clock[NOW] >= senders[qp, CUT_ALLOWED]:
                rates[qp, WINDOW] *= 1.0 - gains[WINDOW_MAX_CUT]
                senders[qp, CUT_ALLOWED] = clock[NOW] + senders[qp, BASE_RTT]
            _repair(clock, settings, heap, senders, qp)
    if senders[qp, STATE] == IDLE and not _is_held(settings, senders, rates, sent, qp):
        _wake(clock, heap, senders, qp)


@_inlined
def _receive_ack(
    clock: Ints,
    settings: Ints,
    gains: Floats,
    heap: Ints,
    packets: SmallInts,
    senders: Ints,
    rates: Floats,
    flows: Ints,
    sent: Ints,
    packet: int,
) -> None:
    """Take an ACK, NACK or CNP at the sender."""
    now = clock[NOW]
    qp = packets[packet, QP] + 0  # widens to int64, so that the helpers below are compiled for one type of index
    expected = packets[packet, PSN]
    flags = packets[packet, FLAGS]
    if settings[TRACKED]:
        _track(settings, gains, packets, senders, rates, sent, qp, now, packet)
    if expected > senders[qp, UNACKED_PSN]:
        senders[qp, UNACKED_PSN] = expected
        senders[qp, TIMEOUT_DUE] = now + senders[qp, PATIENCE]
        flow = senders[qp, ACKED_FLOW]
        while flow != NONE and flows[flow, LAST_PSN] < expected:
            flows[flow, COMPLETED] = now
            clock[ACTIVE_FLOWS] -= 1
            if senders[qp, LOOP_SIZE]:
                senders[qp, LOOP_LEFT] += 1
            flow = flows[flow, FLOW_NEXT]
        senders[qp, ACKED_FLOW] = flow
        if senders[qp, LOOP_SIZE]:
            plan_post(clock, heap, senders, qp)
        if expected > senders[qp, NEXT_PSN]:
            senders[qp, NEXT_PSN] = expected
            senders[qp, SEND_FLOW] = flow
    if flags & NACK and expected == senders[qp, UNACKED_PSN]:
        _go_back(clock, heap, senders, qp)
    if settings[TRACKED]:
        _go_on(clock, settings, gains, heap, senders, rates, sent, qp)
    if flags & CNP:
        _receive_cnp(settings, gains, senders, rates, qp, now)


# Receivers


@_helper
def _count_disorder(
    packets: SmallInts, nodes: Ints, receivers: Ints, flows: Ints, node: int, qp: int, packet: int
) -> None:
    """Count a packet that comes while an earlier one is missing, and one that a later sent packet has overtaken."""
    psn = packets[packet, PSN] + 0
    expected = receivers[qp, EXPECTED_PSN]
    if psn > expected:
        nodes[node, OUT_OF_SEQUENCE] += 1
    if expected <= psn and psn < receivers[qp, HIGHEST_SEEN] and not packets[packet, FLAGS] & RESENT:
        flows[_flow_of(flows, receivers[qp, RECEIVE_FLOW], psn), REORDERED] += 1
    receivers[qp, HIGHEST_SEEN] = max(receivers[qp, HIGHEST_SEEN], psn)


@_inlined
def _expect_next(receivers: Ints, flows: Ints, qp: int, expected: int, now: int) -> None:
    """All packets before ``expected`` have come: note the messages that are whole."""
    receivers[qp, EXPECTED_PSN] = expected
    flow = receivers[qp, RECEIVE_FLOW]
    while flow != NONE and flows[flow, LAST_PSN] < expected:
        flows[flow, RECEIVED] = now
        flow = flows[flow, FLOW_NEXT]
    receivers[qp, RECEIVE_FLOW] = flow


@_helper
def _keep(settings: Ints, receivers: Ints, flows: Ints, arrived: Bytes, qp: int, psn: int, now: int) -> int:
    """Keep a packet that may come out of order; return the one expected next."""
    expected: int = receivers[qp, EXPECTED_PSN]
    place = arrived.shape[1] - 1
    if expected <= psn and psn < expected + settings[WINDOW_PACKETS]:
        arrived[qp, psn & place] = 1
        if psn == expected:
            while arrived[qp, expected & place]:
                arrived[qp, expected & place] = 0
                expected += 1
            _expect_next(receivers, flows, qp, expected, now)
    return expected


@_inlined
def _receive_data(
    clock: Ints,
    settings: Ints,
    packets: SmallInts,
    nodes: Ints,
    senders: Ints,
    receivers: Ints,
    flows: Ints,
    arrived: Bytes,
    node: int,
    packet: int,
) -> bool:
    """Take a data packet at the receiver; return whether it was turned into an acknowledgement to send."""
    now = clock[NOW]
    qp = packets[packet, QP] + 0
    psn = packets[packet, PSN] + 0
    expected = receivers[qp, EXPECTED_PSN]
    selected = psn
    reply = ACK | (packets[packet, FLAGS] & MARKED)
    wanted = True
    if psn != expected or psn < receivers[qp, HIGHEST_SEEN]:
        _count_disorder(packets, nodes, receivers, flows, node, qp, packet)
    if settings[OUT_OF_ORDER]:
        expected = _keep(settings, receivers, flows, arrived, qp, psn, now)
    elif psn == expected:
        expected += 1
        receivers[qp, EXPECTED_PSN] = expected
        receivers[qp, NACK_ALLOWED] = 0
        flow = receivers[qp, RECEIVE_FLOW]
        if psn == flows[flow, LAST_PSN]:
            flows[flow, RECEIVED] = now
            receivers[qp, RECEIVE_FLOW] = flows[flow, FLOW_NEXT]
    else:
        selected = NONE
        if psn > expected:
            wanted = now >= receivers[qp, NACK_ALLOWED]
            if wanted:
                reply |= NACK
                receivers[qp, NACK_ALLOWED] = now + settings[NACK_GAP]
    if packets[packet, FLAGS] & MARKED and settings[DCQCN_ON] and now >= receivers[qp, CNP_ALLOWED]:
        receivers[qp, CNP_ALLOWED] = now + settings[CNP_GAP]
        nodes[node, CNPS_SENT] += 1
        reply |= CNP
        wanted = True
    if wanted:
        packets[packet, PSN] = expected
        if settings[TRACKED]:
            packets[packet, SELECTED] = selected
        packets[packet, SIZE] = settings[ACK_SIZE]
        packets[packet, FLAGS] = reply | settings[CONTROL_PRIORITY]
        packets[packet, DESTINATION] = senders[qp, SOURCE]
        packets[packet, LABEL] = senders[qp, ACK_ENTROPY]
        packets[packet, HOPS_LEFT] = settings[HOP_LIMIT]
    return wanted


# Time series and the loop


@_helper
def _sample(clock: Ints, ports: Ints, queues: Ints, nodes: Ints, series_queues: Ints, series: Ints, until: int) -> bool:
    """Write the samples due up to ``until``; return False where the series is full."""
    while clock[SAMPLE_AT] <= until:
        row = clock[SAMPLES]
        if row + len(series_queues) > len(series):
            return False
        for index in range(len(series_queues)):
            queue = series_queues[index]
            series[row, SERIES_TIME] = clock[SAMPLE_AT]
            series[row, SERIES_INDEX] = index
            series[row, SERIES_TX_PACKETS] = queues[queue, TX_PACKETS]
            series[row, SERIES_TX_BYTES] = queues[queue, TX_BYTES]
            series[row, SERIES_MARKED] = queues[queue, MARKED_PACKETS]
            dropped = 0
            for cause in range(CAUSES):
                dropped += queues[queue, DROPPED + cause]
            series[row, SERIES_DROPPED] = dropped
            series[row, SERIES_DEPTH] = queues[queue, DEPTH]
            series[row, SERIES_PEAK] = queues[queue, PEAK_DEPTH]
            series[row, SERIES_BUFFER] = nodes[ports[queue // ROWS, NODE], BUFFER_USED]
            at = clock[SAMPLE_AT]
            refresh = ports[queue // ROWS, REFRESH]
            xoff, held = queues[queue, XOFF_SINCE], queues[queue, HELD_SINCE]
            series[row, SERIES_PAUSE_TX] = queues[queue, PAUSE_TX] + ((at - xoff) // refresh if xoff != NONE else 0)
            series[row, SERIES_PAUSE_RX] = queues[queue, PAUSE_RX] + ((at - held) // refresh if held != NONE else 0)
            paused = at - held if held != NONE and queues[queue, OBEYS] else 0
            series[row, SERIES_PAUSED] = queues[queue, PAUSED_TIME] + paused
            row += 1
        clock[SAMPLES] = row
        clock[SAMPLE_AT] += clock[SAMPLE_EVERY]
    return True


@_entry
def advance(  # noqa: C901 - one loop, see its docstring
    until: int,
    clock: Ints,
    settings: Ints,
    gains: Floats,
    heap: Ints,
    packets: SmallInts,
    arrivals: Ints,
    ports: Ints,
    queues: Ints,
    nodes: Ints,
    senders: Ints,
    rates: Floats,
    receivers: Ints,
    flows: Ints,
    sets: SmallInts,
    destinations: SmallInts,
    next_hops: SmallInts,
    series_queues: Ints,
    series: Ints,
    flowlets: Ints,
    sent: Ints,
    arrived: Bytes,
) -> int:
    """Handle every event up to ``until`` [ps].

    If so told by the clock's ``UNTIL_IDLE``, return before, once all flows are complete and no packet is left.

    One loop, longer than a function should be: the state's arrays stay in registers across its branches.

    Returns:
        ``REACHED``; or ``NEEDS_PACKETS``, ``NEEDS_SERIES``, ``NEEDS_HEAP`` or ``NEEDS_FLOWS`` where that array is full:
        make it larger and call again.
    """
    # Once it is sure how wide the rows are, the compiler finds them without multiplying by their width.
    if ports.shape[1] != PORT_COLUMNS or queues.shape[1] != QUEUE_COLUMNS or nodes.shape[1] != NODE_COLUMNS:
        return MISFIT
    if packets.shape[1] != PACKET_COLUMNS or arrivals.shape[1] != PACKET_COLUMNS // 2 or heap.shape[1] != HEAP_COLUMNS:
        return MISFIT
    if senders.shape[1] != SENDER_COLUMNS or rates.shape[1] != RATE_COLUMNS or receivers.shape[1] != RECEIVER_COLUMNS:
        return MISFIT
    if flows.shape[1] != FLOW_COLUMNS or destinations.shape[1] != DESTINATION_COLUMNS:
        return MISFIT
    margin = settings[HEAP_MARGIN]
    first_host = settings[FIRST_HOST]
    while True:
        index = clock[ADMITTED_QP]
        if index != NONE:
            if clock[FREE_PACKET] == NONE:
                return NEEDS_PACKETS
            clock[ADMITTED_QP] = NONE
            kind = TURN
        else:
            _drop_root(heap, clock)
            if clock[UNTIL_IDLE] and clock[ACTIVE_FLOWS] == 0 and clock[PACKETS_IN_USE] == 0:
                return REACHED
            due = heap[0, TIME]
            if due > until or due == NEVER:
                if until == NEVER:
                    return REACHED  # nothing is left that could happen
                if not _sample(clock, ports, queues, nodes, series_queues, series, until):
                    return NEEDS_SERIES
                clock[NOW] = until
                return REACHED
            if clock[SAMPLE_AT] <= due and not _sample(clock, ports, queues, nodes, series_queues, series, due):
                return NEEDS_SERIES
            order = heap[0, ORDER]
            kind = (order >> INDEX_BITS) & ((1 << KIND_BITS) - 1)
            index = order & ((1 << INDEX_BITS) - 1)
            if kind == TURN and clock[FREE_PACKET] == NONE:
                return NEEDS_PACKETS
            if kind == POST and clock[FLOWS] == len(flows):
                return NEEDS_FLOWS
            if clock[HEAP_SIZE] + margin > len(heap):
                return NEEDS_HEAP
            clock[NOW] = due
            clock[EVENTS] += 1
            clock[ROOT_TAKEN] = 1
            if clock[HEAP_SIZE] > LOOK_AHEAD_FROM:
                _look_ahead(heap, packets, ports)

        port = NONE
        packet = NONE
        transmits = False
        if kind == ARRIVAL:
            packet = _arrive(clock, heap, packets, arrivals, ports, queues, index)
            if packet == NONE:
                continue
            node = ports[index, ENDS] >> PEER_NODE
            if node >= first_host:
                if packets[packet, FLAGS] & ACK:
                    _receive_ack(clock, settings, gains, heap, packets, senders, rates, flows, sent, packet)
                    answers = False
                else:
                    answers = _receive_data(
                        clock, settings, packets, nodes, senders, receivers, flows, arrived, node, packet
                    )
                if not answers:
                    _free(clock, packets, packet)
                    continue
            elif packets[packet, HOPS_LEFT] <= 1:
                _drop(clock, packets, queues, index ^ 1, HOPS_OVER, packet)
                continue
            packets[packet, INGRESS] = index ^ 1
            packets[packet, HOPS_LEFT] -= 1
            port = _next_hop(
                clock, packets, ports, queues, nodes, flowlets, sets, destinations, next_hops, node, packet
            )
            if port == NONE:
                _drop(clock, packets, queues, index ^ 1, NO_ROUTE, packet)
                continue
        elif kind == PORT_FREE:
            port = index
            ports[port, PORT_STATE] &= ~WAKING
            if not _ready(ports[port, PORT_STATE]):
                continue
            packet = _dequeue(clock, settings, heap, packets, ports, queues, nodes, senders, port)
            transmits = True
        elif kind == TURN:
            if not _may_send(clock, settings, gains, heap, queues, senders, rates, sent, index):
                continue
            packet = _send(clock, settings, gains, heap, packets, ports, queues, senders, rates, flows, sent, index)
            port = senders[index, NIC]
        elif kind in (START, POST):
            flow = index
            if kind == POST:
                flow = _post(clock, heap, senders, flows, index)
            qp = flows[flow, FLOW_QP]
            if senders[qp, NIC] == NONE:
                node = senders[qp, SOURCE] + settings[FIRST_HOST]
                row = sets[node, destinations[senders[qp, PEER], GROUP]]
                port = next_hops[row, 1 + _hash(nodes, node, senders[qp, ENTROPY], next_hops[row, 0])]
                senders[qp, NIC] = port
                rates[qp, LINE] = rates[qp, RATE] = rates[qp, TARGET] = ports[port, LINE_RATE]
                rates[qp, WINDOW] = gains[FIRST_WINDOW] * rates[qp, LINE] * senders[qp, BASE_RTT] / PS_PER_SECOND_BITS
            _start(clock, settings, heap, senders, receivers, flows, flow)
            continue
        elif kind == TIMEOUT:
            _time_out(clock, settings, heap, senders, rates, index)
            continue
        else:
            if kind == PAUSE:
                _pause(clock, settings, heap, ports, queues, index)
            elif kind == WATCHDOG:
                _look(clock, settings, heap, packets, ports, queues, nodes, index)
            else:
                _resume(clock, settings, heap, ports, queues, index, kind == EXPIRY)
            continue

        priority = packets[packet, FLAGS] & PRIORITY_MASK
        state = ports[port, PORT_STATE]
        busy = ports[port, BUSY_UNTIL] > clock[NOW] or state & WAKING or (state >> (BLOCKED + priority)) & 1
        if transmits or not busy:
            _transmit(clock, heap, packets, arrivals, ports, queues, port, packet)
        else:
            _enqueue(clock, settings, heap, packets, ports, queues, nodes, port, packet)
