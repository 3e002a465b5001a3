"""One switch of each kind, for the tests of this folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aibench_lib.simulator import Parameters
from aibench_lib.topology import parse_topology
from aibench_lib.virtual_lab.inventory import LabSpec
from aibench_lib.virtual_lab.lab import VirtualLab

TOPOLOGY = {
    "link_bps": 400_000_000_000,
    "switches": ["leaf1", "spine1"],
    "hosts": ["prefill01", "decode01"],
    "links": [
        ["prefill01:nic0", "leaf1:Ethernet1"],
        ["decode01:nic0", "leaf1:Ethernet2"],
        ["leaf1:Ethernet49", "spine1:ethernet-1/1"],
    ],
}
SWITCHES = {
    "leaf1": {
        "platform": "arista_eos",
        "queue": "3",
        "priority": "3",
        "qos_profile": "ROCE",
        "mmu_profile": "ROCE",
    },
    "spine1": {
        "platform": "nokia_srlinux",
        "queue": "q3",
        "priority": "3",
        "qos_profile": "rocev2",
        "pfc_profile": "rocev2",
        "interfaces": ["ethernet-1/1"],
    },
}


class SwitchLab:
    """A virtual lab and the inventory's variables of its switches."""

    def __init__(self, lab: VirtualLab, state: Path) -> None:
        self.state = state
        self._lab = lab

    def variables(self, host: str) -> dict[str, Any]:
        """Return what an inventory says of a switch."""
        files = {"ca": str(self.state / "ca.pem"), "known_hosts": str(self.state / "known_hosts")}
        return {
            "ansible_host": self._lab.addresses[host],
            "ansible_port": 2222,
            "ansible_user": "admin",
            "ansible_password": (self.state / "password").read_text(),
            "switch": {**SWITCHES[host], **files},
        }

    def writes(self, host: str) -> list[str]:
        """Return what was written to a switch, or tried to, in order."""
        return [what for name, what in self._lab.writes if name == host]

    def running(self, host: str) -> str:
        """Return a switch's running configuration, looked at from behind its wires."""
        return self._lab.switches[host].running_text()


@contextmanager
def switch_lab(state: Path, network: str) -> Iterator[SwitchLab]:
    """Bring the lab up and down."""
    lab = VirtualLab(
        LabSpec(
            parse_topology(TOPOLOGY, "topology"),
            {name: switch["platform"] for name, switch in SWITCHES.items()},
            Parameters(),
        ),
        network,
        state,
    )
    lab.start()
    try:
        yield SwitchLab(lab, state)
    finally:
        lab.stop()
