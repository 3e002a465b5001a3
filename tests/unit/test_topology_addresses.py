import ipaddress

import pytest

from aibench_lib.errors import SpecError
from aibench_lib.model import Link, Port, Topology
from aibench_lib.topology import host_address, port_address

LINKS = (
    Link(Port("leaf1", "Ethernet49"), Port("spine1", "ethernet-1/1"), 1),
    Link(Port("h1", "nic0"), Port("leaf1", "Ethernet1"), 1),
    Link(Port("h2", "nic0"), Port("leaf1", "Ethernet2"), 1),
)
FABRIC = Topology(("h1", "h2"), ("leaf1", "spine1"), LINKS)


def test_hosts_are_numbered_from_one_in_the_order_of_the_topology():
    assert [host_address(FABRIC, host) for host in FABRIC.hosts] == ["10.1.0.1", "10.1.0.2"]


def test_a_link_is_a_pair_of_addresses_whose_even_one_is_its_first_end():
    assert port_address(FABRIC, Port("leaf1", "Ethernet49")) == "10.2.0.0"
    assert port_address(FABRIC, Port("spine1", "ethernet-1/1")) == "10.2.0.1"
    assert port_address(FABRIC, Port("leaf1", "Ethernet2")) == "10.2.0.5"


def test_both_ends_of_every_link_share_a_31():
    for link in FABRIC.links:
        network = ipaddress.ip_network(f"{port_address(FABRIC, link.a)}/31")
        assert ipaddress.ip_address(port_address(FABRIC, link.b)) in network


def test_the_numbers_carry_into_the_third_byte():
    hosts = tuple(f"h{number}" for number in range(300))
    assert host_address(Topology(hosts, (), ()), "h299") == "10.1.1.44"


def test_what_is_not_in_the_topology_has_no_address():
    with pytest.raises(SpecError, match="h9: not a host"):
        host_address(FABRIC, "h9")
    with pytest.raises(SpecError, match="leaf1:Ethernet7: no link"):
        port_address(FABRIC, Port("leaf1", "Ethernet7"))


def test_a_topology_larger_than_its_networks_is_refused():
    hosts = tuple(map(str, range(65_536)))
    with pytest.raises(SpecError, match=r"no address left in 10\.1\.0\.0/16"):
        host_address(Topology(hosts, (), ()), "65535")
