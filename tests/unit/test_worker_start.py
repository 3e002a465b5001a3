"""All hosts begin at one moment, each by its own clock or with a trigger, and how exactly they did is measured."""

import dataclasses

import pytest
from agent_servers import Lab, Prober, make_keys

from aibench_lib.errors import TrialError
from aibench_lib.model import Transfer, TrialLoad
from aibench_lib.worker import agent_pb2, start
from aibench_lib.worker.clocks import Reading, pair_uncertainty_ns
from aibench_lib.worker.coordinator import Coordinator

SECOND, MS, US = 1_000_000_000, 1_000_000, 1_000
SHIFTS = {"p1": 0, "p2": 7 * SECOND, "d1": -3 * SECOND}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("keys") / "keys")


@pytest.fixture
def lab(keys):
    """Two senders and a receiver, each with a clock of its own."""
    lab = Lab(keys)
    for host, shift_ns in SHIFTS.items():
        lab.add(host, clock="realtime", clock_id=f"of {host}", shift_ns=shift_ns, prober=Prober(shift_ns=shift_ns))
    yield lab
    lab.close()


def load(window_ns=None):
    sends = {host: (Transfer(peer="d1", qp=1, size_bytes=1),) for host in ("p1", "p2")}
    return TrialLoad(transfers={**sends, "d1": ()}, seed=1, start_window_ns=window_ns)


def run(lab, window_ns=None):
    with Coordinator(lab.addresses()) as coordinator:
        return coordinator.run_trial("t", load(window_ns), lead_ns=0)


def told(lab):
    return {host: agent.runs[-1] for host, agent in lab.agents.items()}


def one_clock(lab):
    for agent in lab.agents.values():
        agent.behaviour["clock_id"] = "of all"
        agent.behaviour["shift_ns"] = agent.behaviour["prober"].shift_ns = SECOND


def test_each_host_is_told_t0_on_its_own_clock_and_every_time_comes_back_on_ours(lab):
    trial = run(lab)
    t0 = {host: request.t0_ns - SHIFTS[host] for host, request in told(lab).items()}
    assert max(abs(t0_ns - trial.t0_ns) for t0_ns in t0.values()) < 5 * MS
    assert trial.table["posted_ns"].to_pylist() == [trial.t0_ns] * 2
    assert abs(trial.t_end_ns - trial.t0_ns - 400_000) <= 1
    assert trial.start.method == "clock"
    assert trial.start.skew_ns == 0  # by what they say of themselves, on one clock
    assert 0 < trial.start.uncertainty_ns < 10 * MS


def test_a_host_that_begins_late_makes_a_skew(lab):
    lab.agents["p2"].behaviour["late_ns"] = 3 * MS
    assert run(lab).start.skew_ns == 3 * MS


def test_a_trial_without_a_window_uses_no_trigger_and_is_not_refused(lab):
    run(lab)
    assert all(not request.trigger_to and not request.await_trigger for request in told(lab).values())
    assert not lab.agents["p1"].trials["t"].trigger


def test_a_window_of_a_millisecond_is_started_by_a_receiving_host(lab):
    one_clock(lab)
    trial = run(lab, MS)
    requests = told(lab)
    assert list(requests["d1"].trigger_to) == ["p1:1", "p2:1"]
    assert not requests["d1"].await_trigger
    assert all(requests[host].await_trigger and not requests[host].trigger_to for host in ("p1", "p2"))
    [token] = {request.trigger_token for request in requests.values()}
    assert len(token) == 16
    assert trial.start == start.Started("trigger", 0, 0)


def test_a_longer_window_is_started_by_clocks(lab):
    one_clock(lab)
    assert run(lab, MS + 1).start.method == "clock"


def test_clocks_that_are_known_too_badly_for_a_window_are_named_with_the_cure_and_nothing_runs(lab):
    prober = lab.agents["p2"].behaviour["prober"]
    prober.there_seconds = 0.004
    with pytest.raises(TrialError) as raised:
        run(lab, 4 * MS)
    line = str(raised.value)
    assert line.startswith("p2: its clock is known to 2")
    assert "ms (by probes)" in line
    assert "a start within 4 ms allows 1 ms; synchronise the hosts by PTP or chrony, or bring the controller" in line
    assert "\n" not in line
    assert lab.agents["p1"].runs == []
    assert prober.asked == 32  # once more before it was refused


def test_clocks_that_one_more_measurement_knows_well_enough_are_not_refused(lab):
    with Coordinator(lab.addresses()) as coordinator:
        for agent in lab.agents.values():
            agent.behaviour["prober"].there_seconds = 0.02
        coordinator.run_trial("before", load(), lead_ns=0)
        for agent in lab.agents.values():
            agent.behaviour["prober"].there_seconds = 0
        assert coordinator.run_trial("t", load(60 * MS), lead_ns=0).start.uncertainty_ns < 15 * MS


