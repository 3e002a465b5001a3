"""Priority flow control: thresholds, headroom, PAUSE frames and what they hold up, against closed forms."""

import pytest
from simulator_fabrics import (
    BLOCK_PACKETS,
    HOP_PS,
    LINE_BPS,
    PACKET_BYTES,
    PACKET_PS,
    RECEIVER,
    check_conservation,
    incast,
    row,
    star,
)

from aibench_lib.errors import SpecError
from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, Parameters, Pfc, Simulation

BUFFER_BYTES = 33_554_432
FRAME_PS = 1_280
QUANTA_PS = 65_535 * 512 * 10**12 // LINE_BPS


def lossless_incast(senders: int, pfc: Pfc, ports: int | None = None, **parameters: object) -> Simulation:
    """An incast at a switch of ``ports`` hosts and the receiver, PFC at every port."""
    topology = star(ports or senders)
    values = {"dcqcn": "off", "buffer_bytes": BUFFER_BYTES, **parameters}
    simulation = Simulation(topology, Parameters(**values), seed=1)
    for link in topology.links:
        simulation.set_pfc(link.a, 3, pfc)
    for number in range(1, senders + 1):
        simulation.start_flow(f"s{number}", "receiver", BLOCK_PACKETS * 4096, 0, qp=1)
    return simulation


@pytest.mark.parametrize("senders", [2, 4, 8, 16, 32])
def test_a_lossless_incast_ends_when_one_without_pfc_and_an_endless_buffer_does(senders: int) -> None:
    simulation = lossless_incast(senders, Pfc(xoff_bytes=200_000))
    simulation.advance()
    assert simulation.completions()["received_ps"].max() == (BLOCK_PACKETS * senders + 1) * PACKET_PS + 2 * HOP_PS
    assert not simulation.counters()["dropped_packets"].any()


@pytest.mark.parametrize(("senders", "peak_mb"), [(2, 5.910), (4, 9.923), (8, 15.101), (16, 20.711), (32, 26.239)])
def test_the_buffer_fills_to_the_dynamic_thresholds_and_what_is_on_the_way(senders: int, peak_mb: float) -> None:
    # T = alpha S / (1 + alpha N) of a pool S of what 33 ports leave; peak N (T + reserve + 2 propagation C + a packet).
    pfc = Pfc(alpha=1 / 8, headroom_bytes=150_000)
    simulation = lossless_incast(senders, pfc, ports=32, pause_response_ns=0)
    simulation.advance()
    assert simulation.buffers()["peak_bytes"][0] == pytest.approx(peak_mb * 1e6, rel=0.02)
    assert not simulation.counters()["dropped_packets"].any()


def test_a_group_may_have_a_reserve_of_its_own_to_which_its_share_of_the_free_pool_comes() -> None:
    pfc = Pfc(alpha=1 / 128, headroom_bytes=150_000, reserved_bytes=300_000)
    simulation = lossless_incast(2, pfc)
    port = row(simulation, Port("leaf", "to-s1"))
    while not port["pause_tx_frames"]:
        simulation.advance(simulation.now_ps + PACKET_PS)
        port = row(simulation, Port("leaf", "to-s1"))
    pool = BUFFER_BYTES - 3 * (300_000 + 150_000)
    share = pool / (128 + 2)
    assert port["ingress_bytes"] == pytest.approx(300_000 + share, abs=2 * PACKET_BYTES)


def test_congestion_control_with_pfc_comes_near_what_the_authors_of_its_parameters_simulate() -> None:
    # 32:1 of 16 MiB; ns-3 gave 8.38 to 12.47 ms, a peak queue of 24.2 MB, 220 XOFF.
    pfc = Pfc(alpha=1 / 8, headroom_bytes=150_000)
    simulation = lossless_incast(32, pfc, dcqcn="ns3-hpcc", pause_response_ns=0)
    simulation.set_ecn(RECEIVER, 3, Ecn(800_000, 3_200_000, 0.2))
    simulation.advance()
    assert simulation.completions()["completed_ps"].max() == pytest.approx(12.47e9, rel=0.05)
    assert row(simulation, RECEIVER)["peak_depth_bytes"] == pytest.approx(24.2e6, rel=0.1)
    assert not simulation.counters()["dropped_packets"].any()


def held_up(headroom_bytes: int | None) -> Simulation:
    """s1's lossless packets find no way out, and s1 is sent full packets that its PAUSE frames must wait for."""
    simulation = Simulation(star(3), Parameters(dcqcn="off", buffer_bytes=BUFFER_BYTES), seed=1)
    simulation.set_pfc(Port("leaf", "to-s1"), 3, Pfc(xoff_bytes=50_000, headroom_bytes=headroom_bytes))
    simulation.start_flow("s1", "receiver", 1 << 20, 0, qp=1)
    simulation.start_flow("s2", "receiver", 1 << 20, 0, qp=1, priority=5)
    simulation.start_flow("s3", "s1", 1 << 20, 0, qp=1, priority=5)
    return simulation


def test_headroom_computed_from_the_link_is_what_is_needed_at_worst_to_a_packet() -> None:
    # 3.158 us of propagation and response are 157,900 B, a frame, and three packets.
    simulation = held_up(None)
    needed = simulation.headroom_bytes(Port("leaf", "to-s1"))
    assert needed == 157_900 + 64 + 3 * PACKET_BYTES
    simulation.advance(15_000_000)
    ingress = row(simulation, Port("leaf", "to-s1"))
    assert needed - 2 * PACKET_BYTES < ingress["headroom_bytes"] <= needed
    assert not simulation.counters()["dropped_packets"].any()


