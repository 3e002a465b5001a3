"""How each test of Sections 5 to 13 offers its load and turns what was observed into values.

One module a test; ``PROCEDURES`` says which tests this version runs.
"""

from collections.abc import Mapping

from aibench_lib.procedures import bursts, congestion, convergence, load_balancing, storm
from aibench_lib.procedures.procedure import Procedure

PROCEDURES: Mapping[str, Procedure] = {
    "8.1": congestion.INCAST,
    "8.2": bursts.BURSTS,
    "8.3": convergence.CONVERGENCE,
    "8.4": storm.STORM,
    "9.3": load_balancing.LOAD_BALANCING,
}
"""Test id -> its procedure."""

__all__ = ["PROCEDURES", "Procedure"]
