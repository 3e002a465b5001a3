"""Data-plane addresses, derived from the order of hosts and links, so that nobody writes them down twice."""

import ipaddress

from aibench_lib.errors import SpecError
from aibench_lib.model import Port, Topology

HOSTS = ipaddress.IPv4Network("10.1.0.0/16")
"""Host number i, counted from 1, has the i-th address."""
LINKS = ipaddress.IPv4Network("10.2.0.0/16")
"""Link number n, counted from 0, has the n-th /31: its first end the even address, its second end the odd one."""


def host_address(topology: Topology, host: str) -> str:
    """Return the address that traffic to a host is sent to.

    Draft: Section 3.1.

    Raises:
        SpecError: No such host, or more hosts than addresses.
    """
    if host not in topology.hosts:
        raise SpecError(f"{host}: not a host of the topology, so it has no address")
    return _address(HOSTS, topology.hosts.index(host) + 1, host)


def port_address(topology: Topology, port: Port) -> str:
    """Return the address of one end of a link.

    Draft: Section 3.1.

    Raises:
        SpecError: No link ends at the port, or there are more links than addresses.
    """
    for number, link in enumerate(topology.links):
        if port in (link.a, link.b):
            return _address(LINKS, 2 * number + (port == link.b), str(port))
    raise SpecError(f"{port}: no link of the topology ends here, so it has no address")


def _address(network: ipaddress.IPv4Network, number: int, what: str) -> str:
    if number >= network.num_addresses:
        raise SpecError(f"{what}: no address left in {network}; the topology is too large")
    return str(network[number])
