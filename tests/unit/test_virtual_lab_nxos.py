"""The CLI and the configuration of the simulated NX-OS switch, without SSH."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.model import Port
from aibench_lib.platforms import load_platform
from aibench_lib.simulator import Ecn, Pfc, PfcWatchdog
from aibench_lib.switch.facts import ask
from aibench_lib.switch.indented import lines_within, values_in
from aibench_lib.switch.setting import parse_setting
from aibench_lib.switch.target import Target
from aibench_lib.virtual_lab.nxos.cli import Cli
from aibench_lib.virtual_lab.nxos.commands import dscp_set, dscp_text
from aibench_lib.virtual_lab.nxos.switch import NxosSwitch
from aibench_lib.virtual_lab.writes import Writes

NEIGHBOURS = {"Ethernet1/1": Port("prefill01", "nic0"), "Ethernet1/2": Port("spine1", "Ethernet1/1")}
ADDRESSES = {"Ethernet1/1": "10.1.0.0/31"}
QUEUE = ("policy-map type queuing QUEUING-OUT", "class type queuing c-out-8q-q3")
INPUT = ("policy-map type queuing QUEUING-IN", "class type queuing c-in-q3")
NETWORK = ("policy-map type network-qos NETWORK", "class type network-qos c-8q-nq3")
MARK = "random-detect minimum-threshold {} maximum-threshold {} drop-probability {} weight 0 ecn"
INVALID, INCOMPLETE = "% Invalid command at '^' marker.\n", "% Incomplete command at '^' marker.\n"


class Clock:
    def __init__(self):
        self.seconds = 0.0

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
    return NxosSwitch("leaf2", NEIGHBOURS, writes, ADDRESSES, now=clock)


@pytest.fixture
def cli(switch):
    return Cli(switch)


def say(cli, *lines):
    """Type lines that must all be taken; return the last answer."""
    answer = ""
    for line in lines:
        answer = cli.answer(line)
        assert not re.search(r"^% |^ERROR|^Failed", answer, re.MULTILINE), f"{line}: {answer}"
    return answer


def configured(cli, *lines):
    say(cli, "configure dual-stage", *lines, "commit", "end")


def test_the_session_is_prepared_as_netmiko_does_it(cli):
    assert cli.prompt == "leaf2# "
    assert cli.answer("terminal width 511") == ""
    assert cli.answer("terminal length 0") == ""


def test_prompts_say_where_the_user_is(cli):
    prompts = []
    for line in ["conf t", "int e1/1", "exit", "system qos", *QUEUE, *NETWORK, "class-map type qos match-any ROCE"]:
        say(cli, line)
        prompts.append(cli.prompt.removeprefix("leaf2"))
    assert prompts == [
        "(config)# ", "(config-if)# ", "(config)# ", "(config-sys-qos)# ", "(config-pmap-que)# ",
        "(config-pmap-c-que)# ", "(config-pmap-nqos)# ", "(config-pmap-nqos-c)# ", "(config-cmap-qos)# ",
    ]  # fmt: skip
    say(cli, "end", "configure dual-stage")
    assert cli.prompt == "leaf2(config-dual-stage)# "
    say(cli, "interface ethernet 1/2")
    assert cli.prompt == "leaf2(config-dual-stage-if)# "
    say(cli, "abort")
    assert cli.prompt == "leaf2# "


def test_the_running_configuration_is_indented_and_a_difference_of_two_reads_is_in_comments(cli):
    text = cli.answer("show running-config")
    assert "policy-map type queuing QUEUING-OUT\n  class type queuing c-out-8q-q3\n    bandwidth remaining" in text
    assert "\ninterface Ethernet1/1\n  description prefill01 nic0\n  no switchport\n" in text
    patterns = load_platform("cisco_nxos").cli.not_config
    kept = [line for line in text.splitlines() if not any(re.search(pattern, line) for pattern in patterns)]
    assert not any("Command" in line or "Time" in line or "version" in line for line in kept)


@pytest.mark.parametrize(
    ("lines", "answer", "column"),
    [
        (("frobnicate",), INVALID, 0),
        (("show",), INCOMPLETE, 5),
        (("conf t", "interface Ethernet1/3"), INVALID, 10),
        (("conf t", "interface"), INCOMPLETE, 10),
        (("conf t", "interface e1/1", "mtu 9217"), INVALID, 4),
        (("conf t", "hostname"), INCOMPLETE, 9),
        (("conf t", "ip load-sharing address source-destination foo",), None, None),
        (("conf t", "class-map type qos match-any ROCE", "match dscp 64"), None, None),
        (("conf t", *QUEUE, MARK.format("1 cells", "1 cells", 1)), INVALID, 34),
        (("conf t", *QUEUE, MARK.format("52428801 bytes", "52428801 bytes", 1)), INVALID, 32),
        (("conf t", *QUEUE, MARK.format("1 bytes", "1 bytes", 101)), INVALID, 83),
        (("conf t", *INPUT, "pause buffer-size 4999 pause-threshold 1 resume-threshold 1"), INVALID, 18),
        (("conf t", "priority-flow-control watch-dog interval 99"), INVALID, 41),
        (("conf t", "priority-flow-control watch-dog shutdown-multiplier 11"), INVALID, 52),
        (("conf t", *NETWORK, "pause pfc-cos 8"), INVALID, 14),
        (("conf t", "policy-map type queuing X", "class type queuing my-class"), INVALID, 19),
        (("configure dual-stage", "commit confirmed 29"), INVALID, 17),
    ],
)  # fmt: skip
def test_a_line_that_is_no_command_is_refused_where_it_goes_wrong(cli, lines, answer, column):
    say(cli, *lines[:-1])
    prompt = cli.prompt
    refusal = cli.answer(lines[-1])
    if answer is None:
        assert refusal == INVALID
    else:
        assert refusal == f"{' ' * (len(prompt) + column)}^\n{answer}"


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        ((*QUEUE, MARK.format("2 kbytes", "1999 bytes", 1)), "ERROR: Minimum threshold is greater than"),
        ((*QUEUE, MARK.format("2 packets", "1 packets", 1)), "ERROR: Minimum threshold is greater than"),
        ((*QUEUE, MARK.format("1 packets", "1 bytes", 1)), "ERROR: Minimum and maximum threshold must both be"),
        ((*INPUT, "pause buffer-size 20000 pause-threshold 20001 resume-threshold 1"), "ERROR: Pause buffer-size"),
        ((*INPUT, "pause buffer-size 20000 pause-threshold 10000 resume-threshold 10001"), "ERROR: Pause buffer-size"),
        ((*QUEUE, "priority level 2"), "ERROR: priority and bandwidth cannot both"),
        ((*QUEUE, "no bandwidth remaining percent", "priority level 1"), "ERROR: priority level 1 is already"),
        ((*QUEUE, "bandwidth remaining percent 51"), "ERROR: Total bandwidth remaining of QUEUING-OUT exceeds"),
        (("policy-map type qos QOS-IN", "class NONE"), "ERROR: Class map NONE does not exist"),
        (("system qos", "service-policy type queuing output NONE"), "ERROR: Policy map NONE of type queuing does not"),
        (("system qos", "service-policy type network-qos QUEUING-IN"), "ERROR: Policy map QUEUING-IN of type network-"),
        (("interface e1/1", "service-policy type qos input NONE"), "ERROR: Policy map NONE of type qos does not"),
        (("no policy-map type queuing QUEUING-OUT",), "ERROR: Policy map QUEUING-OUT of type queuing does not"),
        (("no class-map type qos match-any ROCE",), "ERROR: Class map ROCE does not exist"),
    ],
)
def test_what_cannot_stand_is_refused_at_once_or_by_the_commit_and_changes_nothing(switch, cli, lines, answer):
    say(cli, "configure terminal", *lines[:-1])
    before = switch.running_text()
    assert cli.answer(lines[-1]).startswith(answer)
    assert switch.running_text() == before
    say(cli, "end")

    fresh = NxosSwitch("leaf2", NEIGHBOURS, Writes(), ADDRESSES)
    staged = Cli(fresh)
    before = fresh.running_text()
    answers = [staged.answer(line) for line in ("configure dual-stage", "hostname other", *lines, "commit")]
    assert any(answer.removeprefix("ERROR: ")[:20] in one for one in answers)
    if "Failed" in answers[-1]:
        assert answers[-1].endswith("commit verification failed\n")
        assert fresh.running_text() == before


def test_what_is_staged_runs_with_the_commit_and_not_before(switch, cli):
    before = switch.running_text()
    say(cli, "configure dual-stage", *QUEUE, MARK.format("1 bytes", "2 bytes", 3))
    assert switch.running_text() == before
    assert "random-detect" in cli.answer("show configuration")
    answer = say(cli, "commit")
    assert answer.startswith("Verification Succeeded.\n")
    assert "Configuration committed by user 'admin' using Commit ID : 1000000001\n" in answer
    assert "random-detect" in switch.running_text()


@pytest.mark.parametrize("leave", ["abort", "end"])
def test_what_is_staged_and_not_committed_is_forgotten(switch, cli, leave):
    before = switch.running_text()
    say(cli, "configure dual-stage", "hostname other", leave)
    assert cli.prompt == "leaf2# "
    assert switch.running_text() == before


def test_a_commit_does_the_lines_again_on_what_runs_by_then(switch, cli):
    say(cli, "configure dual-stage", "interface e1/1", "mtu 1500")
    configured(Cli(switch), "interface e1/1", "description somebody else")
    say(cli, "exit", "ip route 10.9.0.0/16 10.1.0.1", "commit")
    block = switch.running_text().partition("interface Ethernet1/1\n")[2]
    assert block.startswith("  description somebody else\n")
    assert "  mtu 1500\n" in block
    assert "ip route 10.9.0.0/16 10.1.0.1\n" in switch.running_text()


def test_a_commit_for_a_time_is_taken_back_when_the_time_is_over(switch, cli, clock):
    before = switch.running_text()
    say(cli, "configure dual-stage", "hostname other", "commit confirmed 30", "end")
    clock.seconds = 29.9
    assert cli.prompt == "other# "
    clock.seconds = 30
    assert cli.prompt == "leaf2# "
    assert switch.running_text() == before
    say(cli, "configure dual-stage", "commit", "end")
    assert switch.running_text() == before


def test_a_second_commit_keeps_the_first(switch, cli, clock):
    say(cli, "configure dual-stage", "hostname other", "commit confirmed 30", "end")
    assert say(Cli(switch), "configure dual-stage", "commit") == ""
    clock.seconds = 31
    assert switch.running.hostname == "other"


def test_a_checkpoint_comes_back_and_says_so(switch, cli):
    before = switch.running_text()
    assert cli.answer("checkpoint mine") == "...Done\n"
    configured(cli, "hostname other")
    answer = cli.answer("rollback running-config checkpoint mine atomic")
    assert answer.startswith("ADVISORY: Rollback operation started...\n")
    assert "\nCollecting Running-Config\n" in answer
    assert answer.endswith("\nRollback completed successfully.\n\n")
    assert switch.running_text() == before
    assert cli.answer("no checkpoint mine") == ""
    assert cli.answer("no checkpoint mine").startswith("ERROR: ")
    assert cli.answer("rollback running-config checkpoint mine").startswith("ERROR: ")


def test_there_is_room_for_ten_checkpoints_and_their_names_are_unique(switch, cli):
    say(cli, *(f"checkpoint c{number}" for number in range(10)))
    assert cli.answer("checkpoint c10") == "ERROR: Maximum number of checkpoints (10) reached\n"
    switch.max_checkpoints = 11
    assert cli.answer("checkpoint c0") == "ERROR: Checkpoint c0 already exists\n"
    say(cli, "checkpoint c10")
    assert list(switch.checkpoints) == [f"c{number}" for number in range(11)]


def test_the_summary_of_checkpoints_is_read_and_those_of_the_system_are_left_out(cli):
    say(cli, "checkpoint one", "checkpoint two")
    text = cli.answer("show checkpoint summary") + (
        "System Checkpoint Summary\n-----\n3) system-fm-lldp:\nCreated by admin\nDescription: Feature Manager.\n"
    )
    name = load_platform("cisco_nxos").cli.checkpoint.name
    assert [found["name"] for line in text.splitlines() if (found := re.search(name, line))] == ["one", "two"]


def test_every_write_is_noted_refused_ones_too(cli, writes):
    cli.answer("checkpoint a")
    cli.answer("conf t")
    cli.answer("interface e1/1")
    cli.answer("mtu 1")
    assert [what for _, what in writes.all()] == ["checkpoint a", "interface e1/1", "mtu 1"]


def test_a_default_is_not_shown(switch, cli):
    before = switch.running_text()
    configured(
        cli,
        "priority-flow-control watch-dog interval 200",
        "priority-flow-control watch-dog interval 100",
        "priority-flow-control watch-dog shutdown-multiplier 1",
        "priority-flow-control watch-dog-interval off",
        "ip load-sharing address source-destination",
        "ip load-sharing address source-destination port source-destination",
    )
    assert switch.running_text() == before


def test_a_routed_port_is_down_unless_it_is_told(switch, cli):
    assert not switch.is_shut("Ethernet1/1")
    configured(cli, "interface e1/1", "shutdown")
    assert switch.is_shut("Ethernet1/1")
    assert "no shutdown" not in switch.running_text().partition("Ethernet1/1\n")[2].partition("\n\n")[0]
    configured(cli, "interface e1/1", "no shutdown")
    assert not switch.is_shut("Ethernet1/1")


def test_code_points_of_a_class_are_one_list_that_grows_and_shrinks(switch, cli):
    configured(cli, "class-map type qos match-any ROCE", "match dscp 24,27-28")
    assert "  match dscp 24,26-28\n" in switch.running_text()
    configured(cli, "class-map type qos match-any ROCE", "no match dscp 24-27")
    assert "  match dscp 28\n" in switch.running_text()
    configured(cli, "class-map type qos match-any ROCE", "no match dscp 0-63", "match dscp 30")
    assert "  match dscp 30\n" in switch.running_text()


@given(st.frozensets(st.integers(0, 63), min_size=1))
def test_a_list_of_code_points_reads_as_it_was_written(codes):
    assert dscp_set(dscp_text(codes)) == codes


@pytest.mark.parametrize(("unit", "factor"), [("bytes", 1), ("kbytes", 1000), ("mbytes", 1_000_000)])
def test_marking_takes_effect_in_the_policy_that_is_in_use(switch, cli, unit, factor):
    assert switch.ecn("Ethernet1/1", 3) is None
    configured(cli, *QUEUE, MARK.format(f"2 {unit}", f"3 {unit}", 50))
    assert switch.ecn("Ethernet1/1", 3) == Ecn(kmin_bytes=2 * factor, kmax_bytes=3 * factor, pmax=0.5)
    assert switch.ecn("Ethernet1/1", 4) is None
    configured(cli, *QUEUE, MARK.format(f"2 {unit}", f"3 {unit}", 50).removesuffix(" ecn"))
    assert switch.ecn("Ethernet1/1", 3) is None
    configured(
        cli, *QUEUE, MARK.format("2 bytes", "3 bytes", 50), "system qos", "no service-policy type queuing output"
    )
    assert switch.ecn("Ethernet1/1", 3) is None


def test_a_priority_is_lossless_where_the_network_policy_pauses_it_and_the_port_is_on(switch, cli):
    configured(cli, *(line for port in NEIGHBOURS for line in (f"interface {port}", "priority-flow-control mode on")))
    assert switch.pfc("Ethernet1/1", 3) is None
    configured(cli, *NETWORK, "pause pfc-cos 3")
    assert switch.pfc("Ethernet1/1", 3) == Pfc(xoff_bytes=46_800, xon_offset_bytes=12_480, headroom_bytes=55_120)
    assert switch.pfc("Ethernet1/1", 4) is None
    configured(cli, *INPUT, "pause buffer-size 200000 pause-threshold 100000 resume-threshold 75000")
    assert switch.pfc("Ethernet1/1", 3) == Pfc(xoff_bytes=100_000, xon_offset_bytes=25_000, headroom_bytes=100_000)
    configured(cli, "interface e1/1", "priority-flow-control mode auto")
    assert switch.pfc("Ethernet1/1", 3) is None
    assert switch.pfc("Ethernet1/2", 3) is not None


def test_the_watchdog_needs_the_switch_and_the_port_and_counts_in_intervals(switch, cli):
    assert switch.watchdog("Ethernet1/1") is None
    configured(cli, "priority-flow-control watch-dog-interval on")
    assert switch.watchdog("Ethernet1/1") is None
    configured(cli, "interface e1/1", "priority-flow-control watch-dog-interval on")
    default = PfcWatchdog(detection_ns=100_000_000, restoration_ns=1_000_000_000, action="drop")
    assert switch.watchdog("Ethernet1/1") == default
    configured(
        cli,
        "priority-flow-control watch-dog interval 200",
        "priority-flow-control watch-dog shutdown-multiplier 3",
        "priority-flow-control auto-restore multiplier 0",
        "priority-flow-control fixed-restore multiplier 5",
    )
    told = PfcWatchdog(detection_ns=600_000_000, restoration_ns=1_000_000_000, action="drop")
    assert switch.watchdog("Ethernet1/1") == told
    configured(cli, "interface e1/1", "no priority-flow-control watch-dog-interval")
    assert switch.watchdog("Ethernet1/1") is None


def test_addresses_and_static_routes_are_what_is_configured(switch, cli):
    assert {name: str(address) for name, address in switch.addresses().items()} == ADDRESSES
    configured(cli, "ip route 10.9.0.1/32 Ethernet1/2 10.2.0.1")
    (route,) = switch.static_routes()
    assert (str(route.prefix), str(route.next_hop), route.interface) == ("10.9.0.1/32", "10.2.0.1", "Ethernet1/2")
    assert switch.load_balancing().mode == "ecmp"


def test_the_switch_says_that_it_is_simulated(cli):
    version = cli.answer("show version")
    assert "NXOS: version " in version
    assert version.count("simulated") >= 3


def test_a_configuration_pasted_from_its_own_text_is_the_same(switch):
    other = NxosSwitch("x", {}, Writes())
    other.ports = switch.ports
    other.running.replace_by(other.running.empty())
    configured(Cli(other), *switch.running_text().splitlines())
    assert other.running_text() == switch.running_text()


TOKENS = st.sampled_from(
    [
        "no", "show", "running-config", "|", "include", "configure", "terminal", "dual-stage", "commit", "confirmed",
        "30", "abort", "exit", "end", "interface", "e1/1", "mtu", "9000", "policy-map", "type", "queuing", "class",
        "c-in-q3", "class-map", "qos", "match-any", "A", "match", "dscp", "26", "system", "shutdown", "checkpoint",
        "rollback",
    ]
)  # fmt: skip


@given(st.lists(st.lists(TOKENS | st.text(max_size=4), max_size=6).map(" ".join), max_size=12))
def test_every_line_gets_an_answer_and_what_runs_stays_whole(lines):
    switch = NxosSwitch("leaf2", NEIGHBOURS, Writes(), ADDRESSES)
    cli = Cli(switch)
    for line in ["configure dual-stage", *lines]:
        answer = cli.answer(line)
        assert answer == "" or answer.endswith("\n")
    assert switch.running.conflict() is None


SHOWN = {
    "show version": """\
