"""Which switch speaks what: the simulated switches by platform."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aibench_lib.errors import SpecError
from aibench_lib.model import Port, Topology
from aibench_lib.topology import port_address
from aibench_lib.virtual_lab import configured
from aibench_lib.virtual_lab.cli.ssh import Conversation
from aibench_lib.virtual_lab.dell.cli import Cli as DellCli
from aibench_lib.virtual_lab.dell.switch import DellSwitch
from aibench_lib.virtual_lab.dell.telemetry import CONTAINERS as DELL_CONTAINERS
from aibench_lib.virtual_lab.dell.telemetry import GNMI_PORT as DELL_GNMI_PORT
from aibench_lib.virtual_lab.dell.telemetry import MODELS as DELL_MODELS
from aibench_lib.virtual_lab.eos.cli import Cli as EosCli
from aibench_lib.virtual_lab.eos.switch import EosSwitch
from aibench_lib.virtual_lab.eos.telemetry import CONTAINERS as EOS_CONTAINERS
from aibench_lib.virtual_lab.gnmi.service import Configuration
from aibench_lib.virtual_lab.junos.switch import JunosSwitch
from aibench_lib.virtual_lab.junos.telemetry import CONTAINERS as JUNOS_CONTAINERS
from aibench_lib.virtual_lab.junos.telemetry import GNMI_PORT as JUNOS_GNMI_PORT
from aibench_lib.virtual_lab.junos.telemetry import MODELS as JUNOS_MODELS
from aibench_lib.virtual_lab.nvue.shell import Shell as NvueShell
from aibench_lib.virtual_lab.nvue.switch import NvueSwitch
from aibench_lib.virtual_lab.nvue.telemetry import CONTAINERS as NVUE_CONTAINERS
from aibench_lib.virtual_lab.nvue.telemetry import GNMI_PORT as NVUE_GNMI_PORT
from aibench_lib.virtual_lab.nvue.telemetry import MODELS as NVUE_MODELS
from aibench_lib.virtual_lab.nxos.cli import Cli as NxosCli
from aibench_lib.virtual_lab.nxos.switch import NxosSwitch
from aibench_lib.virtual_lab.nxos.telemetry import CONTAINERS as NXOS_CONTAINERS
from aibench_lib.virtual_lab.nxos.telemetry import MODELS as NXOS_MODELS
from aibench_lib.virtual_lab.observed import Container
from aibench_lib.virtual_lab.physical import Physical
from aibench_lib.virtual_lab.sonic.switch import SonicSwitch
from aibench_lib.virtual_lab.sonic.telemetry import CONTAINERS as SONIC_CONTAINERS
from aibench_lib.virtual_lab.sonic.telemetry import GNMI_PORT as SONIC_GNMI_PORT
from aibench_lib.virtual_lab.sonic.telemetry import MODELS as SONIC_MODELS
from aibench_lib.virtual_lab.srlinux.cli import SrlinuxCli
from aibench_lib.virtual_lab.srlinux.configuration import SrlinuxConfiguration
from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch
from aibench_lib.virtual_lab.srlinux.telemetry import CONTAINERS as SRLINUX_CONTAINERS
from aibench_lib.virtual_lab.writes import Writes


class SimulatedSwitch(configured.Switch, Protocol):
    """A switch behind its wires."""

    physical: Physical
    """What it sees, which the lab tells it."""

    def running_text(self) -> str:
        """Return the running configuration as text."""


Make = Callable[[str, Mapping[str, Port], Writes, Mapping[str, str]], SimulatedSwitch]


@dataclass(frozen=True)
class Nos:
    """A platform of the virtual lab."""

    make: Make
    """From name, interface -> neighbour, the log of writes, and interface -> address."""
    containers: tuple[Container, ...]
    """What gNMI shows of it."""
    gnmi_port: int
    models: tuple[str, ...]
    """That gNMI says it has."""
    converse: Callable[[Any], Conversation] | None = None
    """Opens a session of the command line of one of these switches; None: it has none."""
    configuration: Callable[[Any], Configuration] | None = None
    """The door by which gNMI changes it; None: gNMI only shows."""


_SRLINUX = Nos(
    SrlinuxSwitch,
    SRLINUX_CONTAINERS,
    57400,
    ("srl_nokia-interfaces", "srl_nokia-qos", "srl_nokia-platform"),
    converse=SrlinuxCli,
    configuration=SrlinuxConfiguration,
)
PLATFORMS: Mapping[str, Nos] = {
    "arista_eos": Nos(
        EosSwitch,
        EOS_CONTAINERS,
        6030,
        ("openconfig-interfaces", "openconfig-qos", "arista-lanz-lanz-open-config"),
        converse=EosCli,
    ),
    "cisco_nxos": Nos(NxosSwitch, NXOS_CONTAINERS, 50051, NXOS_MODELS, converse=NxosCli),
    "cumulus_nvue": Nos(NvueSwitch, NVUE_CONTAINERS, NVUE_GNMI_PORT, NVUE_MODELS, converse=NvueShell),
    "dell_sonic": Nos(DellSwitch, DELL_CONTAINERS, DELL_GNMI_PORT, DELL_MODELS, converse=DellCli),
    "juniper_junos": Nos(
        JunosSwitch, JUNOS_CONTAINERS, JUNOS_GNMI_PORT, JUNOS_MODELS, converse=JunosSwitch.conversation
    ),
    "nokia_srlinux": _SRLINUX,
    "nokia_srlinux_cli": _SRLINUX,
    "sonic": Nos(SonicSwitch, SONIC_CONTAINERS, SONIC_GNMI_PORT, SONIC_MODELS, converse=SonicSwitch.conversation),
}


def make_switches(topology: Topology, platforms: Mapping[str, str], writes: Writes) -> dict[str, SimulatedSwitch]:
    """Return every switch of a topology in its base configuration.

    Args:
        topology: The fabric.
        platforms: Switch -> platform.
        writes: Where writes are noted.

    Raises:
        SpecError: The virtual lab has no switch of a platform.
    """
    return {name: _switch(topology, name, platforms[name], writes) for name in topology.switches}


def _switch(topology: Topology, name: str, platform: str, writes: Writes) -> SimulatedSwitch:
    if platform not in PLATFORMS:
        raise SpecError(f"{name}: switch.platform: the virtual lab has no {platform}; it has {', '.join(PLATFORMS)}")
    neighbours = _neighbours(topology, name)
    addresses = {interface: f"{port_address(topology, Port(name, interface))}/31" for interface in neighbours}
    return PLATFORMS[platform].make(name, neighbours, writes, addresses)


def _neighbours(topology: Topology, name: str) -> dict[str, Port]:
    ends = [pair for link in topology.links for pair in ((link.a, link.b), (link.b, link.a))]
    found = {port.interface: other for port, other in ends if port.node == name}
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in re.findall(r"\d+", item[0])]))
