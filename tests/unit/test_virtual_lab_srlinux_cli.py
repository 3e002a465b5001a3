"""The command line of the simulated SR Linux switch, without SSH."""

import gc

import pytest

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, Pfc
from aibench_lib.virtual_lab.gnmi.paths import parse
from aibench_lib.virtual_lab.srlinux.config import ConfigError
from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch
from aibench_lib.virtual_lab.writes import Writes

PORT = "ethernet-1/1"
SLOPE = (
    "/ qos buffer-management queue-management-profile rocev2 wred wred-slope all drop-probability all enable-ecn true"
)
SHUT = f"set / interface {PORT} admin-state disable"


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def switch(clock):
    neighbours = {PORT: Port("leaf1", "Ethernet49"), "ethernet-1/2": Port("leaf2", "Ethernet49")}
    return SrlinuxSwitch("spine1", neighbours, Writes(), {PORT: "10.2.0.1/31"}, clock)


@pytest.fixture
def cli(switch):
    return switch.conversation()


def typed(cli, *lines):
    """Type lines and return what they answer, together."""
    return "".join(cli.answer(line) for line in lines)


def changed(cli, *lines):
    """Commit lines, which are accepted."""
    said = typed(cli, "enter candidate private name t", *lines, "commit now")
    assert said == "All changes have been committed. Leaving candidate mode.\n"


def test_the_prompt_says_mode_and_what_is_uncommitted_or_unsaved(cli):
    assert cli.prompt == "\n--{ running }--[  ]--\nA:spine1# "
    typed(cli, "enter candidate private name x")
    assert "--{ candidate private x }--[  ]--" in cli.prompt
    typed(cli, SHUT)
    assert "--{ * candidate private x }--[  ]--" in cli.prompt
    typed(cli, "commit now")
    assert "--{ + running }--[  ]--" in cli.prompt
    typed(cli, "save startup")
    assert "--{ running }--" in cli.prompt


def test_what_netmiko_prepares_a_session_with_is_accepted(cli):
    assert typed(cli, "environment complete-on-space false", "environment cli-engine type basic") == ""


def test_the_running_configuration_is_lines_that_can_be_typed_again(switch, cli):
    text = cli.answer("info flat from running /")
    assert text == switch.running_text()
    other = SrlinuxSwitch("spine1", switch.neighbours)
    typing = other.conversation()
    assert typed(typing, "enter candidate", "delete /", *text.splitlines()) == ""
    typed(typing, "commit now")
    assert other.running.leaves == switch.running.leaves


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"set {SLOPE} min-threshold 100000", f"set {SLOPE} min-threshold 100000"),
        ("set / qos pfc-mapping-profile P", "set / qos pfc-mapping-profile P"),
        ("set /qos queues pfc-queue pfc3 queue-index 3", "set / qos queues pfc-queue pfc3 queue-index 3"),
        (
            f'set / interface {PORT} description "to leaf 1"',
            f'set / interface {PORT} description "to leaf 1"',
        ),
        (
            "set / system grpc-server mgmt services [ gnmi gnoi ]",
            "set / system grpc-server mgmt services [ gnmi gnoi ]",
        ),
        (
            f"set / qos interfaces interface {PORT} pfc pfc-enable true pfc-mapping-profile P",
            f"set / qos interfaces interface {PORT} pfc pfc-mapping-profile P",
        ),
    ],
)
def test_a_line_reads_as_it_was_typed(cli, line, shown):
    assert typed(cli, "enter candidate", line) == ""
    assert shown in cli.answer("info flat from candidate /").splitlines()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("set / qos colour red", "Parsing error: Unknown token 'colour'. Options are ['buffer-management', "),
        (f"set / interface {PORT} mtu 100", "Error: Invalid value '100' for '/interface[name=ethernet-1/1]/mtu'"),
        (f"set / interface {PORT} admin-state down", "Error: Invalid value 'down' for"),
        ("set / interface ethernet-9/9 admin-state enable", "there is no interface 'ethernet-9/9'"),
        (f"set {SLOPE} max-drop-probability-percent 101", "expected a number in 0..100"),
        ("set / qos queues pfc-queue", "Error: Missing value for key 'pfc-queue-name'"),
        ("set / qos queues pfc-queue pfc3 queue-index", "Error: Missing value for 'queue-index'"),
        ("delete / qos pfc-mapping-profile none", "does not specify any existing objects"),
        (f"delete / interface {PORT} mtu 9412", "Parsing error: Unknown token '9412'"),
        ("commit later", "Parsing error: Unknown token 'later'. Options are ['confirmed', 'now', "),
        ("discard later", "Parsing error: Unknown token 'later'"),
        ("enter exec", "Parsing error: Unknown token 'exec'"),
        ("info from nowhere /", "Parsing error: Unknown token 'nowhere'"),
        ("show bgp", "Parsing error: Unknown token 'bgp'"),
        ("tools system reboot", "Parsing error: Unknown token 'reboot'"),
        ("load checkpoint name none", "Error: Checkpoint 'none' does not exist"),
        ('set / interface ethernet-1/1 description "open', "Parsing error: No closing quotation"),
    ],
)
def test_what_the_models_and_the_command_line_do_not_know_is_refused(cli, line, answer):
    typed(cli, "enter candidate")
    assert answer in cli.answer(line)


