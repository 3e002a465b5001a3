"""How each test of Sections 5 to 13 offers its load and turns what was observed into values.

One module a test; ``PROCEDURES`` says which tests this version runs.
"""

from collections.abc import Mapping

from aibench_lib.procedures import (
    bursts,
    concurrent_pairs,
    congestion,
    convergence,
    link_failure,
    load_balancing,
    point_to_point,
    storm,
    transfer_latency,
)
from aibench_lib.procedures.procedure import Procedure

PROCEDURES: Mapping[str, Procedure] = {
    "5.1": point_to_point.POINT_TO_POINT,
    "5.2": transfer_latency.TRANSFER_LATENCY,
    "5.3": concurrent_pairs.CONCURRENT_PAIRS,
    "8.1": congestion.INCAST,
    "8.2": bursts.BURSTS,
    "8.3": convergence.CONVERGENCE,
    "8.4": storm.STORM,
    "9.3": load_balancing.LOAD_BALANCING,
    "12.3": link_failure.LINK_FAILURE,
}
"""Test id -> its procedure."""

__all__ = ["PROCEDURES", "Procedure"]
