"""The ways in: where the playbooks may be started from, what ansible-doc shows, and the aibench command."""

import configparser
import shutil
import subprocess

import pytest
from playbook_lab import ROOT

pytestmark = pytest.mark.slow
MODULES = [
    "aibench_facts",
    "aibench_fault",
    "aibench_lab",
    "aibench_preflight",
    "aibench_report",
    "aibench_run",
    "aibench_setting",
    "aibench_trials",
    "aibench_worker",
]


def settings(path):
    parsed = configparser.ConfigParser()
    parsed.read(path)
    return dict(parsed["defaults"])


def test_the_two_ansible_configurations_differ_only_in_where_they_stand():
    root, below = settings(ROOT / "ansible.cfg"), settings(ROOT / "playbooks" / "ansible.cfg")
    assert {key: value.removeprefix("../") for key, value in below.items()} == root


def test_a_playbook_runs_from_its_own_folder_too(lab):
    command = [part.removeprefix("playbooks/") for part in lab.command("congestion.yml", "--check")]
    ended = subprocess.run(command, cwd=ROOT / "playbooks", capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "= 20 trials" in ended.stdout


@pytest.mark.parametrize("module", MODULES)
def test_a_modules_documentation_is_complete_and_readable(module):
    command = ["ansible-doc", "-M", "plugins/modules", "-t", "module", module]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "EXAMPLES:" in shown.stdout
    assert "RETURN VALUES:" in shown.stdout


def test_every_module_has_its_action_and_every_action_its_module():
    folders = (ROOT / "plugins" / "modules", ROOT / "plugins" / "action")
    modules, actions = ({path.stem for path in folder.glob("*.py")} for folder in folders)
    assert modules == actions == set(MODULES)


def aibench(*arguments):
    return subprocess.run([shutil.which("aibench"), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_brings_the_lab_up_tells_its_status_and_takes_it_down(tmp_path):
    state = ["--state", str(tmp_path / "state")]
    assert aibench("lab", "status", *state).returncode == 1
    up = aibench("lab", "up", *state, "--network", "127.98")
    try:
        assert up.returncode == 0, up.stderr
        assert "up on 127.98.0.0/16" in aibench("lab", "status", *state).stdout
    finally:
        assert aibench("lab", "down", *state).returncode == 0
    assert aibench("lab", "status", *state).returncode == 1


def test_the_command_says_in_one_line_what_is_wrong_with_a_results_folder(tmp_path):
    ended = aibench("report", str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.startswith("aibench: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_network_that_is_not_loopback_is_refused(tmp_path):
    ended = aibench("lab", "up", "--state", str(tmp_path / "state"), "--network", "10.1")
    assert ended.returncode == 1
    assert "not loopback" in ended.stderr
