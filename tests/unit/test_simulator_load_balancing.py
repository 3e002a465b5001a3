"""How switches choose among equal-cost ports: by hash, flowlet, packet or queue."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from simulator_fabrics import LINE_BPS, PACKET_PS, check_conservation, clos, digest, fat_tree, permutation
from simulator_rates import DATA_PRIORITIES, classes, fairness, hashed_path, max_min

from aibench_lib.errors import SpecError
from aibench_lib.model import Link, Port, Topology
from aibench_lib.simulator import LoadBalancing, Parameters, Simulation

MODES = ("ecmp", "flowlet", "packet_spray", "least_queue")


def uplink_packets(simulation: Simulation, leaf: str = "leaf0") -> list[int]:
    """Return the data packets each uplink of a leaf has sent."""
    counters = simulation.counters()
    chosen = (
        (counters["node"] == leaf) & (np.char.startswith(counters["interface"], "up")) & (counters["priority"] == 3)
    )
    return counters[chosen]["tx_packets"].tolist()


def balanced(topology: Topology, balancing: LoadBalancing, seed: int = 1, **parameters: object) -> Simulation:
    """Return a simulation all of whose switches use the same load balancing."""
    simulation = Simulation(topology, Parameters(**({"dcqcn": "off"} | parameters)), seed)
    for switch in topology.switches:
        simulation.set_load_balancing(switch, balancing)
    return simulation


def mixed_run(seed: int = 5) -> Simulation:
    """A small run through switches of every mode."""
    topology = clos(leaves=4, spines=3, hosts_per_leaf=2)
    simulation = Simulation(topology, Parameters(buffer_bytes=60_000, retransmit_timeout_ns=100_000), seed)
    for switch, mode in zip(topology.switches, MODES * 2, strict=False):
        simulation.set_load_balancing(switch, LoadBalancing(mode, flowlet_gap_ns=2_000))
    for number, host in enumerate(topology.hosts):
        for qp in range(2):
            simulation.start_flow(host, topology.hosts[(number + 3) % 8], 60_000, number * 1_000, qp)
    simulation.advance()
    return simulation


def test_a_hash_keeps_a_queue_pair_on_one_path_and_packets_in_order() -> None:
    simulation = balanced(clos(2, 4, 1), LoadBalancing())
    simulation.start_flow("h0-0", "h1-0", 100 * 4096, 0, qp=1)
    simulation.advance()
    assert sorted(uplink_packets(simulation)) == [0, 0, 0, 100]


def test_spray_sends_each_packet_over_a_random_uplink() -> None:
    simulation = balanced(clos(2, 4, 1), LoadBalancing("packet_spray"))
    simulation.start_flow("h0-0", "h1-0", 4000 * 4096, 0, qp=1)
    simulation.advance()
    counts = np.array(uplink_packets(simulation))
    assert counts.sum() == 4000
    assert ((counts - 1000) ** 2 / 1000).sum() < 16.3  # chi square of three degrees of freedom, 99.9 %


def test_least_queue_shares_two_senders_evenly_between_two_uplinks() -> None:
    # At each instant of two packets the second finds the first one's port busy: the split is even.
    simulation = balanced(clos(2, 2, 2), LoadBalancing("least_queue"))
    for number in range(2):
        simulation.start_flow(f"h0-{number}", f"h1-{number}", 500 * 4096, 0, qp=1)
    simulation.advance()
    assert uplink_packets(simulation) == [500, 500]
    assert simulation.counters()["peak_depth_bytes"][:].max() <= 3 * 4158


def test_least_queue_prefers_the_faster_of_two_uplinks_when_both_have_a_queue() -> None:
    hosts = [f"s{number}" for number in range(4)]
    links = [Link(Port("leaf0", name), Port(name, "nic"), LINE_BPS) for name in hosts]
    for number, share in enumerate((1, 4)):
        links.append(Link(Port("leaf0", f"up{number}"), Port(f"spine{number}", "down"), share * LINE_BPS // 4))
        links.append(Link(Port(f"spine{number}", "out"), Port("end", f"nic{number}"), LINE_BPS))
    switches = ("leaf0", "spine0", "spine1")
    topology = Topology((*hosts, "end"), switches, tuple(links))
    simulation = balanced(topology, LoadBalancing("least_queue"), buffer_bytes=1 << 30)
    for name in hosts:
        simulation.start_flow(name, "end", 500 * 4096, 0, qp=1)
    simulation.advance(1_000 * PACKET_PS)
    slow, fast = uplink_packets(simulation)
    assert fast == pytest.approx(4 * slow, rel=0.02)


def test_a_flowlet_moves_only_after_the_gap() -> None:
    # Twenty bursts of ten packets; a burst never splits, and the bursts use all four uplinks.
    simulation = balanced(clos(2, 4, 1), LoadBalancing("flowlet", flowlet_gap_ns=10_000))
    for burst in range(20):
        simulation.start_flow("h0-0", "h1-0", 10 * 4096, burst * 20_000_000, qp=1)
    simulation.advance()
    counts = uplink_packets(simulation)
    assert sum(counts) == 200
    assert all(count and count % 10 == 0 for count in counts)


def test_without_gaps_a_flowlet_is_the_whole_message() -> None:
    simulation = balanced(clos(2, 4, 1), LoadBalancing("flowlet", flowlet_gap_ns=1_000))
    simulation.start_flow("h0-0", "h1-0", 100 * 4096, 0, qp=1)
    simulation.advance()
    assert sorted(uplink_packets(simulation)) == [0, 0, 0, 100]


def test_the_draws_of_a_switch_do_not_depend_on_traffic_through_others() -> None:
    def uplinks(with_other_traffic: bool) -> list[int]:
        simulation = balanced(clos(3, 3, 2), LoadBalancing("packet_spray"))
        simulation.start_flow("h0-0", "h1-0", 300 * 4096, 0, qp=1)
        if with_other_traffic:
            simulation.start_flow("h1-1", "h2-0", 300 * 4096, 0, qp=1)
        simulation.advance()
        return uplink_packets(simulation)

    assert uplinks(with_other_traffic=True) == uplinks(with_other_traffic=False)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_conserves_bytes_and_completes(mode: str) -> None:
    topology = clos(3, 3, 3)
    simulation = balanced(topology, LoadBalancing(mode), buffer_bytes=80_000, retransmit_timeout_ns=100_000)
    for number, host in enumerate(topology.hosts):
        simulation.start_flow(host, topology.hosts[(number + 4) % 9], 100_000, 0, qp=1)
    for until in range(0, 60_000_000, 5_000_000):
        simulation.advance(until)
        check_conservation(simulation, topology)
    simulation.advance()
    check_conservation(simulation, topology)
    assert len(simulation.completions()) == 9


def test_an_unknown_switch_or_mode_is_refused() -> None:
    with pytest.raises(SpecError, match="leaf9: not a switch"):
        Simulation(clos(1, 1, 2), Parameters(), seed=1).set_load_balancing("leaf9", LoadBalancing())
    with pytest.raises(ValueError, match="mode: 'hash' is not one of ecmp, flowlet"):
        LoadBalancing("hash")
    with pytest.raises(ValueError, match="flowlet_gap_ns: 0"):
        LoadBalancing("flowlet", flowlet_gap_ns=0)


def test_a_switch_that_changes_to_flowlets_twice_keeps_one_table() -> None:
    simulation = balanced(clos(2, 4, 1), LoadBalancing("flowlet"))
    for mode in ("ecmp", "flowlet", "packet_spray", "flowlet"):
        simulation.set_load_balancing("leaf0", LoadBalancing(mode))
    simulation.start_flow("h0-0", "h1-0", 10 * 4096, 0, qp=1)
    simulation.advance()
    assert sorted(uplink_packets(simulation)) == [0, 0, 0, 10]


def test_the_interpreted_kernel_takes_the_same_paths_as_the_compiled_one() -> None:
    program = "from test_simulator_load_balancing import *\nprint(digest(mixed_run()))"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parent)}
    interpreted = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    assert interpreted.stdout.split() == [digest(mixed_run())]


@pytest.mark.slow
@pytest.mark.parametrize(("flows", "links"), [(16, 16), (32, 32), (64, 32), (128, 16)])
def test_the_hash_spreads_flows_as_evenly_as_chance_does(flows: int, links: int) -> None:
    seeds = 200
    loads = []
    for seed in range(seeds):
        simulation = balanced(clos(2, links, 1), LoadBalancing(), seed)
        for qp in range(flows):
            simulation.start_flow("h0-0", "h1-0", 1, 0, qp)
        simulation.advance()
        loads.append(uplink_packets(simulation))
    chance = fairness(np.random.default_rng(1).multinomial(flows, [1 / links] * links, 20_000).astype(float))
    deviation = chance.std() / seeds**0.5
    assert fairness(np.array(loads, float)).mean() == pytest.approx(chance.mean(), abs=3 * deviation)


@pytest.mark.parametrize(("k", "mean_share"), [(4, None), pytest.param(8, 0.478, marks=pytest.mark.slow)])
def test_fairly_queued_windows_give_a_permutation_its_max_min_shares(k: int, mean_share: float | None) -> None:
    # Windows without congestion control, large enough to be queued everywhere, and a class of equal weight for each of
    # the flows of a link: the ideal to which the solver's shares belong.
    topology = fat_tree(k)
    pairs = permutation(topology, seed=1)
    ideal = {"buffer_bytes": 1 << 30, "transport": "selective-repeat", "receiver": "out-of-order"}
    simulation = balanced(topology, LoadBalancing(), reordering_ns=10**9, **ideal)
    probe = balanced(topology, LoadBalancing(), **ideal)
    for source, destination in pairs:
        probe.start_flow(source, destination, 1, 0, qp=1)
    paths = [hashed_path(probe, qp) for qp in range(len(pairs))]
    for link in topology.links:
        for port in (link.a, link.b):
            if port.node in topology.switches:
                simulation.set_scheduling(port, dict.fromkeys(DATA_PRIORITIES, 1))
    for (source, destination), priority in zip(pairs, classes(paths), strict=True):
        simulation.start_flow(source, destination, 1 << 34, 0, qp=1, priority=priority)

    def received() -> np.ndarray:
        counters = simulation.counters()
        data = counters[(counters["interface"] == "nic") & (counters["priority"] != 6)]
        return np.array([data[data["node"] == destination]["rx_packets"].sum() for _, destination in pairs])

    simulation.advance(300_000_000)
    before = received()
    simulation.advance(500_000_000)
    shares = (received() - before) * PACKET_PS / 200e6
    expected = max_min(paths)
    assert shares.mean() == pytest.approx(expected.mean(), rel=0.1)
    assert shares.min() == pytest.approx(expected.min(), rel=0.1)
    assert np.abs(shares / expected - 1).mean() < 0.06
    if mean_share is not None:
        assert expected.mean() == pytest.approx(mean_share, abs=2 * 0.020)
