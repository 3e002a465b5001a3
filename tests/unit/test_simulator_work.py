import pytest
from simulator_cases import SMALL, fat_tree


@pytest.mark.parametrize(("case", "most"), [("incast", 1.52), ("permutation", 1.57), ("all-to-all", 1.90)])
def test_a_packet_on_a_link_takes_no_more_events_than_it_did(case, most):
    """The bounds are 2 % above what was counted; the count is the same on every machine, as seconds are not."""
    simulation = SMALL[case]()
    simulation.advance()
    assert simulation.events / simulation.packet_hops <= most


def test_a_fat_tree_of_ports_by_eight_has_128_hosts():
    topology = fat_tree(8)
    assert (len(topology.hosts), len(topology.switches)) == (128, 80)
