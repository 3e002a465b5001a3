import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator_fabrics import chain, clos

from aibench_lib.model import Link, Port, Topology
from aibench_lib.simulator.routes import NO_PORT, shortest_paths


def ends(topology: Topology) -> list[Port]:
    return [end for link in topology.links for end in (link.a, link.b)]


def next_hops(topology: Topology, down: tuple[Port, ...] = ()) -> dict[tuple[str, str], set[Port]]:
    ports = ends(topology)
    routes = shortest_paths(topology, ports, down)
    nodes = (*topology.switches, *topology.hosts)
    found = {}
    for node, name in enumerate(nodes):
        for number, host in enumerate(topology.hosts):
            count, *members = routes.next_hops[routes.sets[node, number]]
            found[name, host] = {ports[index] for index in members[:count]}
    return found


def nearest(topology: Topology, host: str) -> dict[str, int]:
    """Hops to a host over nodes that forward, by relaxation of every link until nothing changes."""
    hops = {host: 0}
    for _ in range(len(topology.switches) + 1):
        for link in topology.links:
            for here, there in ((link.a.node, link.b.node), (link.b.node, link.a.node)):
                if there in hops and (there == host or there in topology.switches):
                    hops[here] = min(hops.get(here, 1 << 20), hops[there] + 1)
    return hops


@st.composite
def fabrics(draw: st.DrawFn) -> Topology:
    switches = tuple(f"s{number}" for number in range(draw(st.integers(1, 6))))
    hosts = tuple(f"h{number}" for number in range(draw(st.integers(1, 5))))
    node = st.sampled_from(switches + hosts)
    pairs = draw(st.lists(st.tuples(node, node).filter(lambda pair: pair[0] != pair[1]), max_size=20))
    links = (Link(Port(a, f"a{number}"), Port(b, f"b{number}"), 1) for number, (a, b) in enumerate(pairs))
    return Topology(hosts, switches, tuple(links))


@settings(max_examples=200, deadline=None)
@given(fabrics())
def test_next_hops_are_all_the_ports_to_nodes_that_forward_and_are_one_hop_nearer(topology):
    hops = next_hops(topology)
    for host in topology.hosts:
        distance = nearest(topology, host)
        for node in (*topology.switches, *topology.hosts):
            if node != host:
                expected = {
                    here
                    for link in topology.links
                    for here, there in ((link.a, link.b), (link.b, link.a))
                    if here.node == node
                    and (there.node == host or there.node in topology.switches)
                    and distance.get(there.node, 1 << 20) + 1 == distance.get(node)
                }
                assert hops[node, host] == expected


@settings(max_examples=100, deadline=None)
@given(fabrics(), st.data())
def test_a_port_that_is_down_takes_its_link_out_and_nothing_else(topology, data):
    down = data.draw(st.sets(st.sampled_from(ends(topology)))) if topology.links else set()
    rest = tuple(link for link in topology.links if link.a not in down and link.b not in down)
    assert next_hops(topology, tuple(down)) == next_hops(Topology(topology.hosts, topology.switches, rest))


def test_a_leaf_without_one_uplink_sends_everything_over_the_other():
    topology = clos(leaves=2, spines=2, hosts_per_leaf=1)
    hops = next_hops(topology, (Port("spine0", "down0"),))
    assert hops["leaf0", "h1-0"] == {Port("leaf0", "up1")}
    assert hops["spine0", "h0-0"] == {Port("spine0", "down1")}


def test_where_the_only_link_is_down_there_is_no_route():
    assert next_hops(chain(2), (Port("switch1", "out"),))["a", "b"] == set()


def test_the_empty_set_is_row_zero():
    routes = shortest_paths(chain(2), ends(chain(2)))
    assert np.array_equal(routes.next_hops[0], [0, NO_PORT])
