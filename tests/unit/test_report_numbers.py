"""How the report prints numbers."""

import pytest

from aibench_lib.report.numbers import (
    decimals,
    duration,
    interval,
    label,
    level,
    number,
    quantity,
    size,
    span,
    yes_or_no,
)


@pytest.mark.parametrize(
    ("values", "places"), [([0.12345], 4), ([1.5, None], 3), ([48.7, 0.1], 2), ([99_999.0], 0), ([], 4), ([None], 4)]
)
def test_the_largest_value_of_a_column_gets_four_significant_digits(values, places):
    assert decimals(values) == places


def test_whole_counts_have_no_decimals():
    assert decimals([4.0, 6.0, None], "hops") == 0
    assert decimals([4.5, 6.0], "hops") == 3
    assert decimals([4.0, 6.0], "us") == 3


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (None, 2, "n/a"),
        (0.0, 3, "0"),
        (12345.6, 0, "12,346"),
        (0.001, 2, "<0.01"),
        (-0.001, 2, ">-0.01"),
        (48.7, 2, "48.70"),
    ],
)
def test_numbers_are_printed_as_read_by_a_person(value, places, text):
    assert number(value, places) == text


def test_an_interval_needs_both_bounds():
    assert interval(1.0, 2.0, 1) == "[1.0, 2.0]"
    assert interval(None, 2.0, 1) == ""


def test_keys_become_words_and_their_values_get_the_unit():
    assert label("ecn_threshold_bytes") == "ECN threshold"
    assert quantity("link_bps", 400_000_000_000) == "400 Gb/s"
    assert quantity("prefill_workers", 1024) == "1,024"
    assert quantity("mode", "fast") == "fast"
    assert [size(value) for value in (100_000, 5_000_000, 16_777_217, 512)] == [
        "100 KB",
        "5 MB",
        "16,777,217 bytes",
        "512 bytes",
    ]


def test_names_of_levels_become_words_and_times_choose_their_unit():
    assert [level("traffic", name) for name in ("kv_only", "packet_spray", "ecmp")] == [
        "KV only",
        "packet spray",
        "ECMP",
    ]
    assert level("arrival_window_seconds", 0.0001) == "100 us"
    assert [duration(seconds) for seconds in (0, 0.0001, 0.001, 0.01, 1.5, 300, 1785.75)] == [
        "0 s",
        "100 us",
        "1 ms",
        "10 ms",
        "1.5 s",
        "300 s",
        "1,785.75 s",
    ]


def test_yes_is_said_when_it_occurred_at_least_once():
    assert yes_or_no(0.0, 3) == "no (0 of 3 trials)"
    assert yes_or_no(1 / 3 * 3, 3) == "yes (1 of 3 trials)"
    assert yes_or_no(1.0, 1) == "yes (1 of 1 trial)"


def test_a_span_leaves_out_what_is_undefined():
    assert span([None, 2.0, 12.5]) == "2.0 to 12.5"
    assert span([4.0, 4.0]) == "4.00"
    assert span([None]) == "n/a"
