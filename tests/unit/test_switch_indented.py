"""Reading an indented configuration."""

from aibench_lib.switch.indented import lines_within, values_in

CONFIG = """\
! device: leaf1
qos profile OTHER
   uc-tx-queue 3
      random-detect ecn count
!
qos profile ROCE
   qos trust dscp
   !
   uc-tx-queue 3
      bandwidth percent 50
      random-detect ecn minimum-threshold 100 bytes
   uc-tx-queue 4
      random-detect ecn minimum-threshold 999 bytes
!
interface Ethernet1
   service-profile ROCE
"""


def test_only_the_lines_of_the_named_block_are_read():
    assert lines_within(CONFIG, ["qos profile ROCE", "uc-tx-queue 3"]) == [
        "bandwidth percent 50",
        "random-detect ecn minimum-threshold 100 bytes",
    ]


def test_lines_of_a_deeper_block_do_not_belong_to_the_outer_one():
    assert "bandwidth percent 50" not in lines_within(CONFIG, ["qos profile ROCE"])


def test_a_block_that_is_not_there_has_no_lines():
    assert lines_within(CONFIG, ["qos profile ROCE", "uc-tx-queue 5"]) == []
    assert lines_within(CONFIG, ["service-profile ROCE"]) == []


def test_the_top_level_has_the_outermost_lines():
    assert lines_within(CONFIG, [])[-1] == "interface Ethernet1"


def test_digits_read_as_numbers_and_words_as_they_are():
    patterns = [
        r"^random-detect ecn minimum-threshold (?P<kmin_bytes>\d+) bytes$",
        "^random-detect ecn (?P<count>count)$",
    ]
    lines = ["random-detect ecn minimum-threshold 100 bytes", "random-detect ecn count", "bandwidth percent 50"]
    assert values_in(lines, patterns) == {"kmin_bytes": 100, "count": "count"}
    assert values_in(["bandwidth percent 50"], patterns) == {}


def test_lines_about_several_entries_read_as_mappings_from_their_key():
    patterns = [r"^ip route (?P<key>\S+) (?P<interface>\S+) (?P<next_hop>\S+)$"]
    lines = ["ip route 10.1.0.1/32 Ethernet49 10.2.0.1", "ip route 10.1.0.2/32 Ethernet50 10.2.0.5", "ip routing"]
    assert values_in(lines, patterns) == {
        "interface": {"10.1.0.1/32": "Ethernet49", "10.1.0.2/32": "Ethernet50"},
        "next_hop": {"10.1.0.1/32": "10.2.0.1", "10.1.0.2/32": "10.2.0.5"},
    }


def test_values_of_a_list_are_told_apart_by_the_lines_they_follow():
    lines = ["set level 5", "set level 50", "set chance 0"]
    assert values_in(lines, [r"^set level (?P<low>\d+)\nset level (?P<high>\d+)$"]) == {"low": 5, "high": 50}
    assert values_in(lines[1:], [r"^set level (?P<low>\d+)\nset level (?P<high>\d+)$"]) == {}
