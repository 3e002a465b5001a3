"""Section 8, congestion management: what is offered and what is measured."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aibench_lib import kpi
from aibench_lib.errors import SpecError, UndefinedKpi
from aibench_lib.model import ObservationPoint, Transfer, TrialLoad
from aibench_lib.procedures.procedure import (
    LOSSLESS_PRIORITY,
    Change,
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
from aibench_lib.units import NS_PER_US


def ecn_threshold(setting: Point, _: Fabric) -> tuple[Change, ...]:
    """Configure the setting's marking threshold on every switch.

    Draft: Section 8.1.
    """
    return (Change(feature="ecn", values=setting),)


def incast_site(point: Point, fabric: Fabric) -> Site:
    """Place an incast on one leaf: the first decode worker receives, prefill workers of the same leaf send.

    Draft: Section 8.1; the DUT is the individual leaf switch.

    Raises:
        SpecError: The leaf under test has too few workers.
    """
    wanted, leaf = int(point["prefill_workers"]), fabric.leaf
    senders, receivers = fabric.workers_on(leaf, "prefill"), fabric.workers_on(leaf, "decode")
    if len(senders) < wanted or not receivers:
        raise SpecError(
            f"inventory: test 8.1 needs {wanted} prefill workers and a decode worker on {leaf}, there are "
            f"{len(senders)} and {len(receivers)}; add workers, or name another leaf_under_test"
        )
    port = fabric.topology.attachment(receivers[0])
    return Site(senders=tuple(senders[:wanted]), receivers=(receivers[0],), watched=(port,))


def incast_load(point: Point, site: Site, terms: Terms, seed: int) -> TrialLoad:
    """Let every sender post one block to the receiver at T0, plus its share of the start jitter.

    Draft: Section 8.1; "simultaneously" is within ``start_jitter_ns`` (uniform), drawn anew each trial.
    """
    rng = np.random.default_rng(seed)
    offsets = rng.integers(0, terms.start_jitter_ns, size=len(site.senders), endpoint=True)
    transfers = {
        sender: (
            Transfer(
                peer=site.receivers[0],
                qp=1,
                size_bytes=int(point["message_bytes"]),
                offset_ns=int(offset),
                priority=LOSSLESS_PRIORITY,
            ),
        )
        for sender, offset in zip(site.senders, offsets, strict=True)
    }
    return TrialLoad(transfers={**transfers, **dict.fromkeys(site.receivers, ())}, seed=seed)


def completion_us(samples: pa.Table) -> NDArray[np.float64]:
    """Return each transfer's Fabric_FCT, from its posting to the sender's completion, shape ``(n,)`` [us].

    Draft: Table 4.
    """
    return kpi.fabric_fct(samples["posted_ns"].to_numpy(), samples["completed_ns"].to_numpy())


def measure_incast(seen: Observation) -> Mapping[str, float | None]:
    """Return what Section 8.1 asks of one trial, and the KPIs of Appendix A for it.

    Draft: Section 8.1.

    Raises:
        TrialError: Counters or samples contradict each other.
    """
    sizes = seen.samples["size_bytes"].to_numpy()
    posted = seen.samples["posted_ns"].to_numpy()
    completed = seen.samples["completed_ns"].to_numpy()
    queue = seen.queue
    in_trial = (queue["time_ns"] >= seen.t0_ns).to_numpy()
    onset = _onset(seen)
    return {
        "ECN_marking_rate": defined(
            lambda: kpi.ecn_marking_rate(seen.growth("ecn_marked_packets"), seen.growth("transmit_packets"))
        ),
        "marking_onset": None if onset is None else onset.after_start_ns / NS_PER_US,
        "queue_depth_at_onset": None if onset is None else float(onset.queue_depth_bytes),
        "Fabric_Goodput": defined(lambda: kpi.fabric_goodput(int(sizes.sum()), int(completed.max() - posted.min()))),
        "Buffer_utilization": defined(lambda: kpi.buffer_utilization(seen.depth_bytes()[in_trial], seen.buffer_bytes)),
        "Packet_drop_rate": defined(
            lambda: kpi.packet_drop_rate(seen.growth("dropped_packets"), seen.growth("transmit_packets"))
        ),
        "JFI": defined(lambda: kpi.jain_index(sizes / (completed - posted))),
    }


def _onset(seen: Observation) -> kpi.MarkingOnset | None:
    try:
        return kpi.marking_onset(
            seen.queue["time_ns"],
            seen.queue["ecn_marked_packets"],
            seen.depth_bytes(),
            start_ns=seen.t0_ns,
            interval_ns=seen.interval_ns,
        )
    except UndefinedKpi:
        return None


_COUNTER = ObservationPoint.DUT_COUNTER
_ENDPOINT = ObservationPoint.ENDPOINT

INCAST = Procedure(
    changes=ecn_threshold,
    site=incast_site,
    load=incast_load,
    measure=measure_incast,
    quantities=(
        Quantity(kpi="ECN_marking_rate", unit="%", observation_point=_COUNTER),
        Quantity(kpi="marking_onset", unit="us", observation_point=_COUNTER),
        Quantity(kpi="queue_depth_at_onset", unit="bytes", observation_point=_COUNTER),
        Quantity(kpi="Fabric_Goodput", unit="GB/s", observation_point=_ENDPOINT),
        Quantity(kpi="Buffer_utilization", unit="%", observation_point=_COUNTER),
        Quantity(kpi="Packet_drop_rate", unit="ppm", observation_point=_COUNTER),
        Quantity(kpi="JFI", unit="1", observation_point=_ENDPOINT),
    ),
    distributions=(
        Distribution(
            kpi="Fabric_FCT",
            unit="us",
            observation_point=_ENDPOINT,
            fractions=(0.5, 0.95, 0.99),
            of=completion_us,
        ),
    ),
)
"""Test 8.1, ECN Marking Under Inference Incast."""