Software
  BIOS: version 05.47
  NXOS: version 10.3(8) [Maintenance Release]
  Host NXOS: version 10.3(8)
  NXOS image file is: bootflash:///nxos64-cs.10.3.8.M.bin

Hardware
  cisco Nexus9000 C93180YC-EX chassis
  Intel(R) Xeon(R) CPU D-1528 @ 1.90GHz with 24632480 kB of memory.
  Device name: leaf2
""",
    "show clock": "11:43:28.123 UTC Tue Nov 24 2026\nTime source is NTP\n",
    "show interface": """\
mgmt0 is up
admin state is up,
  MTU 1500 bytes, BW 1000000 Kbit , DLY 10 usec
  full-duplex, 1000 Mb/s
Ethernet1/45 is up
admin state is up, Dedicated Interface
  Hardware: 100/1000/10000/40000 Ethernet, address: 4874.1016.a8c1 (bia 4874.1016.a8b4)
  Internet Address is 192.168.110.9/31
  MTU 9216 bytes, BW 100000000 Kbit , DLY 10 usec
  full-duplex, 100 Gb/s, media type is 100G
Ethernet1/46 is down (Administratively down)
admin state is down, Dedicated Interface
  MTU 1500 bytes, BW 100000000 Kbit , DLY 10 usec
  auto-duplex, auto-speed
