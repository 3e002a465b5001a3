"""The state of one simulated NX-OS switch: configurations, checkpoints, and a commit that waits to be confirmed."""

import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.cli.grammar import CliError, Ports
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.nxos import effects
from aibench_lib.virtual_lab.nxos.config import Config, NxosEditor
from aibench_lib.virtual_lab.physical import Physical
from aibench_lib.virtual_lab.writes import Writes

_FIRST_COMMIT = 1_000_000_001


@dataclass(frozen=True)
class Checkpoint:
    """A saved configuration."""

    config: Config
    created: datetime


@dataclass(frozen=True)
class _Trial:
    """A commit that is taken back unless it is confirmed in time."""

    deadline: float
    before: Config


class NxosSwitch:
    """One switch.

    Args:
        name: Inventory name.
        neighbours: Interface -> the port at the other end of its link.
        writes: Where writes are noted.
        addresses: Interface -> its address, as the operator has configured it.
        now: Seconds on a clock that only goes forward, for the commit timer.
    """

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
        self.ports = Ports(neighbours, short="e(?:t(?:h(?:e(?:r(?:n(?:e(?:t)?)?)?)?)?)?)?")
        self.checkpoints: dict[str, Checkpoint] = {}
        self.max_checkpoints = 10
        self._running = Config()
        self._trial: _Trial | None = None
        self._commits = _FIRST_COMMIT
        self.now = now
        self._writes = writes
        editor = self.editor()
        for line in _base_config(name, neighbours, addresses or {}):
            editor.enter(line)
        self.startup = self._running.copy()

    @property
    def running(self) -> Config:
        """The running configuration; what was committed for a time is taken back here when the time is over."""
        if self._trial and self.now() >= self._trial.deadline:
            self._running.replace_by(self._trial.before)
            self._trial = None
        return self._running

    def ecn(self, _: str, queue: int) -> Ecn | None:
        """Return the marking that the running configuration asks for at a queue, or None."""
        return effects.ecn(self.running, queue)

    def pfc(self, interface: str, priority: int) -> Pfc | None:
        """Return when an interface pauses its neighbour's traffic class, or None: the class is not lossless there."""
        return effects.pfc(self.running, interface, priority)

    def watchdog(self, interface: str) -> PfcWatchdog | None:
        """Return what an interface does about a queue that stays paused, or None: it waits."""
        return effects.watchdog(self.running, interface)

    def load_balancing(self) -> LoadBalancing:
        """Return how the switch chooses among equal paths: anything but the hash needs a reload, and there is none."""
        return LoadBalancing()

    def addresses(self) -> Mapping[str, ipaddress.IPv4Interface]:
        """Return the interfaces that have an address."""
        return effects.addresses(self.running)

    def static_routes(self) -> Sequence[StaticRoute]:
        """Return the static routes."""
        return list(effects.static_routes(self.running))

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""
        return effects.is_shut(self.running, interface)

    def running_text(self) -> str:
        """Return the running configuration as text."""
        return self.running.text()

    def note(self, what: str) -> None:
        """Note an attempt to change something."""
        self._writes.add(self.name, what)

    def editor(self) -> NxosEditor:
        """Return a cursor whose lines take effect at once."""
        return NxosEditor(self.running, self.ports)

    def candidate(self) -> NxosEditor:
        """Return a cursor on a copy of what runs."""
        return NxosEditor(self.running.copy(), self.ports)

    def commit(self, lines: Sequence[str], seconds: int | None = None) -> int:
        """Make lines run, all or none, for good or until they are confirmed; return the commit's number.

        Raises:
            CliError: They cannot stand on what runs now; nothing has changed then.
        """
        editor = self.candidate()
        for line in lines:
            if line == "exit":
                editor.up()
            else:
                editor.enter(line)
        conflict = editor.config.conflict()
        if conflict:
            raise CliError(f"Failed. err={conflict}\ncommit verification failed")
        before = self._trial.before if self._trial else self.running.copy()
        self._running.replace_by(editor.config)
        self._trial = None if seconds is None else _Trial(self.now() + seconds, before)
        self._commits += 1
        return self._commits - 1

    def confirm(self) -> bool:
        """Keep what was committed for a time; return whether anything was."""
        self.running  # noqa: B018 - what is too late to be kept is taken back first
        waiting = self._trial is not None
        self._trial = None
        return waiting

    def save_checkpoint(self, name: str) -> None:
        """Keep the running configuration under a name.

        Raises:
            CliError: The name is taken, or there is no room.
        """
        if name in self.checkpoints:
            raise CliError(f"ERROR: Checkpoint {name} already exists")
        if len(self.checkpoints) >= self.max_checkpoints:
            raise CliError(f"ERROR: Maximum number of checkpoints ({self.max_checkpoints}) reached")
        self.checkpoints[name] = Checkpoint(self.running.copy(), self.physical.now())

    def remove_checkpoint(self, name: str) -> None:
        """Forget a checkpoint.

        Raises:
            CliError: There is no such checkpoint.
        """
        self._checkpoint(name)
        del self.checkpoints[name]

    def roll_back(self, name: str) -> None:
        """Make a checkpoint run, in one step; a commit that waits to be confirmed still falls back in its time.

        Raises:
            CliError: There is no such checkpoint.
        """
        self.running.replace_by(self._checkpoint(name).config.copy())

    def _checkpoint(self, name: str) -> Checkpoint:
        if name not in self.checkpoints:
            raise CliError(f"ERROR: Checkpoint {name} does not exist")
        return self.checkpoints[name]


def _base_config(name: str, neighbours: Mapping[str, Port], addresses: Mapping[str, str]) -> list[str]:
    """Return what an operator has configured before the benchmark comes.

    Routed ports, RoCE on DSCP 26 in queue 3 and its notifications in queue 7, no ECN, no PFC.
    """
    lines = [f"hostname {name}", "feature grpc", "feature lldp"]
    for group, (traffic, dscp) in {"3": ("ROCE", "26"), "7": ("CNP", "48")}.items():
        lines += [f"class-map type qos match-any {traffic}", f"match dscp {dscp}"]
        lines += ["policy-map type qos QOS-IN", f"class {traffic}", f"set qos-group {group}"]
    lines += [
        "policy-map type queuing QUEUING-IN",
        "class type queuing c-in-q3",
        "policy-map type queuing QUEUING-OUT",
        "class type queuing c-out-8q-q3",
        "bandwidth remaining percent 50",
        "class type queuing c-out-8q-q7",
        "priority level 1",
        "class type queuing c-out-8q-q-default",
        "bandwidth remaining percent 50",
        "policy-map type network-qos NETWORK",
        "class type network-qos c-8q-nq3",
        "mtu 9216",
        "system qos",
        "service-policy type network-qos NETWORK",
        "service-policy type queuing input QUEUING-IN",
        "service-policy type queuing output QUEUING-OUT",
        "grpc port 50051",
    ]
    for interface, neighbour in neighbours.items():
        lines += [f"interface {interface}", f"description {neighbour.node} {neighbour.interface}", "no switchport"]
        lines += ["mtu 9214", "service-policy type qos input QOS-IN", "no shutdown"]
        if interface in addresses:
            lines.append(f"ip address {addresses[interface]}")
    return lines
