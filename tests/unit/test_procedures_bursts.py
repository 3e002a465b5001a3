import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from simulated_inventory import LAB

from aibench_lib.catalogue import benchmark
from aibench_lib.errors import SpecError, UndefinedKpi
from aibench_lib.kpi import added_delay
from aibench_lib.model import Port
from aibench_lib.procedures import bursts
from aibench_lib.procedures.bursts import BURST_QP, BURSTS, PROBE_QP, VICTIM_QP
from aibench_lib.procedures.procedure import Change, Observation, Terms

NUMBERS = benchmark("8.2").constants
CALM_NS = 1000 * NUMBERS["undisturbed_us"]
FABRIC = LAB.fabric("8.2")
TERMS = Terms(start_jitter_ns=1000, trial_seconds=None, fabric=FABRIC)
POINT = {"concurrent_transfers": 4, "message_bytes": 16_000_000, "arrival_window_seconds": 0.001}
SITE = BURSTS.site(POINT, FABRIC)


def of_qp(load, qp):
    return [(host, one) for host, sent in load.transfers.items() for one in sent if one.qp == qp]


def test_the_threshold_is_configured_on_the_leaf_under_test_alone():
    assert BURSTS.changes({"pfc_threshold_bytes": 10_000}, FABRIC) == (
        Change(feature="pfc", values={"pfc_threshold_bytes": 10_000}, only=("leaf3",)),
    )


def test_a_burst_meets_at_a_decode_worker_of_the_leaf_under_test():
    topology = FABRIC.topology
    assert {topology.attachment(host).node for host in SITE.senders} == {FABRIC.leaf_under_test}
    receiver, elsewhere = SITE.receivers
    assert SITE.watched == (topology.attachment(receiver),)
    assert SITE.watched[0].node == FABRIC.leaf_under_test
    assert topology.attachment(elsewhere).node != FABRIC.leaf_under_test


def test_without_a_leaf_under_test_it_is_the_one_of_the_first_decode_worker():
    site = BURSTS.site(POINT, dataclasses.replace(FABRIC, leaf_under_test=""))
    assert site.watched == (FABRIC.topology.attachment(FABRIC.pools["decode"][0]),)


def test_a_leaf_with_too_few_workers_is_refused_with_what_is_there():
    pools = {**FABRIC.pools, "prefill": FABRIC.pools["prefill"][:8]}
    with pytest.raises(SpecError, match="32 prefill workers and a decode worker on leaf1, there are 8 and 1"):
        BURSTS.site(
            {**POINT, "concurrent_transfers": 32}, dataclasses.replace(FABRIC, pools=pools, leaf_under_test="leaf1")
        )


def test_a_fabric_without_another_leaf_has_no_place_for_the_victims_receiver():
    leaf = FABRIC.leaf_under_test
    decode = [host for host in FABRIC.pools["decode"] if FABRIC.topology.attachment(host).node == leaf]
    with pytest.raises(SpecError, match=f"a decode worker that is not on {leaf}"):
        BURSTS.site(POINT, dataclasses.replace(FABRIC, pools={**FABRIC.pools, "decode": decode}))


@pytest.mark.parametrize("window_seconds", [0.0001, 0.001, 0.01])
def test_every_block_is_posted_within_the_arrival_window_after_the_calm(window_seconds):
    load = BURSTS.load({**POINT, "arrival_window_seconds": window_seconds}, SITE, TERMS, 1)
    blocks = of_qp(load, BURST_QP)
    assert [host for host, _ in blocks] == list(SITE.senders)
    assert {(block.peer, block.size_bytes, block.priority) for _, block in blocks} == {
        (SITE.receivers[0], 16_000_000, 3)
    }
    assert all(0 <= block.offset_ns - CALM_NS <= window_seconds * 1e9 for _, block in blocks)
    assert load.start_window_ns == round(window_seconds * 1e9)  # the workers' clocks must be known for it


def test_arrivals_are_spread_evenly_over_the_window():
    offsets = [
        block.offset_ns - CALM_NS for seed in range(500) for _, block in of_qp(BURSTS.load(POINT, SITE, TERMS, seed), 1)
    ]
    assert np.mean(offsets) == pytest.approx(500_000, rel=0.03)
    assert np.std(offsets) == pytest.approx(1_000_000 / np.sqrt(12), rel=0.03)


def test_probe_and_victim_begin_before_the_burst_and_outlast_it():
    load = BURSTS.load(POINT, SITE, TERMS, 1)
    for qp, peer, priority in ((PROBE_QP, SITE.receivers[0], 5), (VICTIM_QP, SITE.receivers[1], 3)):
        stream = of_qp(load, qp)
        assert {(host, one.peer, one.priority) for host, one in stream} == {(SITE.senders[0], peer, priority)}
        offsets = [one.offset_ns for _, one in stream]
        assert sum(offset < CALM_NS for offset in offsets) >= 5
        # 4 blocks of 16 MB at 400 Gb/s after the last of them could be posted.
        assert offsets[-1] > CALM_NS + 1_000_000 + 4 * 320_000


def test_probe_and_victim_are_less_than_a_thousandth_of_the_link():
    assert NUMBERS["probe_message_bytes"] / NUMBERS["probe_interval_us"] / 1000 * 8 < 400 / 1000


