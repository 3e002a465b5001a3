"""Test 8.3: KV cache transfers and EP all-to-all dispatches that come to share the uplinks of one leaf.

The class that is there first offers the draft's share of the uplinks' capacity from the trial's begin to its end, the
other one comes in later and stays. Each sends from workers of its own under the leaf to workers of its own under other
leaves, so that they meet on fabric links alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from aibench_lib import kpi
from aibench_lib.catalogue import benchmark, load_moe_configs
from aibench_lib.errors import SpecError, UndefinedKpi
from aibench_lib.model import ObservationPoint, Port, Topology, Transfer, TrialLoad
from aibench_lib.procedures.procedure import (
    Change,
    Fabric,
    Observation,
    Point,
    Procedure,
    Quantity,
    Site,
    Terms,
    defined,
    growth,
)
from aibench_lib.units import BITS_PER_BYTE, NS_PER_MS, NS_PER_SECOND, NS_PER_US
from aibench_lib.workload import dispatch_bytes

CLASSES = ("kv_cache", "expert_parallelism")
"""The traffic classes, by the names that the test's load has for them."""
EP_FIRST_QP = 101
"""Queue pairs from here on carry dispatches, those below KV cache transfers."""

_KV_WORKERS = 8
_KV_QPS = 4
"""Queue pairs of a KV worker."""
_EP_LOCAL = 4
"""EP ranks under the shared leaf; as many are under other leaves."""
_EP_QPS = 4
"""Queue pairs of a rank to each other rank, used in turn: so that a hash by flow spreads their load over the links."""


def usual_fabric(_: Point, fabric: Fabric) -> tuple[Change, ...]:
    """Configure what the inventory calls the fabric's usual settings: this test varies none.

    Draft: Section 8.3, which leaves ECN and PFC open.
    """
    return fabric.usual_changes()


def shared_uplinks(point: Point, fabric: Fabric) -> Site:
    """Place both classes under one leaf, that of the first prefill worker, and their peers under others.

    Draft: Section 8.3, "on the same fabric links".

    Raises:
        SpecError: There are too few workers, or the leaf has no link to another switch.
    """
    topology = fabric.topology
    leaf = topology.attachment(fabric.pools["prefill"][0]).node
    local = fabric.workers_on(leaf, "prefill")
    remote = [host for host in fabric.pools["decode"] if topology.attachment(host).node != leaf]
    for workers, wanted, where in (
        (local, _EP_LOCAL + _KV_WORKERS, f"prefill workers on {leaf}"),
        (remote, 2 * _EP_LOCAL, f"decode workers that are not on {leaf}"),
    ):
        if len(workers) < wanted:
            raise SpecError(f"inventory: test 8.3 needs {wanted} {where}, there are {len(workers)}; add workers")
    uplinks = _uplinks(topology, leaf)
    if not uplinks:
        raise SpecError(f"inventory: test 8.3 needs links between {leaf} and other switches, there are none")
    # Every other one, so that both classes have peers under every leaf.
    peers = (*remote[: 2 * _EP_LOCAL : 2], *remote[1 : 2 * _EP_LOCAL : 2])
    return Site(senders=tuple(local[: _EP_LOCAL + _KV_WORKERS]), receivers=peers, watched=uplinks)


def _uplinks(topology: Topology, leaf: str) -> tuple[Port, ...]:
    ends = [(here, there) for link in topology.links for here, there in ((link.a, link.b), (link.b, link.a))]
    return tuple(here for here, there in ends if here.node == leaf and there.node in topology.switches)


