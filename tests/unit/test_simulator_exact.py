"""Cases with a closed form, met to the picosecond: serialisation, store-and-forward, N:1 incast, sharing of a NIC."""

import pytest
from simulator_fabrics import (
    BLOCK_BYTES,
    BLOCK_PACKETS,
    HOP_PS,
    LINE_BPS,
    PACKET_BYTES,
    PACKET_PS,
    RECEIVER,
    chain,
    incast,
    row,
    star,
)

from aibench_lib.model import Port
from aibench_lib.simulator import Parameters, Simulation

ACK_PS = 1_280
HEADER_PS = 1_240


def test_a_single_flow_over_six_links_takes_exactly_its_serialisation_and_propagation_time() -> None:
    simulation = Simulation(chain(6), Parameters(), seed=1)
    simulation.start_flow("a", "b", BLOCK_BYTES, 0, qp=1)
    simulation.advance()
    flow = simulation.completions()[0]
    assert flow["received_ps"] == 347_039_160 == (BLOCK_PACKETS + 5) * PACKET_PS + 6 * HOP_PS
    assert flow["completed_ps"] == flow["received_ps"] + 6 * (ACK_PS + HOP_PS)
    assert simulation.idle
    assert simulation.now_ps == flow["completed_ps"]


def test_cut_through_pays_the_full_packet_once_and_the_header_at_every_switch() -> None:
    simulation = Simulation(chain(6), Parameters(forwarding="cut-through"), seed=1)
    simulation.start_flow("a", "b", BLOCK_BYTES, 0, qp=1)
    simulation.advance()
    assert simulation.completions()[0]["received_ps"] == BLOCK_PACKETS * PACKET_PS + 5 * HEADER_PS + 6 * HOP_PS


def test_a_short_last_packet_is_serialised_at_its_own_length() -> None:
    simulation = Simulation(chain(1), Parameters(), seed=1)
    simulation.start_flow("a", "b", 4096 + 100, start_ps=5, qp=1)
    simulation.advance()
    flow = simulation.completions()[0]
    assert (flow["posted_ps"], flow["size_bytes"]) == (5, 4196)
    assert flow["received_ps"] == 5 + (PACKET_BYTES + 100 + 62) * 20 + HOP_PS


@pytest.mark.parametrize("senders", [2, 4, 8, 16])
def test_the_last_flow_of_an_incast_ends_when_the_port_has_sent_every_packet(senders: int) -> None:
    simulation = incast(senders)
    simulation.advance()
    assert simulation.completions()["received_ps"].max() == (BLOCK_PACKETS * senders + 1) * PACKET_PS + 2 * HOP_PS


@pytest.mark.parametrize("senders", [2, 4, 8, 16])
def test_the_peak_queue_of_an_incast_is_what_the_senders_bring_less_what_the_port_takes(senders: int) -> None:
    simulation = incast(senders)
    simulation.advance()
    expected = BLOCK_PACKETS * PACKET_BYTES * (senders - 1)
    assert abs(row(simulation, RECEIVER)["peak_depth_bytes"] - expected) <= PACKET_BYTES


def test_queue_pairs_of_one_nic_share_it_in_turn() -> None:
    simulation = Simulation(chain(2), Parameters(), seed=1)
    for qp in range(4):
        simulation.start_flow("a", "b", 256 * 4096, 0, qp=qp)
    simulation.advance()
    received = simulation.completions()["received_ps"]
    assert received.max() == (4 * 256 + 1) * PACKET_PS + 2 * HOP_PS
    assert received.max() - received.min() <= 4 * PACKET_PS
    nic = row(simulation, Port("a", "out"))
    assert nic["peak_depth_bytes"] <= 4 * PACKET_BYTES
    assert nic["tx_packets"] == 4 * 256


def test_messages_of_one_queue_pair_are_received_in_the_order_of_their_start() -> None:
    simulation = Simulation(chain(1), Parameters(), seed=1)
    late = simulation.start_flow("a", "b", 8192, 10, qp=1)
    early = simulation.start_flow("a", "b", 8192, 0, qp=1)
    simulation.advance()
    received = dict(zip(simulation.completions()["flow"], simulation.completions()["received_ps"], strict=True))
    assert received[early] == 2 * PACKET_PS + HOP_PS
    assert received[late] == 4 * PACKET_PS + HOP_PS


def test_an_incast_takes_one_and_a_half_events_a_packet_and_link() -> None:
    # A data packet: its QP's turn, two arrivals, the end of the transmission it waited for; its ACK: two arrivals.
    simulation = incast(8, 100 * 4096)
    simulation.advance()
    packets = 8 * 100
    assert simulation.packet_hops == 4 * packets
    assert simulation.events <= 6 * packets + 3 * 8


def test_a_faster_link_is_never_fed_in_cut_through_before_the_packet_is_whole() -> None:
    simulation = Simulation(star(1, sender_bps=LINE_BPS // 4), Parameters(forwarding="cut-through"), seed=1)
    simulation.start_flow("s1", "receiver", 4096, 0, qp=1)
    simulation.advance()
    assert simulation.completions()["received_ps"][0] == 4 * PACKET_PS + PACKET_PS + 2 * HOP_PS


def test_time_stops_where_told_and_goes_on_to_the_same_end() -> None:
    whole, stepped = incast(4, 400_000), incast(4, 400_000)
    whole.advance()
    for until in range(0, 60_000_000, 777_777):
        stepped.advance(until)
        assert stepped.now_ps == until
    assert stepped.idle
    assert (stepped.completions() == whole.completions()).all()
    assert (stepped.counters() == whole.counters()).all()
