"""The shell and the CONFIG_DB of the simulated SONiC switch, without SSH."""

import base64
import ipaddress
import json
import re

import pytest

from aibench_lib.errors import SpecError
from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.gnmi.paths import parse
from aibench_lib.virtual_lab.gnmi.plan import Listing
from aibench_lib.virtual_lab.gnmi.service import Target
from aibench_lib.virtual_lab.sonic.switch import SonicSwitch
from aibench_lib.virtual_lab.sonic.telemetry import CONTAINERS, MODELS
from aibench_lib.virtual_lab.writes import Writes

NEIGHBOURS = {"Ethernet0": Port("prefill01", "nic0"), "Ethernet4": Port("spine1", "Ethernet8")}
PROFILE = {"pool": "ingress_lossless_pool", "size": "0", "xoff": "50000", "xon_offset": "2000"}
STATIC = {
    "BUFFER_PROFILE": {"mine": {**PROFILE, "static_th": "100000"}},
    "BUFFER_PG": {"Ethernet0|3-4": {"profile": "mine"}},
    "PORT_QOS_MAP": {"Ethernet0": {"pfc_enable": "3,4"}},
}
WRED = {
    "ecn": "ecn_all",
    "wred_green_enable": "true",
    "green_min_threshold": "100000",
    "green_max_threshold": "200000",
    "green_drop_probability": "20",
}
ARMED = (
    "sudo systemd-run --unit=aibench-1 --on-active=60 --timer-property=AccuracySec=100ms /bin/sh -c "
    "'/usr/local/bin/config load -y /etc/sonic/checkpoints/before.cp.json; /usr/local/bin/config rollback before'"
)


class Clock:
    """What time it is, as a test says."""

    def __init__(self):
        self.seconds = 1000.0

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
    return SonicSwitch("leaf2", NEIGHBOURS, writes, {"Ethernet4": "10.2.0.4/31"}, clock)


@pytest.fixture
def shell(switch):
    return switch.conversation()


@pytest.fixture
def load(shell):
    """Load tables as the driver does it; return what the switch prints."""

    def load(tables, command="sudo config load -y /tmp/change.json"):
        encoded = base64.b64encode(json.dumps(tables).encode()).decode()
        assert shell.answer(f"echo {encoded} | base64 -d > /tmp/change.json") == ""
        return shell.answer(command)

    return load


def loaded(answer):
    return answer == "Running command: /usr/local/bin/sonic-cfggen -j /tmp/change.json --write-to-db\n"


def tables(switch):
    return json.loads(switch.running_text())


def test_the_prompt_is_that_of_the_shell_of_an_administrator(shell):
    assert shell.prompt == "admin@leaf2:~$ "
    assert not shell.closed
    shell.answer("exit")
    assert shell.closed