def mixed_load(point: Point, site: Site, terms: Terms, seed: int) -> TrialLoad:
    """Offer the established class from T0 on and the other one later, both until the end.

    Draft: Section 8.3; the roles are reversed by the point.
    """
    numbers = benchmark("8.3").constants
    duration_ns = round((terms.trial_seconds or numbers["duration_seconds"]) * NS_PER_SECOND)
    introduced_ns = round(numbers["introduced_at"] * duration_ns)
    capacity = _capacity(terms.fabric.topology, site.watched)
    rng = np.random.default_rng(seed)
    transfers: dict[str, list[Transfer]] = {host: [] for host in (*site.senders, *site.receivers)}
    for name, offer in zip(CLASSES, (_kv_cache, _dispatches), strict=True):
        established = point["established_traffic"] == name
        begin_ns = 0 if established else introduced_ns
        rate = capacity * numbers["established_load" if established else "introduced_load"]
        for host, transfer in offer(site, begin_ns, duration_ns, rate, rng):
            transfers[host].append(transfer)
    return TrialLoad(
        transfers={host: tuple(sent) for host, sent in transfers.items()},
        seed=seed,
        duration_ns=round((1 + numbers["grace"]) * duration_ns),
        unfinished_ok=True,
    )


def _capacity(topology: Topology, uplinks: Sequence[Port]) -> float:
    """Return what the uplinks carry together, one way [B/ns]."""
    bps = sum(link.bps for link in topology.links if link.a in uplinks or link.b in uplinks)
    return bps / BITS_PER_BYTE / NS_PER_SECOND


Offer = Iterator[tuple[str, Transfer]]
"""Sending hosts and what they send."""


def _kv_cache(site: Site, begin_ns: int, end_ns: int, rate: float, rng: np.random.Generator) -> Offer:
    """Yield chunks on lasting queue pairs, evenly spaced, together at a rate [B/ns]."""
    size = benchmark("8.3").constants["kv_message_bytes"]
    senders, receivers = site.senders[_EP_LOCAL:], site.receivers[_EP_LOCAL:]
    streams = [
        (host, receivers[place % len(receivers)], qp)
        for place, host in enumerate(senders)
        for qp in range(1, _KV_QPS + 1)
    ]
    spacing_ns = size / rate
    order = rng.permutation(len(streams))
    for number in range(int((end_ns - begin_ns) / spacing_ns)):
        host, peer, qp = streams[order[number % len(streams)]]
        yield host, Transfer(peer=peer, qp=qp, size_bytes=size, offset_ns=begin_ns + round(number * spacing_ns))


def _dispatches(site: Site, begin_ns: int, end_ns: int, rate: float, rng: np.random.Generator) -> Offer:
    """Yield all-to-all dispatches back to back, whose part over the uplinks has a rate [B/ns].

    In each, every rank sends to one other rank after the other, each to a different one at a time.
    """
    numbers = benchmark("8.3").constants
    local, remote = site.senders[:_EP_LOCAL], site.receivers[:_EP_LOCAL]
    ranks = [str(host) for host in rng.permutation([*local, *remote])]
    size = round(
        dispatch_bytes(
            load_moe_configs()[numbers["moe_config"]], batch_tokens=numbers["batch_tokens"], ep_ranks=len(ranks)
        )
    )
    turn_ns = len(local) * len(remote) * size / rate / (len(ranks) - 1)
    for turn in range(int((end_ns - begin_ns) / turn_ns)):
        dispatch, step = divmod(turn, len(ranks) - 1)
        for place, host in enumerate(ranks):
            peer = ranks[(place + 1 + step) % len(ranks)]
            qp = EP_FIRST_QP + _EP_QPS * ((place + 1 + step) % len(ranks)) + dispatch % _EP_QPS
            yield host, Transfer(peer=peer, qp=qp, size_bytes=size, offset_ns=begin_ns + round(turn * turn_ns))


@dataclass(frozen=True, kw_only=True)
class _Rates:
    """What one trial shows of both classes over time."""

    begin_ns: NDArray[np.int64]
    """Begin of each window, shape ``(n,)`` [lab clock]."""
    window_ns: int
    values: NDArray[np.float64]
    """Payload over the uplinks by window and class, shape ``(n, 2)`` [GB/s]."""
    introduced_ns: int
    converged_ns: int | None
    """When all rates were stable; None: they were not within the trial."""
    steady: NDArray[np.float64]
    """Each class's steady state, shape ``(2,)`` [GB/s]."""


