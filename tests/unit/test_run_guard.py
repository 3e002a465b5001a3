"""The guard waits for its owner's end, whatever becomes of the agents that it holds meanwhile."""

import os
import subprocess
import sys

import pytest

from aibench_lib.run import guard


class Holding:
    """Agents that cannot be looked at."""

    def __init__(self):
        self.looks = 0

    def look(self):
        self.looks += 1
        raise OSError(5, "Input/output error")


@pytest.fixture
def owner():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1.5)"])
    descriptor = os.pidfd_open(process.pid)
    yield descriptor
    os.close(descriptor)
    process.wait()


def test_agents_that_cannot_be_held_do_not_keep_the_switches_from_being_restored(owner, monkeypatch):
    monkeypatch.setattr(guard, "LOOK_SECONDS", 0.05)
    holding, said = Holding(), []
    guard.wait_for_end(owner, holding, said.append)
    assert holding.looks > 3
    assert said == ["the agents of the run are not held: [Errno 5] Input/output error"]


def test_a_guard_without_agents_waits_as_well(owner):
    guard.wait_for_end(owner, None, lambda _line: None)
