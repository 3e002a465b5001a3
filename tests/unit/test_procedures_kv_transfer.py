"""Tests 5.1 to 5.3: who sends what to whom, and what is made of it."""

import dataclasses

import numpy as np
import pytest
from clos import clos, fabric_of
from simulated_inventory import LAB
from streamed_trial import remarked, run_streams

from aibench_lib.errors import NotAttainable, SpecError
from aibench_lib.procedures import PROCEDURES
from aibench_lib.procedures.concurrent_pairs import CONCURRENT_PAIRS, pair_latency_us
from aibench_lib.procedures.kv_pairs import bottleneck_bps, first_pair, pairs_across, used_ports
from aibench_lib.procedures.point_to_point import POINT_TO_POINT, batch_of, depth_of
from aibench_lib.procedures.procedure import Terms
from aibench_lib.procedures.signal_stamps import Stamp, choose_stamp, stamp_of
from aibench_lib.procedures.transfer_latency import TRANSFER_LATENCY, block_completion_us, block_latency_us

GBPS = 1_000_000_000
MB = 1_000_000
PAYLOAD = 4096 / 4158
"""Share of the line rate that is payload, in full packets of the simulator."""
SECONDS = 0.002


def leaf(fabric, host):
    return fabric.topology.attachment(host).node


def terms(fabric, seconds=SECONDS, **changes):
    return Terms(start_jitter_ns=0, trial_seconds=seconds, fabric=fabric, **changes)


# Who is paired


def test_the_two_ends_of_a_pair_are_on_different_leaves_and_no_worker_is_in_two_pairs():
    fabric = LAB.fabric("5.3")
    pairs = pairs_across(fabric, 9)
    assert all(leaf(fabric, prefill) != leaf(fabric, decode) for prefill, decode in pairs)
    assert len({host for pair in pairs for host in pair}) == 18


def test_fewer_pairs_are_the_first_of_more():
    fabric = LAB.fabric("5.3")
    assert pairs_across(fabric, 8)[:4] == pairs_across(fabric, 4)


def test_a_lab_with_too_few_pairs_says_how_many_it_has():
    with pytest.raises(NotAttainable, match=r"16 pairs .* this lab has 9 \(of 64 prefill and 9 decode workers\)"):
        pairs_across(LAB.fabric("5.3"), 16)


def test_workers_that_all_are_on_one_switch_are_paired_on_it():
    fabric = fabric_of(clos(1, 0, 4))
    prefill, decode = first_pair(fabric, "5.1")
    assert leaf(fabric, prefill) == leaf(fabric, decode)
    assert used_ports(fabric, [(prefill, decode)]) == (fabric.topology.attachment(decode),)


def test_a_fabric_of_one_switch_has_no_links_for_a_background():
    with pytest.raises(NotAttainable, match="a fabric of one switch has no links between switches"):
        TRANSFER_LATENCY.site({"message_bytes": 64_000, "background_load": 0.25}, fabric_of(clos(1, 0, 4)))


def test_a_lab_without_decode_workers_cannot_be_paired():
    one_switch = fabric_of(clos(1, 0, 4))
    fabric = dataclasses.replace(one_switch, pools={**one_switch.pools, "decode": ()})
    with pytest.raises(SpecError, match=r"test 5\.1 needs a prefill and a decode worker"):
        first_pair(fabric, "5.1")


def test_the_watched_ports_begin_with_the_receivers_and_are_those_of_switches():
    fabric = LAB.fabric("5.1")
    pair = first_pair(fabric, "5.1")
    ports = used_ports(fabric, [pair])
    assert ports[0] == fabric.topology.attachment(pair[1])
    assert len(ports) == 1 + 2 * 2  # by two spines: a leaf's port and a spine's each
    assert {port.node for port in ports} <= set(fabric.topology.switches)


def test_the_fabrics_capacity_is_that_of_its_narrowest_step_with_all_equal_paths():
    fabric = LAB.fabric("5.2")
    assert bottleneck_bps(fabric, first_pair(fabric, "5.2")) == 2 * 400 * GBPS


