"""Hold the agents of a run: as long as somebody does, their leases do not run out.

The guard does, since a playbook may configure switches for longer than a lease lasts, in which nobody calls an agent.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import grpc

from aibench_lib.errors import SpecError
from aibench_lib.worker.agent_pb2 import HoldRequest
from aibench_lib.worker.agents import Agent, Connection, credentials_of

LOOK_SECONDS = 1.0
"""How often the journal is looked at for agents that were started, and a call that broke off is made again [s]."""
_MARK = b'"workers_'


class Holding:
    """The open calls.

    Args:
        journal: Of the run; it says which agents were started.
        agents: Of the hosts whose agents the run deploys.
    """

    def __init__(self, journal: Path, agents: Mapping[str, Agent]) -> None:
        self._journal, self._agents = journal, agents
        self._read_bytes = 0
        self._started: set[str] = set()
        self._calls: dict[str, tuple[Connection, grpc.Call]] = {}

    def look(self) -> None:
        """Hold what was started, and let go of what was stopped."""
        self._read()
        for host in list(self._calls):
            connection, call = self._calls[host]
            if host not in self._started or not call.is_active():
                del self._calls[host]
                connection.close()
        for host in self._started - self._calls.keys():
            self._hold(host)

    def let_go(self) -> None:
        """End every call."""
        for connection, _ in self._calls.values():
            connection.close()
        self._calls = {}

    def _hold(self, host: str) -> None:
        try:
            credentials = credentials_of(self._agents[host])
        except SpecError:
            return  # the keys are made and deleted by others: the next look tells
        connection = Connection(self._agents[host], credentials)
        self._calls[host] = (connection, connection.stub.Hold(HoldRequest()))

    def _read(self) -> None:
        """Read what was added to the journal: it may be long, and whole lines alone are events."""
        try:
            with self._journal.open("rb") as file:
                file.seek(self._read_bytes)
                added = file.read()
        except FileNotFoundError:
            return
        whole = added[: added.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            if _MARK not in line:
                continue
            event = json.loads(line)
            if event["event"] == "workers_started":
                self._started |= {host for host in event["hosts"] if host in self._agents}
            elif event["event"] in ("workers_stopped", "workers_removed"):
                self._started -= set(event["hosts"])
