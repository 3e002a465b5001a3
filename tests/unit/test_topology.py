from pathlib import Path

import pytest

from aibench_lib.errors import SpecError
from aibench_lib.model import Port
from aibench_lib.topology import load_topology, parse_topology

SIMULATED = Path(__file__).parents[2] / "inventory/simulated/group_vars/all/topology.yml"


def one_link(**changes: object) -> dict[str, object]:
    links = [["host1:nic0", "leaf1:Ethernet1"]]
    return {"link_bps": 400_000_000_000, "switches": ["leaf1"], "hosts": ["host1"], "links": links, **changes}


def test_the_simulated_lab_has_32_prefill_workers_and_a_decode_worker_under_the_leaf_under_test():
    topology = load_topology(SIMULATED)
    under_leaf1 = [host for host in topology.hosts if topology.attachment(host).node == "leaf1"]
    assert len([host for host in under_leaf1 if host.startswith("prefill")]) == 32
    assert "decode01" in under_leaf1


def test_the_simulated_lab_is_a_clos_in_which_every_leaf_meets_every_spine():
    topology = load_topology(SIMULATED)
    pairs = {frozenset((link.a.node, link.b.node)) for link in topology.links}
    assert all(
        frozenset((leaf, spine)) in pairs for leaf in ("leaf1", "leaf2", "leaf3") for spine in ("spine1", "spine2")
    )


def test_a_link_has_the_topologys_rate_unless_it_names_one():
    slow = parse_topology(one_link(links=[["host1:nic0", "leaf1:Ethernet1", 100_000_000_000]]), "t")
    assert parse_topology(one_link(), "t").links[0].bps == 400_000_000_000
    assert slow.links[0].bps == 100_000_000_000


def test_a_neighbour_is_the_other_end_of_the_link():
    topology = parse_topology(one_link(), "t")
    assert topology.neighbour(Port("leaf1", "Ethernet1")) == Port("host1", "nic0")
    assert topology.neighbour(Port("leaf1", "Ethernet2")) is None


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ([["host1:nic0", "leaf9:Ethernet1"]], "'leaf9' is neither in topology.switches nor in topology.hosts"),
        ([["host1", "leaf1:Ethernet1"]], "'host1' is not node:interface"),
        ([["host1:nic0"]], "expected"),
        ([["host1:nic0", "leaf1:E1"], ["host1:nic0", "leaf1:E2"]], "host1:nic0 is already used by links"),
    ],
)
def test_a_wrong_link_is_refused_by_its_number(links, message):
    with pytest.raises(SpecError, match=message) as caught:
        parse_topology(one_link(links=links), "inventory: topology")
    assert "inventory: topology.links[" in str(caught.value)


def test_a_misspelt_key_of_the_topology_is_refused():
    with pytest.raises(SpecError, match=r"topology\.swiches: unknown key; did you mean 'switches'"):
        parse_topology(one_link(swiches=[]), "inventory: topology")
