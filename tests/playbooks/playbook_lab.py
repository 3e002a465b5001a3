"""Run the project's playbooks through ansible-runner against a virtual lab that lives in the test's own process."""

import csv
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner

from aibench_lib.journal import Journal
from aibench_lib.lab_process.state import State, StateDirectory
from aibench_lib.virtual_lab.inventory import load_lab
from aibench_lib.virtual_lab.lab import VirtualLab

ROOT = Path(__file__).parents[2]
INVENTORY = ROOT / "inventory" / "simulated"
ONE_TRIAL = {
    "trials": 1,
    "start_jitter_ns": 1000,
    "start_lead_ns": 20000,
    "telemetry_interval_ns": 20000,
}
"""A profile that runs every point of Test 8.1 once."""


@dataclass
class Lab:
    """A virtual lab that is up, and the playbooks that meet it."""

    virtual: VirtualLab
    folder: Path
    network: str

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def variables(self, **changed: Any) -> dict[str, Any]:
        return {
            "lab_network": self.network,
            "lab_state": str(self.folder / "state"),
            "results_dir": str(self.results),
            "profiles": {"one": ONE_TRIAL},
            "profile": "one",
            "tests": "8.1",
            **changed,
        }

    def command(
        self, playbook: str = "congestion.yml", *arguments: str, inventory: Path = INVENTORY, **variables: Any
    ) -> list[str]:
        """Return the command line a user would type, for tests that must kill it."""
        extra = json.dumps(self.variables(**variables))
        return ["ansible-playbook", f"playbooks/{playbook}", "-i", str(inventory), "-e", extra, *arguments]

    def play(
        self, playbook: str = "congestion.yml", *arguments: str, inventory: Path = INVENTORY, **variables: Any
    ) -> "Played":
        """Run a playbook to its end, as a user would type it in the repository's root."""
        output, errors, rc = ansible_runner.run_command(
            "ansible-playbook",
            self.command(playbook, *arguments, inventory=inventory, **variables)[1:],
            host_cwd=str(ROOT),
            private_data_dir=str(self.folder),
            runner_mode="subprocess",  # the other mode forks, which gRPC's threads in this process do not survive
            quiet=True,
        )
        return Played(rc, output + errors, self)

    def journal(self) -> Journal:
        """Return the journal of the newest run."""
        return Journal(sorted(self.results.glob("*/journal.jsonl"))[-1])

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.journal().events() if event["event"] == kind]

    def running(self) -> dict[str, str]:
        """Return every switch's running configuration, as the device has it."""
        return {name: switch.running_text() for name, switch in self.virtual.switches.items()}


@dataclass
class Played:
    """What a playbook did and said."""

    rc: int
    output: str
    lab: Lab

    @property
    def failures(self) -> list[str]:
        return [line.strip() for line in self.output.splitlines() if "failed:" in line]

    @property
    def kpis(self) -> list[dict[str, str]]:
        (path,) = self.lab.results.glob("*/kpis.csv")
        return list(csv.DictReader(path.read_text().splitlines()))


@contextmanager
def virtual_lab(folder: Path, network: str) -> Iterator[Lab]:
    """Bring up a virtual lab of the default inventory in this process, announced as `aibench lab up` would."""
    state = StateDirectory(folder / "state")
    virtual = VirtualLab(load_lab(INVENTORY), network, state.path, patience_seconds=10.0)
    virtual.start()
    occupied = state.occupy()
    state.announce(State(pid=os.getpid(), lab_instance=uuid.uuid4().hex, network=network, started_ns=time.time_ns()))
    try:
        yield Lab(virtual, folder, network)
    finally:
        state.forget()
        os.close(occupied)
        virtual.stop()
