"""What a host is and how it is set, for the preflight and for Section 14's system configuration; changes nothing."""

import platform
import resource

from aibench_lib.worker.agent.nic import Nic
from aibench_lib.worker.agent.sources import Sources


def inspect(nic: Nic, transport: str, sources: Sources | None = None) -> dict[str, str]:
    """Return what the host says; what it does not say is missing.

    Args:
        nic: The NIC under test.
        transport: What the agent sends with.
        sources: Where to look; by default this machine.
    """
    asked = sources or Sources()
    facts = {
        "nic.address": nic.address,
        "nic.interface": nic.interface,
        "nic.driver": nic.driver,
        "nic.model": nic.model,
        "nic.firmware": nic.firmware,
        "rdma.device": nic.device,
        "rdma.label": nic.label,
        "mtu": asked.text(f"sys/class/net/{nic.interface}/mtu") if nic.interface else "",
        "memlock.bytes": _memlock(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "transport": transport,
    }
    return {name: value for name, value in facts.items() if value}


def _memlock() -> str:
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)
