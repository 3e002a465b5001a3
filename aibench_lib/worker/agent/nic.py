"""The NIC under test: the interface that has the host's address in the fabric, and the RDMA device behind it."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aibench_lib.worker.agent.sources import Sources

_DEVICES = "sys/class/infiniband"
_EMPTY_IN_A_ROW = 32
"""So many empty entries end a GID table: the kernel fills it from the front, and it may have 1024."""
ROCE_V2 = "RoCE v2"


@dataclass(frozen=True, kw_only=True, slots=True)
class Nic:
    """What sends the packets of a host; an empty field is one that nothing is known of."""

    address: str
    """In the fabric under test."""
    interface: str = ""
    """Empty: no interface of this host has the address."""
    device: str = ""
    """RDMA device, such as ``mlx5_0``."""
    port: int = 1
    """Of the RDMA device."""
    driver: str = ""
    model: str = ""
    firmware: str = ""
    label: str = ""
    """``real-rdma``, ``soft-roce`` (RDMA made by the kernel: rxe, siw), or empty: no RDMA device."""


@dataclass(frozen=True, slots=True)
class Gid:
    """One entry of an RDMA port's GID table."""

    index: int
    address: str
    """As an IP address; that of an IPv4 one is the IPv4 address."""
    kind: str
    """``RoCE v2``, or ``IB/RoCE v1``."""
    interface: str


def find(address: str, device: str = "", sources: Sources | None = None) -> Nic:
    """Return the NIC of an address.

    Args:
        address: Of the host in the fabric under test.
        device: RDMA device to use; by default that of the interface.
        sources: Where to look; by default this machine.
    """
    asked = sources or Sources()
    interface = _interface(address, asked)
    if not device:
        device, port = _device(interface, asked) if interface else ("", 1)
    else:
        port = next((number for number in _ports(device, asked) if _serves(device, number, interface, asked)), 1)
    said = asked.driver(interface) if interface else {}
    return Nic(
        address=address,
        interface=interface,
        device=device,
        port=port,
        driver=said.get("driver", "") or asked.link(f"sys/class/net/{interface}/device/driver"),
        model=_model(interface, device, asked),
        firmware=asked.text(f"{_DEVICES}/{device}/fw_ver") or said.get("firmware", ""),
        label=_label(device, asked),
    )


def _interface(address: str, sources: Sources) -> str:
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        return ""
    found = (name for name, own in sources.addresses() if ipaddress.ip_address(own) == wanted)
    return next(found, "")


def _device(interface: str, sources: Sources) -> tuple[str, int]:
    """Return the RDMA device that serves an interface, and its port; a VLAN or bond is in the GID table alone."""
    devices = sources.names(_DEVICES)
    for device in devices:
        for port in _ports(device, sources):
            if any(gid.interface == interface for gid in gids(device, port, sources)):
                return device, port
    for device in devices:
        if interface in sources.names(f"{_DEVICES}/{device}/device/net"):
            return device, 1
        if sources.text(f"{_DEVICES}/{device}/parent") == interface:
            return device, 1
    return "", 1


def _serves(device: str, port: int, interface: str, sources: Sources) -> bool:
    return any(gid.interface == interface for gid in gids(device, port, sources))


def _ports(device: str, sources: Sources) -> list[int]:
    return [int(name) for name in sources.names(f"{_DEVICES}/{device}/ports") if name.isdigit()]


def gids(device: str, port: int = 1, sources: Sources | None = None) -> Iterator[Gid]:
    """Yield the entries of a port's GID table that are in use."""
    asked = sources or Sources()
    folder = f"{_DEVICES}/{device}/ports/{port}"
    empty = 0
    for index in sorted(int(name) for name in asked.names(f"{folder}/gids") if name.isdigit()):
        address = _address_of(asked.text(f"{folder}/gids/{index}"))
        if not address:
            empty += 1
            if empty == _EMPTY_IN_A_ROW:
                return
            continue
        empty = 0
        yield Gid(
            index,
            address,
            asked.text(f"{folder}/gid_attrs/types/{index}"),
            asked.text(f"{folder}/gid_attrs/ndevs/{index}"),
        )


def _address_of(gid: str) -> str:
    try:
        address = ipaddress.IPv6Address(gid)
    except ValueError:
        return ""
    if not int(address):
        return ""
    return str(address.ipv4_mapped or address)


def gid_index(nic: Nic, sources: Sources | None = None) -> int | None:
    """Return the place of the RoCE v2 entry of the NIC's address; None if there is none."""
    if not nic.device:
        return None
    for gid in gids(nic.device, nic.port, sources):
        if gid.kind == ROCE_V2 and gid.address == str(ipaddress.ip_address(nic.address)):
            return gid.index
    return None


