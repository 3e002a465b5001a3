"""Section 5.1: how much one prefill worker can send to one decode worker, by message size and queue pairs."""

from collections.abc import Callable, Mapping

from aibench_lib import kpi
from aibench_lib.errors import NotAttainable, UndefinedKpi
from aibench_lib.model import ObservationPoint, Stream, TrialLoad
from aibench_lib.procedures.kv_pairs import first_pair, nic_bps, used_ports
from aibench_lib.procedures.procedure import (
    LOSSLESS_PRIORITY,
    Change,
    Fabric,
    Observation,
    Point,
    Procedure,
    Quantity,
    Site,
    Terms,
    defined,
)
from aibench_lib.procedures.signal_stamps import finished
from aibench_lib.units import BITS_PER_BYTE, MB, NS_PER_SECOND

_ROW_BYTES = 2 * MB
"""Small messages are signalled in batches of about this size, so that a second at 400 Gb/s has 25,000 rows at most."""
_LARGE_BYTES = 16 * MB
"""From this size on one message a queue pair is enough where there are several: the others fill its gaps."""
LINE_RATE = "line_rate_bps"
"""Under which the line rate of a trial's NICs is kept with it [bit/s]."""
_CPU_BUSY, _CPU_ALL = "cpu_busy_ns", "cpu_ns"
"""Growths that an agent reports beside its NIC's counters: CPU time in use, and that there was."""


def usual_changes(_: Point, fabric: Fabric) -> tuple[Change, ...]:
    """Configure the fabric as it usually is: Section 5 varies the load alone."""
    return fabric.usual_changes()


def point_to_point_site(_: Point, fabric: Fabric) -> Site:
    """Let one prefill worker send to one decode worker of another leaf.

    Draft: Section 5.1; the DUT is the path from NIC to NIC.

    Raises:
        SpecError: The lab has no such two.
    """
    pair = first_pair(fabric, "5.1")
    return Site(senders=pair[:1], receivers=pair[1:], watched=used_ports(fabric, [pair]))