def test_a_file_is_written_in_parts_and_read_and_removed(shell):
    for start, operator in (("one ", ">"), ("two", ">>")):
        encoded = base64.b64encode(start.encode()).decode()
        assert shell.answer(f"echo {encoded} | base64 -d {operator} /tmp/a") == ""
    assert shell.answer("cat /tmp/a") == "one two\n"
    assert shell.answer("rm /tmp/a") == ""
    assert shell.answer("rm /tmp/a") == "rm: cannot remove '/tmp/a': No such file or directory\n"
    assert shell.answer("rm -f /tmp/a") == ""
    assert shell.answer("cat /tmp/a") == "cat: /tmp/a: No such file or directory\n"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("configure terminal", "-bash: configure: command not found"),
        ("sudo frobnicate", "sudo: frobnicate: command not found"),
        ("echo !! | base64 -d", "base64: invalid input"),
        ("echo a > /etc/passwd", "-bash: /etc/passwd: Permission denied"),
        ("echo 'a", "-bash: unexpected EOF while looking for matching quote"),
        ("config save -y", "Root privileges are required for this operation"),
        ("sudo config load -y /tmp/none.json", "The config_db file /tmp/none.json doesn't exist"),
        ("sudo config load /etc/sonic/config_db.json", "Aborted!"),
        ("sudo config rollback none", "Error: Checkpoint 'none' does not exist"),
        ("sudo config delete-checkpoint none", "Error: Checkpoint 'none' does not exist"),
        ("sudo config replace /tmp/none", "Error: [Errno 2] No such file or directory: '/tmp/none'"),
        ("sudo config checkpoint", 'Error: Missing argument "CHECKPOINT_NAME".'),
        ("sudo config checkpoint a b", "Error: Got unexpected extra argument (b)"),
        ("sudo config checkpoint --all a", "Error: no such option: --all"),
        ("sudo config frob", 'Error: No such command "frob".'),
        ("sudo config interface frob", 'Error: No such command "frob".'),
        ("sudo config interface shutdown Ethernet9", "Error: Interface name is invalid. Please enter a valid"),
        ("show frob", 'Error: No such command "frob".'),
        ("sonic-clear queue watermark unicast", "Root privileges are required for this operation"),
        ("systemctl stop a.timer", "Failed to stop a.timer: Interactive authentication required."),
        ("sudo systemctl stop a.timer", "Failed to stop a.timer: Unit a.timer not loaded."),
        ("sudo systemd-run --unit=a --on-active=soon true", "Failed to parse timer value: soon"),
        ("sudo systemd-run --unti=a --on-active=1 true", "systemd-run: unrecognized option '--unti'"),
    ],
)
def test_what_the_tools_do_not_do_they_refuse_in_their_own_words(shell, line, answer):
    assert answer in shell.answer(line)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"WRED_PROFILE": {"A": {"green_threshold": "1"}}}, 'Unknown element "green_threshold" in "WRED_PROFILE_LIST"'),
        ({"WRED_PROFILE": {"A": {"green_drop_probability": "101"}}}, 'Value "101" does not satisfy .* "0..100"'),
        ({"WRED_PROFILE": {"A": {"green_min_threshold": "100 KB"}}}, 'Invalid value "100 KB"'),
        ({"WRED_PROFILE": {"A": {"ecn": "on"}}}, 'Invalid value "on" in "ecn" element'),
        (
            {"WRED_PROFILE": {"A": {"green_min_threshold": "2", "green_max_threshold": "1"}}},
            "Green max threshold must be greater than or equal to min threshold",
        ),
        (
            {"QUEUE": {"Ethernet0|3": {"wred_profile": "NONE"}}},
            'Leafref .*WRED_PROFILE.* of value "NONE" points to a non',
        ),
        ({"QUEUE": {"Ethernet9|3": {}}}, 'Leafref .*PORT.* of value "Ethernet9"'),
        ({"QUEUE": {"Ethernet0": {}}}, "All Keys are not parsed in QUEUE"),
        ({"PORT_QOS_MAP": {"Ethernet0": {"pfc_enable": "8"}}}, 'Value "8" does not satisfy'),
        ({"BUFFER_PROFILE": {"p": {"size": "0"}}}, 'Missing required element "pool" in "BUFFER_PROFILE_LIST"'),
        ({"BUFFER_PROFILE": {"p": {**PROFILE, "dynamic_th": "8"}}}, 'Value "8" does not satisfy .* "-8..7"'),
        ({"BUFFER_POOL": {"ingress_lossless_pool": None}}, 'Leafref .*BUFFER_POOL.* of value "ingress_lossless_pool"'),
        ({"PFC_WD": {"Ethernet0": {"detection_time": "99"}}}, 'Value "99" does not satisfy .* "100..5000"'),
        ({"PFC_WD": {"Ethernet0": {"restoration_time": "60001"}}}, 'Value "60001" does not satisfy'),
        (
            {"PFC_WD": {"GLOBAL": {"POLL_INTERVAL": "200"}, "Ethernet0": {"detection_time": "100"}}},
            "detection_time must be greater than or equal to POLL_INTERVAL",
        ),
        ({"DSCP_TO_TC_MAP": {"AZURE": {"64": "3"}}}, 'Unknown element "64"'),
        ({"DSCP_TO_TC_MAP": {"AZURE": {"26": "16"}}}, 'Value "16" does not satisfy'),
        ({"SCHEDULER": {"s": {"type": "DWRR", "weight": "0"}}}, 'Value "0" does not satisfy .* "1..100"'),
        ({"SWITCH_HASH": {"GLOBAL": {"ecmp_hash": ["SRC_IP", "UDP"]}}}, 'Invalid value "UDP" in "ecmp_hash"'),
        ({"ARS_OBJECT": {"o": {"flowlet_idle_time": "2048"}}}, 'Value "2048" does not satisfy .* "2..2047"'),
        ({"ARS_PROFILE": {"p": {"default_ars_object": "o"}}}, "Leafref .*ARS_OBJECT"),
        ({"ARS_PROFILE": {"p": {"algorithm": "ewma"}, "q": {"algorithm": "ewma"}}}, 'Too many "ARS_PROFILE_LIST"'),
        ({"PORT": {"Ethernet0": {"admin_status": "enabled"}}}, 'Invalid value "enabled" in "admin_status"'),
        ({"PORT": {"Ethernet8": {"admin_status": "up"}}}, 'Missing required element "lanes"'),
        ({"STATIC_ROUTE": {"default|10.1.0.1": {"nexthop": "10.2.0.5"}}}, 'Value "10.1.0.1" does not satisfy'),
        ({"INTERFACE": {"Ethernet0|10.0.0.0/31": {}, "Ethernet0": None}}, "Must condition not satisfied"),
    ],
)
def test_what_the_models_do_not_have_is_refused_and_changes_nothing(switch, load, change, reason):
    before = switch.running_text()
    answer = load(change)
    assert re.search(reason, answer), answer
    assert "/tmp/change.json fails YANG validation! Error: " in answer
    assert answer.endswith("Aborted!\n")
    assert switch.running_text() == before


