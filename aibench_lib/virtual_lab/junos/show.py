"""What the ``show`` and ``file`` commands of a simulated Junos switch print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aibench_lib import __version__
from aibench_lib.virtual_lab.junos.schema import RefusedError

if TYPE_CHECKING:
    from aibench_lib.virtual_lab.junos.switch import JunosSwitch

MODEL = "aibench-virtual-lab"
SOFTWARE = f"{__version__} (simulated)"
"""Neither claims to be a product: both reach the report's system configuration."""

_ETHERNET_HEADER_BYTES = 14
_DEFAULT_MTU = "1514"


def version(switch: JunosSwitch) -> str:
    """Return what runs: a simulation, and it says so."""
    host = switch.running.value("system", "host-name")
    return f"Hostname: {host}\nModel: {MODEL} (simulated)\nJunos: {SOFTWARE}\n"


def uptime(switch: JunosSwitch) -> str:
    """Return the lab's time."""
    return f"Current time: {switch.physical.now():%Y-%m-%d %H:%M:%S} UTC\nTime Source: LOCAL CLOCK\n"


def interfaces_terse(switch: JunosSwitch, only: str | None = None) -> str:
    """Return a table of the interfaces and their units.

    Raises:
        RefusedError: There is no such interface.
    """
    lines = ["Interface               Admin Link Proto    Local                 Remote"]
    for interface in _chosen(switch, only):
        admin, link = _states(switch, interface)
        lines.append(f"{interface:<24}{admin:<6}{link}")
        address = switch.addresses().get(interface)
        if address:
            lines.append(f"{f'{interface}.0':<24}{admin:<6}{link:<5}{'inet':<9}{address}")
    return "".join(f"{line.rstrip()}\n" for line in lines)


def interfaces_media(switch: JunosSwitch, only: str | None = None) -> str:
    """Return a paragraph about each interface.

    Raises:
        RefusedError: There is no such interface.
    """
    parts = []
    for number, interface in enumerate(_chosen(switch, only)):
        admin, link = _states(switch, interface)
        enabled = "Enabled" if admin == "up" else "Administratively down"
        mtu = switch.running.value("interfaces", interface, "mtu") or _DEFAULT_MTU
        description = switch.running.value("interfaces", interface, "description")
        parts.append(
            f"Physical interface: {interface}, {enabled}, Physical link is {link.capitalize()}\n"
            f"  Interface index: {1000 + number}, SNMP ifIndex: {500 + number}\n"
            + (f"  Description: {description}\n" if description else "")
            + f"  Link-level type: Ethernet, MTU: {mtu}, LAN-PHY mode, Speed: {switch.physical.gbps(interface)}Gbps,"
            " BPDU Error: None, Loopback: Disabled\n"
        )
    return "\n".join(parts)


def lldp_neighbors(switch: JunosSwitch) -> str:
    """Return a table of the nodes at the other ends of links that are up."""
    rows = [("Local Interface", "Parent Interface", "Chassis Id", "Port info", "System Name")]
    for number, (interface, port) in enumerate(switch.neighbours.items(), 1):
        if _states(switch, interface)[1] == "up":
            rows.append(
                (interface, "-", f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}", port.interface, port.node)
            )
    return "".join(f"{a:<19}{b:<20}{c:<20}{d:<19}{e}\n" for a, b, c, d, e in rows)


def shared_buffer(switch: JunosSwitch) -> str:
    """Return how the buffer is divided; its size is not simulated here."""
    place = ("class-of-service", "shared-buffer", "ingress", "buffer-partition")
    running = switch.running
    lines = ["Ingress:"]
    for partition in running.values(*place):
        lines.append(f"    {partition:<27}: {running.value(*place, partition, 'percent')} %")
    threshold = running.value(*place, "lossless", "dynamic-threshold") or "7"
    lines.append(f"    {'Lossless dynamic threshold':<27}: {threshold}")
    return "".join(f"{line}\n" for line in lines)


def system_commit(switch: JunosSwitch) -> str:
    """Return whether a commit waits for its confirmation."""
    if switch.pending is None:
        return "No commit confirmed is pending\n"
    return f"commit confirmed, rollback in {minutes_left(switch)}mins\n"


def minutes_left(switch: JunosSwitch) -> int:
    """Return how long a commit still waits for its confirmation [minutes, rounded up]."""
    pending = switch.pending
    return -int(-(pending.until - switch.now()) // 60) if pending else 0


def files(switch: JunosSwitch, path: str) -> str:
    """Return the names of the files in a folder, or of one file.

    Raises:
        RefusedError: There is no such file.
    """
    if path in switch.files:
        return f"{path}\n"
    folder = f"{path.rstrip('/')}/"
    names = sorted(name.removeprefix(folder) for name in switch.files if name.startswith(folder))
    if not names and folder != "/var/tmp/":
        raise RefusedError(f"{path}: No such file or directory")
    return f"\n{folder}:\n" + "".join(f"{name}\n" for name in names)


def _chosen(switch: JunosSwitch, only: str | None) -> list[str]:
    if only is not None and only not in switch.neighbours:
        raise RefusedError(f"error: device {only} not found")
    return list(switch.neighbours) if only is None else [only]


def _states(switch: JunosSwitch, interface: str) -> tuple[str, str]:
    """Return an interface's administrative state and that of its link."""
    if switch.is_shut(interface):
        return "down", "down"
    return "up", "up" if switch.physical.has_light(interface) else "down"
