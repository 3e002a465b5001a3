"""What a preflight makes of the answers of switches and agents; nobody is asked here."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from aibench_lib.errors import LabError
from aibench_lib.model import LabKind, Link, Port, Topology
from aibench_lib.platforms import load_platform
from aibench_lib.run import inspection, judgement, preflight
from aibench_lib.run.findings import Severity, green, red, rows, table, verdict, yellow
from aibench_lib.run.inspection import Agents, Inspected
from aibench_lib.run.lab import Lab
from aibench_lib.switch.facts import Facts, InterfaceFacts
from aibench_lib.switch.target import Target
from aibench_lib.worker.agents import Agent

GBPS = 10**9
UPLINK, FAR = Port("leaf1", "Ethernet49"), Port("spine1", "ethernet-1/1")
EDGE, NIC = Port("leaf1", "Ethernet1"), Port("prefill01", "nic0")
TOPOLOGY = Topology(
    hosts=("prefill01",),
    switches=("leaf1", "spine1"),
    links=(Link(UPLINK, FAR, 400 * GBPS), Link(NIC, EDGE, 400 * GBPS)),
)
PLATFORMS = {"leaf1": "arista_eos", "spine1": "nokia_srlinux"}
UP = InterfaceFacts(oper="up", admin="up", speed_bps=400 * GBPS, mtu=9214, address="10.2.0.0/31")
NOON = "2026-11-24T12:00:00Z"
NOON_S = 1795521600.0


def lab(**changed):
    switches = {
        name: Target(host=name, address="127.81.0.1", platform=platform, username="admin", password="secret")
        for name, platform in PLATFORMS.items()
    }
    return Lab(
        **{
            "kind": LabKind.HARDWARE,
            "instance": "permanent",
            "isolated": True,
            "topology": TOPOLOGY,
            "switches": switches,
            "workers": {},
            "pools": {"prefill": ("prefill01",), "decode": ()},
            **changed,
        }
    )


def leaf(**changed):
    interfaces = {
        "Ethernet49": replace(UP, neighbour="spine1.lab.example", neighbour_port="Ethernet-1/1"),
        "Ethernet1": replace(UP, neighbour="prefill01", neighbour_port="0c42.a1de.0001"),
    }
    return told("leaf1", "arista_eos", interfaces, **changed)


def spine(**changed):
    return told(
        "spine1", "nokia_srlinux", {"ethernet-1/1": replace(UP, neighbour="leaf1", neighbour_port="Et49")}, **changed
    )


def told(host, platform, interfaces, **changed):
    facts = Facts(
        **{
            "host": host,
            "platform": platform,
            "vendor": "V",
            "model": "M",
            "software": "1.0",
            "clock": NOON,
            "asked_at": NOON_S + 0.3,
            "interfaces": interfaces,
            **changed,
        }
    )
    return Inspected(host=host, facts=facts)


def changed_at(one, interface, **changes):
    interfaces = dict(one.facts.interfaces)
    interfaces[interface] = replace(interfaces[interface], **changes)
    return replace(one, facts=replace(one.facts, interfaces=interfaces))


def judged(*inspected, **changed):
    links = judgement.Links(lab(**changed), inspected)
    return [*links.states(), *links.neighbours(), *links.mtus(4096), *links.classes()]


def severities(findings):
    return {finding.severity for finding in findings}


def test_a_lab_as_the_inventory_says_is_green():
    findings = judged(leaf(), spine())
    assert severities(findings) == {Severity.GREEN}
    assert [finding.check for finding in findings] == ["links", "LLDP", "MTU"]


@pytest.mark.parametrize(
    ("changes", "check", "text"),
    [
        ({"oper": "down"}, "links", "leaf1:Ethernet49: is down"),
        ({"oper": "down", "admin": "down"}, "links", "leaf1:Ethernet49: is shut"),
        ({"speed_bps": 100 * GBPS}, "links", "runs at 100 Gb/s, not at 400 Gb/s"),
        ({"neighbour": "spine2"}, "LLDP", "is cabled to spine2:Ethernet-1/1, the topology says spine1:ethernet-1/1"),
        ({"neighbour_port": "ethernet-1/2"}, "LLDP", "is cabled to spine1.lab.example:ethernet-1/2, not to spine1"),
        ({"mtu": 1500}, "MTU", "takes IP packets of 1500 bytes; RDMA packets with 4096 bytes of data need 4156"),
        ({"mtu": 9000}, "MTU", "its ends differ: IP packets of 9000 and of 9214 bytes"),
    ],
)
def test_a_link_that_is_not_what_the_inventory_says_is_red(changes, check, text):
    reds = [one for one in judged(changed_at(leaf(), "Ethernet49", **changes), spine()) if one.severity is Severity.RED]
    assert check in {one.check for one in reds}
    assert any(text in f"{one.where}: {one.text}" for one in reds)


def test_an_interface_that_the_switch_does_not_have_is_red():
    one = leaf()
    one = replace(one, facts=replace(one.facts, interfaces={"Ethernet1": UP}))
    assert any("no such interface" in found.text for found in judged(one, spine()) if found.severity is Severity.RED)


def test_what_a_switch_does_not_say_is_yellow_and_never_green():
    silent = {"speed_bps": None, "neighbour": None, "neighbour_port": None, "mtu": None}
    findings = judged(changed_at(leaf(), "Ethernet49", **silent), spine())
    assert severities(findings) == {Severity.YELLOW, Severity.GREEN}
    assert {one.check for one in findings if one.severity is Severity.YELLOW} == {"links", "LLDP", "MTU"}
    nothing = replace(leaf(), facts=None)
    assert any(
        one.where == "leaf1" and "says nothing of its interfaces" in one.text for one in judged(nothing, spine())
    )


def test_a_host_that_says_nothing_over_lldp_is_no_finding():
    quiet = changed_at(leaf(), "Ethernet1", neighbour=None, neighbour_port=None)
    assert severities(judged(quiet, spine())) == {Severity.GREEN}


@pytest.mark.parametrize(
    ("shown", "interface", "same"),
    [
        ("Et49/1", "Ethernet49/1", True),
        ("Ethernet1/2", "Eth1/2", True),
        ("ethernet-1/1", "ethernet-1/1", True),
        ("Ethernet49/1", "Ethernet50/1", False),
        ("swp1", "Ethernet1", False),
        ("nic0", "Ethernet0", False),
        (None, "Ethernet0", True),
    ],
)
def test_lldp_names_of_ports_are_compared_as_switches_abbreviate_them(shown, interface, same):
    assert judgement._is_port(shown, interface) is same


def test_a_class_that_is_lossless_at_one_end_alone_is_red_and_other_differences_are_yellow():
    lossless = replace(leaf(), values={"pfc_priority": {"pfc": "on"}, "ecn": {"kmin_bytes": 1}, "dscp": {"dscp": 26}})
    mixed = replace(
        spine(),
        values={
            "pfc_priority": {"pfc": {"ethernet-1/1": "off"}},
            "ecn": {"kmin_bytes": 2},
            "dscp": {"dscp": 26},
            "scheduling": {"scheduling": "strict"},
        },
    )
    found = {one.text: one.severity for one in judged(lossless, mixed) if one.check == "QoS"}
    assert found == {
        "pfc_priority differs: pfc on and off": Severity.RED,
        "ecn differs: kmin_bytes 1 and 2": Severity.YELLOW,
        "both ends of each link have the same dscp": Severity.GREEN,
    }


def test_a_scheduler_that_is_not_configured_is_not_compared_and_ecn_that_is_not_configured_is():
    one = replace(leaf(), values={"scheduling": {"scheduling": "strict"}, "ecn": {"kmin_bytes": 1}})
    other = replace(spine(), values={"scheduling": {"scheduling": None}, "ecn": {"kmin_bytes": None}})
    found = {text.text for text in judged(one, other) if text.check == "QoS" and text.severity is Severity.YELLOW}
    assert found == {"ecn differs: kmin_bytes 1 and none"}


def test_a_lab_that_is_not_declared_isolated_is_red():
    assert any("isolated_lab: true" in one.text for one in judgement.isolation(lab(isolated=False), [leaf()]))
    (found,) = judgement.isolation(lab(), [leaf()])
    assert found.severity is Severity.GREEN


def test_a_public_address_is_red_on_an_interface_a_switch_and_a_host():
    public = changed_at(leaf(), "Ethernet49", address="8.8.8.8/31")
    agent = Agent(host="prefill01", address="1.1.1.1", port=1, ca="", cert="", key="")
    target = replace(lab().switches["leaf1"], address="9.9.9.9")
    findings = list(judgement.isolation(lab(switches={"leaf1": target}, workers={"prefill01": agent}), [public]))
    assert severities(findings) == {Severity.RED}
    assert {one.where for one in findings} == {"leaf1:Ethernet49", "leaf1 (ansible_host)", "prefill01 (ansible_host)"}


@pytest.mark.parametrize(
    "address", ["10.2.0.0/31", "172.16.0.1/24", "192.168.1.1/24", "100.64.0.1/31", "198.18.0.1/31", "fe80::1/64"]
)
def test_private_and_benchmarking_addresses_are_no_finding(address):
    (found,) = judgement.isolation(lab(), [changed_at(leaf(), "Ethernet49", address=address)])
    assert found.severity is Severity.GREEN


def test_one_that_is_down_hides_nobody():
    down = Inspected(host="leaf1", cli="unreachable", gnmi="unreachable")
    findings = [*judgement.reachability(lab(), [down, spine()], Agents(silent={"prefill01": "no answer"}, answered=8))]
    assert [(one.severity, one.where, one.text) for one in findings] == [
        (Severity.RED, "leaf1", "unreachable"),
        (Severity.GREEN, "", "1 of 2 switches let us in to configure and to read telemetry"),
        (Severity.RED, "prefill01", "no answer"),
        (Severity.GREEN, "", "8 hosts answer"),
    ]
    assert [one.severity for one in judged(down, spine())] == [Severity.GREEN] * 3


def test_a_switch_whose_telemetry_cannot_be_read_says_which_door_is_shut():
    (one,) = judgement.reachability(lab(), [replace(leaf(), gnmi="the certificate is not trusted")], Agents())
    assert one.text == "cannot read telemetry: the certificate is not trusted"


def test_a_switch_that_tells_nothing_is_yellow(monkeypatch):
    silent_platform = replace(load_platform("frr_linux"), polled=[])
    monkeypatch.setattr(judgement, "load_platform", lambda _name: silent_platform)
    of_frr = Target(host="leaf1", address="", platform="frr_linux", username="", password="")
    (silent, _) = judgement.reachability(lab(switches={"leaf1": of_frr}), [leaf()], Agents())
    assert silent.severity is Severity.YELLOW
    assert "tells no telemetry" in silent.text


def test_full_slots_are_red_and_what_earlier_runs_left_is_yellow():
    full = replace(leaf(), checkpoints=["operator-1", "aibench-old-1"], slots=2)
    found = list(judgement.checkpoints([full, replace(spine(), checkpoints=[], slots=10)]))
    assert [one.severity for one in found] == [Severity.YELLOW, Severity.RED, Severity.GREEN]
    assert "aibench-old-1, left by an earlier run" in found[0].text
    assert "all 2 slots are taken (operator-1, aibench-old-1)" in found[1].text
    assert "1 of 2 switches" in found[2].text


def test_a_configuration_session_of_ours_that_is_still_open_is_yellow():
    (found,) = judgement.checkpoints([replace(leaf(), sessions=["operator", "aibench-1-c1"])])
    assert (found.check, found.severity, found.where) == ("sessions", Severity.YELLOW, "leaf1")
    assert "aibench-1-c1 open" in found.text
    assert "operator" not in found.text


def test_a_run_that_left_switches_changed_is_red():
    (found,) = judgement.unrestored(["20261124-1-8.1"])
    assert found.severity is Severity.RED
    assert "playbooks/restore.yml" in found.text


def test_a_clock_is_compared_with_that_of_the_hosts():
    agents = Agents(answered=1, clock_ns=int((NOON_S - 60) * 1e9), asked_at=NOON_S)
    (one, other) = judgement.clocks(lab(), [leaf(), spine(clock=None)], agents)
    assert (one.where, one.severity) == ("leaf1", Severity.RED)
    assert "is 60 s ahead of the clock of the hosts" in one.text
    assert (other.where, other.severity) == ("spine1", Severity.YELLOW)


def test_a_clock_is_compared_with_the_controller_s_where_no_host_answers():
    (found,) = judgement.clocks(lab(), [leaf(clock="2026-11-24T11:59:00Z")], Agents())
    assert "is 60 s behind the clock of the controller" in found.text
    (found,) = judgement.clocks(lab(), [leaf()], Agents())
    assert found.severity is Severity.GREEN


def test_virtual_time_is_compared_with_virtual_time_or_not_at_all():
    simulated = lab(kind=LabKind.SIMULATED)
    old = leaf(clock="2020-01-01T00:00:00Z")
    (found,) = judgement.clocks(simulated, [old], Agents())
    assert found.severity is Severity.YELLOW
    agents = Agents(answered=1, clock_ns=1_577_836_800 * 10**9, asked_at=NOON_S - 100)
    (found,) = judgement.clocks(simulated, [old], agents)
    assert found.severity is Severity.GREEN
    assert "virtual time" in found.text


def test_different_software_on_switches_of_one_kind_is_yellow():
    both = [told("leaf1", "arista_eos", {}), told("leaf2", "arista_eos", {}, software="2.0")]
    twins = lab(switches={name: replace(lab().switches["leaf1"], host=name) for name in ("leaf1", "leaf2")})
    (found,) = judgement.versions(twins, both)
    assert found.severity is Severity.YELLOW
    assert "software 1.0" in found.text
    assert "software 2.0" in found.text


def test_the_table_has_red_lines_first_and_one_line_for_what_is_the_same():
    findings = [
        green("links", "", "all are up"),
        yellow("LLDP", "leaf1:Ethernet1", "hears nobody"),
        *(red("links", f"leaf1:Ethernet{number}", "is down") for number in range(1, 6)),
    ]
    lines = table(findings)
    assert lines[0] == (
        "red",
        "RED     links  leaf1:Ethernet1, leaf1:Ethernet2, leaf1:Ethernet3 and 2 more: is down",
    )
    assert [severity for severity, _ in lines] == ["red", "yellow", "green"]
    assert len(rows(findings)) == 3
    assert verdict(findings) == "1 line is red: put that right before a run"
    assert verdict(findings[:2]) == "ready for a run; 1 line to know of"
    assert verdict(findings[:1]) == "ready for a run"


def test_a_long_line_of_the_table_is_wrapped_below_its_text():
    lines = table([red("links", "", "word " * 60)], width=80)
    assert len(lines) > 3
    assert all(len(text) <= 80 for _, text in lines)
    assert lines[1][1].startswith(" " * len("RED  links  "))


class Describer:
    """Agents of which some do not answer."""

    def __init__(self, silent):
        self.silent = silent

    def __call__(self, agents, answer_seconds):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def describe(self, hosts):
        for host in hosts:
            if host in self.silent:
                raise LabError(host, "no answer")
        return [SimpleNamespace(host=host, now_ns=7) for host in hosts]

    def inspect(self):
        return {"h0": {"kernel": "6.1"}, "h2": {"kernel": "of one that was silent before"}}


def test_every_silent_agent_is_named_until_there_are_too_many(monkeypatch):
    agents = {f"h{number}": Agent(host=f"h{number}", address="", port=1, ca="", cert="", key="") for number in range(9)}
    monkeypatch.setattr(inspection, "Coordinator", Describer({"h2", "h4"}))
    found = inspection.inspect_agents(agents, 1.0)
    assert found.facts == {"h0": {"kernel": "6.1"}}
    found = inspection.inspect_agents(agents, 1.0, real=False)
    assert found == Agents(silent={"h2": "no answer", "h4": "no answer"}, answered=7, clock_ns=7, asked_at=1.0)
    monkeypatch.setattr(inspection, "Coordinator", Describer(set(agents)))
    assert len(inspection.inspect_agents(agents, 1.0).silent) == 5


def test_a_switch_that_cannot_be_reached_is_inspected_as_such(monkeypatch):
    def refuse(target):
        raise LabError(target.host, "unreachable")

    monkeypatch.setattr(inspection, "connect", refuse)
    monkeypatch.setattr(inspection, "_why_no_gnmi", lambda target: "also unreachable")
    assert inspection.inspect_switch(lab().switches["leaf1"]) == Inspected(
        host="leaf1", cli="unreachable", gnmi="also unreachable"
    )
    assert inspection.inspect_switch(lab().switches["spine1"]) == Inspected(
        host="spine1", cli="unreachable", gnmi="unreachable"
    )


def test_a_lab_in_use_is_said(monkeypatch):
    def busy(names):
        raise LabError("controller", "run 1 uses leaf1")

    monkeypatch.setattr(preflight.lock, "refuse_busy", busy)
    (found,) = preflight._in_use(lab())
    assert found.severity is Severity.YELLOW
