"""Faults: what is lost is counted to the byte, and the fabric works on with what it has left."""

import pytest
from simulator_fabrics import (
    HOP_PS,
    LINE_BPS,
    PACKET_BYTES,
    PACKET_PS,
    chain,
    check_conservation,
    clos,
    row,
    set_pfc_everywhere,
    star,
)

from aibench_lib.errors import SpecError
from aibench_lib.model import Port
from aibench_lib.simulator import (
    Detour,
    Ecn,
    Fault,
    LinkDown,
    LoadBalancing,
    LossyLink,
    Parameters,
    PauseStorm,
    Pfc,
    Simulation,
    SwitchReload,
)

US = 1_000_000
MS = 1_000_000_000
CAUSES = ("no_buffer", "link_down", "no_route", "corrupted", "watchdog", "ttl")


def line(fault: Fault, start: int, stop: int | None, detection_us: int = 100, convergence_us: int = 300) -> Simulation:
    """a sends to b over two switches at line rate, and nothing tells it of losses for 100 ms."""
    parameters = Parameters(
        dcqcn="off",
        link_detection_ns=detection_us * 1_000,
        convergence_ns=convergence_us * 1_000,
        retransmit_timeout_ns=100_000_000,
    )
    simulation = Simulation(chain(3), parameters, seed=1)
    simulation.start_flow("a", "b", 1 << 30, 0, qp=1)
    simulation.inject(fault, start, stop)
    return simulation


def bytes_at_line_rate(time_ps: int) -> int:
    return time_ps * LINE_BPS // 8 // 10**12


def dropped(simulation: Simulation) -> dict[str, int]:
    """Return the data packets dropped, by cause."""
    counters = simulation.counters()
    counters = counters[counters["priority"] == 3]
    return {cause: int(counters[f"dropped_{cause}_packets"].sum()) for cause in CAUSES}


@pytest.mark.parametrize(("detection", "convergence"), [(100, 300), (1_000, 0), (10_000, 1_000)])
def test_a_black_hole_swallows_line_rate_for_as_long_as_it_is_undetected_and_unrouted(
    detection: int, convergence: int
) -> None:
    end = (detection + convergence + 2_000) * US
    simulation = line(LinkDown(Port("switch1", "out")), 500 * US, None, detection, convergence)
    simulation.advance(500 * US + end)
    port = row(simulation, Port("switch1", "out"))
    lost, by_cause = int(port["lost_on_wire_bytes"]), dropped(simulation)
    # Lost on the wire: what was on its way at the cut, and what was sent until the port knew.
    assert lost == pytest.approx(bytes_at_line_rate(detection * US + HOP_PS), abs=2 * PACKET_BYTES)
    # Dropped at the port: one packet that waits, and what comes until the routes no longer lead there.
    at_the_port = by_cause["link_down"] * PACKET_BYTES - lost
    assert at_the_port == pytest.approx(bytes_at_line_rate(convergence * US), abs=3 * PACKET_BYTES)
    assert by_cause["no_route"] * PACKET_BYTES == pytest.approx(bytes_at_line_rate(2_000 * US), abs=3 * PACKET_BYTES)
    delivered, sent = row(simulation, Port("b", "in")), row(simulation, Port("a", "out"))
    assert delivered["rx_bytes"] == pytest.approx(bytes_at_line_rate(500 * US - 2 * HOP_PS), abs=3 * PACKET_BYTES)
    on_the_way = sent["tx_packets"] - delivered["rx_packets"] - by_cause["link_down"] - by_cause["no_route"]
    assert on_the_way == pytest.approx(HOP_PS / PACKET_PS, abs=3)  # between a and switch1
    check_conservation(simulation, chain(3))


def test_a_link_that_comes_back_carries_again_once_both_ends_and_the_routes_know() -> None:
    simulation = line(LinkDown(Port("switch2", "in")), 500 * US, 1_000 * US)
    simulation.advance(1_300 * US)
    before = row(simulation, Port("b", "in"))["rx_packets"]
    simulation.advance(1_400 * US)
    assert row(simulation, Port("b", "in"))["rx_packets"] == before  # 100 us to detect, 300 us to converge
    simulation.advance(1_500 * US)
    after = row(simulation, Port("b", "in"))["rx_packets"]
    assert (after - before) * PACKET_BYTES == pytest.approx(bytes_at_line_rate(100 * US - 2 * HOP_PS), abs=12_000)


def test_an_outage_too_short_to_be_detected_loses_what_was_on_the_wire_and_no_more() -> None:
    simulation = line(LinkDown(Port("switch1", "out")), 500 * US, 510 * US)
    simulation.advance(MS)
    port = row(simulation, Port("switch1", "out"))
    assert port["lost_on_wire_bytes"] == pytest.approx(bytes_at_line_rate(10 * US + HOP_PS), abs=2 * PACKET_BYTES)
    assert sum(dropped(simulation).values()) == port["dropped_packets"] == port["dropped_link_down_packets"]
    check_conservation(simulation, chain(3))