def test_a_table_without_a_model_is_refused(switch, shell, load):
    before = switch.running_text()
    assert load({"QOS": {"a": {"b": "c"}}}).endswith(
        "Config tables are missing yang models: dict_keys(['QOS'])\nAborted!\n"
    )
    assert switch.running_text() == before


def test_a_file_that_is_no_json_is_refused_with_the_trace_of_the_tool(switch, shell):
    before = switch.running_text()
    shell.answer("echo e30uLi4= | base64 -d > /tmp/change.json")
    assert "Traceback (most recent call last):\njson" in shell.answer("sudo config load -y /tmp/change.json")
    assert switch.running_text() == before


@pytest.mark.parametrize("content", [[], {"PORT": []}, {"PORT": {"Ethernet0": "up"}}])
def test_a_file_that_has_no_tables_of_rows_is_refused(switch, load, content):
    before = switch.running_text()
    assert "the file is no CONFIG_DB" in load(content)
    assert switch.running_text() == before


def test_loading_writes_over_what_is_there_and_null_removes_a_row(switch, load):
    assert loaded(load({"SCHEDULER": {"scheduler.0": {"weight": 20}, "own": {"type": "STRICT"}}}))
    assert tables(switch)["SCHEDULER"] == {
        "own": {"type": "STRICT"},
        "scheduler.0": {"type": "DWRR", "weight": "20"},
        "scheduler.1": {"type": "DWRR", "weight": "15"},
    }
    assert loaded(load({"SCHEDULER": {"own": None, "none": None}, "PFC_WD": {"Ethernet0": None}}))
    assert list(tables(switch)["SCHEDULER"]) == ["scheduler.0", "scheduler.1"]
    assert "PFC_WD" not in tables(switch)


