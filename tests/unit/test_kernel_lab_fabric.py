"""What the kernel lab makes of an inventory: addresses, routes and rate limits; nothing is built here."""

from pathlib import Path

import pytest

from aibench_lib.errors import LabError, SpecError
from aibench_lib.kernel_lab import fabric, machine
from aibench_lib.kernel_lab.inventory import Links, load_lab
from aibench_lib.labs import of_inventory
from aibench_lib.topology import parse_topology

INVENTORIES = Path(__file__).parents[2] / "inventory"
SPEC = load_lab(INVENTORIES / "kernel")
TOPOLOGY = SPEC.topology


def inventory(tmp_path, topology, kernel="kernel: {}"):
    folder = tmp_path / "group_vars" / "all"
    folder.mkdir(parents=True)
    (folder / "kernel.yml").write_text(kernel)
    (folder / "topology.yml").write_text(topology)
    return tmp_path


def test_a_leaf_has_two_ways_to_the_hosts_of_the_other_and_none_by_bgp_to_its_own():
    assert fabric.expected_routes(TOPOLOGY, "leaf1") == dict.fromkeys(
        ("10.1.0.3", "10.1.0.4", "10.1.0.7", "10.1.0.8"), 2
    )
    assert fabric.expected_routes(TOPOLOGY, "spine1") == {f"10.1.0.{number}": 1 for number in range(1, 9)}


def test_management_is_a_pair_of_addresses_a_node():
    found = fabric.management(TOPOLOGY, "198.18")
    assert found["leaf1"] == ("198.18.254.1", "198.18.254.0")
    assert found["spine2"] == ("198.18.254.7", "198.18.254.6")
    assert found["decode04"] == ("198.18.255.15", "198.18.255.14")


@pytest.mark.parametrize("network", ["8.8", "127.81", "224.0", "10.1", "10.2", "198", "lab"])
def test_a_network_that_may_be_somebody_elses_is_refused(network):
    with pytest.raises(SpecError, match="lab_network"):
        fabric.management(TOPOLOGY, network)


def test_spines_share_a_number_so_that_no_way_leads_through_two():
    first, second = (fabric.routing(TOPOLOGY, name) for name in ("spine1", "spine2"))
    assert "router bgp 65000\n" in first
    assert "router bgp 65000\n" in second
    assert "router bgp 65002\n" in fabric.routing(TOPOLOGY, "leaf2")


def test_spines_that_are_joined_have_numbers_of_their_own():
    links = [["leaf1:a", "spine1:a"], ["spine1:b", "spine2:b"], ["h1:nic0", "leaf1:b"]]
    topology = parse_topology(
        {"link_bps": 10**9, "switches": ["leaf1", "spine1", "spine2"], "hosts": ["h1"], "links": links}, "t"
    )
    assert "router bgp 65002\n" in fabric.routing(topology, "spine1")
    assert "router bgp 65003\n" in fabric.routing(topology, "spine2")
    assert fabric.expected_routes(topology, "spine2") == {"10.1.0.1": 1}


def test_a_leaf_announces_its_hosts_and_balances_over_all_ways():
    config = fabric.routing(TOPOLOGY, "leaf1")
    assert "ip route 10.1.0.1/32 10.2.0.8 swp1\n" in config
    assert "  network 10.1.0.1/32\n" in config
    assert "neighbor 10.2.0.1 remote-as 65000\n" in config
    assert "maximum-paths 64" in config


def test_each_port_has_the_rate_of_its_link_and_a_queue():
    limits = fabric.limits_batch(TOPOLOGY, Links(queue_bytes=500_000), "leaf1").splitlines()
    assert len(limits) == 2 * 6
    assert limits[0] == ("qdisc add dev swp49 root handle 1ab: tbf rate 1000000000bit burst 131072b limit 500000b")
    assert limits[1] == "qdisc add dev swp49 parent 1ab:1 handle 1ac: bfifo limit 500000"


def test_a_host_sends_into_the_fabric_with_the_address_that_others_know():
    lines = fabric.addresses_batch(TOPOLOGY, Links(), "prefill02").splitlines()
    assert "address add 10.1.0.2/32 dev nic0" in lines
    assert "route add 10.1.0.0/16 via 10.2.0.11 src 10.1.0.2" in lines


@pytest.mark.parametrize(
    ("topology", "kernel", "complaint"),
    [
        (
            "topology: {link_bps: 1, switches: [s], hosts: [h], links: [['h:nic0', 's:Ethernet1/1']]}",
            "kernel: {}",
            r"s:Ethernet1/1: no name for an interface of Linux",
        ),
        (
            "topology: {link_bps: 1, switches: [s], hosts: [h], links: [['h:a', 's:a'], ['h:b', 's:b']]}",
            "kernel: {}",
            "h: a host of the kernel lab has exactly one link",
        ),
        (
            "topology: {link_bps: 1, switches: [s], hosts: [h], links: [['h:a', 's:a']]}",
            "kernel: {mtu: 9000}",
            r"kernel\.mtu: unknown key; known keys: mtu_bytes, queue_bytes",
        ),
        (
            "topology: {link_bps: 1, switches: [s], hosts: [h], links: [['h:a', 's:a']]}",
            "kernel: {mtu_bytes: 500}",
            "mtu_bytes is 500, must be a whole number from 1280",
        ),
    ],
)
def test_what_linux_cannot_have_is_refused_before_anything_is_built(tmp_path, topology, kernel, complaint):
    with pytest.raises(SpecError, match=complaint):
        load_lab(inventory(tmp_path, topology, kernel))


def test_without_root_there_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match=r"^kernel lab: network namespaces need root; start it as root, or with sudo$"):
        machine.check_machine()


def test_an_inventory_says_which_lab_it_is_about():
    assert of_inventory(INVENTORIES / "kernel").title == "kernel lab"
    assert of_inventory(INVENTORIES / "simulated").network == "127.81"
    with pytest.raises(SpecError, match="'hardware' is no lab that can be brought up; simulated and kernel are"):
        of_inventory(INVENTORIES / "example")