def _criterion(numbers: Mapping[str, Any], duration_ns: int) -> kpi.Criterion:
    return kpi.Criterion(
        fraction=numbers["convergence_fraction"],
        steady_ns=round(numbers["steady_part"] * duration_ns),
        hold_ns=round(numbers["hold_seconds"] * NS_PER_SECOND),
    )


def _rates(seen: Observation) -> _Rates:
    """Raise UndefinedKpi where a class sent nothing over the uplinks."""
    numbers = benchmark("8.3").constants
    window_ns = round(numbers["rate_window_seconds"] * NS_PER_SECOND)
    end_ns = pc.max(seen.samples["intended_ns"]).as_py()
    shared = _over_uplinks(seen)
    is_dispatch = shared["qp"].to_numpy() >= EP_FIRST_QP
    intended = shared["intended_ns"].to_numpy()
    if is_dispatch.all() or not is_dispatch.any():
        raise UndefinedKpi("rates over time: one of the two classes sent nothing over the shared links")
    introduced_ns = int(max(intended[is_dispatch].min(), intended[~is_dispatch].min()))
    before = (introduced_ns - seen.t0_ns) // window_ns
    after = (end_ns - introduced_ns) // window_ns
    edges = introduced_ns + window_ns * np.arange(-before, after + 1)
    values = np.stack([_rate(shared.filter(pa.array(which)), edges) for which in (~is_dispatch, is_dispatch)], axis=1)
    criterion = _criterion(numbers, end_ns - seen.t0_ns)
    settled = defined(lambda: float(kpi.convergence_ns(edges[:-1], values, introduced_ns, criterion)))
    return _Rates(
        begin_ns=edges[:-1],
        window_ns=window_ns,
        values=values,
        introduced_ns=introduced_ns,
        converged_ns=None if settled is None else introduced_ns + int(settled),
        steady=kpi.steady_state(edges[:-1], values, criterion.steady_ns),
    )


def _over_uplinks(seen: Observation) -> pa.Table:
    """Return the transfers from the leaf to hosts of other switches."""
    leaf, topology = seen.site.watched[0].node, seen.fabric.topology
    here = [host for host in topology.hosts if topology.attachment(host).node == leaf]
    from_here = pc.is_in(seen.samples["host"], pa.array(here))
    to_here = pc.is_in(seen.samples["peer"], pa.array(here))
    return seen.samples.filter(pc.and_not(from_here, to_here))


