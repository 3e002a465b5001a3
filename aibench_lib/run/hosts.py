"""What the inventory says of a host that sends traffic: where its agent answers, and how it gets there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aibench_lib.errors import SpecError
from aibench_lib.model import LabKind
from aibench_lib.spec import build
from aibench_lib.worker import transports
from aibench_lib.worker.agents import Agent
from aibench_lib.worker.deployment import Deployment
from aibench_lib.worker.shell import Login

LOGIN_VARIABLES = ("ansible_port", "ansible_user", "ansible_password", "ansible_ssh_private_key_file")
"""Of a host whose agent is deployed."""

_FILES = ("ca", "cert", "key")
_SHORTEST_LEASE_SECONDS = 5.0
"""The guard looks once a second whom to hold; a busy machine may take a few."""
_HIGHEST_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class _Worker:
    port: int
    ca: str = ""
    cert: str = ""
    key: str = ""
    address: str = ""
    device: str = ""
    gid_index: int | None = None
    transport: str = ""
    python: str = "/usr/bin/python3"
    run_as: str = "nobody"
    folder: str = ""
    known_hosts: str = ""
    lease_seconds: float = 60.0
    dscp: Mapping[str, int] = field(default_factory=dict)


def is_deployed(variables: Mapping[str, Any]) -> bool:
    """Return whether a host's agent is deployed by a run, and not by somebody else, who gives the certificates."""
    worker = variables.get("worker")
    return isinstance(worker, Mapping) and not any(worker.get(name) for name in _FILES)


def parse_host(
    name: str, variables: Mapping[str, Any], kind: LabKind, workers_state: Path | None
) -> tuple[Agent, Deployment | None]:
    """Return a host's agent, and how it is deployed; None: somebody else does that.

    Args:
        name: The inventory's.
        variables: ``worker``, and of Ansible's own ``ansible_host`` and those of the login.
        kind: Of the lab.
        workers_state: Folder of the run's keys.

    Raises:
        SpecError: A key is missing, unknown or of the wrong kind; the message names the host and the key.
    """
    where = f"inventory: {name}: worker"
    if "worker" not in variables:
        raise SpecError(f"{where}: missing; a host of the group 'workers' needs it")
    worker = build(_Worker, variables["worker"], where)
    address = str(variables.get("ansible_host") or name)
    port = _port(worker.port, f"{where}.port")
    if not is_deployed(variables):
        files = _given_files(worker, where)
        return Agent(host=name, address=address, port=port, **files), None
    if workers_state is None:
        raise SpecError(
            f"inventory: workers_state: missing; it is the folder for the run's keys, since {name} has none of its own "
            "(worker.ca, cert, key)"
        )
    agent = Agent(
        host=name,
        address=address,
        port=port,
        ca=workers_state / "ca.pem",
        cert=workers_state / "client.pem",
        key=workers_state / "client.key",
    )
    return agent, _deployment(name, worker, _login(name, address, worker, variables), kind, where)


def _given_files(worker: _Worker, where: str) -> dict[str, Path]:
    for file in _FILES:
        if not getattr(worker, file):
            raise SpecError(
                f"{where}.{file}: missing; give ca, cert and key, or none of them to have the agent deployed"
            )
    return {file: Path(getattr(worker, file)) for file in _FILES}


def _login(name: str, address: str, worker: _Worker, variables: Mapping[str, Any]) -> Login:
    port, key_file = variables.get("ansible_port"), variables.get("ansible_ssh_private_key_file")
    return Login(
        host=name,
        address=address,
        port=None if port is None else _port(port, f"inventory: {name}: ansible_port"),
        user=str(variables["ansible_user"]) if variables.get("ansible_user") else None,
        password=str(variables.get("ansible_password") or ""),
        key_file=_file(key_file, f"inventory: {name}: ansible_ssh_private_key_file") if key_file else None,
        known_hosts=_file(worker.known_hosts, f"inventory: {name}: worker.known_hosts") if worker.known_hosts else None,
    )


def _deployment(name: str, worker: _Worker, login: Login, kind: LabKind, where: str) -> Deployment:
    folder = worker.folder or f"/var/tmp/aibench-{name}"
    if not folder.startswith("/") or os.path.normpath(folder) != folder or folder.count("/") < 2:
        raise SpecError(
            f"{where}.folder: {folder!r} must be an absolute path of at least two names: it will be deleted"
        )
    if worker.transport and worker.transport not in transports.NAMES:
        raise SpecError(f"{where}.transport: {worker.transport!r} is not one of {', '.join(transports.NAMES)}")
    lease = worker.lease_seconds
    if isinstance(lease, bool) or not isinstance(lease, int | float) or lease < _SHORTEST_LEASE_SECONDS:
        raise SpecError(f"{where}.lease_seconds: {lease!r} must be a number of at least {_SHORTEST_LEASE_SECONDS:g}")
    if worker.gid_index is not None and (isinstance(worker.gid_index, bool) or not isinstance(worker.gid_index, int)):
        raise SpecError(f"{where}.gid_index: {worker.gid_index!r} is no whole number")
    if not isinstance(worker.dscp, Mapping):
        raise SpecError(f"{where}.dscp: expected priority -> DSCP, such as {{'3': 26}}")
    return Deployment(
        login=login,
        folder=folder,
        port=int(worker.port),
        lab=str(kind),
        python=str(worker.python),
        run_as=str(worker.run_as),
        address=str(worker.address),
        device=str(worker.device),
        gid_index=worker.gid_index,
        transport=worker.transport,
        lease_seconds=float(lease),
        dscp={str(priority): dscp for priority, dscp in worker.dscp.items()},
    )


def _port(value: object, where: str) -> int:
    try:
        port = int(str(value))
    except ValueError as error:
        raise SpecError(f"{where}: {value!r} is not a port") from error
    if not 0 < port <= _HIGHEST_PORT:
        raise SpecError(f"{where}: {port} is not a port")
    return port


def _file(value: object, where: str) -> str:
    path = Path(str(value)).expanduser()
    if not path.is_file():
        raise SpecError(f"{where}: {path}: no such file")
    return str(path)
