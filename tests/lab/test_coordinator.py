"""The coordinator on the virtual lab's agents."""

import threading

import pytest
from virtual_fabric import fabric

from aibench_lib.errors import LabError, TrialError
from aibench_lib.model import Transfer, TrialLoad
from aibench_lib.worker.coordinator import Coordinator

SENDERS = [f"prefill{number:02}" for number in range(1, 33)]
LEAD_NS = 100_000


@pytest.fixture
def lab(tmp_path):
    with fabric(tmp_path, "127.114", patience_seconds=20.0) as running:
        yield running


def incast(senders, size_bytes=400_000):
    sends = {host: (Transfer(peer="decode01", qp=1, size_bytes=size_bytes),) for host in senders}
    return TrialLoad(transfers={**sends, "decode01": ()}, seed=1)


def test_thirty_three_agents_run_one_trial_after_another(lab):
    with Coordinator(lab.agents(*SENDERS, "decode01")) as coordinator:
        assert {reply.lab for reply in coordinator.describe()} == {"simulated"}
        trials = [coordinator.run_trial(f"t{number}", incast(SENDERS), LEAD_NS) for number in range(3)]
    for trial in trials:
        assert sorted(trial.table["host"].to_pylist()) == SENDERS
        assert max(trial.table["completed_ns"].to_pylist()) <= trial.t_end_ns
    assert trials[0].t_end_ns < trials[1].t0_ns
    durations = {trial.t_end_ns - trial.t0_ns for trial in trials}
    assert len(durations) == 1  # the same seed gives the same trial


def test_an_agent_that_dies_before_a_trial_is_named_and_trials_without_it_run(lab):
    with Coordinator(lab.agents(*SENDERS[:3], "decode01"), answer_seconds=5) as coordinator:
        coordinator.run_trial("t1", incast(SENDERS[:3]), LEAD_NS)
        lab.lab.stop_agent("prefill02")
        with pytest.raises(TrialError, match=r"prefill02: the agent at 127\.114\.1\.2:50051 does not answer"):
            coordinator.run_trial("t2", incast(SENDERS[:3]), LEAD_NS)
        with pytest.raises(LabError, match="prefill02"):
            coordinator.describe()
        assert coordinator.run_trial("t3", incast(["prefill01", "prefill03"]), LEAD_NS).table.num_rows == 2


def test_an_agent_that_dies_in_a_trial_ends_it_at_once_and_releases_the_others(lab):
    with Coordinator(lab.agents(*SENDERS[:3], "decode01")) as coordinator:
        coordinator.describe()
        killer = threading.Timer(0.4, lab.lab.stop_agent, ["prefill02"])
        killer.start()
        with pytest.raises(TrialError, match="prefill02: the agent at"):
            coordinator.run_trial("t1", incast(SENDERS[:3], size_bytes=4_000_000_000), LEAD_NS)
        killer.join()
        assert coordinator.run_trial("t2", incast(["prefill01", "prefill03"]), LEAD_NS).table.num_rows == 2
