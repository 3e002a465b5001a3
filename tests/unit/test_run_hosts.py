"""What a preflight makes of the hosts' own words, and what the report says of them."""

from pathlib import Path

import pytest

from aibench_lib.run import host_judgement
from aibench_lib.run.described import hosts_of
from aibench_lib.run.findings import Severity, rows, table
from aibench_lib.worker.agents import Agent

WELL = {
    "nic.address": "10.0.0.1",
    "nic.addresses": "10.0.0.1",
    "nic.interface": "ens1f1np1",
    "nic.driver": "mlx5_core",
    "nic.model": "Mellanox MT2910 [ConnectX-7] (15b3:1021)",
    "nic.firmware": "28.39.1002",
    "nic.state": "up",
    "nic.carrier": "yes",
    "nic.speed_mbps": "400000",
    "nic.default_route": "no",
    "mtu": "9000",
    "rdma.device": "mlx5_1",
    "rdma.label": "real-rdma",
    "rdma.state": "ACTIVE",
    "rdma.link_layer": "Ethernet",
    "rdma.active_mtu": "4096",
    "rdma.gid_index": "3",
    "rdma.authentication": "RoCEv2 RC: memory keys, queue pair and sequence numbers only",
    "pfc.priorities": "3",
    "dscp.trust": "dscp",
    "dscp.map": "0:0-7 3:24-31",
    "ecn.priorities": "3",
    "memlock.bytes": "unlimited",
    "numa.nic": "1",
    "numa.nic_cpus": "32-63",
    "numa.agent": "1",
    "cpu.model": "Xeon 8480+",
    "cpu.cores": "32",
    "cpu.governor": "performance",
    "clock.source": "tsc",
    "clock.sync": "ptp",
    "clock.offset_bound_ns": "3420",
    "kernel": "6.8.0-45",
    "python": "3.12.3",
    "pyverbs": "50.0",
    "transport": "verbs",
}


def host(**changed):
    """Return the facts of a host: a name with ``__`` for a dot; None: it does not say that."""
    facts = {**WELL, **{name.replace("__", "."): value for name, value in changed.items()}}
    return {name: value for name, value in facts.items() if value is not None}


def agent(name, address="192.0.2.9"):
    return Agent(host=name, address=address, port=1, ca=Path(), cert=Path(), key=Path())


def judged(*facts, payload_bytes=4096, address="192.0.2.9", **options):
    named = {f"h{number}": said for number, said in enumerate(facts, start=1)}
    agents = {name: agent(name, address) for name in named}
    return list(host_judgement.judge(named, agents, payload_bytes, **options))


def test_a_host_without_fault_is_green_and_hosts_that_say_nothing_are_not_judged():
    (found,) = judged(host(), host())
    assert (found.severity, found.text) == (Severity.GREEN, "nothing stands against a run on 2 of 2 hosts")
    assert judged() == []


@pytest.mark.parametrize(
    ("changed", "check", "words"),
    [
        ({"nic__interface": None}, "NIC", "has no interface with 10.0.0.1"),
        ({"nic__carrier": "no"}, "NIC", "link is down (ens1f1np1)"),
        ({"nic__state": "down"}, "NIC", "link is down"),
        ({"rdma__state": "DOWN"}, "RDMA", "is DOWN, not ACTIVE"),
        ({"rdma__link_layer": "InfiniBand"}, "RDMA", "speaks InfiniBand"),
        ({"rdma__gid_index": None}, "RDMA", "no RoCE v2 GID"),
        ({"rdma__device": None}, "RDMA", "is to send with verbs; set worker.device, or worker.transport: tcp"),
        ({"memlock__bytes": "8388608"}, "memlock", "8.39 MB; the messages of 1 GB of Test 5.1"),
        ({"rdma__active_mtu": "1024", "mtu": "1500"}, "MTU", "carry 1024 bytes, since its MTU is 1500"),
    ],
)
def test_what_would_spoil_a_trial_is_red_and_says_the_cure(changed, check, words):
    found = [finding for finding in judged(host(**changed)) if finding.severity is Severity.RED]
    assert [(finding.check, finding.where) for finding in found] == [(check, "h1")]
    assert words in found[0].text


@pytest.mark.parametrize(
    ("changed", "check", "words"),
    [
        ({"rdma__device": None, "transport": "tcp"}, "RDMA", "no RDMA device; transport tcp"),
        ({"rdma__label": "soft-roce"}, "RDMA", "soft-RoCE"),
        ({"pfc__priorities": "none"}, "QoS", "no PFC in priority 3"),
        ({"pfc__priorities": None}, "QoS", "does not say whether its NIC has PFC"),
        ({"dscp__trust": "pcp"}, "QoS", "by PCP, not by DSCP"),
        ({"dscp__map": "0:0-25 1:26-63"}, "QoS", "puts DSCP 26 into priority 1"),
        ({"ecn__priorities": "none"}, "QoS", "does not slow down for ECN in priority 3"),
        ({"rdma__traffic_class": "96"}, "QoS", "DSCP 24 is set for the whole device"),
        ({"rdma_cm__tos": "96"}, "QoS", "DSCP 24 is set for connections of rdma_cm"),
        ({"nic__default_route": "yes"}, "NIC", "managed over the NIC under test"),
        ({"nic__addresses": "10.0.0.1 192.0.2.9"}, "NIC", "managed over the NIC under test"),
        ({"cpu__governor": "powersave"}, "CPU", "governor is powersave"),
        ({"numa__agent": "0"}, "CPU", "another NUMA node than its NIC; bind it to the processors 32-63"),
        ({"numa__agent": "0,1"}, "CPU", "other NUMA nodes beside that of its NIC"),
        ({"clock__source": "hpet"}, "host clocks", "counts time with hpet"),
        ({"clock__sync": "none", "clock__offset_bound_ns": None}, "host clocks", "nothing keeps its clock"),
        ({"clock__sync": "ntp", "clock__offset_bound_ns": "2500000"}, "host clocks", "2500 us off, as ntp says"),
    ],
)
def test_what_somebody_should_know_is_yellow(changed, check, words):
    (found,) = judged(host(**changed))
    assert (found.severity, found.check, found.where) == (Severity.YELLOW, check, "h1")
    assert words in found.text