def test_the_configuration_is_shown_in_one_order_whatever_the_order_of_the_changes(switch, shell, load):
    load({"WRED_PROFILE": {"B": {"ecn": "ecn_all"}, "A": {"ecn": "ecn_none"}}})
    shown = shell.answer("sudo sonic-cfggen -d --print-data")
    assert shown == switch.running_text()
    assert list(json.loads(shown)) == sorted(json.loads(shown))
    assert list(json.loads(shown)["WRED_PROFILE"]) == ["A", "B"]


def test_code_point_26_is_of_class_3_although_the_map_of_sonic_sends_it_elsewhere(switch):
    classes = tables(switch)["DSCP_TO_TC_MAP"]["AZURE"]
    assert (classes["26"], classes["25"], classes["48"], len(classes)) == ("3", "1", "6", 64)


def test_an_operators_switch_neither_marks_nor_pauses(switch):
    assert switch.ecn("Ethernet0", 3) is None
    assert switch.pfc("Ethernet0", 3) is None
    assert switch.watchdog("Ethernet0") is None
    assert switch.load_balancing() == LoadBalancing(mode="ecmp")
    assert switch.addresses() == {"Ethernet4": ipaddress.IPv4Interface("10.2.0.4/31")}
    assert switch.static_routes() == []
    assert not switch.is_shut("Ethernet0")


def test_marking_takes_effect_where_the_profile_is_bound(switch, load):
    load({"WRED_PROFILE": {"LOSSLESS": WRED}})
    assert switch.ecn("Ethernet0", 3) is None
    load({"QUEUE": {"Ethernet0|3": {"wred_profile": "LOSSLESS"}}})
    assert switch.ecn("Ethernet0", 3) == Ecn(kmin_bytes=100_000, kmax_bytes=200_000, pmax=0.2)
    assert switch.ecn("Ethernet0", 4) is None
    assert switch.ecn("Ethernet4", 3) is None


@pytest.mark.parametrize("off", [{"ecn": "ecn_none"}, {"ecn": "ecn_yellow"}, {"wred_green_enable": "false"}])
def test_a_profile_that_is_not_for_green_packets_marks_nothing(switch, load, off):
    load({"WRED_PROFILE": {"A": {**WRED, **off}}, "QUEUE": {"Ethernet0|3-4": {"wred_profile": "A"}}})
    assert switch.ecn("Ethernet0", 3) is None


def test_thresholds_of_ecn_alone_count_before_those_of_wred(switch, load):
    own = {"ecn_green_min_threshold": "1000", "ecn_green_max_threshold": "2000", "ecn_green_mark_probability": "50"}
    load({"WRED_PROFILE": {"A": {**WRED, **own}}, "QUEUE": {"Ethernet0|3-4": {"wred_profile": "A"}}})
    assert switch.ecn("Ethernet0", 4) == Ecn(kmin_bytes=1000, kmax_bytes=2000, pmax=0.5)


def test_a_priority_is_lossless_where_it_is_listed_and_its_group_has_the_profile(switch, load):
    load(STATIC)
    pfc = Pfc(xoff_bytes=100_000, xon_offset_bytes=2000, headroom_bytes=50_000, reserved_bytes=0)
    assert switch.pfc("Ethernet0", 3) == pfc
    assert switch.pfc("Ethernet0", 2) is None
    assert switch.pfc("Ethernet4", 3) is None
    load({"PORT_QOS_MAP": {"Ethernet0": {"pfc_enable": ""}}})
    assert switch.pfc("Ethernet0", 3) is None


def test_a_dynamic_threshold_is_a_power_of_two_of_the_free_buffer(switch, load):
    load({**STATIC, "BUFFER_PROFILE": {"mine": {**PROFILE, "dynamic_th": "-3"}}})
    assert switch.pfc("Ethernet0", 3).alpha == 1 / 8
    load({"BUFFER_PROFILE": {"mine": {"dynamic_th": "7"}}})
    with pytest.raises(SpecError, match="dynamic_th 7 is not simulated"):
        switch.pfc("Ethernet0", 3)


