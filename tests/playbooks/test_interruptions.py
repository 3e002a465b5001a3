"""What can happen in the middle of a run: the switches are as before, and nobody reads a traceback."""

import os
import signal
import subprocess

import pytest
from playbook_lab import ONE_TRIAL, ROOT

pytestmark = pytest.mark.slow


class Running:
    """A playbook under way, as a user's terminal would have started it."""

    def __init__(self, lab, **variables):
        self.lab = lab
        self.before = lab.running()
        self.seen = ""
        # A signal that this process ignores would be ignored by its child too: tests may run in the background.
        inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(
                lab.command(**variables),
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGINT, inherited)

    def until(self, text):
        """Read the output up to a line that holds ``text``."""
        for line in self.process.stdout:
            self.seen += line
            if text in line:
                return self
        raise AssertionError(f"{text!r} never came:\n{self.seen}")

    def end(self):
        """Read on until nobody holds the terminal any more, the guard included."""
        self.seen += self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait()
        return self.seen

    def press_ctrl_c(self):
        """Interrupt the playbook, and again where the first one met Ansible in a fork and was swallowed."""
        while True:
            os.killpg(self.process.pid, signal.SIGINT)
            try:
                self.process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                continue
            return

    @property
    def guard(self):
        return self.lab.events("run_opened")[-1]["guard"]


@pytest.fixture
def in_the_middle(lab):
    """A run that has finished a load point of the first setting, with many trials to go; every switch is changed."""
    running = Running(lab, profiles={"one": {**ONE_TRIAL, "trials": 20}}).until("[20 of 400")
    assert lab.running() != running.before
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.end()


_NOT_THE_PARENT = "AssertionError: can only test a child process"


def _errors(output):
    """Return the last line of each traceback."""
    lines = iter(output.splitlines())
    for line in lines:
        if line.startswith("Traceback"):
            yield next((one for one in lines if not one.startswith(" ")), "")


def test_ctrl_c_restores_the_switches_and_says_so(in_the_middle):
    in_the_middle.press_ctrl_c()
    output = in_the_middle.end()
    assert in_the_middle.lab.running() == in_the_middle.before
    assert "was stopped; restored " in output
    # Where Ctrl-C meets Ansible in the middle of a fork, Python prints what it swallowed, or Ansible's child goes on as
    # if it were its parent, which Python refuses; nothing of ours is in it.
    swallowed = output.count("Exception ignored in")
    errors = [line for line in _errors(output) if line not in ("KeyboardInterrupt", _NOT_THE_PARENT)]
    assert len(errors) <= swallowed, output
    assert output.count("Traceback") <= swallowed + (2 if _NOT_THE_PARENT in output else 0), output
    assert "aibench_lib" not in output
    assert "plugins/action" not in output
    assert in_the_middle.lab.events("run_closed")[-1]["status"] == "interrupted"


def test_kill_9_of_ansible_restores_the_switches(in_the_middle):
    in_the_middle.process.kill()
    output = in_the_middle.end()
    assert in_the_middle.lab.running() == in_the_middle.before
    assert "was stopped; restored " in output


def kill_everything(running):
    """Kill ansible-playbook and its guard at once, as a controller that loses power would."""
    os.kill(running.guard, signal.SIGKILL)
    running.process.kill()
    running.end()
    assert running.lab.running() != running.before


def test_kill_9_of_everything_is_undone_by_the_restore_playbook(in_the_middle):
    lab = in_the_middle.lab
    kill_everything(in_the_middle)
    played = lab.play("restore.yml")
    assert played.rc == 0, played.output
    assert lab.running() == in_the_middle.before
    assert lab.events("run_closed")[-1]["status"] == "interrupted"


def test_kill_9_of_everything_is_undone_by_the_next_run_before_it_changes_anything(in_the_middle):
    lab = in_the_middle.lab
    kill_everything(in_the_middle)
    first = lab.journal()
    played = lab.play()
    assert played.rc == 0, played.output
    assert [event["host"] for event in first.events() if event["event"] == "restored"]
    assert lab.running() == in_the_middle.before


def test_a_restore_with_nothing_to_restore_changes_nothing(lab):
    played = lab.play("restore.yml")
    assert played.rc == 0, played.output
    assert lab.virtual.writes == []


def test_two_runs_at_once_are_one_too_many(in_the_middle):
    played = in_the_middle.lab.play()
    assert played.rc != 0
    assert any("is using this lab" in line for line in played.failures), played.output


def test_an_agent_that_dies_ends_the_run_with_its_name_and_restored_switches(in_the_middle):
    lab = in_the_middle.lab
    lab.virtual.stop_agent("prefill02")
    output = in_the_middle.end()
    assert in_the_middle.process.returncode != 0
    # It dies in a trial, which is repeated and discarded, or between two, when the next setting asks who is there.
    failure = next(line for line in output.splitlines() if "failed:" in line)
    assert f"prefill02: the agent at {lab.network}.1.2:50051 does not answer" in failure
    assert "Traceback" not in output
    assert lab.running() == in_the_middle.before
    assert len(lab.events("trial_discarded")) in (0, 3)
    assert all("prefill02" in event["reason"] for event in lab.events("trial_discarded"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a disk that is small")
def test_a_full_disk_ends_the_run_with_its_path_and_restored_switches(lab):
    lab.results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192k,mode=700", "tmpfs", lab.results], check=True)
    try:
        running = Running(lab)
        output = running.end()
        assert running.process.returncode != 0
        assert "No space left on device; free space" in output, output
        assert str(lab.results) in output
        assert "Traceback" not in output
        assert lab.running() == running.before
    finally:
        subprocess.run(["umount", lab.results], check=True)
