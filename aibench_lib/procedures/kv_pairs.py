"""Section 5: which prefill and decode workers are paired, and what lies between them."""

import itertools
from collections.abc import Iterator

from aibench_lib.errors import NotAttainable, SpecError
from aibench_lib.model import Port
from aibench_lib.procedures.fabric_paths import fabric_links, paths
from aibench_lib.procedures.procedure import Fabric

Pair = tuple[str, str]
"""Prefill worker, decode worker."""


def pairs_across(fabric: Fabric, count: int) -> list[Pair]:
    """Return so many pairs of a prefill and a decode worker on different leaves; no worker is in two of them.

    On a fabric of one switch they are on that.

    Draft: Sections 5.1 and 5.3: "across the DUT fabric".

    Raises:
        NotAttainable: There are not so many.
    """
    found = list(itertools.islice(_pairs(fabric), count))
    if len(found) < count:
        raise NotAttainable(
            f"{count} pairs of a prefill and a decode worker on different leaves are needed, this lab has {len(found)} "
            f"(of {len(fabric.pools['prefill'])} prefill and {len(fabric.pools['decode'])} decode workers); add workers"
        )
    return found


def first_pair(fabric: Fabric, test: str) -> Pair:
    """Return the pair of a test between one prefill and one decode worker.

    Raises:
        SpecError: No prefill and decode worker are on different leaves.
    """
    for pair in _pairs(fabric):
        return pair
    raise SpecError(f"inventory: test {test} needs a prefill and a decode worker on different leaves; add workers")


def _pairs(fabric: Fabric) -> Iterator[Pair]:
    """Give each decode worker a free prefill worker of another leaf, of the one that has most of them.

    Where one switch has all workers, it is the fabric, and they are paired on it.
    """
    leaf = {host: fabric.topology.attachment(host).node for pool in fabric.pools.values() for host in pool}
    free: dict[str, list[str]] = {}
    for prefill in fabric.pools["prefill"]:
        free.setdefault(leaf[prefill], []).append(prefill)
    for decode in fabric.pools["decode"]:
        others = [own for name, own in free.items() if (name != leaf[decode] or len(set(leaf.values())) == 1) and own]
        if others:
            yield max(others, key=len).pop(0), decode


def used_ports(fabric: Fabric, pairs: list[Pair]) -> tuple[Port, ...]:
    """Return the switch ports that send on paths of the pairs: to the decode workers first, then between switches."""
    used = {port for pair in pairs for path in paths(fabric.topology, (), *pair) for port in path}
    between = [port for link in fabric_links(fabric.topology) for port in (link.a, link.b) if port in used]
    return (*dict.fromkeys(fabric.topology.attachment(decode) for _, decode in pairs), *between)


def bottleneck_bps(fabric: Fabric, pair: Pair) -> int:
    """Return the capacity of the fabric for a pair: that of the narrowest step of its paths between switches [bit/s].

    The equal-cost links of a step count together.  The links of the hosts are no part of it.

    Draft: Section 5.2, "fabric capacity".
    """
    bps = {port: link.bps for link in fabric_links(fabric.topology) for port in (link.a, link.b)}
    steps = [
        sum(bps[port] for port in set(ports) if port in bps)
        for ports in itertools.zip_longest(*paths(fabric.topology, (), *pair))
    ]
    return min((step for step in steps if step), default=0)


def nic_bps(fabric: Fabric, host: str) -> int:
    """Return the line rate of a host's NIC [bit/s]."""
    return min(link.bps for link in fabric.topology.links if host in (link.a.node, link.b.node))
