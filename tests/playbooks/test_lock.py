"""One run at a time on a lab, wherever its results go; and what an unfinished run lets the next one do."""

import os
import signal

import pytest
from playbook_lab import ONE_TRIAL
from test_interruptions import Running

pytestmark = pytest.mark.slow


@pytest.fixture
def in_the_middle(lab):
    """A run that has changed the switches, with many trials to go."""
    running = Running(lab, profiles={"one": {**ONE_TRIAL, "trials": 20}}).until("[20 of 400")
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.end()


def test_another_results_folder_is_no_way_around_the_lock(in_the_middle):
    lab = in_the_middle.lab
    os.killpg(in_the_middle.process.pid, signal.SIGSTOP)  # so that only others could change anything
    changed = lab.running()
    for playbook in ("congestion.yml", "restore.yml"):
        played = lab.play(playbook, results_dir=str(lab.folder / "others"))
        assert played.rc != 0
        (failure,) = played.failures
        assert "is using this lab for" in failure
        assert f"(process {in_the_middle.process.pid})" in failure
        assert "end it with -e break_lock=true" in failure
    played = lab.play("restore.yml")
    assert played.rc != 0
    assert "is using this lab for" in played.failures[0]
    assert lab.running() == changed
    os.killpg(in_the_middle.process.pid, signal.SIGCONT)


def test_a_lock_that_is_broken_ends_the_run_whose_guard_restores(in_the_middle):
    lab = in_the_middle.lab
    played = lab.play("restore.yml", break_lock=True)
    assert played.rc == 0, played.output
    assert f"(process {in_the_middle.process.pid}) was ended; every switch is as it was before it" in played.output
    assert lab.running() == in_the_middle.before
    assert "was stopped; restored " in in_the_middle.end()
    assert lab.events("run_closed")[-1]["status"] == "interrupted"


def test_an_unfinished_run_is_refused_or_restored_and_what_somebody_else_changed_is_kept(in_the_middle):
    lab = in_the_middle.lab
    os.kill(in_the_middle.guard, signal.SIGKILL)
    in_the_middle.process.kill()
    in_the_middle.end()
    changed = lab.running()
    refused = lab.play(restore_pending=False)
    assert refused.rc != 0
    assert any("left switches changed; restore them with playbooks/restore.yml" in line for line in refused.failures)
    assert lab.running() == changed
    leaf = lab.virtual.switches["leaf1"]
    editor = leaf.editor()
    editor.enter("interface Ethernet1")
    editor.enter("description somebody was here")
    kept = lab.play("restore.yml")
    assert kept.rc != 0
    assert "leaf1: somebody else has changed it since our last change" in kept.output
    assert "description somebody was here" in kept.output
    assert "somebody was here" in lab.running()["leaf1"]
    overwritten = lab.play("restore.yml", overwrite_foreign_changes=True)
    assert overwritten.rc == 0, overwritten.output
    assert lab.running() == in_the_middle.before
