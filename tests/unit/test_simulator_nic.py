"""The NIC of a host: what a message costs, the bus behind it, and how many queue pairs it holds."""

import pytest
from simulator_fabrics import HOP_PS, LINE_BPS, PACKET_BYTES, PACKET_PS, chain, row

from aibench_lib.errors import SpecError
from aibench_lib.model import Port
from aibench_lib.simulator import Nic, Parameters, Simulation
from aibench_lib.spec import build


def run(nic: object, messages: int = 1, qps: int = 1, packets: int = 10, **parameters: object) -> Simulation:
    """Return a simulation of messages from ``a`` to ``b``, one switch between them, all posted at time 0."""
    simulation = Simulation(chain(2), Parameters(dcqcn="off", nic=nic, **parameters), seed=1)
    for qp in range(qps):
        for _ in range(messages):
            simulation.start_flow("a", "b", packets * 4096, 0, qp=qp)
    simulation.advance()
    return simulation


def last_ps(simulation: Simulation) -> int:
    return int(simulation.completions()["received_ps"].max())


def test_each_message_of_a_queue_pair_costs_its_overhead() -> None:
    plain = 3 * 10 * PACKET_PS + PACKET_PS + 2 * HOP_PS
    assert last_ps(run(Nic(), messages=3)) == plain
    assert last_ps(run({"message_overhead_ns": 500}, messages=3)) == plain + 3 * 500_000


def test_queue_pairs_take_up_messages_at_the_same_time() -> None:
    simulation = run(Nic(message_overhead_ns=500), qps=3)
    assert last_ps(simulation) == 3 * 10 * PACKET_PS + PACKET_PS + 2 * HOP_PS + 500_000


def test_a_message_to_an_idle_queue_pair_costs_its_overhead_again() -> None:
    simulation = run(Nic(message_overhead_ns=500))
    start = simulation.now_ps + 10_000_000
    simulation.start_flow("a", "b", 4096, start, qp=0)
    simulation.advance()
    assert last_ps(simulation) - start == 500_000 + 2 * (PACKET_PS + HOP_PS)


def test_a_nic_sends_no_faster_than_its_bus() -> None:
    simulation = run({"pcie_bps": LINE_BPS // 2}, qps=2, packets=100)
    assert last_ps(simulation) == 200 * 2 * PACKET_PS + PACKET_PS + 2 * HOP_PS
    assert row(simulation, Port("switch1", "out"))["peak_depth_bytes"] <= PACKET_BYTES


def test_a_bus_faster_than_the_link_changes_nothing() -> None:
    assert last_ps(run({"pcie_bps": 2 * LINE_BPS}, packets=100)) == 101 * PACKET_PS + 2 * HOP_PS


def test_what_a_slow_bus_feeds_is_not_cut_through_before_it_is_whole() -> None:
    simulation = run({"pcie_bps": LINE_BPS // 2}, packets=1, forwarding="cut-through")
    assert last_ps(simulation) == 3 * PACKET_PS + 2 * HOP_PS


def test_a_nic_holds_no_more_queue_pairs_than_its_profile_says() -> None:
    simulation = Simulation(chain(2), Parameters(nic=Nic(max_qps=2)), seed=1)
    simulation.start_flow("a", "b", 1, 0, qp=1)
    simulation.start_flow("b", "a", 1, 0, qp=1)
    simulation.start_flow("a", "b", 1, 0, qp=1)
    with pytest.raises(SpecError, match=r"a: its NIC holds no more than 2 queue pairs \(nic.max_qps\)"):
        simulation.start_flow("a", "b", 1, 0, qp=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pcie": 1}, "nic.pcie: unknown key; did you mean 'pcie_bps'?"),
        ({"pcie_bps": 0}, "nic.pcie_bps: 0 is not an integer of at least 1"),
        ({"message_overhead_ns": -1}, "nic.message_overhead_ns: -1 is not an integer of at least 0"),
        ({"max_qps": "8"}, "nic.max_qps: '8' is not an integer of at least 1"),
        (7, "nic: expected keys and values, found int"),
    ],
)
def test_a_wrong_profile_names_the_key(values: object, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(Parameters, {"nic": values}, "lab.yml: simulation")
    assert message in str(caught.value)
