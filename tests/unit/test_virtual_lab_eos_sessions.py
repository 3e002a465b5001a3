"""Sessions with a timer and checkpoints of the simulated EOS switch, without SSH."""

import pytest

from aibench_lib.model import Port
from aibench_lib.virtual_lab.eos.cli import Cli
from aibench_lib.virtual_lab.eos.switch import EosSwitch
from aibench_lib.virtual_lab.writes import Writes

INTERFACES = {"Ethernet1": Port("prefill01", "nic0")}


class Clock:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def writes():
    return Writes()


@pytest.fixture
def switch(clock, writes):
    return EosSwitch("leaf1", INTERFACES, writes, now=clock)


@pytest.fixture
def cli(switch):
    cli = Cli(switch)
    cli.answer("enable")
    return cli


def armed(cli, clock="00:05:00"):
    for line in ["configure session a", "interface Ethernet1", "mtu 1500", f"commit timer {clock}"]:
        assert cli.answer(line) == ""
    assert cli.prompt == "leaf1#"


def test_a_timed_commit_runs_at_once_and_waits_to_be_confirmed(cli, switch):
    armed(cli)
    assert "mtu 1500" in switch.running_text()
    assert "a     pendingCommitTimer  admin" in cli.answer("show configuration sessions")


def test_a_timed_commit_that_nobody_confirms_falls_back_when_its_time_is_over(cli, switch, clock, writes):
    before = switch.running_text()
    armed(cli)
    clock.seconds += 299.9
    assert switch.running_text() != before
    clock.seconds += 0.1
    assert switch.running_text() == before
    assert "pendingCommitTimer" not in cli.answer("show configuration sessions")
    assert cli.answer("configure session a commit") == "% Session a does not exist\n"
    assert writes.all()[-2] == ("leaf1", "a: commit timer expired")


def test_a_confirmed_commit_stays(cli, switch, clock):
    armed(cli)
    assert cli.answer("configure session a commit") == ""
    clock.seconds += 1000
    assert "mtu 1500" in switch.running_text()
    assert switch.open_sessions() == {}


def test_the_timer_can_be_set_anew_from_outside(cli, switch, clock):
    armed(cli)
    clock.seconds += 200
    assert cli.answer("configure session a commit timer 0:5:0") == ""
    clock.seconds += 200
    assert "mtu 1500" in switch.running_text()
    clock.seconds += 100
    assert "mtu 1500" not in switch.running_text()


def test_an_aborted_timed_commit_is_taken_back_at_once(cli, switch):
    before = switch.running_text()
    armed(cli)
    assert cli.answer("configure session a abort") == ""
    assert switch.running_text() == before
    assert cli.answer("configure session a abort") == "% Session a does not exist\n"


@pytest.mark.parametrize("clock", ["300", "00:05", "00:60:00", "soon"])
def test_a_timer_that_is_no_time_is_refused(cli, clock):
    cli.answer("configure session a")
    assert cli.answer(f"commit timer {clock}") == f"% Invalid input (at token 2: '{clock}')\n"


def test_checkpoints_are_saved_shown_restored_and_deleted(cli, switch):
    before = switch.running_text()
    assert cli.answer("configure checkpoint save good") == ""
    shown = cli.answer("show configuration checkpoints").splitlines()
    assert shown[0] == "Maximum number of checkpoints: 20"
    assert shown[1].split() == ["Filename", "Date", "User"]
    assert shown[3].split()[0] == "good"
    for line in ["configure terminal", "interface Ethernet1", "mtu 1500", "end"]:
        cli.answer(line)
    assert cli.answer("configure replace checkpoint:good") == ""
    assert switch.running_text() == before
    assert cli.answer("delete checkpoint:good") == ""
    assert cli.answer("delete checkpoint:good").startswith("% Error deleting checkpoint:good")
    assert cli.answer("delete flash:good") == "% Invalid input (at token 1: 'flash:good')\n"


def test_a_checkpoint_too_many_is_refused_and_one_of_the_same_name_is_not(cli, switch):
    switch.max_checkpoints = 1
    assert cli.answer("configure checkpoint save one") == ""
    assert cli.answer("configure checkpoint save one") == ""
    assert cli.answer("configure checkpoint save two") == "% Maximum number of checkpoints (1) reached\n"
    assert list(switch.checkpoints) == ["one"]


def test_counters_can_be_cleared(cli):
    assert cli.answer("clear counters") == ""