def test_nothing_is_set_outside_a_candidate(cli):
    assert cli.answer(SHUT).startswith("Parsing error: Unknown token 'set'. Options are ")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([f"set / qos interfaces interface {PORT} pfc pfc-mapping-profile none"], "no pfc-mapping-profile with name"),
        (["set / qos queues pfc-queue other"], "mandatory leaf 'queue-index' is missing"),
        (["set / qos queues pfc-queue pfc3 queue-index 4"], "default pfc queue's cannot be modified"),
        (["set / qos scheduler-policies scheduler-policy S scheduler 0"], "scheduler with sequence 0 must be strict"),
        (["set / qos scheduler-policies scheduler-policy default"], "name 'default' is reserved"),
        (
            [f"set / qos interfaces interface {PORT} input classifiers dscp-policy roce"],
            "Attachment of classifiers, not permitted for interfaces",
        ),
        (
            ["set / qos pfc-mapping-profile P", f"set / qos interfaces interface {PORT}.0 pfc pfc-mapping-profile P"],
            "Attachment of pfc, not permitted for sub-interfaces",
        ),
        (["delete / qos classifiers"], "no dscp-policy with name 'roce'"),
    ],
)
def test_what_the_models_demand_of_the_whole_is_demanded_at_the_commit(switch, cli, lines, reason):
    before = switch.running_text()
    assert typed(cli, "enter candidate", *lines) == ""
    said = cli.answer("commit now")
    assert said.startswith("Error: Error in path: .qos")
    assert f"[FailedPrecondition] {reason}" in said
    assert cli.answer("commit validate") == said
    assert "candidate" in cli.prompt
    assert switch.running_text() == before


def test_a_commit_takes_effect_and_a_discard_does_not(switch, cli):
    typed(cli, "enter candidate", SHUT)
    assert not switch.is_shut(PORT)
    assert cli.answer("diff") == f"- / interface {PORT} admin-state enable\n+ / interface {PORT} admin-state disable\n"
    assert cli.answer("discard stay") == "All changes have been discarded. Starting new transaction.\n"
    assert cli.answer("diff") == ""
    typed(cli, SHUT)
    assert cli.answer("commit validate") == "All changes are valid.\n"
    assert cli.answer("commit stay") == "All changes have been committed. Starting new transaction.\n"
    assert switch.is_shut(PORT)
    assert cli.answer("discard now") == "All changes have been discarded. Leaving candidate mode.\n"
    assert "running" in cli.prompt


def test_what_is_configured_is_what_the_fabric_does(switch, cli):
    changed(
        cli,
        f"set {SLOPE} min-threshold 1000 max-threshold 2000 max-drop-probability-percent 20 slope-enabled true",
        f"set / qos interfaces interface {PORT} output queues queue q3 queue-management-profile rocev2",
        "set / qos queues pfc-queue pfc3 queue-index 3",
        "set / qos pfc-mapping-profile P received-traffic unicast-mapping pfc-queue pfc3 forwarding-class [ fc3 ]",
        "set / qos pfc-mapping-profile P received-traffic unicast-mapping pfc-queue pfc3 pfc-pause-frame-priority 3",
        "set / qos pfc-mapping-profile P received-pfc-pause-frames queue q3 pfc-pause-frame-priority 3 enable-pfc true",
        "set / qos buffer-management buffer-allocation-profile P queues pfc-queue pfc3 maximum-burst-size 10000",
        "set / qos buffer-management buffer-allocation-profile P queues pfc-queue pfc3"
        " maximum-pfc-reserved-share-bytes 5000",
        f"set / qos interfaces interface {PORT} input pfc-buffer-allocation-profile P",
        f"set / qos interfaces interface {PORT} pfc pfc-mapping-profile P pfc-enable true",
    )
    assert switch.ecn(PORT, 3) == Ecn(kmin_bytes=1000, kmax_bytes=2000, pmax=0.2)
    assert switch.pfc(PORT, 3) == Pfc(xoff_bytes=10_000, headroom_bytes=5_000)


