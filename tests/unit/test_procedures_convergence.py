import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from simulated_inventory import LAB

from aibench_lib.catalogue import benchmark
from aibench_lib.errors import SpecError
from aibench_lib.procedures.convergence import CLASSES, CONVERGENCE, EP_FIRST_QP
from aibench_lib.procedures.procedure import Change, Observation, Terms

FABRIC = LAB.fabric("8.3")
TERMS = Terms(start_jitter_ns=0, trial_seconds=None, fabric=FABRIC)
KV_FIRST = {"established_traffic": "kv_cache"}
EP_FIRST = {"established_traffic": "expert_parallelism"}
SITE = CONVERGENCE.site(KV_FIRST, FABRIC)
NUMBERS = benchmark("8.3").constants
DURATION_NS = round(NUMBERS["duration_seconds"] * 1e9)
INTRODUCED_NS = round(NUMBERS["introduced_at"] * DURATION_NS)
CAPACITY = 100.0
"""Two uplinks of 400 Gb/s [B/ns]."""


def leaf_of(host):
    return FABRIC.topology.attachment(host).node


def sent(point, seed=1, terms=TERMS):
    load = CONVERGENCE.load(point, SITE, terms, seed)
    both = [(host, one) for host, transfers in load.transfers.items() for one in transfers]
    return [one for one in both if one[1].qp < EP_FIRST_QP], [one for one in both if one[1].qp >= EP_FIRST_QP]


def over_uplinks(transfers):
    leaf = SITE.watched[0].node
    return [one for host, one in transfers if leaf_of(host) == leaf and leaf_of(one.peer) != leaf]


def test_the_fabric_is_set_as_the_inventory_says_it_usually_is():
    assert CONVERGENCE.changes({}, FABRIC) == tuple(
        Change(feature=feature, values=values) for feature, values in FABRIC.baseline.items()
    )
    assert {change.feature for change in CONVERGENCE.changes({}, FABRIC)} == {"ecn", "pfc"}


def test_all_senders_are_under_one_leaf_and_all_receivers_under_others():
    leaf = SITE.watched[0].node
    assert {leaf_of(host) for host in SITE.senders} == {leaf}
    assert leaf not in {leaf_of(host) for host in SITE.receivers}
    assert len({leaf_of(host) for host in SITE.receivers}) > 1


def test_the_watched_ports_are_the_uplinks_of_that_leaf():
    others = [FABRIC.topology.neighbour(port).node for port in SITE.watched]
    assert others == ["spine1", "spine2"]


def test_the_classes_have_no_host_in_common():
    kv, ep = sent(KV_FIRST)
    hosts = [{host for host, _ in transfers} | {one.peer for _, one in transfers} for transfers in (kv, ep)]
    assert not hosts[0] & hosts[1]


def test_too_few_workers_are_refused_with_both_numbers():
    pools = {**FABRIC.pools, "decode": FABRIC.pools["decode"][:4]}
    with pytest.raises(SpecError, match="needs 8 decode workers that are not on leaf1, there are 3"):
        CONVERGENCE.site(KV_FIRST, dataclasses.replace(FABRIC, pools=pools))


@pytest.mark.parametrize("point", [KV_FIRST, EP_FIRST])
def test_the_established_class_offers_80_percent_of_the_uplinks_from_the_begin_to_the_end(point):
    kv, ep = sent(point)
    established = over_uplinks(kv if point is KV_FIRST else ep)
    offered = sum(one.size_bytes for one in established) / DURATION_NS
    assert offered == pytest.approx(0.8 * CAPACITY, rel=0.01)
    assert min(one.offset_ns for one in established) < 0.01 * DURATION_NS
    assert max(one.offset_ns for one in established) > 0.99 * DURATION_NS