def _rate(transfers: pa.Table, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    done = transfers.filter(pc.is_valid(transfers["completed_ns"]))
    posted, completed = done["posted_ns"].to_numpy(), done["completed_ns"].to_numpy()
    names = [done[name].to_pandas().astype(str) for name in ("host", "peer", "qp")]
    pair = pd.factorize(names[0] + " " + names[1] + " " + names[2])[0]
    start = kpi.service_start_ns(pair, posted, completed)
    return kpi.delivered_rate(start, completed, done["size_bytes"].to_numpy(), edges)


def rates_over_time(seen: Observation) -> pd.DataFrame | None:
    """Return both classes' rates by window, for the figure.

    Draft: Section 8.3.

    Returns:
        ``time_us`` (begin of the window, after T0), ``class`` and ``rate_gbytes_per_second``; ``attrs`` has
        ``introduced_us``, ``converged_us`` (None: not within the trial) and ``window_us``.
    """
    try:
        rates = _rates(seen)
    except UndefinedKpi:
        return None
    frame = pd.DataFrame(
        {
            "time_us": np.repeat((rates.begin_ns - seen.t0_ns) / NS_PER_US, len(CLASSES)),
            "class": np.tile(np.array(CLASSES), len(rates.begin_ns)),
            "rate_gbytes_per_second": rates.values.ravel(),
        }
    )
    converged = rates.converged_ns
    frame.attrs = {
        "introduced_us": (rates.introduced_ns - seen.t0_ns) / NS_PER_US,
        "converged_us": None if converged is None else (converged - seen.t0_ns) / NS_PER_US,
        "window_us": rates.window_ns / NS_PER_US,
    }
    return frame


def measure_convergence(seen: Observation) -> dict[str, float | None]:
    """Return what Section 8.3 asks of one trial, and the KPIs of Appendix A for it.

    Draft: Section 8.3.

    Raises:
        TrialError: Counters or samples contradict each other.
    """
    values: dict[str, float | None] = dict.fromkeys(quantity.kpi for quantity in QUANTITIES)
    values["ECN_marking_rate"] = defined(
        lambda: kpi.ecn_marking_rate(_growth(seen, "ecn_marked_packets"), _growth(seen, "transmit_packets"))
    )
    values["Packet_drop_rate"] = defined(
        lambda: kpi.packet_drop_rate(_growth(seen, "dropped_packets"), _growth(seen, "transmit_packets"))
    )
    try:
        rates = _rates(seen)
    except UndefinedKpi:
        return values
    steady = [float(rate) for rate in rates.steady]
    values |= zip(_STEADY, steady, strict=True)
    values["JFI"] = defined(lambda: kpi.jain_index(steady))
    if rates.converged_ns is not None:
        values["convergence_time"] = (rates.converged_ns - rates.introduced_ns) / NS_PER_MS
    until_ns = rates.converged_ns or int(rates.begin_ns[-1]) + rates.window_ns
    values["packet_loss_during_convergence"] = defined(lambda: float(_lost(seen, rates.introduced_ns, until_ns)))
    return values


def _growth(seen: Observation, counter: str) -> int:
    """Return how much a counter of the shared links' queues grew over the trial."""
    return sum(growth(seen.queue_of(port), counter) for port in seen.site.watched)


def _lost(seen: Observation, begin_ns: int, end_ns: int) -> int:
    """Return how many packets the shared links' queues dropped in a part of the trial."""
    return sum(_dropped(seen.queue_of(port), begin_ns, end_ns) for port in seen.site.watched)


def _dropped(queue: pd.DataFrame, begin_ns: int, end_ns: int) -> int:
    """Return the growth from the last sample at or before the begin to the first one at or after the end."""
    known = queue[queue["dropped_packets"].notna()]
    times = known["time_ns"].to_numpy(np.int64)
    first = int(np.searchsorted(times, begin_ns, side="right")) - 1
    last = int(np.searchsorted(times, end_ns, side="left"))
    if first < 0 or last >= times.size:
        raise UndefinedKpi("packet_loss_during_convergence: no sample before its begin or none after its end")
    return growth(known.iloc[first : last + 1], "dropped_packets")


_COUNTER = ObservationPoint.DUT_COUNTER
_ENDPOINT = ObservationPoint.ENDPOINT
_STEADY = tuple(f"steady_state_bandwidth_{name}" for name in CLASSES)

QUANTITIES = (
    Quantity(kpi="convergence_time", unit="ms", observation_point=_ENDPOINT),
    *(Quantity(kpi=name, unit="GB/s", observation_point=_ENDPOINT) for name in _STEADY),
    Quantity(kpi="packet_loss_during_convergence", unit="packets", observation_point=_COUNTER),
    Quantity(kpi="JFI", unit="1", observation_point=_ENDPOINT),
    Quantity(kpi="ECN_marking_rate", unit="%", observation_point=_COUNTER),
    Quantity(kpi="Packet_drop_rate", unit="ppm", observation_point=_COUNTER),
)

CONVERGENCE = Procedure(
    changes=usual_fabric,
    site=shared_uplinks,
    load=mixed_load,
    measure=measure_convergence,
    quantities=QUANTITIES,
    series=rates_over_time,
)
"""Test 8.3, Congestion Control Convergence for Mixed Traffic."""
