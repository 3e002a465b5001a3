import dataclasses

import pytest
from simulated_inventory import LAB

from aibench_lib.catalogue import load_benchmarks
from aibench_lib.errors import NotAttainable, SpecError
from aibench_lib.model import LabKind
from aibench_lib.procedures import PROCEDURES
from aibench_lib.run.plan import (
    Profile,
    check_play,
    choose_profile,
    choose_tests,
    duration,
    plan_tests,
    planned_deviations,
    said,
    steps,
    trials_of_setting,
)

PROFILES = {"quick": {"trials": 3}, "draft": {}}


def test_the_draft_profile_plans_the_400_trials_of_test_8_1():
    (planned,) = plan_tests(["8.1"], choose_profile("draft", PROFILES), LAB)
    assert planned.total_trials == 4 * 5 * 20


def test_the_quick_profile_plans_three_trials_and_says_that_the_draft_asks_for_twenty():
    planned = plan_tests(["8.1"], choose_profile("quick", PROFILES), LAB)
    assert planned[0].total_trials == 4 * 5 * 3
    (deviation,) = planned_deviations(planned)
    assert (deviation.draft, deviation.here) == ("at least 20", "3")


def test_the_draft_profile_deviates_in_nothing():
    assert planned_deviations(plan_tests(["8.1"], Profile(), LAB)) == []


def test_every_trial_has_its_own_name_and_its_own_seed():
    (planned,) = plan_tests(["8.1"], Profile(), LAB)
    trials = [trial for setting in planned.settings for trial in trials_of_setting(planned, setting, 1)]
    assert len({trial.id for trial in trials}) == len({trial.seed for trial in trials}) == 400


def test_a_trials_seed_depends_on_the_runs_seed_and_not_on_how_many_trials_there_are():
    (few,) = plan_tests(["8.1"], Profile(trials=2), LAB)
    (many,) = plan_tests(["8.1"], Profile(trials=20), LAB)
    setting = few.settings[2]
    seeds = {trial.id: trial.seed for trial in trials_of_setting(many, setting, 7)}
    assert all(seeds[trial.id] == trial.seed for trial in trials_of_setting(few, setting, 7))
    assert {trial.seed for trial in trials_of_setting(few, setting, 8)}.isdisjoint(seeds.values())


def test_a_step_holds_what_a_playbook_needs_to_configure_one_setting():
    first = steps(plan_tests(["8.1"], Profile(), LAB), LAB)[0]
    values = {"ecn_threshold_bytes": 100_000}
    assert first["changes"] == {name: [{"feature": "ecn", "values": values}] for name in LAB.topology.switches}
    assert first["setting"] == values


def test_the_fabric_is_put_back_before_the_first_setting_of_every_test_but_the_first():
    found = steps(plan_tests(["8.1", "8.3", "8.4"], Profile(), LAB), LAB)
    assert [(step["test"], step["restore_first"]) for step in found] == [
        *[("8.1", False)] * 4,
        ("8.3", True),
        ("8.4", True),
        ("8.4", False),
    ]


def test_a_setting_that_a_switch_cannot_take_is_left_out_and_reported(monkeypatch):
    def refuses(target, feature, values):
        if target.host == "spine2" and values["ecn_threshold_bytes"] > 1_000_000:
            raise NotAttainable("not attainable: 5000000 > max 1000000 bytes")

    monkeypatch.setattr("aibench_lib.run.plan.parse_setting", refuses)
    planned = plan_tests(["8.1"], Profile(), LAB)
    assert len(planned[0].settings) == 3
    (deviation,) = planned_deviations(planned)
    assert deviation.subject == "Test 8.1: ecn_threshold_bytes=5000000"
    assert deviation.here == "not attainable: 5000000 > max 1000000 bytes"
    assert said(planned)[1].startswith("  left out: ecn_threshold_bytes=5000000: not attainable")


def test_a_test_of_which_no_setting_is_attainable_is_refused(monkeypatch):
    def refuses(target, feature, values):
        raise NotAttainable("not attainable: no ECN")

    monkeypatch.setattr("aibench_lib.run.plan.parse_setting", refuses)
    with pytest.raises(SpecError, match=r"tests: 8\.1: not attainable: no ECN"):
        plan_tests(["8.1"], Profile(), LAB)


