"""What a host is and how it is set, for the preflight and for Section 14's system configuration; changes nothing."""

import importlib.metadata
import importlib.util
import platform
from collections.abc import Callable, Iterable

from aibench_lib.worker.agent import authentication, qos, synchronisation
from aibench_lib.worker.agent.nic import Nic, gid_index, gids
from aibench_lib.worker.agent.sources import Sources

_ROCE_HEADERS_BYTES = 96
"""What the kernel takes off an interface's MTU before it chooses the RDMA MTU: GRH, UDP, BTH, two extended headers and
ICRC."""
_RDMA_MTUS = (4096, 2048, 1024, 512, 256)
_DEFAULT_ROUTE = "00000000"


def inspect(nic: Nic, transport: str, sources: Sources | None = None) -> dict[str, str]:
    """Return what the host says; what it does not say is missing.

    Args:
        nic: The NIC under test.
        transport: What the agent sends with.
        sources: Where to look; by default this machine.
    """
    asked = sources or Sources()
    found = {
        **_nic(nic, asked),
        **_rdma(nic, asked),
        **qos.facts(nic, asked),
        **_processors(nic, asked),
        **synchronisation.facts(asked),
        **_software(asked),
        "memlock.bytes": asked.memory_lock(),
        "memory.bytes": _memory(asked),
        "transport": transport,
        "transports": ",".join(asked.transports(nic.address, nic.device)),
    }
    return {name: value for name, value in found.items() if value}


def _nic(nic: Nic, sources: Sources) -> dict[str, str]:
    folder = f"sys/class/net/{nic.interface}"
    own = (
        {
            "nic.addresses": " ".join(address for name, address in sources.addresses() if name == nic.interface),
            "nic.state": sources.text(f"{folder}/operstate"),
            "nic.carrier": {"1": "yes", "0": "no"}.get(sources.text(f"{folder}/carrier"), ""),
            "nic.speed_mbps": _positive(sources.number(f"{folder}/speed")),
            "nic.default_route": "yes" if _has_default_route(nic.interface, sources) else "no",
            "mtu": sources.text(f"{folder}/mtu"),
        }
        if nic.interface
        else {}
    )
    return {
        "nic.address": nic.address,
        "nic.interface": nic.interface,
        "nic.driver": nic.driver,
        "nic.model": nic.model,
        "nic.firmware": nic.firmware,
        **own,
    }


def _has_default_route(interface: str, sources: Sources) -> bool:
    rows = [line.split() for line in sources.text("proc/net/route").splitlines()[1:]]
    return any(row[:2] == [interface, _DEFAULT_ROUTE] and row[7:8] == [_DEFAULT_ROUTE] for row in rows)


def _positive(number: int | None) -> str:
    return str(number) if number and number > 0 else ""  # a veth or a link that is down says -1


def _rdma(nic: Nic, sources: Sources) -> dict[str, str]:
    if not nic.device:
        return {}
    port = f"sys/class/infiniband/{nic.device}/ports/{nic.port}"
    mtu = sources.number(f"sys/class/net/{nic.interface}/mtu") if nic.interface else None
    index = gid_index(nic, sources)
    return {
        "rdma.device": nic.device,
        "rdma.port": str(nic.port),
        "rdma.label": nic.label,
        "rdma.firmware": sources.text(f"sys/class/infiniband/{nic.device}/fw_ver"),
        "rdma.board": sources.text(f"sys/class/infiniband/{nic.device}/board_id"),
        "rdma.state": sources.text(f"{port}/state").split(" ")[-1],
        "rdma.rate": sources.text(f"{port}/rate"),
        "rdma.link_layer": sources.text(f"{port}/link_layer"),
        "rdma.active_mtu": str(active_mtu(mtu)) if mtu else "",
        "rdma.gid_index": "" if index is None else str(index),
        "rdma.gid_table": "; ".join(
            f"{gid.index} {gid.kind} {gid.address} {gid.interface}".strip()
            for gid in gids(nic.device, nic.port, sources)
        ),
        "rdma.authentication": authentication.offered(nic, sources),
    }


def active_mtu(interface_mtu: int) -> int:
    """Return the RDMA MTU that the kernel makes of an interface's: the largest that fits with the headers [bytes]."""
    return next((mtu for mtu in _RDMA_MTUS if mtu + _ROCE_HEADERS_BYTES <= interface_mtu), 0)


def _processors(nic: Nic, sources: Sources) -> dict[str, str]:
    cpus = sources.own_cpus()
    nodes = {node for cpu in cpus if (node := _node_of(cpu, sources))}
    device = f"sys/class/net/{nic.interface}/device" if nic.interface else f"sys/class/infiniband/{nic.device}/device"
    of_nic = sources.number(f"{device}/numa_node")
    governors = _different(
        sources.text(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor") for cpu in sorted(cpus)
    )
    model = _first(sources.text("proc/cpuinfo").splitlines(), ("model name", "Model", "cpu model"))
    return {
        "cpu.model": model,
        "cpu.cores": str(len(cpus)) if cpus else "",
        "cpu.governor": governors,
        "numa.agent_cpus": qos.ranges(cpus),
        "numa.agent": ",".join(sorted(nodes, key=int)),
        "numa.nic": str(of_nic) if of_nic is not None and of_nic >= 0 else "",
        "numa.nic_cpus": sources.text(f"{device}/local_cpulist"),
    }


def _node_of(cpu: int, sources: Sources) -> str:
    names = sources.names(f"sys/devices/system/cpu/cpu{cpu}")
    return next((name[4:] for name in names if name.startswith("node") and name[4:].isdigit()), "")


def _different(values: Iterable[str]) -> str:
    return ",".join(sorted({value for value in values if value}))


def _first(lines: Iterable[str], keys: Iterable[str]) -> str:
    said = dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))
    return next((said[key] for key in keys if said.get(key)), "")


def _memory(sources: Sources) -> str:
    words = _first(sources.text("proc/meminfo").splitlines(), ("MemTotal",)).split()
    return str(int(words[0]) * 1024) if words and words[0].isdigit() else ""


def _software(sources: Sources) -> dict[str, str]:
    return {
        "kernel": sources.text("proc/sys/kernel/osrelease"),
        "python": platform.python_version(),
        "pyverbs": _version("pyverbs", lambda: importlib.util.find_spec("pyverbs") is not None),
        "rdma_core": rdma_core(sources.output(["dpkg-query", "-W", "-f", "${Version}", "libibverbs1"])),
    }


def _version(package: str, is_there: Callable[[], bool]) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "version not said" if is_there() else ""


def rdma_core(version: str) -> str:
    """Return rdma-core's version out of that of its package, as ``44.0`` of ``44.0-2``."""
    return version.strip().partition("-")[0]
