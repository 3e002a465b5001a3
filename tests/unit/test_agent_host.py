"""What a host says of itself, out of made machines and of what tools really print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_hosts import bnxt, mlx5, plain, rxe, write

from aibench_lib.worker.agent import authentication, host, nic, qos, synchronisation
from aibench_lib.worker.agent.sources import Sources

MLNX_QOS = """DCBX mode: OS controlled
Priority trust state: dscp
dscp2prio mapping:
\tprio:0 dscp:07,06,05,04,03,02,01,00,
\tprio:3 dscp:31,30,29,28,27,26,25,24,
default priority:
Receive buffer size (bytes): 20016,156096,0,0,0,0,0,0,max_buffer_size=1027728
Cable len: 7
PFC configuration:
\tpriority    0   1   2   3   4   5   6   7
\tenabled     0   0   0   1   0   0   0   0
\tbuffer      0   0   0   1   0   0   0   0
tc: 0 ratelimit: unlimited, tsa: vendor
\t priority:  1
"""
CHRONY = "C0A80701,192.168.7.1,3,1795532350.076254221,-0.000002000,0.000000100,0.000001000,1.0,0.0,0.1,{},{},16.1,{}"
PTP = """sending: GET TIME_STATUS_NP
\t9af60d.fffe.a1d7bb-0 seq 0 RESPONSE MANAGEMENT TIME_STATUS_NP 
\t\tmaster_offset              -785
\t\tingress_time               1795532391801502074
\t\tcumulativeScaledRateOffset +0.000000000
\t\tlastGmPhaseChange          0x0000'0000000000000000.0000
\t\tgmPresent                  true
\t\tgmIdentity                 423a98.fffe.b89ff2
sending: GET CURRENT_DATA_SET
\t9af60d.fffe.a1d7bb-0 seq 0 RESPONSE MANAGEMENT CURRENT_DATA_SET 
\t\tstepsRemoved     1
\t\toffsetFromMaster -785.0
\t\tmeanPathDelay    2635.0
\t9af60d.fffe.a1d7bb-1 seq 1 RESPONSE MANAGEMENT PORT_DATA_SET 
\t\tportState               {}
"""  # noqa: W291 - so pmc 3.1 prints it


def inspected(sources, address="10.0.0.1", transport="verbs"):
    return host.inspect(nic.find(address, sources=sources), transport, sources)


def test_a_host_with_a_connectx_says_what_section_14_wants(tmp_path):
    sources = mlx5(tmp_path, outputs={"mlnx_qos": MLNX_QOS})
    write(
        tmp_path,
        {
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
            "proc/sys/kernel/osrelease": "6.8.0-45-generic",
            "proc/meminfo": "MemTotal:       1056489744 kB\nMemFree: 1 kB",
            "proc/cpuinfo": "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Platinum 8480+\n\nprocessor\t: 1\n",
            "proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\t\n"
            "ens1f0np0\t00000000\t0107A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
            **{f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_governor": "performance" for n in range(4)},
            **{f"sys/devices/system/cpu/cpu{n}/node0/cpulist": "0-3" for n in range(4)},
        },
    )
    found = inspected(sources)
    assert found["nic.model"] == "PCI 15b3:1021"
    assert (found["nic.driver"], found["nic.firmware"]) == ("mlx5_core", "28.39.1002")
    assert (found["mtu"], found["rdma.active_mtu"], found["nic.default_route"]) == ("9000", "4096", "no")
    assert (found["rdma.device"], found["rdma.state"], found["rdma.board"]) == ("mlx5_1", "ACTIVE", "MT_0000000838")
    assert "3 RoCE v2 10.0.0.1 ens1f1np1" in found["rdma.gid_table"]
    assert (found["pfc.priorities"], found["dscp.trust"], found["dscp.map"]) == ("3", "dscp", "0:0-7 3:24-31")
    assert (found["numa.nic"], found["numa.nic_cpus"]) == ("1", "32-63")
    assert (found["numa.agent"], found["numa.agent_cpus"]) == ("0", "0-3")
    assert (found["cpu.governor"], found["cpu.cores"]) == ("performance", "4")
    assert found["cpu.model"] == "Intel(R) Xeon(R) Platinum 8480+"
    assert (found["clock.source"], found["clock.sync"]) == ("tsc", "none")
    assert found["memory.bytes"] == str(1056489744 * 1024)
    assert (found["kernel"], found["memlock.bytes"], found["transport"]) == ("6.8.0-45-generic", "8388608", "verbs")
    assert found["transports"] == "verbs,tcp"


def test_what_a_host_does_not_say_is_missing_and_no_fact_is_empty(tmp_path):
    found = inspected(plain(tmp_path), "10.0.0.3", "tcp")
    assert not [name for name, value in found.items() if not value]
    absent = {
        "rdma.device",
        "nic.firmware",
        "pfc.priorities",
        "dscp.trust",
        "numa.nic",
        "cpu.governor",
        "nic.speed_mbps",
    }
    assert not absent & set(found)
    assert found["clock.sync"] == "none"
    assert "nic.interface" not in inspected(plain(tmp_path / "other"), "10.9.9.9")


def test_soft_roce_offers_no_authentication_beyond_its_keys(tmp_path):
    found = inspected(rxe(tmp_path))
    assert found["rdma.label"] == "soft-roce"
    assert found["rdma.authentication"].startswith("RoCEv2 RC: memory keys")
    assert "no IPsec or MACsec offload declared" in found["rdma.authentication"]


def test_a_nic_says_which_protections_it_can_offload_and_whether_one_is_in_use(tmp_path):
    states = "src 10.0.0.1 dst 10.0.0.2\n\tproto esp\n\tcrypto offload parameters: dev ens1f1np1 dir out mode packet\n"
    sources = mlx5(tmp_path, outputs={"ip": states})
    said = authentication.offered(nic.find("10.0.0.1", sources=sources), sources)
    assert "IPsec offload declared, off" in said
    assert "MACsec offload on" in said
    assert "IPsec states are offloaded" in said
    assert not authentication.offloaded(states, "ens1")
    assert authentication.offered(nic.find("10.0.0.3", sources=plain(tmp_path / "x")), sources) == ""


def test_a_broadcom_nic_that_says_no_numa_node_has_none(tmp_path):
    assert "numa.nic" not in inspected(bnxt(tmp_path), "10.0.0.2")


@pytest.mark.parametrize(("interface", "rdma"), [(9000, 4096), (4192, 4096), (4191, 2048), (1500, 1024), (300, 0)])
def test_the_rdma_mtu_is_the_largest_that_fits_with_its_headers(interface, rdma):
    # 4192 - 96 bytes of headers = 4096; a guest's kernel 6.1 makes 1024 of 1500, and 4096 of 4200 and of 9000
    assert host.active_mtu(interface) == rdma


# QoS: what tools print


def test_mlnx_qos_is_read_with_its_mapping_in_any_order():
    assert qos.mlnx_qos(MLNX_QOS) == {
        "dscp.trust": "dscp",
        "pfc.priorities": "3",
        "dscp.map": "0:0-7 3:24-31",
    }
    assert qos.mlnx_qos(MLNX_QOS.replace("0   0   0   1   0", "0   0   0   0   0", 1))["pfc.priorities"] == "none"
    assert qos.mlnx_qos("Netdev doesn't exist") == {}


def test_dcb_is_asked_where_there_is_no_mlnx_qos(tmp_path):
    class Tools(type(plain(tmp_path))):
        def output(self, command):
            said = {
                "pfc": "prio-pfc 0:off 1:off 2:off 3:on 4:on 5:off 6:off 7:off \n",
                "app": "dscp-prio 24:3 26:3 46:6 \n",
                "apptrust": "order: dscp pcp \n",
            }
            words = [word for word in command if word in said]
            return said[words[0]] if words else ""

    sources = Tools(tmp_path, addresses=[("eth0", "10.0.0.3")])
    found = qos.facts(nic.find("10.0.0.3", sources=sources), sources)
    assert found == {"pfc.priorities": "3,4", "dscp.map": "3:24,26 6:46", "dscp.trust": "dscp"}


def test_sysfs_says_where_a_mellanox_nic_reacts_to_ecn_and_what_it_trusts(tmp_path):
    sources = mlx5(tmp_path)
    folder = "sys/class/net/ens1f1np1"
    write(tmp_path, {f"{folder}/ecn/roce_np/enable/{n}": 1 for n in range(8)})
    write(tmp_path, {f"{folder}/ecn/roce_rp/enable/{n}": int(n == 3) for n in range(8)})
    write(tmp_path, {f"{folder}/qos/trust": "pcp"})
    write(tmp_path, {"sys/class/infiniband/mlx5_1/tc/1/traffic_class": "Global tclass=106"})
    write(tmp_path, {"sys/kernel/config/rdma_cm/mlx5_1/ports/1/default_roce_tos": "104"})
    found = qos.facts(nic.find("10.0.0.1", sources=sources), sources)
    assert found == {
        "ecn.priorities": "3",
        "dscp.trust": "pcp",
        "rdma.traffic_class": "106",
        "rdma_cm.tos": "104",
    }


@given(st.sets(st.integers(0, 63)))
def test_ranges_of_code_points_come_back_as_the_numbers_they_were(points):
    assert qos.points_of(qos.ranges(points)) == points


@given(st.text(max_size=200))
def test_no_text_of_a_tool_breaks_the_reading_of_it(text):
    for read in (qos.mlnx_qos, qos.dcb_pfc, qos.dcb_app, qos.dcb_trust):
        assert isinstance(read(text), dict)
    synchronisation.ptp_bound_ns(text)
    synchronisation.chrony_bound_ns(text)
    host.rdma_core(text)
    nic.pci_name(text, "15b3", "1021")


# The clock


def test_ptp_bounds_the_clock_by_its_offset_and_its_whole_path(tmp_path):
    assert synchronisation.ptp_bound_ns(PTP.format("SLAVE")) == 785 + 2635
    assert synchronisation.ptp_bound_ns(PTP.format("UNCALIBRATED")) is None
    assert synchronisation.ptp_bound_ns(PTP.format("SLAVE").replace("true", "false")) is None
    sources = plain(tmp_path, outputs={"pmc": PTP.format("SLAVE"), "chronyc": CHRONY.format(0, 0, "Normal")})
    assert synchronisation.facts(sources)["clock.sync"] == "chrony"  # without ptp4l's socket nobody asks pmc
    write(tmp_path, {"var/run/ptp4l": ""})
    found = synchronisation.facts(sources)
    assert (found["clock.sync"], found["clock.offset_bound_ns"]) == ("ptp", "3420")


def test_chrony_bounds_the_clock_as_its_manual_says():
    # 2 us of offset + 30 us of dispersion + half of 400 us of delay
    assert synchronisation.chrony_bound_ns(CHRONY.format("0.000400000", "0.000030000", "Normal")) == 232_000
    assert synchronisation.chrony_bound_ns(CHRONY.format("0.0004", "0.00003", "Not synchronised")) is None
    # What chronyc 4.3 really prints of a daemon that follows no other clock than its own:
    alone = "7F7F0101,,5,1795532350.076254221,0.0,0.0,0.0,0.000,0.000,0.000,0.000000000,0.000000000,0.0,Normal\n"
    assert synchronisation.chrony_bound_ns(alone) is None


def test_without_ptp_and_chrony_the_kernel_says_whether_its_clock_is_kept(tmp_path):
    kept = synchronisation.facts(plain(tmp_path, clock=(True, 1500)))
    assert (kept["clock.sync"], kept["clock.offset_bound_ns"]) == ("ntp", "1500000")
    unbounded = synchronisation.facts(plain(tmp_path / "b", clock=(True, 16_000_000)))
    assert unbounded["clock.sync"] == "ntp"
    assert "clock.offset_bound_ns" not in unbounded


# This machine


def test_this_machine_can_be_inspected_and_no_tool_is_waited_for(tmp_path):
    found = host.inspect(nic.find("127.0.0.1"), "tcp")
    assert found["nic.interface"] == "lo"
    assert int(found["cpu.cores"]) >= 1
    assert found["memlock.bytes"] == "unlimited" or int(found["memlock.bytes"]) > 0
    assert found["kernel"]
    assert found["clock.sync"] in ("ptp", "chrony", "ntp", "none")
    assert not [name for name, value in found.items() if not value or "\n" in value]


def test_who_has_the_right_to_lock_memory_has_no_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda which: (8388608, 8388608))
    write(tmp_path, {"proc/self/status": "Name:\tpython3\nCapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff"})
    assert Sources(tmp_path).memory_lock() == "8388608"
    write(tmp_path, {"proc/self/status": "Name:\tpython3\nCapEff:\t0000000000004000"})
    assert Sources(tmp_path).memory_lock() == "unlimited"


def test_a_tool_that_is_missing_fails_or_hangs_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("aibench_lib.worker.agent.sources._TOOL_SECONDS", 0.2)
    sources = Sources(tmp_path)
    assert sources.output(["no-such-tool"]) == ""
    assert sources.output(["false"]) == ""
    assert sources.output(["sleep", "5"]) == ""
    assert sources.output(["echo", "here"]) == "here\n"
    assert sources.text("sys/nothing") == ""
    assert sources.names("sys") == []
