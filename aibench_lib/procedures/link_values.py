"""Section 9.3: how the links between switches were used in one trial.

A link has two directions, and each is a link of its own here: what the switch at its begin sent on it in the queue of
the RDMA class.  The utilisation of a link is that from T0 to the last completion.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from aibench_lib import kpi
from aibench_lib.catalogue import benchmark
from aibench_lib.errors import UndefinedKpi
from aibench_lib.kpi.sampling import held
from aibench_lib.model import Topology
from aibench_lib.procedures.fabric_paths import fabric_links, hosts_of
from aibench_lib.procedures.procedure import Observation, defined
from aibench_lib.units import BITS_PER_BYTE, NS_PER_SECOND, NS_PER_US

_REORDERED = "out_of_sequence"


def measure_links(seen: Observation) -> dict[str, float | None]:
    """Return what Section 9.3 asks of one trial.

    Draft: Section 9.3, and Table 4 for Link_utilization.

    Raises:
        TrialError: A counter went backwards.
    """
    last = int(seen.samples["completed_ns"].to_numpy().max())
    first = int(seen.samples["posted_ns"].to_numpy().min())
    sizes = seen.samples["size_bytes"].to_numpy()
    average = _links(seen, np.array([seen.t0_ns, last]), settled=True)
    peak = _links(seen, np.arange(seen.t0_ns, last + 1, seen.interval_ns))
    return {
        "JFI": defined(lambda: kpi.jain_index(average)),
        "Link_utilization": float(average.mean()) if average.size else None,
        "maximum_link_utilization": float(average.max()) if average.size else None,
        "minimum_link_utilization": float(average.min()) if average.size else None,
        "Fabric_Goodput": defined(lambda: kpi.fabric_goodput(int(sizes.sum()), last - first)),
        "peak_link_utilization": float(peak.max()) if peak.size else None,
        "oversubscription_ratio": defined(
            lambda: oversubscription_ratio(seen.samples, seen.t0_ns, seen.fabric.topology)
        ),
        "leaf_oversubscription": leaf_oversubscription(seen.fabric.topology),
        "reordered_packets": defined(lambda: float(_reordered(seen))),
    }


def _links(seen: Observation, times: NDArray[np.int64], *, settled: bool = False) -> NDArray[np.float64]:
    """Return the utilisation of every observed link between some times, shape ``(n_links, n_times - 1)`` [%].

    Empty where a switch does not report what it sent, or the trial was shorter than a sampling interval.

    Args:
        seen: The trial.
        times: When the counters are wanted [ns].
        settled: Whether the last of the times is when the last transfer was complete.  Nothing is sent then any more,
            so the counter has its last value, whenever it was sampled.
    """
    bps = {port: link.bps for link in fabric_links(seen.fabric.topology) for port in (link.a, link.b)}
    found = []
    for port in seen.site.watched:
        queue = seen.queue_of(port)
        known = queue[queue["transmit_bytes"].notna()]
        try:
            sent = held(known["time_ns"], known["transmit_bytes"], times)
            if settled:
                sent[-1] = known["transmit_bytes"].iloc[-1]
            found.append(kpi.link_utilization(times, sent, bps[port]))
        except UndefinedKpi:
            return np.empty((0, 0))
    return np.array(found)


def oversubscription_ratio(samples: pa.Table, t0_ns: int, topology: Topology) -> float:
    """Return the load that leaves are offered for other leaves, over the capacity of their uplinks.

    Draft: Section 9.3, which names the ratio without a definition.

    Args:
        samples: One row a transfer; what is posted between T0 and the last post is offered.
        t0_ns: T0.
        topology: Tells the leaves of the hosts, and their uplinks.

    Raises:
        UndefinedKpi: Everything was posted at once.
    """
    leaf_of = {host: topology.attachment(host).node for host in topology.hosts}
    source = np.array([leaf_of[host] for host in samples["host"].to_pylist()])
    destination = np.array([leaf_of[host] for host in samples["peer"].to_pylist()])
    offered_ns = int(samples["intended_ns"].to_numpy().max()) - t0_ns
    if offered_ns <= 0:
        raise UndefinedKpi("oversubscription_ratio: everything was posted at once")
    offered_bits = BITS_PER_BYTE * int(samples["size_bytes"].to_numpy()[source != destination].sum())
    capacity_bps = sum(uplinks_bps(topology, leaf) for leaf in set(source))
    return offered_bits * NS_PER_SECOND / (offered_ns * capacity_bps)


def uplinks_bps(topology: Topology, leaf: str) -> int:
    """Return the line rate of all links from a leaf to other switches [bit/s]."""
    return sum(link.bps for link in fabric_links(topology) if leaf in (link.a.node, link.b.node))


def leaf_oversubscription(topology: Topology) -> float:
    """Return the line rate of a leaf's NICs over that of its uplinks, of the leaf where it is largest.

    Draft: Section 9.3; Section 3.1 calls the ratio of the topology the same.
    """
    nic_bps = {host: link.bps for link in topology.links for host in (link.a.node, link.b.node)}
    ratios = [
        sum(nic_bps[host] for host in hosts) / uplinks_bps(topology, leaf)
        for leaf in topology.switches
        if (hosts := hosts_of(topology, leaf))
    ]
    return max(ratios)


def _reordered(seen: Observation) -> int:
    counts = [grown[_REORDERED] for grown in seen.nic.values() if _REORDERED in grown]
    if not counts:
        raise UndefinedKpi(f"reordered_packets: no NIC counts {_REORDERED}")
    return sum(counts)


def _is_kv(samples: pa.Table) -> NDArray[np.bool_]:
    return np.asarray(samples["size_bytes"].to_numpy() >= benchmark("9.3").constants["kv_message_bytes"])


def kv_completion_us(samples: pa.Table) -> NDArray[np.float64]:
    """Return Fabric_FCT of each KV cache block, shape ``(n,)`` [us]; EP transfers are left out.

    Draft: Table 4.
    """
    of_kv = samples.filter(pa.array(_is_kv(samples)))
    return kpi.fabric_fct(of_kv["posted_ns"].to_numpy(), of_kv["completed_ns"].to_numpy())


def dispatch_us(samples: pa.Table) -> NDArray[np.float64]:
    """Return EP_alltoall_latency of each dispatch, from its first post to its last completion, shape ``(n,)`` [us].

    The n-th transfers of all pairs of workers are the n-th dispatch.

    Draft: Table 4.
    """
    of_ep = samples.filter(pa.array(~_is_kv(samples)))
    frame = of_ep.select(["host", "peer", "intended_ns", "posted_ns", "completed_ns"]).to_pandas()
    frame = frame.sort_values("intended_ns", kind="stable")
    dispatches = frame.groupby(frame.groupby(["host", "peer"]).cumcount())
    taken: pd.Series[int] = dispatches["completed_ns"].max() - dispatches["posted_ns"].min()
    return taken.to_numpy(np.float64) / NS_PER_US
