"""Two simulated EOS switches with two links between them, for tests that look at both ends of a link."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aibench_lib.journal import Journal
from aibench_lib.simulator import Parameters
from aibench_lib.switch.faults import Place
from aibench_lib.switch.target import Target, parse_target
from aibench_lib.topology import parse_topology
from aibench_lib.virtual_lab.inventory import LabSpec
from aibench_lib.virtual_lab.lab import VirtualLab

TOPOLOGY = parse_topology(
    {
        "link_bps": 400_000_000_000,
        "switches": ["leaf1", "spine1"],
        "hosts": ["prefill01", "decode01"],
        "links": [
            ["prefill01:nic0", "leaf1:Ethernet1"],
            ["decode01:nic0", "leaf1:Ethernet2"],
            ["leaf1:Ethernet49", "spine1:Ethernet1"],
            ["leaf1:Ethernet50", "spine1:Ethernet2"],
        ],
    },
    "topology",
)


class EosPair:
    """The lab, its switches as the inventory has them, and a run's folder."""

    def __init__(self, lab: VirtualLab, folder: Path) -> None:
        self.lab = lab
        self._state = folder / "state"
        self.targets = {name: self._target(name) for name in TOPOLOGY.switches}

    def place(self, run_dir: Path) -> Place:
        """Return where faults are made, of a run with this folder."""
        journal = Journal(run_dir / "journal.jsonl")
        return Place(topology=TOPOLOGY, targets=self.targets, journal=journal, run_dir=run_dir)

    def running(self) -> dict[str, str]:
        """Return the switches' configurations, looked at from behind their wires."""
        return {name: self.lab.switches[name].running_text() for name in TOPOLOGY.switches}

    def _target(self, name: str) -> Target:
        switch = {"platform": "arista_eos", "queue": "3", "priority": "3", "qos_profile": "ROCE", "mmu_profile": "ROCE"}
        return parse_target(
            name,
            {
                "ansible_host": self.lab.addresses[name],
                "ansible_port": 2222,
                "ansible_user": "admin",
                "ansible_password": (self._state / "password").read_text(),
                "switch": {
                    **switch,
                    "ca": str(self._state / "ca.pem"),
                    "known_hosts": str(self._state / "known_hosts"),
                    "gnmi_port": 6030,
                },
            },
        )


@contextmanager
def eos_pair(folder: Path, network: str) -> Iterator[EosPair]:
    """Bring the lab up and down."""
    spec = LabSpec(TOPOLOGY, dict.fromkeys(TOPOLOGY.switches, "arista_eos"), Parameters())
    lab = VirtualLab(spec, network, folder / "state")
    lab.start()
    try:
        yield EosPair(lab, folder)
    finally:
        lab.stop()
