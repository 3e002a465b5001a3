"""What every node of the fabric has: interfaces, addresses, routes, rate limits; pure functions of the topology."""

import ipaddress
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from aibench_lib.errors import SpecError
from aibench_lib.kernel_lab.inventory import Links
from aibench_lib.model import Link, Port, Topology
from aibench_lib.topology.addresses import HOSTS, LINKS, host_address, port_address

LIMITER = "1ab:"
"""Handle of the rate limit that the lab puts at the root of every port; the platform's file knows it by this."""
QUEUE = "1ac:"
"""Handle of the queue before the limit."""
_BURST_BYTES = 131_072
"""Let through at once: two of the largest segments that the kernel hands over as one."""
_FIRST_AS = 65_001
_SPINES_AS = 65_000


@dataclass(frozen=True)
class End:
    """One end of a link, as its node sees it."""

    interface: str
    address: str
    neighbour: Port
    neighbour_address: str
    bps: int


def ends(topology: Topology, node: str) -> list[End]:
    """Return the ports of a node in the order of the links."""
    return [
        End(own.interface, port_address(topology, own), other, port_address(topology, other), link.bps)
        for link in topology.links
        for own, other in ((link.a, link.b), (link.b, link.a))
        if own.node == node
    ]


def management(topology: Topology, network: str) -> dict[str, tuple[str, str]]:
    """Return of every node its address for management, and the machine's on the same cable (a /31).

    Args:
        topology: Its order gives the numbers.
        network: First two octets, such as ``198.18``; switch number i, counted from 0, has ``<network>.254.<2i+1>``,
            host number i ``<network>.255.<2i+1>``.

    Raises:
        SpecError: Not the first two octets of an address, or there are more nodes than addresses.
    """
    try:
        block = ipaddress.IPv4Network(f"{network}.0.0/16")
    except ValueError as error:
        raise SpecError(
            f"lab_network: {network!r} is not the first two octets of an address, such as 198.18"
        ) from error
    if block.is_global or block.is_multicast or block.is_loopback or block.overlaps(HOSTS) or block.overlaps(LINKS):
        raise SpecError(
            f"lab_network: {network}: take a private network other than {HOSTS} and {LINKS}, such as 198.18 or 172.30"
        )
    if len(topology.switches) > 128 or len(topology.hosts) > 128:
        raise SpecError("topology: the kernel lab has addresses for 128 switches and 128 hosts")
    return {
        name: (f"{network}.{octet}.{2 * number + 1}", f"{network}.{octet}.{2 * number}")
        for octet, names in ((254, topology.switches), (255, topology.hosts))
        for number, name in enumerate(names)
    }


def links_batch(topology: Topology, links: Links, pids: dict[str, int]) -> str:
    """Return the lines for ``ip -batch`` that join the namespaces of processes.

    Args:
        topology: What is joined.
        links: What the links are like.
        pids: Node -> a process in its namespace.
    """

    def cable(link: Link) -> str:
        one, other = (
            f"name {port.interface} mtu {links.mtu_bytes} numtxqueues 1 numrxqueues 1 netns {pids[port.node]}"
            for port in (link.a, link.b)
        )
        return f"link add {one} type veth peer {other}\n"

    return "".join(map(cable, topology.links))


def addresses_batch(topology: Topology, links: Links, node: str) -> str:
    """Return the lines for ``ip -batch`` that give a node its addresses, and a host its way into the fabric.

    The alias of an interface says what its queue was, for whoever has put another one in its place.
    """
    lines = ["link set lo up"]
    for end in ends(topology, node):
        lines.append(f"address add {end.address}/31 dev {end.interface}")
        lines.append(f'link set {end.interface} up alias "bfifo limit {links.queue_bytes}"')
        if node in topology.hosts:
            own = host_address(topology, node)
            lines.append(f"address add {own}/32 dev {end.interface}")
            lines += [f"route add {block} via {end.neighbour_address} src {own}" for block in (HOSTS, LINKS)]
    return "\n".join(lines) + "\n"