# 5.1


@pytest.mark.parametrize(("size_bytes", "batch", "depth"), [(64_000, 31, 62), (MB, 2, 4), (4 * MB, 1, 2)])
def test_two_batches_are_outstanding_and_a_batch_is_about_2_mb(size_bytes, batch, depth):
    assert (batch_of(size_bytes), depth_of(size_bytes, 8)) == (batch, depth)


def test_of_large_messages_one_is_outstanding_a_queue_pair_unless_it_is_alone():
    assert depth_of(16 * MB, 1) == 2
    assert depth_of(16 * MB, 4) == 1


def test_every_queue_pair_sends_puts_with_signal_for_the_trials_length():
    fabric = LAB.fabric("5.1")
    point = {"message_bytes": MB, "queue_pairs": 4}
    site = POINT_TO_POINT.site(point, fabric)
    load = POINT_TO_POINT.load(point, site, terms(fabric), 1)
    streams = load.streams[site.senders[0]]
    assert [stream.qp for stream in streams] == [1, 2, 3, 4]
    assert {(s.operation, s.duration_ns, s.rate_bps, s.offset_ns) for s in streams} == {
        ("write_with_imm", 2 * MB, 0, 0)
    }
    assert load.unfinished_ok
    assert load.duration_ns == 2 * MB + 60 * GBPS


def test_a_point_whose_messages_take_longer_than_a_trial_may_overrun_is_left_out():
    """128 messages of 1 GB are 1.024 Tbit: 2.56 s at 400 Gb/s."""
    fabric = LAB.fabric("5.1")
    point = {"message_bytes": 1000 * MB, "queue_pairs": 128}
    site = POINT_TO_POINT.site(point, fabric)
    POINT_TO_POINT.check(point, site, terms(fabric, overrun_seconds=2.57))
    with pytest.raises(NotAttainable, match=r"take 2\.56 s at line rate; this profile waits for 2 s"):
        POINT_TO_POINT.check(point, site, terms(fabric, overrun_seconds=2))


@pytest.mark.parametrize(("size_bytes", "queue_pairs"), [(64_000, 1), (MB, 16)])
def test_the_steady_part_is_at_line_rate_without_headers(size_bytes, queue_pairs):
    seen, _ = run_streams("5.1", {"message_bytes": size_bytes, "queue_pairs": queue_pairs}, trial_seconds=SECONDS)
    values = POINT_TO_POINT.measure(seen)
    assert values["KV_xfer_bandwidth"] == pytest.approx(50 * PAYLOAD, rel=0.005)
    assert POINT_TO_POINT.remarks(seen)["bandwidth_of"] == "the steady part of the trial"
    assert POINT_TO_POINT.remarks(seen)["line_rate_bps"] == str(400 * GBPS)


def test_messages_too_large_for_a_steady_part_are_measured_as_a_whole_and_said_so():
    """One message of 256 MB takes 5.2 ms: it ends after the 2 ms of the trial, the second one after 10.4 ms."""
    seen, _ = run_streams("5.1", {"message_bytes": 256 * MB, "queue_pairs": 1}, trial_seconds=SECONDS)
    assert POINT_TO_POINT.remarks(seen)["bandwidth_of"].startswith("the whole trial")
    assert POINT_TO_POINT.measure(seen)["KV_xfer_bandwidth"] == pytest.approx(50 * PAYLOAD, rel=0.01)


def test_a_queue_pair_that_completed_nothing_leaves_the_bandwidth_undefined():
    seen, _ = run_streams("5.1", {"message_bytes": MB, "queue_pairs": 4}, trial_seconds=SECONDS)
    short = dataclasses.replace(seen, samples=seen.samples.filter(np.array(seen.samples["qp"]) != 2))
    assert POINT_TO_POINT.measure(short)["KV_xfer_bandwidth"] is None
    assert "completed no message" in POINT_TO_POINT.remarks(short)["bandwidth_of"]


