"""What a queue pair over TCP posts when: without any connection, on a clock of the test's."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.worker.transports.rows import NEVER
from aibench_lib.worker.transports.tcp.patience import Patience
from aibench_lib.worker.transports.tcp.posting import ClosedLoop, Schedule
from aibench_lib.worker.transports.transport import Loop, Message

SECOND, MS = 1_000_000_000, 1_000_000
T0 = 7 * SECOND


class Wire:
    """Takes what is posted."""

    def __init__(self):
        self.posted = 0
        self.row_ends = []
        self.marks = []

    def post(self, sequence, messages, size_bytes, ends_row):
        assert sequence == self.posted
        assert messages > 0
        self.posted += messages
        if ends_row:
            self.row_ends.append(self.posted - 1)

    def mark(self, sequence):
        assert sequence == self.posted - 1
        self.marks.append(sequence)


def loop(**changes):
    usual = {"size_bytes": 1000, "depth": 1, "batch": 1, "offset_ns": 0, "duration_ns": SECOND, "rate_bps": 0}
    return Loop(**{**usual, **changes}, echo=False)


@st.composite
def loops(draw):
    depth = draw(st.integers(1, 40))
    return loop(
        depth=depth,
        batch=draw(st.integers(1, depth)),
        size_bytes=draw(st.integers(1, 10**6)),
        offset_ns=draw(st.integers(0, SECOND)),
        duration_ns=draw(st.integers(1, SECOND)),
        rate_bps=draw(st.sampled_from([0, 1_000_000, 800_000_000, 123_456_789])),
    )


@given(loops(), st.lists(st.tuples(st.integers(1, 30 * MS), st.booleans()), max_size=80))
def test_a_loop_keeps_its_depth_its_batch_its_rate_and_its_end(asked, steps):
    posting, wire = ClosedLoop(asked, T0), Wire()
    begin = T0 + asked.offset_ns
    now, answered, done = T0, 0, []
    for step, answers in steps:
        now += step
        if answers and posting.rows and posting.rows[0].last in {*wire.row_ends, *wire.marks}:
            done.append(posting.answered())
            answered += done[-1].operations
        before = wire.posted
        posting.post(now, wire.post, wire.mark)
        assert wire.posted - answered <= asked.depth
        if not begin <= now <= begin + asked.duration_ns:
            assert wire.posted == before
        if asked.rate_bps:
            assert wire.posted <= (now - begin) * asked.rate_bps / (8e9 * asked.size_bytes) + 1 or not wire.posted
    posting.post(begin + asked.duration_ns + 1 + now, wire.post, wire.mark)
    rows = done + list(posting.rows)
    assert sum(row.operations for row in rows) == wire.posted
    assert all(row.operations == asked.batch for row in rows[:-1])
    assert all(row.size_bytes == row.operations * asked.size_bytes for row in rows)
    assert [row.last for row in rows] == sorted(wire.row_ends + wire.marks)
    assert all(begin <= row.intended_ns <= row.posted_ns for row in rows)
    assert posting.due_ns is None


def test_a_loop_with_a_rate_intends_each_message_at_its_own_time():
    # 1000 B at 8 Mbit/s: one a millisecond
    posting, wire = ClosedLoop(loop(depth=100, rate_bps=8_000_000), T0), Wire()
    posting.post(T0, wire.post, wire.mark)
    assert (wire.posted, posting.due_ns) == (1, T0 + MS)
    posting.post(T0 + MS - 1, wire.post, wire.mark)
    assert wire.posted == 1
    posting.post(T0 + 3 * MS + 5, wire.post, wire.mark)  # woken late: what is due is made up for
    assert (wire.posted, posting.due_ns) == (4, T0 + 4 * MS)
    assert [(row.intended_ns - T0, row.posted_ns - T0) for row in posting.rows] == [
        (0, 0),
        (MS, 3 * MS + 5),
        (2 * MS, 3 * MS + 5),
        (3 * MS, 3 * MS + 5),
    ]


def test_a_loop_with_a_rate_that_was_held_up_for_long_does_not_make_up_for_all_of_it():
    posting, wire = ClosedLoop(loop(depth=1000, rate_bps=8_000_000), T0), Wire()
    posting.post(T0, wire.post, wire.mark)
    posting.post(T0 + 500 * MS, wire.post, wire.mark)  # 10 ms of the 500 are made up for: 11 messages, first and last
    assert wire.posted == 1 + 11
    assert posting.due_ns == T0 + 501 * MS


def test_a_loop_that_ends_within_a_batch_asks_for_an_answer_to_the_rest():
    posting, wire = ClosedLoop(loop(depth=5, batch=4), T0), Wire()
    posting.post(T0, wire.post, wire.mark)
    assert (wire.posted, wire.row_ends, wire.marks) == (5, [3], [])
    posting.post(T0 + SECOND + 1, wire.post, wire.mark)
    assert (wire.row_ends, wire.marks) == ([3], [4])
    assert [(row.operations, row.last) for row in posting.rows] == [(4, 3), (1, 4)]


def test_a_schedule_posts_at_its_times_and_knows_what_it_has_not_posted():
    messages = tuple(Message(size_bytes=size, offset_ns=offset) for size, offset in [(5, 0), (6, 10), (7, 10), (8, 99)])
    posting, wire = Schedule(messages, T0), Wire()
    assert posting.due_ns == T0
    posting.post(T0 + 9, wire.post, wire.mark)
    assert (wire.posted, posting.due_ns) == (1, T0 + 10)
    posting.post(T0 + 12, wire.post, wire.mark)
    assert (wire.posted, wire.row_ends, posting.due_ns) == (3, [0, 1, 2], T0 + 99)
    assert [(row.size_bytes, row.intended_ns - T0, row.posted_ns - T0) for row in posting.rows] == [
        (5, 0, 9),
        (6, 10, 12),
        (7, 10, 12),
    ]
    assert [(row.size_bytes, row.intended_ns - T0, row.posted_ns) for row in posting.unposted()] == [(8, 99, NEVER)]
    posting.post(T0 + 99, wire.post, wire.mark)
    assert posting.due_ns is None
    assert list(posting.unposted()) == []


@pytest.mark.parametrize(("comes", "expected_awake"), [(True, 10_000), (False, 24)])
def test_waiting_awake_is_given_up_where_it_is_in_vain_and_tried_again(comes, expected_awake):
    patience, awake = Patience(), 0
    last = deque(maxlen=600)
    for _ in range(10_000):
        is_awake = patience.awake_until_ns() > 0
        last.append(is_awake)
        if is_awake:
            awake += 1
            patience.learn(comes)
    assert awake == expected_awake  # in vain: 5 times, then once in 501 waits
    assert any(last)
