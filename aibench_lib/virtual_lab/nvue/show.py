"""What ``nv show`` prints on a simulated switch."""

from collections.abc import Callable, Mapping, Sequence

from aibench_lib import __version__
from aibench_lib.virtual_lab.nvue.schema import NvueError
from aibench_lib.virtual_lab.nvue.switch import NvueSwitch

MODEL = "aibench-virtual-lab"
SOFTWARE = f"{__version__} (simulated)"
"""Neither claims to be a product: both reach the report's system configuration."""

_DEFAULT_MTU = 9216


def show(switch: NvueSwitch, words: Sequence[str]) -> str:
    """Return what a command behind ``nv show`` prints.

    Raises:
        NvueError: There is no such command here.
    """
    printer = _PRINTERS.get(" ".join(words))
    if printer is None:
        raise NvueError(f"Error: Invalid Command: show {' '.join(words)}")
    return printer(switch)


def interfaces(switch: NvueSwitch) -> str:
    """Return a table of the interfaces: whether they are up, how fast, and who is behind them."""
    rows = [_interface(switch, name) for name in switch.neighbours]
    head = (
        "Interface",
        "Admin Status",
        "Oper Status",
        "Speed",
        "MTU",
        "Type",
        "Remote Host",
        "Remote Port",
        "Summary",
    )
    return _table(head, rows)


def _interface(switch: NvueSwitch, name: str) -> tuple[str, ...]:
    shut, lit = switch.is_shut(name), switch.physical.has_light(name)
    is_up = lit and not shut
    gbps, address = switch.physical.gbps(name), switch.addresses().get(name)
    neighbour = switch.neighbours[name]
    return (
        name,
        "down" if shut else "up",
        "up" if is_up else "down",
        f"{gbps}G" if is_up and gbps else "",
        switch.running.value("interface", name, "link", "mtu") or str(_DEFAULT_MTU),
        "swp",
        neighbour.node if is_up else "",
        neighbour.interface if is_up else "",
        f"IP Address: {address}" if address else "",
    )


def platform(_: NvueSwitch) -> str:
    """Return the hardware: a simulation, and it says so."""
    rows = [("manufacturer", "aibench"), ("product-name", MODEL), ("asic-model", "simulated")]
    return _table(("", "operational"), rows)


def system(switch: NvueSwitch) -> str:
    """Return name, time and software."""
    rows = [
        ("hostname", switch.running.value("system", "hostname") or ""),
        ("product-name", "Cumulus Linux command line"),
        ("date-time", ""),
        ("  local-time", f"{switch.physical.now():%Y-%m-%d %H:%M:%S}"),
        ("  timezone", "Etc/UTC"),
        ("version", ""),
        ("  product-release", SOFTWARE),
    ]
    return _table(("", "operational"), rows)


def version(_: NvueSwitch) -> str:
    """Return what runs."""
    return _table(("", "operational"), [("base-os", "simulated"), ("product-release", SOFTWARE)])


def revisions(switch: NvueSwitch) -> str:
    """Return what was applied, in order."""
    rows = [
        (str(number), state, f"rev_{number}_apply_1", message) for number, state, message in switch.revisions.history
    ]
    return _table(("Rev ID", "State", "Apply ID", "Message"), rows)


_PRINTERS: Mapping[str, Callable[[NvueSwitch], str]] = {
    "interface": interfaces,
    "platform": platform,
    "system": system,
    "system version": version,
}


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, tuple("-" * width for width in widths), *rows]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )
