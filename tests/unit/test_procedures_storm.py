import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clos import clos, fabric_of
from simulated_inventory import LAB

from aibench_lib.catalogue import benchmark, settings
from aibench_lib.errors import NotAttainable
from aibench_lib.procedures.cycle import cycle_of
from aibench_lib.procedures.procedure import Observation, Terms
from aibench_lib.procedures.storm import STORM
from aibench_lib.run.plan import Profile, plan_tests

MS = 1_000_000
FABRIC = fabric_of(clos(3, 2, 4), ecn={"kmin_bytes": 1}, pfc={"pfc_threshold_bytes": 2})
CYCLE = cycle_of(FABRIC)
SITE = STORM.site({}, FABRIC)
END_MS = 3000


def terms(seconds):
    return Terms(start_jitter_ns=1000, trial_seconds=seconds, fabric=FABRIC)


def test_the_watchdog_is_off_and_on():
    assert settings(benchmark("8.4")) == [{"pfc_watchdog": "off"}, {"pfc_watchdog": "on"}]


def test_the_fabric_is_configured_as_usual_with_the_watchdog_and_the_detours():
    off = STORM.changes({"pfc_watchdog": "off"}, FABRIC)
    assert [change.feature for change in off[:3]] == ["ecn", "pfc", "pfc_watchdog"]
    assert off[2].values == {"watchdog": "off"}
    on = STORM.changes({"pfc_watchdog": "on"}, FABRIC)
    assert on[2].values == {"watchdog": "on", "detection_ms": 200, "recovery_ms": 200}
    assert on[:2] == off[:2]
    assert on[3:] == off[3:]


def test_each_switch_of_the_circle_gets_its_own_static_routes():
    routes = {change.only: change.values["routes"] for change in STORM.changes({"pfc_watchdog": "on"}, FABRIC)[3:]}
    # decode31 is host 10, decode32 host 12; leaf1's first link goes to spine1, leaf2's second (link 3) to spine2.
    first, second = "10.1.0.10/32", "10.1.0.12/32"
    assert routes[("leaf1",)] == [
        {"prefix": first, "next_hop": "10.2.0.1", "interface": "up1"},
        {"prefix": second, "next_hop": "10.2.0.1", "interface": "up1"},
    ]
    assert routes[("spine1",)] == [{"prefix": first, "next_hop": "10.2.0.4", "interface": "down2"}]
    assert {route["next_hop"] for route in routes[("leaf2",)]} == {"10.2.0.7"}
    assert routes[("spine2",)] == [{"prefix": second, "next_hop": "10.2.0.2", "interface": "down1"}]


def test_a_fabric_without_a_circle_cannot_be_configured():
    with pytest.raises(NotAttainable, match="needs three leaf switches"):
        STORM.changes({"pfc_watchdog": "off"}, fabric_of(clos(2, 2, 4)))


def test_the_ports_of_the_circle_are_watched():
    assert SITE.watched == CYCLE.ports