def test_a_port_may_be_bound_under_another_name(switch, cli):
    changed(
        cli,
        f"set {SLOPE} min-threshold 1000 max-threshold 2000 max-drop-probability-percent 20 slope-enabled true",
        f"set / qos interfaces interface uplink interface-ref interface {PORT}",
        "set / qos interfaces interface uplink output queues queue q3 queue-management-profile rocev2",
    )
    assert switch.ecn(PORT, 3) is not None
    assert switch.ecn("ethernet-1/2", 3) is None


def test_a_private_candidate_commits_its_difference_to_what_runs_by_then(switch, cli):
    other = switch.conversation()
    typed(cli, "enter candidate private name one", SHUT)
    changed(other, "set / interface ethernet-1/2 admin-state disable")
    typed(cli, "commit now")
    assert switch.is_shut(PORT)
    assert switch.is_shut("ethernet-1/2")


def test_a_candidate_that_was_left_in_the_middle_is_found_again_and_can_be_cleared(switch, cli):
    typed(cli, "enter candidate private name left", SHUT)
    del cli
    gc.collect()
    other = switch.conversation()
    typed(other, "enter candidate private name left")
    assert "*" in other.prompt
    typed(other, "enter running")
    assert "Cleared" in other.answer("tools system configuration candidate left clear")
    assert "does not exist" in other.answer("tools system configuration candidate left clear")
    assert switch.candidates == {}


def test_there_is_room_for_ten_candidates(switch):
    users = [switch.conversation() for _ in range(11)]
    for number, user in enumerate(users[:10]):
        assert typed(user, f"enter candidate private name c{number}", SHUT) == ""
    assert "Maximum number of candidates (10)" in users[10].answer("enter candidate")


def test_an_exclusive_candidate_keeps_others_out_until_it_is_left_or_its_session_breaks(switch, cli):
    other = switch.conversation()
    assert typed(cli, "enter candidate exclusive", SHUT) == ""
    for how in ("", " exclusive", " private", " private name x"):
        assert "locked by another session" in other.answer(f"enter candidate{how}")
    typed(cli, "enter running")
    assert typed(other, "enter candidate exclusive") == ""
    assert "*" not in other.prompt, "what was not committed is gone"
    del other
    gc.collect()
    assert cli.answer("enter candidate") == ""


def test_a_candidate_that_somebody_works_in_cannot_become_exclusive(switch, cli):
    typed(cli, "enter candidate", SHUT)
    assert "cannot become exclusive" in switch.conversation().answer("enter candidate exclusive")


def test_a_confirmed_commit_is_taken_back_unless_it_is_accepted_in_time(switch, cli, clock):
    typed(cli, "enter candidate", SHUT)
    said = cli.answer("commit confirmed timeout 120")
    assert said == (
        "Commit confirmed (automatic rollback in 2 minutes)\nAll changes have been committed. Leaving candidate mode.\n"
    )
    assert switch.is_shut(PORT)
    clock.seconds = 119.9
    assert switch.is_shut(PORT)
    clock.seconds = 120
    assert not switch.is_shut(PORT)
    assert "No commit confirmed in progress" in cli.answer("tools system configuration confirmed-accept")


def test_an_accepted_commit_stays_and_a_rejected_one_does_not(switch, cli, clock):
    typed(cli, "enter candidate", SHUT, "commit confirmed timeout 10")
    assert "rejected" in cli.answer("tools system configuration confirmed-reject")
    assert not switch.is_shut(PORT)
    typed(cli, "enter candidate", SHUT, "commit confirmed")
    assert "accepted" in cli.answer("/tools system configuration confirmed-accept")
    clock.seconds = 10_000
    assert switch.is_shut(PORT)