@pytest.mark.parametrize("point", [KV_FIRST, EP_FIRST])
def test_the_introduced_class_offers_its_share_from_its_introduction_on(point):
    kv, ep = sent(point)
    introduced = over_uplinks(ep if point is KV_FIRST else kv)
    offered = sum(one.size_bytes for one in introduced) / (DURATION_NS - INTRODUCED_NS)
    assert offered == pytest.approx(NUMBERS["introduced_load"] * CAPACITY, rel=0.01)
    first = min(one.offset_ns for one in introduced)
    assert INTRODUCED_NS <= first < INTRODUCED_NS + 100_000


def test_dispatches_are_below_1_mb_and_go_from_every_rank_to_every_other():
    _, ep = sent(EP_FIRST)
    assert {one.size_bytes for _, one in ep} == {917_504}
    pairs = {(host, one.peer) for host, one in ep}
    ranks = {host for host, _ in pairs}
    assert pairs == {(a, b) for a in ranks for b in ranks if a != b}
    assert len(ranks) == 8


def test_every_rank_sends_to_one_other_at_a_time_and_receives_from_one():
    _, ep = sent(EP_FIRST)
    at_once = [(host, one.peer) for host, one in ep if one.offset_ns == ep[0][1].offset_ns]
    assert len({host for host, _ in at_once}) == len({peer for _, peer in at_once}) == len(at_once) == 8


def test_a_queue_pair_keeps_its_peer():
    for transfers in sent(KV_FIRST):
        peers = {}
        for host, one in transfers:
            assert peers.setdefault((host, one.qp), one.peer) == one.peer


def test_a_profile_may_make_the_trial_longer():
    load = CONVERGENCE.load(KV_FIRST, SITE, dataclasses.replace(TERMS, trial_seconds=0.1), 1)
    assert load.duration_ns == round((1 + NUMBERS["grace"]) * 1e8)
    assert max(one.offset_ns for transfers in load.transfers.values() for one in transfers) > 0.99e8


def test_what_is_not_complete_at_the_end_is_no_failure():
    load = CONVERGENCE.load(KV_FIRST, SITE, TERMS, 1)
    assert load.unfinished_ok
    assert load.duration_ns > DURATION_NS


def test_the_same_seed_offers_the_same_load_and_another_seed_another():
    assert sent(KV_FIRST, 5) == sent(KV_FIRST, 5)
    assert sent(KV_FIRST, 5) != sent(KV_FIRST, 6)


MS = 1_000_000
LOCAL, REMOTE = SITE.senders[-1], SITE.receivers[-1]
RANK, PEER = SITE.senders[0], SITE.receivers[0]


