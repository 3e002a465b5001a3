"""What holds in every run: conservation, completion, determinism, and the same bits with the compiler off."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator_fabrics import check_conservation, clos, digest, eventful_run

from aibench_lib.model import Port
from aibench_lib.simulator import PRESETS, Ecn, Parameters, Simulation, warm_up
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
    program = f"from simulator_fabrics import *\nfor preset in {presets}: print(digest(eventful_run(preset)))"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parent)}
    interpreted = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    assert interpreted.stdout.split() == [digest(eventful_run(preset)) for preset in presets]


def test_a_compiled_kernel_is_not_announced() -> None:
    said: list[str] = []
    warm_up(said.append)
    warm_up(said.append)
    assert said in ([], ["compiling the simulator (first run only)"])


def test_parameters_alone_do_not_import_numba() -> None:
    program = "import sys, aibench_lib.simulator as s; s.Parameters(); sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