def test_a_lossless_priority_without_a_profile_gets_the_one_that_the_buffer_manager_makes(switch, load):
    load({"PORT_QOS_MAP": {"Ethernet0": {"pfc_enable": "3"}}})
    assert switch.pfc("Ethernet0", 3) == Pfc(alpha=1 / 8, xon_offset_bytes=2288)


def test_the_watchdog_acts_on_the_ports_that_have_a_row(switch, load):
    row = {"action": "drop", "detection_time": "200", "restoration_time": "400"}
    load({"PFC_WD": {"Ethernet0": row}})
    assert switch.watchdog("Ethernet0") == PfcWatchdog(200_000_000, 400_000_000, "drop")
    assert switch.watchdog("Ethernet4") is None
    load({"PFC_WD": {"Ethernet0": {"action": "alert"}}})
    assert switch.watchdog("Ethernet0") is None
    load({"PFC_WD": {"Ethernet0": None}})
    assert switch.watchdog("Ethernet0") is None


@pytest.mark.parametrize(
    ("assigned", "mode"), [("per_flowlet_quality", "flowlet"), ("per_packet_quality", "least_queue")]
)
def test_paths_are_chosen_by_load_where_ars_is_on_for_the_whole_switch(switch, load, assigned, mode):
    ars = {"algorithm": "ewma", "ars_nhg_path_selector_mode": "global", "default_ars_object": "o"}
    load({"ARS_OBJECT": {"o": {"assign_mode": assigned, "flowlet_idle_time": "50"}}, "ARS_PROFILE": {"p": ars}})
    assert switch.load_balancing() == LoadBalancing(mode=mode, flowlet_gap_ns=50_000)
    load({"ARS_PROFILE": {"p": {"ars_nhg_path_selector_mode": "interface"}}})
    assert switch.load_balancing() == LoadBalancing(mode="ecmp")
    load({"ARS_INTERFACE": {"Ethernet0": {"scaling_factor": "1"}}})
    with pytest.raises(SpecError, match="only ars_nhg_path_selector_mode global is simulated"):
        switch.load_balancing()


def test_static_routes_have_a_next_hop_and_maybe_an_interface(switch, load):
    load(
        {
            "STATIC_ROUTE": {
                "default|10.1.0.1/32": {"nexthop": "10.2.0.5", "ifname": "Ethernet4"},
                "10.1.0.2/32": {"nexthop": "10.2.0.5"},
                "Vrf1|10.1.0.3/32": {"nexthop": "10.2.0.5"},
            }
        }
    )
    hop = ipaddress.IPv4Address("10.2.0.5")
    assert sorted(switch.static_routes(), key=lambda route: route.prefix) == [
        StaticRoute(ipaddress.IPv4Network("10.1.0.1/32"), hop, "Ethernet4"),
        StaticRoute(ipaddress.IPv4Network("10.1.0.2/32"), hop, None),
    ]


def test_an_interface_is_shut_by_its_command_and_by_its_row(switch, shell, load):
    assert shell.answer("sudo config interface shutdown Ethernet0") == ""
    assert switch.is_shut("Ethernet0")
    load({"PORT": {"Ethernet0": {"admin_status": "up"}}})
    assert not switch.is_shut("Ethernet0")


def test_a_rollback_brings_back_exactly_the_checkpoint(switch, shell, load):
    before = switch.running_text()
    assert shell.answer("sudo config checkpoint before") == "Checkpoint created successfully.\n"
    load(STATIC)
    load({"PORT": {"Ethernet0": {"mtu": "1500"}}, "INTERFACE": {"Ethernet4|10.2.0.4/31": None}})
    assert switch.running_text() != before
    assert shell.answer("sudo config rollback before") == "Config rolled back successfully.\n"
    assert switch.running_text() == before


