"""Hosts whose agents come with a run: before one, SSH must let us in, and a Python there says what the host is."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aibench_lib.errors import LabError
from aibench_lib.run.inspection import Agents
from aibench_lib.units import NS_PER_SECOND
from aibench_lib.worker.deployment import Deployment
from aibench_lib.worker.sent import call
from aibench_lib.worker.shell import Shell, on_hosts

MODULES = (
    "aibench_lib",
    "aibench_lib.units",
    "aibench_lib.worker",
    "aibench_lib.worker.transports.rows",
    "aibench_lib.worker.transports.transport",
    "aibench_lib.worker.transports",
    "aibench_lib.worker.agent",
    "aibench_lib.worker.agent.addresses",
    "aibench_lib.worker.agent.ethtool",
    "aibench_lib.worker.agent.sources",
    "aibench_lib.worker.agent.nic",
    "aibench_lib.worker.agent.authentication",
    "aibench_lib.worker.agent.qos",
    "aibench_lib.worker.agent.synchronisation",
    "aibench_lib.worker.agent.host",
    "aibench_lib.worker.on_host.forks",
    "aibench_lib.worker.on_host.login",
    "aibench_lib.worker.on_host.looking",
)
"""What an agent says its host by, and what it imports: each only what stands before it."""
_ASK_SECONDS, _END_SECONDS = 40, 45
"""Each of a handful of tools is waited for 3 s; then nobody waits any longer, and then the look ends by itself [s]."""


def log_in(deployments: Mapping[str, Deployment], agents: Agents) -> Agents:
    """Log in to all hosts at once, and return what the agents answered together with what the hosts did.

    Args:
        deployments: Host -> how its agent will get there.
        agents: Those that are there already.
    """
    logins = [one.login for one in deployments.values()]

    async def ask(shell: Shell) -> tuple[Mapping[str, str], int]:
        facts, clock_ns = await _facts(shell, deployments[shell.login.host])
        return facts, clock_ns - round((time.time() - agents.asked_at) * NS_PER_SECOND)  # logins take their time

    answers, failures = on_hosts(logins, ask)
    silent = {host: str(error).removeprefix(f"{host}: ") for host, error in failures.items()}
    clocks = [clock for clock in (agents.clock_ns, *(clock for _, clock in answers.values())) if clock is not None]
    return replace(
        agents,
        silent={**agents.silent, **silent},
        let_in=len(answers),
        clock_ns=max(clocks) if clocks else None,
        facts={**agents.facts, **{host: facts for host, (facts, _) in answers.items()}},
    )


async def _facts(shell: Shell, one: Deployment) -> tuple[Mapping[str, str], int]:
    """Return what a host says of itself, and what time it is there [ns since the epoch]; nothing is written there.

    Raises:
        LabError: It does not, or its Python is too old for an agent.
    """
    arguments = {
        "address": one.address,
        "device": one.device,
        "transport": one.transport,
        "seconds": _END_SECONDS,
    }
    found: Any = await call(shell, one.python, MODULES, "facts", arguments, seconds=_ASK_SECONDS)
    try:
        return {str(name): str(value) for name, value in found["facts"].items()}, int(found["now_ns"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LabError(one.host, f"{one.python} answers what was not asked; set worker.python") from error
