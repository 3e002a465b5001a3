"""What the ``show`` commands of a simulated EOS switch print."""

from collections.abc import Sequence
from typing import Any

from aibench_lib import __version__
from aibench_lib.virtual_lab.cli.grammar import Match
from aibench_lib.virtual_lab.cli.pipe import apply_pipe
from aibench_lib.virtual_lab.eos import effects
from aibench_lib.virtual_lab.eos.switch import EosSwitch

Found = Match[Any]

MODEL = "aibench-virtual-lab"
SOFTWARE = f"{__version__} (simulated)"
"""Neither claims to be a product: both reach the report's system configuration."""


def version(_: EosSwitch, __: Found) -> str:
    """Return what runs: a simulation, and it says so."""
    return f"Arista {MODEL} (simulated)\nSoftware image version: {SOFTWARE}\nArchitecture: simulated\n"


def hostname(switch: EosSwitch, _: Found) -> str:
    """Return the host name."""
    return f"Hostname: {switch.running.hostname}\nFQDN:     {switch.running.hostname}\n"


def clock(switch: EosSwitch, _: Found) -> str:
    """Return the lab's time."""
    return f"{switch.physical.now():%a %b %e %H:%M:%S %Y}\nTimezone: UTC\nClock source: local\n"


def lldp_neighbors(switch: EosSwitch, _: Found) -> str:
    """Return a table of the nodes at the other ends of links that are up."""
    rows = [
        (interface.replace("Ethernet", "Et"), port.node, port.interface, "120")
        for interface, port in switch.neighbours.items()
        if switch.physical.has_light(interface) and not switch.is_shut(interface)
    ]
    return table(("Port", "Neighbor Device ID", "Neighbor Port ID", "TTL"), rows)


def interfaces_status(switch: EosSwitch, _: Found) -> str:
    """Return a table of the interfaces, whether they are up, and how fast."""
    rows = [
        (
            interface.replace("Ethernet", "Et"),
            f"{port.node} {port.interface}",
            _status(switch, interface),
            "routed" if interface in switch.addresses() else "1",
            "full",
            f"{switch.physical.gbps(interface)}G" if switch.physical.gbps(interface) else "auto",
            "simulated",
        )
        for interface, port in switch.neighbours.items()
    ]
    return table(("Port", "Name", "Status", "Vlan", "Duplex", "Speed", "Type"), rows)


def ip_interface_brief(switch: EosSwitch, _: Found) -> str:
    """Return a table of the interfaces that have an address."""
    rows = [
        (interface, str(address), *_protocol(switch, interface), str(effects.mtu(switch.running, interface)), "")
        for interface, address in switch.addresses().items()
    ]
    return table(("Interface", "IP Address", "Status", "Protocol", "MTU", "Owner"), rows)


def _status(switch: EosSwitch, interface: str) -> str:
    if switch.is_shut(interface):
        return "disabled"
    return "connected" if switch.physical.has_light(interface) else "notconnect"


def _protocol(switch: EosSwitch, interface: str) -> tuple[str, str]:
    if switch.is_shut(interface):
        return "admin down", "down"
    return ("up", "up") if switch.physical.has_light(interface) else ("down", "down")


def qos_ecn(switch: EosSwitch, found: Found) -> str:
    """Return the marking that takes effect on an interface's queues."""
    interface = found.values["interface"]
    rows = []
    for queue in range(8):
        effective = switch.running.ecn(interface, queue)
        if effective is not None:
            profile, ecn = effective
            percent = f"{round(ecn.pmax * 100)}"
            rows.append((f"UC{queue}", f"{ecn.kmin_bytes} bytes", f"{ecn.kmax_bytes} bytes", percent, profile))
    head = ("Tx-Queue", "Minimum Threshold", "Maximum Threshold", "Max Mark Probability", "Profile")
    return f"{interface}:\n{table(head, rows) if rows else 'ECN is not configured'}\n"


def running_config(switch: EosSwitch, _: Found) -> str:
    """Return the running configuration."""
    return config("running-config", switch, switch.running.text())


def running_section(switch: EosSwitch, found: Found) -> str:
    """Return the parts of the running configuration that match a pattern.

    Raises:
        CliError: The pattern is not a regular expression.
    """
    return apply_pipe(f"section {found.values['pattern']}", switch.running.text())


def startup_config(switch: EosSwitch, _: Found) -> str:
    """Return the configuration of the next start."""
    return config("startup-config", switch, switch.startup.text())


def config(which: str, switch: EosSwitch, text: str) -> str:
    """Return a configuration with the comments that the switch prints around it."""
    return f"! Command: show {which}\n! device: {switch.name} ({MODEL}, EOS-{SOFTWARE})\n!\n{text}end\n"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table as the switch sets one."""
    widths = [max(len(row[column]) for row in [head, *rows]) + 2 for column in range(len(head))]
    lines = [head, tuple("-" * (width - 2) for width in widths), *rows]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )
