"""Transactions where a real switch cannot be made to misbehave: one that rounds, one that does not come back."""

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.switch import transaction
from aibench_lib.switch.target import Target

TARGET = Target(
    host="spine1",
    address="192.0.2.1",
    platform="nokia_srlinux",
    username="admin",
    password="secret",
    options={"queue": "q3", "qos_profile": "rocev2", "interfaces": ["ethernet-1/1"]},
)
NAMES = {
    "kmin_bytes": "min-threshold",
    "kmax_bytes": "max-threshold",
    "probability_percent": "max-drop-probability-percent",
    "slope_enabled": "slope-enabled",
    "bound": "queue-management-profile",
}


class Memory:
    """A switch in memory that rounds thresholds down to cells and may refuse to forget."""

    def __init__(self, cell_bytes: int = 1, stubborn: bool = False) -> None:
        self.leaves: dict[str, object] = {}
        self.sent = 0
        self._cell_bytes = cell_bytes
        self._stubborn = stubborn

    def read_config(self):
        return json.dumps(self.leaves)

    def comparable(self, config):
        return json.dumps(json.loads(config), indent=1, sort_keys=True).splitlines()

    def read_back(self, _setting):
        found = {name: self.leaves.get(leaf) for name, leaf in NAMES.items()}
        return {**found, "bound": {"ethernet-1/1": found["bound"]}}

    def apply(self, rendered):
        self.sent += 1
        for change in yaml.safe_load(rendered):
            self.leaves.update(change["value"])
        for leaf in ("min-threshold", "max-threshold"):
            self.leaves[leaf] -= self.leaves[leaf] % self._cell_bytes

    def restore(self, config):
        self.sent += 1
        if not self._stubborn:
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
        return switch

    return plug


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


def events(journal):
    return [event["event"] for event in journal.events()]


def test_what_a_switch_rounds_is_returned_and_journalled_and_no_failure(plug, journal, tmp_path):
    plug(Memory(cell_bytes=254))
    change = transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 100_000}, journal, tmp_path)
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
    transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 100_000}, journal, tmp_path)
    transaction.restore(TARGET, journal, tmp_path)
    switch.leaves["min-threshold"] = 7  # what the operator did in between stays
    transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 100_000}, journal, tmp_path)
    transaction.restore(TARGET, journal, tmp_path)
    assert switch.leaves == {"min-threshold": 7}


def test_every_act_is_in_the_journal_before_it_is_done(plug, journal, tmp_path):
    switch = plug(Memory())
    seen = []
    apply, restore = switch.apply, switch.restore
    switch.apply = lambda rendered: (seen.append(events(journal)), apply(rendered))
    switch.restore = lambda config: (seen.append(events(journal)), restore(config))
    transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 100_000}, journal, tmp_path)
    transaction.restore(TARGET, journal, tmp_path)
    assert seen[0] == ["snapshot_taken", "change_intended"]
    assert seen[1] == ["snapshot_taken", "change_intended", "change_applied", "restore_started"]
    assert events(journal)[-1] == "restored"


def test_a_switch_that_does_not_come_back_is_a_failure_with_the_difference(plug, journal, tmp_path):
    plug(Memory(stubborn=True))
    transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 100_000}, journal, tmp_path)
    with pytest.raises(LabError, match=r"spine1: still differs from its snapshot(.|\n)*-.*min-threshold.: 100000"):
        transaction.restore(TARGET, journal, tmp_path)
    assert "100000" in (tmp_path / "settings" / "spine1.diff").read_text()
    assert events(journal)[-1] == "restore_failed"
    assert transaction.unrestored(journal) == ["spine1"]


def test_a_switch_that_shows_nothing_of_what_it_took_is_a_failure(plug, journal, tmp_path):
    switch = plug(Memory())
    switch.apply = lambda rendered: None
    with pytest.raises(LabError, match="took ecn but shows no kmin_bytes"):
        transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 100_000}, journal, tmp_path)
    assert transaction.unrestored(journal) == ["spine1"]


def test_a_journal_that_cannot_be_written_keeps_the_change_away_from_the_switch(plug, journal, tmp_path):
    switch = plug(Memory())
    journal.path.mkdir()
    with pytest.raises((LabError, SpecError), match="journal"):
        transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 100_000}, journal, tmp_path)
    assert switch.sent == 0


def test_a_full_disk_does_not_keep_a_switch_changed(plug, journal, tmp_path, monkeypatch):
    switch = plug(Memory())
    transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 100_000}, journal, tmp_path)

    def full(*_arguments, **_fields):
        raise LabError("controller", "cannot write the journal: No space left on device")

    monkeypatch.setattr(journal, "append", full)
    with pytest.raises(LabError, match="No space left on device"):
        transaction.restore(TARGET, journal, tmp_path)
    assert switch.leaves == {}


def test_a_snapshot_that_was_damaged_is_not_sent(plug, journal, tmp_path):
    switch = plug(Memory())
    transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 100_000}, journal, tmp_path)
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
    transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 100_000}, journal, tmp_path)
    assert (tmp_path / "settings").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "settings" / "spine1.before.json").stat().st_mode & 0o777 == 0o600


def test_a_run_folder_that_is_not_there_is_named(journal):
    with pytest.raises(SpecError, match=r"run_dir: /nowhere: no such folder"):
        transaction.apply(TARGET, "ecn", {"ecn_threshold_bytes": 100_000}, journal, Path("/nowhere"))


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
