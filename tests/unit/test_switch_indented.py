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


def test_numbers_read_as_numbers_and_words_as_true():
    patterns = [
        r"^random-detect ecn minimum-threshold (?P<kmin_bytes>\d+) bytes$",
        "^random-detect ecn (?P<count>count)$",
    ]
    lines = ["random-detect ecn minimum-threshold 100 bytes", "random-detect ecn count", "bandwidth percent 50"]
    assert values_in(lines, patterns) == {"kmin_bytes": 100, "count": True}
    assert values_in(["bandwidth percent 50"], patterns) == {}
