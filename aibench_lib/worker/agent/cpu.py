"""How busy the host's processors are, as its kernel counts their time."""

import os

from aibench_lib.units import NS_PER_SECOND
from aibench_lib.worker.agent.sources import Sources

_COUNTED = 8
"""user, nice, system, idle, iowait, irq, softirq and steal; the two after them are in the first two already."""
_IDLE = (3, 4)


def times(sources: Sources | None = None) -> dict[str, int]:
    """Return the processors' time so far, over all of them [ns]: ``cpu_ns`` and, of it, ``cpu_busy_ns``.

    Empty where the kernel does not say it.  In a namespace it is the time of the whole machine.
    """
    fields = (sources or Sources()).text("proc/stat").split("\n", 1)[0].split()
    if len(fields) < 1 + _COUNTED or fields[0] != "cpu":
        return {}
    tick_ns = NS_PER_SECOND // os.sysconf("SC_CLK_TCK")
    ticks = [int(field) for field in fields[1 : 1 + _COUNTED]]
    every = sum(ticks)
    return {"cpu_ns": every * tick_ns, "cpu_busy_ns": (every - sum(ticks[place] for place in _IDLE)) * tick_ns}
