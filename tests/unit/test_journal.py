"""The journal: what was appended is read back, whatever tore the file afterwards."""

import json
import multiprocessing
import resource
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal

NOON = datetime(2026, 3, 1, 12, 0, 0, 123, tzinfo=UTC)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)
bodies = st.dictionaries(
    st.text(min_size=1).filter(lambda key: key not in ("time", "event", "self")), json_values, max_size=4
)


def test_a_journal_without_a_file_has_no_events(tmp_path):
    assert Journal(tmp_path / "journal.jsonl").events() == []


def test_an_event_carries_its_time_in_utc(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", clock=lambda: NOON)
    journal.append("run_opened", run="r1")
    assert journal.events() == [{"time": "2026-03-01T12:00:00.000123Z", "event": "run_opened", "run": "r1"}]


def test_only_the_owner_may_read_it(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("run_opened")
    assert journal.path.stat().st_mode & 0o777 == 0o600


@given(st.lists(bodies, min_size=1, max_size=5), st.integers(min_value=0))
def test_a_file_cut_anywhere_keeps_every_event_that_stands_whole_and_takes_more(events, cut):
    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.jsonl")
        for body in events:
            journal.append("trial_done", **body)
        written = journal.events()
        content = journal.path.read_bytes()
        left = content[: cut % (len(content) + 1)]
        journal.path.write_bytes(left)
        whole = written[: left.count(b"\n")]
        assert journal.events() == whole
        journal.append("run_closed", status="interrupted")
        assert journal.events()[:-1] == whole
        assert journal.events()[-1]["event"] == "run_closed"


def _append_many(path: Path, writer: int) -> None:
    for number in range(50):
        Journal(path).append("trial_done", writer=writer, number=number, padding="x" * 5000)


def test_events_of_several_processes_do_not_mix(tmp_path):
    path = tmp_path / "journal.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(path, writer)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    events = Journal(path).events()
    for writer in range(3):
        assert [event["number"] for event in events if event["writer"] == writer] == list(range(50))


def _append_beyond_the_limit(path: Path) -> None:
    journal = Journal(path)
    journal.append("run_opened")
    limit = path.stat().st_size + 20
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with pytest.raises(LabError, match="free or repair the disk"):
        journal.append("trial_done", padding="x" * 100)


def test_a_disk_that_fills_up_in_the_middle_of_an_event_leaves_the_journal_as_it_was(tmp_path):
    path = tmp_path / "journal.jsonl"
    writer = multiprocessing.get_context("spawn").Process(target=_append_beyond_the_limit, args=(path,))
    writer.start()
    writer.join()
    assert writer.exitcode == 0
    assert path.read_bytes().endswith(b"\n")
    assert [event["event"] for event in Journal(path).events()] == ["run_opened"]


def test_a_missing_folder_is_one_clear_line(tmp_path):
    with pytest.raises(LabError, match=r"controller: cannot write .*No such file or directory"):
        Journal(tmp_path / "nowhere" / "journal.jsonl").append("run_opened")


@pytest.mark.parametrize("line", ["{torn", "[1]", json.dumps({"time": "now"})])
def test_a_damaged_line_in_the_middle_is_named(tmp_path, line):
    path = tmp_path / "journal.jsonl"
    path.write_text(f'{{"event": "run_opened"}}\n{line}\n{{"event": "run_closed"}}\n')
    with pytest.raises(SpecError, match="line 2"):
        Journal(path).events()