def stream(host, peer, qp, pieces):
    """Transfers of 250 us each, posted back to back, with a rate that changes by millisecond [B/ns]."""
    return [
        (host, peer, qp, round(rate * MS / 4), begin + quarter * MS // 4, begin + (quarter + 1) * MS // 4)
        for begin, rate in pieces
        for quarter in range(4)
    ]


def observed(ep_rates, kv_rates, drops=(0, 0, 0, 0)):
    """KV from 0 to 60 ms, EP from 24 ms on; rates are given by millisecond."""
    rows = [
        *stream(LOCAL, REMOTE, 1, [(at * MS, rate) for at, rate in enumerate(kv_rates)]),
        *stream(RANK, PEER, EP_FIRST_QP, [((24 + at) * MS, rate) for at, rate in enumerate(ep_rates)]),
        # Not over the uplinks.
        (PEER, RANK, EP_FIRST_QP, 10**9, 30 * MS, 31 * MS),
        (RANK, SITE.senders[1], EP_FIRST_QP + 1, 10**9, 30 * MS, 31 * MS),
    ]
    host, peer, qp, size, posted, completed = (list(column) for column in zip(*rows, strict=True))
    # The last one of either class was still under way when the trial ended.
    samples = pa.table(
        {
            "host": [*host, LOCAL, RANK],
            "peer": [*peer, REMOTE, PEER],
            "qp": pa.array([*qp, 1, EP_FIRST_QP], pa.uint32()),
            "size_bytes": [*size, 1_000_000, 917_504],
            "intended_ns": [*posted, 60 * MS, 60 * MS],
            "posted_ns": [*posted, 60 * MS, None],
            "completed_ns": [*completed, None, None],
        }
    )
    queue = pd.DataFrame(
        {
            "time_ns": [0, 24 * MS, 40 * MS, 66 * MS],
            "transmit_packets": [0, 100, 200, 300],
            "ecn_marked_packets": [0, 0, 10, 30],
            "dropped_packets": drops,
        }
    )
    return Observation(
        samples=samples,
        queue_of=lambda port: queue,
        pfc_of=lambda port: pd.DataFrame(),
        nic={},
        t0_ns=0,
        t_end_ns=66 * MS,
        interval_ns=100_000,
        buffer_bytes=1_000_000,
        setting={},
        point=KV_FIRST,
        site=SITE,
        fabric=FABRIC,
    )


SETTLED = observed([*[20.0] * 6, *[50.0] * 30], [*[80.0] * 24, *[70.0] * 6, *[30.0] * 30], drops=(0, 3, 8, 15))


def test_a_trials_values_follow_from_the_samples_over_the_uplinks_and_from_their_queues():
    assert CONVERGENCE.measure(SETTLED) == {
        "convergence_time": pytest.approx(6.0),
        "steady_state_bandwidth_kv_cache": pytest.approx(30.0),
        "steady_state_bandwidth_expert_parallelism": pytest.approx(50.0),
        # From the sample at 24 ms, the introduction, to that at 40 ms, the first after 30 ms; on each of two uplinks.
        "packet_loss_during_convergence": 2 * 5.0,
        "JFI": pytest.approx(80**2 / (2 * (30**2 + 50**2))),
        "ECN_marking_rate": pytest.approx(10.0),
        "Packet_drop_rate": pytest.approx(1e6 * 15 / 315),
    }


def test_rates_that_never_settle_have_no_convergence_time_and_all_losses_to_the_end():
    swinging = [rate for _ in range(18) for rate in (20.0, 60.0)]
    values = CONVERGENCE.measure(observed(swinging, [80.0] * 60, drops=(0, 3, 8, 15)))
    assert values["convergence_time"] is None
    assert values["packet_loss_during_convergence"] == 2 * 12.0
    assert values["steady_state_bandwidth_expert_parallelism"] == pytest.approx(40.0)


def test_the_series_has_a_row_a_window_and_class_and_says_when_what_happened():
    frame = CONVERGENCE.series(SETTLED)
    assert list(frame.columns) == ["time_us", "class", "rate_gbytes_per_second"]
    assert set(frame["class"]) == set(CLASSES)
    assert frame.attrs == {"introduced_us": 24_000.0, "converged_us": 30_000.0, "window_us": 1_000.0}
    kv = frame[frame["class"] == "kv_cache"]
    np.testing.assert_allclose(kv["rate_gbytes_per_second"], [80.0] * 24 + [70.0] * 6 + [30.0] * 30)
    np.testing.assert_allclose(kv["time_us"], 1000 * np.arange(60))


def test_a_class_that_sent_nothing_leaves_rates_undefined_but_not_the_counters():
    samples = SETTLED.samples.filter(pa.compute.less(SETTLED.samples["qp"], EP_FIRST_QP))
    seen = dataclasses.replace(SETTLED, samples=samples)
    values = CONVERGENCE.measure(seen)
    assert values["ECN_marking_rate"] == pytest.approx(10.0)
    assert {name for name, value in values.items() if value is None} == {
        "convergence_time",
        "steady_state_bandwidth_kv_cache",
        "steady_state_bandwidth_expert_parallelism",
        "packet_loss_during_convergence",
        "JFI",
    }
    assert CONVERGENCE.series(seen) is None
