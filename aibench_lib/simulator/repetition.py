"""Tell where a simulation repeats itself, and put it whole periods ahead: exactly, or not at all.

The kernel's next events depend on its state alone, and only on times counted from now and on packet numbers counted
from a queue pair's next one. If the state at two instants is the same in these terms, what happened between them
happens again and again, until something comes that is not part of it: a message starts or ends, a timer that was
already running fires, a fault. Up to there every time, packet number and counter grows by the same amount a period, so
the state some periods ahead is known without simulating them.

What is compared: every word of the kernel's state. A word must be unchanged, unless :data:`_TIMES`, :data:`_PSNS` or
:data:`_COUNTERS` names its column; a column that is forgotten here costs skips, not correctness. The state of a random
generator is such a word, so a fabric in which anything is drawn (WRED between its thresholds, spraying, a lossy link)
does not repeat and is simulated packet by packet. Nor does DCQCN repeat while its timers move a rate, nor a queue pair
that keeps a note of every packet it sent or got (selective repeat, delay-based control, a receiver out of order).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aibench_lib.simulator import kernel
from aibench_lib.simulator.layout import Ints
from aibench_lib.simulator.simulation import Simulation

_TIMES: Mapping[str, tuple[int, ...]] = {
    "_port_rows": (kernel.BUSY_UNTIL, kernel.RESTORED_AT),
    "_queue_rows": (kernel.XOFF_SINCE, kernel.HELD_SINCE, kernel.EXPIRES, kernel.WATCHED_SINCE),
    "_senders": (
        kernel.PACE,
        kernel.TIMEOUT_DUE,
        kernel.RATE_DUE,
        kernel.CUT_DUE,
        kernel.INCREASE_DUE,
        kernel.ALPHA_START,
    ),
    "_receivers": (kernel.CNP_ALLOWED, kernel.NACK_ALLOWED),
}
"""Columns that hold an instant: it moves on with the period, or stays what it is."""

_PSNS: Mapping[str, tuple[int, ...]] = {
    "_senders": (kernel.NEXT_PSN, kernel.UNACKED_PSN, kernel.HIGHEST_PSN),
    "_receivers": (kernel.EXPECTED_PSN,),
}
"""Columns that hold a packet's number: all of a queue pair move on by the same."""

_COUNTERS: Mapping[str, tuple[int, ...]] = {
    "_queue_rows": (
        kernel.TX_PACKETS,
        kernel.TX_BYTES,
        kernel.MARKED_PACKETS,
        *range(kernel.DROPPED, kernel.DROPPED + kernel.CAUSES),
        kernel.DROPPED_BYTES,
        kernel.LOST_BYTES,
        kernel.LOST_PACKETS,
        kernel.PAUSE_TX,
        kernel.PAUSE_RX,
        kernel.PAUSED_TIME,
        kernel.TRANSITIONS,
        kernel.TRIPS,
    ),
    "_flow_rows": (kernel.RETRANSMITTED, kernel.REORDERED),
    "_clock": (kernel.EVENTS, kernel.HOPS),
}
"""Columns that only count: nothing in the kernel depends on them."""

_PLACES: Mapping[str, tuple[int, ...]] = {
    "_queue_rows": (kernel.HEAD, kernel.TAIL),
    "_port_rows": (kernel.WIRE_HEAD, kernel.WIRE_TAIL),
    "_clock": (
        kernel.NOW,
        kernel.SEQUENCE,
        kernel.HEAP_SIZE,
        kernel.FREE_PACKET,
        kernel.SAMPLE_AT,
        kernel.SAMPLES,
        kernel.UNTIL_IDLE,
    ),
}
"""Columns that say where in memory something is, or are compared by other means."""

_ON_A_WIRE = (kernel.ARRIVES, kernel.NEXT_ARRIVES)
"""Instants in a packet, as columns of int64; they mean something while it is on a wire."""
_STATE = ("_clock", "_senders", "_rates", "_receivers", "_node_rows", "_flow_rows", "_port_rows", "_queue_rows")
"""Arrays that are compared word by word; packets, events and flowlets are compared by other means."""
_WHAT = (1 << kernel.INDEX_BITS + kernel.KIND_BITS) - 1


class State:
    """A copy of all that decides what a simulation does next."""

    def __init__(self, simulation: Simulation) -> None:
        self.arrays: dict[str, Ints] = {name: getattr(simulation, name).copy() for name in _STATE}
        self.flowlets: Ints = simulation._flowlets.copy()
        self.packets = simulation._packets.copy()
        self.now = simulation.now_ps
        self.events = pending(simulation)