def limits_batch(topology: Topology, links: Links, node: str) -> str:
    """Return the lines for ``tc -batch`` that limit what a node sends to the rate of the link."""
    lines = []
    for end in ends(topology, node):
        lines += [
            f"qdisc add dev {end.interface} root handle {LIMITER} tbf rate {end.bps}bit burst {_BURST_BYTES}b "
            f"limit {links.queue_bytes}b",
            f"qdisc add dev {end.interface} parent {LIMITER}1 handle {QUEUE} bfifo limit {links.queue_bytes}",
        ]
    return "\n".join(lines) + "\n"


def routing(topology: Topology, switch: str) -> str:
    """Return what FRR is told of a switch: eBGP on every link between switches, as many ways as there are links.

    Sessions end with their link; where a link is silently dead, after three seconds.
    """
    numbers = _autonomous_systems(topology)
    router_id = f"10.3.0.{topology.switches.index(switch) + 1}"
    own_hosts = [(end, host_address(topology, end.neighbour.node)) for end in _to_hosts(topology, switch)]
    lines = ["frr defaults traditional", f"hostname {switch}", "service integrated-vtysh-config"]
    # Of a group of next hops, zebra 8.4 does not notice that the kernel drops one with its link: it would stay lost.
    lines += ["no zebra nexthop kernel enable", "!"]
    lines += [f"ip route {address}/32 {end.neighbour_address} {end.interface}" for end, address in own_hosts]
    for end in ends(topology, switch):
        lines += ["!", f"interface {end.interface}", f" description {end.neighbour}"]
    lines += ["!", f"router bgp {numbers[switch]}", f" bgp router-id {router_id}", " no bgp ebgp-requires-policy"]
    lines += [" bgp bestpath as-path multipath-relax", " timers bgp 1 3"]
    peers = [end for end in ends(topology, switch) if end.neighbour.node in topology.switches]
    for end in peers:
        lines.append(f" neighbor {end.neighbour_address} remote-as {numbers[end.neighbour.node]}")
        lines.append(f" neighbor {end.neighbour_address} timers connect 1")
    lines += [" !", " address-family ipv4 unicast"]
    lines += [f"  network {address}/32" for _, address in own_hosts]
    lines += ["  maximum-paths 64", " exit-address-family", "!"]
    return "\n".join(lines) + "\n"


def _to_hosts(topology: Topology, switch: str) -> list[End]:
    return [end for end in ends(topology, switch) if end.neighbour.node in topology.hosts]


def _autonomous_systems(topology: Topology) -> dict[str, int]:
    """Return each switch's number, of which every switch has its own.

    Only spines that are not joined to each other share one, so that no way leads through two of them.
    """
    spines = {switch for switch in topology.switches if not _to_hosts(topology, switch)}
    joined = any(link.a.node in spines and link.b.node in spines for link in topology.links)
    return {
        switch: _SPINES_AS if switch in spines and not joined else _FIRST_AS + number
        for number, switch in enumerate(topology.switches)
    }


def expected_routes(topology: Topology, switch: str) -> dict[str, int]:
    """Return the addresses of other switches' hosts -> over how many links the shortest ways to them begin."""
    found = {}
    for host in topology.hosts:
        leaf = topology.attachment(host).node
        if leaf == switch:
            continue
        distance = _distances(topology, leaf)
        nearer = sum(distance.get(end.neighbour.node, -1) == distance[switch] - 1 for end in ends(topology, switch))
        found[host_address(topology, host)] = nearer
    return found


def _distances(topology: Topology, start: str) -> dict[str, int]:
    """Return in how many hops each switch is reached."""
    found, waiting = {start: 0}, deque([start])
    while waiting:
        node = waiting.popleft()
        for other in _next_switches(topology, node):
            if other not in found:
                found[other] = found[node] + 1
                waiting.append(other)
    return found


def _next_switches(topology: Topology, node: str) -> Iterator[str]:
    return (end.neighbour.node for end in ends(topology, node) if end.neighbour.node in topology.switches)
