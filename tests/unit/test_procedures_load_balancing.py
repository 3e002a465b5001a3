import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clos import clos, fabric_of

from aibench_lib.errors import SpecError
from aibench_lib.procedures.link_values import dispatch_us, kv_completion_us, leaf_oversubscription
from aibench_lib.procedures.load_balancing import LOAD_BALANCING, ep_message_bytes
from aibench_lib.procedures.procedure import Observation, Terms

FABRIC = fabric_of(clos(3, 2, 4), ecn={"kmin_bytes": 1})
TOPOLOGY = FABRIC.topology
SITE = LOAD_BALANCING.site({}, FABRIC)
US = 1000


def load(traffic, seconds=0.01, seed=1):
    terms = Terms(start_jitter_ns=0, trial_seconds=seconds, fabric=FABRIC)
    return LOAD_BALANCING.load({"traffic": traffic}, SITE, terms, seed)


def leaf(host):
    return TOPOLOGY.attachment(host).node


def offered(traffic, seconds=0.01):
    """Return what each leaf is offered for others, over the capacity of its two uplinks."""
    sent = dict.fromkeys(("leaf1", "leaf2", "leaf3"), 0)
    for host, transfers in load(traffic, seconds).transfers.items():
        for transfer in transfers:
            if leaf(transfer.peer) != leaf(host):
                sent[leaf(host)] += 8 * transfer.size_bytes
    return [bits / seconds / 800e9 for bits in sent.values()]


def test_the_algorithm_is_set_where_there_is_a_choice():
    changes = LOAD_BALANCING.changes({"load_balancing": "flowlet"}, FABRIC)
    assert [change.feature for change in changes] == ["ecn", "load_balancing"]
    assert changes[1].values == {"load_balancing": "flowlet"}
    assert changes[1].only == ("leaf1", "leaf2", "leaf3")


def test_a_fabric_without_a_choice_is_refused():
    with pytest.raises(SpecError, match="no switch has more than one shortest path between leaves"):
        LOAD_BALANCING.changes({"load_balancing": "ecmp"}, fabric_of(clos(2, 1, 4)))
    with pytest.raises(SpecError, match="workers on two leaf switches; this fabric has them on 1"):
        LOAD_BALANCING.site({}, fabric_of(clos(1, 0, 4)))


def test_leaves_take_part_that_have_most_algorithms_in_common():
    platforms = {"leaf1": "arista_eos", "leaf2": "nokia_srlinux", "leaf3": "arista_eos"}
    mixed = dataclasses.replace(FABRIC, platforms=platforms)
    site = LOAD_BALANCING.site({}, mixed)
    assert {leaf(host) for host in site.senders} == {"leaf1", "leaf3"}
    assert len(site.watched) == 8
    assert {port.node for port in site.watched} == {"leaf1", "leaf3", "spine1", "spine2"}
    assert LOAD_BALANCING.changes({"load_balancing": "ecmp"}, mixed)[-1].only == ("leaf1", "leaf3")


def test_of_three_platforms_two_take_part_that_share_more_than_the_hash():
    platforms = {"leaf1": "nokia_srlinux", "leaf2": "sonic", "leaf3": "cumulus_nvue"}
    site = LOAD_BALANCING.site({}, dataclasses.replace(FABRIC, platforms=platforms))
    assert {leaf(host) for host in site.senders} == {"leaf2", "leaf3"}


def test_both_directions_of_every_fabric_link_are_watched():
    assert len(SITE.watched) == 12
    assert {port.node for port in SITE.watched} == {"leaf1", "leaf2", "leaf3", "spine1", "spine2"}


@pytest.mark.parametrize("traffic", ["kv_only", "ep_only", "mixed"])
def test_every_leaf_is_offered_sixty_percent_of_its_uplinks(traffic):
    assert offered(traffic, seconds=0.2) == pytest.approx([0.6] * 3, rel=0.03)


def test_kv_flows_are_large_and_ep_flows_small_and_mixed_is_both():
    def sizes(traffic):
        return {transfer.size_bytes for own in load(traffic).transfers.values() for transfer in own}

    assert sizes("kv_only") == {16_000_000}
    assert sizes("ep_only") == {ep_message_bytes(12)}
    assert sizes("mixed") == {16_000_000, ep_message_bytes(12)}
    # 16 tokens x 8 experts x 7168 x 2 bytes over 12 ranks.
    assert ep_message_bytes(12) == 152_917 < 1_000_000


def test_each_worker_has_a_kv_flow_to_each_other_leaf_and_each_receives_one_from_each():
    flows = {(host, one.peer, one.qp) for host, own in load("kv_only").transfers.items() for one in own}
    assert len(flows) == 12 * 2
    assert len({(leaf(host), peer) for host, peer, _ in flows}) == 24
    assert all(leaf(host) != leaf(peer) for host, peer, _ in flows)


def test_a_dispatch_goes_from_everyone_to_everyone_else_at_once():
    first = [(host, one.peer) for host, own in load("ep_only").transfers.items() for one in own if one.offset_ns == 0]
    assert len(set(first)) == len(first) == 12 * 11


def test_trials_draw_other_flows_and_the_same_seed_the_same():
    assert load("kv_only", seed=1) == load("kv_only", seed=1)
    assert load("kv_only", seed=1).transfers != load("kv_only", seed=2).transfers


