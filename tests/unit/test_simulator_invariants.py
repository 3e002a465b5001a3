"""What holds in every run: conservation, completion, determinism, and the same bits with the compiler off."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator_fabrics import check_conservation, clos, digest, eventful_run, set_pfc_everywhere, troubled_run

from aibench_lib.model import Port, Topology
from aibench_lib.simulator import (
    PRESETS,
    Detour,
    Ecn,
    Fault,
    LinkDown,
    LossyLink,
    Parameters,
    PauseStorm,
    Pfc,
    PfcWatchdog,
    Simulation,
    SwitchReload,
    warm_up,
)
from aibench_lib.units import GBPS

parameters = st.builds(
    Parameters,
    forwarding=st.sampled_from(["store-and-forward", "cut-through"]),
    mark_at=st.sampled_from(["dequeue", "enqueue"]),
    dcqcn=st.sampled_from(sorted(PRESETS)),
    buffer_bytes=st.integers(10_000, 300_000),
    propagation_ns=st.integers(0, 2_000),
    retransmit_timeout_ns=st.sampled_from([100_000, 1_000_000]),
)
ecn = st.builds(
    lambda kmin, width, pmax: Ecn(kmin, kmin + width, pmax),
    st.integers(0, 50_000),
    st.integers(0, 50_000),
    st.floats(0, 1),
)
rates = st.sampled_from([25 * GBPS, 100 * GBPS, 400 * GBPS])
messages = st.lists(
    st.tuples(
        st.integers(0, 10**6),  # source and destination, modulo the hosts there are
        st.integers(0, 10**6),
        st.integers(1, 200_000),  # bytes
        st.integers(0, 20_000_000),  # start, ps
        st.integers(0, 2),  # qp
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 2), st.integers(2, 3), rates, rates, parameters, ecn, messages, st.integers(0, 9)
)
def test_bytes_are_conserved_and_every_flow_completes(
    leaves: int,
    spines: int,
    hosts: int,
    host_bps: int,
    spine_bps: int,
    given_parameters,
    given_ecn,
    given_messages,
    seed,
) -> None:
    topology = clos(leaves, spines, hosts, host_bps, spine_bps)
    simulation = Simulation(topology, given_parameters, seed)
    for link in topology.links:
        simulation.set_ecn(link.a, 3, given_ecn)
    total = 0
    for source, shift, size, start, qp in given_messages:
        here = source % len(topology.hosts)
        there = (here + 1 + shift % (len(topology.hosts) - 1)) % len(topology.hosts)
        simulation.start_flow(topology.hosts[here], topology.hosts[there], size, start, qp)
        total += size
    for until in range(0, 40_000_000, 4_000_000):
        simulation.advance(until)
        check_conservation(simulation, topology)
    simulation.advance()
    check_conservation(simulation, topology)
    flows = simulation.completions()
    assert simulation.idle
    assert flows["size_bytes"].sum() == total
    assert len(flows) == len(given_messages)
    assert (flows["posted_ps"] < flows["received_ps"]).all()
    assert (flows["received_ps"] <= flows["completed_ps"]).all()
    assert simulation.now_ps >= flows["completed_ps"].max()
    assert not simulation.counters()["depth_bytes"].any()


thresholds = st.one_of(
    st.builds(Pfc, xoff_bytes=st.integers(0, 200_000), xon_offset_bytes=st.integers(0, 20_000)),
    st.builds(Pfc, alpha=st.sampled_from([1 / 128, 1 / 8, 1.0, 16.0]), xon_offset_bytes=st.integers(0, 20_000)),
)
lossless_parameters = st.builds(
    Parameters,
    mtu_bytes=st.sampled_from([256, 1024, 4096]),
    forwarding=st.sampled_from(["store-and-forward", "cut-through"]),
    dcqcn=st.sampled_from(["off", "ns3-hpcc"]),
    reserved_bytes=st.integers(0, 10_000),
    propagation_ns=st.integers(0, 2_000),
    pause_response_ns=st.integers(0, 2_000),
    pause_quanta=st.sampled_from([100, 65_535]),
    link_detection_ns=st.sampled_from([0, 5_000, 50_000]),
    convergence_ns=st.sampled_from([0, 20_000]),
    retransmit_timeout_ns=st.just(200_000),
)
times = st.tuples(st.integers(0, 60_000_000), st.integers(1, 60_000_000))
watchdogs = st.builds(
    PfcWatchdog, st.integers(1_000, 30_000), st.integers(1_000, 30_000), st.sampled_from(["drop", "forward"])
)


def fault_of(topology: Topology, kind: int, place: int) -> Fault:
    """Return one of the faults that this fabric can have."""
    link = topology.links[place % len(topology.links)]
    host = topology.hosts[place % len(topology.hosts)]
    faults = (
        LossyLink(link.a, 0.05),
        PauseStorm(host, 3),
        Detour(link.a.node, host, link.a),
        LinkDown(link.b),
        SwitchReload(topology.switches[place % len(topology.switches)]),
    )
    return faults[kind]


def loaded(
    topology: Topology, given_parameters: Parameters, pfc: Pfc, extra_bytes: int, given_messages: list, seed: int
) -> Simulation:
    """Return a fabric whose buffers hold the headroom PFC needs and not much more, with a load in two priorities."""
    trial = Simulation(topology, dataclasses.replace(given_parameters, buffer_bytes=1 << 40), seed)
    ends = [end for link in topology.links for end in (link.a, link.b) if end.node in topology.switches]
    needs = dict.fromkeys(topology.switches, 0)
    for end in ends:
        needs[end.node] += trial.headroom_bytes(end) + given_parameters.reserved_bytes
    buffer = max(needs.values()) + extra_bytes
    simulation = Simulation(topology, dataclasses.replace(given_parameters, buffer_bytes=buffer), seed)
    set_pfc_everywhere(simulation, topology, pfc)
    for place, shift, size, start, qp in given_messages:
        here = place % len(topology.hosts)
        there = (here + 1 + shift % (len(topology.hosts) - 1)) % len(topology.hosts)
        for priority in (3, 0):
            hosts = topology.hosts[here], topology.hosts[there]
            simulation.start_flow(*hosts, size, start, 10 * qp + priority, priority=priority)
    return simulation


fabrics = st.builds(clos, st.integers(1, 3), st.integers(1, 2), st.integers(2, 4), rates, rates)


@settings(max_examples=80, deadline=None)
@given(
    fabrics,
    lossless_parameters,
    thresholds,
    st.integers(0, 100_000),
    messages,
    st.dictionaries(st.sampled_from([0, 1, 3, 4]), st.integers(1, 5)),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 10**6), times), max_size=2),
    st.integers(0, 9),
)
def test_a_lossless_class_never_drops_for_want_of_buffer_under_any_load(
    topology, given_parameters, pfc, extra_bytes, given_messages, weights, faults, seed
) -> None:
    simulation = loaded(topology, given_parameters, pfc, extra_bytes, given_messages, seed)
    for link in topology.links:
        simulation.set_scheduling(link.a, weights)
    for kind, place, (start, length) in faults:
        simulation.inject(fault_of(topology, kind, place), start, start + length)
    for until in range(0, 150_000_000, 5_000_000):
        simulation.advance(until)
        check_conservation(simulation, topology)
    counters = simulation.counters()
    assert counters[counters["priority"] == 3]["dropped_no_buffer_packets"].sum() == 0


@settings(max_examples=80, deadline=None)
@given(
    fabrics,
    lossless_parameters,
    thresholds,
    st.integers(20_000, 100_000),
    messages,
    watchdogs,
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 10**6), times), min_size=1, max_size=4),
    st.integers(0, 9),
)
def test_bytes_are_conserved_whatever_goes_wrong_and_every_flow_completes_once_it_is_over(
    topology, given_parameters, pfc, extra_bytes, given_messages, watchdog, faults, seed
) -> None:
    simulation = loaded(topology, given_parameters, pfc, extra_bytes, given_messages, seed)
    for link in topology.links:
        simulation.set_watchdog(link.a, watchdog)
    for kind, place, (start, length) in faults:
        simulation.inject(fault_of(topology, kind, place), start, start + length)
    now = 0
    for until in range(0, 150_000_000, 5_000_000):
        simulation.advance(until)
        assert simulation.now_ps == until >= now
        now = until
        check_conservation(simulation, topology)
    simulation.advance(100_000_000_000)
    check_conservation(simulation, topology)
    assert simulation.idle
    assert len(simulation.completions()) == 2 * len(given_messages)
    counters = simulation.counters()
    assert not counters["ingress_bytes"].any()
    assert not counters["headroom_bytes"].any()
    assert not simulation.paused()


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_same_seed_gives_the_same_bytes(preset: str) -> None:
    assert digest(eventful_run(preset)) == digest(eventful_run(preset))


def test_another_seed_gives_another_run() -> None:
    assert digest(eventful_run("ns3-hpcc", seed=1)) != digest(eventful_run("ns3-hpcc", seed=2))


def test_the_eventful_run_deserves_its_name() -> None:
    simulation = eventful_run("nvidia-default")
    counters = simulation.counters()
    assert counters["ecn_marked_packets"].any()
    assert counters["dropped_packets"].any()
    assert simulation.completions()["retransmitted_packets"].any()
    for uplink in ("up0", "up1"):
        assert counters[(counters["node"] == "leaf0") & (counters["interface"] == uplink)]["tx_packets"].any()


def test_marks_at_one_port_do_not_change_the_draws_of_another() -> None:
    def marked(with_other_traffic: bool) -> int:
        topology = clos(leaves=1, spines=1, hosts_per_leaf=6)
        simulation = Simulation(topology, Parameters(dcqcn="off"), seed=3)
        for host in ("host0", "host3"):
            simulation.set_ecn(Port("leaf0", host), 3, Ecn(10_000, 1_000_000, 0.5))
        groups = [("h0-1", "h0-2", "h0-0")] + [("h0-4", "h0-5", "h0-3")] * with_other_traffic
        for first, second, to in groups:
            simulation.start_flow(first, to, 1 << 20, 0, qp=1)
            simulation.start_flow(second, to, 1 << 20, 0, qp=1)
        simulation.advance()
        counters = simulation.counters()
        return int(
            counters[(counters["node"] == "leaf0") & (counters["interface"] == "host0")]["ecn_marked_packets"][3]
        )

    assert marked(with_other_traffic=True) == marked(with_other_traffic=False) > 0


def test_the_interpreted_kernel_gives_the_same_bits_as_the_compiled_one() -> None:
    presets = sorted(PRESETS)
    program = (
        f"from simulator_fabrics import *\nfor preset in {presets}: print(digest(eventful_run(preset)))\n"
        "print(digest(troubled_run()))"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parent)}
    interpreted = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    expected = [*(digest(eventful_run(preset)) for preset in presets), digest(troubled_run())]
    assert interpreted.stdout.split() == expected


def test_the_troubled_run_deserves_its_name() -> None:
    simulation = troubled_run()
    counters = simulation.counters()
    for cause in ("no_buffer", "link_down", "corrupted", "watchdog"):
        assert counters[f"dropped_{cause}_packets"].any(), cause
    for name in ("pause_tx_frames", "paused_ps", "watchdog_trips", "lost_on_wire_bytes"):
        assert counters[name].any(), name
    assert simulation.idle


def test_a_compiled_kernel_is_not_announced() -> None:
    said: list[str] = []
    warm_up(said.append)
    warm_up(said.append)
    assert said in ([], ["compiling the simulator (first run only)"])


def test_parameters_alone_do_not_import_numba() -> None:
    program = "import sys, aibench_lib.simulator as s; s.Parameters(); sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
