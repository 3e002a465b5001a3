"""Changes where a real switch cannot be made to misbehave: one that rounds, one that forgets, one that is full."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_switch import STEP, TARGET, Memory, events, restore

from aibench_lib.errors import LabError, SpecError
from aibench_lib.switch import transaction
from aibench_lib.switch.record import Record, change_name, checkpoint_name


def test_what_a_switch_rounds_is_returned_and_journalled_and_no_failure(plug, journal, tmp_path):
    plug(Memory(cell_bytes=254))
    change = transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert change.requested["kmin_bytes"] == 100_000
    assert change.programmed["kmin_bytes"] == 99_822
    applied = journal.events()[-1]
    assert (applied["requested"]["kmin_bytes"], applied["programmed"]["kmin_bytes"]) == (100_000, 99_822)


def test_every_act_is_in_the_journal_before_it_is_done(plug, journal, tmp_path):
    switch = plug(Memory())
    seen = []
    apply, restore = switch.apply, switch.restore
    switch.apply = lambda *told: (seen.append(events(journal)), apply(*told))
    switch.restore = lambda config: (seen.append(events(journal)), restore(config))
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    transaction.restore(TARGET, journal, tmp_path)
    assert seen[0] == ["snapshot_taken", "change_intended"]
    assert seen[1] == [*seen[0], "change_applied", "restore_started", "restore_intended"]
    assert events(journal)[-1] == "restored"


def test_a_switch_that_shows_nothing_of_what_it_took_is_a_failure(plug, journal, tmp_path):
    switch = plug(Memory())
    switch.ignores = {"apply"}
    with pytest.raises(LabError, match="took ecn but shows no kmin_bytes"):
        transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert transaction.unrestored(journal) == ["spine1"]


def test_a_journal_that_cannot_be_written_keeps_the_change_away_from_the_switch(plug, journal, tmp_path):
    switch = plug(Memory())
    journal.path.mkdir()
    with pytest.raises((LabError, SpecError), match="journal"):
        transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert switch.sent == 0


def test_a_run_folder_that_is_not_there_is_named(journal):
    with pytest.raises(SpecError, match=r"run_dir: /nowhere: no such folder"):
        transaction.apply(TARGET, "ecn", STEP, journal, Path("/nowhere"))


def test_a_change_is_confirmed_only_after_it_was_read_back(changed, journal):
    assert [what.split()[0] for what in changed.did] == ["save", "apply", "confirm"]
    assert changed.armed == {}
    intended = next(event for event in journal.events() if event["event"] == "change_intended")
    assert intended["seconds"] == transaction.DEAD_MAN_SECONDS
    assert intended["checkpoint"] in changed.saved


def test_a_change_that_lacks_a_value_is_taken_back_at_once(plug, journal, tmp_path):
    switch = plug(Memory())
    read_back = switch.read_back
    switch.read_back = lambda setting: {**read_back(setting), "slope_enabled": None}
    with pytest.raises(LabError, match="shows no slope_enabled"):
        transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert (switch.leaves, switch.armed) == ({}, {})


def test_a_confirmation_that_comes_too_late_is_no_confirmation(plug, journal, tmp_path):
    switch = plug(Memory())

    def too_late(change):
        switch.leaves = switch.armed.pop(change)

    switch.confirm = too_late
    with pytest.raises(LabError, match="is not what is there after it was confirmed; if it took 300 s"):
        transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert events(journal)[-1] == "change_intended"
    assert not restore(journal, tmp_path).changed


def test_a_switch_without_a_dead_man_is_not_asked_for_one(plug, journal, tmp_path):
    switch = plug(Memory(has_dead_man=False))
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert switch.armed == {}
    assert next(event for event in journal.events() if event["event"] == "change_intended")["seconds"] is None


def test_a_full_list_of_checkpoints_keeps_the_change_away_and_says_which_there_are(plug, journal, tmp_path):
    switch = plug(Memory(slots=2))
    switch.saved = {"monday": {}, "tuesday": {}}
    with pytest.raises(LabError, match=r"spine1: kept no .*maximum.*it has 2 \(monday, tuesday\); nothing was changed"):
        transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert (switch.leaves, list(switch.saved)) == ({}, ["monday", "tuesday"])
    del switch.saved["monday"]
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    restore(journal, tmp_path)
    assert (switch.leaves, list(switch.saved)) == ({}, ["tuesday"])


def test_a_checkpoint_that_is_not_listed_afterwards_is_none(plug, journal, tmp_path):
    switch = plug(Memory(slots=2))
    switch.ignores = {"save"}
    with pytest.raises(LabError, match="does not list it; it lists none; nothing was changed"):
        transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert switch.leaves == {}


def test_a_checkpoint_of_a_controller_that_died_before_it_could_say_so_is_removed(plug, journal, tmp_path, monkeypatch):
    switch = plug(Memory(slots=2))
    append = journal.append

    def dies(event, **fields):
        if event == "checkpoint_saved":
            raise KeyboardInterrupt
        append(event, **fields)

    monkeypatch.setattr(journal, "append", dies)
    with pytest.raises(KeyboardInterrupt):
        transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert len(switch.saved) == 1
    assert not restore(journal, tmp_path).changed
    assert switch.saved == {}


@given(st.text(min_size=1, max_size=60), st.integers(0, 98), st.integers(0, 998))
def test_names_are_such_that_every_platform_takes_them(run, snapshots, changes):
    record = Record(snapshots=snapshots, changes=changes)
    path = Path("results") / run.replace("/", "").replace("\0", "").strip(".") / "x"
    for name in (checkpoint_name(path.parent, record), change_name(path.parent, record)):
        assert len(name) <= 32
        assert re.fullmatch(r"aibench-[A-Za-z0-9-]+", name)
