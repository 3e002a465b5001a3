"""perftest's own tools as a transport, on soft-RoCE in a guest; and what an agent's inspection finds there."""

import itertools
import json

import pytest
from rdma_vm import machine
from rdma_vm.packages import CannotBuildError

pytestmark = pytest.mark.slow
PLACE, OPERATIONS, SIZE, INTENDED, POSTED, COMPLETED, RECEIVED, ECHOED, STATUS = range(9)
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("perftest")
    try:
        done = machine.run("python3 -m rdma_vm.guest.perftest", folder=folder)
    except CannotBuildError as error:
        pytest.skip(str(error))
    assert done.status == 0, done.log
    return json.loads((folder / "results.json").read_text())


def test_a_loop_is_one_row_with_the_messages_that_the_tool_has_counted(results):
    (row,) = results["write"]["rows"]
    assert row[STATUS] == "ok"
    assert row[OPERATIONS] > 10
    assert row[SIZE] == row[OPERATIONS] * 65536
    assert (row[COMPLETED] - row[POSTED]) / SECOND == pytest.approx(3, rel=0.2)  # a run of 3 s
    assert row[POSTED] > row[INTENDED] == results["write"]["t0_ns"]
    assert row[RECEIVED] == row[ECHOED] == -1  # perftest knows neither


def test_queue_pairs_run_side_by_side_each_with_its_operation(results):
    first, second = sorted(results["two"]["rows"])
    assert (first[PLACE], second[PLACE]) == (0, 1)
    assert first[STATUS] == second[STATUS] == "ok"
    assert first[POSTED] < second[COMPLETED]
    assert second[POSTED] < first[COMPLETED]


def test_a_read_pulls_from_the_peer(results):
    (row,) = results["read"]["rows"]
    assert row[STATUS] == "ok"
    assert row[SIZE] == row[OPERATIONS] * 262144


def test_every_message_of_a_latency_run_is_a_row_with_its_whole_round_trip(results):
    rows = results["latency"]["rows"]
    assert len(rows) >= 99  # 100 messages at least, and the samples between them
    assert {row[STATUS] for row in rows} == {"ok"}
    assert all(row[POSTED] < row[COMPLETED] == row[ECHOED] for row in rows)
    assert all(one[COMPLETED] <= next_[POSTED] + 1 for one, next_ in itertools.pairwise(rows))
    end_ns = results["latency"]["t0_ns"] + 6 * SECOND
    assert all(results["latency"]["t0_ns"] < row[POSTED] < end_ns for row in rows)
    reads = results["read_latency"]["rows"]
    assert len(reads) >= 99
    assert {row[ECHOED] for row in reads} == {-1}


def test_a_run_that_is_not_done_at_the_deadline_is_a_timeout(results):
    (row,) = results["late"]["rows"]
    assert row[STATUS] == "timeout"
    assert row[COMPLETED] == -1


def test_an_immediate_that_this_release_does_not_know_is_refused(results):
    assert "ask for the operation write" in results["refused"]


def test_tools_die_with_the_process_that_has_started_them(results):
    assert results["killed"]["running"] == 2
    assert results["killed"]["left"] == []


def test_the_inspection_of_a_host_with_soft_roce_says_so(results):
    said = results["inspection"]
    assert (said["nic.interface"], said["rdma.device"], said["rdma.label"]) == ("h1", "rxe1", "soft-roce")
    assert (said["mtu"], said["rdma.active_mtu"], said["rdma.state"]) == ("9000", "4096", "ACTIVE")
    assert f"{said['rdma.gid_index']} RoCE v2 10.0.0.1 h1" in said["rdma.gid_table"]
    assert results["counters"]["sent_pkts"] > 1000
    assert results["counters"]["tx_bytes"] > 1_000_000
