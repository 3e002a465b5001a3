"""The kinds of lab that can be brought up on this machine, and which one an inventory is about."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from aibench_lib.errors import SpecError
from aibench_lib.kernel_lab import daemon as kernel_lab
from aibench_lib.lab_process.daemon import State
from aibench_lib.spec import load_yaml
from aibench_lib.virtual_lab import daemon as virtual_lab


@dataclass(frozen=True, kw_only=True)
class Lab:
    """One kind of lab."""

    kind: str
    """As an inventory calls it: its variable ``lab``."""
    title: str
    state_dir: Path
    """Where its state is by default, from the project's folder."""
    network: str
    """First two octets of its addresses by default."""
    login: str
    """What to say of how to log in; ``{state}`` is the state folder, ``{network}`` the lab's."""
    up: Callable[[Path, Path, str, int | None, Callable[[str], None]], State]
    status: Callable[[Path], State | None]
    down: Callable[[Path], None]
    hold: Callable[[Path, int], bool]


SIMULATED = Lab(
    kind="simulated",
    title="virtual lab",
    state_dir=Path(".aibench/lab"),
    network="127.81",
    login="user admin, password in {state}/password",
    up=virtual_lab.up,
    status=virtual_lab.status,
    down=virtual_lab.down,
    hold=virtual_lab.hold,
)
KERNEL = Lab(
    kind="kernel",
    title="kernel lab",
    state_dir=Path(".aibench/kernel-lab"),
    network="198.18",
    login="ssh -i {state}/key -o UserKnownHostsFile={state}/known_hosts root@{network}.254.1",
    up=kernel_lab.up,
    status=kernel_lab.status,
    down=kernel_lab.down,
    hold=kernel_lab.hold,
)
ALL = {lab.kind: lab for lab in (SIMULATED, KERNEL)}


def of_inventory(inventory: Path) -> Lab:
    """Return the lab that an inventory is about, on the network that the inventory says.

    Args:
        inventory: Its folder, or its hosts file.

    Raises:
        SpecError: It is about none of this machine.
    """
    directory = inventory if inventory.is_dir() else inventory.parent
    path = directory / "group_vars" / "all" / "lab.yml"
    values = load_yaml(path)
    kind = values.get("lab") if isinstance(values, dict) else None
    if kind not in ALL:
        raise SpecError(f"{path}: lab: {kind!r} is no lab that can be brought up; {' and '.join(ALL)} are")
    return replace(ALL[kind], network=str(values.get("lab_network", ALL[kind].network)))
