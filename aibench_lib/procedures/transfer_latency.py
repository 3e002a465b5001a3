"""Section 5.2: how long one KV cache block takes, alone and beside background traffic on its path."""

import math
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from aibench_lib import kpi
from aibench_lib.catalogue import benchmark
from aibench_lib.errors import NotAttainable, UndefinedKpi
from aibench_lib.model import ObservationPoint, Stream, TrialLoad
from aibench_lib.procedures.fabric_paths import hosts_of
from aibench_lib.procedures.kv_pairs import Pair, bottleneck_bps, first_pair, nic_bps, used_ports
from aibench_lib.procedures.point_to_point import usual_changes
from aibench_lib.procedures.procedure import (
    LOSSLESS_PRIORITY,
    Distribution,
    Fabric,
    Observation,
    Point,
    Procedure,
    Quantity,
    Site,
    Terms,
    defined,
)
from aibench_lib.procedures.signal_stamps import KEY, choose_stamp, finished, latency_us, stamp_of
from aibench_lib.units import BITS_PER_BYTE, NS_PER_SECOND

_MEASURED_QP = 1
_BACKGROUND_QP = 1001
"""The first; no background queue pair has the number of the measured one."""
_LONGEST_WARM_UP_NS = 10 * NS_PER_SECOND
_WARM_UP_SHARE = 10
"""The background runs for one part in so many of the trial, 10 s at most, before the first block is posted."""
_NIC_SHARE = 0.75
"""Background is spread over so many workers that their NICs are not fuller than this, if there are so many."""


def latency_site(point: Point, fabric: Fabric) -> Site:
    """Take the pair of Test 5.1, and for the background other workers of the same two leaves, pair by pair.

    ``senders`` and ``receivers`` begin with the measured ones.

    Draft: Section 5.2, "using the same endpoint configuration as Test 5.1".

    Raises:
        SpecError: The lab has no such pair.
        NotAttainable: It has too few other workers for the background.
    """
    pair = first_pair(fabric, "5.2")
    background = background_pairs(float(point["background_load"]), pair, fabric)
    return Site(
        senders=(pair[0], *(sender for sender, _ in background)),
        receivers=(pair[1], *(receiver for _, receiver in background)),
        watched=used_ports(fabric, [pair]),
    )


def background_pairs(load: float, pair: Pair, fabric: Fabric) -> list[Pair]:
    """Return who sends the background to whom.

    Raises:
        NotAttainable: The NICs of all others cannot send so much.
    """
    if not load:
        return []
    known = {host for pool in fabric.pools.values() for host in pool} - {*pair}
    there, here = (
        [host for host in hosts_of(fabric.topology, fabric.topology.attachment(end).node) if host in known]
        for end in pair
    )
    possible = list(zip(there, here, strict=False))
    wanted_bps = load * bottleneck_bps(fabric, pair)
    if not wanted_bps:
        raise NotAttainable("a fabric of one switch has no links between switches that a background could load")
    each_bps = min((nic_bps(fabric, host) for both in possible for host in both), default=0)
    if len(possible) * each_bps < wanted_bps:
        leaves = [fabric.topology.attachment(end).node for end in pair]
        raise NotAttainable(
            f"{wanted_bps / 1e9:g} Gb/s of background are needed from {leaves[0]} to {leaves[1]}; beside the measured "
            f"ones there are {len(possible)} pairs of workers on them, with NICs of {each_bps / 1e9:g} Gb/s"
        )
    return possible[: math.ceil(wanted_bps / (_NIC_SHARE * each_bps))]


