"""The order of trials: one is offered while the one before is judged, and what is not valid is repeated."""

import threading

import pytest

from aibench_lib.errors import LabError, StartError, TrialError
from aibench_lib.journal import Journal
from aibench_lib.run.plan import PlannedTrial
from aibench_lib.run.trials import ATTEMPTS, _run_all


class Bench:
    """Workers and switches that do as a script says: trial id -> what goes wrong, attempt by attempt."""

    def __init__(self, at_offer=None, at_judgement=None):
        self.at_offer = at_offer or {}
        self.at_judgement = at_judgement or {}
        self.offered = []

    def offer(self, trial, name):
        self.offered.append(name)
        self._fail(self.at_offer, trial)
        return name

    def judge(self, trial, sent):
        self._fail(self.at_judgement, trial)
        return {"trial": trial.id, "attempt": sent}

    def _fail(self, script, trial):
        reasons = script.get(trial.id, [])
        if reasons:
            raise TrialError(reasons.pop(0))


class Progress:
    def __init__(self):
        self.advanced = []

    def advance(self, trial):
        self.advanced.append(trial.id)


def trials(*ids):
    return [PlannedTrial(id=id_, point={}, number=1, seed=1) for id_ in ids]


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


def done(journal):
    return [event["trial"] for event in journal.events() if event["event"] == "trial_done"]


def test_valid_trials_are_done_in_their_order(journal):
    progress = Progress()
    assert _run_all(Bench(), trials("a", "b", "c"), journal, progress) == 0
    assert done(journal) == progress.advanced == ["a", "b", "c"]


def test_no_trials_are_no_work(journal):
    assert _run_all(Bench(), [], journal, Progress()) == 0
    assert journal.events() == []


def test_a_trial_with_a_gap_is_repeated_and_counted_with_its_reason(journal):
    bench = Bench(at_judgement={"b": ["leaf1: nothing for 2 ms"]})
    assert _run_all(bench, trials("a", "b", "c"), journal, Progress()) == 1
    assert sorted(done(journal)) == ["a", "b", "c"]
    (discarded,) = (event for event in journal.events() if event["event"] == "trial_discarded")
    assert (discarded["trial"], discarded["attempt"], discarded["reason"]) == ("b", 1, "leaf1: nothing for 2 ms")
    assert "b-a2" in bench.offered


def test_a_trial_whose_agent_failed_is_repeated_before_the_next_one(journal):
    bench = Bench(at_offer={"a": ["prefill01: gone"]})
    assert _run_all(bench, trials("a", "b"), journal, Progress()) == 1
    assert bench.offered == ["a-a1", "a-a2", "b-a1"]


def test_a_point_whose_hosts_cannot_start_as_it_asks_is_left_out_and_the_others_are_run(journal):
    class Unsynchronised(Bench):
        def offer(self, trial, name):
            self.offered.append(name)
            if trial.point["window"] < 1:
                raise StartError("the clocks are known to 2 ms")
            return name

    bench = Unsynchronised()
    points = [("a", 0.1), ("b", 5), ("c", 0.1), ("d", 5)]
    planned = [PlannedTrial(id=id_, point={"window": window}, number=1, seed=1) for id_, window in points]
    assert _run_all(bench, planned, journal, Progress()) == ATTEMPTS
    assert bench.offered == ["a-a1", "a-a2", "a-a3", "b-a1", "d-a1"]
    assert done(journal) == ["b", "d"]
    [anomaly] = [event["text"] for event in journal.events() if event["event"] == "anomaly"]
    assert anomaly == "left out from trial a on: window=0.1; the clocks are known to 2 ms"


@pytest.mark.parametrize("where", ["at_offer", "at_judgement"])
def test_a_trial_that_is_never_valid_ends_the_run_with_its_last_reason(journal, where):
    bench = Bench(**{where: {"a": [f"reason {n}" for n in range(ATTEMPTS)]}})
    with pytest.raises(LabError, match="trial a was not valid 3 times in a row; the last reason: reason 2"):
        _run_all(bench, trials("a"), journal, Progress())
    assert done(journal) == []


def test_the_next_trial_is_offered_while_the_one_before_is_judged(journal):
    offered_second = threading.Event()

    class Overlapping(Bench):
        def offer(self, trial, name):
            if trial.id == "b":
                offered_second.set()
            return super().offer(trial, name)

        def judge(self, trial, sent):
            assert trial.id != "a" or offered_second.wait(10)
            return super().judge(trial, sent)

    _run_all(Overlapping(), trials("a", "b"), journal, Progress())
    assert done(journal) == ["a", "b"]
