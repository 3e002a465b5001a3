from collections import Counter

import networkx as nx
import pytest

from aibench_lib.errors import SpecError
from aibench_lib.model import Topology
from aibench_lib.topology import parse_topology
from aibench_lib.units import GBPS

LINK_BPS = 400 * GBPS
TWO_TIER = {"kind": "two_tier_clos", "leaves": 4, "spines": 2, "hosts_per_leaf": 8}
THREE_TIER = {
    "kind": "three_tier_clos",
    "pods": 4,
    "leaves_per_pod": 2,
    "spines_per_pod": 2,
    "superspines": 4,
    "hosts_per_leaf": 2,
}
RAILS = {"kind": "rail_optimised", "segments": 2, "rails": 8, "hosts_per_segment": 4, "spines": 4}
SINGLE = {"kind": "single_switch", "hosts": 33}
ALL = pytest.mark.parametrize("shape", [TWO_TIER, THREE_TIER, RAILS, SINGLE], ids=lambda shape: shape["kind"])


def fabric(shape: dict[str, object], **changes: object) -> Topology:
    return parse_topology({"link_bps": LINK_BPS, "fabric": {**shape, **changes}}, "t")


def oversubscription(topology: Topology, switch: str, above: str) -> float:
    up = sum(link.bps for link in topology.links if link.a.node == switch and link.b.node.startswith(above))
    down = sum(link.bps for link in topology.links if link.b.node == switch)
    return down / up


def leaf_of(topology: Topology) -> dict[str, str]:
    return {host: topology.attachment(host).node for host in topology.hosts}


