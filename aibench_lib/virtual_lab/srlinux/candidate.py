"""Candidate configurations of a simulated SR Linux switch: what is changed before it is committed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from weakref import WeakSet

from aibench_lib.virtual_lab.srlinux.config import Config

Step = Callable[[Config], None]
"""Changes a configuration; raises `ConfigError`."""


class Kind(StrEnum):
    """Who else may work in a candidate."""

    SHARED = "shared"
    PRIVATE = "private"
    EXCLUSIVE = "exclusive"


@dataclass
class Candidate:
    """A candidate and the steps that made it of what ran when it was begun."""

    name: str
    kind: Kind
    config: Config
    steps: list[Step] = field(default_factory=list)
    users: WeakSet[object] = field(default_factory=WeakSet)
    """The sessions that are in it; one that broke is not."""

    @property
    def is_changed(self) -> bool:
        """Whether anything was done in it."""
        return bool(self.steps)

    @property
    def is_worth_keeping(self) -> bool:
        """Whether somebody is in it, or has left something in it that is not his alone."""
        return bool(self.users) or (self.is_changed and self.kind is not Kind.EXCLUSIVE)

    def do(self, steps: Iterable[Step]) -> None:
        """Change the candidate, all or nothing.

        Raises:
            ConfigError: A step is not accepted.
        """
        steps = list(steps)
        changed = self.config.copy()
        for step in steps:
            step(changed)
        self.config = changed
        self.steps += steps

    def on(self, running: Config) -> Config:
        """Return what the steps make of what runs now.

        Raises:
            ConfigError: The result is not accepted.
        """
        changed = running.copy()
        for step in self.steps:
            step(changed)
        changed.check()
        return changed

    def forget(self, running: Config) -> None:
        """Begin anew with what runs."""
        self.config, self.steps = running.copy(), []
