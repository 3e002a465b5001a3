"""Start, hold, look at and stop the kernel lab's process; see :mod:`aibench_lib.lab_process.daemon`."""

from functools import partial

from aibench_lib.lab_process import daemon
from aibench_lib.lab_process.daemon import State, hold, status

__all__ = ["State", "down", "hold", "status", "up"]

_PROGRAM = daemon.Program(title="kernel lab", module="aibench_lib.kernel_lab")

up = partial(daemon.up, _PROGRAM)
down = partial(daemon.down, _PROGRAM)