def observed(megabytes):
    """Each link carried so many MB in 100 us, at an even rate; 400 Gb/s are 5 MB in 100 us."""
    times = np.arange(-10, 120, 10) * US
    carried = dict(zip(SITE.watched, megabytes, strict=True))

    def queue(port):
        share = np.clip(times / (100 * US), 0, 1)
        return pd.DataFrame({"time_ns": times, "transmit_bytes": (share * carried[port] * 1e6).astype(int)})

    samples = pa.table(
        {
            "host": ["prefill11", "prefill11"],
            "peer": ["prefill21", "decode11"],
            "size_bytes": [4_000_000, 16_000_000],
            "intended_ns": [0, 80 * US],
            "posted_ns": [0, 80 * US],
            "completed_ns": [50 * US, 100 * US],
        }
    )
    return Observation(
        samples=samples,
        queue_of=queue,
        pfc_of=lambda port: pd.DataFrame(),
        nic={"prefill11": {"out_of_sequence": 3}, "decode11": {"out_of_sequence": 4}},
        t0_ns=0,
        t_end_ns=100 * US,
        interval_ns=10 * US,
        buffer_bytes=0,
        setting={},
        point={},
        site=SITE,
        fabric=FABRIC,
    )


def test_even_links_are_perfectly_fair():
    values = LOAD_BALANCING.measure(observed([4] * 12))
    assert values["JFI"] == pytest.approx(1)
    assert values["Link_utilization"] == pytest.approx(80)
    assert values["peak_link_utilization"] == pytest.approx(80)


def test_uneven_links_show_in_the_index_and_in_the_extremes():
    values = LOAD_BALANCING.measure(observed([4, 2] * 6))
    # (6 x 6)^2 / (12 x (6 x 16 + 6 x 4)).
    assert values["JFI"] == pytest.approx(36**2 / (12 * 120))
    assert values["maximum_link_utilization"] == pytest.approx(80)
    assert values["minimum_link_utilization"] == pytest.approx(40)
    assert values["Link_utilization"] == pytest.approx(60)


def test_oversubscription_counts_what_leaves_the_leaf():
    # 4 MB to another leaf, posted within 80 us, on uplinks of 800 Gb/s.
    assert LOAD_BALANCING.measure(observed([1] * 12))["oversubscription_ratio"] == pytest.approx(0.5)


def test_goodput_is_payload_whatever_the_links_carried():
    # 20 MB in 100 us.
    assert LOAD_BALANCING.measure(observed([5] * 12))["Fabric_Goodput"] == pytest.approx(200)


def test_the_topologys_own_ratio_is_that_of_its_line_rates():
    assert leaf_oversubscription(TOPOLOGY) == 2
    assert leaf_oversubscription(clos(3, 4, 4)) == 1


def test_reordered_packets_are_those_that_nics_count():
    assert LOAD_BALANCING.measure(observed([1] * 12))["reordered_packets"] == 7
    none = dataclasses.replace(observed([1] * 12), nic={})
    assert LOAD_BALANCING.measure(none)["reordered_packets"] is None


def test_a_switch_that_does_not_report_what_it_sent_leaves_the_links_undefined():
    empty = pd.DataFrame({"time_ns": [], "transmit_bytes": []})
    values = LOAD_BALANCING.measure(dataclasses.replace(observed([1] * 12), queue_of=lambda port: empty))
    assert values["JFI"] is None
    assert values["maximum_link_utilization"] is None
    assert values["reordered_packets"] == 7


def test_completion_times_are_those_of_kv_blocks_and_latency_that_of_whole_dispatches():
    samples = pa.table(
        {
            "host": ["a", "b", "a", "b", "a"],
            "peer": ["b", "a", "b", "a", "b"],
            "size_bytes": [100, 100, 100, 100, 16_000_000],
            "intended_ns": [0, 2, 5000, 5001, 0],
            "posted_ns": [0, 2, 5000, 5001, 0],
            "completed_ns": [4000, 7000, 8000, 9000, 100_000],
        }
    )
    np.testing.assert_allclose(kv_completion_us(samples), [100.0])
    np.testing.assert_allclose(dispatch_us(samples), [7.0, 4.0])
    assert dispatch_us(samples.slice(4)).size == 0


def test_what_a_link_carried_counts_up_to_the_last_completion_wherever_the_samples_fall():
    seen = observed([4] * 12)
    # Everything is sent at 95 us and complete then; the samples before and after are at 90 and 100 us.
    samples = seen.samples.set_column(5, "completed_ns", pa.array([50 * US, 95 * US]))
    queues = {
        port: pd.DataFrame({"time_ns": np.arange(-10, 120, 10) * US, "transmit_bytes": carried})
        for port in SITE.watched
        for carried in [np.minimum(np.maximum(np.arange(-10, 120, 10), 0), 95) * 42_000]
    }
    values = LOAD_BALANCING.measure(dataclasses.replace(seen, samples=samples, queue_of=queues.__getitem__))
    assert values["Link_utilization"] == pytest.approx(100 * 42_000 * 95 / (5e6 * 0.95))
    assert values["peak_link_utilization"] == pytest.approx(84)


def test_no_part_of_an_interval_is_taken_for_a_peak():
    seen = observed([5] * 12)
    # The trial begins 5 us after a sample and ends 1 us after another one.
    samples = seen.samples.set_column(5, "completed_ns", pa.array([50 * US, 91 * US]))
    values = LOAD_BALANCING.measure(dataclasses.replace(seen, samples=samples, t0_ns=5 * US))
    assert values["peak_link_utilization"] <= 100
