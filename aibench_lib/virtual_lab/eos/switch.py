"""The state of one simulated EOS switch: running and startup configuration, sessions, checkpoints."""

import difflib
import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.cli.grammar import CliError, Ports
from aibench_lib.virtual_lab.cli.lines import Config as Lines
from aibench_lib.virtual_lab.cli.lines import Editor
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.eos import effects
from aibench_lib.virtual_lab.eos.config import Config
from aibench_lib.virtual_lab.physical import Physical
from aibench_lib.virtual_lab.writes import Writes

CLEAN = "rollback clean-config"
"""The line that empties a session's candidate."""

_UP = "exit"


@dataclass
class Session:
    """A candidate, and the lines that made it: a commit does them again on what runs by then, all or none."""

    editor: Editor
    lines: list[str] = field(default_factory=list)
    previous: Config | None = None
    """Of a session that runs until it is confirmed: what ran before."""
    deadline: float = 0.0
    """When that falls back by itself, by the switch's clock [s]."""

    @property
    def state(self) -> str:
        """As the switch calls it."""
        return "pending" if self.previous is None else "pendingCommitTimer"


class EosSwitch:
    """One switch.

    Args:
        name: Inventory name.
        neighbours: Interface -> the port at the other end of its link.
        writes: Where writes are noted.
        addresses: Interface -> its address, as the operator has configured it.
        now: The clock by which a session falls back that nobody confirms [s].
    """

    max_checkpoints = 20
    """As the vendor has set it."""

    def __init__(
        self,
        name: str,
        neighbours: Mapping[str, Port],
        writes: Writes,
        addresses: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.neighbours = neighbours
        self.physical = Physical()
        self.ports = Ports(neighbours)
        self.sessions: dict[str, Session] = {}
        self.checkpoints: dict[str, Config] = {}
        self.checkpoint_dates: dict[str, datetime] = {}
        self.now = now
        self._running = Config()
        self._writes = writes
        editor = Editor(self._running, self.ports)
        for line in _base_config(name, neighbours, addresses or {}):
            editor.enter(line)
        self.startup = self.running.copy()

    @property
    def running(self) -> Config:
        """The running configuration."""
        self._settle()
        return self._running

    def open_sessions(self) -> Mapping[str, Session]:
        """Return the sessions by name."""
        self._settle()
        return self.sessions

    def _settle(self) -> None:
        """Let fall back what nobody has confirmed in time, before anybody sees it."""
        for name, session in list(self.sessions.items()):
            if session.previous is not None and self.now() >= session.deadline:
                self.note(f"{name}: commit timer expired")
                self._fall_back(name, session.previous)

    def ecn(self, interface: str, queue: int) -> Ecn | None:
        """Return the marking that the running configuration asks for at a queue, or None."""
        found = self.running.ecn(interface, queue)
        return found[1] if found else None

    def pfc(self, interface: str, priority: int) -> Pfc | None:
        """Return when an interface pauses its neighbour's traffic class, or None: the class is not lossless there."""
        return effects.pfc(self.running, interface, priority)

    def watchdog(self, interface: str) -> PfcWatchdog | None:
        """Return what an interface does about a queue that stays paused, or None: it waits.

        Raises:
            SpecError: It would do what is not simulated.
        """
        return effects.watchdog(self.running, interface)

    def load_balancing(self) -> LoadBalancing:
        """Return how the switch chooses among equal paths."""
        return effects.load_balancing(self.running)

    def addresses(self) -> Mapping[str, ipaddress.IPv4Interface]:
        """Return the interfaces that have an address."""
        return effects.addresses(self.running)

    def static_routes(self) -> Sequence[StaticRoute]:
        """Return the static routes."""
        return list(effects.static_routes(self.running))

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""
        return self.running.is_shut(interface)

    def running_text(self) -> str:
        """Return the running configuration as text."""
        return self.running.text()

    def note(self, what: str) -> None:
        """Note an attempt to change something."""
        self._writes.add(self.name, what)

    def editor(self) -> Editor:
        """Return a cursor whose lines take effect at once."""
        return Editor(self.running, self.ports)

    def session(self, name: str) -> Session:
        """Return a session; a new one starts from the running configuration."""
        if name not in self.sessions:
            self.sessions[name] = Session(Editor(self.running.copy(), self.ports))
        return self.sessions[name]

    def commit(self, name: str, seconds: int | None = None) -> None:
        """Make a session's candidate run, in one step; or keep one that runs and waits to be confirmed.

        Args:
            name: The session's.
            seconds: After which it falls back, unless it is committed once more without; None: it does not.

        Raises:
            CliError: There is no such session, or a line of it fails on what runs now; nothing has changed then.
        """
        session = self._session(name)
        if session.previous is None:
            before, after = self._running.copy(), self._replayed(session)
            self._running.replace_by(after)
            session.previous = before
        if seconds is None:
            del self.sessions[name]
        else:
            session.deadline = self.now() + seconds

    def abort(self, name: str) -> None:
        """Forget a session; one that runs and waits to be confirmed is taken back.

        Raises:
            CliError: There is no such session.
        """
        session = self._session(name)
        if session.previous is None:
            del self.sessions[name]
        else:
            self._fall_back(name, session.previous)

    def _session(self, name: str) -> Session:
        session = self.open_sessions().get(name)
        if session is None:
            raise CliError(f"% Session {name} does not exist")
        return session

    def _fall_back(self, name: str, previous: Config) -> None:
        if self.sessions.pop(name, None) is not None:
            self._running.replace_by(previous)

    def _replayed(self, session: Session) -> Lines:
        """Return what runs now with a session's lines done on it."""
        editor = Editor(self._running.copy(), self.ports)
        for line in session.lines:
            if line == CLEAN:
                editor.clear()
            elif line == _UP:
                editor.up()
            else:
                editor.enter(line)
        return editor.config

    def save_checkpoint(self, name: str) -> None:
        """Keep the running configuration under a name.

        Raises:
            CliError: There are as many as can be.
        """
        if name not in self.checkpoints and len(self.checkpoints) >= self.max_checkpoints:
            raise CliError(f"% Maximum number of checkpoints ({self.max_checkpoints}) reached")
        self.checkpoints[name] = self.running.copy()
        self.checkpoint_dates[name] = self.physical.now()

    def delete_checkpoint(self, name: str) -> None:
        """Forget a checkpoint.

        Raises:
            CliError: There is no such checkpoint.
        """
        if self.checkpoints.pop(name, None) is None:
            raise CliError(f"% Error deleting checkpoint:{name} (No such file or directory)")

    def replace_by_checkpoint(self, name: str) -> None:
        """Make a saved checkpoint run, in one step.

        Raises:
            CliError: There is no such checkpoint.
        """
        if name not in self.checkpoints:
            raise CliError(f"% Error copying checkpoint:{name} to running-config (No such file or directory)")
        self.running.replace_by(self.checkpoints[name].copy())

    def session_diff(self, name: str) -> str:
        """Return how a session's candidate differs from what runs, as a unified diff; empty: not at all."""
        candidate = self.sessions[name].editor.config
        lines = difflib.unified_diff(
            self.running.text().splitlines(),
            candidate.text().splitlines(),
            "system:/running-config",
            f"session:/{name}-session-config",
            lineterm="",
        )
        return "".join(f"{line}\n" for line in lines)


def _base_config(name: str, neighbours: Mapping[str, Port], addresses: Mapping[str, str]) -> list[str]:
    """Return what an operator has configured before the benchmark comes.

    Routed ports, the RoCE profile bound everywhere, no ECN, no PFC.
    """
    lines = [
        f"hostname {name}",
        "queue-monitor length",
        "hardware counter feature ecn out",
        "qos map dscp 26 to traffic-class 3",
        "qos map traffic-class 3 to tx-queue 3",
        "qos profile ROCE",
        "qos trust dscp",
        "uc-tx-queue 3",
        "bandwidth percent 50",
        "management api gnmi",
        "transport grpc default",
        "port 6030",
    ]
    for interface, neighbour in neighbours.items():
        lines += [f"interface {interface}", f"description {neighbour.node} {neighbour.interface}"]
        lines += ["mtu 9214", "no switchport", "service-profile ROCE"]
        if interface in addresses:
            lines.append(f"ip address {addresses[interface]}")
    return lines
