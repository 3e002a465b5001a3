"""What the virtual lab takes from an inventory."""

from pathlib import Path

import pytest

from aibench_lib.errors import SpecError
from aibench_lib.topology import parse_topology
from aibench_lib.virtual_lab.eos.switch import EosSwitch
from aibench_lib.virtual_lab.inventory import addresses, load_lab
from aibench_lib.virtual_lab.nos import make_switches
from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch
from aibench_lib.virtual_lab.writes import Writes

INVENTORY = Path(__file__).parents[2] / "inventory" / "simulated"


def topology(*links):
    return parse_topology({"link_bps": 1, "switches": ["leaf1", "spine1"], "hosts": ["a"], "links": links}, "t")


def test_the_default_inventory_is_a_lab_by_its_directory_and_by_its_hosts_file():
    spec = load_lab(INVENTORY)
    assert spec == load_lab(INVENTORY / "hosts.yml")
    assert spec.parameters.mtu_bytes == 4096
    assert len(spec.topology.hosts) == 73


def test_nodes_are_numbered_in_the_order_of_the_topology():
    assert addresses(topology(), "127.82") == {"leaf1": "127.82.0.1", "spine1": "127.82.0.2", "a": "127.82.1.1"}


@pytest.mark.parametrize("network", ["10.0", "127", "127.0.0", "localhost", "128.1", ""])
def test_only_loopback_networks_are_taken(network):
    with pytest.raises(SpecError, match="lab_network"):
        addresses(topology(), network)


def test_a_switch_speaks_what_its_interfaces_are_named_after():
    switches = make_switches(
        topology(["a:nic0", "leaf1:Ethernet1"], ["leaf1:Ethernet49", "spine1:ethernet-1/1"]),
        {"leaf1": "arista_eos", "spine1": "nokia_srlinux"},
        Writes(),
    )
    assert isinstance(switches["leaf1"], EosSwitch)
    assert isinstance(switches["spine1"], SrlinuxSwitch)


def test_a_platform_that_is_not_simulated_is_refused():
    with pytest.raises(SpecError, match=r"spine1: switch.platform: the virtual lab has no vyos; it has arista_eos, "):
        make_switches(
            topology(["leaf1:Ethernet49", "spine1:swp1"]), {"leaf1": "arista_eos", "spine1": "vyos"}, Writes()
        )


def test_a_file_without_the_key_simulation_is_refused(tmp_path):
    (tmp_path / "group_vars" / "all").mkdir(parents=True)
    (tmp_path / "group_vars" / "all" / "simulation.yml").write_text("simulator: {}\n")
    with pytest.raises(SpecError, match=r"simulation\.yml: expected the one key `simulation`"):
        load_lab(tmp_path)
