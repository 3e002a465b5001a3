"""Compile the kernel before it is needed, and say so where that takes time."""

from collections.abc import Callable

import numba.core.event

from aibench_lib.model import Link, Port, Topology
from aibench_lib.simulator.parameters import Parameters
from aibench_lib.simulator.simulation import Simulation
from aibench_lib.units import GBPS


class _SayOnce(numba.core.event.Listener):
    """Calls ``say`` at the first compilation."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say: Callable[[str], None] | None = say

    def on_start(self, event: object) -> None:
        if self._say is not None:
            self._say("compiling the simulator (first run only)")
            self._say = None

    def on_end(self, event: object) -> None:
        pass


def warm_up(say: Callable[[str], None]) -> None:
    """Compile the kernel, or load it from the cache on disk.

    Args:
        say: Called with a line for the user, only if there is something to compile.
    """
    link = Link(Port("a", "eth0"), Port("b", "eth0"), GBPS)
    with numba.core.event.install_listener("numba:compile", _SayOnce(say)):
        simulation = Simulation(Topology(("a", "b"), (), (link,)), Parameters(), seed=1)
        simulation.start_flow("a", "b", 1, 0, qp=1)
        simulation.advance()
