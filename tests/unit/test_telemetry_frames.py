"""Windows, differences, gaps and resets, worked out by hand and held to simple definitions by random tables."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.errors import UndefinedKpi
from aibench_lib.telemetry.frames import Frames, delta
from aibench_lib.telemetry.measurements import COUNTERS, FIELDS, TAGS, schema
from aibench_lib.telemetry.windows import cut, fill_forward, first_reset, gaps, resets

QUEUE = {"switch": "leaf1", "interface": "Ethernet33", "queue": "3"}


def queue_table(*rows):
    """Rows of the measurement queue: (time_ns, queue, fields)."""
    return pa.Table.from_pylist(
        [
            {"time_ns": time_ns, "switch": "leaf1", "interface": "Ethernet33", "queue": queue, **fields}
            for time_ns, queue, fields in rows
        ],
        schema=schema("queue"),
    )


def short(table, field="transmit_bytes"):
    return [(row["time_ns"], row["queue"], row[field]) for row in table.to_pylist()]


def test_a_window_has_of_each_series_the_rows_around_its_edges():
    table = queue_table(*[(time_ns, "3", {"transmit_bytes": time_ns}) for time_ns in (10, 20, 30, 40, 50, 60)])
    assert short(cut(table, "queue", 25, 45)) == [(20, "3", 20), (30, "3", 30), (40, "3", 40), (50, "3", 50)]


def test_samples_exactly_at_the_edges_are_the_edges():
    table = queue_table(*[(time_ns, "3", {"transmit_bytes": time_ns}) for time_ns in (10, 20, 30, 40, 50)])
    assert short(cut(table, "queue", 20, 40)) == [(20, "3", 20), (30, "3", 30), (40, "3", 40)]


def test_the_first_row_of_a_window_is_filled_from_rows_long_before():
    table = queue_table(
        (10, "3", {"transmit_bytes": 7, "depth_bytes": 1}),
        (20, "3", {"depth_bytes": 2}),
        (30, "3", {"depth_bytes": 3}),
        (40, "3", {"transmit_bytes": 9}),
    )
    assert short(cut(table, "queue", 35, 40)) == [(30, "3", 7), (40, "3", 9)]
    assert short(cut(table, "queue", 15, 40)) == [(10, "3", 7), (20, "3", None), (30, "3", None), (40, "3", 9)]


def test_series_do_not_leak_into_one_another():
    table = queue_table(
        (10, "3", {"transmit_bytes": 7}),
        (10, "4", {"depth_bytes": 5}),
        (20, "4", {"depth_bytes": 6}),
        (20, "3", {"depth_bytes": 8}),
    )
    filled = fill_forward(table, "queue")
    assert short(filled) == [(10, "3", 7), (20, "3", 7), (10, "4", None), (20, "4", None)]
    assert short(filled, "depth_bytes") == [(10, "3", None), (20, "3", 8), (10, "4", 5), (20, "4", 6)]


def test_a_counter_near_the_end_of_64_bits_is_filled_forward_exactly():
    large = (1 << 63) - 1
    table = queue_table((10, "3", {"transmit_bytes": large}), (20, "3", {"depth_bytes": 1}))
    assert short(fill_forward(table, "queue")) == [(10, "3", large), (20, "3", large)]


def test_an_empty_table_stays_empty():
    empty = schema("queue").empty_table()
    assert cut(empty, "queue", 0, 10).num_rows == 0
    assert fill_forward(empty, "queue").num_rows == 0
    assert first_reset(empty, "queue", COUNTERS["queue"]) is None


FIELD = st.one_of(st.none(), st.integers(0, 9))
ROWS = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("345"), FIELD), max_size=25, unique_by=lambda row: row[:2]
)


@given(ROWS, st.integers(0, 30), st.integers(0, 10))
def test_a_window_equals_its_definition_row_by_row(rows, begin_ns, length_ns):
    end_ns = begin_ns + length_ns
    expected = []
    for name in sorted({queue for _, queue, _ in rows}):
        mine = sorted((time_ns, value) for time_ns, queue, value in rows if queue == name)
        first = max([number for number, (time_ns, _) in enumerate(mine) if time_ns <= begin_ns], default=0)
        after = [number for number, (time_ns, value) in enumerate(mine) if time_ns >= end_ns and value is not None]
        last = min(after, default=len(mine) - 1)
        known = [value for _, value in mine[: first + 1] if value is not None]
        kept = mine[first : last + 1]
        if kept:
            kept[0] = (kept[0][0], known[-1] if known else None)
        expected += [(time_ns, name, value) for time_ns, value in kept]
    table = queue_table(*[(time_ns, queue, {"transmit_bytes": value}) for time_ns, queue, value in rows])
    assert sorted(short(cut(table, "queue", begin_ns, end_ns))) == sorted(expected)


@given(ROWS, st.integers(0, 30), st.integers(0, 10))
def test_cutting_what_was_cut_before_from_an_earlier_begin_gives_the_same_window(rows, begin_ns, length_ns):
    table = queue_table(*[(time_ns, queue, {"transmit_bytes": value}) for time_ns, queue, value in rows])
    kept = cut(table, "queue", begin_ns // 2, 1 << 62)
    assert cut(kept, "queue", begin_ns, begin_ns + length_ns).equals(
        cut(table, "queue", begin_ns, begin_ns + length_ns)
    )


def test_one_queue_is_a_frame_that_is_filled_forward_with_whole_numbers():
    table = queue_table(
        (10, "3", {"transmit_bytes": 7}),
        (10, "4", {"transmit_bytes": 99}),
        (20, "3", {"depth_bytes": 2}),
        (30, "3", {"transmit_bytes": 8, "depth_bytes": 0}),
    )
    frame = Frames({"queue": table}).series("queue", QUEUE)
    assert list(frame.columns) == ["time_ns", *FIELDS["queue"]]
    assert frame["time_ns"].tolist() == [10, 20, 30]
    assert frame["transmit_bytes"].dtype == np.int64
    assert frame["transmit_bytes"].tolist() == [7, 7, 8]
    assert frame["depth_bytes"].isna().tolist() == [True, False, False]
    assert frame["peak_bytes"].isna().all()


@pytest.fixture
def table():
    counters = [(time_ns, "3", {"transmit_bytes": time_ns**2}) for time_ns in (10, 20, 30, 40)]
    return queue_table(*counters, (35, "3", {"depth_bytes": 1}))


COUNTED = [{"transmit_bytes", "ecn_marked_packets"}]


@pytest.mark.parametrize(
    ("begin_ns", "end_ns", "expected"),
    [(10, 40, 1600 - 100), (15, 25, 900 - 100), (20, 20, 0), (21, 29, 900 - 400), (31, 33, 1600 - 900)],
)
def test_a_counter_grew_from_the_sample_before_to_the_sample_after(table, begin_ns, end_ns, expected):
    window = cut(table, "queue", begin_ns, end_ns, COUNTED)
    frame = Frames({"queue": window}).series("queue", QUEUE)
    assert delta(frame, "transmit_bytes", begin_ns, end_ns) == expected


def test_a_window_goes_on_to_the_first_row_after_its_end_of_each_group_of_fields(table):
    def times(end_ns, *groups):
        return [row[0] for row in short(cut(table, "queue", 20, end_ns, groups))]

    assert times(32) == [20, 30, 35]
    assert times(32, *COUNTED) == [20, 30, 35, 40]
    assert times(24, *COUNTED, {"depth_bytes"}) == [20, 30, 35]
    assert times(36, *COUNTED, {"depth_bytes"}) == [20, 30, 35, 40]


def test_all_rows_of_a_windows_last_moment_are_in_it():
    table = queue_table(
        (10, "3", {"transmit_bytes": 1}), (20, "3", {"transmit_bytes": 2}), (20, "3", {"depth_bytes": 0})
    )
    assert short(cut(table, "queue", 10, 20, COUNTED)) == [(10, "3", 1), (20, "3", 2), (20, "3", None)]


def test_growth_without_a_sample_at_one_side_is_undefined(table):
    frame = Frames({"queue": table}).series("queue", QUEUE)
    with pytest.raises(UndefinedKpi, match="transmit_bytes: no sample at or before the begin"):
        delta(frame, "transmit_bytes", 9, 40)
    with pytest.raises(UndefinedKpi, match="transmit_bytes: no sample at or after the end"):
        delta(frame, "transmit_bytes", 10, 41)
    with pytest.raises(UndefinedKpi, match="ecn_marked_packets: no sample"):
        delta(frame, "ecn_marked_packets", 10, 40)


def test_growth_of_a_counter_that_was_reset_is_undefined():
    rows = [(10, "3", {"transmit_bytes": 5}), (20, "3", {"transmit_bytes": 1}), (30, "3", {"transmit_bytes": 9})]
    frame = Frames({"queue": queue_table(*rows)}).series("queue", QUEUE)
    with pytest.raises(UndefinedKpi, match="went backwards"):
        delta(frame, "transmit_bytes", 10, 30)


@pytest.mark.parametrize(
    ("times", "begin_ns", "end_ns", "expected"),
    [
        ([0, 10, 20, 30], 0, 30, []),
        ([0, 10, 31, 40], 0, 40, [(10, 31)]),
        ([0, 10, 31, 40], 31, 40, []),
        ([0, 10, 31, 40], 0, 10, []),
        ([0, 10, 31, 40], 15, 16, [(10, 31)]),
        ([0, 50, 100], 0, 100, [(0, 50), (50, 100)]),
        ([7], 0, 100, []),
        ([], 0, 100, []),
    ],
)
def test_a_gap_is_a_silence_longer_than_allowed_that_touches_the_window(times, begin_ns, end_ns, expected):
    assert gaps(times, 20, begin_ns, end_ns) == expected


def test_a_reset_is_a_counter_smaller_than_just_before():
    assert resets([1, 2, 2, 3]).tolist() == []
    assert resets([5, 6, 0, 1, 0]).tolist() == [2, 4]
    assert resets([]).tolist() == []


def test_the_first_reset_of_a_table_is_named_and_other_series_do_not_count():
    table = queue_table(
        (10, "3", {"transmit_bytes": 50, "depth_bytes": 9}),
        (20, "3", {"depth_bytes": 3}),
        (30, "3", {"transmit_bytes": 49}),
        (10, "4", {"transmit_bytes": 5}),
        (20, "4", {"transmit_bytes": 6}),
    )
    assert first_reset(table, "queue", COUNTERS["queue"]) == {
        "time_ns": 30,
        "switch": "leaf1",
        "interface": "Ethernet33",
        "queue": "3",
        "field": "transmit_bytes",
    }
    assert first_reset(table.slice(0, 2), "queue", COUNTERS["queue"]) is None


@given(st.lists(st.tuples(st.sampled_from("34"), st.one_of(st.none(), st.integers(0, 5))), max_size=20))
def test_a_reset_is_found_exactly_where_a_series_has_one(values):
    rows = [(number, queue, {"transmit_bytes": value}) for number, (queue, value) in enumerate(values)]
    expected = any(
        resets([value for name, value in values if name == queue and value is not None]).size for queue in "34"
    )
    assert (first_reset(queue_table(*rows), "queue", COUNTERS["queue"]) is not None) == expected


@pytest.mark.parametrize("measurement", FIELDS)
def test_a_series_that_nothing_reports_is_an_empty_frame(measurement):
    tags = dict.fromkeys(TAGS[measurement], "none")
    for tables in ({}, {measurement: schema(measurement).empty_table()}):
        frame = Frames(tables).series(measurement, tags)
        assert list(frame) == ["time_ns", *FIELDS[measurement]]
        assert frame.empty


def test_whether_a_port_is_up_is_no_number():
    row = {"time_ns": 1, "switch": "leaf1", "interface": "Ethernet33", "in_bytes": 5, "oper_up": True}
    table = pa.Table.from_pylist([row, {**row, "time_ns": 2, "oper_up": False}], schema=schema("interface"))
    frame = Frames({"interface": table}).series("interface", {"switch": "leaf1", "interface": "Ethernet33"})
    assert frame["oper_up"].tolist() == [True, False]
    assert frame["in_bytes"].dtype == "int64"