def pending(simulation: Simulation) -> Ints:
    """Return the pending events, rows (time, kind and index), in the order in which they will happen.

    Retransmission timers are left out: they look up their time in the queue pair when they come.
    """
    events = simulation._heap[: simulation._clock[kernel.HEAP_SIZE]]
    events = events[np.lexsort((events[:, kernel.ORDER], events[:, kernel.TIME]))]
    what = events[:, kernel.ORDER] & _WHAT
    kept: Ints = np.column_stack((events[:, kernel.TIME], what))[what >> kernel.INDEX_BITS != kernel.TIMEOUT]
    return kept


@dataclass(frozen=True)
class Repetition:
    """What a period adds to a state."""

    period_ps: int
    growth: Mapping[str, Ints]
    """By array: what is added to every word."""
    flowlets: Ints
    psns: Ints
    """By queue pair: packets."""
    packets: Ints
    """Indices of the packets there are."""
    on_a_wire: Ints
    """Indices of those of them that are on a wire."""
    waiting: frozenset[tuple[int, int]]
    """Pending events that are no part of the repetition."""
    most: int
    """Periods for which it is known to go on."""


def same_but_later(before: State, after: State, horizon_ps: int) -> Repetition | None:
    """Return what a period adds if two states are the same but for time, packet numbers and counters; else None.

    Args:
        before: The earlier state.
        after: The later state.
        horizon_ps: The repetition ends there at the latest [ps].
    """
    period = after.now - before.now
    ends = [horizon_ps]
    growth: dict[str, Ints] = {}
    for name in _STATE:
        grown = _growth(name, before, after, period, ends)
        if grown is None:
            return None
        growth[name] = grown
    waiting = _other_events(before, after, period)
    flowlets = after.flowlets - before.flowlets
    if waiting is None or not _moved(before.flowlets, flowlets, before.now, period, ends):
        return None
    ends.extend(time for time, _ in waiting)
    psns = growth["_senders"][:, kernel.NEXT_PSN].copy()
    if any((growth[name][:, column] != psns).any() for name, columns in _PSNS.items() for column in columns):
        return None
    packets = _same_packets(before, after, period, psns)
    if packets is None:
        return None
    growth["_clock"][kernel.NOW] = period
    most = min((min(ends) - after.now - 1) // period, _periods_to_a_message_end(after, psns))
    return Repetition(period, growth, flowlets, psns, *packets, waiting, most)


def _growth(name: str, before: State, after: State, period: int, ends: list[int]) -> Ints | None:
    """Return what a period adds to an array, None if that cannot be repeated; note when a timer in it ends."""
    grown = after.arrays[name] - before.arrays[name]
    grown[..., _PLACES.get(name, ())] = 0
    strict = np.ones(grown.shape[-1], np.bool_)
    strict[[*_TIMES.get(name, ()), *_PSNS.get(name, ()), *_COUNTERS.get(name, ())]] = False
    if grown[..., strict].any():
        return None
    for column in _TIMES.get(name, ()):
        times = before.arrays[name][:, column]
        if name == "_senders" and column == kernel.TIMEOUT_DUE:  # it matters while something is not acknowledged
            rows = before.arrays[name]
            times = np.where(rows[:, kernel.UNACKED_PSN] == rows[:, kernel.HIGHEST_PSN], kernel.NONE, times)
        if not _moved(times, grown[:, column], before.now, period, ends):
            return None
    return grown


def _moved(times: Ints, grown: Ints, since: int, period: int, ends: list[int]) -> bool:
    """Return whether instants moved on by the period or stayed; note when the first comes of those that stayed."""
    stayed = times[grown == 0]
    ahead = stayed[stayed > since]
    if not ((grown == 0) | (grown == period)).all() or (ahead <= since + period).any():
        return False
    if len(ahead):
        ends.append(int(ahead.min()))
    return True


def _other_events(before: State, after: State, period: int) -> frozenset[tuple[int, int]] | None:
    """Return the pending events that stayed where they were if all others are the same but later; else None."""
    then, now = ([(time, what) for time, what in state.events.tolist()] for state in (before, after))
    waiting = frozenset(then) & frozenset(now)
    moved = [(time + period, what) for time, what in then if (time, what) not in waiting]
    return waiting if moved == [event for event in now if event not in waiting] else None


def _same_packets(before: State, after: State, period: int, psns: Ints) -> tuple[Ints, Ints] | None:
    """Return the packets there are, and those on a wire, if they are the same but later; else None."""
    places = (("_queue_rows", kernel.HEAD), ("_port_rows", kernel.WIRE_HEAD))
    then, now = ([_lists(state, *place) for place in places] for state in (before, after))
    if [[*map(len, lists.values())] for lists in then] != [[*map(len, lists.values())] for lists in now]:
        return None
    if [[*lists] for lists in then] != [[*lists] for lists in now]:
        return None
    (queued_then, wired_then), (queued, wired) = ([_joined(lists) for lists in found] for found in (then, now))
    packets, packets_then = np.concatenate((queued, wired)), np.concatenate((queued_then, wired_then))
    if len(packets) != after.arrays["_clock"][kernel.PACKETS_IN_USE]:
        return None
    grown = after.packets[packets].astype(np.int64) - before.packets[packets_then]
    grown[:, kernel.PSN] -= psns[after.packets[packets, kernel.QP]]
    grown[:, [kernel.NEXT, *(2 * time + half for time in _ON_A_WIRE for half in (0, 1))]] = 0
    arrives = after.packets.view(np.int64)[wired, kernel.ARRIVES]
    arrived = before.packets.view(np.int64)[wired_then, kernel.ARRIVES]
    if grown.any() or (arrives - arrived != period).any():
        return None
    return packets, wired


def _lists(state: State, array: str, head: int) -> dict[int, list[int]]:
    """Return the packets of an array's lists, by row, in their order."""
    following = state.packets[:, kernel.NEXT]
    heads = state.arrays[array][:, head]
    found: dict[int, list[int]] = {}
    for row in np.flatnonzero(heads != kernel.NONE).tolist():
        packets = found[row] = []
        packet = int(heads[row])
        while packet != kernel.NONE:
            packets.append(packet)
            packet = int(following[packet])
    return found


def _joined(lists: Mapping[int, list[int]]) -> Ints:
    return np.array([packet for packets in lists.values() for packet in packets], np.int64)


def _periods_to_a_message_end(state: State, psns: Ints) -> int:
    """Return for how many periods no queue pair comes to the last packet of a message."""
    most = kernel.NEVER
    last = state.arrays["_flow_rows"][:, kernel.LAST_PSN]
    senders, receivers = state.arrays["_senders"], state.arrays["_receivers"]
    places = (
        (senders, kernel.SEND_FLOW, kernel.NEXT_PSN),
        (senders, kernel.ACKED_FLOW, kernel.UNACKED_PSN),
        (receivers, kernel.RECEIVE_FLOW, kernel.EXPECTED_PSN),
    )
    for rows, flow, psn in places:
        moving = (psns > 0) & (rows[:, flow] != kernel.NONE)
        if moving.any():
            left = last[rows[moving, flow]] - rows[moving, psn]
            most = min(most, int((left // psns[moving]).min()))
    return most


def jump(simulation: Simulation, repetition: Repetition, periods: int) -> None:
    """Put a simulation so many periods ahead; it must be in the state the repetition was found in."""
    ahead = periods * repetition.period_ps
    then = simulation.now_ps
    for name, grown in repetition.growth.items():
        rows = getattr(simulation, name)
        rows += periods * grown
    simulation._flowlets += periods * repetition.flowlets
    packets = simulation._packets
    packets[repetition.packets, kernel.PSN] += periods * repetition.psns[packets[repetition.packets, kernel.QP]]
    packets.view(np.int64)[repetition.on_a_wire[:, None], _ON_A_WIRE] += ahead
    events = simulation._heap[: simulation._clock[kernel.HEAP_SIZE]]
    for event in events:
        what = int(event[kernel.ORDER]) & _WHAT
        if what >> kernel.INDEX_BITS == kernel.TIMEOUT:
            if event[kernel.TIME] <= then + ahead:
                due = simulation._senders[what & ((1 << kernel.INDEX_BITS) - 1), kernel.TIMEOUT_DUE]
                event[kernel.TIME] = max(due, then + ahead)
        elif (int(event[kernel.TIME]), what) not in repetition.waiting:
            event[kernel.TIME] += ahead
    events[:] = events[np.lexsort((events[:, kernel.ORDER], events[:, kernel.TIME]))]  # what is in order is a heap