@pytest.mark.parametrize(
    ("shape", "hosts", "switches", "links"),
    [
        (TWO_TIER, 32, 6, 32 + 4 * 2),
        (THREE_TIER, 16, 8 + 8 + 4, 16 + 4 * 2 * 2 + 8 * 2),  # the fat tree of four-port switches
        (RAILS, 8, 16 + 4, 8 * 8 + 16 * 4),
        (SINGLE, 33, 1, 33),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
def test_a_shape_has_its_hosts_switches_and_links(shape, hosts, switches, links):
    topology = fabric(shape)
    assert (len(topology.hosts), len(topology.switches), len(topology.links)) == (hosts, switches, links)


@ALL
def test_no_port_is_used_twice_and_no_name_is_given_twice(shape):
    topology = fabric(shape)
    ports = [end for link in topology.links for end in (link.a, link.b)]
    names = (*topology.hosts, *topology.switches)
    assert len(set(ports)) == len(ports)
    assert len(set(names)) == len(names)


@ALL
def test_every_node_is_connected_to_every_other(shape):
    topology = fabric(shape)
    graph = nx.Graph((link.a.node, link.b.node) for link in topology.links)
    assert set(graph) == {*topology.hosts, *topology.switches}
    assert nx.is_connected(graph)


def test_the_longest_path_between_hosts_is_that_of_the_number_of_tiers():
    for shape, hops in ((SINGLE, 2), (TWO_TIER, 4), (THREE_TIER, 6), (RAILS, 4)):
        topology = fabric(shape)
        graph = nx.Graph((link.a.node, link.b.node) for link in topology.links)
        distances = nx.single_source_shortest_path_length(graph, topology.hosts[0])
        assert max(distances[host] for host in topology.hosts) == hops


@pytest.mark.parametrize("ratio", [1, 2, 4, 1.6])
def test_a_leaf_is_oversubscribed_as_declared(ratio):
    for shape, leaf in ((TWO_TIER, "leaf4"), (RAILS, "seg2-rail8")):
        assert oversubscription(fabric(shape, oversubscription=ratio), leaf, "spine") == ratio
    three = fabric(THREE_TIER, oversubscription=ratio, superspine_oversubscription=2)
    assert oversubscription(three, "pod4-leaf2", "pod4-spine") == ratio
    assert oversubscription(three, "pod4-spine2", "superspine") == 2


def test_uplinks_have_the_hosts_rate_unless_told():
    slow = fabric(TWO_TIER, uplink_bps=100 * GBPS)
    assert {link.bps for link in fabric(THREE_TIER).links} == {LINK_BPS}
    assert Counter(link.bps for link in slow.links) == {LINK_BPS: 32, 100 * GBPS: 8}


def test_disaggregated_decode_workers_have_leaves_of_their_own():
    topology = fabric(TWO_TIER, decode_hosts=8)
    leaves = leaf_of(topology)
    assert topology.hosts[:1] == ("prefill01",)
    assert topology.hosts[-1:] == ("decode08",)
    assert {leaf for host, leaf in leaves.items() if host.startswith("decode")} == {"leaf4"}
    assert {leaf for host, leaf in leaves.items() if host.startswith("prefill")} == {"leaf1", "leaf2", "leaf3"}


def test_disaggregated_decode_workers_that_fill_a_pod_are_behind_the_superspines():
    leaves = leaf_of(fabric(THREE_TIER, decode_hosts=4))
    assert {leaf for host, leaf in leaves.items() if host.startswith("decode")} == {"pod4-leaf1", "pod4-leaf2"}


def test_mixed_decode_workers_are_as_many_on_every_leaf():
    leaves = leaf_of(fabric(TWO_TIER, decode_hosts=12, placement="mixed"))
    decodes = Counter(leaf for host, leaf in leaves.items() if host.startswith("decode"))
    assert decodes == {"leaf1": 3, "leaf2": 3, "leaf3": 3, "leaf4": 3}


def test_nic_r_of_every_host_hangs_on_the_rail_r_of_its_segment():
    nics = {(link.a.interface, link.b.node) for link in fabric(RAILS).links if link.a.node == "prefill05"}
    assert nics == {(f"nic{rail}", f"seg2-rail{rail + 1}") for rail in range(8)}


def test_ports_are_named_by_tier_and_numbered_hosts_first():
    topology = fabric(TWO_TIER, interfaces={"leaf": "Eth{}/1", "host": "mlx5_{}"})
    assert str(topology.links[0].a) == "prefill01:mlx5_0"
    assert str(topology.links[0].b) == "leaf1:Eth1/1"
    assert (str(topology.links[-1].a), str(topology.links[-1].b)) == ("leaf4:Eth10/1", "spine2:ethernet-1/4")


@pytest.mark.parametrize(
    ("shape", "changes", "message"),
    [
        (TWO_TIER, {"kind": "ring"}, r"t\.fabric\.kind: 'ring' is not one of single_switch, two_tier_clos"),
        (TWO_TIER, {"leafs": 3}, r"t\.fabric\.leafs: unknown key; did you mean 'leaves'"),
        (TWO_TIER, {"leaves": 0}, "leaves is 0, must be a whole number of at least 1"),
        (TWO_TIER, {"spines": "2"}, "spines is '2', must be a whole number"),
        (TWO_TIER, {"oversubscription": 2, "uplink_bps": 1}, "say the same; give one of them"),
        (TWO_TIER, {"oversubscription": 0}, "oversubscription is 0, must be a number above 0"),
        (TWO_TIER, {"oversubscription": 3}, "bit/s is not whole; give uplink_bps instead"),
        (TWO_TIER, {"uplink_bps": 0.5}, "uplink_bps is 0.5, must be a whole number"),
        (TWO_TIER, {"decode_hosts": 9}, "decode_hosts is 9, must be a multiple of hosts_per_leaf, 8"),
        (TWO_TIER, {"decode_hosts": 6, "placement": "mixed"}, "must be a multiple of the number of groups of hosts, 4"),
        (TWO_TIER, {"decode_hosts": 40}, "at most 32"),
        (TWO_TIER, {"placement": "split"}, "placement: 'split' is not one of disaggregated, mixed"),
        (TWO_TIER, {"interfaces": {"leaf": "Eth"}}, r"interfaces: leaf: 'Eth' must hold {} once"),
        (TWO_TIER, {"interfaces": {"leave": "Eth{}"}}, r"interfaces\.leave: unknown key"),
        (THREE_TIER, {"superspines": 3}, "superspines is 3, must be a multiple of spines_per_pod"),
        (SINGLE, {"decode_hosts": 34}, "decode_hosts is 34, must be at most hosts"),
    ],
)
def test_a_shape_that_cannot_be_built_is_refused_with_its_key(shape, changes, message):
    with pytest.raises(SpecError, match=message) as caught:
        fabric(shape, **changes)
    assert str(caught.value).startswith("t.fabric")


def test_a_topology_is_declared_by_its_shape_or_by_its_links_and_not_by_both():
    with pytest.raises(SpecError, match=r"t\.links: fabric declares it already"):
        parse_topology({"link_bps": 1, "fabric": SINGLE, "links": []}, "t")
    with pytest.raises(SpecError, match="link_bps is '400G', must be a whole number"):
        parse_topology({"link_bps": "400G", "fabric": SINGLE}, "t")
