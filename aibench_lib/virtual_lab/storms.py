"""NICs that send PAUSE without end: which of them do, until when, and what a trial makes of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from aibench_lib.simulator import PauseStorm, Simulation
from aibench_lib.units import PS_PER_NS


@dataclass(frozen=True, order=True)
class Storm:
    """One NIC's storm; it is over when its time is, whatever happens."""

    host: str
    priority: int
    until_ns: int
    """Lab time [ns since the epoch]."""


class Storms:
    """All storms of the lab; agents and the trial that is under way ask from different threads.

    Lab time stands still between trials, and so does what is left of a storm's time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._storms: dict[tuple[str, int], Storm] = {}

    def start(self, storm: Storm) -> None:
        """Let a NIC begin, in place of what it has sent in this priority."""
        with self._lock:
            self._storms[storm.host, storm.priority] = storm

    def stop(self, host: str, priority: int) -> None:
        """Let a NIC fall silent, whether or not there is anything to stop."""
        with self._lock:
            self._storms.pop((host, priority), None)

    def find(self, host: str, priority: int, now_ns: int) -> Storm | None:
        """Return the storm of a NIC that stands at a time."""
        with self._lock:
            storm = self._storms.get((host, priority))
        return storm if storm is not None and storm.until_ns > now_ns else None

    def standing(self, now_ns: int) -> frozenset[Storm]:
        """Return the storms that stand at a time."""
        with self._lock:
            return frozenset(storm for storm in self._storms.values() if storm.until_ns > now_ns)


class Weather:
    """The storms in one trial's simulation, which come and go with those of the lab.

    Args:
        storms: Those of the lab.
        simulation: The trial's, at its beginning.
        origin_ns: Lab time at the simulation's time 0 [ns since the epoch].
    """

    def __init__(self, storms: Storms, simulation: Simulation, origin_ns: int) -> None:
        self._storms = storms
        self._simulation = simulation
        self._origin_ns = origin_ns
        self._ends: dict[Storm, Callable[[], None]] = {}

    def follow(self, now_ns: int) -> None:
        """Let what has come or gone since the last time come or go; the simulation has reached this time."""
        standing = self._storms.standing(now_ns)
        for storm in sorted(self._ends.keys() - standing):
            self._ends.pop(storm)()
        for storm in sorted(standing - self._ends.keys()):
            over_ps = (storm.until_ns - self._origin_ns) * PS_PER_NS
            self._ends[storm] = self._simulation.inject(
                PauseStorm(storm.host, storm.priority), self._simulation.now_ps, over_ps
            )