def test_a_test_of_which_no_setting_is_attainable_does_not_stop_the_others(monkeypatch):
    def refuses(target, feature, values):
        if feature == "pfc_watchdog":
            raise NotAttainable("not attainable: no watchdog")

    monkeypatch.setattr("aibench_lib.run.plan.parse_setting", refuses)
    planned = plan_tests(["8.1", "8.4"], Profile(), LAB)
    assert [test.total_trials for test in planned] == [400, 0]
    assert [deviation.here for deviation in planned_deviations(planned)] == ["not attainable: no watchdog"] * 2


def test_a_trial_that_is_shorter_than_the_drafts_is_a_deviation():
    (deviation,) = planned_deviations(plan_tests(["8.4"], Profile(trial_seconds=3.0), LAB))
    assert (deviation.subject, deviation.draft, deviation.here) == ("Test 8.4: length of a trial", "300 s", "3 s")


def test_a_profile_may_differ_for_one_test():
    profile = choose_profile("mine", {"mine": {"trials": 3, "tests": {"8.4": {"trials": 1, "trial_seconds": 2.5}}}})
    assert (profile.of("8.1").trials, profile.of("8.4").trials) == (3, 1)
    assert (profile.of("8.1").trial_seconds, profile.of("8.4").trial_seconds) == (None, 2.5)


def test_a_section_without_a_wish_means_all_of_its_tests_that_can_be_run():
    assert choose_tests(None, 8) == tuple(id_ for id_ in ("8.1", "8.2", "8.3", "8.4") if id_ in PROCEDURES)


@pytest.mark.parametrize("wanted", ["8.1", "8.1, 8.1", ["8.1"], 8.1])
def test_tests_may_be_named_in_one_word_in_a_list_or_as_the_number_that_yaml_makes_of_one(wanted):
    assert choose_tests(wanted, 8) == ("8.1",)


def test_an_unknown_test_is_refused_with_the_list_of_tests():
    with pytest.raises(SpecError, match=r"'8\.9' is no test of the draft; its tests are: 5\.1, 5\.2"):
        choose_tests("8.9", 8)


def test_a_test_of_another_section_is_refused_with_the_section_it_is_in():
    with pytest.raises(SpecError, match=r"5\.1 is not in Section 8"):
        choose_tests(["5.1"], 8)


def test_a_test_that_cannot_be_run_yet_is_refused_by_name():
    with pytest.raises(SpecError, match=r"9\.2 \(Prefix-Aware Cache Hit Rate\) cannot be run by this version"):
        choose_tests("9.2", 9)


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(SpecError, match="there is no profile 'fast'; the inventory's profiles are: quick, draft"):
        choose_profile("fast", PROFILES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"trails": 3},
        {"trials": "three"},
        {"trials": 0},
        {"trials": -1},
        {"tests": {"8.4": {"trails": 3}}},
        {"tests": {"8.4": {"trials": 0}}},
        {"tests": {"8.4": {"seed": 2}}},
        {"tests": {"8.4": 3}},
    ],
)
def test_a_wrong_profile_is_refused_with_its_name(wrong):
    with pytest.raises(SpecError, match=r"inventory: profiles\.quick"):
        choose_profile("quick", {"quick": wrong})


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.2, "1:00"), (61, "1:01"), (3661, "1:01:01")])
def test_a_duration_reads_like_a_clock(seconds, text):
    assert duration(seconds) == text


def test_every_procedure_belongs_to_a_test_of_the_draft_and_reports_what_the_test_names():
    for id_, procedure in PROCEDURES.items():
        benchmark = load_benchmarks()[id_]
        reported = {item.kpi for item in (*procedure.quantities, *procedure.distributions)}
        reported |= {item.spread for item in procedure.distributions if item.spread}
        assert reported == {*benchmark.kpis, *benchmark.derived}


