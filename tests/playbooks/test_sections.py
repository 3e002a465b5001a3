"""Tests 8.2, 8.3, 8.4 and 9.3 through Ansible, in the inventory's own profile ``quick``, each on a lab of its own."""

import json

import pytest
import yaml
from playbook_lab import INVENTORY, virtual_lab

from aibench_lib.catalogue import benchmark

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROFILES = yaml.safe_load((INVENTORY / "group_vars/all/profiles.yml").read_text())["profiles"]


class Finished:
    """What a run of some tests has left."""

    def __init__(self, lab, played, before):
        self.lab, self.output, self.before = lab, played.output, before
        self.rows = played.kpis

    def values(self, test, kpi, statistic="mean"):
        """Return (setting, point, value) of a KPI, the value None where it is n/a."""
        return [
            (
                json.loads(row["setting"]),
                json.loads(row["point"]),
                None if row["value"] == "n/a" else float(row["value"]),
            )
            for row in self.rows
            if (row["test"], row["kpi"], row["statistic"]) == (test, kpi, statistic)
        ]

    @property
    def run(self):
        return json.loads((self.lab.journal().path.parent / "run.json").read_text())


def finish(folder, network, playbook, tests):
    """Run tests of a section in the profile quick, and yield what they have left."""
    with virtual_lab(folder, network) as lab:
        before = lab.running()
        played = lab.play(playbook, tests=tests, profiles=PROFILES, profile="quick")
        assert played.rc == 0, played.output
        yield Finished(lab, played, before)


@pytest.fixture(scope="module")
def congestion(tmp_path_factory):
    yield from finish(tmp_path_factory.mktemp("congestion"), "127.95", "congestion.yml", "8.2,8.3,8.4")


@pytest.fixture(scope="module")
def routing(tmp_path_factory):
    yield from finish(tmp_path_factory.mktemp("routing"), "127.94", "routing.yml", "9.3")


def reported(rows, test):
    found = {}
    for row in rows:
        if row["test"] == test:
            found.setdefault((row["setting"], row["point"]), set()).add(row["kpi"])
    return found


def test_a_run_of_several_features_leaves_the_switches_as_they_were(congestion):
    assert congestion.lab.running() == congestion.before


@pytest.mark.parametrize("test", ["8.2", "8.3", "8.4"])
def test_a_test_reports_every_kpi_at_every_setting_and_point(congestion, test):
    entry = benchmark(test)
    found = reported(congestion.rows, test)
    settings = [len(levels) for levels in entry.setting.values()]
    points = [len(levels) for levels in entry.load.values()]
    expected = 1
    for count in (*settings, *points):
        expected *= count
    assert len(found) == expected
    assert all(kpis == {*entry.kpis, *entry.derived} for kpis in found.values())


def test_every_value_says_that_it_was_simulated_and_how(congestion):
    assert {row["lab"] for row in congestion.rows} == {"simulated"}
    assert {row["method"] for row in congestion.rows} <= {"packet", "packet+skip"}
    assert set(congestion.run["methods"]) == {"8.2", "8.3", "8.4"}


def test_8_2_a_leaf_with_pfc_drops_nothing_and_pauses_more_often_the_lower_its_threshold(congestion):
    assert all(value == 0 for _, _, value in congestion.values("8.2", "Packet_drop_rate"))
    frames = {
        setting["pfc_threshold_bytes"]: value
        for setting, point, value in congestion.values("8.2", "PFC_frame_count")
        if point["concurrent_transfers"] == 32 and point["arrival_window_seconds"] == 0.0001
    }
    assert frames[min(frames)] > frames[max(frames)] > 0


def test_8_2_head_of_line_blocking_hits_the_paused_class_and_hardly_another(congestion):
    by_point = [
        [value for _, point, value in congestion.values("8.2", kpi) if point["concurrent_transfers"] == 32]
        for kpi in ("victim_delay", "hol_blocking_delay")
    ]
    assert all(victim > 10 * probe for victim, probe in zip(*by_point, strict=True))


def test_8_3_both_classes_share_what_the_uplinks_carry(congestion):
    shares = [congestion.values("8.3", f"steady_state_bandwidth_{name}") for name in ("kv_cache", "expert_parallelism")]
    for (_, _, kv), (_, _, ep) in zip(*shares, strict=True):
        assert 50 < kv + ep < 2 * 50 * 4096 / 4158
    assert (
        sorted(path.suffix for path in (congestion.lab.journal().path.parent / "series").iterdir()) == [".parquet"] * 2
    )


def test_8_4_a_deadlock_stands_to_the_end_without_a_watchdog_and_ends_with_one(congestion):
    by_watchdog = {
        kpi: {setting["pfc_watchdog"]: value for setting, _, value in congestion.values("8.4", kpi)}
        for kpi in ("deadlock_occurred", "recovery_time", "zero_throughput_duration", "watchdog_trips")
    }
    assert by_watchdog["deadlock_occurred"]["off"] == 1
    assert by_watchdog["recovery_time"]["off"] is None
    assert by_watchdog["watchdog_trips"]["off"] == 0
    assert by_watchdog["zero_throughput_duration"]["off"] > 200_000
    assert by_watchdog["zero_throughput_duration"]["on"] < 10_000
    assert by_watchdog["watchdog_trips"]["on"] > 0


def test_9_3_every_algorithm_that_the_fabric_offers_is_measured_and_the_others_are_said_to_be_left_out(routing):
    assert {setting["load_balancing"] for setting, _, _ in routing.values("9.3", "JFI")} == {"ecmp", "flowlet"}
    (left_out,) = (item for item in routing.run["deviations"] if "packet_spray" in item["subject"])
    assert left_out["here"].startswith("not attainable")
    assert all(0 < value <= 1 for _, _, value in routing.values("9.3", "JFI"))
    highest, lowest = (routing.values("9.3", f"{end}_link_utilization") for end in ("maximum", "minimum"))
    assert all(0 <= low <= high <= 100 for (_, _, high), (_, _, low) in zip(highest, lowest, strict=True))


def test_9_3_leaves_the_switches_as_they_were(routing):
    assert routing.lab.running() == routing.before
