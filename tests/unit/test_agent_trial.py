"""Which processes of a trial serve the next one: by the transport, and by how the trial ended."""

import socket
import threading

import pytest

from aibench_lib.worker.agent.group import Start
from aibench_lib.worker.agent.messages import Channel, Gone
from aibench_lib.worker.agent.trial import Trial
from aibench_lib.worker.transports.transport import Options

OPTIONS = Options(host="a", address="127.0.0.1")
START = Start(t0_ns=0, timeout_ns=1)


class Forks:
    """Threads that answer as a process does, in place of the zygote."""

    def __init__(self):
        self.forked, self.ended = [], []

    def fork(self, end, started):
        pid = len(self.forked) + 1
        self.forked.append(pid)
        threading.Thread(target=serve, args=(Channel(socket.socket(fileno=end.detach())),), daemon=True).start()
        return pid

    def end(self, pids):
        self.ended += pids
        return {}


def serve(channel):
    answers = {
        "prepare": ("prepared", "label", {}, ""),
        "accept": ("accepted", {}),
        "join": ("joined",),
        "run": ("finished", 0, 1, {}),
        "free": ("freed",),
    }
    try:
        while True:
            channel.send(*answers[channel.receive()[0]])
    except Gone:
        channel.close()


@pytest.fixture
def forks():
    return Forks()


def run_through(forks, transport, before=None):
    trial = Trial("t", forks, transport, OPTIONS, before)
    trial.prepare([], trigger=False)
    trial.begin(START)
    trial.rows()
    assert trial.is_finished
    return trial


def test_a_process_over_tcp_serves_trial_after_trial(forks):
    trial = None
    for _ in range(3):
        trial = run_through(forks, "tcp", trial)
    assert (forks.forked, forks.ended) == ([1], [])
    trial.stop()
    assert forks.ended == [1]


@pytest.mark.parametrize("transport", ["verbs", "nixl", "perftest"])
def test_a_process_that_may_have_registered_memory_with_a_device_ends_with_its_trial(forks, transport):
    trial = None
    for _ in range(3):
        trial = run_through(forks, transport, trial)
    assert (forks.forked, forks.ended) == ([1, 2, 3], [1, 2])
    trial.stop()


def test_another_transport_has_another_process(forks):
    run_through(forks, "nixl", run_through(forks, "tcp")).stop()
    assert (forks.forked, forks.ended) == ([1, 2], [1, 2])


def test_a_trial_that_was_stopped_hands_nothing_over(forks):
    stopped = run_through(forks, "tcp")
    stopped.stop()
    run_through(forks, "tcp", stopped).stop()
    assert (forks.forked, forks.ended) == ([1, 2], [1, 2])


def test_what_a_trial_that_is_never_prepared_would_have_taken_over_ends_with_it(forks):
    Trial("t", forks, "tcp", OPTIONS, run_through(forks, "tcp")).stop()
    assert forks.ended == [1]
