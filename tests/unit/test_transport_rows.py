"""The packed rows of transports, and the clock that stamps them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.worker.transports import clock
from aibench_lib.worker.transports.rows import NEVER, OK, RECEIPT, SAMPLE, STATUSES, Rows

U32 = st.integers(0, 2**32 - 1)
NS = st.integers(NEVER, 2**63 - 1)
SAMPLES = st.tuples(U32, U32, NS, NS, NS, NS, NS, NS, st.integers(0, len(STATUSES) - 1))
RECEIPTS = st.tuples(U32, NS, NS, NS)
ROWS = st.lists(st.one_of(SAMPLES, RECEIPTS), max_size=60)


def collected(rows):
    """Add rows to blocks that are kept; return (kind, block) in the order of the flushes."""
    blocks = []
    buffer = Rows(lambda kind, block: blocks.append((kind, block)))
    for row in rows:
        (buffer.sample if len(row) == 9 else buffer.receipt)(*row)
    buffer.close()
    return blocks


def unpacked(blocks):
    samples = [row[:9] for kind, block in blocks if kind == "samples" for row in SAMPLE.iter_unpack(block)]
    receipts = [
        (row[0], *row[2:]) for kind, block in blocks if kind == "receipts" for row in RECEIPT.iter_unpack(block)
    ]
    return samples, receipts


@given(ROWS, st.integers(1, 60))
def test_every_row_comes_back_once_and_in_its_order(rows, repeated):
    rows = rows * repeated  # more than a block holds, sometimes
    samples, receipts = unpacked(collected(rows))
    assert samples == [row for row in rows if len(row) == 9]
    assert receipts == [row for row in rows if len(row) == 4]


@given(st.integers(0, 5000))
def test_blocks_hold_whole_rows_and_are_flushed_when_full_not_at_the_end_alone(count):
    blocks = []
    buffer = Rows(lambda _, block: blocks.append(block))
    for number in range(count):
        buffer.sample(number, 1, 8, 0, 0, 0)
        assert (number + 1) * SAMPLE.size - sum(map(len, blocks)) < 1024 * SAMPLE.size
    buffer.close()
    assert all(block and len(block) % SAMPLE.size == 0 for block in blocks)
    assert sum(map(len, blocks)) == count * SAMPLE.size


def test_what_is_not_known_of_a_row_is_never_and_its_status_ok():
    blocks = []
    buffer = Rows(lambda _, block: blocks.append(block))
    buffer.close()
    assert blocks == []
    buffer.sample(1, 2, 3, 4, 5, 6)
    buffer.close()
    assert list(SAMPLE.iter_unpack(blocks[0])) == [(1, 2, 3, 4, 5, 6, NEVER, NEVER, OK, 0)]


def test_closing_twice_flushes_once():
    blocks = []
    buffer = Rows(lambda *block: blocks.append(block))
    buffer.receipt(1, 2, 3, 4)
    buffer.close()
    buffer.close()
    assert len(blocks) == 1


def test_a_flush_that_fails_is_not_silent():
    def full(kind, block):
        raise BrokenPipeError(kind)

    buffer = Rows(full)
    buffer.sample(1, 2, 3, 4, 5, 6)
    with pytest.raises(BrokenPipeError, match="samples"):
        buffer.close()


def test_the_clock_never_goes_back_and_is_the_host_s_real_time():
    clock.synchronise()
    readings = [clock.now_ns() for _ in range(10_000)]
    assert readings == sorted(readings)
    # a shared machine may be interrupted between two readings, not each of many times
    assert min(abs(clock.now_ns() - time.time_ns()) for _ in range(100)) < 1_000_000


def test_a_correction_of_the_host_s_clock_within_a_trial_does_not_show(monkeypatch):
    clock.synchronise()
    before = clock.now_ns()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600_000_000_000)
    assert before <= clock.now_ns() < before + 10_000_000_000
    clock.synchronise()  # the next trial sees it
    assert clock.now_ns() < before - 3_000_000_000_000
    monkeypatch.undo()
    clock.synchronise()
    assert abs(clock.now_ns() - time.time_ns()) < 1_000_000_000
