"""The ends of what tests ask of the verbs transport, on soft-RoCE in a guest: 1 GB, and 256 queue pairs."""

import json

import pytest
from rdma_vm import machine, packages
from rdma_vm.guest.cases import EXTREMES

from aibench_lib.worker.transports import rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extremes")
    try:
        done = machine.run("python3 -m rdma_vm.guest.extremes", folder=folder, memory_mib=3072, timeout_s=900)
    except packages.CannotBuildError as error:
        pytest.skip(f"no guest with soft-RoCE: {error}")
    assert done.status == 0, done.log
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("case", EXTREMES)
def test_every_payload_arrives_as_it_was_sent_and_is_signalled(found, case):
    qps, sizes = EXTREMES[case]
    outcome = found[case]
    assert outcome["errors"] == {}
    assert outcome["statuses"] == [rows.OK] * (qps * len(sizes))
    assert sorted(outcome["bytes"]) == sorted(sizes * qps)
    assert outcome["receipts"] == sorted([*range(qps)] * len(sizes))
    assert outcome["states"] == ["RTS"] * (2 * qps)
