"""Skip ahead in a simulation that repeats itself; see :mod:`aibench_lib.simulator.repetition` for what that means."""

import numpy as np

from aibench_lib.simulator import kernel
from aibench_lib.simulator.layout import Ints, with_room
from aibench_lib.simulator.repetition import Repetition, State, jump, pending, same_but_later
from aibench_lib.simulator.simulation import Simulation
from aibench_lib.units import BITS_PER_BYTE, PS_PER_SECOND, PS_PER_US

FIRST_STEPS = 256
"""Packet times of the first search."""
MOST_STEPS = 4096
"""Packet times of the longest search; each is twice as long as the last, until one finds a repetition."""
SHARE = 2
"""After a search without a find, so many times its cost is simulated, so that searching stays cheap."""
STEP_EVENTS = 500
"""What a step of a search costs: the kernel handles so many events in that time."""
COMPARE_EVENTS = 20_000
"""What comparing two states of a small fabric costs, likewise."""
MOST_COMPARED = 16
"""States of a search that are compared in full; more is a sign of something that grows."""
MOST_SAMPLES = 50_000
"""Sampling instants in one jump."""
LEAST_PERIODS = 4
"""A shorter jump is not worth it. Nor is one over time in which no packet moves: it costs the kernel nothing."""


def advance(simulation: Simulation, until_ps: int | None = None) -> None:
    """Let time pass as :meth:`Simulation.advance` does, and skip what only repeats.

    Every result is the one that simulating all packets gives, but for the number of events.

    Args:
        simulation: The simulation; its ``skipped_ps`` grows.
        until_ps: Where to stop [ps]; None stops once it is idle, a little later.
    """
    if simulation._sent.size or simulation._arrived.size:  # notes of every packet: nothing would repeat
        simulation.advance(until_ps)
        return
    limit = kernel.NEVER if until_ps is None else until_ps
    steps = FIRST_STEPS
    while simulation.now_ps < limit and not simulation.idle:
        start, events = simulation.now_ps, simulation.events
        found, cost = _search(simulation, limit, steps)
        if found is not None:
            simulation.skipped_ps += _skip(simulation, found)
            steps = FIRST_STEPS
            simulation.advance(min(limit, simulation.now_ps + found.period_ps))
        elif not simulation.idle:
            steps = min(MOST_STEPS, 2 * steps)
            searched = max(simulation.now_ps - start, _packet_time(simulation))
            pause = SHARE * searched * max(1, cost // max(1, simulation.events - events))
            simulation.advance(min(limit, max(simulation.now_ps + pause, _next_event(simulation))))
    if until_ps is not None:
        simulation.advance(until_ps)


def _skip(simulation: Simulation, found: Repetition) -> int:
    """Jump as far as a repetition goes; return the time that was not simulated [ps]."""
    start, period = simulation.now_ps, found.period_ps
    clock = simulation._clock
    first, every = int(clock[kernel.SAMPLE_AT]), int(clock[kernel.SAMPLE_EVERY])
    if first > start + found.most * period:
        jump(simulation, found, found.most)
        return found.most * period
    periods = min(found.most, (first - start + MOST_SAMPLES * every) // period)
    ahead = max(0, periods - 2)
    jump(simulation, found, ahead)
    _take_samples(simulation, np.arange(first, start + periods * period + 1, every), every, start, ahead, period)
    return ahead * period


def _take_samples(simulation: Simulation, times: Ints, every: int, start: int, ahead: int, period: int) -> None:
    """Simulate two periods after a jump, and take from them the samples of all that was jumped over.

    A sample some periods back is the one at the same instant of these periods, less what so many periods add to it;
    that is the difference of two samples a period apart.
    """
    clock, queues = simulation._clock, len(simulation._series_queues)
    here, taken = simulation.now_ps, int(clock[kernel.SAMPLES])
    back = (times - start - 1) // period  # a sample shows the state before the events of its instant
    phases, which = np.unique(times - start - back * period, return_inverse=True)
    clock[kernel.SAMPLE_EVERY] = kernel.NEVER
    for instant in (*(here + phases), here + phases[0] + period):
        clock[kernel.SAMPLE_AT] = instant
        simulation.advance(int(instant))
    simulation.advance(here + 2 * period)
    rows = simulation._series_rows[taken : int(clock[kernel.SAMPLES])].reshape(-1, queues, kernel.SERIES_COLUMNS)
    growth = rows[-1] - rows[0]
    samples = rows[which] + (back - ahead)[:, None, None] * growth
    simulation._series_rows = with_room(simulation._series_rows, taken + len(times) * queues)
    simulation._series_rows[taken : taken + len(times) * queues] = samples.reshape(-1, kernel.SERIES_COLUMNS)
    clock[kernel.SAMPLES] = taken + len(times) * queues
    clock[kernel.SAMPLE_EVERY] = every
    clock[kernel.SAMPLE_AT] = times[-1] + every


def _search(simulation: Simulation, limit: int, steps: int) -> tuple[Repetition | None, int]:
    """Let up to ``steps`` packet times pass; stop where the state is one that was there before.

    The state is compared to that of the last step whose number is a power of two, so that a period is found whatever it
    is and whenever it begins, if twice both fit into the search.

    Returns:
        The repetition, None if none was found, and the cost of the search in events of the kernel.
    """
    step_ps = _packet_time(simulation)
    horizon = min(limit, simulation._next_action_ps())
    before = State(simulation)
    cost = compared = 0
    compare_cost = COMPARE_EVENTS + sum(map(np.size, before.arrays.values())) // 4
    for step in range(1, steps + 1):
        if step & (step - 1) == 0:
            before = State(simulation)
            cost += compare_cost // 4
        if simulation.now_ps + step_ps >= horizon or simulation.idle or compared == MOST_COMPARED:
            break
        cost += STEP_EVENTS
        simulation.advance(simulation.now_ps + step_ps)
        if _may_repeat(simulation, before):
            found = same_but_later(before, State(simulation), horizon)
            if found is not None:
                worth_it = found.most >= LEAST_PERIODS and found.growth["_clock"][kernel.HOPS] > 0
                return (found if worth_it else None), cost
            compared += 1
            cost += compare_cost
    return None, cost


def _may_repeat(simulation: Simulation, before: State) -> bool:
    """Return whether a glance finds no difference: packets, queues, and the events of the next 10 us."""
    clock, queues = before.arrays["_clock"], before.arrays["_queue_rows"]
    return (
        bool(simulation._clock[kernel.PACKETS_IN_USE] == clock[kernel.PACKETS_IN_USE])
        and np.array_equal(simulation._queue_rows[:, kernel.DEPTH], queues[:, kernel.DEPTH])
        and np.array_equal(_soon(pending(simulation), simulation.now_ps), _soon(before.events, before.now))
    )


def _soon(events: Ints, now: int) -> Ints:
    """Return the events of the next 10 us, their times counted from now."""
    soon: Ints = events[events[:, 0] <= now + 10 * PS_PER_US] - np.array((now, 0))
    return soon


def _next_event(simulation: Simulation) -> int:
    """Return when something happens next [ps]; 0 if nothing ever does."""
    return int(simulation._heap[0, kernel.TIME]) if simulation._clock[kernel.HEAP_SIZE] else 0


def _packet_time(simulation: Simulation) -> int:
    """Return the time of a full packet [ps] at the rate of the fastest queue pair that sends, or else link."""
    sending = simulation._senders[:, kernel.SEND_FLOW] != kernel.NONE
    rate = simulation._rates[sending, kernel.RATE].max(initial=0) or simulation._port_rows[:, kernel.LINE_RATE].max()
    size = int(simulation._settings[kernel.MTU] + simulation._settings[kernel.HEADER])
    return int(size * BITS_PER_BYTE * PS_PER_SECOND / rate)
