"""The lines between two configurations, as they are typed."""

from aibench_lib.platforms import FromText, Shape, Source, TextRestore
from aibench_lib.switch.differing import lines_between

INDENTED = FromText(
    source=Source.RECALLED,
    by=TextRestore.DIFFERENCE,
    negate=["no"],
    removed_by={
        r"(queue \d wred-policy) \S+": r"\1",
        r"(mtu) \d+": r"\1",
        r"(watchdog) on (detect-time) \d+": r"\1 \2",
    },
)
FLAT = FromText(source=Source.RECALLED, by=TextRestore.DIFFERENCE, negate=["set", "delete"])


def between(found: str, wanted: str) -> list[str]:
    lines = lines_between(found.splitlines(), wanted.splitlines(), Shape.INDENTED, INDENTED)
    return [line.strip() for line in lines]


def test_what_is_too_much_is_negated_where_it_stands():
    found = "interface Eth1/1\n shutdown\n description a\ninterface Eth1/2\n shutdown\n"
    assert between(found, "interface Eth1/1\n description a\ninterface Eth1/2\n shutdown\n") == [
        "interface Eth1/1",
        "no shutdown",
    ]


def test_a_line_that_goes_by_its_beginning_is_negated_without_its_value():
    found = "interface Eth1/1\n queue 3 wred-policy A\n mtu 9000\n"
    assert between(found, "interface Eth1/1\n mtu 9000\n") == ["interface Eth1/1", "no queue 3 wred-policy"]


def test_a_line_that_replaces_another_one_needs_no_negation():
    found = "interface Eth1/1\n queue 3 wred-policy A\n queue 4 wred-policy A\n"
    wanted = "interface Eth1/1\n queue 3 wred-policy B\n"
    assert between(found, wanted) == ["interface Eth1/1", "no queue 4 wred-policy", "queue 3 wred-policy B"]


def test_what_removes_a_line_may_be_other_words_than_its_own():
    found = "interface Eth1/1\n watchdog on detect-time 200\n"
    assert between(found, "interface Eth1/1\n") == ["interface Eth1/1", "no watchdog detect-time"]


def test_what_stands_at_the_top_is_removed_last_and_backwards():
    found = "object a\n mode b\nobject c\ninterface Eth1/1\n bind c\nroutes a\n"
    assert between(found, "object d\ninterface Eth1/1\n bind d\n") == [
        "object d",
        "interface Eth1/1",
        "no bind c",
        "bind d",
        "no routes a",
        "no object c",
        "no object a",
    ]


def test_equal_configurations_have_nothing_between_them():
    assert between("a\n b\nc\n", "a\n b\nc\n") == []


def test_flat_lines_are_deleted_in_the_opposite_order_and_then_set():
    assert lines_between(["set a 1", "set a 1 b"], ["set c"], Shape.FLAT, FLAT) == [
        "delete a 1 b",
        "delete a 1",
        "set c",
    ]
