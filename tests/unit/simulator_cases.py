"""The cases by which the simulator's speed is known: whole for `make bench`, small for a test of the work they take."""

from collections.abc import Callable, Mapping

from aibench_lib.model import Topology
from aibench_lib.simulator import Ecn, Parameters, Pfc, Simulation
from aibench_lib.sweep.patterns import flows, parse_pattern
from aibench_lib.topology import parse_topology
from aibench_lib.units import GBPS, KIB, MIB

PAYLOAD_BYTES = 4096
ECN = Ecn(800_000, 3_200_000, 0.2)
PFC = Pfc(alpha=0.125)


def star(hosts: int) -> Topology:
    return _fabric(kind="single_switch", hosts=hosts)


def fat_tree(radix: int) -> Topology:
    """Of switches with so many ports: 128 hosts at radix 8, 1024 at 16."""
    half = radix // 2
    return _fabric(
        kind="three_tier_clos",
        pods=radix,
        leaves_per_pod=half,
        spines_per_pod=half,
        superspines=half * half,
        hosts_per_leaf=half,
    )


def _fabric(**shape: object) -> Topology:
    return parse_topology({"link_bps": 400 * GBPS, "fabric": shape}, "case")


def simulation(topology: Topology, **pattern: object) -> Simulation:
    """A pattern at 400 Gb/s with DCQCN, ECN, PFC, a shared buffer and all counters on."""
    parameters = Parameters(dcqcn="ns3-hpcc", mtu_bytes=PAYLOAD_BYTES, propagation_ns=1_000)
    made = Simulation(topology, parameters, seed=1)
    switches = set(topology.switches)
    for link in topology.links:
        for port in (link.a, link.b):
            if port.node in switches:
                made.set_ecn(port, 3, ECN)
                made.set_pfc(port, 3, PFC)
    size = int(str(pattern["size_bytes"]))
    for flow in flows(parse_pattern(pattern, "case"), topology, seed=1):
        made.start_flow(flow.source, flow.destination, size, flow.start_ps, flow.qp)
    return made


WHOLE: Mapping[str, Callable[[], Simulation]] = {
    "(a) incast 32:1, 16 MiB": lambda: simulation(star(33), kind="incast", senders=32, size_bytes=16 * MIB),
    "(b) permutation, 128 hosts, 16 MiB": lambda: simulation(fat_tree(8), kind="permutation", size_bytes=16 * MIB),
    "(c) permutation, 1024 hosts, 4 MiB": lambda: simulation(fat_tree(16), kind="permutation", size_bytes=4 * MIB),
    "(d) all-to-all, 128 hosts, 64 KiB": lambda: simulation(fat_tree(8), kind="all_to_all", size_bytes=64 * KIB),
}
SMALL: Mapping[str, Callable[[], Simulation]] = {
    "incast": lambda: simulation(star(17), kind="incast", senders=16, size_bytes=MIB),
    "permutation": lambda: simulation(fat_tree(4), kind="permutation", size_bytes=2 * MIB),
    "all-to-all": lambda: simulation(fat_tree(4), kind="all_to_all", size_bytes=64 * KIB),
}
