"""Read the fabric's topology from the inventory's ``group_vars/all/topology.yml``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aibench_lib.errors import SpecError
from aibench_lib.model import Link, Port, Topology
from aibench_lib.spec import build, load_yaml
from aibench_lib.topology.clos import build_fabric


@dataclass(frozen=True, kw_only=True)
class _TopologyFile:
    link_bps: int
    """Line rate of a link that names none [bit/s]."""
    switches: list[str]
    hosts: list[str]
    links: list[list[str]]
    """Pairs ``[node:interface, node:interface]``, or with a third element, the line rate [bit/s]."""


@dataclass(frozen=True, kw_only=True)
class _FabricFile:
    link_bps: int
    """Line rate of a host's link [bit/s]."""
    fabric: object
    """See :mod:`aibench_lib.topology.shapes`."""

    def __post_init__(self) -> None:
        if type(self.link_bps) is not int or self.link_bps < 1:
            raise ValueError(f"link_bps is {self.link_bps!r}, must be a whole number of at least 1")


def load_topology(path: Path) -> Topology:
    """Return the topology declared under the key ``topology`` of a YAML file.

    Draft: Section 3.1.

    Raises:
        SpecError: An unknown key, a link to a node that is not declared, or a port used twice.
    """
    content = load_yaml(path)
    if not isinstance(content, dict) or "topology" not in content:
        raise SpecError(f"{path}: topology: missing; this key is required")
    return parse_topology(content["topology"], f"{path}: topology")


def parse_topology(values: object, where: str) -> Topology:
    """Return the topology of already read values, link by link or by the shape of its fabric.

    Args:
        values: ``switches``, ``hosts`` and ``links``; or ``fabric``.
        where: Opens every message.

    Raises:
        SpecError: As for :func:`load_topology`.
    """
    if isinstance(values, Mapping) and "fabric" in values:
        for key in ("switches", "hosts", "links"):
            if key in values:
                raise SpecError(f"{where}.{key}: fabric declares it already; remove one of them")
        fabric = build(_FabricFile, values, where)
        return build_fabric(fabric.fabric, fabric.link_bps, f"{where}.fabric")
    spec = build(_TopologyFile, values, where)
    nodes = {*spec.switches, *spec.hosts}
    links = []
    used: dict[Port, int] = {}
    for number, entry in enumerate(spec.links):
        here = f"{where}.links[{number}]"
        if len(entry) not in (2, 3):
            raise SpecError(f"{here}: expected [node:interface, node:interface], found {entry}")
        a, b = (_port(end, nodes, here) for end in entry[:2])
        for port in (a, b):
            if port in used:
                raise SpecError(f"{here}: port {port} is already used by links[{used[port]}]")
            used[port] = number
        links.append(Link(a, b, int(entry[2]) if len(entry) == 3 else spec.link_bps))
    return Topology(tuple(spec.hosts), tuple(spec.switches), tuple(links))


def _port(text: str, nodes: set[str], where: str) -> Port:
    node, separator, interface = str(text).partition(":")
    if not separator or not interface:
        raise SpecError(f"{where}: {text!r} is not node:interface")
    if node not in nodes:
        raise SpecError(f"{where}: {node!r} is neither in topology.switches nor in topology.hosts")
    return Port(node, interface)
