import itertools

import networkx as nx
import pytest
from clos import clos, fabric_of
from simulated_inventory import LAB

from aibench_lib.errors import NotAttainable, SpecError
from aibench_lib.model import Port
from aibench_lib.procedures.cycle import cycle_of, dependencies, feeding_pairs, find_cycle, passing_pairs
from aibench_lib.procedures.fabric_paths import Detour, paths, switches_with_choices

FABRIC = fabric_of(clos(3, 2, 4))
TOPOLOGY = FABRIC.topology


def nodes(path):
    return [port.node for port in path]


def test_three_leaves_and_two_spines_have_a_circle_through_four_switches():
    cycle = cycle_of(FABRIC)
    assert sorted(nodes(cycle.ports)) == ["leaf1", "leaf2", "spine1", "spine2"]
    for port, following in zip(cycle.ports, (*cycle.ports[1:], cycle.ports[0]), strict=True):
        assert TOPOLOGY.neighbour(port).node == following.node


def test_detours_go_down_up_and_down_again_and_reach_their_destination():
    cycle = cycle_of(FABRIC)
    first, second = cycle.detours
    (way,) = paths(TOPOLOGY, cycle.detours, "prefill11", first.destination)
    assert nodes(way) == ["prefill11", "leaf1", "spine1", "leaf2", "spine2", "leaf3"]
    (way,) = paths(TOPOLOGY, cycle.detours, "prefill21", second.destination)
    assert nodes(way) == ["prefill21", "leaf2", "spine2", "leaf1", "spine1", "leaf3"]


@pytest.mark.parametrize(("leaves", "spines"), [(3, 2), (3, 3), (5, 2), (5, 4)])
def test_a_clos_waits_for_itself_with_the_detours_and_not_without(leaves, spines):
    fabric = fabric_of(clos(leaves, spines, 4))
    cycle = cycle_of(fabric)
    everyone = list(itertools.permutations(fabric.topology.hosts, 2))
    assert nx.is_directed_acyclic_graph(dependencies(fabric.topology, (), everyone))
    with_detours = dependencies(fabric.topology, cycle.detours, everyone)
    assert not nx.is_directed_acyclic_graph(with_detours)
    assert all(
        with_detours.has_edge(a, b) for a, b in zip(cycle.ports, (*cycle.ports[1:], cycle.ports[0]), strict=True)
    )


def test_every_host_still_reaches_every_other_without_a_loop():
    cycle = cycle_of(FABRIC)
    for source in TOPOLOGY.hosts:
        for destination in TOPOLOGY.hosts:
            if source != destination:
                for way in paths(TOPOLOGY, cycle.detours, source, destination):
                    assert len(set(nodes(way))) == len(way)


@pytest.mark.parametrize(
    ("leaves", "spines", "reason"),
    [(1, 0, "this fabric has 1"), (2, 2, "this fabric has 2"), (3, 1, "this fabric has none")],
)
def test_a_fabric_without_a_circle_is_told_why(leaves, spines, reason):
    with pytest.raises(NotAttainable, match=reason):
        cycle_of(fabric_of(clos(leaves, spines, 4)))


def test_a_circle_needs_two_destinations_under_its_last_leaf():
    with pytest.raises(NotAttainable, match="two decode workers"):
        find_cycle(TOPOLOGY, TOPOLOGY.hosts, ("decode11", "decode21", "decode31"))


def test_prefill_workers_feed_the_circle_of_the_simulated_lab_and_decode_workers_receive():
    cycle = cycle_of(LAB.fabric("8.4"))
    pairs = feeding_pairs(LAB.fabric("8.4"), cycle, 4)
    assert len(pairs) == 8
    assert all(source.startswith("prefill") and destination.startswith("decode") for source, destination in pairs)
    assert {destination for _, destination in pairs} == {detour.destination for detour in cycle.detours}


def test_workers_of_the_other_pool_feed_it_where_prefill_workers_are_on_one_leaf():
    pools = {"prefill": ("prefill11", "prefill12"), "decode": FABRIC.pools["decode"]}
    fabric = type(FABRIC)(topology=TOPOLOGY, pools=pools)
    assert cycle_of(fabric).leaves[0] == "leaf1"


def test_others_pass_between_each_two_leaves():
    cycle = cycle_of(FABRIC)
    leaf = {host: TOPOLOGY.attachment(host).node for host in TOPOLOGY.hosts}
    passing = passing_pairs(FABRIC, cycle)
    assert len({(leaf[a], leaf[b]) for a, b in passing}) == 6


def test_a_detour_that_leads_back_is_found():
    back = Detour(destination="prefill31", ports=(Port("leaf1", "up1"), Port("spine1", "down1")))
    with pytest.raises(SpecError, match="comes back to leaf1"):
        paths(TOPOLOGY, [back], "prefill11", "prefill31")


def test_only_leaves_of_a_two_tier_clos_have_a_choice():
    pairs = list(itertools.permutations(TOPOLOGY.hosts, 2))
    assert switches_with_choices(TOPOLOGY, pairs) == ("leaf1", "leaf2", "leaf3")
    assert switches_with_choices(TOPOLOGY, [("prefill11", "prefill21")]) == ("leaf1",)
    assert switches_with_choices(clos(1, 0, 4), [("prefill11", "prefill12")]) == ()
