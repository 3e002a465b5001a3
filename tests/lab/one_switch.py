"""One simulated switch of any platform with two hosts, for the tests of a platform over its real wires."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aibench_lib.journal import Journal
from aibench_lib.simulator import Parameters
from aibench_lib.switch import transaction
from aibench_lib.switch.session import connect
from aibench_lib.switch.target import Target, parse_target
from aibench_lib.topology import parse_topology
from aibench_lib.virtual_lab.inventory import LabSpec
from aibench_lib.virtual_lab.lab import VirtualLab

NAME = "leaf1"


@dataclass(frozen=True)
class OneSwitch:
    """The switch, as a run and as the lab see it."""

    lab: VirtualLab
    target: Target

    def config(self) -> list[str]:
        """Return the configuration, as a restore compares it."""
        with connect(self.target) as switch:
            return switch.comparable(switch.read_config())

    def writes(self) -> list[str]:
        """Return what was written to the switch, or tried to, in order."""
        return [what for name, what in self.lab.writes if name == NAME]

    def there_and_back(self, feature: str, values: Mapping[str, Any], folder: Path) -> transaction.Change:
        """Apply a feature, take it back, and return what the switch had made of it.

        Raises:
            AssertionError: It had no effect, or the switch is not as before.
        """
        journal = Journal(folder / "journal.jsonl")
        before = self.config()
        try:
            done = transaction.apply(self.target, feature, values, journal, folder)
            assert self.config() != before
        finally:
            transaction.restore(self.target, journal, folder)
        assert self.config() == before
        return done


@contextmanager
def one_switch(
    state: Path, network: str, platform: str, options: Mapping[str, Any], interfaces: Sequence[str]
) -> Iterator[OneSwitch]:
    """Bring a lab up and down in which one switch has two hosts.

    Args:
        state: A folder for the lab's files.
        network: First two octets of the loopback network, which no other test uses.
        platform: The switch's.
        options: Its ``switch`` mapping in the inventory.
        interfaces: Its interfaces towards the hosts.
    """
    topology = parse_topology(
        {
            "link_bps": 400_000_000_000,
            "switches": [NAME],
            "hosts": ["prefill01", "decode01"],
            "links": [
                [f"{host}:nic0", f"{NAME}:{port}"]
                for host, port in zip(["prefill01", "decode01"], interfaces, strict=True)
            ],
        },
        "topology",
    )
    lab = VirtualLab(LabSpec(topology, {NAME: platform}, Parameters()), network, state)
    lab.start()
    try:
        files = {"ca": str(state / "ca.pem"), "known_hosts": str(state / "known_hosts")}
        variables = {
            "ansible_host": lab.addresses[NAME],
            "ansible_port": 2222,
            "ansible_user": "admin",
            "ansible_password": (state / "password").read_text(),
            "switch": {"platform": platform, **options, **files},
        }
        yield OneSwitch(lab, parse_target(NAME, variables))
    finally:
        lab.stop()
