"""What a run subscribes to: the observed ports finely, all others coarsely."""

import dataclasses

import pytest
from simulated_inventory import LAB

from aibench_lib.model import Port
from aibench_lib.platforms import load_platform
from aibench_lib.run.plan import Profile
from aibench_lib.run.subscriptions import subscriptions

PROFILE = Profile(telemetry_interval_ns=10_000, fabric_interval_ns=1_000_000)
WATCHED = (Port("leaf1", "Ethernet1"), Port("spine1", "ethernet-1/2"))


def found(measurement, host, lab=LAB):
    return [one for one in subscriptions(lab, WATCHED, PROFILE) if (one.measurement, one.host) == (measurement, host)]


def interfaces(host):
    ports = [port for link in LAB.topology.links for port in (link.a, link.b)]
    return {port.interface for port in ports if port.node == host}


@pytest.mark.parametrize(("host", "element"), [("leaf1", "name=Ethernet1]"), ("spine1", "interface-id=ethernet-1/2]")])
def test_pauses_of_an_observed_port_are_sampled_finely_and_of_its_neighbours_coarsely(host, element):
    intervals = {one.path: one.interval_ns for one in found("pfc", host)}
    entries = [entry for entry in load_platform(LAB.switches[host].platform).telemetry if entry.measurement == "pfc"]
    assert len(intervals) == len(entries) * len(interfaces(host))
    assert {interval for path, interval in intervals.items() if element in path} == {10_000}
    assert {interval for path, interval in intervals.items() if element not in path} == {1_000_000}


def test_pauses_of_a_switch_without_observed_ports_are_sampled_coarsely_with_one_path():
    (one,) = found("pfc", "spine2")
    assert (one.interval_ns, "interface-id=*]" in one.path) == (1_000_000, True)


@pytest.mark.parametrize("host", ["leaf1", "spine1"])
def test_port_and_priority_become_tags(host):
    for one in found("pfc", host):
        assert set(one.tags) == {"interface", "priority"}
        assert "[index=3]" in one.path


def test_the_inventory_names_the_lossless_priority():
    leaf1 = LAB.switches["leaf1"]
    other = dataclasses.replace(leaf1, options={**leaf1.options, "priority": "4"})
    lab = dataclasses.replace(LAB, switches={**LAB.switches, "leaf1": other})
    assert all("[index=4]" in one.path for one in found("pfc", "leaf1", lab))
    plain = dataclasses.replace(leaf1, options={"queue": "3"})
    lab = dataclasses.replace(LAB, switches={**LAB.switches, "leaf1": plain})
    assert all("[index=3]" in one.path for one in found("pfc", "leaf1", lab))


def test_only_the_observed_queues_of_a_switch_are_sampled():
    paths = [one.path for one in found("queue", "leaf1") if "Ethernet" in one.path]
    assert paths == [path for path in paths if "Ethernet1]" in path]
    assert all(one.interval_ns == 10_000 for one in found("queue", "leaf1"))
    assert all(one.interval_ns == 1_000_000 for one in found("queue", "leaf2"))
