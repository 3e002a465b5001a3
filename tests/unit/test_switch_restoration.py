"""The way back where a real switch cannot be made to misbehave: one that refuses, one that somebody else changes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_switch import STEP, TARGET, Memory, events, restore

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.switch import transaction


def test_the_snapshot_is_of_before_the_first_change_of_the_run(plug, journal, tmp_path):
    switch = plug(Memory())
    switch.leaves["min-threshold"] = 7
    for threshold in (100_000, 500_000, 1_000_000):
        transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": threshold}, journal, tmp_path)
    assert events(journal).count("snapshot_taken") == 1
    transaction.restore(TARGET, journal, tmp_path)
    assert switch.leaves == {"min-threshold": 7}


def test_a_run_that_goes_on_after_a_restore_takes_a_new_snapshot(plug, journal, tmp_path):
    switch = plug(Memory())
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    transaction.restore(TARGET, journal, tmp_path)
    switch.leaves["min-threshold"] = 7  # what the operator did in between stays
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    transaction.restore(TARGET, journal, tmp_path)
    assert switch.leaves == {"min-threshold": 7}


def test_a_switch_that_does_not_come_back_is_a_failure_with_the_difference(plug, journal, tmp_path):
    plug(Memory()).ignores = {"restore"}
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    with pytest.raises(LabError, match=r"spine1: still differs from its snapshot(.|\n)*-.*min-threshold.: 100000"):
        transaction.restore(TARGET, journal, tmp_path)
    assert "100000" in (tmp_path / "settings" / "spine1.diff").read_text()
    assert events(journal)[-1] == "restore_failed"
    assert transaction.unrestored(journal) == ["spine1"]


def test_a_full_disk_does_not_keep_a_switch_changed(plug, journal, tmp_path, monkeypatch):
    switch = plug(Memory())
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)

    def full(*_arguments, **_fields):
        raise LabError("controller", "cannot write the journal: No space left on device")

    monkeypatch.setattr(journal, "append", full)
    with pytest.raises(LabError, match="No space left on device"):
        transaction.restore(TARGET, journal, tmp_path)
    assert switch.leaves == {}


def test_a_snapshot_that_was_damaged_is_not_sent(plug, journal, tmp_path):
    switch = plug(Memory())
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    path = tmp_path / "settings" / "spine1.before.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(LabError, match=r"spine1: its snapshot .* is not what was written; nothing was sent"):
        transaction.restore(TARGET, journal, tmp_path)
    path.unlink()
    with pytest.raises(LabError, match=r"spine1: its snapshot .* cannot be read: No such file"):
        transaction.restore(TARGET, journal, tmp_path)
    assert switch.sent == 1


def test_a_snapshot_of_another_platform_is_not_sent(plug, journal, tmp_path):
    switch = plug(Memory())
    journal.append("snapshot_taken", host="spine1", platform="arista_eos", file="settings/x", sha256="0")
    with pytest.raises(SpecError, match=r"spine1: switch\.platform: nokia_srlinux, but .* arista_eos"):
        transaction.restore(TARGET, journal, tmp_path)
    assert switch.sent == 0


def test_a_switch_that_the_run_never_changed_is_left_alone(journal, tmp_path):
    assert not transaction.restore(TARGET, journal, tmp_path).changed  # the address answers to nobody
    assert not transaction.preview_restore(TARGET, journal, tmp_path).changed
    assert events(journal) == []


def test_only_the_owner_may_read_a_snapshot(plug, journal, tmp_path):
    plug(Memory())
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert (tmp_path / "settings").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "settings" / "spine1.before.json").stat().st_mode & 0o777 == 0o600


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["snapshot_taken", "restored", "restore_failed"])),
        max_size=8,
    )
)
def test_a_switch_is_unrestored_exactly_if_its_last_word_is_a_snapshot(history):
    class History(Journal):
        def events(self):
            return [{"event": "run_opened"}, *({"host": host, "event": event} for host, event in history)]

    left = transaction.unrestored(History(Path("unused")))
    for host in ("a", "b"):
        words = [event for name, event in history if name == host and event != "restore_failed"]
        assert (host in left) == (words[-1:] == ["snapshot_taken"])


def test_one_checkpoint_serves_a_run_and_is_removed_by_the_restore(changed, journal, tmp_path):
    transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 500_000}, journal, tmp_path)
    assert len(changed.saved) == 1
    restore(journal, tmp_path)
    assert changed.saved == {}
    assert changed.leaves == {"weight": 7}
    assert [what.split()[0] for what in changed.did][-2:] == ["roll", "remove"]


def test_a_checkpoint_that_somebody_removed_stops_the_run_and_the_text_restores(changed, journal, tmp_path):
    changed.saved.clear()
    with pytest.raises(LabError, match="was removed by somebody during the run; nothing was sent"):
        transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 500_000}, journal, tmp_path)
    changed.refuses = ["roll back"]
    restore(journal, tmp_path)
    assert changed.leaves == {"weight": 7}


@pytest.mark.parametrize(
    ("refuses", "ignores"),
    [(["roll back"], set()), (["roll back", "restore"], set()), (["restore"], {"roll back"}), (["remove"], set())],
)
def test_a_restore_tries_every_way_until_one_is_proven(changed, journal, tmp_path, refuses, ignores):
    changed.refuses, changed.ignores = refuses, ignores
    assert restore(journal, tmp_path).changed
    assert (changed.leaves, changed.saved) == ({"weight": 7}, {})
    assert transaction.unrestored(journal) == []


def test_a_restore_that_fails_says_what_was_tried_and_the_next_one_may_succeed(changed, journal, tmp_path):
    changed.ignores, changed.refuses = {"roll back"}, ["restore", "restore"]
    with pytest.raises(LabError, match=r"tried its checkpoint \S+: taken, .*the text: refused restore; the text again"):
        restore(journal, tmp_path)
    assert changed.saved
    restore(journal, tmp_path)
    assert (changed.leaves, changed.saved) == ({"weight": 7}, {})


def test_a_checkpoint_that_cannot_be_removed_is_a_failure_of_a_switch_that_is_restored(changed, journal, tmp_path):
    changed.refuses = ["remove", "remove"]
    with pytest.raises(LabError, match=r"it was before the run, but our checkpoint .* cannot be removed: refused"):
        restore(journal, tmp_path)
    assert changed.leaves == {"weight": 7}
    assert transaction.unrestored(journal) == ["spine1"]
    assert not restore(journal, tmp_path).changed
    assert changed.saved == {}


def test_what_somebody_else_changed_is_not_overwritten_unless_told_so(changed, journal, tmp_path):
    changed.leaves["weight"] = 9
    with pytest.raises(
        LabError, match=r"spine1: somebody else has changed it since our last change(.|\n)*\+ .weight.: 9"
    ):
        restore(journal, tmp_path)
    assert changed.leaves["weight"] == 9
    assert changed.leaves["min-threshold"] == 100_000
    assert "weight" in (tmp_path / "settings" / "spine1.diff").read_text()
    restore(journal, tmp_path, overwrite_foreign_changes=True)
    assert changed.leaves == {"weight": 7}


def test_a_run_does_not_go_on_over_what_somebody_else_changed(changed, journal, tmp_path):
    changed.leaves["weight"] = 9
    with pytest.raises(LabError, match="overwrite_foreign_changes=true"):
        transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 500_000}, journal, tmp_path)
    assert changed.leaves["min-threshold"] == 100_000


def test_what_differs_although_nothing_was_changed_is_left_alone(plug, journal, tmp_path):
    switch = plug(Memory(slots=0))
    with pytest.raises(LabError):
        transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    switch.leaves["weight"] = 9
    assert not restore(journal, tmp_path).changed
    assert switch.leaves == {"weight": 9}


def test_a_change_that_was_broken_off_is_cancelled_and_may_have_left_anything(plug, journal, tmp_path):
    switch = plug(Memory())
    switch.refuses = ["confirm"]
    with pytest.raises(LabError, match="refused confirm"):
        transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert switch.armed
    with pytest.raises(LabError, match="broken off; restore it first"):
        transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    switch.leaves["weight"] = 1  # of which nobody can say whose it is
    switch.refuses = ["cancel"]
    restore(journal, tmp_path)
    assert (switch.leaves, switch.armed) == ({}, {})


def test_a_change_that_cannot_be_cancelled_is_a_failure_of_a_switch_that_is_restored(plug, journal, tmp_path):
    switch = plug(Memory())
    switch.refuses = ["confirm"]
    with pytest.raises(LabError):
        transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    switch.refuses = ["cancel", "cancel"]
    with pytest.raises(LabError, match="is as it was before the run, but may fall back to a later state by itself"):
        restore(journal, tmp_path)
    assert transaction.unrestored(journal) == ["spine1"]
