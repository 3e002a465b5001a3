"""Many independent simulations from one file, on all cores or a cluster, to one table."""

from aibench_lib.sweep.table import run_sweep

__all__ = ["run_sweep"]
