"""The ``show`` program of the simulated switch."""

from collections.abc import Sequence

from aibench_lib import __version__
from aibench_lib.virtual_lab.sonic import effects
from aibench_lib.virtual_lab.sonic.call import Call, Result, Subcommand, dispatch

MODEL = "aibench-virtual-lab"
SOFTWARE = f"{__version__} (simulated)"
"""Neither claims to be a product: both reach the report's system configuration."""
_MBPS_A_GBPS = 1000


def run(call: Call) -> Result:
    """Do one command."""
    return dispatch("show", _COMMANDS, call)


def _version(call: Call, _: dict[str, str]) -> Result:
    hardware = call.switch.tables["DEVICE_METADATA"]["localhost"].get("hwsku", MODEL)
    date = f"{call.switch.physical.now():%a %d %b %Y %X}"
    return Result(
        f"\nSONiC Software Version: SONiC.{SOFTWARE}\nDistribution: none (simulated)\n"
        f"\nPlatform: {MODEL}\nHwSKU: {hardware}\nASIC: simulated\nASIC Count: 1\nDate: {date}\n"
    )


def _clock(call: Call, _: dict[str, str]) -> Result:
    return Result(f"{call.switch.physical.now():%a %d %b %Y %H:%M:%S} UTC\n")


def _status(call: Call, _: dict[str, str]) -> Result:
    switch = call.switch
    rows = []
    for port, row in switch.tables["PORT"].items():
        gbps = switch.physical.gbps(port) or int(str(row["speed"])) // _MBPS_A_GBPS
        shut = switch.is_shut(port)
        oper = "up" if switch.physical.has_light(port) and not shut else "down"
        vlan = "routed" if port in switch.addresses() else "trunk"
        admin = "down" if shut else "up"
        alias = str(row.get("alias", port))
        rows.append(
            (port, str(row["lanes"]), f"{gbps}G", str(row.get("mtu", "9100")), "N/A", alias, vlan, oper, admin, "N/A")
        )
    head = ("Interface", "Lanes", "Speed", "MTU", "FEC", "Alias", "Vlan", "Oper", "Admin", "Type")
    return Result(_table((*head, "Asym PFC"), [(*row, "off") for row in rows], right=True))


def _addresses(call: Call, _: dict[str, str]) -> Result:
    switch = call.switch
    rows = []
    for port, address in effects.addresses(switch.tables).items():
        shut = switch.is_shut(port)
        oper = "up" if switch.physical.has_light(port) and not shut else "down"
        rows.append((port, "", str(address), f"{'down' if shut else 'up'}/{oper}", "N/A", "N/A"))
    head = ("Interface", "Master", "IPv4 address/mask", "Admin/Oper", "BGP Neighbor", "Neighbor IP")
    return Result(_table(head, rows))


def _lldp(call: Call, _: dict[str, str]) -> Result:
    switch = call.switch
    rows = [
        (port, far.node, far.interface, "BR", f"{far.node} {far.interface}")
        for port, far in switch.neighbours.items()
        if switch.physical.has_light(port) and not switch.is_shut(port)
    ]
    head = ("LocalPort", "RemoteDevice", "RemotePortID", "Capability", "RemotePortDescr")
    legend = "Capability codes: (R) Router, (B) Bridge, (O) Other\n"
    return Result(f"{legend}{_table(head, rows)}{'-' * 50}\nTotal entries displayed:  {len(rows)}\n")


def _running(call: Call, _: dict[str, str]) -> Result:
    return Result(call.switch.running_text())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: bool = False) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )


_COMMANDS = tuple(
    Subcommand(tuple(words.split()), act, writes=False)
    for words, act in {
        "version": _version,
        "clock": _clock,
        "interfaces status": _status,
        "ip interfaces": _addresses,
        "lldp table": _lldp,
        "runningconfiguration all": _running,
    }.items()
)
