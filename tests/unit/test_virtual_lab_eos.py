"""The CLI and the configuration tree of the simulated EOS switch, without SSH."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn
from aibench_lib.virtual_lab.cli.grammar import CliError, Ports
from aibench_lib.virtual_lab.cli.lines import Editor
from aibench_lib.virtual_lab.eos.cli import Cli
from aibench_lib.virtual_lab.eos.config import Config
from aibench_lib.virtual_lab.eos.switch import EosSwitch
from aibench_lib.virtual_lab.writes import Writes

INTERFACES = {"Ethernet1": Port("prefill01", "nic0"), "Ethernet2": Port("spine1", "ethernet-1/1")}
ECN = "random-detect ecn minimum-threshold {} maximum-threshold {} max-mark-probability {}"


def configured(*lines):
    config = Config()
    editor = Editor(config, Ports(INTERFACES))
    for line in lines:
        editor.enter(line)
    return config


@pytest.fixture
def switch():
    return EosSwitch("leaf1", INTERFACES, Writes())


@pytest.fixture
def cli(switch):
    cli = Cli(switch)
    assert cli.answer("enable") == ""
    return cli


def test_the_text_of_a_configuration_is_canonical_whatever_the_order_of_its_lines():
    one = configured(
        "interface Ethernet2", "mtu 9214", "interface et1", "qos profile B", "qos profile A", "uc-tx-queue 3"
    )
    two = configured("qos profile A", "uc-tx-queue 3", "qos profile B", "interface ethernet 1", "int Eth2", "mtu 9214")
    assert one.text() == two.text()
    blocks = [
        "qos profile A\n   uc-tx-queue 3",
        "qos profile B",
        "interface Ethernet1",
        "interface Ethernet2\n   mtu 9214",
    ]
    assert one.text() == "".join(f"{block}\n!\n" for block in blocks)


def test_a_configuration_pasted_from_its_own_text_is_the_same(switch):
    text = switch.running.text()
    assert configured(*(line for line in text.splitlines() if line != "!")).text() == text


def test_a_new_value_replaces_the_old_one_and_no_removes_it():
    assert "mtu 1500" not in configured("interface Ethernet1", "mtu 1500", "mtu 9000").text()
    assert "mtu" not in configured("interface Ethernet1", "mtu 1500", "no mtu").text()
    assert configured("qos profile A", "uc-tx-queue 3", "no qos profile A").text() == ""
    assert "shutdown" not in configured("interface Ethernet1", "shutdown", "no shutdown").text()
    assert "switchport" not in configured("interface Ethernet1", "no switchport", "switchport").text()


def test_no_random_detect_ecn_removes_the_thresholds_and_keeps_the_counting():
    ecn = ECN.format("1 kbytes", "1 kbytes", 100)
    config = configured("qos profile A", "uc-tx-queue 3", ecn, "random-detect ecn count", "no random-detect ecn")
    assert "minimum-threshold" not in config.text()
    assert "random-detect ecn count" in config.text()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("interface Ethernet3", r"% Invalid input \(at token 1: 'Ethernet3'\)"),
        ("qos profile", r"% Incomplete command \(at token 2: 'None'\)"),
        ("qos map dscp 64 to traffic-class 3", r"% Invalid input \(at token 3: '64'\)"),
        ("qos map dscp 26 to traffic-class 8", r"% Invalid input \(at token 6: '8'\)"),
        ("no nonsense", r"% Invalid input \(at token 1: 'nonsense'\)"),
    ],
)
def test_a_line_that_is_no_command_is_refused_where_it_goes_wrong(line, answer):
    with pytest.raises(CliError, match=answer):
        configured(line)


@pytest.mark.parametrize(
    ("low", "high", "percent"),
    [
        ("0 bytes", "1 bytes", 100),
        ("1 bytes", "256000001 bytes", 100),
        ("1 kbytes", "256001 kbytes", 100),
        ("2 kbytes", "1999 bytes", 100),
        ("1 bytes", "1 bytes", 0),
        ("1 bytes", "1 bytes", 101),
        ("1 cells", "1 cells", 100),
    ],
)
def test_thresholds_out_of_range_or_order_are_refused(low, high, percent):
    with pytest.raises(CliError, match="% Invalid input"):
        configured("qos profile A", "uc-tx-queue 3", ECN.format(low, high, percent))


@given(low=st.integers(1, 256_000_000), extra=st.integers(0, 1_000_000), percent=st.integers(1, 100))
def test_marking_takes_effect_where_the_profile_is_bound(low, extra, percent):
    high = min(low + extra, 256_000_000)
    lines = ("qos profile A", "uc-tx-queue 3", ECN.format(f"{low} bytes", f"{high} bytes", percent))
    assert configured(*lines).ecn("Ethernet1", 3) is None
    bound = configured(*lines, "interface Ethernet1", "service-profile A")
    expected = Ecn(kmin_bytes=low, kmax_bytes=high, pmax=percent / 100)
    assert bound.ecn("Ethernet1", 3) == ("A", expected)
    assert bound.ecn("Ethernet1", 4) is None
    assert bound.ecn("Ethernet2", 3) is None


def test_units_are_decimal():
    config = configured(
        "qos profile A", "uc-tx-queue 3", ECN.format("100 kbytes", "5 mbytes", 100),
        "interface Ethernet1", "service-profile A",
    )  # fmt: skip
    _, marking = config.ecn("Ethernet1", 3)
    assert (marking.kmin_bytes, marking.kmax_bytes) == (100_000, 5_000_000)


TOKENS = st.sampled_from(
    [
        "no", "default", "show", "running-config", "|", "section", "configure", "session", "a", "commit", "abort",
        "rollback", "clean-config", "exit", "end", "interface", "Ethernet1", "mtu", "9000", "qos", "profile",
        "uc-tx-queue", "3", "random-detect", "ecn", "count", "shutdown", "checkpoint", "save",
    ]
)  # fmt: skip


@given(st.lists(st.lists(TOKENS | st.text(max_size=4), max_size=6).map(" ".join), max_size=12))
def test_every_line_gets_an_answer_and_what_runs_stays_pastable(lines):
    switch = EosSwitch("leaf1", INTERFACES, Writes())
    cli = Cli(switch)
    for line in ["enable", "configure terminal", *lines]:
        answer = cli.answer(line)
        assert answer == "" or answer.endswith("\n")
    text = switch.running.text()
    assert configured(*(line for line in text.splitlines() if line != "!")).text() == text


def test_prompts_say_where_the_user_is(cli):
    prompts = []
    for line in [
        "conf t",
        "qos profile ROCE",
        "uc 3",
        "exit",
        "int et1",
        "end",
        "configure session longname",
        "int et1",
    ]:
        assert cli.answer(line) == ""
        prompts.append(cli.prompt)
    assert prompts == [
        "leaf1(config)#", "leaf1(config-qos-profile-ROCE)#", "leaf1(config-qos-profile-ROCE-txq-3)#",
        "leaf1(config-qos-profile-ROCE)#", "leaf1(config-if-Et1)#", "leaf1#",
        "leaf1(config-s-longna)#", "leaf1(config-s-longna-if-Et1)#",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("sh run", "show running-config"),
        ("sh ru sec qos", "show running-config section qos"),
        ("show run | section qos", "show running-config section qos"),
        ("sh int stat", "show interfaces status"),
        ("sh lldp nei", "show lldp neighbors"),
        ("wr", "write memory"),
        ("copy run start", "copy running-config startup-config"),
    ],
)
def test_usual_abbreviations_are_understood(cli, short, full):
    assert not cli.answer(short).startswith("%")
    assert cli.answer(short) == cli.answer(full)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("frobnicate", "% Invalid input (at token 0: 'frobnicate')\n"),
        ("show", "% Incomplete command (at token 1: 'None')\n"),
        ("show s", "% Ambiguous command (at token 1: 's')\n"),
        ("show running-config section (", "% Invalid regular expression"),
        ("show version | count", "% Invalid input (at token 0: 'count')\n"),
        ("configure replace checkpoint:none", "% Error copying checkpoint:none"),
        ("configure session none commit", "% Session none does not exist\n"),
    ],
)
def test_commands_that_cannot_be_done_say_why(cli, line, answer):
    assert cli.answer(line).startswith(answer)


def test_a_commit_keeps_what_others_have_changed_meanwhile(cli, switch):
    for line in ["configure session a", "interface Ethernet1", "mtu 1500"]:
        cli.answer(line)
    switch.editor().enter("qos profile OTHER")
    assert cli.answer("commit") == ""
    assert "qos profile OTHER" in switch.running.text()
    assert "mtu 1500" in switch.running.text()


def test_a_session_that_another_user_ends_is_left(cli, switch):
    cli.answer("configure session a")
    cli.answer("interface Ethernet1")
    switch.abort("a")
    assert cli.answer("mtu 1500") == "% Session a does not exist\n"
    assert cli.prompt == "leaf1#"
    assert switch.sessions == {}


def test_a_commit_that_fails_changes_nothing(switch):
    session = switch.session("a")
    session.lines += ["interface Ethernet1", "mtu 1500", "interface Ethernet9"]
    before = switch.running.text()
    with pytest.raises(CliError, match="Ethernet9"):
        switch.commit("a")
    assert switch.running.text() == before


def test_the_diff_of_a_session_is_empty_again_when_its_change_is_undone(cli):
    for line in ["configure session a", "interface Ethernet1", "mtu 1500"]:
        cli.answer(line)
    assert "-   mtu 9214" in cli.answer("show session-config diffs")
    cli.answer("mtu 9214")
    assert cli.answer("show session-config diffs") == ""


def test_a_mode_whose_line_others_have_removed_comes_back_with_the_next_line(cli, switch):
    for line in ["configure terminal", "qos profile NEW", "uc-tx-queue 3"]:
        cli.answer(line)
    switch.editor().enter("no qos profile NEW")
    assert cli.answer("random-detect ecn count") == ""
    assert "qos profile NEW\n   uc-tx-queue 3\n      random-detect ecn count\n" in switch.running.text()


def test_a_queue_is_strict_unless_it_says_otherwise():
    weighted = configured("qos profile A", "uc-tx-queue 3", "no priority", "bandwidth percent 40")
    assert "no priority\n" in weighted.text()
    strict = configured("qos profile A", "uc-tx-queue 3", "no priority", "priority strict")
    assert "priority" not in strict.text()


def test_the_hash_over_every_field_is_the_default_and_is_not_shown():
    some, every = "source-ip destination-ip", "source-ip source-port destination-ip destination-port ingress-interface"
    assert f"trident fields ip {some}\n" in configured(f"ip load-sharing trident fields ip {some}").text()
    both = [f"ip load-sharing trident fields ip {fields}" for fields in (some, every)]
    assert configured(*both).text() == ""
    with pytest.raises(CliError, match=r"Invalid input .at token 5: 'vlan'"):
        configured("ip load-sharing trident fields ip vlan")
