"""What a host says of itself before there is an agent: the agent's own look at it, by whoever logs in."""

import signal
import time
from typing import Any

from aibench_lib.worker import transports
from aibench_lib.worker.agent import host, nic
from aibench_lib.worker.on_host.forks import answer_with
from aibench_lib.worker.on_host.login import own_address, raise_memlock


def facts(address: str, device: str, transport: str, seconds: int) -> dict[str, Any]:
    """Return ``facts``, those that the agent would say, and ``now_ns``, the host's clock; writes nothing.

    Args:
        address: Of the host in the fabric under test; empty: where SSH has reached it.
        device: RDMA device; empty: that of the address.
        transport: That the agent is told to send with; empty: its best.
        seconds: After which this process ends, whatever it waits for [s]: nobody waits for it any longer.
    """
    signal.alarm(seconds)
    limit = raise_memlock()  # as is done for the agent
    own = address or own_address()
    found = host.inspect(nic.find(own, device), transport or transports.available(own, device)[0])
    lockable = {"memlock.bytes": "unlimited" if limit < 0 else str(limit)}
    return {"facts": {**found, **lockable}, "now_ns": time.time_ns()}


def main(act: str, arguments: dict[str, Any]) -> None:
    """Do the one act that there is, and answer."""
    answer_with({facts.__name__: facts}[act], arguments)