def test_cpu_utilization_is_that_of_each_end_where_its_agent_says_it():
    seen, _ = run_streams("5.1", {"message_bytes": MB, "queue_pairs": 1}, trial_seconds=SECONDS)
    told = dataclasses.replace(seen, nic={seen.site.senders[0]: {"cpu_ns": 400, "cpu_busy_ns": 100}})
    values = POINT_TO_POINT.measure(told)
    assert (values["cpu_utilization_sender"], values["cpu_utilization_receiver"]) == (25.0, None)
    assert values["gpu_to_nic_overhead"] is values["nic_offload_utilization"] is None


# 5.2


def background(load):
    return [stream for streams in load.streams.values() for stream in streams if stream.rate_bps]


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.9])
def test_background_streams_share_the_fabrics_capacity_between_workers_of_the_same_leaves(share):
    fabric = LAB.fabric("5.2")
    point = {"message_bytes": MB, "background_load": share}
    site = TRANSFER_LATENCY.site(point, fabric)
    load = TRANSFER_LATENCY.load(point, site, terms(fabric), 1)
    assert sum(stream.rate_bps for stream in background(load)) == pytest.approx(share * 800 * GBPS)
    for sender, receiver in zip(site.senders[1:], site.receivers[1:], strict=True):
        assert leaf(fabric, sender) == leaf(fabric, site.senders[0])
        assert leaf(fabric, receiver) == leaf(fabric, site.receivers[0])
        assert sum(stream.rate_bps for stream in load.streams[sender]) <= 0.75 * 400 * GBPS + 32
    assert len({*site.senders, *site.receivers}) == 2 * len(site.senders)


def test_one_block_is_outstanding_and_begins_when_the_background_runs():
    fabric = LAB.fabric("5.2")
    point = {"message_bytes": MB, "background_load": 0.5}
    site = TRANSFER_LATENCY.site(point, fabric)
    load = TRANSFER_LATENCY.load(point, site, terms(fabric, 0.1), 1)
    (block,) = load.streams[site.senders[0]]
    assert (block.depth, block.batch, block.echo, block.rate_bps) == (1, 1, True, 0)
    assert block.offset_ns == 10 * MB
    assert max(stream.offset_ns + stream.duration_ns for stream in background(load)) == 110 * MB


def test_a_long_trial_has_10_s_of_warm_up():
    fabric = LAB.fabric("5.2")
    point = {"message_bytes": MB, "background_load": 0.0}
    site = TRANSFER_LATENCY.site(point, fabric)
    load = TRANSFER_LATENCY.load(point, site, terms(fabric, 120), 1)
    assert load.streams[site.senders[0]][0].offset_ns == 10 * GBPS
    assert background(load) == []


def test_a_background_that_the_other_workers_cannot_send_is_not_attainable():
    """Leaves of 2 hosts: one other pair, of 400 Gb/s, where half of 2 x 400 Gb/s and no more can be sent."""
    fabric = fabric_of(clos(2, 2, 2))
    assert len(TRANSFER_LATENCY.site({"background_load": 0.5}, fabric).senders) == 2
    with pytest.raises(NotAttainable, match=r"600 Gb/s of background .* there are 1 pairs .* of 400 Gb/s"):
        TRANSFER_LATENCY.site({"background_load": 0.75}, fabric)


def test_a_latency_is_that_of_blocks_alone_and_ends_with_the_remote_signal():
    """Unloaded, 4 links of 400 Gb/s and 1 us: 16 packets of 64 KB in sequence, the last one stored and sent 3 times."""
    _, alone = run_streams("5.2", {"message_bytes": 64_000, "background_load": 0.0}, trial_seconds=SECONDS)
    wire_us = (64_000 + 16 * 62) * 20e-6
    last_us = (64_000 - 15 * 4096 + 62) * 20e-6
    assert np.median(block_latency_us(alone)) == pytest.approx(wire_us + 3 * max(last_us, 4158 * 20e-6) + 4, abs=0.1)
    assert stamp_of(alone) is Stamp.RECEIVED
    assert (block_completion_us(alone) > block_latency_us(alone)).all()


