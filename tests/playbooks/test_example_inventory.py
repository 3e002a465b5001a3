"""The inventory that users copy for their own lab is whole, and sends nothing before its lab is said to be isolated."""

import os
import shutil
import subprocess

import pytest
from playbook_lab import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def mylab(tmp_path):
    shutil.copytree(ROOT / "inventory" / "example", tmp_path / "mylab")
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (tmp_path / "home" / ".ssh" / "id_ed25519").write_text("the parsing of an inventory reads no key\n")
    return tmp_path / "mylab"


def play(mylab, *arguments):
    command = ["ansible-playbook", "-i", str(mylab), "playbooks/kv_transfer.yml", *arguments]
    home = {"HOME": str(mylab.parent / "home"), "USER": "operator", "AIBENCH_SWITCH_PASSWORD": "secret"}
    results = ["-e", f"results_dir={mylab.parent / 'results'}"]
    ended = subprocess.run(
        [*command, *results], cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **home}
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_a_check_run_plans_what_two_servers_and_a_switch_can_offer(mylab):
    code, said = play(mylab, "--check", "--diff")
    assert code == 0, said
    assert "Test 5.1 Point-to-Point KV Cache Transfer Throughput: 1 setting x 56 points x 3 trials" in said
    assert "Test 5.2 KV Cache Transfer Latency: 1 setting x 4 points x 3 trials" in said
    assert "15 more: a fabric of one switch has no links between switches that a background could load" in said
    assert "5 more: a fabric of one switch has no links between switches that could fail" in said
    assert not (mylab.parent / "results").exists()


def test_nothing_is_sent_before_the_lab_is_said_to_be_isolated(mylab):
    code, said = play(mylab, "-e", "tests=5.1")
    assert code != 0
    assert "isolated_lab: must be true before anything is sent" in said
    assert not (mylab.parent / "results").exists()


def test_a_key_of_a_host_that_is_not_there_is_named(mylab):
    (mylab.parent / "home" / ".ssh" / "id_ed25519").unlink()
    code, said = play(mylab, "--check")
    assert code != 0
    assert "server1: ansible_ssh_private_key_file:" in said
    assert "no such file" in said


def test_a_misspelt_key_of_a_host_is_refused_with_the_one_that_was_meant(mylab):
    text = (mylab / "host_vars" / "server2.yml").read_text()
    (mylab / "host_vars" / "server2.yml").write_text(text.replace("  address:", "  adress:"))
    code, said = play(mylab, "--check")
    assert code != 0
    assert "server2: worker" in said
    assert "'address'" in said
