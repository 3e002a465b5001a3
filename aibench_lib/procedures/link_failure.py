"""Section 12.3: what a failed link does to transfers, and how long the fabric takes to route around it."""

from collections.abc import Hashable, Mapping

import numpy as np
from numpy.typing import NDArray

from aibench_lib import kpi
from aibench_lib.catalogue import benchmark
from aibench_lib.errors import NotAttainable, UndefinedKpi
from aibench_lib.kpi import rerouting
from aibench_lib.model import ObservationPoint, Port, Stream, TrialLoad
from aibench_lib.procedures.fabric_paths import fabric_links, links_between
from aibench_lib.procedures.kv_pairs import Pair, bottleneck_bps, nic_bps, pairs_across, used_ports
from aibench_lib.procedures.point_to_point import usual_changes
from aibench_lib.procedures.procedure import (
    LOSSLESS_PRIORITY,
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
from aibench_lib.switch.faults import Fault, FaultKind
from aibench_lib.units import NS_PER_MS, NS_PER_SECOND

_PAIRS = 4
_QUEUE_PAIRS = 4
"""Of each pair of workers: several, so that equal-cost paths all carry traffic."""
_MESSAGE_BYTES = 1_000_000
"""Small against what is sent in a second, so that a gap shows; 5.3's 16 MB would hide one of a tenth of a second."""
_DEPTH = 2
_QUIET_NS = 1 * NS_PER_SECOND
"""A fabric in which no route changes for so long has converged."""


def failure_site(point: Point, fabric: Fabric) -> Site:
    """Place pairs of a prefill and a decode worker on both sides of the spines.

    Draft: Section 12.3.

    Raises:
        NotAttainable: The lab has not the links that the point fails, or nothing would be left without them.
    """
    pairs = _pairs(fabric)
    failed_ports(point, fabric)
    return Site(
        senders=tuple(prefill for prefill, _ in pairs),
        receivers=tuple(decode for _, decode in pairs),
        watched=used_ports(fabric, pairs),
    )


def _pairs(fabric: Fabric) -> list[Pair]:
    """Return pairs that all send from the first one's leaf, as many as there are, at most so many."""
    found: list[Pair] = []
    for count in range(1, _PAIRS + 1):
        try:
            found = pairs_across(fabric, count)
        except NotAttainable:
            if count == 1:
                raise
            break
    leaf = {host: fabric.topology.attachment(host).node for pair in found for host in pair}
    (sender, receiver), *_ = found
    return [pair for pair in found if (leaf[pair[0]], leaf[pair[1]]) == (leaf[sender], leaf[receiver])]


def failed_ports(point: Point, fabric: Fabric) -> tuple[Port, ...]:
    """Return the switch ports whose links fail.

    Two links that fail together lead to one spine, so that the others keep every leaf reachable.

    Draft: Section 12.3: "(a) a leaf-spine link carrying KV cache traffic, (b) a spine-spine link, (c) a link on the
    decode worker's leaf switch"; dual failures likewise.

    Raises:
        NotAttainable: There are no such links, or nothing would be left without them.
    """
    topology, ((sender, receiver), *_) = fabric.topology, _pairs(fabric)
    source, decode = (topology.attachment(host).node for host in (sender, receiver))
    if source == decode:
        raise NotAttainable("a fabric of one switch has no links between switches that could fail")
    if point["failed_link"] == "spine_spine":
        raise NotAttainable("this fabric of two tiers has no link between spines")
    first, second = (source, decode) if point["failed_link"] == "leaf_spine" else (decode, source)
    spines = [
        spine
        for spine in topology.switches
        if links_between(topology, source, spine) and links_between(topology, decode, spine)
    ]
    if len(spines) < 2:
        raise NotAttainable(f"{source} and {decode} have no second spine between them: nothing would be left")
    ports = (*links_between(topology, first, spines[0]), *links_between(topology, second, spines[0]))
    return ports[: int(point["links_failed"])]


def link_failure(point: Point, fabric: Fabric) -> Fault:
    """Return the fault that comes, and goes again, within a trial.

    Draft: Section 12.3.
    """
    return Fault(kind=FaultKind.LINK_DOWN, ports=failed_ports(point, fabric), duration_s=_HELD_SECONDS)


_HELD_SECONDS = 120
"""A switch that can ends the failure by itself after this time, should nobody else."""


def failure_load(point: Point, site: Site, terms: Terms, seed: int) -> TrialLoad:
    """Let every pair transfer block after block at a part of what the fabric carries without the failed links.

    Draft: Section 12.3: at 80 % of the throughput that the service-level objective bounds, which Test 11.1 finds.
    """
    pairs = list(zip(site.senders, site.receivers, strict=True))
    share = float(benchmark("12.3").constants["serving_load"])
    left_bps = bottleneck_bps(terms.fabric, pairs[0]) - max(_bps(port, terms.fabric) for port in _failed(point, terms))
    each_bps = share * min(left_bps / len(pairs), min(nic_bps(terms.fabric, host) for pair in pairs for host in pair))
    streams = {
        sender: tuple(
            Stream(
                peer=receiver,
                qp=qp,
                size_bytes=_MESSAGE_BYTES,
                duration_ns=terms.duration_ns,
                depth=_DEPTH,
                rate_bps=round(each_bps / _QUEUE_PAIRS),
                priority=LOSSLESS_PRIORITY,
            )
            for qp in range(1, _QUEUE_PAIRS + 1)
        )
        for sender, receiver in pairs
    }
    return TrialLoad(transfers=dict.fromkeys((*site.senders, *site.receivers), ()), streams=streams, seed=seed)


def _failed(point: Point, terms: Terms) -> tuple[Port, ...]:
    return failed_ports(point, terms.fabric)


def _bps(port: Port, fabric: Fabric) -> int:
    return next(link.bps for link in fabric_links(fabric.topology) if port in (link.a, link.b))


def measure_failure(seen: Observation) -> Mapping[str, float | None]:
    """Return what Section 12.3 asks of one trial, as far as it can be seen without a served model.

    Draft: Section 12.3.
    """
    return {
        "disruption_duration": defined(lambda: _disruption(seen).beyond_usual_ns / NS_PER_MS),
        "convergence_time": defined(lambda: _convergence_ns(seen) / NS_PER_MS),
        "full_recovery_time": defined(lambda: _recovery_ns(seen) / NS_PER_MS),
        "ttft_degradation": None,
        "tps_reduction": None,
        "Packet_drop_rate": defined(lambda: _drop_rate(seen)),
    }


def remark_on_failure(seen: Observation) -> Mapping[str, str]:
    """Say what was offered."""
    share = 100 * float(benchmark("12.3").constants["serving_load"])
    return {"load": f"{share:g} % of what the fabric carries without the failed links, since no objective bounds it"}


def _span(seen: Observation) -> tuple[int, int]:
    """Return when the link was seen to fail, and when it was told to come back [ns].

    Failed it has with the first change that the switch it was shut on counts after it was told to shut it.

    Raises:
        UndefinedKpi: The switch counts no changes, or had none.
    """
    if seen.disturbed is None:
        raise UndefinedKpi("no link failed in this trial")
    began_ns, ending_ns = seen.disturbed
    switch = failed_ports(seen.point, seen.fabric)[0].node
    after = [time for time in _changes(seen, switch).tolist() if began_ns <= time < ending_ns]
    if not after:
        raise UndefinedKpi(f"{switch} reports no change of its links and routes")
    return after[0], ending_ns


def _changes(seen: Observation, switch: str) -> NDArray[np.int64]:
    known = seen.routing_of(switch).dropna()
    return rerouting.changes(known["time_ns"].to_numpy(np.int64), known["route_changes"].to_numpy(np.int64))


def _completions(seen: Observation) -> dict[Hashable, NDArray[np.int64]]:
    done = finished(seen.samples).select(["host", "qp", "completed_ns"]).to_pandas()
    return {
        (str(host), int(qp)): own["completed_ns"].to_numpy(np.int64) for (host, qp), own in done.groupby(["host", "qp"])
    }


def _disruption(seen: Observation) -> rerouting.Disruption:
    return rerouting.disruption(_completions(seen), *_span(seen))


def _convergence_ns(seen: Observation) -> int:
    failed_ns, until_ns = _span(seen)
    switches = seen.fabric.topology.switches
    changed = np.concatenate([_changes(seen, switch) for switch in switches])
    return rerouting.convergence_ns(changed, failed_ns, until_ns, _QUIET_NS)


def _recovery_ns(seen: Observation) -> int:
    """Return from the failure to the completion with which the flow that was hit worst went on [ns].

    Raises:
        UndefinedKpi: It did not go on before the link came back.
    """
    failed_ns, until_ns = _span(seen)
    worst = rerouting.disruption(_completions(seen), failed_ns, until_ns)
    if not worst.recovered:
        raise UndefinedKpi("full_recovery_time: a flow did not go on before the link came back")
    return worst.ended_ns - failed_ns


def _drop_rate(seen: Observation) -> float:
    """Return Packet_drop_rate over the watched ports [ppm].

    Raises:
        UndefinedKpi: One of them is not reported.
    """
    frames = [seen.queue_of(port).dropna(how="any", subset=_SENT) for port in seen.site.watched]
    if any(frame.empty for frame in frames):
        raise UndefinedKpi("Packet_drop_rate: a switch does not report its queues")
    grown = {name: sum(int(frame[name].iloc[-1]) - int(frame[name].iloc[0]) for frame in frames) for name in _SENT}
    return kpi.packet_drop_rate(grown["dropped_packets"], grown["transmit_packets"])


_SENT = ["transmit_packets", "dropped_packets"]
_COUNTER = ObservationPoint.DUT_COUNTER
_ENDPOINT = ObservationPoint.ENDPOINT

LINK_FAILURE = Procedure(
    changes=usual_changes,
    site=failure_site,
    load=failure_load,
    measure=measure_failure,
    remarks=remark_on_failure,
    fault=link_failure,
    quantities=(
        Quantity(kpi="disruption_duration", unit="ms", observation_point=_ENDPOINT),
        Quantity(kpi="convergence_time", unit="ms", observation_point=_COUNTER),
        Quantity(kpi="full_recovery_time", unit="ms", observation_point=_ENDPOINT),
        Quantity(kpi="ttft_degradation", unit="ms", observation_point=_ENDPOINT),
        Quantity(kpi="tps_reduction", unit="%", observation_point=_ENDPOINT),
        Quantity(kpi="Packet_drop_rate", unit="ppm", observation_point=_COUNTER),
    ),
)
"""Test 12.3, Link Failure Convergence Impact on Serving."""
