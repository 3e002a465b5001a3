"""The one door to NIXL: found under the names of its packages, and made for the NIC under test."""

import ctypes
import importlib
import importlib.util
import mmap
import os
import random
import secrets
from typing import Any

from aibench_lib.worker.agent import nic
from aibench_lib.worker.transports.transport import Options, TransportError

_PACKAGES = ("nixl_cu12", "nixl_cu13", "nixl")
"""Each has the same two classes."""
_QUIET = {"NIXL_LOG_LEVEL": "ERROR", "UCX_WARN_UNUSED_ENV_VARS": "n"}
"""Or both write to the agent's own output."""
_TILE_BYTES = 1 << 20


def load() -> Any:  # noqa: ANN401 - a library without types, which may be one of three
    """Return the library.

    Raises:
        ImportError: None of its packages is here.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    for name in _PACKAGES:
        if importlib.util.find_spec(name) is not None:
            return importlib.import_module(name)
    raise ImportError("no module named nixl; `pip install --no-deps nixl-cu12` needs no GPU")


def choose(options: Options, traffic_class: int) -> str:
    """Tell UCX which transport and which device to use, unless somebody has; return the transport's label.

    UCX reads this as an agent is made, so it holds for this process alone.
    """
    found = nic.find(options.address, options.device)
    if "UCX_TLS" not in os.environ:
        if found.label:
            os.environ["UCX_TLS"] = "rc"
        elif found.interface:
            os.environ["UCX_TLS"] = "tcp"
        else:
            raise TransportError(f"no interface of this host has the address {options.address}")
    if "UCX_NET_DEVICES" not in os.environ:
        over_tcp = os.environ["UCX_TLS"] == "tcp"
        os.environ["UCX_NET_DEVICES"] = found.interface if over_tcp else f"{found.device}:{found.port}"
    if os.environ["UCX_TLS"] == "tcp":
        os.environ.setdefault("UCX_MODULES", "^ib")  # whose libraries are what crashes at the end
    else:
        os.environ.setdefault("UCX_IB_TRAFFIC_CLASS", str(traffic_class))
        index = nic.gid_index(found) if options.gid_index is None else options.gid_index
        if index is not None:
            os.environ.setdefault("UCX_IB_GID_INDEX", str(index))
    return f"nixl-ucx-{os.environ['UCX_TLS'].replace(',', '+')}"


def agent(host: str) -> Any:  # noqa: ANN401 - see load
    """Return a NIXL agent with a name that no other has, and without threads of its own.

    Raises:
        TransportError: It cannot be made.
    """
    library = load()
    name = f"{host}-{os.getpid()}-{secrets.token_hex(8)}"
    try:
        made = library.nixl_agent(name, library.nixl_agent_config(enable_prog_thread=False, backends=["UCX"]))
    except Exception as error:  # its exceptions have no common class
        raise TransportError(f"NIXL cannot be started with its UCX backend: {error}") from error
    return made


class Buffer:
    """Memory that is there before it is needed, and registered with an agent.

    Args:
        owner: The agent.
        size_bytes: Its size.
        content: With what it is filled, over and over.
    """

    def __init__(self, owner: Any, size_bytes: int, content: bytes) -> None:  # noqa: ANN401 - see load
        self.size_bytes = size_bytes
        self._owner = owner
        self._memory = mmap.mmap(-1, size_bytes)
        for start in range(0, size_bytes, len(content)):
            self._memory[start : start + len(content)] = content[: size_bytes - start]
        self.address = _address_of(self._memory)
        try:
            self._registered = owner.register_memory([(self.address, size_bytes, 0, "")], mem_type="DRAM")
        except Exception as error:  # its exceptions have no common class
            raise TransportError(
                f"cannot register {size_bytes} bytes with NIXL ({error}); give the agent's user memlock unlimited"
            ) from error

    def holds(self, content: bytes, size_bytes: int) -> bool:
        """Whether it begins with so much of a content, over and over."""
        whole = all(
            self._memory[start : start + len(content)] == content
            for start in range(0, size_bytes - len(content) + 1, len(content))
        )
        rest = size_bytes % len(content)
        return whole and self._memory[size_bytes - rest : size_bytes] == content[:rest]

    def close(self) -> None:
        """Give the registration back; the memory goes with the process, whatever UCX still does with it."""
        self._owner.deregister_memory(self._registered)


def _address_of(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def payload(seed: int) -> bytes:
    """Return what messages consist of, so that both ends know it."""
    return random.Random(seed).randbytes(_TILE_BYTES)


EMPTY = bytes(_TILE_BYTES)
