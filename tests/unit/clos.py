"""Small fabrics for tests of procedures."""

from aibench_lib.model import Link, Port, Topology
from aibench_lib.procedures.procedure import Fabric

BPS = 400_000_000_000


def clos(leaves, spines, hosts_a_leaf, bps=BPS):
    """Return a 2-tier Clos: leaf1.., spine1.., hosts prefill1.1.. and decode1.1.. alternating on each leaf."""
    leaf_names = [f"leaf{i + 1}" for i in range(leaves)]
    spine_names = [f"spine{i + 1}" for i in range(spines)]
    links, hosts = [], []
    for i, leaf in enumerate(leaf_names):
        links += [
            Link(Port(leaf, f"up{s + 1}"), Port(spine, f"down{i + 1}"), bps) for s, spine in enumerate(spine_names)
        ]
    for i, leaf in enumerate(leaf_names):
        for h in range(hosts_a_leaf):
            host = f"{'prefill' if h % 2 == 0 else 'decode'}{i + 1}{h // 2 + 1}"
            hosts.append(host)
            links.append(Link(Port(host, "nic0"), Port(leaf, f"host{h + 1}"), bps))
    return Topology(tuple(hosts), (*leaf_names, *spine_names), tuple(links))


def fabric_of(topology, **baseline):
    pools = {pool: tuple(h for h in topology.hosts if h.startswith(pool)) for pool in ("prefill", "decode")}
    return Fabric(topology=topology, pools=pools, baseline=baseline)
