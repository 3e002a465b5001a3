"""Test 8.2: bursts of KV cache transfers against a PFC threshold, and what they do to traffic beside them.

Three kinds of transfer, told apart by their queue pair:

* the *burst*: a block from each of N prefill workers to one decode worker under the same leaf;
* the *probe*: small messages of another traffic class, from one of these workers to the same receiver, so that they
  share every link and queue of the burst, but not its class;
* the *victim*: small messages of the burst's own class, from the same worker to another leaf, so that they share
  nothing but the paused link between worker and leaf.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from aibench_lib import kpi
from aibench_lib.catalogue import benchmark
from aibench_lib.errors import SpecError, UndefinedKpi
from aibench_lib.model import ObservationPoint, Topology, Transfer, TrialLoad
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
    growth,
)
from aibench_lib.units import BITS_PER_BYTE, NS_PER_SECOND, NS_PER_US

BURST_QP, PROBE_QP, VICTIM_QP = 1, 2, 3

_RESUMED_NS = 250_000
"""Probe and victim go on for so long after the burst could be over, were nothing lost."""
_PAUSE_COUNTER = f"rx_prio{LOSSLESS_PRIORITY}_pause_duration"


def pfc_threshold(setting: Point, fabric: Fabric) -> tuple[Change, ...]:
    """Configure the setting's PFC threshold on the leaf under test: other platforms may know no threshold in bytes.

    Draft: Section 8.2; the DUT is the individual leaf switch.
    """
    return (Change(feature="pfc", values=setting, only=(fabric.leaf,)),)


def burst_site(point: Point, fabric: Fabric) -> Site:
    """Place a burst on one leaf, and the victim's receiver under another.

    Draft: Section 8.2; the DUT is the individual leaf switch.

    Raises:
        SpecError: The leaf has too few prefill workers, or no decode worker hangs elsewhere.
    """
    wanted = int(point["concurrent_transfers"])
    topology, decode = fabric.topology, fabric.pools["decode"]
    leaf = fabric.leaf
    local, receivers = fabric.workers_on(leaf, "prefill"), fabric.workers_on(leaf, "decode")
    remote = [host for host in decode if host not in receivers]
    if len(local) < wanted or not receivers:
        raise SpecError(
            f"inventory: test 8.2 needs {wanted} prefill workers and a decode worker on {leaf}, "
            f"there are {len(local)} and {len(receivers)}; add workers, or name another leaf_under_test"
        )
    if not remote:
        raise SpecError(f"inventory: test 8.2 needs a decode worker that is not on {leaf}; add one to the group decode")
    port = topology.attachment(receivers[0])
    return Site(senders=tuple(local[:wanted]), receivers=(receivers[0], remote[0]), watched=(port,))


def burst_load(point: Point, site: Site, terms: Terms, seed: int) -> TrialLoad:
    """Let every sender post one block at a time drawn uniformly from the window; probe and victim begin before it.

    Draft: Section 8.2; T_arrival is the window.
    """
    numbers = benchmark("8.2").constants
    calm_ns = numbers["undisturbed_us"] * NS_PER_US
    window_ns = round(float(point["arrival_window_seconds"]) * NS_PER_SECOND)
    size = int(point["message_bytes"])
    receiver, elsewhere = site.receivers
    offsets = np.random.default_rng(seed).integers(0, window_ns, size=len(site.senders), endpoint=True)
    transfers: dict[str, tuple[Transfer, ...]] = {
        sender: (Transfer(peer=receiver, qp=BURST_QP, size_bytes=size, offset_ns=calm_ns + int(offset)),)
        for sender, offset in zip(site.senders, offsets, strict=True)
    }
    bps = _link_bps(terms.fabric.topology, receiver)
    drain_ns = len(site.senders) * size * BITS_PER_BYTE * NS_PER_SECOND // bps
    end_ns = calm_ns + window_ns + drain_ns + _RESUMED_NS
    first = site.senders[0]
    transfers[first] += _small(receiver, PROBE_QP, numbers["probe_priority"], end_ns)
    transfers[first] += _small(elsewhere, VICTIM_QP, LOSSLESS_PRIORITY, end_ns)
    return TrialLoad(transfers={**transfers, **dict.fromkeys(site.receivers, ())}, seed=seed, start_window_ns=window_ns)


def _small(peer: str, qp: int, priority: int, end_ns: int) -> tuple[Transfer, ...]:
    numbers = benchmark("8.2").constants
    return tuple(
        Transfer(peer=peer, qp=qp, size_bytes=numbers["probe_message_bytes"], offset_ns=offset_ns, priority=priority)
        for offset_ns in range(0, end_ns, numbers["probe_interval_us"] * NS_PER_US)
    )


def _link_bps(topology: Topology, host: str) -> int:
    return next(link.bps for link in topology.links if host in (link.a.node, link.b.node))


def burst_completion_us(samples: pa.Table) -> NDArray[np.float64]:
    """Return the Fabric_FCT of each block of the burst, shape ``(n,)`` [us]; the small messages are no KV transfers.

    Draft: Section 8.2, KV cache transfer completion time; Table 4.
    """
    blocks = _stream(samples, BURST_QP)
    return kpi.fabric_fct(blocks["posted_ns"].to_numpy(), blocks["completed_ns"].to_numpy())


def probe_delay_us(samples: pa.Table) -> NDArray[np.float64]:
    """Return by how much each message of the probe was held up, shape ``(n,)`` [us].

    Draft: Section 8.2, head-of-line blocking delay imposed on other traffic classes.
    """
    return _delay_us(samples, PROBE_QP)


def victim_delay_us(samples: pa.Table) -> NDArray[np.float64]:
    """Return by how much each message of the victim was held up, shape ``(n,)`` [us].

    Draft: Section 8.2, which asks for other classes alone; this is the burst's own.
    """
    return _delay_us(samples, VICTIM_QP)


def _delay_us(samples: pa.Table, qp: int) -> NDArray[np.float64]:
    """Return the added delay of the messages posted while their host's own block was under way."""
    blocks, small = _stream(samples, BURST_QP), _stream(samples, qp)
    own = blocks.filter(pc.is_in(blocks["host"], small["host"].unique()))
    if not own.num_rows:
        return np.zeros(0, np.float64)
    try:
        return kpi.added_delay(
            small["posted_ns"].to_numpy(),
            small["completed_ns"].to_numpy(),
            calm_until_ns=pc.min(blocks["posted_ns"]).as_py(),
            begin_ns=pc.min(own["posted_ns"]).as_py(),
            end_ns=pc.max(own["completed_ns"]).as_py(),
        )
    except UndefinedKpi:
        return np.zeros(0, np.float64)