def test_a_small_memory_limit_matters_to_rdma_alone():
    assert [finding.check for finding in judged(host(memlock__bytes="8388608", transport="tcp"))] == ["hosts"]
    need, test = host_judgement.largest_message()
    assert (need, test) == (10**9, "5.1")
    assert [finding.check for finding in judged(host(memlock__bytes=str(need)))] == ["hosts"]


def test_packets_may_be_smaller_where_the_workload_has_smaller_ones():
    assert [finding.check for finding in judged(host(rdma__active_mtu="1024"), payload_bytes=1024)] == ["hosts"]


def test_another_code_point_of_the_lossless_priority_is_looked_for():
    assert [finding.check for finding in judged(host(dscp__map="3:40-47 5:24-31"), dscp=46)] == ["hosts"]


def test_hosts_that_are_unlike_are_named_by_what_they_have():
    found = judged(host(), host(mtu="4200"), host(nic__firmware="28.38.1", kernel="6.1"), host(nic__model="other"))
    texts = {(finding.severity, finding.text) for finding in found}
    assert (
        Severity.RED,
        "the hosts differ in their MTU of the NIC: 4200 at h2; 9000 at h1, h3, h4; make them the same",
    ) in texts
    assert any("NIC firmware: 28.38.1 at h3; 28.39.1002 at h1, h2, h4" in text for _, text in texts)
    assert any("kernel: 6.1 at h3" in text for _, text in texts)
    assert any("2 models of NICs" in text for _, text in texts)


def test_namespaces_of_one_kernel_have_one_clock_that_nobody_need_keep():
    free = {"clock__sync": "none", "clock__offset_bound_ns": None}
    one_kernel = [host(clock__id="a", **free)] * 3
    assert [finding.check for finding in judged(*one_kernel)] == ["hosts"]
    found = judged(*one_kernel, host(clock__id="b", **free))
    assert [finding.where for finding in found] == ["h1", "h2", "h3", "h4"]
    assert all("nothing keeps its clock" in finding.text for finding in found)


def test_a_line_says_which_nics_hosts_of_a_kind_have_and_what_they_send_with():
    bare = {"nic.interface": "nic0", "nic.driver": "veth", "mtu": "9000", "transport": "tcp"}
    found = rows(host_judgement.seen({"h1": host(), "h2": bare, "h3": bare, "h4": host(nic__interface=None)}))
    assert [(row.severity, row.where) for row in found] == [(Severity.GREEN, "h1"), (Severity.GREEN, "h2, h3")]
    assert found[0].text == (
        "Mellanox MT2910 [ConnectX-7] (15b3:1021), firmware 28.39.1002, RDMA device mlx5_1, MTU 9000; sends with verbs"
    )
    assert found[1].text == "veth, MTU 9000; sends with tcp"


def test_hosts_that_say_the_same_are_one_line_of_the_table():
    found = judged(*[host(cpu__governor="powersave")] * 6)
    (row,) = rows(found)
    assert row.where == "h1, h2, h3 and 3 more"
    assert table(found)[0][1].startswith("yellow  CPU  h1, h2, h3 and 3 more: its CPU governor is powersave")


# Section 14


def test_the_report_counts_hosts_of_a_kind():
    said = hosts_of({"h1": host(), "h2": host(), "h3": host(mtu="4200", cpu__governor=None)})
    assert said["NIC"] == "3 x Mellanox MT2910 [ConnectX-7] (15b3:1021), 400 Gb/s"
    assert said["NIC firmware"] == "3 x 28.39.1002"
    assert said["MTU"] == "2 x 9000, 1 x 4200 bytes"
    assert said["CPU governor"] == "2 x performance, 1 x not said"
    assert said["Clock"] == "3 x tsc, kept by ptp"
    assert said["Clock offset at most"] == "3.42 us"
    assert said["RDMA"] == "3 x real-rdma (mlx5_core), RDMA MTU 4096"
    assert said["RDMA authentication"] == "3 x RoCEv2 RC: memory keys, queue pair and sequence numbers only"
    assert said["QoS of the NIC"] == "3 x PFC 3, ECN 3, trust dscp"


def test_the_report_says_of_hosts_without_rdma_that_their_values_are_not_those_of_rdma():
    said = hosts_of({"h1": {"nic.interface": "eth0", "nic.driver": "veth", "kernel": "6.1", "transport": "tcp"}})
    assert said["RDMA"] == "1 x no RDMA device"
    assert said["RDMA authentication"] == "1 x not said"
    assert said["NIC"] == "1 x veth"
    assert "not those that the draft means" in said["What the values are"]
    assert "What the values are" not in hosts_of({"h1": host()})
    soft = hosts_of({"h1": host(rdma__label="soft-roce"), "h2": host()})
    assert "soft-roce" in soft["What the values are"]
    assert hosts_of({}) == {}
