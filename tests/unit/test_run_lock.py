"""The lab's lock: who is refused, what they read, and that the dead hold nothing."""

import os
import signal
import subprocess
import sys
import time

import pytest

from aibench_lib.errors import LabError
from aibench_lib.journal import Journal
from aibench_lib.run import lock
from aibench_lib.switch.target import Target

# A run: takes the locks, says so, and waits until it is ended.
RUN = """
import os, sys, time
from pathlib import Path
from aibench_lib.run import lock
lock.take(sys.argv[2:], lock.holder(Path(sys.argv[1]), os.getpid()))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Keep the machine's own locks out of the tests."""
    path = lock._path

    def own(name):
        return tmp_path / "locks" / path(name).name

    monkeypatch.setattr(lock, "_path", own)
    return tmp_path / "locks"


def target(address, port=None):
    return Target(host="leaf1", address=address, port=port, platform="arista_eos", username="admin", password="x")


def test_a_lock_is_known_by_where_the_switch_is_reached():
    assert lock.keys([target("Leaf1.lab"), target("192.0.2.1", 2222), target("192.0.2.1")]) == [
        "192.0.2.1",
        "192.0.2.1:2222",
        "leaf1.lab",
    ]


def test_whoever_is_refused_reads_who_has_it_since_when_and_what_to_do(tmp_path):
    own = lock.holder(tmp_path / "20261124-110000-8.1", os.getpid())
    taken = lock.take(["a", "b"], own)
    try:
        with pytest.raises(
            lock.BusyError, match=r"run 20261124-110000-8\.1 of \w+@\S+ is using this lab for \d+ s \("
        ) as e:
            lock.take(["b", "c"], lock.holder(tmp_path / "other", os.getpid()))
        assert f"process {os.getpid()}" in str(e.value)
        assert "break_lock=true" in str(e.value)
        lock.release(lock.take(["c"], own))  # what was taken before the refusal is free again
        assert lock.holder_of(["x", "a"]) == own
    finally:
        lock.release(taken)
    assert lock.holder_of(["a", "b"]) is None
    lock.release(lock.take(["a", "b"], own))


@pytest.mark.parametrize(("seconds", "said"), [(5, "5 s"), (600, "10 min"), (90_000, "25 h")])
def test_an_age_is_told_in_a_fitting_unit(tmp_path, monkeypatch, seconds, said):
    own = lock.holder(tmp_path, os.getpid())
    monkeypatch.setattr(time, "time", lambda: own.since + seconds)
    assert f"for {said} (" in str(own)


def test_all_users_may_use_the_locks(tmp_path, own_folder):
    lock.release(lock.take(["a"], lock.holder(tmp_path, os.getpid())))
    assert own_folder.stat().st_mode & 0o7777 == 0o1777
    assert (own_folder / "a").stat().st_mode & 0o777 == 0o666


def test_an_act_of_a_run_goes_through_its_own_lock_and_no_other(tmp_path):
    names = lock.keys([target("192.0.2.1")])
    taken = lock.take(names, lock.holder(tmp_path / "mine", os.getpid()))
    with lock.held(target("192.0.2.1"), tmp_path / "mine", os.getpid(), restoring=True):
        pass
    with (
        pytest.raises(lock.BusyError, match="run mine of"),
        lock.held(target("192.0.2.1"), tmp_path / "other", os.getpid()),
    ):
        pass
    lock.say(taken, lock.holder(tmp_path / "mine", os.getpid(), restoring=True))
    with (
        pytest.raises(lock.BusyError, match="is restoring this lab"),
        lock.held(target("192.0.2.1"), tmp_path / "mine", os.getpid(), restoring=True),
    ):
        pass
    lock.release(taken)
    with lock.held(target("192.0.2.1"), tmp_path / "other", os.getpid()), pytest.raises(lock.BusyError):
        lock.refuse_busy(names)
    lock.refuse_busy(names)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Another process that holds the locks of two switches."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            RUN.replace("lock.take", f"lock._path = lambda name: Path({str(tmp_path)!r}) / 'locks' / name; lock.take"),
            str(tmp_path / "run"),
            "a",
            "b",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_holder_that_died_holds_nothing(run):
    assert lock.holder_of(["a"]).pid == run.pid
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert lock.holder_of(["a"]) is None


def test_a_lock_that_is_broken_ends_the_run_and_says_what_it_left(run, tmp_path):
    (tmp_path / "run").mkdir()
    (said,) = lock.break_locks(["b"])
    assert f"(process {run.pid}) was ended; every switch is as it was before it" in said
    assert run.wait() == -signal.SIGTERM
    assert lock.break_locks(["b"]) == []


def test_a_lock_that_is_broken_tells_of_a_switch_that_is_still_changed(run, tmp_path):
    (tmp_path / "run").mkdir()
    Journal(tmp_path / "run" / "journal.jsonl").append("snapshot_taken", host="leaf1")
    assert lock.break_locks(["a"])[0].endswith("was ended; leaf1 is still changed")


def test_a_guard_that_restores_is_waited_for_and_not_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_BREAK_SECONDS", 0.1)
    taken = lock.take(["a"], lock.holder(tmp_path, os.getpid(), restoring=True))
    with pytest.raises(LabError, match="has not ended within"):
        lock.break_locks(["a"])
    lock.release(taken)


def test_a_process_that_has_only_the_number_of_the_holder_is_left_alone(tmp_path):
    own = lock.holder(tmp_path, os.getpid())
    lock._end(lock.Holder(**{**vars(own), "born": own.born - 1}))


def test_a_process_of_another_user_is_left_alone_even_by_root(run, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12_345)
    with pytest.raises(LabError, match="only that user can end it; ask them"):
        lock._end(lock.holder_of(["a"]))
    assert run.poll() is None
