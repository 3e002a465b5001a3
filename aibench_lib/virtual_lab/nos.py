"""Which switch speaks what: told from how its interfaces are called in the topology."""

import re
from collections.abc import Mapping

from aibench_lib.errors import SpecError
from aibench_lib.model import Port, Topology
from aibench_lib.topology import port_address
from aibench_lib.virtual_lab.eos.switch import EosSwitch
from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch
from aibench_lib.virtual_lab.writes import Writes

_EOS = re.compile(r"Ethernet\d+(/\d+)*")
_SRLINUX = re.compile(r"ethernet-\d+/\d+")


def make_switches(topology: Topology, writes: Writes) -> dict[str, EosSwitch | SrlinuxSwitch]:
    """Return every switch of a topology in its base configuration.

    Raises:
        SpecError: A switch's interfaces are called neither as EOS nor as SR Linux calls them.
    """
    return {name: _switch(topology, name, _neighbours(topology, name), writes) for name in topology.switches}


def _switch(topology: Topology, name: str, neighbours: Mapping[str, Port], writes: Writes) -> EosSwitch | SrlinuxSwitch:
    addresses = {interface: f"{port_address(topology, Port(name, interface))}/31" for interface in neighbours}
    if all(map(_EOS.fullmatch, neighbours)):
        return EosSwitch(name, neighbours, writes, addresses)
    if all(map(_SRLINUX.fullmatch, neighbours)):
        return SrlinuxSwitch(name, neighbours, addresses)
    raise SpecError(
        f"topology: {name}: the virtual lab speaks EOS (Ethernet1) and SR Linux (ethernet-1/1), and this switch has "
        f"{', '.join(neighbours)}"
    )


def _neighbours(topology: Topology, name: str) -> dict[str, Port]:
    ends = [pair for link in topology.links for pair in ((link.a, link.b), (link.b, link.a))]
    found = {port.interface: other for port, other in ends if port.node == name}
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in re.findall(r"\d+", item[0])]))
