"""What puts bytes on the wire: one module a transport, opened by name and only then imported."""

import importlib
import importlib.util
import ipaddress
import shutil
from pathlib import Path

from aibench_lib.worker.transports.transport import Options, Transport, TransportError

_CLASSES = {
    "verbs": ("aibench_lib.worker.transports.verbs", "Verbs"),
    "nixl": ("aibench_lib.worker.transports.nixl", "Nixl"),
    "perftest": ("aibench_lib.worker.transports.perftest", "Perftest"),
    "tcp": ("aibench_lib.worker.transports.tcp", "Tcp"),
}
"""Name -> module and class, the best first.  A class takes :class:`Options` alone."""
NAMES = tuple(_CLASSES)

_RDMA_DEVICES = Path("/sys/class/infiniband")


def available(address: str, device: str = "") -> tuple[str, ...]:
    """Return what this host can send with, the best first; ``tcp`` is always there.

    Args:
        address: Of the host in the fabric under test.
        device: RDMA device; empty: the one that has the address.
    """
    rdma = _has_device(address, device)
    present = {
        "verbs": rdma and importlib.util.find_spec("pyverbs") is not None,
        "nixl": any(importlib.util.find_spec(name) is not None for name in ("nixl", "nixl_cu12", "nixl_cu13")),
        "perftest": rdma and shutil.which("ib_write_bw") is not None,
        "tcp": True,
    }
    return tuple(name for name in NAMES if present[name])


def preload(name: str) -> None:
    """Import a transport, so that processes forked later have it."""
    importlib.import_module(_CLASSES[name][0])


def open(name: str, options: Options) -> Transport:
    """Make a transport; nothing is allocated before its ``prepare``.

    Args:
        name: One of :data:`NAMES`.
        options: How the transports of this host are set.

    Raises:
        TransportError: There is no such transport, or a library that it needs is missing.
    """
    if name not in _CLASSES:
        raise TransportError(f"no transport is called {name!r}; there are {', '.join(NAMES)}")
    module, kind = _CLASSES[name]
    try:
        transport: Transport = getattr(importlib.import_module(module), kind)(options)
    except ImportError as error:
        raise TransportError(f"transport {name} cannot be loaded ({error}); install what it needs") from error
    return transport


def _has_device(address: str, device: str) -> bool:
    """Return whether an RDMA device has the name or, without one, the address among its GIDs."""
    if device:
        return (_RDMA_DEVICES / device).exists()
    return any(_gid(path) == _as_ipv6(address) for path in _RDMA_DEVICES.glob("*/ports/*/gids/*"))


def _as_ipv6(address: str) -> ipaddress.IPv6Address:
    given = ipaddress.ip_address(address)
    return given if isinstance(given, ipaddress.IPv6Address) else ipaddress.IPv6Address(f"::ffff:{address}")


def _gid(path: Path) -> ipaddress.IPv6Address | None:
    try:
        return ipaddress.IPv6Address(path.read_text().strip())
    except OSError:  # an empty place of the GID table cannot be read
        return None
