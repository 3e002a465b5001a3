"""Put the agents of a lab onto its hosts, start them, see that they are healthy, stop them and remove them.

Each state is a small function over a :class:`~aibench_lib.worker.shell.Shell` that changes only what is not so yet, and
says whether it has.  What is done on a host itself is in :mod:`aibench_lib.worker.on_host`.
"""

import asyncio
import getpass
import hashlib
import itertools
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from aibench_lib import __version__
from aibench_lib.errors import AibenchError, LabError, SpecError
from aibench_lib.worker.agent_pb2 import DescribeRequest
from aibench_lib.worker.agents import Agent, Connection, credentials_of, explain
from aibench_lib.worker.bundle import Bundle, Platform, make_bundle, platform_of
from aibench_lib.worker.sent import call
from aibench_lib.worker.shell import Login, Shell, on_hosts

_MODULES = [
    f"aibench_lib.worker.on_host.{name}" for name in ("forks", "folder", "processes", "login", "starting", "acts")
]
"""Each imports only those before it."""
_ACT_SECONDS, _INSTALL_SECONDS, _READY_SECONDS = 120.0, 900.0, 90.0
_DESCRIBE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Where the agent of one host is installed, as whom, and how it is set."""

    login: Login
    folder: str
    port: int
    """That the agent answers on."""
    lab: str
    python: str = "/usr/bin/python3"
    run_as: str = "nobody"
    """Whom a login as root becomes; another login's agent runs as that login."""
    address: str = ""
    """Of the host in the fabric under test; empty: where SSH has reached it."""
    device: str = ""
    gid_index: int | None = None
    transport: str = ""
    lease_seconds: float = 60.0
    dscp: Mapping[str, int] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The inventory's name."""
        return self.login.host


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What has become of a state on many hosts."""

    changed: Sequence[str] = ()
    """Hosts on which something had to be done."""
    unchanged: Sequence[str] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    """Host -> why, and what to do."""
    said: Sequence[str] = ()
    """What is worth knowing, a line each."""

    @property
    def lines(self) -> list[str]:
        """The failures, a line for all hosts that have failed for the same reason."""
        reasons: dict[str, list[str]] = {}
        for host, reason in self.failed.items():
            reasons.setdefault(reason, []).append(host)
        return [f"{', '.join(hosts)}: {reason}" for reason, hosts in reasons.items()]


Say = Callable[[str], None]


def deploy(deployments: Sequence[Deployment], run: str, wheelhouse: Path, say: Say) -> Outcome:
    """Install the agents where they are not installed as they shall be.

    Args:
        deployments: Of the hosts, all at the same time.
        run: Names the run; another run's agent is left alone.
        wheelhouse: As for :func:`aibench_lib.worker.bundle.make_bundle`.
        say: Called with lines of progress.
    """
    bundle_of = _Bundles(wheelhouse, say)

    async def act(shell: Shell, one: Deployment) -> bool:
        return await _deployed(shell, one, run, bundle_of)

    return _on_all("deployed to", deployments, act, say)


def start(deployments: Sequence[Deployment], keys: Path, say: Say) -> Outcome:
    """Start the agents that do not run as they shall.

    Args:
        deployments: Of the hosts, all at the same time.
        keys: Folder of the run's authority.
        say: Called with lines of progress.
    """
    limited: dict[int, list[str]] = {}

    async def act(shell: Shell, one: Deployment) -> bool:
        done = await _call(shell, one, "start", _start_arguments(one, keys), seconds=_READY_SECONDS + _ACT_SECONDS)
        if done.get("memlock_bytes", -1) != -1 and done["rdma"] and one.transport != "tcp":
            limited.setdefault(int(done["memlock_bytes"]), []).append(one.host)
        return bool(done["changed"])

    outcome = _on_all("started on", deployments, act, say)
    said = [
        f"{', '.join(sorted(hosts))}: the agent may lock {limit >> 10} KiB of memory, and RDMA with large messages "
        "needs more; raise memlock in the host's /etc/security/limits.conf, or log in as root"
        for limit, hosts in limited.items()
    ]
    return Outcome(changed=outcome.changed, unchanged=outcome.unchanged, failed=outcome.failed, said=said)


def stop(deployments: Sequence[Deployment], run: str, say: Say) -> Outcome:
    """End the agents of a run, and see that they are gone."""

    async def act(shell: Shell, one: Deployment) -> bool:
        return bool(await _call(shell, one, "stop", {"run": run}))

    return _on_all("stopped on", deployments, act, say)


def remove(deployments: Sequence[Deployment], run: str, say: Say) -> Outcome:
    """End the agents of a run and delete what was installed, and see that both are gone."""

    async def act(shell: Shell, one: Deployment) -> bool:
        return bool(await _call(shell, one, "remove", {"run": run}, seconds=2 * _ACT_SECONDS))

    return _on_all("removed from", deployments, act, say)


def check_healthy(agents: Sequence[Agent]) -> Outcome:
    """Ask every agent who it is, over the connection that the trials will use; changes nothing."""
    failed: dict[str, str] = {}
    connections = [(agent, Connection(agent, credentials_of(agent))) for agent in agents]
    try:
        calls = [
            (agent, connection.stub.Describe.future(DescribeRequest(), timeout=_DESCRIBE_SECONDS))
            for agent, connection in connections
        ]
        for agent, call in calls:
            try:
                found = call.result()
            except grpc.RpcError as error:
                failed[agent.host] = explain(agent, error)
                continue
            if found.host != agent.host:
                failed[agent.host] = f"the agent at {agent.address}:{agent.port} is that of {found.host}"
            elif found.version != __version__:
                failed[agent.host] = (
                    f"the agent has version {found.version}, this is {__version__}; let it be deployed anew"
                )
    finally:
        for _, connection in connections:
            connection.close()
    return Outcome(unchanged=[agent.host for agent in agents if agent.host not in failed], failed=failed)


class _Bundles:
    """The bundles of the platforms that are met; each is made once, whoever needs it first."""

    def __init__(self, wheelhouse: Path, say: Say) -> None:
        self._wheelhouse, self._say = wheelhouse, say
        self._made: dict[Platform, asyncio.Task[Bundle]] = {}

    async def of(self, platform: Platform) -> Bundle:
        if platform not in self._made:
            self._made[platform] = asyncio.create_task(
                asyncio.to_thread(make_bundle, platform, self._wheelhouse, self._say)
            )
        return await asyncio.shield(self._made[platform])


async def _deployed(shell: Shell, one: Deployment, run: str, bundles: _Bundles) -> bool:
    found = await _call(shell, one, "look", {})
    try:
        platform = platform_of(found["python"], found["machine"], found["glibc"])
    except SpecError as error:
        raise LabError(one.host, str(error)) from error
    bundle = await bundles.of(platform)
    marker = {
        "run": run,
        "controller": f"{getpass.getuser()}@{socket.gethostname()}",
        "lease_seconds": one.lease_seconds,
    }
    claimed = await _call(shell, one, "claim", {"marker": marker})
    if found["installed"] == bundle.stamp:
        return bool(claimed)
    wheels = [{"name": wheel.name, "size_bytes": wheel.size_bytes, "sha256": wheel.sha256} for wheel in bundle.wheels]
    what = {"wheels": wheels, "unpacked_bytes": bundle.needed_bytes, "stamp": bundle.stamp}
    pieces = itertools.chain.from_iterable(wheel.pieces() for wheel in bundle.wheels)
    await _call(shell, one, "install", what, pieces, seconds=_INSTALL_SECONDS)
    return True


def _start_arguments(one: Deployment, keys: Path) -> dict[str, Any]:
    files = {
        "ca": keys / "ca.pem",
        "cert": keys / "hosts" / f"{one.host}.pem",
        "key": keys / "hosts" / f"{one.host}.key",
    }
    try:
        texts = {name: path.read_text(encoding="ascii") for name, path in files.items()}
    except OSError as error:
        raise LabError(one.host, f"{error.filename}: {error.strerror}; the agent must be deployed first") from error
    config = {
        "host": one.host,
        "port": one.port,
        "lab": one.lab,
        "address": one.address,
        "device": one.device,
        "gid_index": one.gid_index,
        "transport": one.transport,
        "lease_seconds": one.lease_seconds,
        "dscp": dict(one.dscp),
    }
    unit = f"aibench-agent-{hashlib.sha256(one.folder.encode()).hexdigest()[:12]}"
    return {"config": config, "keys": texts, "unit": unit, "seconds": _READY_SECONDS}


async def _call(
    shell: Shell,
    one: Deployment,
    act: str,
    arguments: Mapping[str, Any],
    content: Iterable[bytes] = (),
    *,
    seconds: float = _ACT_SECONDS,
) -> Any:  # noqa: ANN401 - whatever the act answers
    """Have one act of :mod:`aibench_lib.worker.on_host` done.

    Raises:
        LabError: It could not be done; the message says why and what to do.
    """
    own = {"folder": one.folder, "run_as": one.run_as, **arguments}
    return await call(shell, one.python, _MODULES, act, own, content, seconds=seconds)


def _on_all(what: str, deployments: Sequence[Deployment], act: Callable[[Shell, Deployment], Any], say: Say) -> Outcome:
    """Do something on all hosts, and say how far it is."""
    of_host = {one.host: one for one in deployments}
    through: list[str] = []
    milestones = {max(1, len(deployments) * quarter // 4) for quarter in range(1, 5)} if len(deployments) > 1 else set()

    def told(host: str) -> None:
        through.append(host)
        if len(through) in milestones:
            say(f"agents: {len(through)} of {len(deployments)} hosts are through ({what.split(maxsplit=1)[0]})")

    async def on_one(shell: Shell) -> bool:
        return bool(await act(shell, of_host[shell.login.host]))

    results, failures = on_hosts([one.login for one in deployments], on_one, told)
    return Outcome(
        changed=[host for host, changed in results.items() if changed],
        unchanged=[host for host, changed in results.items() if not changed],
        failed={host: _without_host(host, error) for host, error in failures.items()},
    )


def _without_host(host: str, error: AibenchError) -> str:
    return str(error).removeprefix(f"{host}: ")
