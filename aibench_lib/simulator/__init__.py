"""A packet-level simulator of the fabric: queues, ECN, DCQCN and go-back-N, in integer picoseconds.

What is compiled is imported at first use, so that reading :class:`Parameters` does not wait for Numba.
"""

from typing import TYPE_CHECKING

from aibench_lib.simulator.faults import Detour, Fault, LinkDown, LossyLink, PauseStorm, SwitchReload
from aibench_lib.simulator.load_balancing import LoadBalancing
from aibench_lib.simulator.nic import Nic
from aibench_lib.simulator.parameters import PRESETS, PRIORITIES, Dcqcn, Ecn, Parameters, Pfc, PfcWatchdog
from aibench_lib.simulator.window_control import UetNsccLike

if TYPE_CHECKING:
    from aibench_lib.simulator.compilation import warm_up
    from aibench_lib.simulator.simulation import SeriesPort, Simulation

__all__ = [
    "PRESETS",
    "PRIORITIES",
    "Dcqcn",
    "Detour",
    "Ecn",
    "Fault",
    "LinkDown",
    "LoadBalancing",
    "LossyLink",
    "Nic",
    "Parameters",
    "PauseStorm",
    "Pfc",
    "PfcWatchdog",
    "SeriesPort",
    "Simulation",
    "SwitchReload",
    "UetNsccLike",
    "warm_up",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        from aibench_lib.simulator import compilation, simulation

        return getattr(compilation if name == "warm_up" else simulation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
