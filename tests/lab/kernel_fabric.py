"""A kernel lab for tests: built once a file, on a network that no other process of the test run uses."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aibench_lib.errors import LabError
from aibench_lib.kernel_lab import daemon, fabric
from aibench_lib.kernel_lab.inventory import load_lab
from aibench_lib.kernel_lab.machine import check_machine
from aibench_lib.model import Topology
from aibench_lib.switch.target import Target, parse_target

INVENTORY = Path(__file__).parents[2] / "inventory" / "kernel"


def missing() -> str:
    """Return what this machine lacks for a kernel lab, for the reason of a skipped test; empty: nothing."""
    try:
        check_machine()
    except LabError as error:
        return str(error)
    return ""


def network(offset: int = 0) -> str:
    """Return the first two octets of a network for this process of the test run."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return f"172.{20 + 2 * (worker % 5) + offset}"


@dataclass(frozen=True)
class KernelFabric:
    """A kernel lab that is up."""

    state: Path
    network: str
    topology: Topology

    def address(self, node: str) -> str:
        """Return a node's address for management."""
        return fabric.management(self.topology, self.network)[node][0]

    def ssh(self, node: str, command: str, *, check: bool = True, seconds: float = 30.0) -> str:
        """Return what a command prints on a node, by OpenSSH as anybody else would."""
        done = subprocess.run(
            [
                *("ssh", "-i", str(self.state / "key"), "-o", f"UserKnownHostsFile={self.state / 'known_hosts'}"),
                *("-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"),
                *(f"root@{self.address(node)}", command),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert not check or done.returncode == 0, f"{node}: {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def target(self, switch: str) -> Target:
        """Return a switch as the inventory has it."""
        return parse_target(
            switch,
            {
                "ansible_host": self.address(switch),
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(self.state / "key"),
                "switch": {
                    "platform": "frr_linux",
                    "known_hosts": str(self.state / "known_hosts"),
                    "queue": "0",
                    "limited": True,
                    "interfaces": [end.interface for end in fabric.ends(self.topology, switch)],
                    "disciplines": (self.state / "disciplines").read_text().split(),
                },
            },
        )

    def targets(self) -> dict[str, Target]:
        """Return all switches."""
        return {name: self.target(name) for name in self.topology.switches}

    def ways(self, switch: str, destination: str) -> list[str]:
        """Return over which interfaces a switch's kernel sends to an address, as BGP has told it."""
        shown = json.loads(self.ssh(switch, f"ip -j -4 route show {destination} proto bgp") or "[]")
        return sorted(hop["dev"] for entry in shown for hop in entry.get("nexthops", [entry]) if "dev" in hop)


@contextmanager
def kernel_fabric(state: Path, first_octets: str) -> Iterator[KernelFabric]:
    """Bring a lab up and down."""
    daemon.up(INVENTORY, state, first_octets, None, lambda _text: None)
    try:
        yield KernelFabric(state, first_octets, load_lab(INVENTORY).topology)
    finally:
        daemon.down(state)
