"""Transactions where a real switch cannot be made to misbehave: one that rounds, one that does not come back."""

import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.switch import restoration, transaction
from aibench_lib.switch.record import Record, change_name, checkpoint_name
from aibench_lib.switch.target import Target

TARGET = Target(
    host="spine1",
    address="192.0.2.1",
    platform="nokia_srlinux",
    username="admin",
    password="secret",
    options={"queue": "q3", "qos_profile": "rocev2", "interfaces": ["ethernet-1/1"]},
)
STEP = {"ecn_threshold_bytes": 100_000}
NAMES = {
    "kmin_bytes": "min-threshold",
    "kmax_bytes": "max-threshold",
    "probability_percent": "max-drop-probability-percent",
    "slope_enabled": "slope-enabled",
    "bound": "queue-management-profile",
}


class Memory:
    """A switch in memory that rounds thresholds down to cells, and refuses what a test says."""

    def __init__(self, cell_bytes: int = 1, slots: int | None = None, has_dead_man: bool = True) -> None:
        self.leaves: dict[str, object] = {}
        self.sent = 0
        self.did: list[str] = []
        self.refuses: list[str] = []
        """What is refused once each, by method."""
        self.ignores: set[str] = set()
        """What is taken and not done, by method."""
        self.saved: dict[str, dict[str, object]] | None = None if slots is None else {}
        self.armed: dict[str, dict[str, object]] = {}
        """Unconfirmed changes -> what there was before."""
        self.has_dead_man = has_dead_man
        self._slots = slots
        self._cell_bytes = cell_bytes

    def _does(self, method: str, name: str = "") -> bool:
        self.did.append(f"{method} {name}".strip())
        if method in self.refuses:
            self.refuses.remove(method)
            raise LabError("spine1", f"refused {method}")
        return method not in self.ignores

    def read_config(self):
        return json.dumps(self.leaves)

    def comparable(self, config):
        return json.dumps(json.loads(config), indent=1, sort_keys=True).splitlines()

    def read_back(self, _setting):
        found = {name: self.leaves.get(leaf) for name, leaf in NAMES.items()}
        return {**found, "bound": {"ethernet-1/1": found["bound"]}}

    def apply(self, rendered, change, seconds=None, checkpoint=None):
        self.sent += 1
        if not self._does("apply", change):
            return
        if seconds:
            self.armed[change] = dict(self.leaves)
        for update in yaml.safe_load(rendered):
            self.leaves.update(update["value"])
        for leaf in ("min-threshold", "max-threshold"):
            told = int(self.leaves[leaf])  # JSON_IETF writes 64 bits as a string
            self.leaves[leaf] = told - told % self._cell_bytes

    def confirm(self, change):
        if self._does("confirm", change):
            self.armed.pop(change, None)

    def cancel(self, change, checkpoint=None):
        if self._does("cancel", change):
            self.leaves = self.armed.pop(change, self.leaves)

    def checkpoints(self):
        return None if self.saved is None else list(self.saved)

    def save_checkpoint(self, name):
        if self._does("save", name):
            if len(self.saved) >= self._slots:
                raise LabError("spine1", f"refused 'checkpoint {name}': maximum number of checkpoints")
            self.saved[name] = dict(self.leaves)

    def roll_back(self, name):
        self.sent += 1
        if self._does("roll back", name):
            self.leaves = dict(self.saved[name])

    def remove_checkpoint(self, name):
        if self._does("remove", name):
            del self.saved[name]

    def restore(self, config):
        self.sent += 1
        if self._does("restore"):
            self.leaves = json.loads(config)

    def close(self):
        pass


@pytest.fixture
def plug(monkeypatch):
    """Put a switch in the place of the one that TARGET names."""

    def plug(switch):
        @contextmanager
        def connect(_target):
            yield switch

        monkeypatch.setattr(transaction, "connect", connect)
        monkeypatch.setattr(restoration, "connect", connect)
        return switch

    return plug


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


def events(journal):
    return [event["event"] for event in journal.events()]


def test_what_a_switch_rounds_is_returned_and_journalled_and_no_failure(plug, journal, tmp_path):
    plug(Memory(cell_bytes=254))
    change = transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    assert change.requested["kmin_bytes"] == 100_000
    assert change.programmed["kmin_bytes"] == 99_822
    applied = journal.events()[-1]
    assert (applied["requested"]["kmin_bytes"], applied["programmed"]["kmin_bytes"]) == (100_000, 99_822)


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


def test_a_switch_that_does_not_come_back_is_a_failure_with_the_difference(plug, journal, tmp_path):
    plug(Memory()).ignores = {"restore"}
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    with pytest.raises(LabError, match=r"spine1: still differs from its snapshot(.|\n)*-.*min-threshold.: 100000"):
        transaction.restore(TARGET, journal, tmp_path)
    assert "100000" in (tmp_path / "settings" / "spine1.diff").read_text()
    assert events(journal)[-1] == "restore_failed"
    assert transaction.unrestored(journal) == ["spine1"]


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


def test_a_run_folder_that_is_not_there_is_named(journal):
    with pytest.raises(SpecError, match=r"run_dir: /nowhere: no such folder"):
        transaction.apply(TARGET, "ecn", STEP, journal, Path("/nowhere"))


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


@pytest.fixture
def changed(plug, journal, tmp_path):
    """A switch with checkpoints that a run has changed."""
    switch = plug(Memory(slots=2))
    switch.leaves["weight"] = 7
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    return switch


def restore(journal, run_dir, **how):
    return transaction.restore(TARGET, journal, run_dir, **how)


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


def test_one_checkpoint_serves_a_run_and_is_removed_by_the_restore(changed, journal, tmp_path):
    transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 500_000}, journal, tmp_path)
    assert len(changed.saved) == 1
    restore(journal, tmp_path)
    assert changed.saved == {}
    assert changed.leaves == {"weight": 7}
    assert [what.split()[0] for what in changed.did][-2:] == ["roll", "remove"]


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


@given(st.text(min_size=1, max_size=60), st.integers(0, 98), st.integers(0, 998))
def test_names_are_such_that_every_platform_takes_them(run, snapshots, changes):
    record = Record(snapshots=snapshots, changes=changes)
    path = Path("results") / run.replace("/", "").replace("\0", "").strip(".") / "x"
    for name in (checkpoint_name(path.parent, record), change_name(path.parent, record)):
        assert len(name) <= 32
        assert re.fullmatch(r"aibench-[A-Za-z0-9-]+", name)
