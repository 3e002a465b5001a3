"""Section 9.3: how evenly the fabric's links are used, by each load balancing algorithm."""

import itertools
from collections.abc import Collection, Mapping

import numpy as np

from aibench_lib.catalogue import benchmark, load_moe_configs
from aibench_lib.errors import SpecError
from aibench_lib.model import ObservationPoint, Transfer, TrialLoad
from aibench_lib.platforms import load_platform
from aibench_lib.procedures.fabric_paths import fabric_links, hosts_of, paths, switches_with_choices
from aibench_lib.procedures.link_values import dispatch_us, kv_completion_us, measure_links, uplinks_bps
from aibench_lib.procedures.procedure import (
    LOSSLESS_PRIORITY,
    Change,
    Distribution,
    Fabric,
    Point,
    Procedure,
    Quantity,
    Site,
    Terms,
)
from aibench_lib.units import BITS_PER_BYTE, NS_PER_SECOND
from aibench_lib.workload import dispatch_bytes

_SHARES = {"kv_only": (1.0, 0.0), "ep_only": (0.0, 1.0), "mixed": (0.5, 0.5)}
"""Share of the offered load that is KV cache transfers, and that is EP dispatches."""


def balancing_changes(setting: Point, fabric: Fabric) -> tuple[Change, ...]:
    """Configure the fabric as it usually is, and the algorithm where the test's traffic has equal-cost links to choose.

    Draft: Section 9.3.

    Raises:
        SpecError: No switch has a choice.
    """
    choosing = switches_with_choices(fabric.topology, itertools.permutations((own[0] for own in _workers(fabric)), 2))
    if not choosing:
        raise SpecError("test 9.3: no switch has more than one shortest path between leaves to balance over")
    return (
        *fabric.usual_changes(),
        Change(feature="load_balancing", values=setting, only=choosing),
    )


def balancing_site(_: Point, fabric: Fabric) -> Site:
    """Let the same number of workers of several leaves send and receive; observe every link on paths between them.

    Draft: Section 9.3, and Table 4: "fabric links carrying inference traffic"; the DUT is the fabric.

    Raises:
        SpecError: There are not two leaves with workers.
    """
    leaves = _workers(fabric)
    pairs = itertools.permutations((own[0] for own in leaves), 2)
    used = {port for pair in pairs for path in paths(fabric.topology, (), *pair) for port in path}
    links = fabric_links(fabric.topology)
    workers = tuple(itertools.chain.from_iterable(leaves))
    return Site(
        senders=workers,
        receivers=workers,
        watched=tuple(port for link in links for port in (link.a, link.b) if port in used),
    )


def _workers(fabric: Fabric) -> list[tuple[str, ...]]:
    """Return the workers that take part, by leaf; as many on each, so that even use of the links is possible.

    Leaves of different platforms offer different algorithms: those take part that have most of them in common.

    Raises:
        SpecError: There are not two leaves with workers.
    """
    known = {host for pool in fabric.pools.values() for host in pool}
    by_leaf = {
        switch: tuple(host for host in hosts_of(fabric.topology, switch) if host in known)
        for switch in fabric.topology.switches
    }
    platforms = {switch: fabric.platforms.get(switch, "") for switch, hosts in by_leaf.items() if hosts}
    if len(platforms) < 2:
        raise SpecError(f"test 9.3 needs workers on two leaf switches; this fabric has them on {len(platforms)}")
    chosen = _alike(platforms)
    leaves = [by_leaf[switch] for switch in platforms if platforms[switch] in chosen]
    each = min(int(benchmark("9.3").constants["workers_a_leaf"]), *(len(hosts) for hosts in leaves))
    return [hosts[:each] for hosts in leaves]


def _alike(platforms: Mapping[str, str]) -> frozenset[str]:
    """Return the platforms of at least two leaves that share the most algorithms; of those as many leaves as can be."""
    there = list(dict.fromkeys(platforms.values()))
    words = {platform: _algorithms(platform) for platform in there}
    best: tuple[tuple[int, int], frozenset[str]] = ((-1, 0), frozenset())
    for size in range(1, len(there) + 1):
        for group in itertools.combinations(there, size):
            leaves = _leaves(platforms, group)
            worth = (len(frozenset.intersection(*(words[name] for name in group))), leaves)
            if leaves > 1 and worth > best[0]:
                best = (worth, frozenset(group))
    return best[1]


def _leaves(platforms: Mapping[str, str], group: Collection[str]) -> int:
    return sum(platform in group for platform in platforms.values())


def _algorithms(platform: str) -> frozenset[str]:
    """Return the algorithms that a platform takes; without a platform those of the test."""
    if not platform:
        return frozenset(map(str, benchmark("9.3").setting["load_balancing"]))
    features = load_platform(platform).features
    return frozenset(
        features["load_balancing"].choices["load_balancing"].values if "load_balancing" in features else ()
    )


