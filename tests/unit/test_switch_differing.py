"""The lines between two configurations, as they are typed."""

from aibench_lib.platforms import FromText, Shape, Source, TextRestore
from aibench_lib.switch.differing import lines_between

INDENTED = FromText(
    source=Source.RECALLED,
    by=TextRestore.DIFFERENCE,
    negate=["no"],
    shorter=[r"(?P<kept>queue \d wred-policy) \S+", r"(?P<kept>mtu) \d+"],
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


def test_equal_configurations_have_nothing_between_them():
    assert between("a\n b\nc\n", "a\n b\nc\n") == []


def test_flat_lines_are_deleted_in_the_opposite_order_and_then_set():
    assert lines_between(["set a 1", "set a 1 b"], ["set c"], Shape.FLAT, FLAT) == [
        "delete a 1 b",
        "delete a 1",
        "set c",
    ]
