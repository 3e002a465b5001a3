"""PFC, its watchdog, load balancing and static routes on the simulated EOS switch: grammar, and what takes effect."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_virtual_lab_eos import INTERFACES, configured

from aibench_lib.errors import SpecError
from aibench_lib.simulator import LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.cli.grammar import CliError
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.eos import effects
from aibench_lib.virtual_lab.eos.switch import EosSwitch
from aibench_lib.virtual_lab.writes import Writes

MMU = "platform trident mmu queue profile ROCE"
BOUND = ("interface Ethernet1", "service-profile A")
LOSSLESS = ("qos profile A", "priority-flow-control on", "priority-flow-control priority 3 no-drop")
THRESHOLD = (MMU, "ingress priority-group 3 threshold 1/128", "ingress priority-group 3 reserved bytes 500000")
WATCHED = ("qos profile A", "priority-flow-control pause watchdog")
TIMERS = (
    "priority-flow-control pause watchdog default timeout 0.2",
    "priority-flow-control pause watchdog default recovery-time 1",
)


def pfc(*lines, interface="Ethernet1", priority=3):
    return effects.pfc(configured(*lines), interface, priority)


def watchdog(*lines):
    return effects.watchdog(configured(*lines, *BOUND), "Ethernet1")


def test_a_priority_is_lossless_where_pfc_is_on_and_the_profile_is_bound():
    assert pfc(*LOSSLESS) is None
    assert pfc(*LOSSLESS, *BOUND) is not None
    assert pfc(*LOSSLESS, *BOUND, priority=4) is None
    assert pfc(*LOSSLESS, *BOUND, interface="Ethernet2") is None
    assert pfc("qos profile A", "priority-flow-control priority 3 no-drop", *BOUND) is None
    assert pfc("qos profile A", "priority-flow-control on", *BOUND) is None
    assert pfc(*LOSSLESS, *BOUND, "priority-flow-control all off") is None


def test_what_an_interface_says_itself_counts_before_its_profile():
    own = ("interface Ethernet1", "priority-flow-control priority 3 drop")
    assert pfc(*LOSSLESS, *BOUND, *own) is None
    assert pfc("interface Ethernet1", *LOSSLESS[1:]) is not None


@pytest.mark.parametrize(
    "negated",
    ["no priority-flow-control", "no priority-flow-control on", "no priority-flow-control priority 3 no-drop"],
)
def test_no_makes_a_priority_lossy_again(negated):
    assert pfc(*LOSSLESS, negated, *BOUND) is None


def test_the_threshold_is_what_is_reserved_and_a_share_of_the_free_buffer_once_the_profile_is_applied():
    expected = Pfc(alpha=1 / 128, reserved_bytes=500_000, xon_offset_bytes=1016)
    assert pfc(*LOSSLESS, *BOUND, *THRESHOLD, f"{MMU} apply") == expected
    assert pfc(*LOSSLESS, *BOUND, *THRESHOLD).reserved_bytes is None
    assert pfc(*LOSSLESS, *BOUND, *THRESHOLD, f"{MMU} apply", f"no {MMU} apply").reserved_bytes is None


def test_sizes_may_be_in_cells_and_what_a_group_does_not_say_the_port_does():
    lines = (MMU, "ingress reserved cells 10", "ingress threshold 4", "ingress headroom 9000", "ingress resume 2000")
    assert pfc(*LOSSLESS, *BOUND, *lines, f"{MMU} apply") == Pfc(
        alpha=4.0, reserved_bytes=2540, headroom_bytes=9000, xon_offset_bytes=2000
    )


@pytest.mark.parametrize("alpha", ["1/3", "3", "1/1", "0", "1/"])
def test_only_the_chips_shares_are_taken(alpha):
    with pytest.raises(CliError, match=f"Invalid input .*'{alpha}'"):
        configured(MMU, f"ingress priority-group 3 threshold {alpha}")


@pytest.mark.parametrize(
    "line",
    [
        "priority-flow-control pause watchdog default timeout 0",
        "priority-flow-control pause watchdog default timeout 60.01",
        "priority-flow-control pause watchdog default timeout 0.011",
        "priority-flow-control pause watchdog default timeout 1e1",
        "priority-flow-control pause watchdog default polling-interval 0.0005",
        "priority-flow-control pause watchdog action panic",
        "ip hardware fib load-balance distribution dynamic flow-set-size 8",
        "ip route 10.1.0.40/33 Ethernet1 10.2.0.5",
        "ip route 10.1.0.40 Ethernet1 10.2.0.5",
        "ip route 10.1.0.41/31 Ethernet1 10.2.0.5",
        "ip route 10.1.0.40/32 Ethernet7 10.2.0.5",
        "ip route 10.1.0.40/32 Ethernet1 10.2.0.5/31",
    ],
)
def test_what_the_grammar_does_not_have_is_refused(line):
    with pytest.raises(CliError, match="% Invalid input"):
        configured(line)


@given(st.integers(1, 6000))
def test_timers_are_shown_with_two_decimals(hundredths):
    text = configured(f"{TIMERS[0].rpartition(' ')[0]} {hundredths / 100}").text()
    assert text == f"priority-flow-control pause watchdog default timeout {hundredths / 100:.2f}\n!\n"


def test_the_watchdog_needs_timers_an_action_and_a_port_that_is_watched():
    action = "priority-flow-control pause watchdog action drop"
    expected = PfcWatchdog(detection_ns=200_000_000, restoration_ns=1_000_000_000, action="drop")
    assert watchdog(*TIMERS, action, *WATCHED) == expected
    assert watchdog(*TIMERS, action, *LOSSLESS) is None
    assert watchdog(action, *WATCHED) is None
    assert watchdog(*TIMERS, action, *WATCHED, "no priority-flow-control pause watchdog") is None
    assert watchdog(*TIMERS, action.replace("drop", "notify-only"), *WATCHED) is None
    override = "priority-flow-control pause watchdog override action drop"
    assert watchdog(*TIMERS, action.replace("drop", "errdisable"), override, *WATCHED) == expected


def test_a_ports_own_timers_and_action_count_before_the_defaults():
    own = (
        "priority-flow-control pause watchdog port timer timeout 0.5 polling-interval 0.1 recovery-time 0.6",
        "priority-flow-control pause watchdog port action drop",
    )
    assert watchdog(*TIMERS, *WATCHED, *own) == PfcWatchdog(detection_ns=500_000_000, restoration_ns=600_000_000)


def test_a_watchdog_that_would_shut_ports_is_said_not_to_be_simulated():
    with pytest.raises(SpecError, match="errdisable is not simulated"):
        watchdog(*TIMERS, *WATCHED)


def test_dynamic_distribution_is_by_flowlets_and_the_default_is_a_hash():
    line = "ip hardware fib load-balance distribution dynamic"
    assert effects.load_balancing(configured()) == LoadBalancing("ecmp")
    assert effects.load_balancing(configured(line)) == LoadBalancing("flowlet")
    assert effects.load_balancing(configured(f"{line} flow-set-size 3")).mode == "flowlet"
    assert effects.load_balancing(configured(line, f"no {line}")).mode == "ecmp"


def test_static_routes_are_added_and_removed_by_prefix_or_one_by_one():
    one, two = "ip route 10.1.0.40/32 Ethernet2 10.2.0.5", "ip route 10.1.0.40/32 10.2.0.7"
    route = StaticRoute(ipaddress.IPv4Network("10.1.0.40/32"), ipaddress.IPv4Address("10.2.0.5"), "Ethernet2")
    assert route in effects.static_routes(configured(one, two))
    assert configured(one, two, f"no {one}").text() == f"{two}\n!\n"
    other = "ip route 10.1.0.4/32 10.2.0.7"
    assert configured(one, two, other, "no ip route 10.1.0.40/32").text() == f"{other}\n!\n"


def test_a_routed_port_has_the_address_that_the_operator_gave_it():
    switch = EosSwitch("leaf1", INTERFACES, Writes(), {"Ethernet1": "10.2.0.0/31"})
    assert switch.addresses() == {"Ethernet1": ipaddress.IPv4Interface("10.2.0.0/31")}
    editor = switch.editor()
    for line in ("interface Ethernet1", "switchport"):
        editor.enter(line)
    assert switch.addresses() == {}


def test_a_lossless_configuration_pasted_from_its_own_text_is_the_same():
    lines = (*LOSSLESS, *WATCHED, *THRESHOLD, f"{MMU} apply", *TIMERS, *BOUND, "ip route 10.1.0.40/32 10.2.0.7")
    text = configured(*lines).text()
    assert configured(*(line for line in text.splitlines() if line != "!")).text() == text
