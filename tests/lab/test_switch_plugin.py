"""The module ``aibench_setting`` and its roles, as a playbook runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from switch_lab import SWITCHES, switch_lab

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PLAY = """
- name: Change and restore
  hosts: all
  gather_facts: false
  tasks:
    - name: Change, and always restore
      block:
        - name: Change
          ansible.builtin.include_role:
            name: switch_setting
          vars:
            switch_setting_changes:
              - feature: "{{ feature | default('ecn') }}"
                values: "{{ asked | default({'ecn_threshold_bytes': threshold | default(0)}) }}"
            switch_setting_run_dir: "{{ run_dir | default('') }}"
      always:
        - name: Restore
          ansible.builtin.include_role:
            name: restore
          vars:
            restore_run_dir: "{{ run_dir }}"
          when: run_dir is defined
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with switch_lab(tmp_path_factory.mktemp("lab"), "127.132") as lab:
        yield lab


@pytest.fixture
def play(lab, tmp_path):
    """Run the play against both switches; return its exit code, its output and what was written."""

    def play(*arguments, **changes):
        hosts = {host: {**lab.variables(host), "ansible_connection": "local", **changes} for host in SWITCHES}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        (tmp_path / "play.yml").write_text(PLAY)
        before = {host: len(lab.writes(host)) for host in SWITCHES}
        done = subprocess.run(
            ["ansible-playbook", "-i", tmp_path / "hosts.yml", tmp_path / "play.yml", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_STDOUT_CALLBACK": "default",
            },
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, done.stdout, {host: lab.writes(host)[before[host] :] for host in SWITCHES}

    return play


@pytest.fixture
def run_dir(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    return path


def words(run_dir, host):
    events = map(json.loads, (run_dir / "journal.jsonl").read_text().splitlines())
    return [event["event"] for event in events if event["host"] == host]


def test_a_check_shows_the_difference_and_writes_nothing(play):
    code, output, writes = play("--check", "--diff", "-e", "threshold=100000")
    assert code == 0, output
    assert "+++ after: leaf1: ecn after" in output
    assert "+      random-detect ecn minimum-threshold 100000 bytes" in output
    assert '+    min-threshold: "100000"' in output
    assert writes == {host: [] for host in SWITCHES}


def test_switches_are_changed_and_restored(play, run_dir):
    code, output, writes = play("-e", "threshold=100000", "-e", f"run_dir={run_dir}")
    assert code == 0, output
    for host in SWITCHES:
        assert writes[host]
        assert [word for word in words(run_dir, host) if not word.startswith("checkpoint_")] == [
            "snapshot_taken",
            "change_intended",
            "change_applied",
            "restore_started",
            "restore_intended",
            "restored",
        ]


def test_words_and_lists_reach_the_switches_as_they_are(play, run_dir):
    watchdog = {"feature": "pfc_watchdog", "asked": {"watchdog": "on", "detection_ms": 200, "recovery_ms": 200}}
    code, output, writes = play("-e", f"run_dir={run_dir}", **watchdog)
    assert code == 0, output
    assert any("priority-flow-control pause watchdog default timeout 0.20" in line for line in writes["leaf1"])
    route = {"prefix": "10.1.0.2/32", "next_hop": "10.2.0.5", "interface": "Ethernet49"}
    code, output, writes = play(
        "-e", f"run_dir={run_dir}", "--limit", "leaf1", feature="routing_detour", asked={"routes": [route]}
    )
    assert code == 0, output
    assert any("ip route 10.1.0.2/32 Ethernet49 10.2.0.5" in line for line in writes["leaf1"])


def test_a_failure_is_one_line_and_the_other_switch_is_restored(play, run_dir):
    code, output, writes = play("-e", "threshold=300000000", "-e", f"run_dir={run_dir}")
    assert code == 2
    assert "not attainable: kmin_bytes and kmax_bytes 300000000 > max 256000000 bytes on arista_eos (leaf1;" in output
    assert writes["leaf1"] == []
    assert words(run_dir, "spine1")[-1] == "restored"


def test_an_unreachable_switch_has_failed_so_that_always_runs(play, run_dir):
    code, output, writes = play("-e", "threshold=1", "-e", f"run_dir={run_dir}", ansible_host="127.132.9.9")
    assert code == 2
    assert output.count("fatal: ") == 2
    assert "unreachable=0" in output
    assert "unreachable=1" not in output
    assert output.count("TASK [restore : Bring the switch back and prove it]") == 1
    assert writes == {host: [] for host in SWITCHES}


def test_a_misspelt_key_is_named(play):
    code, output, _ = play("--check", "-e", "threshold=1", switch={"platform": "arista_eos", "que": "3"})
    assert code == 2
    assert "leaf1: switch.que: unknown key; did you mean 'queue'?" in output
