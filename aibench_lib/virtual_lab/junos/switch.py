"""The state of one simulated Junos switch: committed, candidate and earlier configurations, files, the lock."""

import ipaddress
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aibench_lib import __version__
from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.junos import effects
from aibench_lib.virtual_lab.junos.checks import faults
from aibench_lib.virtual_lab.junos.cli import Cli
from aibench_lib.virtual_lab.junos.config import Config, tokenize
from aibench_lib.virtual_lab.junos.schema import RefusedError
from aibench_lib.virtual_lab.physical import Physical
from aibench_lib.virtual_lab.writes import Writes

FOLDER = "/var/tmp/"
_SUFFIX = ".conf"
_MOST_COMMITS = 50
"""Earlier configurations that are kept, the committed one among them."""
_SECONDS_A_MINUTE = 60


@dataclass(frozen=True)
class Pending:
    """A commit that is taken back unless it is confirmed."""

    until: float
    """On the switch's own clock [s]."""
    before: Config


class JunosSwitch:
    """One switch.

    Args:
        name: Inventory name.
        neighbours: Interface -> the port at the other end of its link.
        writes: Where writes are noted.
        addresses: Interface -> its address, as the operator has configured it.
        now: The clock by which a commit that is not confirmed is taken back [s].
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
        self.now = now
        self.physical = Physical()
        self.files: dict[str, str] = {}
        """By path."""
        self.max_checkpoints = 1000
        """How many files there can be."""
        self._writes = writes
        self._running = Config()
        for line in _base_config(name, neighbours, addresses or {}):
            self._running.set(tokenize(line))
        self._earlier: list[Config] = []
        self._candidate = self._running.copy()
        self._pending: Pending | None = None
        self._owner: weakref.ref[object] | None = None

    @property
    def running(self) -> Config:
        """What is committed."""
        self._look()
        return self._running

    @property
    def candidate(self) -> Config:
        """What everybody edits."""
        self._look()
        return self._candidate

    @property
    def is_changed(self) -> bool:
        """Whether the candidate differs from what is committed."""
        return self.candidate != self.running

    @property
    def pending(self) -> Pending | None:
        """The commit that waits for its confirmation, or None."""
        self._look()
        return self._pending

    @property
    def checkpoints(self) -> dict[str, str]:
        """The configurations that users have saved, by their name."""
        names = [path for path in self.files if path.startswith(FOLDER) and path.endswith(_SUFFIX)]
        return {path.removeprefix(FOLDER).removesuffix(_SUFFIX): self.files[path] for path in names}

    def running_text(self) -> str:
        """Return what is committed, as ``show configuration | display set`` shows it."""
        return "".join(f"{line}\n" for line in self.running.lines())

    def owner(self) -> object | None:
        """Return who has locked the candidate, or None."""
        self._look()
        return self._owner() if self._owner else None

    def lock(self, user: object) -> None:
        """Let nobody else edit, until `unlock` or until the user's session has gone."""
        self._owner = weakref.ref(user)

    def unlock(self) -> None:
        """Let everybody edit again; changes that are not committed are forgotten."""
        self._owner = None
        self._candidate = self._running.copy()

    def commit(self, minutes: int | None = None) -> None:
        """Make the candidate take effect as a whole, and confirm what has been committed before.

        Args:
            minutes: Take it back after that time unless another commit confirms it; None: keep it.

        Raises:
            RefusedError: It contradicts itself; nothing has changed then.
        """
        self.check()
        before = self._pending.before if self._pending else self._running
        if self.is_changed:
            self._keep(self._candidate.copy())
        self._pending = Pending(self.now() + minutes * _SECONDS_A_MINUTE, before) if minutes else None

    def check(self) -> None:
        """Raise `RefusedError` if the candidate contradicts itself."""
        found = faults(self.candidate)
        if found:
            raise RefusedError(f"{''.join(fault.text() for fault in found)}error: configuration check-out failed")

    def confirm(self) -> None:
        """Keep what waits for its confirmation."""
        self._look()
        self._pending = None

    def rollback(self, number: int) -> None:
        """Make an earlier configuration the candidate.

        Raises:
            RefusedError: There is none of that number.
        """
        known = [self.running, *self._earlier]
        if number >= len(known):
            raise RefusedError(f"error: could not open configuration database: rollback {number} does not exist")
        self._candidate = known[number].copy()

    def replace_candidate(self, config: Config) -> None:
        """Make a whole configuration the candidate."""
        self._candidate = config

    def save(self, path: str, text: str) -> None:
        """Write a file.

        Raises:
            RefusedError: There is no room.
        """
        if path not in self.files and len(self.files) >= self.max_checkpoints:
            raise RefusedError(f"error: could not open '{path}': No space left on device")
        self.files[path] = text

    def ecn(self, interface: str, queue: int) -> Ecn | None:
        """Return the marking at a queue, or None."""
        return effects.ecn(self.running, interface, queue)

    def pfc(self, interface: str, priority: int) -> Pfc | None:
        """Return when an interface pauses its neighbour's traffic class, or None: the class is not lossless there."""
        return effects.pfc(self.running, interface, priority)

    def watchdog(self, interface: str) -> PfcWatchdog | None:
        """Return what an interface does about a queue that stays paused, or None: it waits."""
        return effects.watchdog(self.running, interface)

    def load_balancing(self) -> LoadBalancing:
        """Return how the switch chooses among equal paths.

        Raises:
            SpecError: As it is not simulated.
        """
        return effects.load_balancing(self.running)

    def addresses(self) -> Mapping[str, ipaddress.IPv4Interface]:
        """Return the interfaces that have an address."""
        return effects.addresses(self.running)

    def static_routes(self) -> Sequence[StaticRoute]:
        """Return the static routes."""
        return list(effects.static_routes(self.running))

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""
        return self.running.has("interfaces", interface, "disable")

    def note(self, what: str) -> None:
        """Note an attempt to change something."""
        self._writes.add(self.name, what)

    def conversation(self) -> Cli:
        """Return a new session with the command line."""
        return Cli(self)

    def _keep(self, config: Config) -> None:
        self._earlier = [self._running, *self._earlier][: _MOST_COMMITS - 1]
        self._running = config

    def _look(self) -> None:
        """Take back what was not confirmed in time, and free the lock of a session that has gone."""
        if self._owner is not None and self._owner() is None:
            self.unlock()
        pending = self._pending
        if pending is not None and self.now() >= pending.until:
            self._pending = None
            self._keep(pending.before.copy())
            self._candidate = self._running.copy()
            self.note("commit was not confirmed; automatic rollback complete")


