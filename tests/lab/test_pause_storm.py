"""A NIC that pauses its leaf without end, over the wires of the lab: what a trial makes of it, and that it ends."""

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from test_virtual_trial import Listener
from virtual_fabric import Fabric, fabric, sample, subscribe_request

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.model import Transfer, TrialLoad
from aibench_lib.run import guard, storm
from aibench_lib.run.left import left_changed
from aibench_lib.run.storm import Storm
from aibench_lib.units import NS_PER_MS
from aibench_lib.worker import storm as door
from aibench_lib.worker.agents import Agent
from aibench_lib.worker.coordinator import Coordinator

HOSTS = ("prefill01", "prefill02", "decode01")
PFC = (
    "platform trident mmu queue profile ROCE",
    "ingress priority-group 3 threshold 1/128",
    "ingress priority-group 3 reserved bytes 100000",
    "platform trident mmu queue profile ROCE apply",
    "qos profile ROCE",
    "priority-flow-control on",
    "priority-flow-control priority 3 no-drop",
)
PAUSES = "/interfaces/interface[name=Ethernet33]/ethernet/pfc/priorities/priority[index=3]/state"
SIZE_BYTES = 1_000_000
TRIAL_NS = 20 * NS_PER_MS
STORM = Storm(host="decode01", priority=3, seconds=60)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fabric]:
    with fabric(tmp_path_factory.mktemp("lab"), "127.171") as running:
        running.configure(*PFC)
        yield running


@pytest.fixture
def agents(lab: Fabric) -> Iterator[dict[str, Agent]]:
    agents = {agent.host: agent for agent in lab.agents(*HOSTS)}
    yield agents
    assert not door.status(agents["decode01"], 3).active


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def trial(lab: Fabric, name: str) -> tuple[list[int | None], int]:
    """Send to decode01; return how long each transfer took, and how many PAUSE frames the leaf says have come."""
    sends = {host: (Transfer(peer="decode01", qp=1, size_bytes=SIZE_BYTES),) for host in HOSTS[:2]}
    load = TrialLoad(transfers={**sends, "decode01": ()}, seed=1, duration_ns=TRIAL_NS, unfinished_ok=True)
    request = subscribe_request(sample(PAUSES, NS_PER_MS))
    with lab.stub("leaf1", 6030) as stub, Coordinator(lab.agents(*HOSTS)) as coordinator:
        before = Listener(stub, request, lab.metadata).until(0, PAUSES)
        listener = Listener(stub, request, lab.metadata)
        done = coordinator.run_trial(name, load, 100_000)
        after = listener.until(done.t_end_ns, PAUSES)
    took = [None if at is None else at - done.t0_ns for at in done.table["completed_ns"].to_pylist()]
    return took, after[PAUSES]["in-frames"] - before[PAUSES]["in-frames"]


def test_nothing_arrives_while_a_nic_pauses_its_leaf_and_the_trial_after_it_is_as_the_one_before(lab, agents, journal):
    before, silent = trial(lab, "before")
    assert storm.start(STORM, agents, journal).active
    during, frames = trial(lab, "during")
    assert storm.state(STORM, agents).active
    assert storm.stop(STORM, agents, journal)
    assert (None not in before, silent) == (True, 0)
    assert during == [None, None]
    assert frames > 1
    assert trial(lab, "after") == (before, 0)


