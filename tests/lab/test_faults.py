"""Faults through the real drivers: seen at both ends, and gone however the one who started them ends."""

import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from eos_pair import EosPair, eos_pair

from aibench_lib.errors import LabError, TrialError
from aibench_lib.model import Port
from aibench_lib.run.disturbance import within
from aibench_lib.switch import fault_injection, link_state, transaction
from aibench_lib.switch.fault_injection import active, preview, start, stop
from aibench_lib.switch.faults import Fault, FaultKind, Place

UPLINK, OTHER = Port("leaf1", "Ethernet49"), Port("spine1", "Ethernet2")
BOTH_ENDS = {"leaf1:Ethernet49", "spine1:Ethernet1"}
DOWN = Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK,))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EosPair]:
    with eos_pair(tmp_path_factory.mktemp("pair"), "127.153") as up:
        yield up


@pytest.fixture
def place(pair: EosPair, tmp_path: Path) -> Iterator[Place]:
    before = pair.running()
    place = pair.place(tmp_path)
    yield place
    for name in transaction.unrestored(place.journal):
        transaction.restore(place.targets[name], place.journal, place.run_dir)
    assert pair.running() == before


def seen(place: Place) -> dict[str, str]:
    found = link_state.states(place.ends(DOWN), place.targets)
    return {str(end): str(facts.oper) for end, facts in found.items()}


def test_a_link_is_seen_down_and_up_at_both_ends(place):
    with active(DOWN, place) as outcome:
        assert outcome.ends == dict.fromkeys(BOTH_ENDS, "down")
    assert seen(place) == dict.fromkeys(BOTH_ENDS, "up")


def test_the_switch_itself_ends_a_fault_whose_time_is_over(place):
    assert start(Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK,), duration_s=2), place).held
    assert seen(place) == dict.fromkeys(BOTH_ENDS, "down")
    time.sleep(2.1)
    assert seen(place) == dict.fromkeys(BOTH_ENDS, "up")
    stop(DOWN, place)


def test_a_fault_within_a_trial_begins_after_its_start_and_is_over_before_its_end(place):
    t0_ns = time.time_ns()
    with within(DOWN, place, 8_000_000_000) as disturbance:
        disturbance.at_start(t0_ns)
        assert seen(place) == dict.fromkeys(BOTH_ENDS, "up")
        time.sleep(max(0, (t0_ns - time.time_ns()) / 1e9 + 4.5))
        assert seen(place) == dict.fromkeys(BOTH_ENDS, "down")
        time.sleep(max(0, (t0_ns - time.time_ns()) / 1e9 + 8))
    assert seen(place) == dict.fromkeys(BOTH_ENDS, "up")
    began_ns, ending_ns = disturbance.span_ns()
    assert t0_ns + 2_000_000_000 <= began_ns < ending_ns
    assert ending_ns >= t0_ns + 5_200_000_000


def test_a_fault_ends_with_a_trial_that_ends_early(place):
    with within(DOWN, place, 4_000_000_000) as disturbance:
        disturbance.at_start(time.time_ns() - 1_000_000_000)  # it begins at once, and is not over in half a second
        time.sleep(0.5)
    assert seen(place) == dict.fromkeys(BOTH_ENDS, "up")
    with pytest.raises(TrialError, match="make it longer"):
        disturbance.span_ns()


def test_a_trial_that_is_over_before_its_fault_says_to_make_it_longer(place):
    with within(DOWN, place, 40_000_000_000) as disturbance:
        disturbance.at_start(time.time_ns())
    assert seen(place) == dict.fromkeys(BOTH_ENDS, "up")
    with pytest.raises(TrialError, match="make it longer"):
        disturbance.span_ns()


def test_two_links_fail_at_the_same_time(place):
    fault = Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK, OTHER), duration_s=60)
    with active(fault, place) as outcome:
        assert set(outcome.ends.values()) == {"down"}
        assert len(outcome.ends) == 4
        assert outcome.held


def test_a_link_flaps(place):
    outcome = start(Fault(kind=FaultKind.LINK_FLAP, ports=(UPLINK,), flaps=2, period_s=0.2), place)
    assert len(outcome.seconds_down) == 2
    assert outcome.ends == dict.fromkeys(BOTH_ENDS, "up")


def test_a_detour_is_routed_and_taken_back(pair, place):
    route = {"prefix": "10.1.0.1/32", "next_hop": "10.2.0.1", "interface": "Ethernet50"}
    fault = Fault(kind=FaultKind.ROUTING_DETOUR, ports=(Port("leaf1", ""),), routes=(route,), duration_s=60)
    with active(fault, place):
        assert "ip route 10.1.0.1/32 Ethernet50 10.2.0.1" in pair.running()["leaf1"]
    assert "ip route" not in pair.running()["leaf1"]


def test_a_preview_writes_nothing(pair, place):
    writes = len(pair.lab.writes)
    assert preview(DOWN, place)[0].changed
    assert len(pair.lab.writes) == writes
    assert place.journal.events() == []


def test_a_fault_that_is_not_seen_at_the_other_end_is_taken_back(place, monkeypatch):
    monkeypatch.setattr(link_state.verify, "__defaults__", (0.5,))
    lit = link_state.states

    def stuck(ends, targets):
        found = lit(ends, targets)
        return {end: found[UPLINK] if end == UPLINK else type(facts)(oper="up") for end, facts in found.items()}

    monkeypatch.setattr(fault_injection.link_state, "states", stuck)
    with pytest.raises(LabError, match=r"leaf1:Ethernet49 down .*spine1:Ethernet1 up"):
        start(DOWN, place)
    monkeypatch.undo()
    assert seen(place) == dict.fromkeys(BOTH_ENDS, "up")


KILLED = """
import os, pickle, signal, sys
from aibench_lib.switch.fault_injection import active
fault, place = pickle.loads(bytes.fromhex(sys.argv[1]))
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
with active(fault, place):
    print("down", flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_fault_whose_process_is_killed_is_over_or_can_be_restored(place, how):
    words = pickle.dumps((DOWN, place)).hex()
    process = subprocess.Popen([sys.executable, "-c", KILLED, words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline() == b"down\n"
    process.send_signal(how)
    process.wait(20)
    process.stdout.close()
    if how == signal.SIGKILL:
        assert seen(place) == dict.fromkeys(BOTH_ENDS, "down")
        transaction.restore(place.targets["leaf1"], place.journal, place.run_dir)
    assert seen(place) == dict.fromkeys(BOTH_ENDS, "up")