def _base_config(name: str, neighbours: Mapping[str, Port], addresses: Mapping[str, str]) -> list[str]:
    """Return what an operator has configured before the benchmark comes.

    Routed ports, a class for RoCE, and a congestion notification profile that pauses nothing; no ECN.
    """
    cos = "class-of-service"
    lines = [
        f"version {__version__}-simulated",
        f"system host-name {name}",
        "system services ssh",
        "system services extension-service request-response grpc ssl port 50051",
        "system services extension-service request-response grpc ssl local-certificate lab",
        "system services extension-service notification allow-clients address 0.0.0.0/0",
        "chassis fpc 0 traffic-manager buffer-monitor-enable",
        "policy-options policy-statement ECMP then load-balance per-packet",
        f"{cos} classifiers dscp ROCE forwarding-class NO-LOSS loss-priority low code-points 011010",
        f"{cos} shared-buffer ingress buffer-partition lossless percent 66",
        f"{cos} shared-buffer ingress buffer-partition lossless-headroom percent 24",
        f"{cos} shared-buffer ingress buffer-partition lossy percent 10",
        f"{cos} forwarding-classes class NO-LOSS queue-num 3",
        f"{cos} congestion-notification-profile cnp input cable-length 10",
        f"{cos} scheduler-maps FABRIC forwarding-class NO-LOSS scheduler ROCE",
        f"{cos} schedulers ROCE transmit-rate percent 50",
        f"{cos} schedulers ROCE priority low",
        "routing-options forwarding-table export ECMP",
        "protocols lldp interface all",
    ]
    for interface, neighbour in neighbours.items():
        lines += [
            f'interfaces {interface} description "{neighbour.node} {neighbour.interface}"',
            f"interfaces {interface} mtu 9228",  # IP packets of 9214 bytes, as on the other simulated switches
            f"{cos} interfaces {interface} scheduler-map FABRIC",
            f"{cos} interfaces {interface} congestion-notification-profile cnp",
            f"{cos} interfaces {interface} unit 0 classifiers dscp ROCE",
        ]
        if interface in addresses:
            lines.append(f"interfaces {interface} unit 0 family inet address {addresses[interface]}")
    return lines