def test_blocks_come_in_rounds_and_probes_all_the_time():
    load = STORM.load({}, SITE, terms(60.0), 7)
    assert (load.duration_ns, load.unfinished_ok) == (60_000 * MS, True)
    feeding = load.transfers["prefill11"]
    assert {transfer.peer for transfer in feeding} == {CYCLE.detours[0].destination}
    blocks = [transfer for transfer in feeding if transfer.size_bytes == 16_000_000]
    probes = [transfer for transfer in feeding if transfer.size_bytes == 4096]
    assert [transfer.offset_ns // (30_000 * MS) for transfer in blocks] == [0, 1]
    assert [transfer.offset_ns for transfer in probes] == [500 * MS * i for i in range(120)]
    assert {transfer.qp for transfer in blocks}.isdisjoint({transfer.qp for transfer in probes})


def test_a_queue_pair_leads_to_one_peer():
    load = STORM.load({}, SITE, terms(10.0), 7)
    for transfers in load.transfers.values():
        peers = {(transfer.qp, transfer.peer) for transfer in transfers}
        assert len(peers) == len({qp for qp, _ in peers})


def test_a_trial_of_no_stated_length_is_as_long_as_the_draft_wants():
    (planned,) = plan_tests(["8.4"], Profile(), LAB)
    terms = Terms(start_jitter_ns=1000, trial_seconds=planned.trial_seconds, fabric=LAB.fabric("8.4"))
    load = STORM.load({}, STORM.site({}, terms.fabric), terms, 1)
    assert load.duration_ns == 300_000 * MS


def observed(standing_ms=(), paused=CYCLE.ports, interval_ms=50, trips=None):
    """Probes every 100 ms on both detours, stuck over the times that are given; the circle's counters likewise."""
    times = np.arange(-interval_ms, END_MS + interval_ms, interval_ms)

    def stands(at):
        return any(begin < at <= end for begin, end in standing_ms)

    def released(at):
        return next((end for begin, end in standing_ms if begin < at + 0.01 <= end), None)

    steps = np.array([0 if stands(at) else 10 for at in times])
    queue = pd.DataFrame({"time_ns": times * MS, "transmit_packets": np.cumsum(steps)})
    frames = np.cumsum([100 if stands(at) else 0 for at in times])

    def pfc(port):
        grown = frames + (np.arange(times.size) if port in paused else 0)
        counted = grown if port in paused else np.zeros(times.size, int)
        return pd.DataFrame(
            {
                "time_ns": times * MS,
                "pause_rx_frames": counted,
                "pause_tx_frames": counted,
                "watchdog_trips": pd.array([None if trips is None else 0] * (times.size - 1) + [trips], dtype="Int64"),
            }
        )

    rows = []
    for host, peer in (("prefill11", CYCLE.detours[0].destination), ("prefill21", CYCLE.detours[1].destination)):
        for at in range(0, END_MS, 100):
            end = released(at)
            done = at + 0.01 if end is None else end + 1
            rows.append((host, peer, at * MS, None if done > END_MS else round(done * MS)))
    samples = pa.table(
        {
            "host": [row[0] for row in rows],
            "peer": [row[1] for row in rows],
            "intended_ns": pa.array([row[2] for row in rows], pa.int64()),
            "completed_ns": pa.array([row[3] for row in rows], pa.int64()),
        }
    )
    return Observation(
        samples=samples,
        queue_of=lambda port: queue,
        pfc_of=pfc,
        nic={host: {"rx_prio3_pause": 5 if paused else 0} for host in FABRIC.topology.hosts},
        t0_ns=0,
        t_end_ns=END_MS * MS,
        interval_ns=interval_ms * MS,
        buffer_bytes=0,
        setting={"pfc_watchdog": "off"},
        point={},
        site=SITE,
        fabric=FABRIC,
    )


def test_a_deadlock_that_stands_to_the_end_has_no_recovery():
    values = STORM.measure(observed(standing_ms=[(1000, 3100)]))
    assert values["deadlock_occurred"] == 1
    assert values["storm_occurred"] == 1
    assert values["recovery_time"] is None
    # The first probe that was stuck was posted at 1000 ms.
    assert values["zero_throughput_duration"] == pytest.approx(2000, abs=0.1)


def test_a_deadlock_that_is_broken_has_the_time_to_the_first_progress():
    values = STORM.measure(observed(standing_ms=[(1000, 1300)]))
    assert values["deadlock_occurred"] == 1
    assert values["recovery_time"] == pytest.approx(300.01, abs=0.001)
    assert values["zero_throughput_duration"] == pytest.approx(300.01, abs=0.001)


def test_the_longest_recovery_of_several_deadlocks_counts():
    values = STORM.measure(observed(standing_ms=[(500, 800), (1500, 2000)]))
    assert values["recovery_time"] == pytest.approx(500.01, abs=0.001)


def test_pause_without_a_standstill_is_a_storm_and_no_deadlock():
    values = STORM.measure(observed())
    assert (values["storm_occurred"], values["deadlock_occurred"]) == (1, 0)
    # Four ports of the circle and the NIC that feeds it.
    assert values["pause_propagation_depth"] == 5
    assert values["zero_throughput_duration"] == pytest.approx(0.01)
    assert values["recovery_time"] is None


def test_pause_at_the_neighbour_of_the_congestion_is_no_storm():
    seen = observed(paused=CYCLE.ports[:1])
    quiet = dataclasses.replace(seen, nic={host: {} for host in FABRIC.topology.hosts})
    values = STORM.measure(quiet)
    assert (values["storm_occurred"], values["pause_propagation_depth"]) == (0, 1)


def test_a_standstill_in_which_transfers_complete_is_no_deadlock():
    seen = observed(standing_ms=[(1000, 1300)])
    completed = [int(at) + MS // 100 for at in seen.samples["intended_ns"].to_pylist()]
    samples = seen.samples.set_column(3, "completed_ns", pa.array(completed, pa.int64()))
    assert STORM.measure(dataclasses.replace(seen, samples=samples))["deadlock_occurred"] == 0


def test_frames_and_trips_are_counted_over_all_switches():
    values = STORM.measure(observed(trips=3))
    ports = 2 * 6 + 12
    assert values["watchdog_trips"] == 3 * ports
    # One frame a sample at each of the four ports; 62 samples.
    assert values["PFC_frame_count"] == 4 * 61


def test_without_counters_of_pause_only_what_endpoints_show_is_known():
    seen = dataclasses.replace(observed(), pfc_of=lambda port: pd.DataFrame())
    values = STORM.measure(seen)
    assert values.pop("zero_throughput_duration") == pytest.approx(0.01)
    assert set(values.values()) == {None}
