"""The PFC watchdog, and the storms it is there for."""

import numpy as np
import pytest
from simulator_fabrics import LINE_BPS, PACKET_BYTES, RECEIVER, check_conservation, row, set_pfc_everywhere, star

from aibench_lib.errors import SpecError
from aibench_lib.model import Port
from aibench_lib.simulator import Parameters, PauseStorm, Pfc, PfcWatchdog, Simulation

US = 1_000_000
MS = 1_000_000_000
HEARD_PS = 1_280 + US + 1_158_000
"""A PAUSE frame's serialisation, propagation and response time."""
QUANTA_PS = 65_535 * 512 * 10**12 // LINE_BPS


def storm(start: int, stop: int | None, watchdog: PfcWatchdog | None = None) -> Simulation:
    """Two senders, one of them to a receiver whose NIC storms."""
    simulation = Simulation(star(2), Parameters(dcqcn="off"), seed=1)
    set_pfc_everywhere(simulation, star(2), Pfc(xoff_bytes=100_000))
    simulation.set_watchdog(RECEIVER, watchdog)
    simulation.start_flow("s1", "receiver", 1 << 30, 0, qp=1)
    simulation.inject(PauseStorm("receiver", 3), start, stop)
    return simulation


def test_a_storm_pauses_its_switch_port_and_at_last_the_sender_and_costs_no_events() -> None:
    simulation = storm(100 * US, None)
    simulation.advance(MS)
    events, sent = simulation.events, row(simulation, Port("s1", "nic"))["tx_bytes"]
    simulation.advance(60 * MS)
    assert simulation.events == events
    assert row(simulation, Port("s1", "nic"))["tx_bytes"] == sent
    leaf, nic = row(simulation, RECEIVER), row(simulation, Port("receiver", "nic"))
    assert leaf["paused_ps"] == 60 * MS - 100 * US - HEARD_PS
    assert nic["pause_tx_frames"] == 1 + (60 * MS - 100 * US) // (QUANTA_PS // 2)
    assert leaf["pause_rx_frames"] in (nic["pause_tx_frames"], nic["pause_tx_frames"] - 1)
    assert leaf["pause_transitions"] == 1


@pytest.mark.parametrize("length", [1, 30 * US, 50 * US, 3 * MS])
def test_a_storm_that_falls_silent_ends_when_its_last_frames_time_is_over(length: int) -> None:
    simulation = storm(100 * US, 100 * US + length)
    simulation.advance(10 * MS)
    leaf, nic = row(simulation, RECEIVER), row(simulation, Port("receiver", "nic"))
    renewals = length // (QUANTA_PS // 2)
    assert nic["pause_tx_frames"] == leaf["pause_rx_frames"] == 1 + renewals
    assert leaf["paused_ps"] == renewals * (QUANTA_PS // 2) + QUANTA_PS // 2 * 2
    simulation.advance(12 * MS)
    sent = row(simulation, RECEIVER)["tx_bytes"] - leaf["tx_bytes"]
    assert sent == pytest.approx(2 * MS / 20, abs=2 * PACKET_BYTES)  # at line rate again


def test_a_dropping_watchdog_trips_after_its_detection_time_and_restores_after_a_time_without_pause() -> None:
    simulation = storm(100 * US, 5 * MS, PfcWatchdog(detection_ns=200_000, restoration_ns=300_000))
    simulation.record_series([(RECEIVER, 3)], every_ps=US)
    simulation.advance(20 * MS)
    series = simulation.series()
    dropped = series["time_ps"][series["dropped_packets"] > 0]
    # Packets are under way all the time, so the queue has some at once.
    assert dropped[0] == pytest.approx(100 * US + HEARD_PS + 200 * US, abs=2 * US)
    leaf = row(simulation, RECEIVER)
    assert leaf["watchdog_trips"] == 1
    assert leaf["dropped_watchdog_packets"] == leaf["dropped_packets"] > 0
    end = 100 * US + HEARD_PS + leaf["paused_ps"]
    sends_again = series["time_ps"][(series["time_ps"] > MS) & (np.diff(series["tx_packets"], prepend=0) > 0)][0]
    assert sends_again == pytest.approx(end + 300 * US, abs=3 * US)
    assert series["depth_bytes"][(series["time_ps"] > dropped[0]) & (series["time_ps"] < 5 * MS)].max() == 0
    check_conservation(simulation, star(2))


def test_a_forwarding_watchdog_sends_in_spite_of_the_pause() -> None:
    simulation = storm(100 * US, None, PfcWatchdog(detection_ns=200_000, restoration_ns=300_000, action="forward"))
    simulation.advance(MS)
    before = row(simulation, RECEIVER)
    simulation.advance(2 * MS)
    after = row(simulation, RECEIVER)
    assert after["tx_bytes"] - before["tx_bytes"] == pytest.approx(MS / 20, abs=2 * PACKET_BYTES)
    assert after["watchdog_trips"] == 1
    assert after["dropped_packets"] == 0
    assert after["paused_ps"] == 2 * MS - 100 * US - HEARD_PS  # what was received, obeyed or not


def test_a_pause_shorter_than_the_detection_time_or_without_packets_trips_nothing() -> None:
    watchdog = PfcWatchdog(detection_ns=200_000, restoration_ns=200_000)
    short = storm(100 * US, 101 * US, watchdog)
    short.advance(5 * MS)
    assert row(short, RECEIVER)["watchdog_trips"] == 0
    idle = Simulation(star(2), Parameters(), seed=1)
    set_pfc_everywhere(idle, star(2), Pfc(xoff_bytes=100_000))
    idle.set_watchdog(RECEIVER, watchdog)
    idle.inject(PauseStorm("receiver", 3), 0)
    idle.advance(50 * MS)
    assert row(idle, RECEIVER)["watchdog_trips"] == 0
    assert idle.events == 1  # the pause: nothing is polled


def test_a_watchdog_may_be_set_while_a_queue_is_stuck_and_taken_away_when_tripped() -> None:
    simulation = storm(100 * US, None)
    simulation.advance(MS)
    simulation.set_watchdog(RECEIVER, PfcWatchdog(detection_ns=100_000, restoration_ns=100_000))
    simulation.advance(MS + 101 * US)
    assert row(simulation, RECEIVER)["watchdog_trips"] == 1
    simulation.set_watchdog(RECEIVER, None)
    dropped = row(simulation, RECEIVER)["dropped_packets"]
    simulation.advance(10 * MS)
    assert row(simulation, RECEIVER)["dropped_packets"] == dropped
    assert row(simulation, RECEIVER)["depth_bytes"] > 100_000
    check_conservation(simulation, star(2))


def test_a_host_has_no_watchdog() -> None:
    with pytest.raises(SpecError, match="receiver:nic: a host's NIC has no PFC watchdog"):
        storm(0, None).set_watchdog(Port("receiver", "nic"), None)
    for values in ((0, 1), (1, 0)):
        with pytest.raises(ValueError):
            PfcWatchdog(*values)
    with pytest.raises(ValueError):
        PfcWatchdog(1, 1, "wait")
