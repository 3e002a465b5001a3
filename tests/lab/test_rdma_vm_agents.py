"""Real agents on soft-RoCE: two of them in an emulated guest, called over mutual TLS.  See docs/rdma.md."""

import json
import re
import sys
from pathlib import Path

import grpc
import pytest
from rdma_vm import machine, packages

from aibench_lib.worker.authority import make_authority

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the guest's Python is 3.11, and the agents' packages that are installed here are of another one")
    folder = tmp_path_factory.mktemp("agents")
    make_authority(folder / "keys", dict.fromkeys(("h1", "h2"), "127.0.0.1"))
    site = Path(grpc.__file__).parents[1]
    command = "PYTHONPATH=$PYTHONPATH:/site python3 -m rdma_vm.guest.agents"
    try:
        done = machine.run(command, folder=folder, memory_mib=1536, shares={"site": site}, timeout_s=900)
    except packages.CannotBuildError as error:
        pytest.skip(f"no guest with soft-RoCE: {error}")
    assert done.status == 0, f"the agents' job ended with {done.status}:\n{done.log}"
    return json.loads((folder / "results.json").read_text())


def test_an_agent_on_soft_roce_offers_verbs_first_and_says_what_it_is(found):
    assert found["described"]["transport"] == "soft-roce"
    assert found["described"]["transports"][0] == "verbs"
    assert found["described"]["transports"][-1] == "tcp"


def test_a_trial_s_samples_come_from_queue_pairs_and_say_so(found):
    samples = found["samples"]
    assert {(row["status"], row["transport"], row["operation"]) for row in samples} == {
        ("ok", "soft-roce", "write_with_imm")
    }
    assert sorted(row["size_bytes"] for row in samples if row["qp"] == "0") == ["1048576", "4096"]
    assert {(row["size_bytes"], row["operations"]) for row in samples if row["qp"] == "1"} == {("131072", "2")}


def test_every_row_has_its_receipt(found):
    rows = sorted(row["qp"] for row in found["samples"])
    assert sorted(row["qp"] for row in found["receipts"]) == rows


def test_states_and_counters_come_with_the_last_batch(found):
    assert found["states"] == {"h2/0": "RTS", "h2/1": "RTS"}
    sent = sum(int(row["size_bytes"]) for row in found["samples"])
    assert found["growth"]["tx_bytes"] > sent  # packets have headers, too
    assert found["growth"]["sent_pkts"] > sent / 4096


def test_agents_leave_nothing_registered_and_end_when_told(found):
    assert re.findall(r"\bmr (\d+)", found["registered after"]) == ["0", "0"]
    assert found["ended"] == [0, 0]
