"""What a switch says of itself, from the text it prints and from the trees it answers with."""

import pytest

from aibench_lib.errors import LabError
from aibench_lib.model import Port
from aibench_lib.platforms import DeviceFacts, Show, Source
from aibench_lib.run.described import switches_of
from aibench_lib.switch import facts
from aibench_lib.switch.broken import SessionBrokenError
from aibench_lib.switch.clock import parse_clock
from aibench_lib.switch.target import Target
from aibench_lib.virtual_lab.eos.cli import Cli
from aibench_lib.virtual_lab.eos.switch import EosSwitch
from aibench_lib.virtual_lab.physical import Physical
from aibench_lib.virtual_lab.writes import Writes

EOS = {
    "show version": "Arista DCS-7060DX5-64S-F\nHardware version: 10.01\n\nSoftware image version: 4.36.1F\n"
    "Architecture: x86_64\n",
    "show clock": "Tue Nov 24 03:34:05 2026\nTimezone: US/Pacific\nClock source: NTP server (10.0.0.1)\n",
    "show interfaces status": (
        "Port       Name              Status       Vlan     Duplex Speed  Type            Flags Encapsulation\n"
        "Et1        prefill01 nic0    connected    routed   full   400G   400GBASE-SR8                       \n"
        "Et2                          notconnect   1        auto   auto   Not Present                        \n"
        "Et3        to be connected   disabled     in Po1   full   100G   100GBASE-SR4                       \n"
        "Et49/1     spine1            connected    routed   full   a-10G  400GBASE-DR4                       \n"
        "Ma1        oob               connected    routed   a-full a-1G   10/100/1000                        \n"
    ),
    "show ip interface brief": (
        "                                                                        Address\n"
        "Interface        IP Address           Status     Protocol         MTU   Owner   \n"
        "---------------- -------------------- ---------- ------------ --------- ------- \n"
        "Ethernet1        10.2.0.0/31          up         up              9214           \n"
        "Ethernet3        unassigned           admin down down            1500           \n"
        "Management1      172.28.135.39/20     up         up              1500           \n"
    ),
    "show lldp neighbors": (
        "Last table change time   : 2:22:08 ago\nNumber of table inserts  : 14\n\n"
        "Port         Neighbor Device ID            Neighbor Port ID   TTL \n"
        "---------- ----------------------------- -------------------- --- \n"
        "Et49/1       spine1.lab.example            Ethernet2/1        120 \n"
    ),
}
TARGET = Target(
    host="leaf1",
    address="192.0.2.1",
    platform="arista_eos",
    username="admin",
    password="secret",
    options={"buffer_bytes": "165000000"},
)


class Shell:
    """A command line with fixed answers; it refuses the rest."""

    def __init__(self, answers):
        self.answers = answers

    def show(self, command):
        if command not in self.answers:
            raise LabError("leaf1", f"refused {command!r}: % Invalid input")
        return self.answers[command]


def test_what_eos_prints_becomes_facts():
    found = facts.ask(Shell(EOS), TARGET)
    assert (found.vendor, found.model, found.software) == ("Arista", "DCS-7060DX5-64S-F", "4.36.1F")
    assert found.clock == "2026-11-24T11:34:05Z"
    assert found.interfaces["Ethernet1"] == facts.InterfaceFacts(
        oper="up", admin="up", speed_bps=400 * 10**9, mtu=9214, address="10.2.0.0/31"
    )
    assert found.interfaces["Ethernet2"] == facts.InterfaceFacts(oper="down", admin="up")
    assert found.interfaces["Ethernet3"] == facts.InterfaceFacts(
        oper="down", admin="down", speed_bps=100 * 10**9, mtu=1500
    )
    assert found.interfaces["Ethernet49/1"].speed_bps == 10**10
    assert found.interfaces["Ethernet49/1"].neighbour == "spine1.lab.example"
    assert found.interfaces["Ethernet49/1"].neighbour_port == "Ethernet2/1"
    assert found.interfaces["Management1"] == facts.InterfaceFacts(mtu=1500, address="172.28.135.39/20")


def test_what_a_switch_does_not_say_is_taken_from_the_inventory_or_is_not_said():
    found = facts.ask(Shell(EOS), TARGET)
    assert found.asic is None
    assert found.buffer_bytes == 165_000_000
    assert facts.DECLARED in found.notes


def test_the_report_gets_a_line_of_each_switch_that_was_asked():
    found = facts.ask(Shell(EOS), TARGET)
    described = switches_of({"leaf1": found.plain()}, {"leaf1": "Arista EOS", "leaf2": "Arista EOS"})
    assert described == {
        "leaf1": "Arista EOS; model DCS-7060DX5-64S-F; ASIC not said by the switch; software 4.36.1F; "
        "ports that are up 1 x 10 Gb/s and 1 x 400 Gb/s; buffer 165 MB (as the inventory says)"
    }


def test_a_question_that_is_refused_is_a_note_and_the_others_are_answered():
    answers = {command: text for command, text in EOS.items() if command != "show lldp neighbors"}
    found = facts.ask(Shell(answers), TARGET)
    assert found.interfaces["Ethernet49/1"].neighbour is None
    assert any("show lldp neighbors" in note for note in found.notes)


def test_a_switch_that_refuses_every_question_has_nothing_but_notes():
    found = facts.ask(Shell({}), TARGET)
    assert found.software is None
    assert found.interfaces == {}
    assert len(found.notes) > 1


def test_a_session_that_breaks_is_an_error_and_no_note():
    class Broken:
        def show(self, command):
            raise SessionBrokenError("leaf1", "the session broke")

    with pytest.raises(LabError, match="broke"):
        facts.ask(Broken(), TARGET)