def test_checkpoints_are_listed_and_deleted_and_there_are_no_more_than_the_disk_holds(switch, shell):
    switch.max_checkpoints = 2
    for name in ("one", "two"):
        shell.answer(f"sudo config checkpoint {name}")
    full = shell.answer("sudo config checkpoint three")
    assert full.startswith("Failed to create a config checkpoint\n")
    assert "Error: [Errno 28] No space left on device" in full
    assert json.loads(shell.answer("sudo config list-checkpoints")) == ["one", "two"]
    assert shell.answer("sudo config delete-checkpoint one") == "Checkpoint deleted successfully.\n"
    assert list(switch.checkpoints) == ["two"]


@pytest.mark.parametrize(
    ("row", "allowed"),
    [
        ({"dynamic_th": "1", "xoff": "1"}, True),
        ({"dynamic_th": "1", "xon_offset": "1"}, False),
        ({"dynamic_th": "1", "static_th": "1"}, False),
    ],
)
def test_of_a_buffer_profile_that_is_there_the_updater_changes_two_fields_and_no_more(
    switch, shell, load, row, allowed
):
    load({"BUFFER_PROFILE": {"mine": {**PROFILE, "dynamic_th": "-3"}}})
    shell.answer("sudo config checkpoint before")
    load({"BUFFER_PROFILE": {"mine": row}})
    answer = shell.answer("sudo config rollback before")
    assert ("Config rolled back" in answer) == allowed
    assert ("Error: Modification of BUFFER_PROFILE table is illegal-" in answer) != allowed
    shell.answer("sudo config load -y /etc/sonic/checkpoints/before.cp.json")
    if "static_th" not in row:
        assert "Config rolled back" in shell.answer("sudo config rollback before")


def test_the_updater_does_not_remove_the_global_row_of_the_watchdog(switch, shell, load):
    load({"PFC_WD": {"Ethernet0": {"detection_time": "200"}}})
    shell.answer("sudo config checkpoint before")
    load({"PFC_WD": {"GLOBAL": {"POLL_INTERVAL": "100"}}})
    answer = shell.answer("sudo config rollback before")
    assert "Operation: remove is illegal on field: /PFC_WD/GLOBAL" in answer


def test_a_configuration_is_replaced_by_its_text(switch, shell, load):
    before = json.loads(switch.running_text())
    load(STATIC)
    assert load(before, "sudo config replace /tmp/change.json") == "Config replaced successfully.\n"
    assert json.loads(switch.running_text()) == before


def test_a_dry_run_changes_nothing(switch, shell, load):
    shell.answer("sudo config checkpoint before")
    load(STATIC)
    changed = switch.running_text()
    assert "Config rolled back" in shell.answer("sudo config rollback --dry-run before")
    assert switch.running_text() == changed


def test_a_timer_takes_a_change_back_when_its_time_is_over(switch, shell, load, clock):
    before = switch.running_text()
    shell.answer("sudo config checkpoint before")
    armed = shell.answer(ARMED)
    assert armed == "Running timer as unit: aibench-1.timer\nWill run service as unit: aibench-1.service\n"
    load(STATIC)
    clock.seconds += 59.9
    assert switch.pfc("Ethernet0", 3) is not None
    clock.seconds += 0.1
    assert switch.pfc("Ethernet0", 3) is None
    assert switch.running_text() == before
    assert "Unit aibench-1.timer not loaded." in shell.answer("sudo systemctl stop aibench-1.timer")


def test_a_timer_takes_back_what_the_updater_alone_would_refuse(switch, shell, load, clock):
    load(STATIC)
    before = switch.running_text()
    shell.answer("sudo config checkpoint before")
    shell.answer(ARMED)
    load({"BUFFER_PROFILE": {"mine": {"static_th": "1"}}, "WRED_PROFILE": {"A": WRED}})
    clock.seconds += 60
    assert switch.running_text() == before


