"""Job: two real agents in the guest, called over mutual TLS as a coordinator does, send by verbs.

The test has made ``/job/keys``; ``/site`` holds the packages that an agent's own environment has.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from agent_lab import Trial, agent_of, configuration, lines, stream, transfer

from aibench_lib.worker import agent_pb2
from aibench_lib.worker.agents import Connection, credentials_of
from aibench_lib.worker.samples import from_ipc
from rdma_vm.guest.results import Results

ADDRESSES = {"h1": "10.0.0.1", "h2": "10.0.0.2"}
_CONTROL = "127.0.0.1"
"""Where agents are called; what is sent from a fabric's address leaves by the fabric, and finds no way back."""
_JOB = Path("/job")
_READY_SECONDS = 400
_BEFORE_T0_NS = 10_000_000_000
"""An emulated CPU may need over a second before its agents await T0."""


class _Lab:
    """Agents by their hosts, for :class:`agent_lab.Trial`."""

    def __init__(self) -> None:
        self.processes = {}
        self.connections = {}
        for host, address in ADDRESSES.items():
            file = _JOB / f"{host}.json"
            config = configuration(host, _CONTROL, _JOB / "keys") | {"address": address}
            file.write_text(json.dumps(config))
            command = [sys.executable, "-m", "aibench_lib.worker.agent", "--config", str(file)]
            self.processes[host] = subprocess.Popen(command, stdout=subprocess.PIPE)
        for host, process in self.processes.items():
            said = next(lines(process.stdout, _READY_SECONDS))
            agent = agent_of(host, _CONTROL, said["port"], _JOB / "keys")
            self.connections[host] = Connection(agent, credentials_of(agent))

    def stub(self, host: str) -> object:
        return self.connections[host].stub

    def end(self) -> list[int]:
        """End the agents and return their exit statuses."""
        for process in self.processes.values():
            process.terminate()
        return [process.wait(30) for process in self.processes.values()]


def _text(table: object) -> list[dict]:
    return [{name: str(value) for name, value in row.items()} for row in table.to_pylist()]


def main() -> None:
    found, lab = Results(), _Lab()
    said = lab.stub("h1").Describe(agent_pb2.DescribeRequest())
    found.add("described", {"transport": said.transport, "transports": list(said.transports), "nic": said.nic})
    trial = Trial(lab, seconds=20.0, transport="verbs", verify=True)
    loop = stream("h2", 1, 65_536, depth=8, batch=2, duration_ns=500_000_000)
    trial.prepare("h1", transfer("h2", 0, 1 << 20), transfer("h2", 0, 4096, offset_ns=10_000_000), streams=[loop])
    trial.prepare("h2")
    trial.ready("h1", "h2")
    t0_ns = time.time_ns() + _BEFORE_T0_NS
    runs = {host: trial.start(host, t0_ns) for host in ADDRESSES}
    batches = {host: list(run) for host, run in runs.items()}
    found.add("samples", [row for batch in batches["h1"] if batch.arrow for row in _text(from_ipc(batch.arrow))])
    received = [from_ipc(batch.receipts) for batch in batches["h2"] if batch.receipts]
    found.add("receipts", [row for table in received for row in _text(table)])
    found.add("states", dict(batches["h1"][-1].qp_states))
    found.add("growth", dict(batches["h1"][-1].nic_growth))
    trial.stop(*ADDRESSES)
    resources = subprocess.run(["rdma", "resource", "show"], capture_output=True, text=True, check=True).stdout
    found.add("registered after", resources)
    found.add("ended", lab.end())


if __name__ == "__main__":
    main()
