"""What the simulator refuses, and the paths it computes."""

import dataclasses

import pytest
import yaml
from simulator_fabrics import RECEIVER, clos, star

from aibench_lib.errors import SpecError
from aibench_lib.model import Link, Port, Topology
from aibench_lib.simulator import PRESETS, Ecn, Parameters, Simulation
from aibench_lib.simulator.routes import shortest_paths
from aibench_lib.spec import build
from aibench_lib.units import GBPS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mtu_byte": 4096}, "mtu_byte: unknown key; did you mean 'mtu_bytes'?"),
        ({"mtu_bytes": "4096"}, "mtu_bytes: '4096' is not an integer of at least 1"),
        ({"dcqcn": "nvidia"}, "dcqcn: 'nvidia' is not one of nvidia-default, paper-2015, ns3-hpcc, uet-nscc-like, off"),
        ({"dcqcn": {"preset": "off", "gain": 0.1}}, "dcqcn.preset: off has no parameters"),
        ({"dcqcn": {"preset": "ns3-hpcc", "cnp_gap": 1}}, "dcqcn.cnp_gap: unknown key; did you mean 'cnp_gap_ns'?"),
        ({"dcqcn": {"preset": "ns3-hpcc", "gain": 2}}, "gain and max_cut must be in (0, 1]"),
        ({"dcqcn": {"gain": 0.1}}, "dcqcn: 'None' is not one of nvidia-default"),
        ({"forwarding": "fast"}, "forwarding: 'fast' is not one of store-and-forward, cut-through"),
        ({"mark_at": "ingress"}, "mark_at: 'ingress' is not one of dequeue, enqueue"),
        ({"control_priority": 8}, "control_priority: 8 is not a priority"),
    ],
)
def test_parameters_from_an_inventory_name_the_key_that_is_wrong(values: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(Parameters, values, "lab.yml: simulation")
    assert message in str(caught.value)
    assert str(caught.value).startswith("lab.yml: simulation")


def test_an_inventory_may_change_single_parameters_of_a_preset_or_turn_congestion_control_off() -> None:
    values = yaml.safe_load("dcqcn: {preset: ns3-hpcc, cnp_gap_ns: 4000}")
    changed = build(Parameters, values, "lab.yml: simulation").congestion_control
    preset = PRESETS["ns3-hpcc"]
    assert preset is not None
    assert changed == dataclasses.replace(preset, cnp_gap_ns=4000)
    for off in ("dcqcn: off", "dcqcn: 'off'"):
        assert build(Parameters, yaml.safe_load(off), "lab.yml: simulation").congestion_control is None


@pytest.mark.parametrize(("kmin", "kmax", "pmax"), [(-1, 0, 0.1), (2, 1, 0.1), (1, 2, 1.5)])
def test_ecn_thresholds_must_be_in_order_and_the_probability_one(kmin: int, kmax: int, pmax: float) -> None:
    with pytest.raises(ValueError):
        Ecn(kmin, kmax, pmax)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("s9", "receiver", 1, 0, 1), "s9: not a host"),
        (("s1", "leaf", 1, 0, 1), "leaf: not a host"),
        (("s1", "s1", 1, 0, 1), "two different hosts"),
        (("s1", "receiver", 0, 0, 1), "size_bytes is 0"),
        (("s1", "receiver", 1, 99, 1), "before now, 100"),
        (("s1", "receiver", 1, 100, 1, 6), "priority 6"),
        (("s1", "receiver", 1, 100, 1, 8), "priority 8"),
    ],
)
def test_a_flow_that_cannot_be_is_refused(arguments: tuple, message: str) -> None:
    simulation = Simulation(star(1), Parameters(), seed=1)
    simulation.advance(100)
    with pytest.raises(SpecError, match=message):
        simulation.start_flow(*arguments)
    assert simulation.idle


def test_a_queue_pair_keeps_its_priority() -> None:
    simulation = Simulation(star(1), Parameters(), seed=1)
    simulation.start_flow("s1", "receiver", 1, 0, qp=1, priority=3)
    with pytest.raises(SpecError, match="queue pair 1"):
        simulation.start_flow("s1", "receiver", 1, 0, qp=1, priority=4)


def test_ports_priorities_and_times_that_do_not_exist_are_refused() -> None:
    simulation = Simulation(star(1), Parameters(), seed=1)
    with pytest.raises(SpecError, match="leaf:eth9: not a port"):
        simulation.set_ecn(Port("leaf", "eth9"), 3, None)
    with pytest.raises(SpecError, match="8 is not a priority"):
        simulation.set_ecn(RECEIVER, 8, None)
    with pytest.raises(SpecError, match="a host's NIC does not mark"):
        simulation.set_ecn(Port("s1", "nic"), 3, None)
    with pytest.raises(SpecError, match="every_ps"):
        simulation.record_series([(RECEIVER, 3)], every_ps=0)
    simulation.advance(10)
    with pytest.raises(SpecError, match="before now"):
        simulation.advance(9)


def test_a_link_without_a_rate_is_refused() -> None:
    link = Link(Port("a", "nic"), Port("b", "nic"), 0)
    with pytest.raises(SpecError, match="link a:nic - b:nic: its rate is 0"):
        Simulation(Topology(("a", "b"), (), (link,)), Parameters(), seed=1)


def test_hosts_without_a_path_between_them_are_refused() -> None:
    links = tuple(Link(Port(f"leaf{n}", "down"), Port(f"h{n}", "nic"), GBPS) for n in (1, 2))
    simulation = Simulation(Topology(("h1", "h2"), ("leaf1", "leaf2"), links), Parameters(), seed=1)
    with pytest.raises(SpecError, match="no path"):
        simulation.start_flow("h1", "h2", 1, 0, qp=1)


def test_every_shortest_path_is_a_next_hop_and_hosts_forward_nothing() -> None:
    topology = clos(leaves=2, spines=3, hosts_per_leaf=2)
    ports = [end for link in topology.links for end in (link.a, link.b)]
    routes = shortest_paths(topology, ports)
    nodes = [*topology.switches, *topology.hosts]

    def towards(node: str, host: str) -> set[str]:
        count, *members = routes.next_hops[routes.sets[nodes.index(node), topology.hosts.index(host)]]
        return {str(ports[index]) for index in members[:count]}

    assert towards("leaf0", "h0-1") == {"leaf0:host1"}
    assert towards("leaf0", "h1-0") == {"leaf0:up0", "leaf0:up1", "leaf0:up2"}
    assert towards("spine2", "h1-1") == {"spine2:down1"}
    assert towards("h0-0", "h0-1") == {"h0-0:nic"}


def test_the_hash_spreads_queue_pairs_evenly_over_equal_paths() -> None:
    # 1024 one-packet messages on 4 uplinks: 256 each, standard deviation 14.
    topology = clos(leaves=2, spines=4, hosts_per_leaf=1)
    simulation = Simulation(topology, Parameters(dcqcn="off"), seed=1)
    for qp in range(1024):
        simulation.start_flow("h0-0", "h1-0", 4096, 0, qp=qp)
    simulation.advance()
    counters = simulation.counters()
    uplinks = counters[(counters["node"] == "leaf0") & (counters["priority"] == 3)]["tx_packets"][1:]
    assert uplinks.sum() == 1024
    assert abs(uplinks - 256).max() < 3 * 14
