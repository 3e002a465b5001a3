"""The revisions of a simulated NVUE switch: what is applied, what is saved, and what waits to be confirmed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aibench_lib.virtual_lab.cli.grammar import Ports
from aibench_lib.virtual_lab.nvue.config import Config
from aibench_lib.virtual_lab.nvue.rules import problems
from aibench_lib.virtual_lab.nvue.schema import NvueError

NO_DIFFERENCE = "Warning: config apply executed with no config diff."

Step = Callable[[Config], None]


@dataclass
class Pending:
    """What one user has set and not applied: an apply does it again on what is applied by then, all or none."""

    number: int
    config: Config
    steps: list[Step] = field(default_factory=list)

    def do(self, step: Step) -> None:
        """Take a step; one that fails is not remembered.

        Raises:
            NvueError: It fails.
        """
        tried = self.config.copy()
        step(tried)
        self.config = tried
        self.steps.append(step)


@dataclass(frozen=True)
class Waiting:
    """An applied revision that is taken back unless it is confirmed."""

    number: int
    before: Config
    before_number: int
    until: float
    """On the switch's clock [s]."""


class Revisions:
    """All of one switch.

    Args:
        ports: The switch's interfaces.
        base: The configuration that it starts with.
    """

    def __init__(self, ports: Ports, base: Config) -> None:
        self.now: Callable[[], float] = time.monotonic
        self.saved = base.copy()
        """What the switch starts with."""
        self.history: list[tuple[int, str, str]] = [(1, "applied_and_saved", "Config update by cumulus")]
        """Revision, its state when it was applied, and the message."""
        self._ports = ports
        self._configs = {1: base}
        self._number = 1
        self._last = 1
        self._waiting: Waiting | None = None

    @property
    def applied(self) -> Config:
        """The configuration that is in force."""
        self.expire()
        return self._configs[self._number]

    @property
    def number(self) -> int:
        """The applied revision."""
        self.expire()
        return self._number

    @property
    def waiting(self) -> Waiting | None:
        """The revision that is to be confirmed, or None."""
        self.expire()
        return self._waiting

    def expire(self) -> None:
        """Take back what nobody has confirmed in time."""
        if self._waiting is not None and self.now() >= self._waiting.until:
            self._take_back(self._waiting)

    def _take_back(self, waiting: Waiting) -> None:
        self._number, self._waiting = waiting.before_number, None
        self._configs[self._number] = waiting.before
        self.history.append((self._number, "applied", "Rollback"))

    def open(self, start: Config | None = None) -> Pending:
        """Return a new pending revision; by default it starts from what is applied."""
        self._last += 1
        return Pending(self._last, (start or self.applied).copy())

    def find(self, name: str) -> Config:
        """Return a revision by number or name.

        Raises:
            NvueError: There is none.
        """
        named = {"applied": self.applied, "startup": self.saved, "empty": Config(self._ports)}
        found = named.get(name) or (self._configs.get(int(name)) if name.isdecimal() else None)
        if found is None:
            raise NvueError(f"Error: Revision {name} does not exist")
        return found

    def delete(self, name: str) -> None:
        """Forget a revision.

        Raises:
            NvueError: There is none, or it is in use.
        """
        self.find(name)
        if not name.isdecimal():
            raise NvueError(f"Error: Revision {name} is reserved and cannot be deleted")
        if int(name) == self.number:
            raise NvueError(f"Error: Revision '{name}' is currently applied and cannot be deleted")
        del self._configs[int(name)]

    def apply(self, pending: Pending, message: str, seconds: float | None) -> str:
        """Put a revision in force, in one step; return what the switch says.

        Args:
            pending: The revision.
            message: For the history.
            seconds: It is taken back after this time unless confirmed; None: it needs no confirmation.

        Raises:
            NvueError: The revision contradicts itself, or another one waits; nothing has changed then.
        """
        if self.waiting is not None:
            raise NvueError(f"Error: Revision {self.waiting.number} is waiting to be confirmed")
        config = self.applied.copy()
        for step in pending.steps:
            step(config)
        wrong = problems(config)
        if wrong:
            reasons = "\n".join(f"  Config invalid at {reason}" for reason in wrong)
            raise NvueError(f"Invalid config [rev_id: {pending.number}]\n{reasons}")
        if config.tree == self.applied.tree:
            return NO_DIFFERENCE
        if seconds is not None:
            self._waiting = Waiting(pending.number, self.applied, self._number, self.now() + seconds)
        self._configs[pending.number], self._number = config, pending.number
        state = "confirm" if seconds is not None else self._save_if_automatic()
        self.history.append((pending.number, state, message))
        return f"{state} [rev_id: {pending.number}]"

    def confirm(self) -> str:
        """Keep the revision that waits; return what the switch says.

        Raises:
            NvueError: None waits.
        """
        number = self._the_waiting().number
        self._waiting = None
        return f"{self._save_if_automatic()} [rev_id: {number}]"

    def reject(self) -> str:
        """Take back the revision that waits; return what the switch says.

        Raises:
            NvueError: None waits.
        """
        waiting = self._the_waiting()
        self._take_back(waiting)
        return f"applied [rev_id: {waiting.before_number}]"

    def _the_waiting(self) -> Waiting:
        if self.waiting is None:
            raise NvueError("Error: No revision is waiting to be confirmed")
        return self.waiting

    def _save_if_automatic(self) -> str:
        if self.applied.value("system", "config", "auto-save", "state") == "disabled":
            return "applied"
        self.save()
        return "applied_and_saved"

    def save(self) -> None:
        """Start with what is applied from now on."""
        self.saved = self.applied.copy()