@pytest.mark.parametrize(
    ("test", "play", "missing"),
    [
        ("8.1", ["spine1"], "leaf1"),
        ("8.2", ["leaf1"], "leaf3"),
        ("8.4", ["leaf1", "leaf3", "spine1"], "spine2"),
    ],
)
def test_a_limit_that_leaves_out_what_a_test_must_configure_is_refused(test, play, missing):
    planned = plan_tests([test], Profile(), LAB)
    with pytest.raises(SpecError, match=f"--limit leaves out {missing}, which test {test} must configure"):
        check_play(planned, LAB, play)


def test_a_limit_to_the_leaf_under_test_is_fine():
    check_play(plan_tests(["8.1"], Profile(), LAB), LAB, ["leaf1"])
    check_play(plan_tests(["8.2"], Profile(), LAB), LAB, ["leaf3"])
    check_play(plan_tests(["8.1", "8.2", "8.3", "8.4", "9.3"], Profile(), LAB), LAB, list(LAB.switches))


def test_points_that_the_lab_cannot_offer_are_left_out_and_are_no_failure():
    """64 prefill workers, but 9 decode workers: 8 pairs and no more."""
    planned = plan_tests(["5.3"], Profile(trials=2), LAB)
    assert [point["transfer_pairs"] for point in planned[0].points] == [1, 2, 4, 8]
    assert planned[0].total_trials == 8
    first = "transfer_pairs=16 message_bytes=16000000"
    assert next(iter(planned[0].points_left_out)) == first
    subjects = {item.subject: item.here for item in planned_deviations(planned)}
    assert subjects[f"Test 5.3: {first}"].startswith("16 pairs of a prefill and a decode worker on different leaves")
    assert sum(line.startswith("  left out: transfer_pairs=") for line in said(planned)) == 4


def test_points_that_a_profile_has_no_time_for_are_left_out():
    (planned,) = plan_tests(["5.1"], Profile(overrun_seconds=1), LAB)
    left_out = "message_bytes=1000000000 queue_pairs=128"
    assert "take 2.56 s at line rate; this profile waits for 1 s" in planned.points_left_out[left_out]
    (planned,) = plan_tests(["5.1"], Profile(), LAB)
    assert not planned.points_left_out


def test_a_run_of_which_no_point_is_left_is_refused_with_the_reasons():
    with pytest.raises(SpecError, match=r"tests: 5\.1: the messages that are outstanding .* take"):
        plan_tests(["5.1"], Profile(overrun_seconds=1e-9), LAB)


def test_a_test_whose_links_fail_within_a_trial_needs_a_lab_in_real_time():
    with pytest.raises(SpecError, match=r"12\.3: .*spines; a link fails within a trial, which needs a lab"):
        plan_tests(["12.3"], Profile(trial_seconds=20), LAB)
    real = dataclasses.replace(LAB, kind=LabKind.KERNEL)
    (planned,) = plan_tests(["12.3"], Profile(trial_seconds=20), real)
    assert [(point["failed_link"], point["links_failed"]) for point in planned.points] == [
        ("leaf_spine", 1),
        ("leaf_spine", 2),
        ("decode_leaf", 1),
        ("decode_leaf", 2),
    ]


def test_what_is_left_out_for_one_reason_is_said_in_one_line():
    planned = plan_tests(["12.3"], Profile(trial_seconds=20), dataclasses.replace(LAB, kind=LabKind.KERNEL))
    lines = [line for line in said(planned) if line.startswith("  left out:")]
    assert lines == [
        "  left out: failed_link=spine_spine links_failed=1, failed_link=spine_spine links_failed=2: this fabric of "
        "two tiers has no link between spines"
    ]


def test_a_playbook_may_have_tests_of_other_sections():
    own = tuple(id_ for id_ in ("5.1", "5.2", "5.3") if id_ in PROCEDURES)
    assert choose_tests(None, 5, ["12.3"]) == (*own, "12.3")
    assert choose_tests("12.3", 5, ["12.3"]) == ("12.3",)
    with pytest.raises(SpecError, match=r"8\.1 is not in Section 5"):
        choose_tests("8.1", 5, ["12.3"])
