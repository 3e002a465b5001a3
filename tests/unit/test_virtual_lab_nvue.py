"""The simulated Cumulus Linux switch: what its shell answers, what it refuses, and what a configuration does."""

import base64
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.nvue.ranges import compress, expand
from aibench_lib.virtual_lab.nvue.shell import STARTUP, Shell
from aibench_lib.virtual_lab.nvue.switch import NvueSwitch
from aibench_lib.virtual_lab.writes import Writes

NEIGHBOURS = {name: Port("spine1", f"Ethernet{name[3:]}") for name in ("swp1", "swp2", "swp3", "swp49")}
LOSSLESS = "nv set qos pfc default-global switch-priority 3"
ALPHA = "nv set qos advance-buffer-config default-global ingress-lossless-buffer shared-alpha"
APPLY = "nv config apply -y"


@pytest.fixture
def switch():
    addresses = {name: f"10.2.0.{2 * number}/31" for number, name in enumerate(NEIGHBOURS)}
    return NvueSwitch("leaf3", NEIGHBOURS, Writes(), addresses)


@pytest.fixture
def shell(switch):
    return Shell(switch)


def applied(switch, *lines):
    """Set lines in a session of their own and apply them."""
    shell = Shell(switch)
    answers = [shell.answer(line) for line in (*lines, APPLY)]
    assert not [answer for answer in answers if "rror" in answer or "Invalid" in answer], answers
    return switch


def test_the_prompt_is_a_shells(shell):
    assert shell.prompt == "cumulus@leaf3:mgmt:~$ "
    assert shell.answer("exit") == ""
    assert shell.closed


def test_the_base_configuration_has_a_roce_class_and_neither_marks_nor_pauses(switch):
    text = switch.running_text()
    assert "nv set qos mapping default-global dscp 26 switch-priority 3\n" in text
    assert "nv set interface swp49 ipv4 address 10.2.0.6/31\n" in text
    assert not [queue for queue in range(8) if switch.ecn("swp1", queue) or switch.pfc("swp1", queue)]
    assert switch.watchdog("swp1") is None
    assert switch.addresses()["swp2"] == ipaddress.IPv4Interface("10.2.0.2/31")


def test_interfaces_that_share_a_setting_share_a_line_unless_expanded(shell):
    assert "nv set interface swp1-3,49 type swp\n" in shell.answer("nv config show -o commands")
    expanded = shell.answer("nv config show --expand -o commands")
    assert "nv set interface swp1 type swp\n" in expanded
    assert "swp1-3" not in expanded


def test_what_is_set_is_pending_until_it_is_applied(switch, shell):
    before = switch.running_text()
    assert shell.answer("nv set interface swp1,swp3 link state down") == "created [rev_id: 2]\n"
    assert shell.answer("nv set interface swp2 link mtu 1500") == ""
    assert switch.running_text() == before
    assert shell.answer("nv config diff").splitlines() == [
        "nv unset interface swp1 link state up",
        "nv unset interface swp2 link mtu 9214",
        "nv unset interface swp3 link state up",
        "nv set interface swp1 link state down",
        "nv set interface swp2 link mtu 1500",
        "nv set interface swp3 link state down",
    ]
    assert shell.answer(APPLY) == "applied_and_saved [rev_id: 2]\n"
    assert [switch.is_shut(name) for name in ("swp1", "swp2", "swp3")] == [True, False, True]


def test_a_pending_revision_is_its_sessions_own(switch, shell):
    shell.answer("nv set interface swp1 link state down")
    assert applied(switch, "nv set interface swp2 link state down").is_shut("swp2")
    assert not switch.is_shut("swp1")
    shell.answer(APPLY)
    assert switch.is_shut("swp1")
    assert switch.is_shut("swp2"), "an apply changes what was set and nothing else"


def test_a_detached_revision_is_gone(switch, shell):
    before = switch.running_text()
    shell.answer("nv set interface swp1 link state down")
    assert shell.answer("nv config detach") == "detached [rev_id: 2]\n"
    shell.answer("nv config attach applied -y")
    assert shell.answer(APPLY) == "Warning: config apply executed with no config diff.\n"
    assert switch.running_text() == before


@pytest.mark.parametrize(
    "line",
    [
        "nv unset interface swp1 link mtu",
        "nv unset interface swp1 link mtu 9214",
        "nv unset interface swp1 link mtu 1500",
        "nv unset interface swp1-3 link mtu",
    ],
)
def test_a_leaf_is_unset_with_or_without_a_value(switch, line):
    assert "swp1 link mtu" not in applied(switch, line).running_text()


