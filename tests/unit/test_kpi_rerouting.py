"""What a failed link does to traffic and routes, on times that can be checked by hand."""

import numpy as np
import pytest

from aibench_lib.errors import UndefinedKpi
from aibench_lib.kpi.rerouting import changes, convergence_ns, disruption

MS = 1_000_000


def every(step_ms, begin_ms, end_ms):
    return np.arange(begin_ms * MS, end_ms * MS, step_ms * MS)


def test_the_flow_on_the_failed_link_is_found_among_those_that_go_on():
    untouched = every(1, 0, 1000)
    hit = np.concatenate([every(1, 0, 500), every(1, 740, 1000)])
    found = disruption({"a": untouched, "b": hit}, 500 * MS, 1000 * MS)
    assert found.flow == "b"
    assert found.gap_ns == 241 * MS
    assert found.usual_ns == 1 * MS
    assert found.beyond_usual_ns == 240 * MS
    assert found.recovered


def test_a_flow_that_often_pauses_so_long_is_not_disrupted():
    bursts = np.concatenate([every(1, 0, 100), every(1, 300, 500), every(1, 650, 1000)])
    found = disruption({"a": bursts}, 500 * MS, 1000 * MS)
    assert (found.gap_ns, found.usual_ns, found.beyond_usual_ns) == (151 * MS, 201 * MS, 0)


def test_a_flow_that_never_comes_back_has_not_recovered():
    found = disruption({"a": every(1, 0, 500)}, 500 * MS, 1000 * MS)
    assert found.gap_ns == 501 * MS
    assert not found.recovered


def test_the_order_of_completions_does_not_matter():
    hit = np.concatenate([every(1, 0, 500), every(1, 740, 1000)])
    assert disruption({1: hit[::-1]}, 500 * MS, 1000 * MS) == disruption({1: hit}, 500 * MS, 1000 * MS)


def test_completions_after_the_link_came_back_do_not_count():
    found = disruption({"a": np.concatenate([every(1, 0, 500), every(1, 900, 1000)])}, 500 * MS, 800 * MS)
    assert (found.gap_ns, found.recovered) == (301 * MS, False)


def test_without_a_time_before_the_failure_nothing_is_usual():
    with pytest.raises(UndefinedKpi, match="two completions before"):
        disruption({"a": every(1, 500, 600), "b": np.array([1])}, 500 * MS, 1000 * MS)
    with pytest.raises(UndefinedKpi, match="after the end"):
        disruption({"a": every(1, 0, 600)}, 2000 * MS, 1000 * MS)


def test_convergence_lasts_until_the_last_change_before_quiet():
    changed = np.array([100, 520, 560, 900]) * MS  # before, two that follow from the failure, one that does not
    assert convergence_ns(changed, 500 * MS, 2000 * MS, quiet_ns=300 * MS) == 60 * MS
    assert convergence_ns(changed[::-1], 500 * MS, 2000 * MS, quiet_ns=400 * MS) == 400 * MS


def test_routes_that_keep_changing_have_not_converged():
    with pytest.raises(UndefinedKpi, match="without a change"):
        convergence_ns(every(10, 500, 1000), 500 * MS, 1000 * MS, quiet_ns=100 * MS)
    with pytest.raises(UndefinedKpi, match="no route changed"):
        convergence_ns(np.array([1, 2]), 500 * MS, 1000 * MS, quiet_ns=100 * MS)


def test_a_counter_tells_of_a_change_with_the_next_sample():
    assert changes(every(200, 0, 1200), np.array([7, 7, 9, 9, 10, 10])).tolist() == [400 * MS, 800 * MS]
    assert changes(np.array([5]), np.array([1])).size == 0
