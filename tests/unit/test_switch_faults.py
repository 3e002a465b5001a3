"""Faults where a real fabric cannot be made to misbehave: links that stay up, switches that give up in between."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from aibench_lib.errors import LabError, NotAttainable, SpecError
from aibench_lib.journal import Journal
from aibench_lib.model import Link, Port, Topology
from aibench_lib.switch import fault_injection, link_state, restoration, transaction
from aibench_lib.switch.fault_injection import active, preview, start, stop
from aibench_lib.switch.faults import Fault, FaultKind, Place, parse_ports, steps
from aibench_lib.switch.target import Target

UPLINK, OTHER = Port("leaf1", "Ethernet49"), Port("leaf1", "Ethernet50")
FAR, OTHER_FAR = Port("spine1", "Ethernet1"), Port("spine1", "Ethernet2")
EDGE, NIC = Port("leaf1", "Ethernet1"), Port("prefill01", "nic0")
TOPOLOGY = Topology(
    hosts=("prefill01",),
    switches=("leaf1", "spine1"),
    links=(Link(UPLINK, FAR, 1), Link(OTHER, OTHER_FAR, 1), Link(NIC, EDGE, 1)),
)
DOWN = Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK,))


def target(host, platform="arista_eos"):
    return Target(host=host, address="192.0.2.1", platform=platform, username="admin", password="secret")


class Memory:
    """A switch in memory: ports that are shut, and what it refuses or does without being told."""

    def __init__(self, host, fabric):
        self.host = host
        self.fabric = fabric
        self.shut = set()
        self.armed = {}
        self.writes = []
        self.refuses = []
        self.deaf = False
        self.has_dead_man = True
        self.raises = None

    def check_restorable(self, config):
        pass

    def read_config(self):
        return "".join(f"shut {port}\n" for port in sorted(self.shut))

    def comparable(self, config):
        return config.splitlines()

    def read_back(self, setting):
        return {"admin": "down" if setting.named["interface"] in self.shut else "up"}

    def apply(self, rendered, change, seconds=None, checkpoint=None):
        self._write("apply")
        port, word = rendered.split()[1], rendered.split(maxsplit=2)[2].strip()
        if seconds:
            self.armed[change] = (seconds, set(self.shut))
        if not self.deaf:
            (self.shut.discard if word == "no shutdown" else self.shut.add)(port)
        if self.raises:
            error, self.raises = self.raises, None
            raise error

    def confirm(self, change):
        self.armed.pop(change, None)

    def cancel(self, change, checkpoint=None):
        self._write("cancel")
        if change in self.armed:
            self.shut = self.armed.pop(change)[1]

    def checkpoints(self):
        return None

    def restore(self, config):
        self._write("restore")
        self.shut = {line.split()[1] for line in config.splitlines()}

    def close(self):
        pass

    def show(self, command):
        if command != "show interfaces status":
            raise LabError(self.host, f"refused {command!r}")
        return "".join(
            f"{end.interface.replace('Ethernet', 'Et')} - {self._state(end)} routed full 400G simulated\n"
            for link in TOPOLOGY.links
            for end in (link.a, link.b)
            if end.node == self.host
        )

    def _state(self, port):
        if port.interface in self.shut:
            return "disabled"
        return "connected" if self.fabric.is_up(port) else "notconnect"

    def _write(self, what):
        self.writes.append(what)
        if what in self.refuses:
            self.refuses.remove(what)
            raise LabError(self.host, f"refused {what}")


class Fabric:
    """Two switches, and cables that may be stuck."""

    def __init__(self):
        self.switches = {name: Memory(name, self) for name in TOPOLOGY.switches}
        self.stuck = False

    def is_up(self, port):
        other = TOPOLOGY.neighbour(port)
        far = self.switches.get(other.node)
        return self.stuck or far is None or other.interface not in far.shut

    @property
    def writes(self):
        return [write for switch in self.switches.values() for write in switch.writes]

    @property
    def shut(self):
        return {f"{name}:{port}" for name, switch in self.switches.items() for port in switch.shut}


@pytest.fixture
def fabric(monkeypatch):
    fabric = Fabric()

    @contextmanager
    def connect(target):
        yield fabric.switches[target.host]

    for module in (transaction, restoration, link_state):
        monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setattr(link_state, "VERIFY_SECONDS", 0.0)
    monkeypatch.setattr(link_state.verify, "__defaults__", (0.0,))
    monkeypatch.setattr(fault_injection.time, "sleep", lambda seconds: None)
    return fabric


@pytest.fixture
def place(tmp_path):
    return Place(
        topology=TOPOLOGY,
        targets={name: target(name) for name in TOPOLOGY.switches},
        journal=Journal(tmp_path / "journal.jsonl"),
        run_dir=tmp_path,
    )


def events(place):
    return [event["event"] for event in place.journal.events()]


def test_a_link_goes_down_at_both_ends_and_comes_up_again(fabric, place):
    outcome = start(DOWN, place)
    assert outcome.ends == {"leaf1:Ethernet49": "down", "spine1:Ethernet1": "down"}
    assert fabric.shut == {"leaf1:Ethernet49"}
    assert not outcome.held
    outcome = stop(DOWN, place)
    assert outcome.ends == {"leaf1:Ethernet49": "up", "spine1:Ethernet1": "up"}
    assert outcome.changed
    assert fabric.shut == set()


def test_the_intention_and_the_snapshot_are_on_disk_before_anything_is_sent(fabric, place):
    start(DOWN, place)
    assert events(place) == [
        "fault_intended",
        "snapshot_taken",
        "change_intended",
        "change_applied",
        "fault_started",
    ]


def test_a_fault_with_a_duration_stays_armed_so_that_the_switch_itself_ends_it(fabric, place):
    fault = Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK,), duration_s=90)
    assert start(fault, place).held
    assert [seconds for seconds, _ in fabric.switches["leaf1"].armed.values()] == [90]
    assert "change_held" in events(place)
    stop(fault, place)
    assert fabric.switches["leaf1"].armed == {}
    assert fabric.shut == set()


def test_a_stop_after_the_switch_has_ended_the_fault_by_itself_is_no_error(fabric, place):
    fault = Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK,), duration_s=90)
    start(fault, place)
    fabric.switches["leaf1"].cancel(next(iter(fabric.switches["leaf1"].armed)))
    assert stop(fault, place).ends == {"leaf1:Ethernet49": "up", "spine1:Ethernet1": "up"}


def test_a_switch_without_a_dead_man_is_told_to_end_the_fault(fabric, place):
    fabric.switches["leaf1"].has_dead_man = False
    fault = Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK,), duration_s=90)
    assert not start(fault, place).held
    stop(fault, place)
    assert fabric.shut == set()


def test_an_unfinished_fault_is_restored_like_a_setting(fabric, place):
    start(Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK,), duration_s=90), place)
    assert transaction.unrestored(place.journal) == ["leaf1"]
    transaction.restore(place.targets["leaf1"], place.journal, place.run_dir)
    assert fabric.shut == set()
    assert transaction.unrestored(place.journal) == []


def test_a_link_that_the_neighbour_still_sees_up_is_an_error_with_both_ends_and_is_taken_back(fabric, place):
    fabric.stuck = True
    with pytest.raises(LabError, match=r"Ethernet1 is not down.*leaf1:Ethernet49 down .*spine1:Ethernet1 up"):
        start(DOWN, place)
    assert fabric.shut == set()
    assert events(place)[-2:] != ["fault_started"]


def test_a_link_that_does_not_come_back_is_an_error_with_both_ends(fabric, place):
    start(DOWN, place)
    fabric.switches["spine1"].shut.add("Ethernet1")
    with pytest.raises(
        LabError, match=r"is not up.*leaf1:Ethernet49 down \(admin up\), spine1:Ethernet1 down \(admin down\)"
    ):
        stop(DOWN, place)


@pytest.mark.parametrize("error", [LabError("leaf1", "the session broke"), KeyboardInterrupt(), MemoryError()])
def test_nothing_that_breaks_a_start_leaves_a_link_down(fabric, place, error):
    fabric.switches["leaf1"].raises = error
    with pytest.raises(type(error)):
        start(DOWN, place)
    assert fabric.shut == set()
    assert "fault_failed" in events(place)


@pytest.mark.parametrize("duration_s", [None, 90])
@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_nothing_that_breaks_the_time_between_start_and_stop_leaves_a_link_down(fabric, place, error, duration_s):
    fault = Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK,), duration_s=duration_s)

    def do():
        with active(fault, place):
            assert fabric.shut == {"leaf1:Ethernet49"}
            raise error

    with pytest.raises(type(error)):
        do()
    assert fabric.shut == set()


def test_a_switch_that_will_not_mend_a_link_is_brought_back_to_its_snapshot(fabric, place):
    start(DOWN, place)
    fabric.switches["leaf1"].refuses = ["apply"]
    stop(DOWN, place)
    assert fabric.shut == set()
    assert "restored" in events(place)


def test_a_fault_that_nothing_takes_back_says_so_and_whom_to_ask(fabric, place):
    start(DOWN, place)
    fabric.switches["leaf1"].refuses = ["apply", "restore", "restore"]
    with pytest.raises(LabError, match=r"(?s)could not be taken back .*refused apply.*playbooks/restore\.yml"):
        stop(DOWN, place)
    assert transaction.unrestored(place.journal) == ["leaf1"]


def test_two_links_fail_and_a_failure_of_the_second_mends_the_first(fabric, place):
    both = Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK, OTHER_FAR), duration_s=90)
    assert set(start(both, place).ends.values()) == {"down"}
    assert fabric.shut == {"leaf1:Ethernet49", "spine1:Ethernet2"}
    stop(both, place)
    assert fabric.shut == set()
    fabric.switches["spine1"].refuses = ["apply"]
    with pytest.raises(LabError, match="refused apply"):
        start(both, place)
    assert fabric.shut == set()


def test_two_ports_of_one_switch_are_not_armed_since_it_could_end_only_one(fabric, place):
    both = Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK, OTHER), duration_s=90)
    assert [step.hold_seconds for step in steps(both, place)] == [None, None]
    assert set(start(both, place).ends.values()) == {"down"}
    stop(both, place)
    assert fabric.shut == set()


def test_a_flap_goes_down_as_often_as_told_and_ends_up(fabric, place):
    outcome = start(Fault(kind=FaultKind.LINK_FLAP, ports=(UPLINK,), flaps=3, period_s=0.1), place)
    assert len(outcome.seconds_down) == 3
    assert set(outcome.ends.values()) == {"up"}
    assert fabric.shut == set()
    assert events(place).count("fault_flapped") == 3


def test_a_flap_that_breaks_leaves_the_link_up(fabric, place):
    fabric.switches["leaf1"].refuses = ["cancel"]
    start(Fault(kind=FaultKind.LINK_FLAP, ports=(UPLINK,), flaps=2, period_s=0.1), place)
    assert fabric.shut == set()


def test_the_end_at_a_host_is_named_as_not_asked(fabric, place):
    outcome = start(Fault(kind=FaultKind.LINK_DOWN, ports=(EDGE,)), place)
    assert outcome.ends == {"leaf1:Ethernet1": "down"}
    assert outcome.unasked == ["prefill01:nic0"]


def test_a_link_that_is_down_already_gets_no_fault(fabric, place):
    fabric.switches["spine1"].shut.add("Ethernet1")
    with pytest.raises(LabError, match="is not up"):
        start(DOWN, place)
    assert fabric.writes == []
    assert events(place) == []


def test_a_preview_writes_nothing(fabric, place):
    (change,) = preview(DOWN, place)
    assert change.changed
    assert change.after == "interface Ethernet49\n   shutdown\n"
    assert preview(DOWN, place, starts=False)[0].changed is False
    assert fabric.writes == []
    assert events(place) == []


def test_a_stop_without_a_start_changes_nothing(fabric, place):
    assert not stop(DOWN, place).changed
    assert fabric.writes == []


def test_what_a_platform_cannot_do_is_not_attainable_before_anything_is_sent(fabric, place):
    lossy = Fault(kind=FaultKind.LOSSY_LINK, ports=(UPLINK,), loss_percent=5)
    with pytest.raises(NotAttainable, match=r"lossy_link: Arista EOS \(leaf1\) has no documented command"):
        start(lossy, place)
    assert fabric.writes == []


def test_a_lossy_link_is_told_its_loss_and_at_the_end_that_there_is_none(place):
    lossy = Fault(kind=FaultKind.LOSSY_LINK, ports=(UPLINK,), loss_percent=5, duration_s=60)
    (step,) = steps(lossy, replace(place, targets={"leaf1": target("leaf1", "frr_linux")}))
    assert (step.feature, step.hold_seconds) == ("lossy_link", 60)
    assert step.start == {"interface": "Ethernet49", "loss_percent": 5}
    assert step.stop == {"interface": "Ethernet49", "loss_percent": 0}


def test_a_detour_has_no_words_that_end_it(place):
    route = {"prefix": "10.1.0.1/32", "next_hop": "10.2.0.1", "interface": "Ethernet50"}
    (step,) = steps(Fault(kind=FaultKind.ROUTING_DETOUR, ports=(Port("leaf1", ""),), routes=(route,)), place)
    assert step.start == {"routes": [route]}
    assert step.stop == {}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ports": ()}, "give at least one"),
        ({"ports": (Port("leaf9", "Ethernet1"),)}, "no switch of the inventory"),
        ({"ports": (NIC,)}, "no switch of the inventory"),
        ({"ports": (Port("leaf1", "Ethernet7"),)}, "at no link"),
        ({"ports": (UPLINK, UPLINK)}, "named twice"),
        ({"ports": (UPLINK, FAR)}, "ends of one link"),
        ({"duration_s": 0}, "less than a second"),
        ({"routes": ({"prefix": "10.0.0.1/32"},)}, "no other fault has"),
        ({"kind": FaultKind.ROUTING_DETOUR}, "a routing_detour has them"),
        ({"kind": FaultKind.LOSSY_LINK}, "loss_percent: 0"),
        ({"kind": FaultKind.LINK_FLAP, "flaps": 0}, "must be positive"),
    ],
)
def test_a_fault_that_does_not_fit_is_refused(place, changed, reason):
    with pytest.raises(SpecError, match=reason):
        steps(Fault(**{"kind": FaultKind.LINK_DOWN, "ports": (UPLINK,), **changed}), place)


def test_ports_are_written_as_in_the_topology():
    assert parse_ports(["leaf1:Ethernet49", "leaf2"]) == (UPLINK, Port("leaf2", ""))
    with pytest.raises(SpecError, match="no port such as"):
        parse_ports([":Ethernet1"])
