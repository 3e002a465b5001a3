"""Which protection of RDMA packets a host's hardware offers; the draft's Section 15 wants the report to say it."""

import re

from aibench_lib.worker.agent.nic import Nic
from aibench_lib.worker.agent.sources import Sources

_OFFLOADS = {"IPsec": "esp-hw-offload", "MACsec": "macsec-hw-offload"}
"""Protection -> the feature by which a driver declares it."""


def offered(nic: Nic, sources: Sources) -> str:
    """Return one line; empty of a host without RDMA device.

    A reliable connection of RoCEv2 itself knows keys alone: who has guessed or seen a queue pair's numbers and a memory
    region's key is believed.
    """
    if not nic.device:
        return ""
    features = sources.features(nic.interface)
    said = [
        f"{name} offload {'on' if features[feature] else 'declared, off'}"
        for name, feature in _OFFLOADS.items()
        if feature in features
    ] or ["no IPsec or MACsec offload declared"]
    if offloaded(sources.output(["ip", "xfrm", "state", "list", "nokeys"]), nic.interface):
        said.append("IPsec states are offloaded to the NIC now")
    said.append("PSP not said by the kernel")
    return "RoCEv2 RC: memory keys, queue pair and sequence numbers only; " + ", ".join(said)


def offloaded(states: str, interface: str) -> bool:
    """Whether what ``ip xfrm state`` prints has states that a NIC handles."""
    return bool(re.search(rf"offload parameters: dev {re.escape(interface)}\b", states))
