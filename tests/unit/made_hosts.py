"""Machines made of files: what ``/sys`` and ``/proc`` look like with different NICs."""

from aibench_lib.worker.agent.sources import Sources

NOBODY = "0000:0000:0000:0000:0000:0000:0000:0000"


class MadeSources(Sources):
    """A machine that consists of a folder and of the answers that its kernel and its tools give."""

    def __init__(self, root, *, addresses=(), driver=(), statistics=(), features=(), outputs=(), clock=(False, 0)):
        super().__init__(root)
        self._addresses, self._driver = list(addresses), dict(driver)
        self._statistics, self._features, self._outputs = dict(statistics), dict(features), dict(outputs)
        self._clock = clock
        self.asked = []

    def addresses(self):
        return self._addresses

    def driver(self, interface):
        return self._driver.get(interface, {})

    def statistics(self, interface):
        return self._statistics.get(interface, {})

    def features(self, interface):
        return self._features.get(interface, {})

    def kernel_clock(self):
        return self._clock

    def memory_lock(self):
        return "8388608"

    def own_cpus(self):
        return {0, 1, 2, 3}

    def transports(self, address, device):
        return ("verbs", "tcp") if device else ("tcp",)

    def output(self, command):
        self.asked.append(list(command))
        return self._outputs.get(command[0], "")


def write(root, files):
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")


def interface(root, name, *, mtu=9000, **statistics):
    folder = f"sys/class/net/{name}"
    write(root, {f"{folder}/mtu": mtu, f"{folder}/operstate": "up", f"{folder}/carrier": 1, f"{folder}/speed": -1})
    write(root, {f"{folder}/statistics/{counter}": value for counter, value in statistics.items()})


def port(root, device, gids, *, number=1, hw_counters=(), counters=(), state="4: ACTIVE"):
    """Make a port; ``gids`` are (GID, type, interface), an empty GID for a free entry."""
    folder = f"sys/class/infiniband/{device}/ports/{number}"
    write(root, {f"{folder}/state": state, f"{folder}/link_layer": "Ethernet"})
    for index, (gid, kind, netdev) in enumerate(gids):
        write(root, {f"{folder}/gids/{index}": gid})
        if gid != NOBODY:  # sysfs answers "invalid argument" to who reads more of a free entry
            write(root, {f"{folder}/gid_attrs/types/{index}": kind, f"{folder}/gid_attrs/ndevs/{index}": netdev})
    write(root, {f"{folder}/hw_counters/{name}": value for name, value in dict(hw_counters).items()})
    write(root, {f"{folder}/counters/{name}": value for name, value in dict(counters).items()})


def gid_of(last):
    return f"0000:0000:0000:0000:0000:ffff:0a00:{last:04x}"


def mlx5(root, **answers):
    """A ConnectX-7 with two ports, each a device: 10.0.0.1 on the second."""
    for number, name in enumerate(("ens1f0np0", "ens1f1np1")):
        interface(root, name, tx_packets=7, tx_bytes=700, rx_packets=5, rx_bytes=500)
        device = f"mlx5_{number}"
        bus = root / f"sys/devices/pci0000:00/0000:17:00.{number}"
        write(bus, {"vendor": "0x15b3", "device": "0x1021", "numa_node": 1, "local_cpulist": "32-63", "net/.keep": ""})
        (bus / "net" / name).mkdir()
        (bus / "driver").symlink_to("../../../bus/pci/drivers/mlx5_core")
        write(root, {f"sys/class/infiniband/{device}/fw_ver": "28.39.1002"})
        write(root, {f"sys/class/infiniband/{device}/board_id": "MT_0000000838"})
        (root / f"sys/class/infiniband/{device}/device").symlink_to(bus)
        (root / f"sys/class/net/{name}/device").symlink_to(bus)
    port(root, "mlx5_0", [("fe80:0000:0000:0000:0ac0:ebff:fe11:0000", "IB/RoCE v1", "ens1f0np0")])
    port(
        root,
        "mlx5_1",
        [
            ("fe80:0000:0000:0000:0ac0:ebff:fe11:0001", "IB/RoCE v1", "ens1f1np1"),
            ("fe80:0000:0000:0000:0ac0:ebff:fe11:0001", "RoCE v2", "ens1f1np1"),
            (gid_of(1), "IB/RoCE v1", "ens1f1np1"),
            (gid_of(1), "RoCE v2", "ens1f1np1"),
            (NOBODY, "", ""),
        ],
        hw_counters={"out_of_sequence": 3, "np_cnp_sent": 11, "lifespan": 10},
        counters={"port_xmit_data": 250},
    )
    statistics = {
        "tx_packets": 7,
        "tx_packets_phy": 1007,
        "tx_bytes_phy": 1_000_700,
        "rx_packets_phy": 905,
        "rx_bytes_phy": 900_500,
        "tx_discards_phy": 2,
        **{f"rx_prio{n}_pause": 40 + n for n in range(8)},
        **{f"rx_prio{n}_pause_duration": 400 + n for n in range(8)},
        **{f"tx_prio{n}_pause": 4 for n in range(8)},
    }
    known = {
        "addresses": [("lo", "127.0.0.1"), ("ens1f0np0", "192.168.7.9"), ("ens1f1np1", "10.0.0.1")],
        "driver": {
            "ens1f1np1": {"driver": "mlx5_core", "firmware": "28.39.1002 (MT_0000000838)", "bus": "0000:17:00.1"}
        },
        "statistics": {"ens1f1np1": statistics},
        "features": {"ens1f1np1": {"esp-hw-offload": False, "macsec-hw-offload": True, "rx-gro": True}},
    }
    return MadeSources(root, **{**known, **answers})


