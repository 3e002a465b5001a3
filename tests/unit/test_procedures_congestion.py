import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from simulated_inventory import LAB

from aibench_lib.errors import SpecError
from aibench_lib.procedures.congestion import INCAST, completion_us
from aibench_lib.procedures.procedure import Change, Fabric, Observation, Terms

FABRIC = LAB.fabric("8.1")
POINT = {"prefill_workers": 4, "message_bytes": 16_000_000}


def terms(start_jitter_ns):
    return Terms(start_jitter_ns=start_jitter_ns, trial_seconds=None, fabric=FABRIC)


def test_a_marking_threshold_is_set_on_every_switch():
    setting = {"ecn_threshold_bytes": 100_000}
    assert INCAST.changes(setting, FABRIC) == (Change(feature="ecn", values=setting),)


def test_an_incast_meets_at_the_receivers_port_of_the_leaf_under_test():
    site = INCAST.site(POINT, FABRIC)
    assert str(site.watched[0]) == "leaf1:Ethernet33"
    assert site.receivers == ("decode01",)
    assert len(site.senders) == 4


def test_an_incast_with_too_few_workers_under_the_leaf_is_refused_with_both_numbers():
    few = {**FABRIC.pools, "prefill": FABRIC.pools["prefill"][:8]}
    with pytest.raises(SpecError, match="needs 32 prefill workers and a decode worker on leaf1, there are 8 and 1"):
        INCAST.site({**POINT, "prefill_workers": 32}, Fabric(topology=FABRIC.topology, pools=few))


def test_every_sender_posts_one_block_within_the_start_jitter():
    load = INCAST.load(POINT, INCAST.site(POINT, FABRIC), terms(1000), 5)
    sent = [transfer for transfers in load.transfers.values() for transfer in transfers]
    assert [transfer.size_bytes for transfer in sent] == [16_000_000] * 4
    assert {transfer.peer for transfer in sent} == {"decode01"}
    assert all(0 <= transfer.offset_ns <= 1000 for transfer in sent)
    assert load.transfers["decode01"] == ()


def test_the_same_seed_draws_the_same_jitter_and_another_seed_another():
    site = INCAST.site(POINT, FABRIC)
    assert INCAST.load(POINT, site, terms(1000), 5) == INCAST.load(POINT, site, terms(1000), 5)
    assert INCAST.load(POINT, site, terms(1000), 5).transfers != INCAST.load(POINT, site, terms(1000), 6).transfers


def test_no_jitter_means_one_instant():
    load = INCAST.load(POINT, INCAST.site(POINT, FABRIC), terms(0), 5)
    assert {transfer.offset_ns for transfers in load.transfers.values() for transfer in transfers} == {0}


def observed() -> Observation:
    """Two senders, 1 MB each: one done after 100 us, one after 200 us; 30 of 500 packets marked, 500 dropped."""
    samples = pa.table({"size_bytes": [1_000_000] * 2, "posted_ns": [0, 0], "completed_ns": [100_000, 200_000]})
    queue = pd.DataFrame(
        {
            "time_ns": [-10_000, 0, 10_000, 20_000, 210_000],
            "transmit_packets": [7, 7, 57, 107, 507],
            "ecn_marked_packets": [2, 2, 2, 12, 32],
            "dropped_packets": [0, 0, 0, 500, 500],
            "depth_bytes": [9_000_000, 0, 90_000, 250_000, 0],
        }
    )
    return Observation(
        samples=samples,
        queue_of=lambda port: queue,
        pfc_of=lambda port: pd.DataFrame(),
        nic={},
        t0_ns=0,
        t_end_ns=200_000,
        interval_ns=10_000,
        buffer_bytes=1_000_000,
        setting={},
        point=POINT,
        site=INCAST.site(POINT, FABRIC),
        fabric=FABRIC,
    )


def test_a_trials_values_follow_from_counters_depths_and_samples():
    values = INCAST.measure(observed())
    assert values == {
        "ECN_marking_rate": pytest.approx(100 * 30 / 500),
        "marking_onset": 20.0,
        "queue_depth_at_onset": 250_000.0,
        "Fabric_Goodput": pytest.approx(2_000_000 / 200_000),
        "Buffer_utilization": pytest.approx(25.0),
        "Packet_drop_rate": pytest.approx(500_000),
        # Rates 10 and 5 GB/s: (10 + 5)^2 / (2 * (100 + 25)).
        "JFI": pytest.approx(0.9),
    }


def test_a_trial_without_a_mark_has_no_onset_and_a_marking_rate_of_zero():
    seen = observed()
    seen.queue["ecn_marked_packets"] = 2
    values = INCAST.measure(seen)
    assert values["ECN_marking_rate"] == 0
    assert values["marking_onset"] is None
    assert values["queue_depth_at_onset"] is None


def test_a_queue_that_was_never_congested_before_counts_as_empty_until_its_first_record():
    seen = observed()
    seen.queue["depth_bytes"] = pd.array([None, None, 90_000, 250_000, 0], dtype="Int64")
    assert INCAST.measure(seen)["queue_depth_at_onset"] == 250_000.0


def test_a_switch_that_reports_no_depth_leaves_what_needs_it_undefined():
    seen = observed()
    seen.queue["depth_bytes"] = pd.array([None] * 5, dtype="Int64")
    values = INCAST.measure(seen)
    assert values["Buffer_utilization"] is None
    assert values["ECN_marking_rate"] == pytest.approx(6.0)


def test_buffer_utilization_is_undefined_where_the_buffers_size_is_not_known():
    seen = observed()
    unknown = Observation(**{**vars(seen), "buffer_bytes": 0})
    assert INCAST.measure(unknown)["Buffer_utilization"] is None


def test_fct_runs_from_the_post_to_the_senders_completion():
    np.testing.assert_allclose(completion_us(observed().samples), [100.0, 200.0])


def test_an_incast_goes_to_the_leaf_that_the_inventory_names():
    site = INCAST.site(POINT, dataclasses.replace(FABRIC, leaf_under_test="leaf3"))
    assert {FABRIC.topology.attachment(host).node for host in (*site.senders, *site.receivers)} == {"leaf3"}


def test_an_incast_on_a_leaf_without_a_decode_worker_is_refused():
    pools = {**FABRIC.pools, "decode": FABRIC.pools["decode"][1:]}
    with pytest.raises(SpecError, match="needs 4 prefill workers and a decode worker on leaf1, there are 32 and 0"):
        INCAST.site(POINT, Fabric(topology=FABRIC.topology, pools=pools, leaf_under_test="leaf1"))
