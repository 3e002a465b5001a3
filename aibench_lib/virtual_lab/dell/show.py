"""What the ``show`` commands of a simulated Dell switch print, laid out as in public records of real ones."""

from typing import Any

from aibench_lib import __version__
from aibench_lib.units import GBPS
from aibench_lib.virtual_lab.cli.grammar import CliError, Match
from aibench_lib.virtual_lab.dell import effects
from aibench_lib.virtual_lab.dell.switch import DellSwitch

Found = Match[Any]

MODEL = "aibench-virtual-lab (simulated)"
SOFTWARE = f"{__version__} (simulated)"
"""Neither claims to be a product: both reach the report's system configuration."""
_MEGA = 1_000_000


def version(_: DellSwitch, __: Found) -> str:
    """Return what runs: a simulation, and it says so."""
    facts = {"Software Version": SOFTWARE, "Product": "simulated", "HwSKU": MODEL, "ASIC": "simulated"}
    return "".join(f"{name:<18}: {value}\n" for name, value in facts.items())


def clock(switch: DellSwitch, _: Found) -> str:
    """Return the lab's time."""
    return f"{switch.physical.now():%a %d %b %Y %H:%M:%S} UTC\n"


def interface_status(switch: DellSwitch, _: Found) -> str:
    """Return a table of the interfaces, whether they are up, how fast, and the largest packet."""
    rows: list[tuple[str, ...]] = [("Name", "Description", "Admin", "Oper", "AutoNeg", "Speed", "MTU")]
    for interface, port in switch.neighbours.items():
        shut = switch.is_shut(interface)
        up = not shut and switch.physical.has_light(interface)
        speed = str(switch.physical.gbps(interface) * GBPS // _MEGA)
        mtu = str(effects.mtu(switch.running, interface))
        state = ("down" if shut else "up", "up" if up else "down")
        rows.append((interface, f"{port.node}:{port.interface}", *state, "off", speed, mtu))
    return _ruled(rows, (20, 20, 10, 10, 12, 11, 0))


def lldp_table(switch: DellSwitch, _: Found) -> str:
    """Return a table of the nodes at the other ends of links that are up."""
    rows: list[tuple[str, ...]] = [("LocalPort", "RemoteDevice", "RemotePortID", "Capability", "RemotePortDescr")]
    for interface, port in switch.neighbours.items():
        if switch.physical.has_light(interface) and not switch.is_shut(interface):
            rows.append((interface, port.node, port.interface, "R", ""))
    return _ruled(rows, (20, 20, 20, 20, 0))


def ip_interfaces(switch: DellSwitch, _: Found) -> str:
    """Return a table of the interfaces that have an address."""
    rows: list[tuple[str, ...]] = [("Interface", "IP address/mask", "VRF", "Admin/Oper", "Flags")]
    for interface, address in switch.addresses().items():
        shut = switch.is_shut(interface)
        up = not shut and switch.physical.has_light(interface)
        rows.append((interface, str(address), "", f"{'down' if shut else 'up'}/{'up' if up else 'down'}", ""))
    return _ruled(rows, (20, 20, 10, 14, 0))


def running_configuration(switch: DellSwitch, _: Found) -> str:
    """Return the running configuration."""
    return f"!\n{switch.running.text()}"


def running_interface(switch: DellSwitch, found: Found) -> str:
    """Return what is configured of one interface.

    Raises:
        CliError: Nothing is.
    """
    header = f"interface {found.values['interface']}"
    for block in switch.running.blocks():
        if block[0] == header:
            return "".join(f"{line}\n" for line in ("!", *block))
    raise CliError("%Error: No configuration")


def _cell(text: str, width: int) -> str:
    return text[: width - 1].ljust(width) if width else text


def _ruled(rows: list[tuple[str, ...]], widths: tuple[int, ...]) -> str:
    lines = ["".join(_cell(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    rule = "-" * (sum(widths) + 12)
    return "".join(f"{line}\n" for line in (rule, lines[0], rule, *lines[1:]))