def warm_up_ns(terms: Terms) -> int:
    """Return how long the background runs before the first block is posted [ns]."""
    return min(_LONGEST_WARM_UP_NS, terms.duration_ns // _WARM_UP_SHARE)


def latency_load(point: Point, site: Site, terms: Terms, seed: int) -> TrialLoad:
    """Send block after block, one outstanding, beside streams that together have the point's share of the fabric.

    The background's queue pairs begin at random within the time between two of their messages.

    Draft: Section 5.2.
    """
    warm_up = warm_up_ns(terms)
    block = Stream(
        peer=site.receivers[0],
        qp=_MEASURED_QP,
        size_bytes=int(point["message_bytes"]),
        offset_ns=warm_up,
        duration_ns=terms.duration_ns,
        depth=int(benchmark("5.2").constants["outstanding_operations"]),
        priority=LOSSLESS_PRIORITY,
        echo=True,
    )
    streams: dict[str, tuple[Stream, ...]] = {site.senders[0]: (block,)}
    rng = np.random.default_rng(seed)
    pair = (site.senders[0], site.receivers[0])
    background = list(zip(site.senders[1:], site.receivers[1:], strict=True))
    total_bps = float(point["background_load"]) * bottleneck_bps(terms.fabric, pair)
    for sender, receiver in background:
        streams[sender] = _background(receiver, total_bps / len(background), warm_up + terms.duration_ns, rng)
    return TrialLoad(transfers=dict.fromkeys((*site.senders, *site.receivers), ()), streams=streams, seed=seed)


def _background(receiver: str, bps: float, duration_ns: int, rng: np.random.Generator) -> tuple[Stream, ...]:
    facts = benchmark("5.2").constants
    size_bytes, count, batch = (
        int(facts[f"background_{name}"]) for name in ("message_bytes", "queue_pairs", "messages_a_row")
    )
    rate_bps = max(1, round(bps / count))
    gap_ns = size_bytes * BITS_PER_BYTE * NS_PER_SECOND // rate_bps
    begins = rng.integers(0, min(gap_ns, duration_ns), size=count, endpoint=True).tolist()
    return tuple(
        Stream(
            peer=receiver,
            qp=_BACKGROUND_QP + number,
            size_bytes=size_bytes,
            offset_ns=begin_ns,
            duration_ns=duration_ns - begin_ns,
            depth=batch,
            batch=batch,
            rate_bps=rate_bps,
            priority=LOSSLESS_PRIORITY,
        )
        for number, begin_ns in enumerate(begins)
    )


def blocks(samples: pa.Table) -> pa.Table:
    """Return the finished blocks of a trial, without the background."""
    return finished(samples).filter(pc.field("qp") == _MEASURED_QP)


def block_latency_us(samples: pa.Table) -> NDArray[np.float64]:
    """Return KV_xfer_latency of each block, by the stamp that its trial has, shape ``(n,)`` [us].

    Draft: Section 5.2.
    """
    return latency_us(blocks(samples), stamp_of(samples))


def block_completion_us(samples: pa.Table) -> NDArray[np.float64]:
    """Return Fabric_FCT of each block, shape ``(n,)`` [us].

    Draft: Table 4.
    """
    own = blocks(samples)
    return kpi.fabric_fct(own["posted_ns"].to_numpy(), own["completed_ns"].to_numpy())


def measure_latency(seen: Observation) -> Mapping[str, float | None]:
    """Return how much background there was: the latencies are in the samples.

    Draft: Section 5.2.
    """
    return {"background_delivered": defined(lambda: _background_delivered(seen))}


def _background_delivered(seen: Observation) -> float:
    """Return the background's payload between the first and the last block, of the fabric's capacity [%].

    Raises:
        UndefinedKpi: No block was completed.
    """
    own = blocks(seen.samples)
    if not own.num_rows:
        raise UndefinedKpi("background_delivered: no block was completed")
    other = finished(seen.samples).filter(pc.field("qp") != _MEASURED_QP)
    edges = np.array([own["posted_ns"].to_numpy().min(), own["completed_ns"].to_numpy().max()])
    if not other.num_rows:
        return 0.0
    posted, completed = other["posted_ns"].to_numpy(), other["completed_ns"].to_numpy()
    (rate,) = kpi.delivered_rate(posted, completed, other["size_bytes"].to_numpy(), edges)
    capacity = bottleneck_bps(seen.fabric, (seen.site.senders[0], seen.site.receivers[0]))
    return 100 * float(rate) * BITS_PER_BYTE * NS_PER_SECOND / capacity


def remark_on_latency(seen: Observation) -> Mapping[str, str]:
    """Say which stamp the latencies of a trial end with."""
    return {KEY: choose_stamp(blocks(seen.samples), seen.clock_uncertainty_ns)}


_ENDPOINT = ObservationPoint.ENDPOINT
_FRACTIONS = (0.5, 0.95, 0.99, 0.999)

TRANSFER_LATENCY = Procedure(
    changes=usual_changes,
    site=latency_site,
    load=latency_load,
    measure=measure_latency,
    remarks=remark_on_latency,
    quantities=(Quantity(kpi="background_delivered", unit="%", observation_point=_ENDPOINT),),
    distributions=(
        Distribution(
            kpi="KV_xfer_latency",
            unit="us",
            observation_point=_ENDPOINT,
            fractions=_FRACTIONS,
            of=block_latency_us,
            spread="tail_latency_spread",
        ),
        Distribution(
            kpi="Fabric_FCT", unit="us", observation_point=_ENDPOINT, fractions=_FRACTIONS, of=block_completion_us
        ),
    ),
)
"""Test 5.2, KV Cache Transfer Latency."""
