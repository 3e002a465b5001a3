"""What the ``show`` commands of a simulated NX-OS switch print."""

from collections.abc import Iterator

from aibench_lib import __version__
from aibench_lib.virtual_lab.nxos import effects
from aibench_lib.virtual_lab.nxos.switch import NxosSwitch

MODEL = "aibench-virtual-lab"
SOFTWARE = f"{__version__} (simulated)"
"""Neither claims to be a product: both reach the report's system configuration."""

_LINE = "-" * 80


def version(switch: NxosSwitch) -> str:
    """Return what runs: a simulation, and it says so."""
    return (
        "Cisco Nexus Operating System (NX-OS) Software, simulated\n\nSoftware\n"
        f"  NXOS: version {SOFTWARE}\n\nHardware\n  cisco {MODEL} (simulated) chassis\n"
        f"\n  Device name: {switch.running.hostname}\n"
    )


def hostname(switch: NxosSwitch) -> str:
    """Return the host name."""
    return f"{switch.running.hostname}\n"


def clock(switch: NxosSwitch) -> str:
    """Return the lab's time."""
    return f"{switch.physical.now():%H:%M:%S.000 UTC %a %b %e %Y}\nTime source is NTP\n"


def lldp_neighbors(switch: NxosSwitch) -> str:
    """Return a table of the nodes at the other ends of links that are up."""
    rows = [
        f"{port.node:<20} {_short(interface):<15} {120:<10}  {'BR':<10}  {port.interface}"
        for interface, port in switch.neighbours.items()
        if _is_up(switch, interface)
    ]
    head = f"{'Device ID':<20} {'Local Intf':<15} {'Hold-time':<10}  {'Capability':<10}  Port ID"
    codes = "Capability codes:\n  (R) Router, (B) Bridge, (S) Station, (O) Other\n"
    return codes + "".join(f"{row}\n" for row in [head, *rows]) + f"Total entries displayed: {len(rows)}\n"


def interface_status(switch: NxosSwitch) -> str:
    """Return a table of the interfaces, whether they are up, and how fast."""
    rows = ("Port", "Name", "Status", "Vlan", "Duplex", "Speed", "Type"), *_status_rows(switch)
    table = [f"{a:<13} {b[:18]:<18} {c:<9} {d:<9} {e:<7} {f:<7} {g}" for a, b, c, d, e, f, g in rows]
    return "".join(f"{line}\n" for line in ("", _LINE, table[0], _LINE, *table[1:]))


def _status_rows(switch: NxosSwitch) -> Iterator[tuple[str, ...]]:
    for interface, port in switch.neighbours.items():
        status = "connected" if _is_up(switch, interface) else "notconnec"
        gbps = switch.physical.gbps(interface)
        yield (
            _short(interface),
            f"{port.node} {port.interface}",
            "disabled" if switch.is_shut(interface) else status,
            "routed" if interface in switch.addresses() else "1",
            "full",
            f"{gbps}G" if gbps else "auto",
            "simulated",
        )


def interface(switch: NxosSwitch) -> str:
    """Return a paragraph about each interface."""
    return "\n".join(_paragraph(switch, name) for name in switch.neighbours)


def _paragraph(switch: NxosSwitch, name: str) -> str:
    shut = switch.is_shut(name)
    reason = " (Administratively down)" if shut else " (Link not connected)"
    address, gbps = switch.addresses().get(name), switch.physical.gbps(name)
    lines = [
        f"{name} is {'up' if _is_up(switch, name) else f'down{reason}'}",
        f"admin state is {'down' if shut else 'up'}, Dedicated Interface",
        "  Hardware: simulated Ethernet",
        *([f"  Internet Address is {address}"] if address else []),
        f"  MTU {effects.mtu(switch.running, name)} bytes, BW {gbps * 1_000_000} Kbit",
        "  Port mode is routed",
        f"  full-duplex, {gbps} Gb/s" if gbps else "  auto-duplex, auto-speed",
    ]
    return "".join(f"{line}\n" for line in lines)


def running_config(switch: NxosSwitch) -> str:
    """Return the running configuration."""
    return _config("running-config", switch, switch.running.text())


def startup_config(switch: NxosSwitch) -> str:
    """Return the configuration of the next start."""
    return _config("startup-config", switch, switch.startup.text())


def checkpoint_summary(switch: NxosSwitch) -> str:
    """Return the checkpoints that users have saved."""
    lines = ["User Checkpoint Summary", _LINE]
    for number, (name, saved) in enumerate(switch.checkpoints.items(), 1):
        lines += [f"{number}) {name}:", "Created by admin", f"Created at {saved.created:%a, %H:%M:%S %d %b %Y}"]
        lines += [f"Size is {len(saved.config.text()):,} bytes", "Description: None", ""]
    return "".join(f"{line}\n" for line in lines)


def _config(which: str, switch: NxosSwitch, text: str) -> str:
    now = f"{switch.physical.now():%a %b %e %H:%M:%S %Y}"
    return f"\n!Command: show {which}\n!Time: {now}\n\nversion simulated\n{text}\n"


def _is_up(switch: NxosSwitch, interface: str) -> bool:
    return switch.physical.has_light(interface) and not switch.is_shut(interface)


def _short(interface: str) -> str:
    return interface.replace("Ethernet", "Eth")
