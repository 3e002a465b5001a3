"""Look at a lab before a run: everything that would stop it, or make its results mean nothing, in one table."""

import time
from collections.abc import Collection, Sequence

from aibench_lib.errors import LabError
from aibench_lib.model import LabKind
from aibench_lib.run import host_judgement, judgement, lock
from aibench_lib.run.findings import Finding, Severity, yellow
from aibench_lib.run.host_logins import log_in
from aibench_lib.run.inspection import inspect_agents, inspect_switches
from aibench_lib.run.lab import Lab

DEFAULT_PAYLOAD_BYTES = 4096
"""Of an RDMA packet: the largest that InfiniBand knows."""


def preflight(
    lab: Lab,
    hosts: Collection[str],
    *,
    left_changed: Sequence[str] | None = None,
    payload_bytes: int = DEFAULT_PAYLOAD_BYTES,
) -> list[Finding]:
    """Ask and judge; changes nothing anywhere.

    Args:
        lab: As the inventory describes it.
        hosts: Switches to ask.
        left_changed: Earlier runs that have left switches changed; None: not looked at.
        payload_bytes: Of an RDMA packet of the workload.
    """
    inspected = inspect_switches(lab, hosts)
    there = {name: agent for name, agent in lab.workers.items() if name not in lab.deployments}
    agents = inspect_agents(there, time.time(), real=lab.kind is not LabKind.SIMULATED)
    if lab.deployments:
        agents = log_in(lab.deployments, agents)
    links = judgement.Links(lab, inspected)
    return [
        *judgement.isolation(lab, inspected),
        *judgement.reachability(lab, inspected, agents),
        *_in_use(lab),
        *(judgement.unrestored(left_changed) if left_changed is not None else ()),
        *links.states(),
        *links.neighbours(),
        *links.mtus(payload_bytes),
        *links.classes(),
        *judgement.checkpoints(inspected),
        *judgement.clocks(lab, inspected, agents),
        *judgement.versions(lab, inspected),
        *host_judgement.seen(agents.facts),
        *host_judgement.judge(agents.facts, lab.workers, payload_bytes),
    ]


def is_red(findings: Sequence[Finding]) -> bool:
    """Whether something stops a run."""
    return any(finding.severity is Severity.RED for finding in findings)


def _in_use(lab: Lab) -> list[Finding]:
    """Say that a run uses the switches just now: what it has set is then no finding of the lab."""
    try:
        lock.refuse_busy(lock.keys(list(lab.switches.values())))
    except LabError as error:
        return [yellow("in use", "", str(error))]
    return []