def bnxt(root, **answers):
    """A Broadcom NIC, whose counters have other names."""
    interface(root, "ens2", tx_packets=1, tx_bytes=64, rx_packets=1, rx_bytes=64)
    bus = root / "sys/devices/pci0000:40/0000:41:00.0"
    write(bus, {"vendor": "0x14e4", "device": "0x1760", "numa_node": -1, "net/.keep": ""})
    (bus / "net" / "ens2").mkdir()
    port(
        root,
        "bnxt_re0",
        [(gid_of(2), "RoCE v2", "ens2")],
        hw_counters={"oos_drop_count": 5, "rx_pkts": 9},
    )
    (root / "sys/class/infiniband/bnxt_re0/device").symlink_to(bus)
    (root / "sys/class/net/ens2/device").symlink_to(bus)
    statistics = {
        "[0]: tx_ucast_packets": 1,
        "tx_total_frames": 2000,
        "rx_total_frames": 1900,
        "tx_bytes": 2_000_000,
        "rx_bytes": 1_900_000,
        "tx_stat_discard": 6,
        **{f"rx_pfc_ena_frames_pri{n}": n for n in range(8)},
        **{f"tx_pfc_ena_frames_pri{n}": 0 for n in range(8)},
        **{f"pfc_pri{n}_rx_duration_us": 10 * n for n in range(8)},
    }
    return MadeSources(
        root,
        **{"addresses": [("ens2", "10.0.0.2")], "statistics": {"ens2": statistics}, **answers},
    )


def rxe(root, **answers):
    """Soft-RoCE over a veth, as a kernel 6.1 shows it."""
    interface(root, "h1", tx_packets=24216, tx_bytes=92795462, rx_packets=9066, rx_bytes=23365994, tx_dropped=0)
    port(
        root,
        "rxe1",
        [
            ("fe80:0000:0000:0000:0000:00ff:fe00:0001", "RoCE v2", "h1"),
            (gid_of(1), "RoCE v2", "h1"),
            *[(NOBODY, "", "")] * 60,
        ],
        hw_counters={"out_of_seq_request": 2, "rcvd_pkts": 8885, "sent_pkts": 24014, "lifespan": 12},
    )
    write(root, {"sys/class/infiniband/rxe1/node_desc": "rxe", "sys/class/infiniband/rxe1/parent": "h1"})
    write(root, {"sys/class/infiniband/rxe1/fw_ver": ""})
    known = {"addresses": [("lo", "127.0.0.1"), ("h1", "10.0.0.1")], "driver": {"h1": {"driver": "veth"}}}
    return MadeSources(root, **{**known, **answers})


def plain(root, **answers):
    """A veth and no RDMA device at all."""
    interface(root, "eth0", mtu=1500, tx_packets=3, tx_bytes=300, rx_packets=2, rx_bytes=200, tx_dropped=1)
    known = {"addresses": [("eth0", "10.0.0.3")], "driver": {"eth0": {"driver": "veth"}}}
    return MadeSources(root, **{**known, **answers})