def test_the_same_seed_draws_the_same_burst_and_another_seed_another():
    assert BURSTS.load(POINT, SITE, TERMS, 5) == BURSTS.load(POINT, SITE, TERMS, 5)
    assert BURSTS.load(POINT, SITE, TERMS, 5) != BURSTS.load(POINT, SITE, TERMS, 6)


def test_added_delay_is_the_completion_time_beyond_the_undisturbed_mean():
    """Undisturbed 8 and 10 us; in the disturbance 19 and 9 us; one after it and one astride its begin do not count."""
    posted = np.array([0, 20, 35, 40, 60, 90]) * 1000
    took = np.array([8, 10, 30, 19, 9, 50]) * 1000
    delay = added_delay(posted, posted + took, calm_until_ns=40_000, begin_ns=40_000, end_ns=80_000)
    np.testing.assert_allclose(delay, [10.0, 0.0])


@pytest.mark.parametrize(("calm", "begin"), [(5_000, 10_000), (100_000, 50_000)])
def test_added_delay_needs_messages_before_and_in_the_disturbance(calm, begin):
    with pytest.raises(UndefinedKpi, match="needs both"):
        added_delay([0, 10_000], [9_000, 19_000], calm_until_ns=calm, begin_ns=begin, end_ns=200_000)


HOSTS = SITE.senders[:2]


def samples():
    """Two blocks; probe and victim of the first host: two messages before, two during, one after its block."""
    rows = [
        (HOSTS[0], BURST_QP, 16_000_000, 100, 500),
        (HOSTS[1], BURST_QP, 16_000_000, 120, 620),
        *((HOSTS[0], PROBE_QP, 1_000, at, at + took) for at, took in ((0, 9), (50, 9), (150, 10), (250, 9), (550, 90))),
        *(
            (HOSTS[0], VICTIM_QP, 1_000, at, at + took)
            for at, took in ((0, 13), (50, 13), (150, 63), (250, 23), (550, 13))
        ),
    ]
    columns = zip(*rows, strict=True)
    host, qp, size, posted, completed = columns
    return pa.table(
        {
            "host": list(host),
            "qp": pa.array(qp, pa.uint32()),
            "size_bytes": list(size),
            "posted_ns": [1000 * at for at in posted],
            "completed_ns": [1000 * at for at in completed],
        }
    )


def observed(nic=None, frames=(0, 12)):
    queue = pd.DataFrame(
        {
            "time_ns": [-10_000, 0, 100_000, 620_000],
            "transmit_packets": [5, 5, 300, 8005],
            "dropped_packets": [1, 1, 1, 1],
            "depth_bytes": [9_000_000, 0, 90_000, 500_000],
        }
    )
    ports = [FABRIC.topology.attachment(host) for host in HOSTS]

    def pfc_of(port: Port) -> pd.DataFrame:
        assert port in ports
        return pd.DataFrame({"time_ns": [0, 700_000], "pause_tx_frames": list(frames)})

    return Observation(
        samples=samples(),
        queue_of=lambda port: queue,
        pfc_of=pfc_of,
        nic=nic if nic is not None else {host: {"rx_prio3_pause_duration": 40} for host in HOSTS},
        t0_ns=0,
        t_end_ns=620_000,
        interval_ns=10_000,
        buffer_bytes=1_000_000,
        setting={"pfc_threshold_bytes": 10_000},
        point=POINT,
        site=dataclasses.replace(SITE, senders=HOSTS),
        fabric=FABRIC,
    )


def test_a_trials_values_follow_from_counters_of_leaf_and_nics_and_from_samples():
    assert BURSTS.measure(observed()) == {
        "PFC_frame_count": 24.0,
        "pause_duration": 80.0,
        "hol_blocking_delay": pytest.approx(0.5),
        "victim_delay": pytest.approx(30.0),
        "Buffer_utilization": pytest.approx(50.0),
        "Packet_drop_rate": 0.0,
    }


def test_every_quantity_is_measured():
    assert {quantity.kpi for quantity in BURSTS.quantities} == set(BURSTS.measure(observed()))


def test_a_nic_that_does_not_count_pauses_leaves_their_duration_undefined():
    values = BURSTS.measure(observed(nic={HOSTS[0]: {"rx_prio3_pause_duration": 40}, HOSTS[1]: {}}))
    assert values["pause_duration"] is None
    assert values["PFC_frame_count"] == 24.0


def test_a_switch_that_does_not_count_frames_leaves_their_number_undefined():
    assert BURSTS.measure(observed(frames=(None, None)))["PFC_frame_count"] is None


def test_completion_times_are_those_of_the_blocks_and_delays_those_of_the_small_messages():
    of = {distribution.kpi: distribution.of(samples()).tolist() for distribution in BURSTS.distributions}
    assert of == {"Fabric_FCT": [400.0, 500.0], "hol_blocking_delay": [1.0, 0.0], "victim_delay": [50.0, 10.0]}


def test_a_burst_without_small_messages_has_no_delays():
    alone = samples().slice(0, 2)
    assert bursts.probe_delay_us(alone).size == 0
    assert bursts.burst_completion_us(alone).size == 2
