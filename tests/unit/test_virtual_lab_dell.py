"""The simulated Dell Enterprise SONiC switch: its shell and its command line, and what they make it do, without SSH."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.units import NS_PER_MS
from aibench_lib.virtual_lab.dell.cli import Cli
from aibench_lib.virtual_lab.dell.switch import DellSwitch
from aibench_lib.virtual_lab.writes import Writes

INTERFACES = {"Eth1/1": Port("decode01", "nic0"), "Eth1/49": Port("spine1", "ethernet-1/1")}
ADDRESSES = {"Eth1/1": "10.2.0.0/31"}
MARKER = '% Error: Invalid input detected at "^" marker.'


@pytest.fixture
def writes():
    return Writes()


@pytest.fixture
def switch(writes):
    return DellSwitch("leaf2", INTERFACES, writes, ADDRESSES)


@pytest.fixture
def cli(switch):
    cli = Cli(switch)
    assert cli.answer("sonic-cli") == ""
    return cli


def typed(cli, *lines):
    """Type lines into the configuration mode; every one is taken."""
    for line in ("configure terminal", *lines, "end"):
        assert cli.answer(line) == "", line


def refusal(cli, *lines):
    """Type lines into the configuration mode; return the answer to the last one."""
    cli.answer("configure terminal")
    answers = [cli.answer(line) for line in lines]
    assert not any(answers[:-1]), answers
    return answers[-1]


def test_prompts_say_where_the_user_is(switch):
    cli = Cli(switch)
    prompts = [cli.prompt]
    for line in [
        "sonic-cli",
        "terminal length 0",
        "configure terminal",
        "interface Eth 1/1",
        "exit",
        "qos scheduler-policy ROCE",
        "queue 3",
        "end",
        "exit",
    ]:
        assert cli.answer(line) == ""
        prompts.append(cli.prompt)
    assert prompts == [
        "admin@leaf2:~$ ", "leaf2# ", "leaf2# ", "leaf2(config)# ", "leaf2(conf-if-Eth1/1)# ", "leaf2(config)# ",
        "leaf2(conf-sched-policy-ROCE)# ", "leaf2(conf-sched-policy-ROCE-queue-3)# ", "leaf2# ", "admin@leaf2:~$ ",
    ]  # fmt: skip
    cli.answer("exit")
    assert cli.closed


def test_the_shell_knows_the_command_line_alone(switch):
    cli = Cli(switch)
    assert cli.answer("show version") == "-bash: show: command not found\n"
    assert cli.once("uptime") == "-bash: uptime: command not found\n"
    assert cli.answer("") == ""


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (["frobnicate"], f"               ^\n{MARKER}\n"),
        (["interface Eth1/9"], f"                         ^\n{MARKER}\n"),
        (["interface Eth1/1", "mtu 9217"], f"                           ^\n{MARKER}\n"),
        (["interface Eth1/1", "queue 8 wred-policy ROCE"], f"                             ^\n{MARKER}\n"),
        (["interface Eth1/1", "mtu"], "% Error: The command is not completed.\n"),
        (["qos"], "% Error: The command is not completed.\n"),
        (["interface Eth1/1", "qos-map tc"], "% Error: Ambiguous command.\n"),
        (["interface Eth1/1", "queue 3 wred-policy NONE"], "%Error: No instance found for 'NONE'\n"),
        (["interface Eth1/1", "qos-map dscp-tc NONE"], "%Error: No instance found for 'NONE'\n"),
        (["interface Eth1/1", "scheduler-policy NONE"], "%Error: No instance found for 'NONE'\n"),
        (["interface Eth1/1", "ars bind NONE"], "%Error: No instance found for 'NONE'\n"),
        (["ars bind profile NONE"], "%Error: No instance found for 'NONE'\n"),
        (["ip protocol any route-map NONE"], "%Error: No instance found for 'NONE'\n"),
        (["no qos wred-policy ROCE"], "%Error: No instance found for 'ROCE'\n"),
        (["no buffer profile ROCE"], "%Error: No instance found for 'ROCE'\n"),
        (["no buffer init lossless"], "%Error: Buffer is not initialized\n"),
        (
            ["qos wred-policy ROCE", "green minimum-threshold 200 maximum-threshold 100 drop-probability 100"],
            "%Error: minimum-threshold is larger than maximum-threshold\n",
        ),
        (
            ["buffer profile P egress_lossy_pool 0 dynamic-threshold 0 pause pause-threshold 50000"],
            "%Error: pause-threshold is for ingress_lossless_pool\n",
        ),
    ],
)
def test_what_cannot_be_is_refused_as_the_switch_words_it_and_changes_nothing(cli, switch, lines, answer):
    before = switch.running_text()
    assert refusal(cli, *lines) == answer
    assert switch.running_text() == before


@pytest.mark.parametrize(
    "line",
    [
        "priority-flow-control watchdog on detect-time 99",
        "priority-flow-control watchdog on detect-time 5001",
        "priority-flow-control watchdog restore-time 60001",
        "priority-flow-control watchdog action errdisable",
        "priority-flow-control priority 8",
        "cable-length 10m",
        "no queue 3 wred-policy ROCE",
        "no mtu 9214",
        "no qos-map dscp-tc ROCE",
        "no priority-flow-control watchdog action drop",
    ],
)
def test_an_interface_takes_the_documented_ranges_and_words_alone(cli, line):
    assert refusal(cli, "interface Eth1/1", line).endswith(f"{MARKER}\n")


@pytest.mark.parametrize(
    "line",
    [
        "buffer profile P ingress_lossless_pool 0 dynamic-threshold 4",
        "buffer profile P ingress_lossless_pool 0 dynamic-threshold -7",
        "buffer profile P ingress_lossless_pool 0 static-threshold 1 pause pause-threshold 46079",
        "buffer profile P my_pool 0 static-threshold 1",
        "ip load-share hash ipv4 ipv4-ttl",
        "ars object o mode flowlet",
    ],
)
def test_the_switch_takes_the_documented_ranges_and_words_alone(cli, line):
    assert refusal(cli, line).endswith(f"{MARKER}\n")


def test_no_more_than_two_priorities_of_a_port_are_lossless(cli):
    typed(cli, "interface Eth1/1", "priority-flow-control priority 3", "priority-flow-control priority 4")
    answer = refusal(cli, "interface Eth1/1", "priority-flow-control priority 5")
    assert answer == "%Error: Maximum of 2 PFC priorities supported\n"


def test_a_line_takes_effect_when_it_is_typed_and_is_noted(cli, switch, writes):
    typed(cli, "interface Eth1/1", "shutdown")
    assert switch.is_shut("Eth1/1")
    assert " shutdown\n" in cli.answer("show running-configuration interface Eth1/1")
    typed(cli, "interface Eth1/1", "no shutdown")
    assert not switch.is_shut("Eth1/1")
    assert " no shutdown\n" in cli.answer("show running-configuration interface Eth1/1")
    assert writes.all()[:2] == [("leaf2", "interface Eth1/1"), ("leaf2", "shutdown")]


def test_the_configuration_is_saved_for_the_next_start(cli, switch):
    typed(cli, "interface Eth1/1", "mtu 1500")
    assert switch.startup.text() != switch.running_text()
    assert cli.answer("write memory") == ""
    assert switch.startup.text() == switch.running_text()


def test_a_configuration_typed_from_its_own_text_is_the_same(cli, switch):
    before = switch.running_text()
    typed(cli, *(line for line in before.splitlines() if line != "!"))
    assert switch.running_text() == before


def test_a_list_of_code_points_is_one_line_each(cli, switch):
    typed(cli, "qos map dscp-tc ROCE", "dscp 24,30-31 traffic-class 3", "no dscp 26")
    lines = [line.strip() for line in switch.running_text().splitlines() if line.startswith(" dscp ")]
    assert lines == [f"dscp {point} traffic-class {3 if point < 48 else 6}" for point in (24, 30, 31, 48)]


@pytest.mark.parametrize("points", ["0-64", "24,", "-", "24-", "5-3"])
def test_what_is_no_list_of_code_points_is_refused(cli, points):
    assert "Error" in refusal(cli, "qos map dscp-tc ROCE", f"dscp {points} traffic-class 3")


def test_marking_takes_effect_in_thousands_of_bytes_where_the_policy_is_bound(cli, switch):
    assert switch.ecn("Eth1/1", 3) is None
    typed(
        cli,
        "qos wred-policy ROCE",
        "green minimum-threshold 100 maximum-threshold 200 drop-probability 20",
        "ecn green",
    )
    assert switch.ecn("Eth1/1", 3) == Ecn(kmin_bytes=100_000, kmax_bytes=200_000, pmax=0.2)
    assert switch.ecn("Eth1/1", 4) is None
    typed(cli, "interface Eth1/1", "no queue 3 wred-policy")
    assert switch.ecn("Eth1/1", 3) is None
    typed(cli, "qos wred-policy ROCE", "no ecn")
    assert switch.ecn("Eth1/49", 3) is None


def test_a_lossless_priority_pauses_as_the_profile_of_its_group_says(cli, switch):
    assert switch.pfc("Eth1/1", 3) is None
    typed(cli, "interface Eth1/1", "priority-flow-control priority 3")
    assert switch.pfc("Eth1/1", 3) == Pfc(alpha=0.125, xon_offset_bytes=2288, reserved_bytes=0)
    typed(cli, "buffer profile ROCE ingress_lossless_pool 1000 static-threshold 99000 pause pause-threshold 50000")
    assert switch.pfc("Eth1/1", 3) == Pfc(
        xoff_bytes=100_000, xon_offset_bytes=2288, headroom_bytes=50_000, reserved_bytes=1000
    )
    typed(cli, "interface Eth1/1", "no buffer priority-group 3")
    assert switch.pfc("Eth1/1", 3) == Pfc(alpha=0.125, xon_offset_bytes=2288)
    assert switch.pfc("Eth1/49", 3) is None


def test_the_watchdog_acts_after_its_times_and_off_forgets_them(cli, switch):
    assert switch.watchdog("Eth1/1") is None
    typed(cli, "interface Eth1/1", "priority-flow-control watchdog on detect-time 200")
    assert switch.watchdog("Eth1/1") == PfcWatchdog(200 * NS_PER_MS, 400 * NS_PER_MS, "drop")
    typed(cli, "interface Eth1/1", "priority-flow-control watchdog restore-time 1000")
    typed(cli, "interface Eth1/1", "priority-flow-control watchdog action forward")
    assert switch.watchdog("Eth1/1") == PfcWatchdog(200 * NS_PER_MS, 1000 * NS_PER_MS, "forward")
    typed(cli, "interface Eth1/1", "priority-flow-control watchdog action alert")
    assert switch.watchdog("Eth1/1") is None
    typed(cli, "interface Eth1/1", "priority-flow-control watchdog off")
    assert "watchdog" not in switch.running_text()


@pytest.mark.parametrize(
    ("mode", "balancing"),
    [
        ("flowlet-random", LoadBalancing(mode="flowlet", flowlet_gap_ns=50_000)),
        ("flowlet-quality", LoadBalancing(mode="flowlet", flowlet_gap_ns=50_000)),
        ("packet-random", LoadBalancing(mode="packet_spray", flowlet_gap_ns=50_000)),
        ("packet-quality", LoadBalancing(mode="least_queue", flowlet_gap_ns=50_000)),
    ],
)
def test_routes_are_balanced_as_the_object_says_that_they_are_given(cli, switch, mode, balancing):
    assert switch.load_balancing() == LoadBalancing()
    typed(cli, "ars profile p", "ars object o", f"mode {mode}", "idle-time 50", "ars bind profile p")
    typed(cli, "route-map M permit 10", "set ars-object o")
    assert switch.load_balancing() == LoadBalancing()
    typed(cli, "ip protocol any route-map M")
    assert switch.load_balancing() == balancing
    typed(cli, "no ip protocol any route-map")
    assert switch.load_balancing() == LoadBalancing()


def test_addresses_and_static_routes_are_what_is_configured(cli, switch):
    assert {name: str(address) for name, address in switch.addresses().items()} == ADDRESSES
    typed(cli, "ip route 10.1.0.1/32 10.2.0.1 interface Eth1/1", "ip route 10.1.0.2/32 10.2.0.1")
    routes = [(str(route.prefix), str(route.next_hop), route.interface) for route in switch.static_routes()]
    assert routes == [("10.1.0.1/32", "10.2.0.1", "Eth1/1"), ("10.1.0.2/32", "10.2.0.1", None)]


@pytest.mark.parametrize(
    ("command", "start"),
    [
        ("show version", "Software Version  : "),
        ("show interface status | no-more", "-----"),
        ("show running-configuration | no-more", "!\ninterface-naming standard\n!\nhostname leaf2\n!\n"),
        ("show clock", ""),
        ("clear counters interface all", ""),
        ("clear queue counters", ""),
    ],
)
def test_usual_commands_are_answered(cli, command, start):
    answer = cli.answer(command)
    assert answer.startswith(start)
    assert "Error" not in answer


WORDS = """
no interface Eth1/1 Eth 1/49 qos map dscp-tc ROCE wred-policy scheduler-policy queue 3 type dwrr weight 50 green ecn
minimum-threshold 100 maximum-threshold drop-probability buffer profile pool init lossless priority-flow-control | ,
priority watchdog on off detect-time 200 action drop ars object o profile bind mode packet-random ip route-map M permit
10 set ars-object protocol any shutdown mtu exit end configure terminal no-more dscp 24,26-28 0-99999999999 -
"""
TOKENS = st.sampled_from(WORDS.split())


@given(st.lists(st.lists(TOKENS | st.text(max_size=4), max_size=7).map(" ".join), max_size=12))
def test_every_line_gets_an_answer_and_what_runs_can_stand(lines):
    switch = DellSwitch("leaf2", INTERFACES, Writes(), ADDRESSES)
    cli = Cli(switch)
    for line in ["sonic-cli", "configure terminal", *lines]:
        answer = cli.answer(line)
        assert answer == "" or answer.endswith("\n")
        assert switch.running.conflict() is None
