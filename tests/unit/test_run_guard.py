"""The guard waits for its owner's end, whatever becomes of the agents that it holds meanwhile."""

import os
import select
import signal
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


@pytest.fixture
def speaking():
    """A process whose standard error is a pipe, and the pipe's end to read from."""
    reading, writing = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stderr=writing)
    os.close(writing)
    yield process, reading
    process.kill()
    process.wait()


def test_a_line_reaches_the_owner_s_standard_error(speaking):
    process, reading = speaking
    guard._tell(guard._owner_stderr(process.pid), "restored leaf1")
    assert select.select([reading], [], [], 5)[0]
    assert os.read(reading, 100) == b"\naibench: restored leaf1\n"
    os.close(reading)


def test_a_reader_that_is_gone_or_asleep_does_not_keep_the_guard_from_restoring(speaking):
    process, reading = speaking
    voice = guard._owner_stderr(process.pid)
    signal.alarm(20)  # a guard that blocks here fails the test by ending it
    for _ in range(200):
        guard._tell(voice, "x" * 1000)  # more than a pipe holds
    os.close(reading)
    guard._tell(voice, "nobody hears it")
    signal.alarm(0)
