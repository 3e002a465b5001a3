"""Hosts whose agents come with a run: before one, SSH must let us in, and there must be a Python for them."""

import shlex
from collections.abc import Mapping
from dataclasses import replace

from aibench_lib.errors import LabError
from aibench_lib.run.inspection import Agents
from aibench_lib.worker.bundle import OLDEST_PYTHON
from aibench_lib.worker.deployment import Deployment
from aibench_lib.worker.shell import Shell, on_hosts

_ASKED = "import sys, time; print(*sys.version_info[:2], time.time_ns())"
_ASK_SECONDS = 20.0


def log_in(deployments: Mapping[str, Deployment], agents: Agents) -> Agents:
    """Log in to all hosts at once, and return what the agents answered together with what the hosts did.

    Args:
        deployments: Host -> how its agent will get there.
        agents: Those that are there already.
    """
    logins = [one.login for one in deployments.values()]

    async def ask(shell: Shell) -> int:
        return await _clock_ns(shell, deployments[shell.login.host].python)

    clocks, failures = on_hosts(logins, ask)
    silent = {host: str(error).removeprefix(f"{host}: ") for host, error in failures.items()}
    known = [clock for clock in (agents.clock_ns, *clocks.values()) if clock is not None]
    return replace(
        agents, silent={**agents.silent, **silent}, let_in=len(clocks), clock_ns=max(known) if known else None
    )


async def _clock_ns(shell: Shell, python: str) -> int:
    """Return what time a host says it is [ns since the epoch].

    Raises:
        LabError: It does not, or its Python is too old for an agent.
    """
    done = await shell.run(f"{shlex.quote(python)} -c {shlex.quote(_ASKED)}", seconds=_ASK_SECONDS)
    words = done.output.split()
    oldest = ".".join(map(str, OLDEST_PYTHON))
    if done.status or len(words) != 3:
        said = " ".join(done.errors.split()) or f"exit status {done.status}"
        raise LabError(
            shell.login.host, f"{python} does not run ({said}); install Python {oldest} or set worker.python"
        )
    version = (int(words[0]), int(words[1]))
    if version < OLDEST_PYTHON:
        raise LabError(
            shell.login.host,
            f"{python} is Python {words[0]}.{words[1]}, and the agent needs {oldest}; install one, and set "
            "worker.python to its path",
        )
    return int(words[2])