def test_an_entry_is_unset_with_everything_below_it_and_leaves_no_empty_parent(switch):
    before = switch.running_text()
    applied(
        switch, LOSSLESS, "nv set qos pfc default-global switch-priority 4", "nv set qos pfc default-global tx enable"
    )
    applied(switch, "nv unset qos pfc default-global switch-priority 4")
    assert switch.running_text() != before
    assert applied(switch, "nv unset qos pfc default-global").running_text() == before


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("nv set qos pfc default-global xoff-threshold 1e6", "Error: '1e6' is not of type 'integer'"),
        ("nv set qos pfc default-global xoff-threshold -1", "Error: -1 is less than the minimum of 0"),
        ("nv set qos congestion-control x traffic-class 8 ecn enable", "Error: 8 is greater than the maximum of 7"),
        ("nv set qos congestion-control x traffic-class 3 ecn on", "Error: 'on' is not one of ['enable', 'disable']"),
        ("nv set qos congestion-control x traffic-class 3 probability 0", "Error: 0 is less than the minimum of 1"),
        ("nv set qos pfc-watchdog polling-interval 99", "Error: 99 is less than the minimum of 100"),
        ("nv set qos pfc-watchdog robustness 1001", "Error: 1001 is greater than the maximum of 1000"),
        ("nv set qos mapping default-global dscp 64 switch-priority 3", "Error: 64 is greater than the maximum of 63"),
        ("nv set interface swp7 link state down", "Error: 'swp7' is not a valid interface"),
        ("nv set interface swp1-4 link state down", "Error: 'swp4' is not a valid interface"),
        ("nv set interface swp1 link colour red", "Error: Invalid Command: interface swp1 link colour"),
        ("nv set interface swp1 link mtu", "Error: Incomplete Command: interface swp1 link mtu"),
        ("nv set interface", "Error: Incomplete Command: interface"),
        ("nv set interface swp1 qos p profile x", "Error: Ambiguous Command:\n  interface swp1 qos pfc\n"),
        (f"{ALPHA} alpha_3", "Error: 'alpha_3' is not one of ['alpha_0', "),
        ("nv set vrf default router static 10.1.0.0/33 via 10.2.0.1 interface swp1", "Error: '10.1.0.0/33' is not a"),
        ("nv s", "Error: Ambiguous Command:\n  set\n  show\n"),
        ("nv frobnicate", "Error: Invalid Command: frobnicate"),
        ("nv config apply -z", "Error: Invalid option: -z"),
        ("nv config attach 77", "Error: Revision 77 does not exist"),
        ("nv config apply 77 -y", "Error: Revision 77 does not exist"),
        ("nv config delete 1", "Error: Revision '1' is currently applied and cannot be deleted"),
        ("nv config delete startup", "Error: Revision startup is reserved and cannot be deleted"),
        ("nv config replace nothing.yaml", "Error: nothing.yaml: No such file or directory"),
        ("nv config apply --confirm-yes", "Error: No revision is waiting to be confirmed"),
        ("nv show weather", "Error: Invalid Command: show weather"),
        ("configure terminal", "-bash: configure: command not found"),
        ("cp nothing.yaml other.yaml", "cp: cannot stat 'nothing.yaml': No such file or directory"),
        ("rm nothing.yaml", "rm: cannot remove 'nothing.yaml': No such file or directory"),
    ],
)
def test_what_the_object_model_does_not_have_is_refused(switch, shell, line, answer):
    before = switch.running_text()
    assert shell.answer(line).startswith(answer)
    assert switch.running_text() == before


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nv set interface swp1 qos pfc profile none", "profile 'none' does not exist"),
        ("nv set qos egress-scheduler default-global traffic-class 1 bw-percent 51", "the sum of bw-percent is 101"),
        ("nv set qos egress-scheduler default-global traffic-class 1 mode dwrr", "mode dwrr needs bw-percent"),
        ("nv set qos traffic-pool mc-lossy memory-percent 1", "the sum of memory-percent is 101"),
        ("nv set interface swp1 qos pfc-watchdog state enabled", "PFC is not configured on swp1"),
    ],
)
def test_a_revision_that_contradicts_itself_is_not_applied(switch, shell, line, reason):
    before = switch.running_text()
    shell.answer(line)
    answer = shell.answer(APPLY)
    assert answer.startswith("Invalid config [rev_id: 2]\n  Config invalid at ")
    assert reason in answer
    assert switch.running_text() == before


def test_pfc_needs_a_lossless_pool(switch, shell):
    shell.answer("nv unset qos traffic-pool default-lossless")
    shell.answer(LOSSLESS)
    assert "traffic-pool default-lossless has no memory-percent" in shell.answer(APPLY)


