"""What switches say of themselves, over their real wires."""

from collections.abc import Iterator

import pytest
from eos_pair import EosPair, eos_pair
from switch_lab import SwitchLab, switch_lab

from aibench_lib.switch.facts import InterfaceFacts, read_facts
from aibench_lib.switch.target import parse_target


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EosPair]:
    with eos_pair(tmp_path_factory.mktemp("pair"), "127.154") as up:
        yield up


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwitchLab]:
    with switch_lab(tmp_path_factory.mktemp("lab"), "127.155") as up:
        yield up


def test_eos_says_what_it_is_in_one_session(pair):
    writes = len(pair.lab.writes)
    found = read_facts(pair.targets["leaf1"])
    assert "simulated" in str(found.model)
    assert found.interfaces["Ethernet49"] == InterfaceFacts(
        oper="up",
        admin="up",
        speed_bps=400_000_000_000,
        mtu=9214,
        address=found.interfaces["Ethernet49"].address,
        neighbour="spine1",
        neighbour_port="Ethernet1",
    )
    assert found.clock is not None
    assert len(pair.lab.writes) == writes


def test_both_ends_of_a_link_between_two_kinds_of_switches_agree(lab):
    leaf, spine = (read_facts(parse_target(host, lab.variables(host))) for host in ("leaf1", "spine1"))
    one, other = leaf.interfaces["Ethernet49"], spine.interfaces["ethernet-1/1"]
    assert (one.oper, one.speed_bps, one.mtu) == (other.oper, other.speed_bps, other.mtu)
    assert (one.neighbour, one.neighbour_port) == ("spine1", "ethernet-1/1")
    assert (other.neighbour, other.neighbour_port) == ("leaf1", "Ethernet49")
    assert (leaf.clock, spine.clock) == (leaf.clock, leaf.clock)