def _stream(samples: pa.Table, qp: int) -> pa.Table:
    return samples.filter(pc.equal(samples["qp"], qp))


def measure_burst(seen: Observation) -> dict[str, float | None]:
    """Return what Section 8.2 asks of one trial, and the KPIs of Appendix A for it.

    Draft: Section 8.2.

    Raises:
        TrialError: Counters or samples contradict each other.
    """
    in_trial = (seen.queue["time_ns"] >= seen.t0_ns).to_numpy()
    return {
        "PFC_frame_count": defined(lambda: float(_frames(seen))),
        "pause_duration": defined(lambda: float(_paused_us(seen))),
        "hol_blocking_delay": defined(lambda: _mean(probe_delay_us(seen.samples))),
        "victim_delay": defined(lambda: _mean(victim_delay_us(seen.samples))),
        "Buffer_utilization": defined(lambda: kpi.buffer_utilization(seen.depth_bytes()[in_trial], seen.buffer_bytes)),
        "Packet_drop_rate": defined(
            lambda: kpi.packet_drop_rate(seen.growth("dropped_packets"), seen.growth("transmit_packets"))
        ),
    }


def _frames(seen: Observation) -> int:
    """Return how many PFC frames the leaf sent to the bursting hosts."""
    ports = [seen.fabric.topology.attachment(host) for host in seen.site.senders]
    return sum(growth(seen.pfc_of(port), "pause_tx_frames") for port in ports)


def _paused_us(seen: Observation) -> int:
    """Return how long PFC kept the bursting hosts' class paused, summed over the hosts [us]."""
    silent = [host for host in seen.site.senders if _PAUSE_COUNTER not in seen.nic.get(host, {})]
    if silent:
        raise UndefinedKpi(f"pause_duration: the NIC of {silent[0]} does not count {_PAUSE_COUNTER}")
    return sum(seen.nic[host][_PAUSE_COUNTER] for host in seen.site.senders)


def _mean(values: NDArray[np.float64]) -> float:
    if not values.size:
        raise UndefinedKpi("no message was posted while the block of its host was under way")
    return float(values.mean())


_COUNTER = ObservationPoint.DUT_COUNTER
_ENDPOINT = ObservationPoint.ENDPOINT
_FRACTIONS = (0.5, 0.95, 0.99)

BURSTS = Procedure(
    changes=pfc_threshold,
    site=burst_site,
    load=burst_load,
    measure=measure_burst,
    quantities=(
        Quantity(kpi="PFC_frame_count", unit="frames", observation_point=_COUNTER),
        Quantity(kpi="pause_duration", unit="us", observation_point=_ENDPOINT),
        Quantity(kpi="hol_blocking_delay", unit="us", observation_point=_ENDPOINT),
        Quantity(kpi="victim_delay", unit="us", observation_point=_ENDPOINT),
        Quantity(kpi="Buffer_utilization", unit="%", observation_point=_COUNTER),
        Quantity(kpi="Packet_drop_rate", unit="ppm", observation_point=_COUNTER),
    ),
    distributions=(
        Distribution(
            kpi="hol_blocking_delay",
            unit="us",
            observation_point=_ENDPOINT,
            fractions=_FRACTIONS,
            of=probe_delay_us,
        ),
        Distribution(
            kpi="victim_delay", unit="us", observation_point=_ENDPOINT, fractions=_FRACTIONS, of=victim_delay_us
        ),
        Distribution(
            kpi="Fabric_FCT", unit="us", observation_point=_ENDPOINT, fractions=_FRACTIONS, of=burst_completion_us
        ),
    ),
)
"""Test 8.2, PFC Behavior Under Bursty KV Cache Transfers."""
