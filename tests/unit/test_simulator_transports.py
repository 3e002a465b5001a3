"""Receivers that keep packets out of order, senders that repeat single packets or hold a window."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator_fabrics import (
    BLOCK_BYTES,
    HOP_PS,
    LINE_BPS,
    PACKET_BYTES,
    PACKET_PS,
    RECEIVER,
    chain,
    check_conservation,
    clos,
    digest,
    fat_tree,
    permutation,
    row,
    star,
)

from aibench_lib.model import Port, Topology
from aibench_lib.simulator import PRESETS, Ecn, LoadBalancing, Parameters, Simulation, UetNsccLike

SELECTIVE = {"transport": "selective-repeat", "receiver": "out-of-order"}
NSCC = {"dcqcn": "uet-nscc-like", **SELECTIVE}
ACK_PS = 1_280


def sprayed(topology: Topology, **parameters: object) -> Simulation:
    """Return a simulation all of whose switches spray."""
    simulation = Simulation(topology, Parameters(**({"dcqcn": "off"} | parameters)), seed=1)
    for switch in topology.switches:
        simulation.set_load_balancing(switch, LoadBalancing("packet_spray"))
    return simulation


def two_paths(**parameters: object) -> Simulation:
    """Return two senders of 300 packets each, sprayed over two paths to two receivers."""
    simulation = sprayed(clos(2, 2, 2), **parameters)
    for number in range(2):
        simulation.start_flow(f"h0-{number}", f"h1-{number}", 300 * 4096, 0, qp=1)
    simulation.advance()
    return simulation


def overload(**parameters: object) -> Simulation:
    """Return two senders of 400 packets each, at 280 Gb/s, to one port with little buffer: gaps without reordering."""
    defaults = {"dcqcn": "off", "buffer_bytes": 20 * PACKET_BYTES, "retransmit_timeout_ns": 200_000}
    simulation = Simulation(star(2, sender_bps=LINE_BPS * 7 // 10), Parameters(**(defaults | parameters)), seed=1)
    for sender in ("s1", "s2"):
        simulation.start_flow(sender, "receiver", 400 * 4096, 0, qp=1)
    simulation.advance()
    return simulation


def lossy_run(dcqcn: str, seed: int = 3, **transport: str) -> Simulation:
    """Return a small run with spray, marks, drops, timeouts, several messages and queue pairs."""
    topology = clos(leaves=2, spines=2, hosts_per_leaf=3)
    parameters = Parameters(
        dcqcn=dcqcn, buffer_bytes=60_000, retransmit_timeout_ns=150_000, window_packets=40, **transport
    )
    simulation = Simulation(topology, parameters, seed)
    for switch in topology.switches:
        simulation.set_load_balancing(switch, LoadBalancing("packet_spray"))
        simulation.set_ecn(Port("leaf1", "host0"), 3, Ecn(8_000, 40_000, 0.5))
    for number, source in enumerate(("h0-0", "h0-1", "h0-2", "h1-1")):
        for message in range(4):
            simulation.start_flow(source, "h1-0", 60_000 + 1000 * message, number * 50_000, qp=message % 2)
    simulation.advance()
    return simulation


def test_packets_on_one_path_are_never_reordered() -> None:
    simulation = overload()
    assert simulation.completions()["retransmitted_packets"].any()
    assert not simulation.completions()["reordered_packets"].any()
    assert simulation.hosts()["out_of_sequence_packets"].any()  # the gaps a loss leaves


def test_a_go_back_n_receiver_takes_reordering_for_loss() -> None:
    simulation = two_paths(nack_gap_ns=10_000)
    flows = simulation.completions()
    assert not simulation.counters()["dropped_packets"].any()
    assert flows["reordered_packets"].any()
    assert flows["retransmitted_packets"].any()
    assert flows["received_ps"].max() > 400 * PACKET_PS


@pytest.mark.parametrize("transport", ["go-back-n", "selective-repeat"])
def test_an_out_of_order_receiver_needs_no_retransmission_for_reordering(transport: str) -> None:
    simulation = two_paths(transport=transport, receiver="out-of-order")
    flows, hosts = simulation.completions(), simulation.hosts()
    assert not flows["retransmitted_packets"].any()
    assert flows["reordered_packets"].all()
    assert hosts[hosts["node"] == "h0-0"]["out_of_sequence_packets"] == 0
    assert hosts["out_of_sequence_packets"].sum() >= flows["reordered_packets"].sum() / 2
    assert flows["received_ps"].max() < 340 * PACKET_PS + 4 * HOP_PS


def test_selective_repeat_sends_exactly_the_dropped_packets_again() -> None:
    simulation = overload(reordering_ns=0, **SELECTIVE)
    dropped = row(simulation, RECEIVER)["dropped_packets"]
    assert dropped > 100
    assert simulation.completions()["retransmitted_packets"].sum() == dropped
    assert row(simulation, Port("receiver", "nic"))["rx_packets"] == 800


def test_go_back_n_sends_more_again_than_selective_repeat() -> None:
    sent_again = {}
    for name, transport in (("go-back-n", {}), ("selective", SELECTIVE)):
        simulation = overload(nack_gap_ns=10_000, **transport)
        sent_again[name] = simulation.completions()["retransmitted_packets"].sum()
    assert sent_again["go-back-n"] > 1.5 * sent_again["selective"]


def test_the_loss_of_a_last_packet_is_repaired_by_the_timeout() -> None:
    simulation = Simulation(
        star(3),
        Parameters(dcqcn="off", buffer_bytes=PACKET_BYTES, retransmit_timeout_ns=100_000, **SELECTIVE),
        seed=1,
    )
    for sender in ("s1", "s2", "s3"):
        simulation.start_flow(sender, "receiver", 4096, 0, qp=1)
    simulation.advance()
    unloaded = 2 * PACKET_PS + 2 * HOP_PS
    received = simulation.completions()["received_ps"].tolist()
    assert received == [unloaded, unloaded + PACKET_PS, 100_000_000 + unloaded]


def test_a_sender_is_never_further_ahead_than_the_receivers_window() -> None:
    # A round trip of 2 PACKET_PS + ACKs + 4 us carries 10 packets: the rate is 10 packets a round trip.
    simulation = Simulation(chain(2), Parameters(dcqcn="off", window_packets=10, **SELECTIVE), seed=1)
    simulation.start_flow("a", "b", 500 * 4096, 0, qp=1)
    simulation.advance()
    round_trip = 2 * (PACKET_PS + ACK_PS) + 4 * HOP_PS
    assert simulation.completions()["received_ps"][0] == 49 * round_trip + 11 * PACKET_PS + 2 * HOP_PS


def test_selective_repeat_needs_a_receiver_that_keeps_packets() -> None:
    with pytest.raises(ValueError, match="selective-repeat needs receiver: out-of-order"):
        Parameters(transport="selective-repeat")
    with pytest.raises(ValueError, match="transport: 'tcp' is not one of go-back-n"):
        Parameters(transport="tcp")
    with pytest.raises(ValueError, match="receiver: 'any' is not one of in-order"):
        Parameters(receiver="any")
    with pytest.raises(ValueError, match="max_cut: 0 is not in"):
        UetNsccLike(max_cut=0)
    assert Parameters(dcqcn={"preset": "uet-nscc-like", "target_delay": 0.5}).congestion_control == UetNsccLike(
        target_delay=0.5
    )


def test_a_window_of_one_product_keeps_a_lone_flow_at_line_rate() -> None:
    simulation = Simulation(chain(6), Parameters(**NSCC), seed=1)
    simulation.start_flow("a", "b", BLOCK_BYTES, 0, qp=1)
    simulation.advance()
    assert simulation.completions()["received_ps"][0] == 347_039_160


@pytest.mark.parametrize("transport", [SELECTIVE, {}])
def test_windows_share_a_port_fairly_and_hold_its_queue_near_the_target(transport: dict[str, str]) -> None:
    simulation = Simulation(star(8), Parameters(dcqcn="uet-nscc-like", **transport), seed=1)
    for number in range(1, 9):
        simulation.start_flow(f"s{number}", "receiver", BLOCK_BYTES // 4, 0, qp=1)
    simulation.record_series([(RECEIVER, 3)], every_ps=1_000_000)
    simulation.advance()
    received = simulation.completions()["received_ps"]
    total = 8 * 1024 * PACKET_PS
    assert received.max() < 1.02 * total
    assert received.min() > 0.85 * total
    product = LINE_BPS / 8 * 4.3e-6
    settled = simulation.series()["depth_bytes"][100 : int(received.min() // 1_000_000)]
    assert 0.3 * product < np.mean(settled) < 1.5 * product


def test_marks_hold_the_window_below_the_delay_target() -> None:
    # Two sources share a port whose marks come at a tenth of the target: the queue stays well below it.
    depths = {}
    for marks in (False, True):
        simulation = Simulation(star(2), Parameters(**NSCC), seed=1)
        if marks:
            simulation.set_ecn(RECEIVER, 3, Ecn(16_000, 16_000, 1.0))
        for number in (1, 2):
            simulation.start_flow(f"s{number}", "receiver", BLOCK_BYTES, 0, qp=1)
        simulation.record_series([(RECEIVER, 3)], every_ps=1_000_000)
        simulation.advance(600_000_000)
        depths[marks] = simulation.series()["depth_bytes"][200:].mean()
    assert depths[True] < 0.9 * depths[False]


def test_spray_with_windows_gives_every_flow_of_a_permutation_at_least_85_percent_of_line_rate() -> None:
    topology = fat_tree(4)
    simulation = sprayed(topology, **NSCC)
    for source, destination in permutation(topology, seed=1):
        simulation.start_flow(source, destination, 4 << 20, 0, qp=1)
    simulation.advance()
    flows = simulation.completions()
    assert flows["received_ps"].max() <= (1029 * PACKET_PS + 6 * HOP_PS) / 0.85
    assert not flows["retransmitted_packets"].any()


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(PRESETS)),
    st.sampled_from([SELECTIVE, {"receiver": "out-of-order"}, {}]),
    st.integers(10_000, 200_000),
    st.integers(2, 200),
    st.sampled_from([0, 1_000, 20_000]),
    st.sampled_from(["ecmp", "packet_spray", "least_queue", "flowlet"]),
    st.lists(
        st.tuples(
            st.integers(0, 5), st.integers(1, 5), st.integers(1, 150_000), st.integers(0, 9_000_000), st.integers(0, 1)
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_every_transport_conserves_bytes_and_completes(
    dcqcn, transport, buffer_bytes, window, reordering, mode, messages
) -> None:
    topology = clos(2, 2, 3)
    parameters = Parameters(
        dcqcn=dcqcn,
        buffer_bytes=buffer_bytes,
        window_packets=window,
        reordering_ns=reordering,
        retransmit_timeout_ns=100_000,
        **transport,
    )
    simulation = Simulation(topology, parameters, seed=1)
    for switch in topology.switches:
        simulation.set_load_balancing(switch, LoadBalancing(mode, flowlet_gap_ns=1_000))
    for source, shift, size, start, qp in messages:
        simulation.start_flow(f"h{source % 2}-{source // 2}", topology.hosts[_other(source, shift)], size, start, qp)
    for until in range(0, 40_000_000, 4_000_000):
        simulation.advance(until)
        check_conservation(simulation, topology)
    simulation.advance()
    check_conservation(simulation, topology)
    flows = simulation.completions()
    assert len(flows) == len(messages)
    assert (flows["received_ps"] <= flows["completed_ps"]).all()
    arrived = row_sum(simulation, "rx_packets")
    assert arrived >= sum(-(-message[2] // 4096) for message in messages)


def _other(source: int, shift: int) -> int:
    here = source % 2 * 3 + source // 2
    return (here + shift) % 6


def row_sum(simulation: Simulation, name: str) -> int:
    """Return the sum of a counter of the data priority over the hosts' NICs."""
    counters = simulation.counters()
    return int(counters[(counters["interface"] == "nic") & (counters["priority"] == 3)][name].sum())


CASES = [
    ("off", SELECTIVE),
    ("ns3-hpcc", SELECTIVE),
    ("ns3-hpcc", {"receiver": "out-of-order"}),
    ("uet-nscc-like", SELECTIVE),
    ("uet-nscc-like", {}),
]


def test_the_lossy_run_deserves_its_name() -> None:
    for dcqcn, transport in CASES:
        simulation = lossy_run(dcqcn, **transport)
        assert simulation.counters()["dropped_packets"].any()
        assert simulation.completions()["reordered_packets"].any()


def test_the_interpreted_kernel_gives_the_same_bits_as_the_compiled_one() -> None:
    program = "from test_simulator_transports import *\nfor cc, how in CASES: print(digest(lossy_run(cc, **how)))"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parent)}
    interpreted = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    assert interpreted.stdout.split() == [digest(lossy_run(dcqcn, **transport)) for dcqcn, transport in CASES]
