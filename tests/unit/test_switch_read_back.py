"""What a switch shows, read as values, without a switch."""

import re

from aibench_lib.platforms import load_platform
from aibench_lib.switch.cli import CliSwitch
from aibench_lib.switch.setting import parse_setting
from aibench_lib.switch.target import Target

RED = "linux qdisc red a1: dev {} root limit 800000b min {}b max 200000b ecn"


def read(platform, options, feature, values, config):
    """Return the values of a feature in a configuration, and what was asked."""
    target = Target(host="h", address="::1", platform=platform, username="u", password="p", options=options)
    switch = object.__new__(CliSwitch)
    switch._target, switch._cli, switch._seen = target, load_platform(platform).cli, config
    setting = parse_setting(target, feature, values)
    return switch.read_back(setting), setting.requested


def test_a_kernel_queue_that_one_interface_lacks_is_not_reported():
    asked = {"kmin_bytes": 100_000, "kmax_bytes": 200_000, "probability_percent": 100}
    lines = [RED.format("eth1", 100_000), RED.format("eth2", 100_000)]
    options = {"interfaces": ["eth1", "eth2"]}
    there, requested = read("frr_linux", options, "ecn", asked, "\n".join(lines))
    assert there == requested
    there, _ = read("frr_linux", options, "ecn", asked, lines[1])
    assert there["kmin_bytes"] == {"eth1": None, "eth2": 100_000}
    there, _ = read("frr_linux", options, "ecn", asked, "\n".join([RED.format("eth1", 1500), lines[1]]))
    assert there["kmin_bytes"] == {"eth1": 1500, "eth2": 100_000}


def test_text_of_many_lines_cannot_be_written_back():
    patterns = load_platform("arista_eos").cli.not_restorable
    for line in ("banner motd", "   EOF", "      EOF"):
        assert any(re.search(pattern, line) for pattern in patterns)


def test_no_command_that_clears_counters_asks_a_question():
    assert not any("clear counters interface" in one for one in load_platform("dell_sonic").cli.clear_counters)
