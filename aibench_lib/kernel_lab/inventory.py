"""What the kernel lab reads of an inventory: the topology, and what its links are like."""

from dataclasses import dataclass
from pathlib import Path

from aibench_lib.errors import SpecError
from aibench_lib.model import Topology
from aibench_lib.spec import build, load_yaml
from aibench_lib.topology import load_topology

_LONGEST_NAME = 15
"""Of an interface [characters]; the kernel's limit."""


@dataclass(frozen=True, kw_only=True)
class Links:
    """What all links are like; their rates stand in the topology."""

    mtu_bytes: int = 9000
    """The largest IP packet."""
    queue_bytes: int = 1_000_000
    """What waits before the rate limit of a port at most; beyond that packets are dropped."""

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("mtu_bytes", self.mtu_bytes, 1280, 65_535),
            ("queue_bytes", self.queue_bytes, 100_000, 1_000_000_000),
        ):
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{name} is {value!r}, must be a whole number from {least} to {most}")


@dataclass(frozen=True)
class LabSpec:
    """The fabric that is built."""

    topology: Topology
    links: Links


def load_lab(inventory: Path) -> LabSpec:
    """Read ``group_vars/all/topology.yml`` and ``kernel.yml`` of an inventory.

    Args:
        inventory: The inventory's directory, or its hosts file.

    Raises:
        SpecError: A file is missing, a key in it is wrong, or Linux cannot have such a fabric.
    """
    directory = inventory if inventory.is_dir() else inventory.parent
    path = directory / "group_vars" / "all" / "kernel.yml"
    values = load_yaml(path)
    if not isinstance(values, dict) or set(values) != {"kernel"}:
        raise SpecError(f"{path}: expected the one key `kernel`")
    topology = load_topology(directory / "group_vars" / "all" / "topology.yml")
    _check(topology, f"{directory / 'group_vars' / 'all' / 'topology.yml'}: topology")
    return LabSpec(topology, build(Links, values["kernel"], f"{path}: kernel"))


def _check(topology: Topology, where: str) -> None:
    """Check what no other lab asks of a topology."""
    ports = [port for link in topology.links for port in (link.a, link.b)]
    for port in ports:
        if len(port.interface) > _LONGEST_NAME or "/" in port.interface or port.interface in ("lo", "mgmt"):
            raise SpecError(
                f"{where}: {port}: no name for an interface of Linux: at most {_LONGEST_NAME} characters, no slash, "
                "and neither lo nor mgmt"
            )
    for host in topology.hosts:
        if sum(port.node == host for port in ports) != 1:
            raise SpecError(f"{where}: {host}: a host of the kernel lab has exactly one link")