def test_senders_that_begin_too_far_apart_make_the_trial_invalid(lab):
    one_clock(lab)
    lab.agents["p1"].behaviour["late_ns"] = 26 * US
    apart = r"began 26 us apart \(known to 0 ns, by trigger\); a start within 100 us allows 25 us"
    with pytest.raises(TrialError, match=apart):
        run(lab, 100 * US)
    lab.agents["p1"].behaviour["late_ns"] = 25 * US
    assert run(lab, 100 * US).start.skew_ns == 25 * US


def test_a_sender_that_does_not_say_when_it_began_leaves_the_start_unknown(lab):
    last = {"a": agent_pb2.SampleBatch(started_ns=5, started_last_ns=9), "b": agent_pb2.SampleBatch()}
    clocks = dict.fromkeys("ab", Reading("c", 0, 0, "one clock"))
    assert start.achieved("clock", last, ["a", "b"], clocks) is None
    assert start.achieved("clock", last, [], clocks) is None
    assert start.achieved("clock", last, ["a"], clocks) == start.Started("clock", 4, 0)
    with pytest.raises(TrialError, match="does not say when it began; use a transport that does"):
        start.check_start(MS, None)


def test_a_host_whose_clock_was_set_in_the_trial_is_named(lab):
    lab.agents["p2"].behaviour["ahead_ns"] = 3600 * SECOND  # when it says that it ended
    with pytest.raises(TrialError, match=r"p2: by its clock .* so its clock or ours was set; let their time services"):
        run(lab)


def test_without_a_host_that_only_receives_one_of_the_senders_leads():
    prepared = {host: agent_pb2.Prepared(trigger_address=f"{host}:1") for host in "abc"}
    assert start.choose_trigger(["a", "c"], prepared).leader == "b"
    assert start.choose_trigger(["a", "b", "c"], prepared).leader == "a"
    prepared["c"].trigger_address = ""
    assert start.choose_trigger(["a"], prepared) is None


def test_a_simulated_lab_begins_at_t0_by_definition(keys):
    lab = Lab(keys)
    try:
        for host in SHIFTS:
            lab.add(host)
        trial = run(lab, 100 * US)
    finally:
        lab.close()
    assert trial.start is None
    assert not told(lab)["d1"].trigger_to


@pytest.mark.parametrize(
    ("uncertainties", "pair"),
    [({"a": 3, "b": 5, "c": 4}, 9), ({"a": 3}, 0), ({}, 0)],
)
def test_two_clocks_are_known_to_each_other_by_the_sum_of_what_each_is_known_to(uncertainties, pair):
    clocks = {host: Reading(host, 0, known, "probes") for host, known in uncertainties.items()}
    assert pair_uncertainty_ns(clocks) == pair
    same = {host: dataclasses.replace(reading, clock="one") for host, reading in clocks.items()}
    assert pair_uncertainty_ns(same) == 0


def test_at_first_telling_all_hosts_may_take_half_as_long_again_as_joining_them():
    assert start.Telling().expected_ns(100 * MS) == 150 * MS


def test_what_telling_has_taken_of_the_time_of_joining_is_expected_of_it_again():
    telling = start.Telling()
    for _ in range(20):
        telling.learn(joining_ns=100 * MS, told_ns=40 * MS)
    assert telling.expected_ns(100 * MS) == pytest.approx(60 * MS, rel=0.01)
    assert telling.expected_ns(1000 * MS) == pytest.approx(600 * MS, rel=0.01)  # the hosts are slower now
    telling.learn(joining_ns=100 * MS, told_ns=80 * MS)
    assert telling.expected_ns(100 * MS) == pytest.approx(120 * MS, rel=0.01)  # one slow trial counts at once


@pytest.mark.parametrize(("joining_ns", "told_ns", "expected_ns"), [(0, 40, 150), (100, 900, 150), (100, -3, 75)])
def test_what_cannot_be_learned_from_leaves_t0_where_it_would_be(joining_ns, told_ns, expected_ns):
    telling = start.Telling()
    telling.learn(joining_ns, told_ns)  # nobody had to join; longer than joining; a clock that was set
    assert telling.expected_ns(100) == expected_ns


def test_a_trial_that_failed_makes_the_next_one_s_t0_as_far_as_at_first(lab):
    with Coordinator(lab.addresses()) as coordinator:
        coordinator._telling.learn(joining_ns=100, told_ns=0)
        assert coordinator._telling.expected_ns(100) < 150
        lab.agents["p1"].behaviour["die"] = True
        with pytest.raises(TrialError, match="the NIC is gone"):
            coordinator.run_trial("t", load(), lead_ns=0)
        assert coordinator._telling.expected_ns(100) == 150
