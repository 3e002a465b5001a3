"""The state of one simulated SONiC switch: CONFIG_DB, files, checkpoints and the timers of its systemd."""

import ipaddress
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from aibench_lib.model import Port
from aibench_lib.simulator import Ecn, LoadBalancing, Pfc, PfcWatchdog
from aibench_lib.virtual_lab.configured import StaticRoute
from aibench_lib.virtual_lab.physical import Physical
from aibench_lib.virtual_lab.sonic import database, effects
from aibench_lib.virtual_lab.sonic.base import base_config
from aibench_lib.virtual_lab.sonic.database import Tables
from aibench_lib.virtual_lab.sonic.shell import Shell
from aibench_lib.virtual_lab.sonic.systemd import Timer
from aibench_lib.virtual_lab.sonic.validate import check_change, check_models
from aibench_lib.virtual_lab.writes import Writes

STARTUP = "/etc/sonic/config_db.json"
_CHECKPOINTS = "/etc/sonic/checkpoints/"
_EXTENSION = ".cp.json"


class SonicSwitch:
    """One switch.

    Args:
        name: Inventory name.
        neighbours: Interface -> the port at the other end of its link.
        writes: Where writes are noted.
        addresses: Interface -> its address, as the operator has configured it.
        now: The clock of its timers [s].
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
        self.now = now
        self.files: dict[str, str] = {}
        """Of those that users may write."""
        self.checkpoints: dict[str, Tables] = {}
        self.max_checkpoints = sys.maxsize
        self.timers: dict[str, Timer] = {}
        """By the name of their unit."""
        self._writes = writes
        self._tables = base_config(name, neighbours, addresses or {})
        check_models(self._tables)
        self.startup = self._tables

    @property
    def tables(self) -> Tables:
        """The CONFIG_DB, after every timer that is due."""
        self.tick()
        return self._tables

    def tick(self) -> None:
        """Let the timers go off that are due, each once."""
        while due := sorted((timer.at, unit) for unit, timer in self.timers.items() if timer.at <= self.now()):
            self.timers.pop(due[0][1]).act()

    def note(self, what: str) -> None:
        """Note an attempt to change something."""
        self._writes.add(self.name, what)

    def running_text(self) -> str:
        """Return the running configuration as text."""
        return database.text(self.tables)

    def conversation(self) -> Shell:
        """Return a new session on the command line."""
        return Shell(self)

    def file(self, path: str) -> str | None:
        """Return what a file holds, None if there is none."""
        if path == STARTUP:
            return database.text(self.startup)
        name = path.removeprefix(_CHECKPOINTS).removesuffix(_EXTENSION)
        if path == f"{_CHECKPOINTS}{name}{_EXTENSION}":
            return json.dumps(self.checkpoints[name]) if name in self.checkpoints else None
        return self.files.get(path)

    def load(self, content: str) -> None:
        """Write what a file holds over the CONFIG_DB.

        SONiC's own ``config load`` writes whatever the file holds; what the models do not have is refused here, as
        ``config reload`` refuses it, so that a wrong file is found before it reaches a switch.

        Raises:
            ValueError: The file is no JSON.
            ModelError: The models do not have what would come of it.
        """
        after = database.merged(self.tables, database.parse(content))
        check_models(after)
        self._tables = after

    def replace(self, after: Tables) -> None:
        """Make the CONFIG_DB another one, as the updater does it.

        Raises:
            ModelError: The models do not have it.
            ForbiddenError: The updater does not make one of the changes.
        """
        check_change(self.tables, after)
        check_models(after)
        self._tables = database.copied(after)

    def save(self) -> None:
        """Make the running configuration that of the next start."""
        self.startup = database.copied(self.tables)

    def ecn(self, interface: str, queue: int) -> Ecn | None:
        """Return the marking at a queue, or None."""
        return effects.ecn(self.tables, interface, queue)

    def pfc(self, interface: str, priority: int) -> Pfc | None:
        """Return when an interface pauses its neighbour's traffic class, or None: the class is not lossless there.

        Raises:
            SpecError: It would do what is not simulated.
        """
        return effects.pfc(self.tables, interface, priority)

    def watchdog(self, interface: str) -> PfcWatchdog | None:
        """Return what an interface does about a queue that stays paused, or None: it waits."""
        return effects.watchdog(self.tables, interface)

    def load_balancing(self) -> LoadBalancing:
        """Return how the switch chooses among equal paths.

        Raises:
            SpecError: It would do what is not simulated.
        """
        return effects.load_balancing(self.tables)

    def addresses(self) -> Mapping[str, ipaddress.IPv4Interface]:
        """Return the interfaces that have an address."""
        return effects.addresses(self.tables)

    def static_routes(self) -> Sequence[StaticRoute]:
        """Return the static routes."""
        return list(effects.static_routes(self.tables))

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""
        return effects.is_shut(self.tables, interface)
