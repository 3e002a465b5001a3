"""What the virtual lab reads of an inventory: topology, platforms, the simulator's parameters, the nodes' addresses."""

import ipaddress
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aibench_lib.errors import SpecError
from aibench_lib.model import Topology
from aibench_lib.simulator import Parameters
from aibench_lib.spec import build, load_yaml
from aibench_lib.topology import load_topology

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


@dataclass(frozen=True)
class LabSpec:
    """The fabric that is simulated."""

    topology: Topology
    platforms: Mapping[str, str]
    """Switch -> its platform, a folder of ``templates/``."""
    parameters: Parameters


def load_lab(inventory: Path) -> LabSpec:
    """Read ``group_vars/all/topology.yml``, ``simulation.yml`` and the switches' ``switch.platform`` of an inventory.

    Args:
        inventory: The inventory's directory, or its hosts file.

    Raises:
        SpecError: A file is missing, or a key in it is wrong.
    """
    directory = inventory if inventory.is_dir() else inventory.parent
    path = directory / "group_vars" / "all" / "simulation.yml"
    values = load_yaml(path)
    if not isinstance(values, dict) or set(values) != {"simulation"}:
        raise SpecError(f"{path}: expected the one key `simulation`")
    topology = load_topology(directory / "group_vars" / "all" / "topology.yml")
    return LabSpec(
        topology,
        _platforms(directory, topology),
        build(Parameters, values["simulation"], f"{path}: simulation"),
    )


def _platforms(directory: Path, topology: Topology) -> dict[str, str]:
    """Ask Ansible, which alone knows how groups, their order and their variables become those of a host."""
    command = [sys.executable, "-m", "ansible", "inventory", "-i", str(directory), "--list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    if listing.returncode:
        raise SpecError(f"{directory}: not an inventory: {' '.join(listing.stderr.split())}")
    variables = json.loads(listing.stdout)["_meta"]["hostvars"]
    return {name: _platform(name, variables.get(name, {}).get("switch")) for name in topology.switches}


def _platform(name: str, switch: object) -> str:
    if not isinstance(switch, Mapping) or not isinstance(switch.get("platform"), str):
        raise SpecError(
            f"{name}: switch.platform: missing; the virtual lab needs it to know which command line to speak"
        )
    return str(switch["platform"])


def addresses(topology: Topology, network: str) -> dict[str, str]:
    """Return every node's address: ``<network>.0.<switch number>`` and ``<network>.1.<host number>``, from 1 on.

    Args:
        topology: Its order gives the numbers.
        network: First two octets, such as ``127.81``.

    Raises:
        SpecError: The network is not a loopback network, or there are more nodes than addresses.
    """
    try:
        block = ipaddress.ip_network(f"{network}.0.0/16")
    except ValueError as error:
        raise SpecError(
            f"lab_network: {network!r} is not the first two octets of an address, such as 127.81"
        ) from error
    if not block.subnet_of(_LOOPBACK):  # type: ignore[arg-type] # both are version 4: four octets were parsed
        raise SpecError(f"lab_network: {network} is not loopback; the virtual lab answers on 127.0.0.0/8 only")
    if len(topology.switches) > 255 or len(topology.hosts) > 255:
        raise SpecError("topology: the virtual lab has addresses for 255 switches and 255 hosts")
    return {
        **{name: f"{network}.0.{number}" for number, name in enumerate(topology.switches, 1)},
        **{name: f"{network}.1.{number}" for number, name in enumerate(topology.hosts, 1)},
    }
