"""Section 8.4: a circle of buffer dependencies, and KV cache transfers on all paths that it affects."""

import numpy as np

from aibench_lib.catalogue import benchmark
from aibench_lib.model import ObservationPoint, Topology, Transfer, TrialLoad
from aibench_lib.procedures.cycle import BufferCycle, cycle_of, feeding_pairs, passing_pairs
from aibench_lib.procedures.fabric_paths import other_end
from aibench_lib.procedures.procedure import LOSSLESS_PRIORITY, Change, Fabric, Point, Procedure, Quantity, Site, Terms
from aibench_lib.procedures.storm_values import measure_storm
from aibench_lib.topology import host_address, port_address
from aibench_lib.units import NS_PER_MS, NS_PER_SECOND

_PROBE_BYTES = 4096
"""One packet, which waits for nothing but the fabric."""


def storm_changes(setting: Point, fabric: Fabric) -> tuple[Change, ...]:
    """Configure the fabric as it usually is, its PFC watchdog as the setting says, and the detours.

    Draft: Section 8.4, which names no watchdog; what a fabric does against a deadlock is one.

    Raises:
        NotAttainable: The fabric has no circle to close.
    """
    cycle = cycle_of(fabric)
    watchdog: dict[str, object] = {"watchdog": setting["pfc_watchdog"]}
    if setting["pfc_watchdog"] == "on":
        facts = benchmark("8.4").constants
        watchdog |= {"detection_ms": facts["detection_ms"], "recovery_ms": facts["recovery_ms"]}
    return (
        *fabric.usual_changes(),
        Change(feature="pfc_watchdog", values=watchdog),
        *(
            Change(feature="routing_detour", values={"routes": routes}, only=(switch,))
            for switch, routes in static_routes(fabric.topology, cycle).items()
        ),
    )


def static_routes(topology: Topology, cycle: BufferCycle) -> dict[str, list[dict[str, str]]]:
    """Return, by switch, the static routes that make up the detours.

    Raises:
        SpecError: The topology is too large for its address plan.
    """
    routes: dict[str, list[dict[str, str]]] = {}
    for detour in cycle.detours:
        for port in detour.ports:
            routes.setdefault(port.node, []).append(
                {
                    "prefix": f"{host_address(topology, detour.destination)}/32",
                    "next_hop": port_address(topology, other_end(topology, port)),
                    "interface": port.interface,
                }
            )
    return routes


def storm_site(_: Point, fabric: Fabric) -> Site:
    """Let workers under two leaves feed the circle and others send past it; observe the circle's ports.

    Draft: Section 8.4, "KV cache transfer traffic on all affected paths".

    Raises:
        NotAttainable: The fabric has no circle to close.
    """
    cycle = cycle_of(fabric)
    pairs = _pairs(fabric, cycle)
    return Site(
        senders=tuple(dict.fromkeys(source for source, _ in pairs)),
        receivers=tuple(dict.fromkeys(destination for _, destination in pairs)),
        watched=cycle.ports,
    )


def _pairs(fabric: Fabric, cycle: BufferCycle) -> list[tuple[str, str]]:
    fed = feeding_pairs(fabric, cycle, int(benchmark("8.4").constants["senders_a_leaf"]))
    return [*fed, *passing_pairs(fabric, cycle)]


def storm_load(_: Point, site: Site, terms: Terms, seed: int) -> TrialLoad:
    """Send a KV cache block on every affected path in every round, and a probe of one packet all the time.

    Draft: Section 8.4, which asks for 300 s and not for a rate.  A round is a burst; between rounds only probes are
    sent, so that a path that stands still shows, and one that recovers shows when.
    """
    facts = benchmark("8.4").constants
    duration_ns = terms.duration_ns
    rounds = range(0, duration_ns, round(facts["round_seconds"] * NS_PER_SECOND))
    probes = range(0, duration_ns, round(facts["probe_interval_ms"] * NS_PER_MS))
    rng = np.random.default_rng(seed)
    sent: dict[str, list[Transfer]] = {host: [] for host in (*site.senders, *site.receivers)}
    for source, destination in _pairs(terms.fabric, cycle_of(terms.fabric)):
        block_qp = 1 + len({transfer.qp for transfer in sent[source]})
        late = rng.integers(0, terms.start_jitter_ns, size=len(rounds), endpoint=True)
        blocks = [
            _transfer(destination, block_qp, int(facts["message_bytes"]), begin + int(by))
            for begin, by in zip(rounds, late, strict=True)
        ]
        sent[source] += blocks + [_transfer(destination, block_qp + 1, _PROBE_BYTES, begin) for begin in probes]
    return TrialLoad(
        transfers={host: tuple(sorted(own, key=lambda transfer: transfer.offset_ns)) for host, own in sent.items()},
        seed=seed,
        duration_ns=duration_ns,
        unfinished_ok=True,
    )


def _transfer(peer: str, qp: int, size_bytes: int, offset_ns: int) -> Transfer:
    return Transfer(peer=peer, qp=qp, size_bytes=size_bytes, offset_ns=offset_ns, priority=LOSSLESS_PRIORITY)


_COUNTER = ObservationPoint.DUT_COUNTER
_ENDPOINT = ObservationPoint.ENDPOINT

STORM = Procedure(
    changes=storm_changes,
    site=storm_site,
    load=storm_load,
    measure=measure_storm,
    quantities=(
        Quantity(kpi="storm_occurred", unit="1", observation_point=_COUNTER),
        Quantity(kpi="deadlock_occurred", unit="1", observation_point=_COUNTER),
        Quantity(kpi="pause_propagation_depth", unit="hops", observation_point=_COUNTER),
        Quantity(kpi="zero_throughput_duration", unit="ms", observation_point=_ENDPOINT),
        Quantity(kpi="recovery_time", unit="ms", observation_point=_ENDPOINT),
        Quantity(kpi="PFC_frame_count", unit="frames", observation_point=_COUNTER),
        Quantity(kpi="watchdog_trips", unit="trips", observation_point=_COUNTER),
    ),
)
"""Test 8.4, PFC Storm and Deadlock Resilience."""
