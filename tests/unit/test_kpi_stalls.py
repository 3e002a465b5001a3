import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.errors import TrialError, UndefinedKpi
from aibench_lib.kpi.sampling import held
from aibench_lib.kpi.stalls import Stall, stalls


def test_a_path_stalls_from_a_post_to_its_completion_when_nothing_else_is_outstanding():
    assert stalls([100], [150], 1000) == [Stall(begin_ns=100, end_ns=150, recovered=True)]


def test_a_path_without_anything_outstanding_does_not_stall():
    found = stalls([0, 500], [10, 510], 1000)
    assert [(stall.begin_ns, stall.end_ns) for stall in found] == [(0, 10), (500, 510)]


def test_completions_of_other_transfers_are_progress():
    # One long transfer from 0 to 100, short ones complete at 30 and 60 beside it.
    found = stalls([0, 20, 50], [100, 30, 60], 1000)
    assert [(stall.begin_ns, stall.end_ns) for stall in found] == [(0, 30), (30, 60), (60, 100)]


def test_what_never_completes_stalls_to_the_end_of_the_trial_once():
    found = stalls([0, 10, 20], [5, -1, -1], 1000)
    assert found[-1] == Stall(begin_ns=10, end_ns=1000, recovered=False)
    assert len(found) == 2


def test_a_stall_begins_with_the_last_progress_before_it():
    found = stalls([0, 0, 100], [90, -1, -1], 1000)
    assert found[-1] == Stall(begin_ns=90, end_ns=1000, recovered=False)


def test_short_stalls_can_be_left_out():
    assert [stall.duration_ns for stall in stalls([0, 100], [10, 300], 1000, at_least_ns=50)] == [200]


def test_a_completion_before_its_post_is_refused():
    with pytest.raises(TrialError, match="complete before it was posted"):
        stalls([100], [50], 1000)


def test_no_transfer_means_no_stall():
    assert stalls([], [], 1000) == []


@given(st.lists(st.tuples(st.integers(0, 900), st.one_of(st.none(), st.integers(1, 100))), min_size=1, max_size=20))
def test_stalls_do_not_overlap_and_contain_no_completion(transfers):
    posted = [post for post, _ in transfers]
    completed = [-1 if took is None else post + took for post, took in transfers]
    found = stalls(posted, completed, 1000)
    for before, after in itertools.pairwise(found):
        assert before.end_ns <= after.begin_ns
    for stall in found:
        assert not any(stall.begin_ns < at < stall.end_ns for at in completed)
        # Something was outstanding all the time.
        assert any(
            post <= stall.begin_ns and (at == -1 or at >= stall.end_ns)
            for post, at in zip(posted, completed, strict=True)
        )


def test_the_last_known_value_is_held():
    assert held([10, 20, 40], [1, 2, 4], [5, 10, 19, 20, 39, 40, 99]).tolist() == [1, 1, 1, 2, 2, 4, 4]


def test_a_series_without_a_sample_has_no_value():
    with pytest.raises(UndefinedKpi):
        held([], [], [1])