def test_an_unconfirmed_revision_is_taken_back_when_its_time_is_over(switch, shell):
    clock = [0.0]
    switch.revisions.now = lambda: clock[0]
    before = switch.running_text()
    shell.answer("nv set interface swp1 link state down")
    assert shell.answer("nv config apply --confirm 2m -y") == "confirm [rev_id: 2]\n"
    clock[0] = 119.9
    assert switch.is_shut("swp1")
    shell.answer("nv set interface swp2 link state down")
    assert "is waiting to be confirmed" in shell.answer(APPLY)
    clock[0] = 120.0
    assert switch.running_text() == before
    assert "is waiting" in shell.answer("nv config apply --confirm-yes")


@pytest.mark.parametrize(("time", "seconds"), [("", 600), ("3", 180), ("45s", 45), ("1h", 3600)])
def test_the_time_to_confirm_is_in_minutes_unless_it_says_otherwise(switch, shell, time, seconds):
    switch.revisions.now = lambda: 0.0
    shell.answer("nv set interface swp1 link state down")
    shell.answer(f"nv config apply --confirm {time} -y")
    assert switch.revisions.waiting.until == seconds
    assert shell.answer("nv config apply --confirm-status") == f"{seconds} seconds left\n"


def test_a_confirmed_revision_stays_and_a_rejected_one_does_not(switch, shell):
    clock = [0.0]
    switch.revisions.now = lambda: clock[0]
    before = switch.running_text()
    for answer in ("--confirm-no", "--confirm-yes"):
        shell.answer("nv set interface swp1 link state down")
        shell.answer("nv config apply --confirm -y")
        shell.answer(f"nv config apply {answer}")
        clock[0] += 10_000
        assert (switch.running_text() == before) == (answer == "--confirm-no")


def test_the_startup_file_is_what_was_saved_and_brings_it_back(switch, shell):
    before = switch.running_text()
    shell.answer(f"cp {STARTUP} aibench-1.yaml")
    assert list(switch.checkpoints) == ["aibench-1"]
    assert shell.answer("ls -1") == "aibench-1.yaml\n"
    applied(switch, LOSSLESS, "nv set interface swp1 description 'two words'", "nv unset interface swp2 ipv4")
    shell.answer("nv config replace /home/cumulus/aibench-1.yaml")
    shell.answer(APPLY)
    assert switch.running_text() == before
    shell.answer("rm aibench-1.yaml")
    assert not switch.checkpoints


def test_without_auto_save_only_what_is_saved_is_in_the_startup_file(switch, shell):
    applied(switch, "nv set system config auto-save state disabled")
    applied(switch, "nv set interface swp1 link state down")
    shell.answer(f"cp {STARTUP} early.yaml")
    assert shell.answer("nv config save") == "saved [rev_id: applied]\n"
    shell.answer(f"cp {STARTUP} late.yaml")
    assert "state: down" in switch.checkpoints["late"]
    assert "state: down" not in switch.checkpoints["early"]


def test_no_room_for_a_file_is_told(switch, shell):
    switch.max_checkpoints = 1
    assert shell.answer(f"cp {STARTUP} one.yaml") == ""
    assert "No space left on device" in shell.answer(f"cp {STARTUP} two.yaml")
    assert shell.answer(f"cp {STARTUP} one.yaml") == ""


def test_a_text_file_of_commands_is_taken_too(switch, shell):
    text = f"# comment\n{LOSSLESS}\nnv unset interface swp1 link mtu\n"
    for mode, part in ((">", text[:20]), (">>", text[20:])):
        shell.answer(f"echo {base64.b64encode(part.encode()).decode()} | base64 -d {mode} change.nv")
    assert shell.answer("cat change.nv") == text
    shell.answer("nv config patch change.nv")
    shell.answer(APPLY)
    assert switch.pfc("swp1", 3)
    assert "swp1 link mtu" not in switch.running_text()


def test_a_whole_text_replaces_everything(switch, shell):
    before = switch.running_text()
    shell.answer("nv config show -o commands > all.nv")
    applied(switch, LOSSLESS)
    shell.answer("nv config replace all.nv")
    shell.answer(APPLY)
    assert switch.running_text() == before


def test_an_earlier_revision_can_be_applied_again(switch, shell):
    before = switch.running_text()
    applied(switch, LOSSLESS)
    shell.answer("nv config apply 1 -y")
    assert switch.running_text() == before
    assert "applied_and_saved" in shell.answer("nv config history")


def test_writes_are_noted_and_looking_is_no_write():
    writes = Writes()
    shell = Shell(NvueSwitch("leaf3", NEIGHBOURS, writes))
    for line in ("nv show interface", "nv config show", "nv config diff", "ls -1", "date"):
        shell.answer(line)
    assert writes.all() == []
    shell.answer("nv set nonsense")
    shell.answer("nv config show > file")
    assert [what for _, what in writes.all()] == ["nv set nonsense", "nv config show > file"]