def test_a_timer_that_is_stopped_does_nothing(switch, shell, load, clock):
    shell.answer("sudo config checkpoint before")
    shell.answer(ARMED)
    load(STATIC)
    changed = switch.running_text()
    assert shell.answer("sudo systemctl stop aibench-1.timer") == ""
    clock.seconds += 1000
    assert switch.running_text() == changed


def test_two_timers_of_one_name_are_refused(shell):
    shell.answer("sudo config checkpoint before")
    shell.answer(ARMED)
    assert "Unit aibench-1.timer was already loaded" in shell.answer(ARMED)


def test_a_timer_outlives_the_session_that_made_it(switch, shell, load, clock):
    before = switch.running_text()
    shell.answer("sudo config checkpoint before")
    shell.answer(ARMED)
    load(STATIC)
    shell.answer("exit")
    clock.seconds += 61
    assert switch.conversation().answer("sudo sonic-cfggen -d --print-data") == before


def test_every_write_is_noted_and_nothing_that_only_shows(shell, load, writes):
    for line in ("show version", "sudo sonic-cfggen -d --print-data", "sudo config list-checkpoints"):
        shell.answer(line)
    assert writes.all() == []
    load({"SCHEDULER": {"own": {"type": "NONE"}}})
    shell.answer("sudo config checkpoint a")
    assert writes.all() == [("leaf2", "config load -y /tmp/change.json"), ("leaf2", "config checkpoint a")]


def test_saving_makes_the_running_configuration_that_of_the_next_start(switch, shell, load):
    load(STATIC)
    assert "mine" not in shell.answer("cat /etc/sonic/config_db.json")
    shell.answer("sudo config save -y")
    assert shell.answer("cat /etc/sonic/config_db.json") == switch.running_text()


def test_the_shows_say_that_the_switch_is_simulated_and_which_ports_are_up(switch, shell):
    shell.answer("sudo config interface shutdown Ethernet0")
    version = shell.answer("show version")
    assert "SONiC Software Version: SONiC.0" in version
    assert version.count("simulated") == 3
    lines = shell.answer("show interfaces status").splitlines()
    assert [line.split()[0::6][:2] for line in lines[2:]] == [["Ethernet0", "trunk"], ["Ethernet4", "routed"]]
    assert [line.split()[7:9] for line in lines[2:]] == [["down", "down"], ["up", "up"]]
    assert re.search(r"^Ethernet4\s+spine1\s+Ethernet8\s", shell.answer("show lldp table"), re.MULTILINE)
    assert "prefill01" not in shell.answer("show lldp table")
    assert "10.2.0.4/31" in shell.answer("show ip interfaces")
    assert "UTC" in shell.answer("show clock")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/COUNTERS/Ethernet0/Queues", [("queue", "Ethernet0", priority, 7) for priority in range(8)]),
        ("/COUNTERS/Ethernet0/Queues/3", [("queue", "Ethernet0", 3, 7)]),
        ("/COUNTERS/Ethernet4/SAI_PORT_STAT_PFC_3_RX_PKTS", [("pfc", "Ethernet4", 3, 1)]),
        (
            "/COUNTERS/Ethernet4",
            [*(("pfc", "Ethernet4", priority, 3) for priority in range(8)), ("interface", "Ethernet4", 0, 6)],
        ),
        ("/COUNTERS/Ethernet9", []),
    ],
)
def test_counters_are_found_below_their_port_and_queues_only_where_they_are_asked_for(path, found):
    target = Target("leaf2", list(NEIGHBOURS), CONTAINERS, None, MODELS, lambda _: None)
    entries = Listing(target).find(parse(path))
    assert [(str(one.container.subject), one.interface, one.priority, len(one.leaves)) for one in entries] == found
