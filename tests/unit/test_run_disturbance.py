"""A fault within a trial: what comes of it when the trial or the fault does not go as planned."""

import time
from contextlib import contextmanager

import pytest

from aibench_lib.errors import LabError, TrialError
from aibench_lib.journal import Journal
from aibench_lib.model import Port, Topology
from aibench_lib.run import disturbance
from aibench_lib.run.disturbance import within
from aibench_lib.switch.faults import Fault, FaultKind, Place

DOWN = Fault(kind=FaultKind.LINK_DOWN, ports=(Port("leaf1", "Ethernet49"),))
SECOND = 1_000_000_000


@pytest.fixture
def place(tmp_path):
    return Place(topology=Topology((), (), ()), targets={}, journal=Journal(tmp_path / "j"), run_dir=tmp_path)


@pytest.fixture
def switches(monkeypatch):
    """Switches that do as a test says: what they refuse at the beginning, and at the end."""
    said = {"begin": None, "end": None, "did": []}

    @contextmanager
    def active(fault, place):
        if said["begin"]:
            raise said["begin"]
        said["did"].append("began")
        try:
            yield
        finally:
            said["did"].append("ended")
            if said["end"]:
                raise said["end"]

    monkeypatch.setattr(disturbance.fault_injection, "active", active)
    return said


def wait_until(condition):
    last = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.001)


def trial(place, length_ns, failure=None):
    """Be half a second after a trial's start, and at its end as soon as a fault that is due has begun."""
    with within(DOWN, place, length_ns) as one:
        one.at_start(time.time_ns() - SECOND // 2)
        if length_ns == SECOND:  # it begins at once
            wait_until(lambda: one.began_ns)
        if failure:
            raise failure


def test_a_fault_that_came_and_went_within_its_trial_has_a_span(switches, place):
    t0_ns = time.time_ns()
    with within(DOWN, place, SECOND // 5) as one:
        one.at_start(t0_ns)
        wait_until(lambda: switches["did"] == ["began", "ended"])
    began_ns, ending_ns = one.span_ns()
    assert t0_ns + SECOND // 20 <= began_ns < ending_ns < t0_ns + SECOND // 5 + SECOND // 2
    assert switches["did"] == ["began", "ended"]


def test_a_trial_that_was_over_while_its_fault_lasted_does_not_count(switches, place):
    with within(DOWN, place, 10 * SECOND) as one:
        one.at_start(time.time_ns() - 4 * SECOND)  # it begins at once, and has 2.5 s to last
        wait_until(lambda: switches["did"])
    assert switches["did"] == ["began", "ended"]
    with pytest.raises(TrialError, match="was over before link_down was: make it longer"):
        one.span_ns()


def test_a_fault_that_cannot_be_ended_is_told_even_where_the_trial_failed_too(switches, place):
    switches["end"] = LabError("leaf1", "its port stays down")
    with pytest.raises(LabError, match="leaf1: its port stays down"):
        trial(place, length_ns=SECOND, failure=TrialError("an agent has died"))


def test_an_error_that_nobody_thought_of_at_the_end_of_a_fault_is_not_swallowed(switches, place):
    switches["end"] = KeyError("Ethernet49")
    with pytest.raises(KeyError, match="Ethernet49"):
        trial(place, length_ns=SECOND)


def test_a_fault_that_did_not_begin_is_told(switches, place):
    switches["begin"] = LabError("leaf1", "refused shutdown")
    with pytest.raises(LabError, match="refused shutdown"):
        trial(place, length_ns=SECOND)
    assert not switches["did"]


def test_a_trial_that_failed_before_its_fault_says_why_it_failed(switches, place):
    with pytest.raises(TrialError, match="an agent has died"):
        trial(place, length_ns=100 * SECOND, failure=TrialError("an agent has died"))
    assert not switches["did"]


def test_a_trial_without_a_fault_has_none(place):
    with within(None, place, SECOND) as one:
        assert one is None