def test_an_agent_ends_a_storm_whose_caller_is_gone_when_its_lab_time_is_over(lab, agents):
    before, _ = trial(lab, "well")
    words = pickle.dumps(agents["decode01"])
    caller = f"""
import os, pickle
from aibench_lib.worker import storm
storm.start(pickle.loads({words!r}), 3, {5 * NS_PER_MS})
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", caller], check=False).returncode == 9
    assert door.status(agents["decode01"], 3).until_ns == lab.lab.now_ns + 5 * NS_PER_MS
    during, frames = trial(lab, "ends in the middle")
    assert all(took is not None and took > 4 * NS_PER_MS for took in during)
    assert frames > 1
    assert trial(lab, "well again") == (before, 0)


def test_a_storm_can_be_ended_while_a_trial_waits_for_it(lab, agents, journal):
    storm.start(STORM, agents, journal)
    ended = threading.Event()

    def end() -> None:
        while not lab.lab.is_simulating:
            ended.wait(0.001)
        storm.stop(STORM, agents, journal)

    killer = threading.Thread(target=end)
    killer.start()
    load = TrialLoad(
        transfers={"prefill01": (Transfer(peer="decode01", qp=1, size_bytes=SIZE_BYTES),), "decode01": ()}, seed=1
    )
    with Coordinator(lab.agents("prefill01", "decode01")) as coordinator:
        done = coordinator.run_trial("ended", load, 100_000, timeout_ns=3_000_000 * NS_PER_MS)
    killer.join()
    assert done.table["status"].to_pylist() == ["ok"]
    assert storm.standing(journal) == []


def test_the_intention_is_in_the_journal_before_the_agent_is_told(agents, journal, monkeypatch):
    def told(agent: Agent, priority: int, duration_ns: int) -> None:
        assert [event["event"] for event in journal.events()] == ["storm_intended"]
        raise KeyboardInterrupt

    monkeypatch.setattr(door, "start", told)
    with pytest.raises(KeyboardInterrupt):
        storm.start(STORM, agents, journal)
    events = [event["event"] for event in journal.events()]
    assert events == ["storm_intended", "storm_failed", "storm_stopping", "storm_stopped"]


def test_a_start_whose_answer_is_lost_is_taken_back(agents, journal, monkeypatch):
    start = door.start

    def lost(agent: Agent, priority: int, duration_ns: int) -> None:
        start(agent, priority, duration_ns)
        raise LabError(agent.host, "did not answer in time")

    monkeypatch.setattr(door, "start", lost)
    with pytest.raises(LabError, match="did not answer in time"):
        storm.start(STORM, agents, journal)
    assert not storm.state(STORM, agents).active
    assert left_changed(journal) == []


def test_a_storm_of_somebody_else_is_neither_joined_nor_ended(agents, journal):
    door.start(agents["decode01"], 3, NS_PER_MS)
    try:
        with pytest.raises(LabError, match="decode01: its NIC sends PAUSE for priority 3 already"):
            storm.start(STORM, agents, journal)
        assert journal.events() == []
        assert storm.state(STORM, agents).active
    finally:
        door.stop(agents["decode01"], 3)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (Storm(host="decode01", priority=3), "duration_s: give at least 1"),
        (Storm(host="decode01", priority=8, seconds=1), "priority: 8 is not in 0..7"),
        (Storm(host="leaf1", priority=3, seconds=1), "'leaf1' is no worker"),
        (Storm(host="decode01", priority=3, seconds=3601), "decode01: .* at most 3600 s"),
    ],
)
def test_a_storm_that_cannot_be_is_refused(agents, journal, wrong, reason):
    with pytest.raises((SpecError, LabError), match=reason):
        storm.start(wrong, agents, journal)
    assert storm.standing(journal) == []


def test_a_storm_that_cannot_be_ended_is_left_for_the_restore_and_does_not_keep_the_others(lab, agents, journal):
    storm.start(STORM, agents, journal)
    gone = {**asdict(STORM), "host": "prefill02", "address": "127.171.9.9", "port": 50051}
    journal.append("storm_intended", **gone)
    with pytest.raises(
        LabError, match=r"prefill02, priority 3 could not be ended: .*does not answer.*60 s of lab time"
    ):
        storm.end(storm.standing(journal), agents, journal)
    assert left_changed(journal) == ["prefill02 (PAUSE storm)"]


OWNER = """
import os, pickle, signal, sys
from aibench_lib.run import guard, storm
one, agents, journal = pickle.loads(bytes.fromhex(sys.argv[1]))
print(guard.start(os.getpid(), journal.path.parent, (), tuple(agents.values())), flush=True)
storm.start(one, agents, journal)
print("storm", flush=True)
signal.pause()
"""


def test_the_guard_ends_what_a_run_that_was_killed_has_left(agents, journal):
    words = pickle.dumps((STORM, agents, Journal(journal.path))).hex()
    with subprocess.Popen([sys.executable, "-c", OWNER, words], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert owner.stdout.readline() == b"storm\n"
        assert left_changed(journal) == ["decode01 (PAUSE storm)"]
        owner.kill()
    until = time.monotonic() + 20
    while guard.alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert [event["status"] for event in journal.events() if event["event"] == "run_closed"] == ["interrupted"]
    assert storm.standing(journal) == []
