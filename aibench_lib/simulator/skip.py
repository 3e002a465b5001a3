"""Skip ahead in a simulation that repeats itself; see :mod:`aibench_lib.simulator.repetition` for what that means."""

import numpy as np
import numpy.typing as npt

from aibench_lib.simulator import kernel
from aibench_lib.simulator.repetition import Repetition, State, jump, pending, same_but_later
from aibench_lib.simulator.simulation import Simulation
from aibench_lib.units import BITS_PER_BYTE, PS_PER_SECOND, PS_PER_US

FIRST_STEPS = 64
"""Packet times of the first search."""
MOST_STEPS = 4096
"""Packet times of the longest search; each is twice as long as the last, until one finds a repetition."""
SHARE = 8
"""After a search without a find, time passes for so many times what was searched, so that searching stays cheap."""


def advance(simulation: Simulation, until_ps: int | None = None) -> int:
    """Let time pass as :meth:`Simulation.advance` does, and skip what only repeats; return the time skipped [ps].

    Every result is the one that simulating all packets gives, but for the number of events.

    Args:
        simulation: The simulation.
        until_ps: Where to stop [ps]; None stops once it is idle, a little later.
    """
    limit = kernel.NEVER if until_ps is None else until_ps
    steps, skipped = FIRST_STEPS, 0
    while simulation.now_ps < limit and not simulation.idle:
        start = simulation.now_ps
        found = _search(simulation, limit, steps)
        if found is not None and found.most > 0:
            jump(simulation, found, found.most)
            skipped += found.most * found.period_ps
            steps = FIRST_STEPS
            simulation.advance(min(limit, simulation.now_ps + found.period_ps))
        elif not simulation.idle:
            steps = min(MOST_STEPS, 2 * steps)
            pause = SHARE * max(simulation.now_ps - start, _packet_time(simulation))
            simulation.advance(min(limit, simulation.now_ps + pause))
    if until_ps is not None:
        simulation.advance(until_ps)
    return skipped


def _search(simulation: Simulation, limit: int, steps: int) -> Repetition | None:
    """Let up to ``steps`` packet times pass; stop where the state is one that was there before.

    It is compared to the state of the last step whose number is a power of two, so that a period is found whatever it
    is and whenever it begins, if twice both fit into the search.
    """
    step_ps = _packet_time(simulation)
    horizon = min(limit, int(simulation._clock[kernel.SAMPLE_AT]))
    before = State(simulation)
    for step in range(1, steps + 1):
        if step & (step - 1) == 0:
            before = State(simulation)
        if simulation.now_ps + step_ps >= horizon or simulation.idle:
            return None
        simulation.advance(simulation.now_ps + step_ps)
        if np.array_equal(_soon(pending(simulation), simulation.now_ps), _soon(before.events, before.now)):
            found = same_but_later(before, State(simulation), horizon)
            if found is not None:
                return found
    return None


def _soon(events: npt.NDArray[np.int64], now: int) -> npt.NDArray[np.int64]:
    """Return the events of the next 10 us, their times counted from now: they tell most states apart."""
    return events[events[:, 0] <= now + 10 * PS_PER_US] - np.array((now, 0))


def _packet_time(simulation: Simulation) -> int:
    """Return the least time between two full packets of a queue pair that sends [ps]; 1 us where none does."""
    sending = (simulation._senders[:, kernel.SEND_FLOW] != kernel.NONE) & (simulation._rates[:, kernel.RATE] > 0)
    if not sending.any():
        return PS_PER_US
    size = int(simulation._settings[kernel.MTU] + simulation._settings[kernel.HEADER])
    return int(size * BITS_PER_BYTE * PS_PER_SECOND / simulation._rates[sending, kernel.RATE].max())