def test_background_makes_latencies_longer_and_is_delivered():
    quiet, quiet_rows = run_streams("5.2", {"message_bytes": MB, "background_load": 0.0}, trial_seconds=SECONDS)
    busy, busy_rows = run_streams("5.2", {"message_bytes": MB, "background_load": 0.5}, trial_seconds=SECONDS)
    assert np.median(block_latency_us(busy_rows)) > np.median(block_latency_us(quiet_rows))
    assert TRANSFER_LATENCY.measure(quiet)["background_delivered"] == 0
    assert TRANSFER_LATENCY.measure(busy)["background_delivered"] == pytest.approx(50, rel=0.1)


def test_clocks_that_do_not_agree_well_enough_give_the_latency_to_another_stamp():
    """A block of 1 MB takes 24.5 us: 5 % of it are 1.2 us."""
    seen, _ = run_streams("5.2", {"message_bytes": MB, "background_load": 0.0}, trial_seconds=SECONDS)
    assert choose_stamp(seen.samples, 1_200) is Stamp.RECEIVED
    assert choose_stamp(seen.samples, 1_300) is Stamp.COMPLETED
    echoed = seen.samples.set_column(
        seen.samples.schema.get_field_index("echoed_ns"), "echoed_ns", seen.samples["completed_ns"]
    )
    assert choose_stamp(echoed, 1_300) is Stamp.ECHOED
    apart = dataclasses.replace(seen, samples=echoed, clock_uncertainty_ns=1_300)
    rows = remarked("5.2", apart)
    assert np.allclose(2 * block_latency_us(rows), block_completion_us(rows))


# 5.3


def test_pairs_share_the_fabric_and_each_sends_one_block_after_the_other():
    seen, rows = run_streams("5.3", {"transfer_pairs": 4, "message_bytes": 16 * MB}, trial_seconds=SECONDS)
    values = CONCURRENT_PAIRS.measure(seen)
    assert 0 < values["KV_xfer_bandwidth"] < 4 * 50 * PAYLOAD
    assert 0.25 <= values["JFI"] <= 1
    assert 0 < values["Link_utilization"] < values["maximum_link_utilization"] <= 100
    for host in seen.site.senders:
        own = seen.samples.filter(np.array(seen.samples["host"]) == host)
        assert own["posted_ns"].to_pylist()[1:] == own["completed_ns"].to_pylist()[:-1]
    assert len(pair_latency_us(rows)) == seen.samples.num_rows


def test_a_pair_alone_has_a_jfi_of_1_and_the_latency_of_an_empty_fabric():
    """16 MB at 400 Gb/s with headers: 324.8 us on the wire, and 4 us and three packets for 3 more links."""
    seen, rows = run_streams("5.3", {"transfer_pairs": 1, "message_bytes": 16 * MB}, trial_seconds=SECONDS)
    assert CONCURRENT_PAIRS.measure(seen)["JFI"] == 1
    assert np.median(pair_latency_us(rows)) == pytest.approx(16 * MB / PAYLOAD * 20e-6 + 4.25, rel=0.001)


def test_links_are_undefined_where_switches_report_nothing():
    seen, _ = run_streams("5.3", {"transfer_pairs": 1, "message_bytes": 16 * MB}, trial_seconds=SECONDS)
    silent = dataclasses.replace(seen, queue_of=lambda port: seen.queue_of(port).iloc[:0])
    assert CONCURRENT_PAIRS.measure(silent)["maximum_link_utilization"] is None


def test_the_fabric_is_as_it_usually_is():
    for test in ("5.1", "5.2", "5.3"):
        changes = PROCEDURES[test].changes({}, LAB.fabric(test))
        assert [change.feature for change in changes] == ["ecn", "pfc"]
