"""The state of one simulated SR Linux switch."""

import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.gnmi.paths import Elements, parse
from aibench_lib.virtual_lab.physical import Physical
from aibench_lib.virtual_lab.srlinux.base import base_config
from aibench_lib.virtual_lab.srlinux.candidate import Candidate, Kind
from aibench_lib.virtual_lab.srlinux.cli import SrlinuxCli
from aibench_lib.virtual_lab.srlinux.config import Config, ConfigError
from aibench_lib.virtual_lab.srlinux.effects import Effects
from aibench_lib.virtual_lab.srlinux.telemetry import queue_name
from aibench_lib.virtual_lab.srlinux.words import flat
from aibench_lib.virtual_lab.writes import Writes

MAX_CANDIDATES = 10
"""The models' default."""


@dataclass(frozen=True)
class _Unconfirmed:
    """A commit that is taken back unless it is confirmed."""

    before: Config
    deadline: float


class SrlinuxSwitch:
    """One switch.

    Args:
        name: Inventory name.
        neighbours: Interface -> the port at the other end of its link.
        writes: Where the command line notes what users have changed or tried to; gNMI does so by itself.
        addresses: Interface -> its address, as the operator has configured it.
        now: A clock that does not jump [s].
    """

    max_checkpoints: int = 10
    """The models' default.  They say how many are kept and not what becomes of one too many; here it is refused."""

    def __init__(
        self,
        name: str,
        neighbours: Mapping[str, Port],
        writes: Writes | None = None,
        addresses: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.neighbours = neighbours
        self.physical = Physical()
        self.now = now
        self.checkpoints: dict[str, Config] = {}
        """By name, the oldest first."""
        self.candidates: dict[tuple[Kind, str], Candidate] = {}
        self._writes = writes or Writes()
        self._unconfirmed: _Unconfirmed | None = None
        config = Config(neighbours)
        for path, value in base_config(name, neighbours, addresses or {}):
            config.update(parse(path), value)
        config.check()
        self.startup = config
        self._run(config)

    @property
    def running(self) -> Config:
        """The running configuration."""
        self._expire()
        return self._running

    def ecn(self, interface: str, queue: int) -> Ecn | None:
        """Return the marking that the running configuration asks for at a queue, or None."""
        return self._now_in_effect().ecn(interface, queue_name(queue))

    def pfc(self, interface: str, priority: int) -> Pfc | None:
        """Return when an interface pauses its neighbour's traffic class, or None: the class is not lossless there."""
        return self._now_in_effect().pfc(interface, priority, queue_name(priority))

    def watchdog(self, interface: str) -> PfcWatchdog | None:
        """Return what an interface does about a queue that stays paused, or None: it waits."""
        return self._now_in_effect().watchdog(interface)

    def load_balancing(self) -> LoadBalancing:
        """Return how the switch chooses among equal paths: always by a hash."""
        return LoadBalancing()

    def addresses(self) -> Mapping[str, ipaddress.IPv4Interface]:
        """Return the interfaces that have an address."""
        return self._now_in_effect().addresses()

    def static_routes(self) -> Sequence[StaticRoute]:
        """Return the static routes."""
        return list(self._now_in_effect().static_routes())

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""
        return self.running.is_shut(interface)

    def running_text(self) -> str:
        """Return the running configuration as the command line shows it, one leaf a line."""
        return "".join(f"set / {line}\n" for line in flat(self.running.leaves))

    def conversation(self) -> SrlinuxCli:
        """Return a session of the command line."""
        return SrlinuxCli(self)

    def note(self, what: str) -> None:
        """Note an attempt to change something."""
        self._writes.add(self.name, what)

    def apply(
        self,
        deletes: Sequence[Elements],
        replaces: Sequence[tuple[Elements, object]],
        updates: Sequence[tuple[Elements, object]],
    ) -> None:
        """Change the running configuration in one step, all or nothing.

        Raises:
            ConfigError: A change is not accepted; nothing has changed then.
        """
        self._refuse_while_unconfirmed()
        candidate = self.running.copy()
        for path in deletes:
            candidate.delete(path)
        for path, value in replaces:
            candidate.delete(path)
            candidate.update(path, value)
        for path, value in updates:
            candidate.update(path, value)
        candidate.check()
        self._run(candidate)

    def enter(self, kind: Kind, name: str, user: object) -> Candidate:
        """Let a user into a candidate, a new one if there is none of that name.

        Raises:
            ConfigError: It is somebody else's alone, or there are too many.
        """
        # How the switch words these refusals is not documented.
        locked = [one for one in self.candidates.values() if one.kind is Kind.EXCLUSIVE and one.users]
        if locked:
            raise ConfigError("Candidate is locked by another session in exclusive mode")
        self.candidates = {key: one for key, one in self.candidates.items() if one.is_worth_keeping}
        key = (Kind.PRIVATE if kind is Kind.PRIVATE else Kind.SHARED, name)
        found = self.candidates.get(key)
        if found is not None and kind is Kind.EXCLUSIVE and (found.users or found.is_changed):
            raise ConfigError(f"Candidate '{name}' is in use or has uncommitted changes; it cannot become exclusive")
        if found is None:
            if len(self.candidates) >= MAX_CANDIDATES:
                raise ConfigError(f"Maximum number of candidates ({MAX_CANDIDATES}) reached")
            found = self.candidates[key] = Candidate(name, kind, self.running.copy())
        found.kind = kind
        found.users.add(user)
        return found

    def clear_candidate(self, name: str) -> None:
        """Forget a candidate by its name.

        Raises:
            ConfigError: There is none.
        """
        found = [candidate for candidate in self.candidates.values() if candidate.name == name]
        if not found:
            raise ConfigError(f"Candidate '{name}' does not exist")
        for candidate in found:
            self.drop(candidate)

    def drop(self, candidate: Candidate) -> None:
        """Forget a candidate and what was done in it."""
        self.candidates = {key: other for key, other in self.candidates.items() if other is not candidate}

    def commit(self, candidate: Candidate, seconds: int | None = None) -> None:
        """Make a candidate run, in one step.

        Args:
            candidate: The candidate.
            seconds: After which the commit is taken back unless it is confirmed [s].

        Raises:
            ConfigError: It is not accepted, or another commit waits to be confirmed; nothing has changed then.
        """
        self._refuse_while_unconfirmed()
        before, after = self.running, candidate.on(self.running)
        self._run(after)
        if seconds is not None:
            self._unconfirmed = _Unconfirmed(before, self.now() + seconds)

    def confirm(self) -> None:
        """Keep the commit that waits to be confirmed.

        Raises:
            ConfigError: There is none.
        """
        self._waiting()
        self._unconfirmed = None

    def reject(self) -> None:
        """Take the commit back that waits to be confirmed.

        Raises:
            ConfigError: There is none.
        """
        before = self._waiting().before
        self._unconfirmed = None
        self._run(before)

    def save_checkpoint(self, name: str) -> None:
        """Keep the running configuration under a name.

        Raises:
            ConfigError: There are as many as it keeps.
        """
        if name not in self.checkpoints and len(self.checkpoints) >= self.max_checkpoints:
            raise ConfigError(f"Maximum number of checkpoints ({self.max_checkpoints}) reached")
        self.checkpoints.pop(name, None)
        self.checkpoints[name] = self.running.copy()

    def checkpoint(self, name: str) -> Config:
        """Return a checkpoint by its name or its number, of which 0 is the most recent.

        Raises:
            ConfigError: There is none.
        """
        numbered = dict(enumerate(reversed(self.checkpoints.values())))
        found = self.checkpoints.get(name) or (numbered.get(int(name)) if name.isdecimal() else None)
        if found is None:
            raise ConfigError(f"Checkpoint '{name}' does not exist")
        return found

    def revert(self, config: Config) -> None:
        """Make a configuration from before the running one.

        Raises:
            ConfigError: A commit waits to be confirmed.
        """
        self._refuse_while_unconfirmed()
        self._run(config.copy())

    def _run(self, config: Config) -> None:
        self._running = config
        self._effects: Effects | None = None

    def _now_in_effect(self) -> Effects:
        running = self.running
        effects = self._effects
        if effects is None:
            effects = self._effects = Effects(running)
        return effects

    def _expire(self) -> None:
        """Take back what was not confirmed in time."""
        waiting = self._unconfirmed
        if waiting is not None and self.now() >= waiting.deadline:
            self._unconfirmed = None
            self._run(waiting.before)

    def _waiting(self) -> _Unconfirmed:
        self._expire()
        if self._unconfirmed is None:
            raise ConfigError("No commit confirmed in progress")
        return self._unconfirmed

    def _refuse_while_unconfirmed(self) -> None:
        self._expire()
        if self._unconfirmed is not None:
            raise ConfigError("A commit confirmed is in progress")