def batch_of(size_bytes: int) -> int:
    """Return how many messages one completion stands for."""
    return max(1, _ROW_BYTES // size_bytes)


def depth_of(size_bytes: int, queue_pairs: int) -> int:
    """Return how many messages a queue pair has outstanding: two batches, so that one is sent as one completes."""
    return 1 if size_bytes >= _LARGE_BYTES and queue_pairs > 1 else 2 * batch_of(size_bytes)


def check_time(point: Point, site: Site, terms: Terms) -> None:
    """Check that what is outstanding at the end of a trial can be sent in the time that a trial may overrun.

    Raises:
        NotAttainable: It cannot, at line rate.
    """
    size_bytes, queue_pairs = int(point["message_bytes"]), int(point["queue_pairs"])
    outstanding = size_bytes * queue_pairs * depth_of(size_bytes, queue_pairs)
    seconds = (
        outstanding * BITS_PER_BYTE / min(nic_bps(terms.fabric, host) for host in (*site.senders, *site.receivers))
    )
    if seconds > terms.overrun_seconds:
        raise NotAttainable(
            f"the messages that are outstanding on all queue pairs take {seconds:.3g} s at line rate; this profile "
            f"waits for {terms.overrun_seconds:g} s (overrun_seconds)"
        )


def point_to_point_load(point: Point, site: Site, terms: Terms, seed: int) -> TrialLoad:
    """Let every queue pair send message after message for the trial's length.

    Draft: Section 5.1: "transmit at the maximum rate sustainable by the NIC".
    """
    size_bytes, queue_pairs = int(point["message_bytes"]), int(point["queue_pairs"])
    streams = tuple(
        Stream(
            peer=site.receivers[0],
            qp=qp,
            size_bytes=size_bytes,
            duration_ns=terms.duration_ns,
            depth=depth_of(size_bytes, queue_pairs),
            batch=batch_of(size_bytes),
            priority=LOSSLESS_PRIORITY,
        )
        for qp in range(1, queue_pairs + 1)
    )
    return TrialLoad(
        transfers={site.senders[0]: (), site.receivers[0]: ()},
        streams={site.senders[0]: streams},
        seed=seed,
        duration_ns=terms.duration_ns + round(2 * terms.overrun_seconds * NS_PER_SECOND),
        unfinished_ok=True,
    )


def measure_point_to_point(seen: Observation) -> Mapping[str, float | None]:
    """Return what Section 5.1 asks of one trial.

    Draft: Section 5.1.
    """
    sender, receiver = seen.site.senders[0], seen.site.receivers[0]
    return {
        "KV_xfer_bandwidth": defined(lambda: _bandwidth(seen).total),
        "cpu_utilization_sender": defined(lambda: cpu_utilization(seen, sender)),
        "cpu_utilization_receiver": defined(lambda: cpu_utilization(seen, receiver)),
        "gpu_to_nic_overhead": None,  # workers have no GPU: what is sent lies in the host's memory
        "nic_offload_utilization": None,  # no NIC's counters say it
    }


def remark_on_point_to_point(seen: Observation) -> Mapping[str, str]:
    """Say which part of a trial its bandwidth is of, and what the line rate is that the figure shows."""
    rate_bps = min(nic_bps(seen.fabric, host) for host in (seen.site.senders[0], seen.site.receivers[0]))
    return {**bandwidth_remark(lambda: _bandwidth(seen)), LINE_RATE: str(rate_bps)}


def bandwidth_remark(bandwidth: Callable[[], kpi.Bandwidth]) -> Mapping[str, str]:
    """Say which part of a trial a bandwidth is of."""
    try:
        return {"bandwidth_of": _part_of(bandwidth())}
    except UndefinedKpi:
        return {"bandwidth_of": "nothing, as a queue pair completed no message"}


def _part_of(bandwidth: kpi.Bandwidth) -> str:
    """Return in words which part of a trial a bandwidth is of."""
    if bandwidth.steady:
        return "the steady part of the trial"
    return "the whole trial, as it ended soon after every queue pair had completed something"


def _bandwidth(seen: Observation) -> kpi.Bandwidth:
    done = finished(seen.samples)
    if not done.num_rows:
        raise UndefinedKpi("KV_xfer_bandwidth: no message was completed")
    return kpi.sustained_bandwidth(
        done["qp"].to_numpy(),
        done["size_bytes"].to_numpy(),
        done["posted_ns"].to_numpy(),
        done["completed_ns"].to_numpy(),
        last_post_ns=seen.t0_ns + seen.length_ns,
        queue_pairs=int(seen.point["queue_pairs"]),
    )


def cpu_utilization(seen: Observation, host: str) -> float:
    """Return the share of a host's CPU that was in use in the trial [%].

    Raises:
        UndefinedKpi: The agent does not say it.
    """
    grown = seen.nic.get(host, {})
    if _CPU_BUSY not in grown or not grown.get(_CPU_ALL):
        raise UndefinedKpi(f"cpu_utilization: the agent of {host} does not say how busy its host is")
    return 100 * grown[_CPU_BUSY] / grown[_CPU_ALL]


_ENDPOINT = ObservationPoint.ENDPOINT

POINT_TO_POINT = Procedure(
    changes=usual_changes,
    site=point_to_point_site,
    check=check_time,
    load=point_to_point_load,
    measure=measure_point_to_point,
    remarks=remark_on_point_to_point,
    quantities=(
        Quantity(kpi="KV_xfer_bandwidth", unit="GB/s", observation_point=_ENDPOINT),
        Quantity(kpi="cpu_utilization_sender", unit="%", observation_point=_ENDPOINT),
        Quantity(kpi="cpu_utilization_receiver", unit="%", observation_point=_ENDPOINT),
        Quantity(kpi="gpu_to_nic_overhead", unit="us", observation_point=_ENDPOINT),
        Quantity(kpi="nic_offload_utilization", unit="%", observation_point=_ENDPOINT),
    ),
)
"""Test 5.1, Point-to-Point KV Cache Transfer Throughput."""
