"""Table 3: the two planes of Goodput, which are never mixed, and BusBW of the companion terminology."""

from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import ArrayLike

from aibench_lib.errors import SpecError, UndefinedKpi
from aibench_lib.units import BITS_PER_BYTE, GBPS

TERMINOLOGY = "draft-calabria-bmwg-ai-fabric-terminology-01"
"""The revision whose definitions of Goodput and BusBW are used; later ones define BusBW differently."""


def fabric_goodput(payload_bytes: int, duration_ns: int) -> float:
    """Return payload delivered over time [GB/s], without headers, padding and what was sent again.

    Draft: Section 4.2, Table 3 (Goodput, byte rate), after the companion terminology.

    Args:
        payload_bytes: Sum of the sizes of the messages that arrived whole, each counted once.
        duration_ns: From the first posting to the last of their completions.

    Raises:
        UndefinedKpi: No time passed.
    """
    if duration_ns <= 0:
        raise UndefinedKpi("Fabric_Goodput: no time passed between the first posting and the last completion")
    # Bytes per nanosecond are decimal gigabytes per second.
    return payload_bytes / duration_ns


def inference_goodput(output_tokens: ArrayLike, undisturbed: ArrayLike, seconds: float) -> float:
    """Return output tokens over time of the requests that completed undisturbed [tokens/s].

    Draft: Section 4.2, Table 3 (Goodput, token rate), after the companion terminology.  No SLO is part of it.

    Args:
        output_tokens: Tokens each request delivered, shape ``(n_requests,)``.
        undisturbed: Whether it completed without preemption, eviction and error, same shape.
        seconds: Length of the measurement.

    Raises:
        UndefinedKpi: No time passed.
    """
    if seconds <= 0:
        raise UndefinedKpi("Inference_Goodput: no time passed")
    tokens = np.asarray(output_tokens, dtype=np.int64)
    return float(tokens[np.asarray(undisturbed, dtype=np.bool_)].sum()) / seconds


@dataclass(frozen=True, kw_only=True)
class BusBandwidth:
    """BusBW with all that must be reported beside it, except the collective library's name and version."""

    gbps_per_accelerator: float
    """BusBW [Gbit/s per accelerator]."""
    collective: str
    algorithm: str
    algo_factor: float
    ranks: int
    terminology: str


def bus_bandwidth(size_bytes: int, seconds: float, *, collective: str, algorithm: str, ranks: int) -> BusBandwidth:
    """Return BusBW: data size times the algorithm's factor, over time.

    Draft: Section 7.1 (note), after the companion terminology.

    Args:
        size_bytes: Data of the collective at one rank.
        seconds: How long the collective took.
        collective: AllReduce, AllGather, ReduceScatter or AllToAll.
        algorithm: As listed in :func:`algo_factor`.
        ranks: Number of ranks, at least 2.

    Raises:
        SpecError: The terminology gives no factor for this collective and algorithm.
        UndefinedKpi: No time passed.
    """
    if seconds <= 0:
        raise UndefinedKpi("BusBW: no time passed")
    factor = algo_factor(collective, algorithm, ranks)
    return BusBandwidth(
        gbps_per_accelerator=size_bytes * BITS_PER_BYTE * factor / seconds / GBPS,
        collective=collective,
        algorithm=algorithm,
        algo_factor=factor,
        ranks=ranks,
        terminology=TERMINOLOGY,
    )


def algo_factor(collective: str, algorithm: str, ranks: int) -> float:
    """Return the factor that makes collectives comparable: the share of the data each rank's link carries.

    Draft: Section 7.1 gives (n - 1) / n for AllToAll; the others are the companion terminology's.

    Raises:
        SpecError: The terminology gives no factor for this collective and algorithm, or there are not 2 ranks.
    """
    if ranks < 2:
        raise SpecError(f"BusBW needs at least 2 ranks, there are {ranks}")
    once = (ranks - 1) / ranks
    tree = 2 * log2(ranks) / ranks
    factors = {
        ("AllReduce", "ring"): 2 * once,
        ("AllReduce", "recursive doubling"): 2 * once,
        ("AllReduce", "binary tree"): tree,
        ("AllReduce", "double binary tree"): tree,
        ("AllGather", "ring"): once,
        ("ReduceScatter", "ring"): once,
        ("AllToAll", "direct"): once,
    }
    if (collective, algorithm) not in factors:
        known = ", ".join(f"{name} {how}" for name, how in factors)
        raise SpecError(f"BusBW: no factor for {collective} {algorithm}; known: {known}")
    return factors[collective, algorithm]