def balancing_load(point: Point, _: Site, terms: Terms, seed: int) -> TrialLoad:
    """Send from every leaf to every other at a stated fraction of the capacity of the leaves' uplinks.

    Each worker has one KV flow to a worker of every other leaf, drawn anew each trial, and posts block after block on
    it at equal distances, from a random begin.  EP dispatches go from every worker to every other, all at once, at
    equal distances.

    Draft: Section 9.3, which says neither how much is offered nor between whom.

    Raises:
        SpecError: The fabric does not fit the test.
    """
    rng = np.random.default_rng(seed)
    leaves = _workers(terms.fabric)
    duration_ns = terms.duration_ns
    facts = benchmark("9.3").constants
    topology = terms.fabric.topology
    leaf_bps = facts["offered_load"] * min(uplinks_bps(topology, topology.attachment(own[0]).node) for own in leaves)
    kv_bps, ep_bps = (share * leaf_bps for share in _SHARES[str(point["traffic"])])
    sent: dict[str, list[Transfer]] = {host: [] for hosts in leaves for host in hosts}
    if kv_bps:
        _add_kv(sent, leaves, int(facts["kv_message_bytes"]), kv_bps, duration_ns, rng)
    if ep_bps:
        _add_ep(sent, leaves, ep_bps, duration_ns, terms.start_jitter_ns, rng)
    return TrialLoad(
        transfers={host: tuple(sorted(own, key=lambda transfer: transfer.offset_ns)) for host, own in sent.items()},
        seed=seed,
    )


def _add_kv(
    sent: dict[str, list[Transfer]],
    leaves: list[tuple[str, ...]],
    size_bytes: int,
    leaf_bps: float,
    duration_ns: int,
    rng: np.random.Generator,
) -> None:
    flows_a_leaf = len(leaves[0]) * (len(leaves) - 1)
    period_ns = flows_a_leaf * size_bytes * BITS_PER_BYTE * NS_PER_SECOND / leaf_bps
    for senders in leaves:
        for receivers in leaves:
            if receivers is senders:
                continue
            for sender, peer in zip(senders, rng.permutation(receivers), strict=True):
                qp = _fresh_qp(sent[sender], rng)
                begin_ns = rng.uniform(0, min(period_ns, duration_ns))
                sent[sender] += [
                    _transfer(str(peer), qp, size_bytes, int(at)) for at in np.arange(begin_ns, duration_ns, period_ns)
                ]


def _add_ep(
    sent: dict[str, list[Transfer]],
    leaves: list[tuple[str, ...]],
    leaf_bps: float,
    duration_ns: int,
    start_jitter_ns: int,
    rng: np.random.Generator,
) -> None:
    size_bytes = ep_message_bytes(len(sent))
    pairs_a_leaf = len(leaves[0]) ** 2 * (len(leaves) - 1)
    period_ns = pairs_a_leaf * size_bytes * BITS_PER_BYTE * NS_PER_SECOND / leaf_bps
    begins = np.arange(0, duration_ns, period_ns).astype(int)
    for sender, own in sent.items():
        for peer in sent:
            if peer == sender:
                continue
            qp = _fresh_qp(own, rng)
            late = rng.integers(0, start_jitter_ns, size=begins.size, endpoint=True)
            own += [_transfer(peer, qp, size_bytes, int(at)) for at in begins + late]


def ep_message_bytes(ranks: int) -> int:
    """Return what one rank sends to one other in a dispatch of the test's model and batch [bytes].

    Draft: Sections 7.1 and 9.3, Table 12 (low-latency dispatch).
    """
    facts = benchmark("9.3").constants
    moe = load_moe_configs()[str(facts["ep_model"])]
    return round(dispatch_bytes(moe, batch_tokens=int(facts["ep_batch_tokens"]), ep_ranks=ranks))


def _fresh_qp(own: list[Transfer], rng: np.random.Generator) -> int:
    """Return a random queue pair number that a host does not use: paths are chosen by it, and each trial draws anew."""
    used = {transfer.qp for transfer in own}
    while (qp := int(rng.integers(1, 1 << 16))) in used:
        pass
    return qp


def _transfer(peer: str, qp: int, size_bytes: int, offset_ns: int) -> Transfer:
    return Transfer(peer=peer, qp=qp, size_bytes=size_bytes, offset_ns=offset_ns, priority=LOSSLESS_PRIORITY)


_COUNTER = ObservationPoint.DUT_COUNTER
_ENDPOINT = ObservationPoint.ENDPOINT

LOAD_BALANCING = Procedure(
    changes=balancing_changes,
    site=balancing_site,
    load=balancing_load,
    measure=measure_links,
    quantities=(
        Quantity(kpi="JFI", unit="1", observation_point=_COUNTER),
        Quantity(kpi="Link_utilization", unit="%", observation_point=_COUNTER),
        Quantity(kpi="maximum_link_utilization", unit="%", observation_point=_COUNTER),
        Quantity(kpi="minimum_link_utilization", unit="%", observation_point=_COUNTER),
        Quantity(kpi="peak_link_utilization", unit="%", observation_point=_COUNTER),
        Quantity(kpi="Fabric_Goodput", unit="GB/s", observation_point=_ENDPOINT),
        Quantity(kpi="oversubscription_ratio", unit="1", observation_point=_ENDPOINT),
        Quantity(kpi="leaf_oversubscription", unit="1", observation_point=ObservationPoint.DUT_BOUNDARY),
        Quantity(kpi="reordered_packets", unit="packets", observation_point=_ENDPOINT),
    ),
    distributions=(
        Distribution(
            kpi="Fabric_FCT", unit="us", observation_point=_ENDPOINT, fractions=(0.5, 0.95, 0.99), of=kv_completion_us
        ),
        Distribution(
            kpi="EP_alltoall_latency", unit="us", observation_point=_ENDPOINT, fractions=(0.5, 0.99), of=dispatch_us
        ),
    ),
)
"""Test 9.3, ECMP and Dynamic Load Balancing Under Inference Traffic."""
