"""The simulated Junos: what its command line accepts and refuses, and what a configuration makes the switch do."""

import pytest

from aibench_lib.errors import SpecError
from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.junos.config import Config, tokenize
from aibench_lib.virtual_lab.junos.switch import JunosSwitch
from aibench_lib.virtual_lab.writes import Writes

NEIGHBOURS = {"et-0/0/0": Port("prefill01", "nic0"), "et-0/0/1": Port("spine1", "et-0/0/7")}
CNP = "set class-of-service congestion-notification-profile cnp"
LOSSLESS = [
    "set class-of-service forwarding-classes class NO-LOSS queue-num 3 no-loss pfc-priority 3",
    f"{CNP} input dscp code-point 011010 pfc",
    f"{CNP} output ieee-802.1 code-point 011 flow-control-queue 3",
]
MARKING = [
    "set class-of-service drop-profiles DP interpolate fill-level 1 fill-level 5 drop-probability [ 0 20 ]",
    "set class-of-service schedulers ROCE drop-profile-map loss-priority any protocol any drop-profile DP",
    "set class-of-service schedulers ROCE explicit-congestion-notification",
]


class Clock:
    """A clock that a test turns."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def switch(clock):
    return JunosSwitch("leaf1", NEIGHBOURS, Writes(), {"et-0/0/0": "10.0.0.1/31"}, clock)


@pytest.fixture
def cli(switch):
    return switch.conversation()


@pytest.fixture
def editing(cli):
    cli.answer("configure exclusive")
    return cli


def commit(cli, *lines):
    for line in lines:
        assert cli.answer(line) in ("", "warning: statement not found\n"), line
    return cli.answer("commit")


def test_the_prompt_says_user_host_mode_and_level(cli):
    assert cli.prompt == "\nadmin@leaf1> "
    cli.answer("configure")
    assert cli.prompt == "\n[edit]\nadmin@leaf1# "
    cli.answer("edit class-of-service schedulers ROCE")
    assert cli.prompt == "\n[edit class-of-service schedulers ROCE]\nadmin@leaf1# "
    cli.answer("set priority strict-high")
    cli.answer("up")
    assert "[edit class-of-service schedulers]" in cli.prompt
    cli.answer("top")
    assert "+  priority strict-high;" in cli.answer("show | compare")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("set cli screen-width 511", "Screen width set to 511\n"),
        ("set cli screen-length 0", "Screen length set to 0\n"),
        ("set cli complete-on-space off", "Disabling complete-on-space\n"),
        ("clear interfaces statistics all", ""),
        ("file list /var/tmp/", "\n/var/tmp/:\n"),
        ("show system commit", "No commit confirmed is pending\n"),
        ("sh ver | match Model", "Model: aibench-virtual-lab (simulated)\n"),
        ("show interfaces terse | count", "Count: 4 lines\n"),
        ("show configuration routing-options | display set", "set routing-options forwarding-table export ECMP\n"),
    ],
)
def test_commands_are_answered_as_the_switch_words_it(cli, line, said):
    assert cli.answer(line) == said


@pytest.mark.parametrize(
    ("line", "message", "at"),
    [
        ("bogus", "unknown command.", "bogus"),
        ("show nothing", "syntax error, expecting <command>.", "nothing"),
        ("show", "missing argument.", ""),
        ("file delete /var/tmp/none", "error: could not open '/var/tmp/none': No such file or directory", None),
        ("show version | frobnicate", "syntax error, expecting <command>.", "show"),
    ],
)
def test_an_unknown_command_is_refused_with_a_caret_below_it(cli, line, message, at):
    check_refusal(cli, line, message, at)


@pytest.mark.parametrize(
    ("line", "message", "at"),
    [
        ("set class-of-service color red", "syntax error.", "color"),
        ("set interfaces et-0/0/0 mtu 1", "Value 1 is not within range (256..16000)", "1"),
        ("set interfaces et-0/0/0 mtu big", "Invalid numeric value: 'big'", "big"),
        ("set interfaces Ethernet1 disable", "invalid value 'Ethernet1'", "Ethernet1"),
        ("set interfaces et-0/0/0 mtu", "missing argument.", ""),
        ("set class-of-service drop-profiles DP interpolate fill-level 101", "Value 101 is not within range", "101"),
        ("set class-of-service schedulers S priority high", "syntax error.", "high"),
        (f"{CNP} input dscp code-point 26 pfc", "invalid value '26'", "26"),
        (
            "set routing-options static route 10.0.0.1/24 next-hop 10.0.0.1",
            "invalid ip address or hostname",
            "10.0.0.1/",
        ),
        ("set forwarding-options enhanced-hash-key ecmp-dlb spray", "syntax error.", "spray"),
        ("set class-of-service sched S priority low", "'sched' is ambiguous.", "sched"),
        ("commit confirmed 0", "Value 0 is not within range (1..65535)", "0"),
        ("commit now", "syntax error.", "now"),
        ("rollback 9", "error: could not open configuration database: rollback 9 does not exist", None),
        ("load override /var/tmp/none", "error: could not open '/var/tmp/none'", None),
    ],
)
def test_a_statement_that_is_none_is_refused_and_changes_nothing(editing, line, message, at):
    check_refusal(editing, line, message, at)
    assert not editing.switch.is_changed


def check_refusal(cli, line, message, at):
    prompt = cli.prompt.rpartition("\n")[2]
    *carets, said = cli.answer(line).splitlines()
    assert said.startswith(message)
    if at is None:
        assert carets == []
    else:
        place = (prompt + line).rindex(at) if at else len(prompt + line)
        assert carets == [" " * place + "^"]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (MARKING[1:2], "drop-profile DP is referenced but not defined"),
        (["set class-of-service interfaces et-0/0/0 scheduler-map X"], "scheduler-map X is referenced but not defined"),
        (
            ["set class-of-service scheduler-maps M forwarding-class F scheduler ROCE"],
            "forwarding-class F is referenced",
        ),
        (["delete class-of-service congestion-notification-profile cnp"], "congestion-notification-profile cnp is ref"),
        (["delete class-of-service classifiers"], "classifier ROCE is referenced but not defined"),
        (["delete policy-options"], "export ECMP is referenced but not defined"),
        (
            ["set class-of-service classifiers dscp ROCE forwarding-class NO-LOSS loss-priority low code-points dscp9"],
            "code-point alias dscp9 is referenced but not defined",
        ),
        (["set class-of-service drop-profiles D interpolate fill-level 5"], "as many drop-probabilities"),
        ([MARKING[0].replace("fill-level 5", "fill-level 1").replace("l 1 f", "l 2 f")], "must be less than"),
        (["set class-of-service shared-buffer ingress buffer-partition lossy percent 11"], "must total 100"),
        ([*LOSSLESS, f"{CNP} input ieee-802.1 code-point 011 pfc"], "dscp and ieee-802.1 cannot be configured under"),
        ([f"{CNP} input dscp code-point 011010 xon 20"], "xon cannot be configured without pfc"),
        (
            [f"set class-of-service forwarding-classes class C{number} no-loss" for number in range(7)],
            "at most 6 classes can be no-loss",
        ),
        (
            [
                f"set forwarding-options enhanced-hash-key {one}"
                for one in ("ecmp-dlb per-packet", "ecmp-resilient-hash")
            ],
            "cannot be configured together",
        ),
    ],
)
def test_a_contradiction_is_found_by_the_commit_and_nothing_changes(editing, lines, fault):
    before = editing.switch.running_text()
    said = commit(editing, *lines)
    assert said.startswith("[edit ")
    assert fault in said
    assert said.endswith("error: configuration check-out failed\n")
    assert editing.answer("commit check") == said
    assert editing.switch.running_text() == before


def test_a_committed_configuration_reads_as_it_was_set_and_can_be_shown_in_braces(editing):
    assert commit(editing, *MARKING) == "commit complete\n"
    shown = editing.answer("run show configuration class-of-service drop-profiles | display set")
    assert shown.splitlines()[:2] == [
        "set class-of-service drop-profiles DP interpolate fill-level 1",
        "set class-of-service drop-profiles DP interpolate fill-level 5",
    ]
    assert "        fill-level [ 1 5 ];\n" in editing.answer("show class-of-service drop-profiles")


def test_braces_read_back_as_the_same_configuration(editing):
    commit(editing, *MARKING, *LOSSLESS, f"{CNP} pfc-watchdog", "set class-of-service drop-profiles EMPTY")
    copy = Config()
    copy.load(f"## Last commit: today\n{editing.switch.running.text()}")
    assert copy == editing.switch.running


def test_deleting_the_last_statement_leaves_the_entry_of_a_list_and_no_plain_container(editing):
    commit(editing, *MARKING)
    editing.answer("delete class-of-service drop-profiles DP interpolate")
    assert (
        editing.answer("show class-of-service drop-profiles | display set") == "set class-of-service drop-profiles DP\n"
    )
    editing.answer("delete class-of-service schedulers ROCE drop-profile-map")
    assert "drop-profile-map" not in editing.answer("show | display set")
    assert editing.answer("delete class-of-service drop-profiles NONE") == "warning: statement not found\n"


def test_a_line_of_several_leaves_is_done_whole_or_not_at_all():
    config = Config()
    with pytest.raises(Exception, match="syntax error"):
        config.set(tokenize("class-of-service forwarding-classes class C queue-num 3 no-loss nonsense"))
    assert config.lines() == []


def test_nobody_edits_or_commits_while_another_has_locked_the_configuration(switch, editing):
    other = switch.conversation()
    locked = "error: configuration database locked by:\n  admin terminal"
    assert other.answer("configure exclusive").startswith(locked)
    assert other.answer("configure") == "Entering configuration mode\n"
    for line in ("set system host-name x", "delete protocols", "commit", "rollback 1"):
        assert other.answer(line).startswith(locked)
    editing.answer("exit")
    assert other.answer("set interfaces et-0/0/0 disable") == ""
    third = switch.conversation()
    assert third.answer("configure exclusive") == "error: configuration database modified\n"


def test_the_lock_of_a_session_that_broke_is_free_and_its_changes_are_forgotten(switch):
    session = switch.conversation()
    session.answer("configure exclusive")
    session.answer("set interfaces et-0/0/0 disable")
    del session
    assert not switch.is_changed
    assert switch.conversation().answer("configure exclusive").endswith("Entering configuration mode\n")


def test_leaving_with_changes_asks_and_forgets_them_when_told(switch, editing):
    editing.answer("set interfaces et-0/0/0 disable")
    assert "warning: Auto rollback on exiting 'configure exclusive'" in editing.answer("exit")
    assert editing.prompt == "Discard uncommitted changes? [yes,no] (yes) "
    assert editing.answer("no") == ""
    assert editing.prompt.endswith("# ")
    editing.answer("exit")
    assert editing.answer("yes").endswith("Exiting configuration mode\n")
    assert not switch.is_changed
    shared = switch.conversation()
    shared.answer("configure")
    shared.answer("set interfaces et-0/0/0 disable")
    shared.answer("exit configuration-mode")
    assert shared.prompt == "Exit with uncommitted changes? [yes,no] (yes) "
    shared.answer("")
    assert switch.is_changed


def test_rollback_0_leaves_nothing_to_ask_about(editing):
    editing.answer("set interfaces et-0/0/0 disable")
    assert editing.answer("rollback 0") == "load complete\n"
    assert editing.answer("exit") == "Exiting configuration mode\n"


def test_a_commit_that_is_not_confirmed_is_taken_back(switch, editing, clock):
    before = switch.running_text()
    editing.answer("set interfaces et-0/0/0 disable")
    said = editing.answer("commit confirmed 2")
    assert said == "commit confirmed will be automatically rolled back in 2 minutes unless confirmed\ncommit complete\n"
    assert editing.prompt == "\n# commit confirmed will be rolled back in 2 minutes\n[edit]\nadmin@leaf1# "
    clock.seconds += 61
    assert "rolled back in 1 minutes" in editing.prompt
    assert switch.is_shut("et-0/0/0")
    clock.seconds += 59
    assert not switch.is_shut("et-0/0/0")
    assert switch.running_text() == before
    assert editing.prompt == "\n[edit]\nadmin@leaf1# "


@pytest.mark.parametrize("confirmation", ["commit", "commit check"])
def test_a_commit_from_another_session_confirms(switch, editing, clock, confirmation):
    editing.answer("set interfaces et-0/0/0 disable")
    editing.answer("commit confirmed 1")
    editing.answer("exit")
    other = switch.conversation()
    other.answer("configure exclusive")
    assert "error" not in other.answer(confirmation)
    clock.seconds += 600
    assert switch.is_shut("et-0/0/0")


def test_rollback_1_takes_an_armed_change_back_and_brings_one_that_is_gone_back(switch, editing, clock):
    editing.answer("set interfaces et-0/0/0 disable")
    editing.answer("commit confirmed 1")
    editing.answer("rollback 1")
    assert "-  disable;" in editing.answer("show | compare")
    editing.answer("commit")
    assert not switch.is_shut("et-0/0/0")
    editing.answer("set interfaces et-0/0/1 disable")
    editing.answer("commit confirmed 1")
    clock.seconds += 60
    editing.answer("rollback 1")
    assert "+  disable;" in editing.answer("show | compare")


def test_a_saved_file_brings_the_whole_configuration_back(switch, editing):
    before = switch.running_text()
    assert editing.answer("run show configuration | save /var/tmp/a.conf").startswith("Wrote ")
    assert list(switch.checkpoints) == ["a"]
    commit(editing, *MARKING, "delete class-of-service interfaces", "set interfaces et-0/0/0 disable")
    assert switch.running_text() != before
    assert editing.answer("load override /var/tmp/a.conf") == "load complete\n"
    assert editing.answer("commit") == "commit complete\n"
    assert switch.running_text() == before
    editing.answer("run file delete /var/tmp/a.conf")
    assert switch.checkpoints == {}


def test_save_writes_the_candidate_and_load_set_types_a_file(switch, editing):
    editing.answer("set interfaces et-0/0/0 disable")
    assert editing.answer("save /var/tmp/b.conf").endswith("lines of configuration to '/var/tmp/b.conf'\n")
    assert "disable;" in editing.answer("run file show /var/tmp/b.conf")
    editing.answer("rollback 0")
    switch.files["/var/tmp/c"] = "set interfaces et-0/0/1 disable\n"
    editing.answer("load set /var/tmp/c")
    assert editing.answer("show | compare") == "[edit interfaces et-0/0/1]\n+  disable;\n"
    switch.files["/var/tmp/d"] = "interfaces {\n    et-0/0/0 {\n        colour red;\n"
    assert editing.answer("load merge /var/tmp/d").endswith("load complete (1 errors)\n")


def test_a_file_too_many_is_refused(switch, cli):
    switch.max_checkpoints = 1
    cli.answer("show configuration | save /var/tmp/a.conf")
    assert cli.answer("show configuration | save /var/tmp/a.conf").startswith("Wrote")
    assert "No space left on device" in cli.answer("show configuration | save /var/tmp/b.conf")


def test_every_attempt_to_write_is_noted(clock):
    writes = Writes()
    switch = JunosSwitch("leaf1", NEIGHBOURS, writes, {}, clock)
    cli = switch.conversation()
    for line in (
        "show version",
        "configure exclusive",
        "set interfaces et-0/0/0 disable",
        "commit confirmed 1",
        "exit",
    ):
        cli.answer(line)
    clock.seconds += 60
    assert not switch.is_shut("et-0/0/0")
    assert [what for _, what in writes.all()] == [
        "set interfaces et-0/0/0 disable",
        "commit confirmed 1",
        "commit was not confirmed; automatic rollback complete",
    ]


def test_at_first_nothing_is_marked_or_lossless_and_ports_have_addresses(switch):
    assert switch.ecn("et-0/0/0", 3) is None
    assert switch.pfc("et-0/0/0", 3) is None
    assert switch.watchdog("et-0/0/0") is None
    assert switch.load_balancing() == LoadBalancing(mode="ecmp")
    assert {port: str(address) for port, address in switch.addresses().items()} == {"et-0/0/0": "10.0.0.1/31"}
    assert list(switch.static_routes()) == []


def test_fill_levels_are_per_cents_of_the_queues_buffer(switch, editing):
    commit(editing, *MARKING)
    assert switch.ecn("et-0/0/0", 3) == Ecn(kmin_bytes=100_000, kmax_bytes=500_000, pmax=0.2)
    assert switch.ecn("et-0/0/0", 4) is None
    commit(editing, "delete class-of-service schedulers ROCE explicit-congestion-notification")
    assert switch.ecn("et-0/0/0", 3) is None


def test_a_priority_is_lossless_where_its_class_is_and_the_profile_pauses_its_code_point(switch, editing):
    commit(editing, *LOSSLESS)
    assert switch.pfc("et-0/0/0", 3) == Pfc(alpha=1.0, xon_offset_bytes=20 * 254)
    assert switch.pfc("et-0/0/0", 4) is None
    commit(
        editing,
        "set class-of-service shared-buffer ingress buffer-partition lossless dynamic-threshold 4",
        f"{CNP} input dscp code-point 011010 xon 100",
    )
    assert switch.pfc("et-0/0/0", 3) == Pfc(alpha=0.125, xon_offset_bytes=25_400)
    commit(editing, "delete class-of-service interfaces et-0/0/0 congestion-notification-profile")
    assert switch.pfc("et-0/0/0", 3) is None
    assert switch.pfc("et-0/0/1", 3) is not None


def test_traffic_of_another_code_point_is_not_paused(switch, editing):
    points = "class-of-service classifiers dscp ROCE forwarding-class NO-LOSS loss-priority low code-points"
    aliased = [f"delete {points}", "set class-of-service code-point-aliases dscp d26 011010", f"set {points} d26"]
    commit(editing, *LOSSLESS, *aliased)
    assert switch.pfc("et-0/0/0", 3) is not None
    commit(editing, f"delete {points}", f"set {points} 000000")
    assert switch.pfc("et-0/0/0", 3) is None


def test_interfaces_are_bound_by_name_before_kind_before_all(switch, editing):
    cos = "class-of-service"
    commit(
        editing,
        *LOSSLESS,
        f"delete {cos} interfaces et-0/0/0",
        f"set {cos} interfaces et-* congestion-notification-profile cnp",
        f"set {cos} interfaces all unit * classifiers dscp ROCE",
    )
    assert switch.pfc("et-0/0/0", 3) is not None
    commit(
        editing,
        f"set {cos} congestion-notification-profile other",
        f"set {cos} interfaces et-0/0/0 congestion-notification-profile other",
    )
    assert switch.pfc("et-0/0/0", 3) is None


def test_the_watchdog_waits_for_polls_and_drops(switch, editing):
    commit(editing, f"{CNP} pfc-watchdog")
    assert switch.watchdog("et-0/0/0") == PfcWatchdog(
        detection_ns=200_000_000, restoration_ns=200_000_000, action="drop"
    )
    commit(editing, f"{CNP} pfc-watchdog poll-interval 50 detection 4 recovery 1000 watchdog-action forward")
    assert switch.watchdog("et-0/0/0") == PfcWatchdog(
        detection_ns=200_000_000, restoration_ns=1_000_000_000, action="forward"
    )


def test_load_balancing_is_dynamic_where_it_is_configured(switch, editing):
    dlb = "forwarding-options enhanced-hash-key ecmp-dlb"
    commit(editing, f"set {dlb} flowlet inactivity-interval 50")
    assert switch.load_balancing() == LoadBalancing(mode="flowlet", flowlet_gap_ns=50_000)
    assert "only one of per-packet, flowlet" in commit(editing, f"set {dlb} per-packet")
    commit(editing, f"delete {dlb} flowlet")
    assert switch.load_balancing().mode == "packet_spray"
    commit(editing, f"delete {dlb}", f"set {dlb} assigned-flow")
    with pytest.raises(SpecError, match="assigned-flow is not simulated"):
        switch.load_balancing()


def test_static_routes_and_shut_ports(switch, editing):
    commit(
        editing,
        "set routing-options static route 10.1.0.1/32 next-hop [ 10.0.0.0 10.0.0.2 ]",
        "set interfaces et-0/0/0 disable",
    )
    assert [(str(route.prefix), str(route.next_hop)) for route in switch.static_routes()] == [
        ("10.1.0.1/32", "10.0.0.0"),
        ("10.1.0.1/32", "10.0.0.2"),
    ]
    assert switch.is_shut("et-0/0/0")
    assert "et-0/0/0                down  down" in editing.answer("run show interfaces terse")
    assert "prefill01" not in editing.answer("run show lldp neighbors")
