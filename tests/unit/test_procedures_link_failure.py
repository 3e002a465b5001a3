"""Test 12.3: which links fail, what is offered meanwhile, and what is made of the gaps that follow."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clos import BPS, clos, fabric_of

from aibench_lib.errors import NotAttainable
from aibench_lib.model import Port
from aibench_lib.procedures.link_failure import LINK_FAILURE, failed_ports
from aibench_lib.procedures.procedure import Observation, Terms
from aibench_lib.switch.faults import FaultKind
from aibench_lib.worker.samples import SCHEMA

FABRIC = fabric_of(clos(2, 2, 4))
LEAF_SPINE = {"failed_link": "leaf_spine", "links_failed": 1}
MS = 1_000_000
T0_NS = 1_700_000_000_000_000_000
TOLD_NS, FAILED_NS, BACK_NS = T0_NS + 1000 * MS, T0_NS + 1200 * MS, T0_NS + 4000 * MS


def test_one_link_of_the_sending_leaf_fails_or_one_of_the_decode_leaf():
    site = LINK_FAILURE.site(LEAF_SPINE, FABRIC)
    sending, decoding = (FABRIC.topology.attachment(end[0]).node for end in (site.senders, site.receivers))
    assert sending != decoding
    assert failed_ports(LEAF_SPINE, FABRIC) == (Port(sending, "up1"),)
    assert failed_ports({**LEAF_SPINE, "failed_link": "decode_leaf"}, FABRIC) == (Port(decoding, "up1"),)


def test_two_links_that_fail_together_lead_to_one_spine_so_that_the_other_is_left():
    ports = failed_ports({**LEAF_SPINE, "links_failed": 2}, FABRIC)
    assert {FABRIC.topology.neighbour(port).node for port in ports} == {"spine1"}
    assert len({port.node for port in ports}) == 2


def test_two_tiers_have_no_link_between_spines():
    with pytest.raises(NotAttainable, match="no link between spines"):
        LINK_FAILURE.site({**LEAF_SPINE, "failed_link": "spine_spine"}, FABRIC)


def test_a_fabric_with_one_spine_would_be_cut_in_two():
    with pytest.raises(NotAttainable, match=r"no second spine .*: nothing would be left"):
        LINK_FAILURE.site(LEAF_SPINE, fabric_of(clos(2, 1, 4)))


def test_one_switch_has_no_links_that_could_fail():
    with pytest.raises(NotAttainable, match="one switch has no links between switches that could fail"):
        LINK_FAILURE.site(LEAF_SPINE, fabric_of(clos(1, 0, 4)))


def test_the_fault_has_an_end_of_its_own_on_switches_that_can():
    fault = LINK_FAILURE.fault(LEAF_SPINE, FABRIC)
    assert fault.kind is FaultKind.LINK_DOWN
    assert fault.duration_s == 120


def test_the_load_is_80_percent_of_what_is_left_without_the_link():
    site = LINK_FAILURE.site(LEAF_SPINE, FABRIC)
    load = LINK_FAILURE.load(LEAF_SPINE, site, Terms(start_jitter_ns=0, trial_seconds=20, fabric=FABRIC), seed=1)
    offered = sum(stream.rate_bps for streams in load.streams.values() for stream in streams)
    assert offered == pytest.approx(0.8 * BPS)  # two uplinks less one; the two senders' NICs could do more
    assert {stream.duration_ns for streams in load.streams.values() for stream in streams} == {20_000 * MS}


def test_the_flow_that_stood_longest_is_the_disruption_and_the_last_change_of_a_route_the_convergence():
    usual = np.arange(T0_NS, T0_NS + 5000 * MS, 10 * MS)
    hit = usual[(usual < FAILED_NS) | (usual >= FAILED_NS + 300 * MS)]
    values = LINK_FAILURE.measure(observed({1: usual, 2: hit}, leaf=[FAILED_NS, FAILED_NS + 40 * MS], spine=[]))
    # the last completion before the failure is 10 ms earlier, which is also what is usual
    assert values["disruption_duration"] == 300
    assert values["full_recovery_time"] == 300
    assert values["convergence_time"] == 40
    assert values["Packet_drop_rate"] == 0
    assert values["ttft_degradation"] is None


def test_routes_that_the_restored_link_changes_are_no_part_of_the_convergence():
    usual = np.arange(T0_NS, T0_NS + 5000 * MS, 10 * MS)
    changes = [FAILED_NS, FAILED_NS + 25 * MS, BACK_NS + 30 * MS]
    assert LINK_FAILURE.measure(observed({1: usual}, leaf=changes, spine=[]))["convergence_time"] == 25


def test_a_change_on_any_switch_counts_but_the_link_has_failed_where_it_was_shut():
    usual = np.arange(T0_NS, T0_NS + 5000 * MS, 10 * MS)
    seen = observed({1: usual}, leaf=[FAILED_NS], spine=[FAILED_NS - 1 * MS, FAILED_NS + 90 * MS])
    assert LINK_FAILURE.measure(seen)["convergence_time"] == 90


def test_a_flow_that_stands_until_the_link_is_back_has_no_recovery():
    usual = np.arange(T0_NS, T0_NS + 5000 * MS, 10 * MS)
    stands = usual[(usual < FAILED_NS) | (usual > BACK_NS)]
    values = LINK_FAILURE.measure(observed({1: stands}, leaf=[FAILED_NS, FAILED_NS + 40 * MS], spine=[]))
    assert values["full_recovery_time"] is None
    assert values["disruption_duration"] == pytest.approx((BACK_NS - FAILED_NS) / MS, abs=20)


def test_without_routes_from_the_switches_nothing_is_made_up():
    usual = np.arange(T0_NS, T0_NS + 5000 * MS, 10 * MS)
    values = LINK_FAILURE.measure(observed({1: usual}, leaf=[], spine=[]))
    assert [values[name] for name in ("disruption_duration", "convergence_time", "full_recovery_time")] == [None] * 3


def observed(completions, leaf, spine):
    """Return a trial in which queue pairs completed at these times, and switches changed routes at those."""
    site = LINK_FAILURE.site(LEAF_SPINE, FABRIC)
    rows = [
        {
            "host": site.senders[0],
            "peer": site.receivers[0],
            "qp": qp,
            "priority": 3,
            "size_bytes": 1_000_000,
            "intended_ns": int(time) - MS,
            "posted_ns": int(time) - MS,
            "completed_ns": int(time),
            "status": "ok",
            "clock": "realtime",
            "transport": "tcp",
            "observation_point": "endpoint",
            "operations": 1,
            "operation": "write_with_imm",
        }
        for qp, times in completions.items()
        for time in times
    ]
    failed = failed_ports(LEAF_SPINE, FABRIC)[0].node
    changed = {failed: leaf, "spine2": spine}

    def routing_of(switch):
        times = [T0_NS, *changed.get(switch, [])]
        return pd.DataFrame({"time_ns": times, "route_changes": range(len(times))})

    return Observation(
        samples=pa.Table.from_pylist(rows, schema=SCHEMA),
        queue_of=lambda _: pd.DataFrame(
            {"time_ns": [T0_NS, BACK_NS], "transmit_packets": [0, 5000], "dropped_packets": [7, 7]}
        ),
        pfc_of=lambda _: pd.DataFrame(),
        routing_of=routing_of,
        disturbed=(TOLD_NS, BACK_NS),
        nic={},
        t0_ns=T0_NS,
        t_end_ns=T0_NS + 5000 * MS,
        interval_ns=500 * MS,
        buffer_bytes=0,
        setting={},
        point=LEAF_SPINE,
        site=site,
        fabric=FABRIC,
    )
