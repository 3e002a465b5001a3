"""Which NIC has the address in the fabric, what it is, and what it counts."""

import itertools
import socket
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_hosts import bnxt, interface, mlx5, plain, port, rxe, write

from aibench_lib.worker.agent import addresses, ethtool, nic
from aibench_lib.worker.agent.sources import Sources


def test_the_nic_is_that_of_the_address_in_the_fabric_and_not_its_neighbour(tmp_path):
    found = nic.find("10.0.0.1", sources=mlx5(tmp_path))
    assert (found.interface, found.device, found.port) == ("ens1f1np1", "mlx5_1", 1)
    assert (found.driver, found.firmware, found.label) == ("mlx5_core", "28.39.1002", "real-rdma")


def test_the_card_has_the_name_that_the_machine_knows_for_its_pci_numbers(tmp_path):
    sources = mlx5(tmp_path)
    assert nic.find("10.0.0.1", sources=sources).model == "PCI 15b3:1021"
    names = "# numbers\n15b2  Other\n\t1021  Wrong\n"
    names += "15b3  Mellanox Technologies\n\t1019  MT28800\n\t1021  MT2910 [ConnectX-7]\n"
    write(tmp_path, {"usr/share/misc/pci.ids": names + "\t\t15b3 0051  A subsystem\n15b4  Another"})
    assert nic.find("10.0.0.1", sources=sources).model == "Mellanox Technologies MT2910 [ConnectX-7] (15b3:1021)"


def test_soft_roce_is_told_from_hardware_by_the_bus_it_does_not_hang_on(tmp_path):
    found = nic.find("10.0.0.1", sources=rxe(tmp_path))
    assert (found.interface, found.device, found.label, found.model) == ("h1", "rxe1", "soft-roce", "rxe")
    assert found.firmware == ""


def test_a_host_without_rdma_has_an_interface_and_no_label(tmp_path):
    found = nic.find("10.0.0.3", sources=plain(tmp_path))
    assert (found.interface, found.device, found.label, found.driver) == ("eth0", "", "", "veth")


def test_an_address_of_nobody_has_no_interface(tmp_path):
    assert nic.find("10.0.0.9", sources=plain(tmp_path)).interface == ""
    assert nic.find("leaf1.example", sources=plain(tmp_path)).interface == ""


def test_a_vlan_is_found_by_the_gid_table_since_no_device_lists_it(tmp_path):
    sources = mlx5(tmp_path, addresses=[("ens1f1np1.100", "10.7.0.1")])
    interface(tmp_path, "ens1f1np1.100")
    port(tmp_path, "mlx5_1", [("0000:0000:0000:0000:0000:ffff:0a07:0001", "RoCE v2", "ens1f1np1.100")])
    found = nic.find("10.7.0.1", sources=sources)
    assert (found.interface, found.device) == ("ens1f1np1.100", "mlx5_1")


def test_a_device_without_gids_is_found_by_the_interface_of_its_card(tmp_path):
    sources = mlx5(tmp_path, addresses=[("ens1f0np0", "192.168.7.9")])
    for index in range(5):
        for table in ("mlx5_0", "mlx5_1"):
            (tmp_path / f"sys/class/infiniband/{table}/ports/1/gids/{index}").unlink(missing_ok=True)
    assert nic.find("192.168.7.9", sources=sources).device == "mlx5_0"


def test_a_device_that_is_asked_for_by_name_is_taken_with_the_port_that_serves_the_address(tmp_path):
    sources = mlx5(tmp_path)
    port(tmp_path, "mlx5_0", [("fe80:0000:0000:0000:0000:0000:0000:0002", "RoCE v2", "ens1f1np1")], number=2)
    found = nic.find("10.0.0.1", "mlx5_0", sources)
    assert (found.device, found.port) == ("mlx5_0", 2)
    assert nic.find("10.0.0.1", "mlx5_9", sources).label == ""


def test_the_gid_of_the_address_is_the_one_of_roce_v2(tmp_path):
    sources = mlx5(tmp_path)
    assert nic.gid_index(nic.find("10.0.0.1", sources=sources), sources) == 3
    sources = rxe(tmp_path / "soft")
    assert nic.gid_index(nic.find("10.0.0.1", sources=sources), sources) == 1
    assert nic.gid_index(nic.Nic(address="10.0.0.7", device="rxe1"), sources) is None
    assert nic.gid_index(nic.Nic(address="10.0.0.7"), sources) is None


def test_the_gid_table_is_not_read_to_its_end_where_only_its_front_is_used(tmp_path):
    sources = rxe(tmp_path)
    write(tmp_path, {"sys/class/infiniband/rxe1/ports/1/gids/900": "fe80::1"})
    assert [gid.index for gid in nic.gids("rxe1", 1, sources)] == [0, 1]