def test_marking_has_the_vendors_defaults_and_the_default_profile_marks_class_0(switch):
    queue = "nv set qos congestion-control default-global traffic-class 3"
    assert applied(switch, f"{queue} ecn enable").ecn("swp1", 3) == Ecn(150_000, 1_500_000, 1.0)
    lines = (f"{queue} min-threshold 1000", f"{queue} max-threshold 2000", f"{queue} probability 5")
    assert applied(switch, *lines).ecn("swp1", 3) == Ecn(1000, 2000, 0.05)
    assert applied(switch, f"{queue} ecn disable").ecn("swp1", 3) is None
    assert applied(switch, "nv unset qos congestion-control").ecn("swp1", 0) == Ecn(150_000, 1_500_000, 1.0)


def test_a_ports_own_profile_counts_in_place_of_the_default(switch):
    own = (
        "nv set qos congestion-control mine traffic-class 2,3 min-threshold 7",
        "nv set qos pfc mine switch-priority 5",
    )
    bound = ("nv set interface swp1 qos congestion-control profile mine", "nv set interface swp1 qos pfc profile mine")
    applied(switch, *own, *bound, LOSSLESS)
    assert switch.ecn("swp1", 2).kmin_bytes == switch.ecn("swp1", 3).kmin_bytes == 7
    assert switch.ecn("swp2", 3) is None
    lossless = {name: [one for one in range(8) if switch.pfc(name, one)] for name in ("swp1", "swp2")}
    assert lossless == {"swp1": [5], "swp2": [3]}


def test_pause_is_sent_after_a_share_of_the_buffer_and_the_threshold_or_at_the_threshold_alone(switch):
    profile = "nv set qos pfc default-global"
    assert applied(switch, LOSSLESS).pfc("swp1", 3) == Pfc(alpha=1.0)
    applied(switch, f"{profile} xoff-threshold 10000", f"{profile} xon-threshold 2000", f"{ALPHA} alpha_1_8")
    assert switch.pfc("swp1", 3) == Pfc(alpha=1 / 8, reserved_bytes=10_000, xon_offset_bytes=2000)
    applied(switch, f"{ALPHA} alpha_0", f"{profile} port-buffer 25000")
    assert switch.pfc("swp1", 3) == Pfc(xoff_bytes=10_000, xon_offset_bytes=2000, headroom_bytes=15_000)
    headroom = "nv set qos advance-buffer-config default-global shared-headroom exclusive-headroom-per-pg 20000"
    applied(switch, headroom, "nv set interface swp1 qos shared-headroom-pool enabled")
    assert [switch.pfc(name, 3).headroom_bytes for name in ("swp1", "swp2")] == [20_000, 15_000]


@pytest.mark.parametrize("direction", ["tx", "rx"])
def test_a_class_that_is_paused_one_way_only_is_not_lossless(switch, direction):
    assert applied(switch, LOSSLESS, f"nv set qos pfc default-global {direction} disable").pfc("swp1", 3) is None


def test_the_watchdog_waits_some_intervals_and_lets_go_after_one(switch):
    applied(switch, LOSSLESS, "nv set interface swp1 qos pfc-watchdog state enabled")
    assert switch.watchdog("swp1") == PfcWatchdog(300_000_000, 100_000_000, "drop")
    applied(switch, "nv set qos pfc-watchdog polling-interval 200", "nv set qos pfc-watchdog robustness 5")
    assert switch.watchdog("swp1") == PfcWatchdog(1_000_000_000, 200_000_000, "drop")
    assert switch.watchdog("swp2") is None
    assert applied(switch, "nv set interface swp2 qos pfc-watchdog").watchdog("swp2")
    assert applied(switch, "nv set interface swp1 qos pfc-watchdog state disabled").watchdog("swp1") is None


def test_adaptive_routing_takes_the_least_loaded_port_once_it_is_on_at_both_levels(switch):
    assert switch.load_balancing() == LoadBalancing("ecmp")
    assert applied(switch, "nv set router adaptive-routing state enabled").load_balancing() == LoadBalancing("ecmp")
    applied(switch, "nv set interface swp49 router adaptive-routing state enabled")
    assert switch.load_balancing() == LoadBalancing("least_queue")


def test_static_routes_are_those_of_the_default_vrf(switch):
    via = "router static 10.1.0.40/32 via 10.2.0.7"
    applied(switch, f"nv set vrf default {via} interface swp49", f"nv set vrf other {via}")
    expected = StaticRoute(ipaddress.IPv4Network("10.1.0.40/32"), ipaddress.IPv4Address("10.2.0.7"), "swp49")
    assert switch.static_routes() == [expected]


@given(st.sets(st.integers(1, 64), min_size=1))
def test_a_list_of_interfaces_stands_for_what_it_was_made_of(numbers):
    names = sorted((f"swp{number}" for number in numbers), key=lambda name: int(name[3:]))
    assert expand(compress(names)) == names