@pytest.mark.parametrize("timeout", ["timeout", "timeout 0", "timeout soon", "120"])
def test_a_confirmed_commit_takes_seconds(cli, timeout):
    typed(cli, "enter candidate", SHUT)
    assert cli.answer(f"commit confirmed {timeout}").startswith("Parsing error: Unknown token")


def test_nothing_else_is_committed_while_a_commit_waits_to_be_confirmed(switch, cli):
    typed(
        cli,
        "enter candidate",
        SHUT,
        "commit confirmed timeout 60",
        "tools system configuration generate-checkpoint name x",
    )
    typed(cli, "enter candidate", "set / interface ethernet-1/2 admin-state disable")
    assert "in progress" in cli.answer("commit now")
    assert "in progress" in cli.answer("tools system configuration checkpoint x revert")
    with pytest.raises(ConfigError, match="in progress"):
        switch.apply([], [], [(parse("/interface[name=ethernet-1/2]"), {"admin-state": "disable"})])
    assert not switch.is_shut("ethernet-1/2")


def test_a_checkpoint_is_listed_loaded_reverted_to_and_cleared(switch, cli):
    said = cli.answer("tools system configuration generate-checkpoint name before comment 'of the run'")
    assert "with name 'before' and comment 'of the run'" in said
    changed(cli, SHUT)
    cli.answer("tools system configuration generate-checkpoint name after")
    listed = cli.answer("info from state / system configuration checkpoint * name")
    assert listed.split("checkpoint ")[1:] == [
        "0 {\n                name after\n            }\n            ",
        "1 {\n                name before\n            }\n        }\n    }\n",
    ]
    typed(cli, "enter candidate", "load checkpoint name before")
    assert "admin-state enable" in cli.answer("diff")
    typed(cli, "discard now")
    assert "Successfully reverted configuration" in cli.answer("tools system configuration checkpoint 1 revert")
    assert not switch.is_shut(PORT)
    assert "Cleared" in cli.answer("tools system configuration checkpoint before clear")
    assert list(switch.checkpoints) == ["after"]
    assert "does not exist" in cli.answer("tools system configuration checkpoint before revert")


def test_a_checkpoint_too_many_is_refused(switch, cli):
    switch.max_checkpoints = 1
    assert "Generated" in cli.answer("tools system configuration generate-checkpoint name one")
    assert cli.answer("tools system configuration generate-checkpoint name two") == (
        "Error: Maximum number of checkpoints (1) reached\n"
    )
    assert list(switch.checkpoints) == ["one"]


def test_a_simulated_switch_says_so(cli):
    shown = cli.answer("show version")
    assert "Chassis Type         : aibench-virtual-lab\n" in shown
    assert "(simulated)" in shown
    assert "7220" not in shown


def test_ports_show_whether_they_are_up_and_who_is_behind_them(cli):
    shown = cli.answer("show interface")
    assert f"{PORT} is up, speed None, type None\n" in shown
    assert "    IPv4 addr    : 10.2.0.1/31 (static, preferred, primary)\n" in shown
    assert f"| {PORT} | simulated | leaf1 " in cli.answer("show system lldp neighbor")
    changed(cli, SHUT)
    assert f"{PORT} is down, reason port-admin-disabled\n" in cli.answer(f"show interface {PORT} detail")
    assert PORT not in cli.answer("show / system lldp neighbor")
    assert "does not specify any existing objects" in cli.answer("show interface ethernet-9/9")


def test_info_shows_braces_json_or_what_grep_lets_through(cli):
    assert cli.answer(f"info from running / interface {PORT} mtu") == (
        f"    interface {PORT} {{\n        mtu 9412\n    }}\n"
    )
    assert '"mtu": 9412' in cli.answer(f"info from running / interface {PORT} | as json")
    assert cli.answer("info flat / | grep host-name") == "set / system name host-name spine1\n"
    assert "oper-state up" in cli.answer(f"info from state / interface {PORT}")
    assert "Unknown token 'sort'" in cli.answer("info / | sort")


def test_every_attempt_to_change_something_is_noted(switch):
    writes = Writes()
    noting = SrlinuxSwitch("spine1", switch.neighbours, writes)
    cli = noting.conversation()
    typed(cli, "show version", "enter candidate private name n", "set / qos colour red", "commit now", "info /")
    assert writes.all() == [("spine1", "n: set / qos colour red"), ("spine1", "n: commit now")]


def test_a_session_ends_when_it_is_told_to(cli):
    cli.answer("quit")
    assert cli.closed