def test_two_packets_less_of_headroom_lose_packets() -> None:
    needed = held_up(None).headroom_bytes(Port("leaf", "to-s1"))
    simulation = held_up(needed - 2 * PACKET_BYTES)
    simulation.advance()
    counters = simulation.counters()
    assert counters["dropped_no_buffer_packets"].sum() == counters["dropped_packets"].sum() > 0
    check_conservation(simulation, star(3))


def test_a_pause_frame_takes_effect_after_serialisation_propagation_and_response() -> None:
    simulation = lossless_incast(2, Pfc(xoff_bytes=10 * PACKET_BYTES), pause_response_ns=500)
    simulation.record_series([(Port("s1", "nic"), 3), (Port("leaf", "to-s1"), 3)], every_ps=1_000)
    simulation.advance(8_000_000)
    nic, leaf = (simulation.series()[simulation.series()["index"] == index] for index in (0, 1))
    said = leaf["time_ps"][leaf["pause_tx_frames"] == 1][0]
    heard = nic["time_ps"][nic["pause_rx_frames"] == 1][0]
    assert heard - said == pytest.approx(FRAME_PS + HOP_PS + 500_000, abs=1_000 + FRAME_PS)  # an ACK may be under way
    silent = nic[nic["paused_ps"] > PACKET_PS]
    assert silent["tx_packets"].min() == silent["tx_packets"].max()
    assert silent["paused_ps"][-1] == pytest.approx(8_000_000 - heard, abs=1_000)


def test_both_ends_of_a_link_count_the_same_frames_and_the_nic_stands_still_while_it_is_paused() -> None:
    simulation = lossless_incast(8, Pfc(xoff_bytes=100_000))
    simulation.advance()
    total = simulation.now_ps
    for number in range(1, 9):
        leaf, nic = row(simulation, Port("leaf", f"to-s{number}")), row(simulation, Port(f"s{number}", "nic"))
        assert leaf["pause_tx_frames"] == nic["pause_rx_frames"] == 2 * nic["pause_transitions"] > 0
        assert leaf["pause_rx_frames"] == nic["pause_tx_frames"] == leaf["paused_ps"] == 0
        sending = BLOCK_PACKETS * PACKET_PS
        assert nic["paused_ps"] + sending <= total
        assert nic["paused_ps"] == pytest.approx(total * 7 / 8, rel=0.02)


def test_priorities_without_pfc_pass_paused_ones() -> None:
    simulation = lossless_incast(8, Pfc(xoff_bytes=100_000))
    other = simulation.start_flow("s1", "s2", 1 << 20, 0, qp=9, priority=4)
    simulation.advance()
    flow = simulation.completions()[other]
    assert flow["received_ps"] <= (256 + 2) * PACKET_PS + 2 * HOP_PS + PACKET_PS


def test_pfc_may_be_set_and_taken_back_while_packets_wait() -> None:
    topology = star(8)
    simulation = incast(8, buffer_bytes=BUFFER_BYTES)
    simulation.advance(20_000_000)
    for link in topology.links:
        simulation.set_pfc(link.a, 3, Pfc(xoff_bytes=100_000))
    simulation.advance(60_000_000)
    check_conservation(simulation, topology)
    assert row(simulation, Port("s1", "nic"))["paused_ps"] > 0
    for link in topology.links:
        simulation.set_pfc(link.a, 3, None)
    simulation.advance(60_000_000 + 2_300_000)
    before = row(simulation, Port("s1", "nic"))
    simulation.advance(70_000_000)
    after = row(simulation, Port("s1", "nic"))
    assert before["paused_ps"] == after["paused_ps"]
    assert after["tx_packets"] - before["tx_packets"] >= 92
    simulation.advance()
    check_conservation(simulation, topology)
    assert not simulation.counters()["ingress_bytes"].any()
    assert not simulation.counters()["headroom_bytes"].any()


@pytest.mark.parametrize(
    "values", [{}, {"xoff_bytes": 1, "alpha": 0.1}, {"alpha": 0.0}, {"xoff_bytes": -1}, {"xoff_bytes": 1.5}]
)
def test_a_threshold_is_static_or_dynamic_and_not_negative(values: dict) -> None:
    with pytest.raises(ValueError):
        Pfc(**values)


def test_pfc_needs_a_switch_port_and_the_buffer_for_its_headroom() -> None:
    simulation = Simulation(star(1), Parameters(buffer_bytes=200_000), seed=1)
    simulation.set_pfc(RECEIVER, 3, Pfc(xoff_bytes=10_000))
    with pytest.raises(SpecError, match="leaf: PFC needs 349068 B"):
        simulation.set_pfc(Port("leaf", "to-s1"), 3, Pfc(xoff_bytes=10_000))
    simulation.set_pfc(Port("leaf", "to-s1"), 3, Pfc(xoff_bytes=10_000, headroom_bytes=10_000))
    with pytest.raises(SpecError, match="s1:nic: a host's NIC"):
        simulation.set_pfc(Port("s1", "nic"), 3, None)
