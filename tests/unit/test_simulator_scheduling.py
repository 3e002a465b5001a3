"""Shares of a port between priorities, and shares of the buffer between queues."""

import pytest
from simulator_fabrics import (
    LINE_BPS,
    PACKET_BYTES,
    RECEIVER,
    check_conservation,
    incast,
    row,
    star,
    upstream_incast,
)

from aibench_lib.errors import SpecError
from aibench_lib.model import Port
from aibench_lib.simulator import Parameters, Pfc, Simulation


def contest(weights: dict[int, int], priorities: tuple[int, ...]) -> dict[int, float]:
    """Return each priority's share of a port that a sender at line rate in each contends for."""
    simulation = Simulation(star(len(priorities)), Parameters(dcqcn="off", buffer_bytes=1 << 40), seed=1)
    simulation.set_scheduling(RECEIVER, weights)
    for number, priority in enumerate(priorities, start=1):
        simulation.start_flow(f"s{number}", "receiver", 64 << 20, 0, qp=1, priority=priority)
    simulation.advance(200_000_000)
    before = {priority: row(simulation, RECEIVER, priority)["tx_bytes"] for priority in priorities}
    simulation.advance(1_200_000_000)
    bits = {
        priority: 8 * (row(simulation, RECEIVER, priority)["tx_bytes"] - before[priority]) for priority in priorities
    }
    return {priority: sent / (LINE_BPS * 1e-3) for priority, sent in bits.items()}


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ({0: 1, 3: 1}, {0: 1 / 2, 3: 1 / 2}),
        ({0: 1, 3: 3}, {0: 1 / 4, 3: 3 / 4}),
        ({0: 1, 3: 2, 4: 7}, {0: 1 / 10, 3: 2 / 10, 4: 7 / 10}),
    ],
)
def test_weighted_priorities_share_a_port_in_proportion(weights: dict[int, int], shares: dict[int, float]) -> None:
    assert contest(weights, tuple(weights)) == pytest.approx(shares, abs=0.002)


def test_what_has_no_weight_is_served_before_what_has() -> None:
    assert contest({0: 1, 4: 9}, (0, 3, 4)) == pytest.approx({0: 0, 3: 1, 4: 0}, abs=0.001)


def test_a_weighted_priority_takes_what_others_leave() -> None:
    assert contest({0: 1, 3: 9}, (0,)) == pytest.approx({0: 1}, abs=0.001)


def test_turns_count_bytes_not_packets() -> None:
    simulation = Simulation(star(2), Parameters(dcqcn="off", buffer_bytes=1 << 40), seed=1)
    simulation.set_scheduling(RECEIVER, {0: 1, 3: 1})
    simulation.start_flow("s1", "receiver", 32 << 20, 0, qp=1, priority=0)
    for number in range(20_000):
        simulation.start_flow("s2", "receiver", 1_000, number * 21_240, qp=1, priority=3)
    simulation.advance(50_000_000)
    before = [row(simulation, RECEIVER, priority)["tx_bytes"] for priority in (0, 3)]
    simulation.advance(350_000_000)
    large, small = (
        row(simulation, RECEIVER, priority)["tx_bytes"] - sent for priority, sent in zip((0, 3), before, strict=True)
    )
    assert large == pytest.approx(small, rel=0.005)


def test_weights_are_of_data_priorities_and_at_least_one() -> None:
    simulation = Simulation(star(1), Parameters(), seed=1)
    for weights, message in (
        ({3: 0}, "must be at least 1"),
        ({6: 1}, "priority 6 is that of ACKs"),
        ({9: 1}, "9 is not"),
    ):
        with pytest.raises(SpecError, match=message):
            simulation.set_scheduling(RECEIVER, weights)
    with pytest.raises(SpecError, match="receiver:nic"):
        simulation.set_scheduling(Port("receiver", "nic"), {3: 1})


@pytest.mark.parametrize(("alpha", "share"), [(1.0, 1 / 2), (0.5, 1 / 3), (3.0, 3 / 4)])
def test_a_queue_takes_no_more_than_its_share_of_the_free_pool(alpha: float, share: float) -> None:
    # depth = alpha (B - depth)
    simulation = incast(4, 4 << 20, buffer_bytes=4_000_000)
    simulation.set_queue_limit(RECEIVER, 3, alpha)
    simulation.advance(200_000_000)
    counters = row(simulation, RECEIVER)
    assert counters["peak_depth_bytes"] == pytest.approx(share * 4_000_000, abs=PACKET_BYTES)
    assert counters["dropped_no_buffer_packets"] == counters["dropped_packets"] > 0
    check_conservation(simulation, star(4))


def test_a_lossy_class_that_fills_the_pool_does_not_make_a_lossless_one_drop() -> None:
    simulation = Simulation(star(8), Parameters(dcqcn="off", buffer_bytes=3_000_000), seed=1)
    for link in star(8).links:
        simulation.set_pfc(link.a, 3, Pfc(alpha=1.0))
    for number in range(1, 5):
        simulation.start_flow(f"s{number}", "receiver", 4 << 20, 0, qp=1, priority=4)
        simulation.start_flow(f"s{number + 4}", "receiver", 4 << 20, 10_000_000, qp=1, priority=3)
    simulation.advance(400_000_000)
    assert row(simulation, RECEIVER, 4)["dropped_packets"] > 0
    assert row(simulation, RECEIVER, 3)["dropped_packets"] == 0
    assert simulation.buffers()["peak_bytes"][0] <= 3_000_000
    check_conservation(simulation, star(8))


@pytest.mark.parametrize("senders", [4, 8, 16])
def test_a_victim_behind_a_paused_port_gets_the_rate_of_the_incast_sender_it_shares_it_with(senders: int) -> None:
    share, duty = upstream_incast(senders, victim_priority=3)
    assert share == pytest.approx(1 / senders, rel=0.1)
    assert duty == pytest.approx(1 - 2 / senders, abs=0.02)


def test_a_victim_in_a_class_of_its_own_is_not_held_up() -> None:
    share, _ = upstream_incast(8, victim_priority=4)
    assert share == pytest.approx(1, abs=1e-4)