def test_a_hosts_nic_keeps_what_it_has_until_its_link_is_back() -> None:
    simulation = line(LinkDown(Port("a", "out")), 500 * US, 5 * MS)
    simulation.advance(MS)
    nic = row(simulation, Port("a", "out"))
    events = simulation.events
    simulation.advance(4 * MS)
    assert simulation.events == events
    assert nic["dropped_bytes"] == nic["lost_on_wire_bytes"]
    assert nic["depth_bytes"] > 0
    simulation.advance(6 * MS)
    sent = row(simulation, Port("a", "out"))["tx_bytes"] - nic["tx_bytes"]
    assert sent == pytest.approx(bytes_at_line_rate(MS - 100 * US), abs=2 * PACKET_BYTES)


def test_senders_repair_what_a_fault_lost() -> None:
    topology = clos(2, 2, 2)
    for fault in (LinkDown(Port("leaf0", "up0")), SwitchReload("spine1"), LossyLink(Port("leaf1", "host0"), 0.01)):
        parameters = Parameters(
            dcqcn="off", link_detection_ns=20_000, convergence_ns=30_000, retransmit_timeout_ns=300_000
        )
        simulation = Simulation(topology, parameters, seed=1)
        for qp in range(8):
            simulation.start_flow("h0-0", "h1-0", 500_000, 0, qp=qp)
        simulation.inject(fault, 10 * US, 200 * US)
        simulation.advance()
        assert simulation.idle
        assert len(simulation.completions()) == 8
        assert simulation.completions()["retransmitted_packets"].any()
        check_conservation(simulation, topology)


def test_after_convergence_the_links_that_are_left_share_the_load() -> None:
    topology = clos(leaves=2, spines=4, hosts_per_leaf=4)
    simulation = Simulation(topology, Parameters(dcqcn="off", link_detection_ns=10_000, convergence_ns=10_000), seed=1)
    set_pfc_everywhere(simulation, topology, Pfc(alpha=1 / 8))
    for leaf in ("leaf0", "leaf1"):
        simulation.set_load_balancing(leaf, LoadBalancing(mode="packet_spray"))
    for number in range(4):
        simulation.start_flow(f"h0-{number}", f"h1-{number}", 1 << 30, 0, qp=1)
    simulation.inject(LinkDown(Port("spine2", "down1")), 0)
    simulation.advance(500 * US)
    before = [row(simulation, Port("leaf0", f"up{spine}"))["tx_bytes"] for spine in range(4)]
    simulation.advance(1_500 * US)
    sent = [int(row(simulation, Port("leaf0", f"up{spine}"))["tx_bytes"] - was) for spine, was in enumerate(before)]
    assert sent[2] == 0
    assert sum(sent) == pytest.approx(3 * bytes_at_line_rate(1_000 * US), rel=0.02)


def test_a_lossy_link_corrupts_in_proportion_and_whatever_happens_elsewhere() -> None:
    def corrupted(other_traffic: bool) -> int:
        topology = clos(leaves=1, spines=1, hosts_per_leaf=4)
        simulation = Simulation(topology, Parameters(dcqcn="off"), seed=5)
        simulation.inject(LossyLink(Port("h0-0", "nic"), 0.02), 0)
        simulation.inject(LossyLink(Port("h0-2", "nic"), 0.02), 0)
        for number in range(10_000):
            simulation.start_flow("h0-0", "h0-1", 1_000, number * 100_000, qp=number)
            if other_traffic:
                simulation.start_flow("h0-2", "h0-3", 1_000, number * 100_000, qp=number)
        simulation.advance(MS + US)
        return int(row(simulation, Port("leaf0", "host0"))["dropped_corrupted_packets"])

    assert corrupted(other_traffic=False) == corrupted(other_traffic=True) == pytest.approx(200, abs=3 * 14)


def test_a_switch_that_reloads_loses_all_it_held_and_comes_back_with_its_settings() -> None:
    topology = clos(2, 1, 4)
    parameters = Parameters(dcqcn="off", link_detection_ns=10_000, convergence_ns=10_000, retransmit_timeout_ns=10**8)
    simulation = Simulation(topology, parameters, seed=1)
    set_pfc_everywhere(simulation, topology, Pfc(xoff_bytes=200_000))
    for source in ("h0-0", "h1-1", "h1-2", "h1-3"):
        simulation.start_flow(source, "h1-0", 1 << 30, 0, qp=1)
    simulation.inject(SwitchReload("leaf1"), 200 * US, 400 * US)
    simulation.advance(200 * US)
    assert simulation.buffers()["used_bytes"][topology.switches.index("leaf1")] == 0
    counters = simulation.counters()
    held = counters[counters["node"] == "leaf1"]
    assert held["dropped_link_down_packets"].sum() > 0
    assert not held["ingress_bytes"].any()
    simulation.advance(380 * US)
    standing = row(simulation, Port("leaf1", "host0"))["tx_bytes"]
    check_conservation(simulation, topology)
    simulation.advance(900 * US)
    assert row(simulation, Port("leaf1", "host0"))["tx_bytes"] - standing > bytes_at_line_rate(400 * US)
    assert counters["dropped_no_buffer_packets"].sum() == 0
    check_conservation(simulation, topology)


