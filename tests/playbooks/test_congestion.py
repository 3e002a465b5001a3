"""Test 8.1 through Ansible, on a virtual lab whose switches can be looked at from behind their wires."""

import json

import pyarrow.parquet as pq
import pytest
from playbook_lab import virtual_lab

pytestmark = pytest.mark.slow

KPIS = {
    "ECN_marking_rate",
    "marking_onset",
    "queue_depth_at_onset",
    "Fabric_Goodput",
    "Buffer_utilization",
    "Packet_drop_rate",
    "Fabric_FCT",
    "JFI",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of every point once, and the switches' configurations before it."""
    with virtual_lab(tmp_path_factory.mktemp("finished"), "127.96") as lab:
        before = lab.running()
        played = lab.play()
        assert played.rc == 0, played.output
        played.before = before
        yield played


def test_a_run_leaves_the_switches_as_they_were(finished):
    assert finished.lab.running() == finished.before
    restored = {event["host"] for event in finished.lab.events("restored")}
    assert restored == {"leaf1", "leaf2", "leaf3", "spine1", "spine2"}


def test_a_run_leaves_results_and_a_report_that_only_their_owner_can_read(finished):
    run = finished.lab.journal().path.parent
    assert run.stat().st_mode & 0o777 == 0o700
    names = {path.name for path in run.iterdir()}
    assert {"run.json", "journal.jsonl", "kpis.csv", "kpis.json", "kpis.parquet", "report.html", "report.md"} <= names
    assert len(list((run / "samples").glob("*.parquet"))) == 20
    assert not [name for name in names if name.startswith(".")]


def test_a_run_reports_every_kpi_at_every_setting_and_point(finished):
    seen = {}
    for row in finished.kpis:
        seen.setdefault((row["setting"], row["point"]), set()).add(row["kpi"])
        assert row["lab"] == "simulated"
    assert len(seen) == 4 * 5
    assert all(kpis == KPIS for kpis in seen.values())


def test_no_goodput_exceeds_what_the_receivers_port_can_carry(finished):
    # 400 Gb/s, of which 62 bytes are header for every 4096.
    goodput = [float(row["value"]) for row in finished.kpis if row["kpi"] == "Fabric_Goodput"]
    assert goodput
    assert all(0 < value < 50 * 4096 / 4158 for value in goodput)


def test_the_switch_counts_at_least_the_packets_that_the_workers_blocks_fill(finished):
    run = finished.lab.journal().path.parent
    trial = next(event for event in finished.lab.events("trial_done") if event["point"]["prefill_workers"] == 2)
    samples = pq.read_table(run / "samples" / f"{trial['trial']}.parquet")
    assert samples["size_bytes"].to_pylist() == [16_000_000] * 2
    queue = pq.read_table(sorted((run / "telemetry").glob("queue-*.parquet"))[-1]).to_pandas()
    sent = queue[(queue.switch == "leaf1") & (queue.interface == "Ethernet33")].transmit_packets.dropna()
    assert int(sent.max()) >= 20 // 5 * (2 + 4 + 8 + 16 + 32) * -(-16_000_000 // 4096)


def test_programmed_and_requested_values_are_both_in_the_results(finished):
    run = json.loads((finished.lab.journal().path.parent / "run.json").read_text())
    assert len(run["programmed"]) == 4 * 5
    first = run["programmed"][0]
    assert first["requested"]["kmin_bytes"] == first["programmed"]["kmin_bytes"] == 100_000


def test_the_report_of_a_stored_run_can_be_written_again(finished):
    run = finished.lab.journal().path.parent
    before = (run / "report.md").read_text()
    (run / "report.md").unlink()
    played = finished.lab.play("report.yml", run=str(run))
    assert played.rc == 0, played.output
    assert (run / "report.md").read_text() == before


def test_the_same_seed_gives_the_same_values(finished, lab):
    played = lab.play(tests="8.1")
    assert [_without_run(row) for row in played.kpis] == [_without_run(row) for row in finished.kpis]


def _without_run(row):
    return {key: value for key, value in row.items() if key != "run"}


def test_a_check_run_shows_the_change_of_every_switch_and_writes_nothing(lab):
    before = lab.running()
    played = lab.play("congestion.yml", "--check", "--diff")
    assert played.rc == 0, played.output
    assert lab.virtual.writes == []
    assert lab.running() == before
    assert not lab.results.exists()
    for switch in ("leaf1", "leaf2"):
        assert f"+++ after: {switch}" in played.output or f"{switch}: ecn after" in played.output
    assert "minimum-threshold 5000000 bytes" in played.output


def test_a_limit_configures_only_the_named_switch(lab):
    played = lab.play("congestion.yml", "--limit", "leaf1")
    assert played.rc == 0, played.output
    assert {name for name, _ in lab.virtual.writes} == {"leaf1"}
    assert {event["host"] for event in lab.events("restored")} == {"leaf1"}
