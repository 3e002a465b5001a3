"""Section 5.3: how throughput, latency and fairness change with the number of pairs that transfer at the same time."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from aibench_lib import kpi
from aibench_lib.catalogue import benchmark
from aibench_lib.kpi.sampling import held
from aibench_lib.model import ObservationPoint, Stream, TrialLoad
from aibench_lib.procedures.fabric_paths import fabric_links
from aibench_lib.procedures.kv_pairs import pairs_across, used_ports
from aibench_lib.procedures.point_to_point import bandwidth_remark, usual_changes
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


def concurrent_site(point: Point, fabric: Fabric) -> Site:
    """Pair as many prefill and decode workers as the point says, each pair on two leaves.

    Draft: Section 5.3.

    Raises:
        NotAttainable: The lab has not so many.
    """
    pairs = pairs_across(fabric, int(point["transfer_pairs"]))
    return Site(
        senders=tuple(prefill for prefill, _ in pairs),
        receivers=tuple(decode for _, decode in pairs),
        watched=used_ports(fabric, pairs),
    )


def concurrent_load(point: Point, site: Site, terms: Terms, seed: int) -> TrialLoad:
    """Let every pair transfer block after block for the trial's length.

    Draft: Section 5.3, "continuous KV cache transfers".
    """
    streams = {
        sender: (
            Stream(
                peer=receiver,
                qp=1,
                size_bytes=int(point["message_bytes"]),
                duration_ns=terms.duration_ns,
                depth=int(benchmark("5.3").constants["outstanding_operations"]),
                priority=LOSSLESS_PRIORITY,
                echo=True,
            ),
        )
        for sender, receiver in zip(site.senders, site.receivers, strict=True)
    }
    return TrialLoad(transfers=dict.fromkeys((*site.senders, *site.receivers), ()), streams=streams, seed=seed)


def measure_concurrent(seen: Observation) -> Mapping[str, float | None]:
    """Return what Section 5.3 asks of one trial beside the percentiles.

    Draft: Section 5.3.
    """
    links = _links(seen)
    return {
        "KV_xfer_bandwidth": defined(lambda: _bandwidth(seen).total),
        "JFI": defined(lambda: kpi.jain_index(_bandwidth(seen).rates)),
        "Link_utilization": float(links.mean()) if links.size else None,
        "maximum_link_utilization": float(links.max()) if links.size else None,
    }


def remark_on_concurrent(seen: Observation) -> Mapping[str, str]:
    """Say which stamp latencies end with, and which part of a trial its bandwidth is of."""
    stamp = choose_stamp(finished(seen.samples), seen.clock_uncertainty_ns)
    return {KEY: stamp, **bandwidth_remark(lambda: _bandwidth(seen))}


def _bandwidth(seen: Observation) -> kpi.Bandwidth:
    done = finished(seen.samples)
    hosts = done["host"].combine_chunks().dictionary_encode()
    return kpi.sustained_bandwidth(
        hosts.indices.to_numpy(),
        done["size_bytes"].to_numpy(),
        done["posted_ns"].to_numpy(),
        done["completed_ns"].to_numpy(),
        last_post_ns=seen.t0_ns + seen.length_ns,
        queue_pairs=int(seen.point["transfer_pairs"]),
    )


def _links(seen: Observation) -> NDArray[np.float64]:
    """Return the mean utilisation, while was sent, of each link between switches that may carry the pairs' traffic [%].

    By what the switch at its begin sent on it: in the RDMA class's queue, or, where its queues are not reported, as a
    whole.  Shape ``(n_links,)``; empty where a switch reports neither.

    Draft: Section 5.3, "maximum fabric link utilization observed", and Table 4.
    """
    bps = {port: link.bps for link in fabric_links(seen.fabric.topology) for port in (link.a, link.b)}
    edges = np.array([seen.t0_ns, seen.t0_ns + seen.length_ns])
    found = []
    for port in (port for port in seen.site.watched if port in bps):
        queue, interface = seen.queue_of(port), seen.interface_of(port)
        known = queue[queue["transmit_bytes"].notna()]
        whole = interface[interface["out_bytes"].notna() & interface["time_ns"].between(*edges)]
        if not known.empty:
            times, sent = edges, held(known["time_ns"], known["transmit_bytes"], edges)
        elif len(whole) > 1:
            ends = whole.iloc[[0, -1]]
            times, sent = ends["time_ns"].to_numpy(np.int64), ends["out_bytes"].to_numpy(np.int64)
        else:
            return np.empty(0)
        found.append(float(kpi.link_utilization(times, sent, bps[port])[0]))
    return np.array(found)


def pair_latency_us(samples: pa.Table) -> NDArray[np.float64]:
    """Return KV_xfer_latency of each transfer of every pair, by the stamp that its trial has, shape ``(n,)`` [us].

    Draft: Section 5.3, "per-pair latency".
    """
    return latency_us(finished(samples), stamp_of(samples))


def pair_completion_us(samples: pa.Table) -> NDArray[np.float64]:
    """Return Fabric_FCT of each transfer of every pair, shape ``(n,)`` [us].

    Draft: Table 4.
    """
    done = finished(samples)
    return kpi.fabric_fct(done["posted_ns"].to_numpy(), done["completed_ns"].to_numpy())


_COUNTER = ObservationPoint.DUT_COUNTER
_ENDPOINT = ObservationPoint.ENDPOINT
_FRACTIONS = (0.5, 0.99)

CONCURRENT_PAIRS = Procedure(
    changes=usual_changes,
    site=concurrent_site,
    load=concurrent_load,
    measure=measure_concurrent,
    remarks=remark_on_concurrent,
    quantities=(
        Quantity(kpi="KV_xfer_bandwidth", unit="GB/s", observation_point=_ENDPOINT),
        Quantity(kpi="JFI", unit="1", observation_point=_ENDPOINT),
        Quantity(kpi="Link_utilization", unit="%", observation_point=_COUNTER),
        Quantity(kpi="maximum_link_utilization", unit="%", observation_point=_COUNTER),
    ),
    distributions=(
        Distribution(
            kpi="KV_xfer_latency", unit="us", observation_point=_ENDPOINT, fractions=_FRACTIONS, of=pair_latency_us
        ),
        Distribution(
            kpi="Fabric_FCT", unit="us", observation_point=_ENDPOINT, fractions=_FRACTIONS, of=pair_completion_us
        ),
    ),
)
"""Test 5.3, Concurrent KV Cache Transfer Scaling."""