def test_a_pause_frame_is_lost_with_its_link_and_said_again_if_it_still_holds() -> None:
    # The leaf says XOFF when a second packet must wait; its frame is on the way when its link is cut for a moment.
    for fault, paused in ((LinkDown(Port("s1", "nic")), True), (SwitchReload("leaf"), False)):
        simulation = Simulation(star(2), Parameters(dcqcn="off"), seed=1)
        set_pfc_everywhere(simulation, star(2), Pfc(xoff_bytes=PACKET_BYTES))
        for sender in ("s1", "s2"):
            simulation.start_flow(sender, "receiver", 1 << 30, 0, qp=1)
        while not row(simulation, Port("leaf", "to-s1"))["pause_tx_frames"]:
            simulation.advance(simulation.now_ps + PACKET_PS)
        cut = simulation.now_ps + PACKET_PS
        simulation.inject(fault, cut, cut + 1)
        simulation.advance(cut + HOP_PS + 1_158_000)
        assert row(simulation, Port("s1", "nic"))["pause_transitions"] == 0
        simulation.advance(cut + 2 * HOP_PS + 1_158_000)
        assert row(simulation, Port("s1", "nic"))["pause_transitions"] == paused


def test_a_detour_leads_over_the_port_it_names_until_that_is_down() -> None:
    topology = clos(2, 4, 1)
    simulation = Simulation(topology, Parameters(dcqcn="off", link_detection_ns=1_000, convergence_ns=1_000), seed=1)
    simulation.inject(Detour("leaf0", "h1-0", Port("leaf0", "up3")), 0, MS)
    simulation.inject(LinkDown(Port("leaf0", "up3")), 500 * US, 700 * US)

    def used(until: int) -> set[int]:
        before = [row(simulation, Port("leaf0", f"up{spine}"))["tx_packets"] for spine in range(4)]
        for qp in range(64):
            simulation.start_flow("h0-0", "h1-0", 4096, simulation.now_ps, qp=qp)
        simulation.advance(until)
        return {
            spine for spine in range(4) if row(simulation, Port("leaf0", f"up{spine}"))["tx_packets"] > before[spine]
        }

    simulation.advance(1)
    assert used(100 * US) == {3}
    simulation.advance(510 * US)
    assert used(600 * US) == {0, 1, 2}
    simulation.advance(710 * US)
    assert used(800 * US) == {3}
    simulation.advance(MS)
    assert used(MS + 100 * US) == {0, 1, 2, 3}


def test_settings_may_change_in_the_middle_of_a_trial() -> None:
    simulation = Simulation(clos(1, 1, 3), Parameters(dcqcn="off"), seed=1)
    target = Port("leaf0", "host2")
    for source in ("h0-0", "h0-1"):
        simulation.start_flow(source, "h0-2", 8 << 20, 0, qp=1)
    simulation.advance(100 * US)
    assert row(simulation, target)["ecn_marked_packets"] == 0
    simulation.set_ecn(target, 3, Ecn(1, 1, 1.0))
    simulation.set_scheduling(target, {3: 1})
    simulation.set_queue_limit(target, 3, 1.0)
    simulation.advance(200 * US)
    marked = row(simulation, target)["ecn_marked_packets"]
    assert marked == pytest.approx(100 * US / PACKET_PS, abs=2)
    simulation.set_ecn(target, 3, None)
    simulation.advance(300 * US)
    assert row(simulation, target)["ecn_marked_packets"] == marked


@pytest.mark.parametrize(
    ("fault", "times", "message"),
    [
        (LinkDown(Port("leaf0", "up9")), (100, None), "leaf0:up9: not a port"),
        (SwitchReload("h0-0"), (100, None), "h0-0: not a switch"),
        (PauseStorm("leaf0", 3), (100, None), "leaf0: not a host"),
        (PauseStorm("h0-0", 8), (100, None), "8 is not a priority"),
        (Detour("leaf0", "leaf1", Port("leaf0", "up0")), (100, None), "leaf1: not a host"),
        (Detour("leaf0", "h1-0", Port("leaf1", "up0")), (100, None), "leaf1:up0: not a port of leaf0"),
        (SwitchReload("leaf0"), (50, None), "start_ps 50 is before now, 100"),
        (SwitchReload("leaf0"), (200, 200), "stop_ps 200 is not after start_ps 200"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(fault: Fault, times: tuple[int, int | None], message: str) -> None:
    simulation = Simulation(clos(2, 2, 1), Parameters(), seed=1)
    simulation.advance(100)
    with pytest.raises(SpecError, match=message):
        simulation.inject(fault, *times)
