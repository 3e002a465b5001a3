import networkx as nx
import numpy as np
import pytest

from aibench_lib.errors import TrialError
from aibench_lib.kpi.pause_propagation import propagation_depth, standstills
from aibench_lib.model import Port

A, B, C, D, E = (Port(name, "1") for name in "abcde")
CHAIN = nx.DiGraph([(A, B), (B, C), (C, D)])
CIRCLE = nx.DiGraph([(A, B), (B, C), (C, D), (D, A), (E, A)])


def test_nothing_paused_has_no_depth():
    assert propagation_depth(CHAIN, []) == 0


def test_the_neighbour_of_the_congestion_alone_is_one_hop():
    assert propagation_depth(CHAIN, [D]) == 1


def test_depth_is_that_of_the_longest_chain():
    assert propagation_depth(CHAIN, [B, C, D]) == 3
    assert propagation_depth(CHAIN, [A, C, D]) == 2


def test_ports_that_do_not_wait_for_each_other_are_no_chain():
    assert propagation_depth(nx.DiGraph([(A, B), (C, D)]), [A, C]) == 1


def test_a_circle_counts_each_port_once_and_what_waits_for_it_too():
    assert propagation_depth(CIRCLE, [A, B, C, D]) == 4
    assert propagation_depth(CIRCLE, [A, B, C, D, E]) == 5


def test_a_port_of_which_no_dependency_is_known_does_not_count():
    assert propagation_depth(CHAIN, [E]) == 0


PORTS = [A, B, C, D]
TIMES = np.arange(8) * 100


def stopped(*rows):
    return np.array([[mark == "x" for mark in row] for row in rows])


def found(*rows, at_least_ns=200):
    times = np.arange(len(rows) + 1) * 100
    standing = standstills(CIRCLE, PORTS, times, stopped(*rows), at_least_ns=at_least_ns)
    return [(one.begin_ns, one.end_ns) for one in standing]


def test_a_full_circle_that_stands_in_successive_samples_is_a_standstill():
    assert found("....", "xxxx", "xxxx", "xxxx", "....") == [(100, 400)]


def test_it_may_last_to_the_end():
    assert found("....", "xxxx", "xxxx") == [(100, 300)]


def test_an_open_chain_is_none():
    assert found("xxx.", "xxx.", "xxx.") == []


def test_ports_that_take_turns_are_none():
    assert found("xx.x", "x.xx", "xxx.", ".xxx") == []


def test_one_interval_is_enough_if_it_is_long_enough():
    assert found("....", "xxxx", "....", at_least_ns=100) == [(100, 200)]
    assert found("....", "xxxx", "....", at_least_ns=101) == []


def test_two_standstills_are_told_apart():
    assert found("xxxx", "xxxx", ".xxx", "xxxx", "xxxx") == [(0, 200), (300, 500)]


def test_a_shorter_one_is_left_out():
    assert found("xxxx", "xxxx", "....", "xxxx", "xxxx", "xxxx", at_least_ns=300) == [(300, 600)]


def test_a_standstill_names_its_ports():
    both = nx.compose(CIRCLE, nx.DiGraph([(A, E), (E, A)]))
    ports = [*PORTS, E]
    rows = stopped("xxxxx", "x...x", "x...x")
    (one,) = standstills(both, ports, np.arange(4) * 100, rows, at_least_ns=100)
    assert one.ports == {A, E}


def test_observations_that_do_not_fit_are_refused():
    with pytest.raises(TrialError, match="2 ports at 4 times"):
        standstills(CIRCLE, [A, B], [0, 1, 2, 3], stopped("x"), at_least_ns=1)
