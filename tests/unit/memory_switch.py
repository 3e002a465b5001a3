"""A switch in memory that a test can let misbehave as no real one can be made to."""

import json
from contextlib import contextmanager

import pytest
import yaml

from aibench_lib.errors import LabError
from aibench_lib.journal import Journal
from aibench_lib.switch import restoration, transaction
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

    def check_restorable(self, config):
        pass

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


@pytest.fixture
def changed(plug, journal, tmp_path):
    """A switch with checkpoints that a run has changed."""
    switch = plug(Memory(slots=2))
    switch.leaves["weight"] = 7
    transaction.apply(TARGET, "ecn", STEP, journal, tmp_path)
    return switch


def restore(journal, run_dir, **how):
    return transaction.restore(TARGET, journal, run_dir, **how)