def test_a_switch_without_a_platform_file_s_facts_says_nothing(monkeypatch):
    monkeypatch.setattr(facts, "load_platform", lambda name: type("P", (), {"facts": None}))
    assert facts.ask(Shell(EOS), TARGET).notes == ("its platform has no `facts` to ask for",)


def test_the_simulated_switch_answers_and_says_that_it_is_simulated():
    neighbours = {"Ethernet1": Port("prefill01", "nic0"), "Ethernet49": Port("spine1", "ethernet-1/1")}
    switch = EosSwitch("leaf1", neighbours, Writes(), {"Ethernet1": "10.1.0.0/31", "Ethernet49": "10.1.0.2/31"})
    switch.physical = Physical(lambda name: name != "Ethernet49", {"Ethernet1": 400 * 10**9}, lambda: 86_400 * 10**9)
    cli = Cli(switch)
    cli.answer("enable")
    found = facts.ask(type("Wire", (), {"show": staticmethod(cli.answer)})(), TARGET)
    assert "simulated" in str(found.model)
    assert "simulated" in str(found.software)
    assert found.clock == "1970-01-02T00:00:00Z"
    assert found.interfaces["Ethernet1"] == facts.InterfaceFacts(
        oper="up",
        admin="up",
        speed_bps=400 * 10**9,
        mtu=9214,
        address="10.1.0.0/31",
        neighbour="prefill01",
        neighbour_port="nic0",
    )
    assert (found.interfaces["Ethernet49"].oper, found.interfaces["Ethernet49"].admin) == ("down", "up")
    for line in ("configure", "interface Ethernet1", "shutdown", "end"):
        cli.answer(line)
    found = facts.ask(type("Wire", (), {"show": staticmethod(cli.answer)})(), TARGET)
    assert (found.interfaces["Ethernet1"].oper, found.interfaces["Ethernet1"].admin) == ("down", "down")


def of_gnmi(monkeypatch, **changed):
    shows = [
        Show(path="/platform/chassis", leaves={"model": "type"}),
        Show(
            path="/interface[name={interface}]",
            leaves={
                "oper": "oper-state",
                "speed_bps": "ethernet/port-speed",
                "mtu": "mtu",
                "address": "subinterface/ipv4/address/ip-prefix",
            },
            words={"oper": {"up": "up", "down": "down"}},
        ),
    ]
    device = DeviceFacts(source=Source.VENDOR_YANG, vendor="Nokia", shows=shows, **changed)
    monkeypatch.setattr(facts, "load_platform", lambda name: type("P", (), {"facts": device}))


class Tree:
    """A gNMI session with fixed answers."""

    def state(self, path):
        return {
            "/platform/chassis": {"srl_nokia-platform-chassis:type": "7220 IXR-D3"},
            "/interface[name=ethernet-1/1]": {
                "oper-state": "up",
                "mtu": 9228,
                "srl_nokia-interfaces:ethernet": {"port-speed": "400G"},
                "subinterface": [{"index": 0, "ipv4": {"address": [{"ip-prefix": "10.2.0.1/31"}]}}],
            },
        }.get(path)


def test_what_gnmi_answers_becomes_facts_and_a_frame_s_mtu_that_of_its_packet(monkeypatch):
    of_gnmi(monkeypatch, mtu_overhead_bytes=14)
    target = Target(
        host="spine1",
        address="192.0.2.2",
        platform="nokia_srlinux",
        username="admin",
        password="secret",
        options={"interfaces": ["ethernet-1/1", "ethernet-1/2"]},
    )
    found = facts.ask(Tree(), target)
    assert found.model == "7220 IXR-D3"
    assert found.interfaces == {
        "ethernet-1/1": facts.InterfaceFacts(oper="up", speed_bps=400 * 10**9, mtu=9214, address="10.2.0.1/31")
    }


def test_a_line_without_an_interface_is_about_the_one_named_last(monkeypatch):
    show = Show(command="show interfaces", lines=[r"^(?P<key>et-\S+) is (?P<oper>\w+)$", r"^ +MTU (?P<mtu>\d+)$"])
    device = DeviceFacts(source=Source.RECALLED, vendor="V", shows=[show])
    monkeypatch.setattr(facts, "load_platform", lambda name: type("P", (), {"facts": device}))
    text = "  MTU 1\net-0/0/0 is up\n  MTU 9192\net-0/0/1 is unknown\n  MTU 1500\n"
    found = facts.ask(Shell({"show interfaces": text}), TARGET).interfaces
    assert found == {
        "et-0/0/0": facts.InterfaceFacts(oper="up", mtu=9192),
        "et-0/0/1": facts.InterfaceFacts(mtu=1500),
    }


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("Tue Nov 24 11:34:55 2026", None),
        ("Tue Nov 24 03:34:55 2026", "US/Pacific"),
        ("11:34:55.123 UTC Tue Nov 24 2026", None),
        ("Current time: 2026-11-24 11:34:55 UTC", None),
        ("2026-11-24T11:34:55.678Z", None),
        ("2026-11-24T12:34:55+01:00", None),
        ("Tue Nov 24 11:34:55 UTC 2026", None),
        ("Tue 24 Nov 2026 11:34:55 AM UTC", None),
        ("Tue Nov 24 12:34:55 +0100 2026", None),
    ],
)
def test_a_clock_is_read_however_it_is_written(text, zone):
    moment = parse_clock(text, zone)
    assert moment is not None
    assert moment.isoformat() == "2026-11-24T11:34:55+00:00"


@pytest.mark.parametrize("text", ["soon", "Tue Nov 24 11:34:55 QQQ 2026", "2026-13-24T11:34:55Z", "11:34:55"])
def test_a_clock_that_cannot_be_told_is_none(text):
    assert parse_clock(text) is None