def test_mlx5_counts_on_the_wire_and_under_its_own_names(tmp_path):
    sources = mlx5(tmp_path)
    counted = nic.counters(nic.find("10.0.0.1", sources=sources), sources)
    assert counted["tx_packets"] == 1007  # of the wire, not the 7 that passed the kernel
    assert counted["tx_bytes"] == 1_000_700
    assert (counted["rx_prio3_pause"], counted["rx_prio3_pause_duration"]) == (43, 403)
    assert (counted["out_of_sequence"], counted["np_cnp_sent"], counted["dropped_packets"]) == (3, 11, 2)
    assert counted["port_xmit_data"] == 250
    assert "lifespan" not in counted  # how long a value is cached


def test_the_counters_of_a_broadcom_nic_are_there_under_the_names_that_procedures_ask_for(tmp_path):
    sources = bnxt(tmp_path)
    counted = nic.counters(nic.find("10.0.0.2", sources=sources), sources)
    assert (counted["tx_packets"], counted["rx_packets"]) == (2000, 1900)
    assert (counted["rx_prio3_pause"], counted["rx_prio3_pause_duration"]) == (3, 30)
    assert counted["out_of_sequence"] == counted["oos_drop_count"] == 5


def test_an_intel_nic_counts_both_frames_that_pause_and_frames_that_end_a_pause(tmp_path):
    statistics = {"rx_priority_3_xon.nic": 4, "rx_priority_3_xoff.nic": 6, "rx_priority_2_xon.nic": 1}
    sources = plain(tmp_path, statistics={"eth0": statistics})
    counted = nic.counters(nic.find("10.0.0.3", sources=sources), sources)
    assert counted["rx_prio3_pause"] == 10
    assert "rx_prio2_pause" not in counted  # half of a sum is none


def test_soft_roce_counts_gaps_which_are_not_packets_out_of_order(tmp_path):
    sources = rxe(tmp_path)
    counted = nic.counters(nic.find("10.0.0.1", sources=sources), sources)
    assert counted["out_of_seq_request"] == 2
    assert "out_of_sequence" not in counted
    assert (counted["tx_packets"], counted["sent_pkts"]) == (24216, 24014)


def test_counters_that_cannot_be_read_are_left_out(tmp_path):
    sources = plain(tmp_path)
    folder = tmp_path / "sys/class/net/eth0/statistics"
    (folder / "rx_errors").write_text("not a number")
    (folder / "rx_dropped").mkdir()  # reading it is an error
    counted = nic.counters(nic.find("10.0.0.3", sources=sources), sources)
    assert counted["tx_packets"] == 3
    assert not {"rx_errors", "rx_dropped"} & set(counted)
    assert nic.counters(nic.Nic(address="10.0.0.9"), sources) == {}


def test_this_machine_names_the_interfaces_of_its_addresses():
    found = Sources().addresses()
    assert ("lo", "127.0.0.1") in found
    names = {name for _, name in socket.if_nameindex()}
    assert {name for name, _ in found} <= names


def test_this_machine_says_the_same_as_the_tool_ethtool():
    names = [name for _, name in socket.if_nameindex()]
    for name in names:
        try:
            shown = subprocess.run(["ethtool", "-S", name], capture_output=True, text=True, timeout=10)
        except FileNotFoundError:
            pytest.skip("ethtool is not installed")
        lines = [line.strip().rpartition(": ") for line in shown.stdout.splitlines() if line.startswith("     ")]
        assert list(ethtool.statistics(name)) == [counter for counter, _, _ in lines]
    assert ethtool.statistics("no-such-nic") == {}
    assert ethtool.features("no-such-nic") == {}
    assert ethtool.driver("no-such-nic") == {}
    on = {name for name, active in ethtool.features("lo").items() if active}
    assert "tx-scatter-gather" in on


def _message(kind, body):
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body


def _attribute(kind, value):
    return (struct.pack("=HH", 4 + len(value), kind) + value).ljust((4 + len(value) + 3) & ~3, b"\0")


def test_the_address_of_a_point_to_point_link_is_the_own_one():
    body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, 7)
    body += _attribute(1, socket.inet_aton("10.0.0.9")) + _attribute(2, socket.inet_aton("10.0.0.8"))
    body += _attribute(3, b"eth7\0")
    assert addresses.parse(_message(20, body)) == ([(7, "10.0.0.8")], False)
    assert addresses.parse(_message(20, body) + _message(3, b"\0\0\0\0")) == ([(7, "10.0.0.8")], True)


@given(st.binary(max_size=400))
def test_an_answer_of_the_kernel_that_is_broken_off_yields_what_is_whole(answer):
    found, _ = addresses.parse(answer)
    assert all(":" in address or "." in address for _, address in found)
    whole = _message(20, struct.pack("=BBBBI", 2, 8, 0, 0, 1) + _attribute(1, b"\x7f\0\0\1"))
    for end in itertools.chain(range(len(whole)), [len(whole)]):
        assert addresses.parse(whole[:end])[0] in ([], [(1, "127.0.0.1")])