def _label(device: str, sources: Sources) -> str:
    """Say whether hardware does the RDMA: a device that the kernel makes hangs on no bus."""
    if not device or not sources.exists(f"{_DEVICES}/{device}"):
        return ""
    return "real-rdma" if sources.exists(f"{_DEVICES}/{device}/device") else "soft-roce"


def _model(interface: str, device: str, sources: Sources) -> str:
    """Return the card's name, as far as the machine knows it."""
    folder = f"sys/class/net/{interface}/device" if interface else f"{_DEVICES}/{device}/device"
    vendor, product = (sources.text(f"{folder}/{name}").removeprefix("0x") for name in ("vendor", "device"))
    if not re.fullmatch(r"[0-9a-f]{4}", vendor) or not re.fullmatch(r"[0-9a-f]{4}", product):
        return sources.text(f"{_DEVICES}/{device}/node_desc").split(" ")[0] if device else ""
    names = sources.text("usr/share/misc/pci.ids") or sources.text("usr/share/hwdata/pci.ids")
    ids = f"{vendor}:{product}"
    return f"{name} ({ids})" if (name := pci_name(names, vendor, product)) else f"PCI {ids}"


def pci_name(names: str, vendor: str, product: str) -> str:
    """Return a card's name out of the text of a ``pci.ids`` file; empty if it is not there."""
    own = re.search(rf"^{vendor}  (.+)\n((?:[#\t].*\n?|\n)*)", names, re.MULTILINE)
    card = own and re.search(rf"^\t{product}  (.+)$", own[2], re.MULTILINE)
    return f"{own[1]} {card[1]}" if own and card else ""


_SAME: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "tx_packets": (("tx_packets_phy",), ("tx_total_frames",)),
    "tx_bytes": (("tx_bytes_phy",),),
    "rx_packets": (("rx_packets_phy",), ("rx_total_frames",)),
    "rx_bytes": (("rx_bytes_phy",),),
    "dropped_packets": (("tx_discards_phy",), ("tx_stat_discard",), ("tx_dropped",)),
    "out_of_sequence": (("oos_drop_count",), ("resp_rx_outouf_seq",)),
    "rx_prio{}_pause": (
        ("rx_pfc_ena_frames_pri{}",),
        ("rx_priority_{}_xon.nic", "rx_priority_{}_xoff.nic"),
        ("port.rx_priority_{}_xon", "port.rx_priority_{}_xoff"),
    ),
    "rx_prio{}_pause_duration": (("pfc_pri{}_rx_duration_us",), ("rx_pripause_{}_1us_count",)),
    "tx_prio{}_pause": (
        ("tx_pfc_ena_frames_pri{}",),
        ("tx_priority_{}_xon.nic", "tx_priority_{}_xoff.nic"),
        ("port.tx_priority_{}_xon", "port.tx_priority_{}_xoff"),
    ),
}
"""Counter as the project calls it, which is the name that mlx5 has for it -> what other drivers call it: the first
whose counters are all there is their sum. Packets and bytes are those of the wire: an interface's own counters leave
out what its RDMA device sends. rxe's ``out_of_seq_request`` is not here: it counts gaps, not packets."""
_PRIORITIES = range(8)
_NO_COUNTER = {"lifespan"}
"""A file among the counters that is a setting."""


def counters(nic: Nic, sources: Sources | None = None) -> dict[str, int]:
    """Return the NIC's counters now: the interface's, its driver's, and the RDMA port's.

    All have the names that the kernel and the driver give them; those of :data:`_SAME` are there also under the one
    name that the procedures ask for.  ``port_xmit_data`` and ``port_rcv_data`` count four bytes each.
    """
    asked = sources or Sources()
    found: dict[str, int] = {}
    if nic.interface:
        found |= _files(f"sys/class/net/{nic.interface}/statistics", asked)
        found |= asked.statistics(nic.interface)
    if nic.device:
        port = f"{_DEVICES}/{nic.device}/ports/{nic.port}"
        for folder in (f"{_DEVICES}/{nic.device}/hw_counters", f"{port}/counters", f"{port}/hw_counters"):
            found |= _files(folder, asked)
    return found | _under_one_name(found) if found else {}


def _files(folder: str, sources: Sources) -> dict[str, int]:
    return {name: value for name, value in sources.numbers(folder).items() if name not in _NO_COUNTER}


def _under_one_name(found: Mapping[str, int]) -> dict[str, int]:
    result = {}
    for name, others in _SAME.items():
        for priority in _PRIORITIES if "{}" in name else (0,):
            for group in others:
                own = [other.format(priority) for other in group]
                if all(counter in found for counter in own):
                    result[name.format(priority)] = sum(found[counter] for counter in own)
                    break
    return result
