"""How each test of Sections 5 to 13 offers its load and turns what was observed into values.

One module a section, one function a test; ``PROCEDURES`` says which tests this version runs.
"""

from collections.abc import Mapping

from aibench_lib.procedures import congestion
from aibench_lib.procedures.procedure import Procedure

PROCEDURES: Mapping[str, Procedure] = {
    "8.1": congestion.INCAST,
}
"""Test id -> its procedure."""

__all__ = ["PROCEDURES", "Procedure"]