Ethernet1/47 is down (Link not connected)
admin state is up, Dedicated Interface
""",
    "show lldp neighbors": """\
Capability codes:
  (R) Router, (B) Bridge, (T) Telephone, (C) DOCSIS Cable Device
Device ID            Local Intf      Hold-time  Capability  Port ID
spine1               Eth1/45         120        BR          Ethernet1/1
gpu7                 Eth1/47         121                    0c42.a1f2.0001
Total entries displayed: 2
""",
}


class Transcript:
    def show(self, command):
        return SHOWN[command]


TARGET = Target(
    host="leaf2", address="192.0.2.1", platform="cisco_nxos", username="admin", password="secret", options={}
)


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ("hostname leaf2", "ecmp"),
        ("hardware profile dlb\n  dlb-interface all", "flowlet"),
        ("hardware profile dlb\n  dlb-interface all\n  mode flowlet", "flowlet"),
        ("hardware profile dlb\n  mode per-packet", "packet_spray"),
        ("hardware profile dlb\n  mode policy-driven per-packet", "packet_spray"),
        ("hardware profile dlb\n  mode something-new", None),
    ],
)
def test_dynamic_load_balancing_of_the_operator_is_seen(config, mode):
    setting = parse_setting(TARGET, "load_balancing", {"load_balancing": "ecmp"})
    found = {}
    for block in setting.facts.read_back.blocks:
        found |= values_in(lines_within(config, block.within), block.lines)
    assert setting.understood("load_balancing", found.get("load_balancing")) == mode


def test_the_facts_are_read_from_what_products_print():
    facts = ask(Transcript(), TARGET)
    assert (facts.model, facts.software) == ("Nexus9000 C93180YC-EX", "10.3(8) [Maintenance Release]")
    assert facts.clock == "2026-11-24T11:43:28Z"
    up, shut, dark = (facts.interfaces[f"Ethernet1/{number}"] for number in (45, 46, 47))
    assert (up.oper, up.admin, up.speed_bps, up.mtu) == ("up", "up", 100_000_000_000, 9216)
    assert (up.address, up.neighbour, up.neighbour_port) == ("192.168.110.9/31", "spine1", "Ethernet1/1")
    assert (shut.oper, shut.admin, shut.address) == ("down", "down", None)
    assert (dark.oper, dark.admin, dark.neighbour, dark.neighbour_port) == ("down", "up", "gpu7", "0c42.a1f2.0001")
