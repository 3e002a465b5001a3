"""The agents of a run on their hosts: announced before they are deployed, held, removed, and never forgotten.

What a deployment leaves on a host is no change of a switch, so no snapshot brings it back.  The journal names host,
folder, address and port before the host is touched; whoever restores a run removes what the journal does not say was
removed.  If nobody does, an agent ends by itself when its lease has run out, and deletes its folder.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aibench_lib.errors import LabError, SpecError
from aibench_lib.files import make_private_directory, write_whole
from aibench_lib.journal import Journal
from aibench_lib.run.guard import alive
from aibench_lib.run.lab import Lab
from aibench_lib.run.left import standing
from aibench_lib.worker import deployment as door
from aibench_lib.worker.authority import make_authority, remove_authority
from aibench_lib.worker.deployment import Deployment, Outcome

Say = Callable[[str], None]

_OWNER = "run"
"""File beside the keys that names the folder of the run whose they are."""
_FORGOTTEN_AFTER_LEASES = 2
"""So long after its deployment an agent that nobody can hold has ended, on a host that the inventory has lost."""


def deploy(lab: Lab, hosts: Sequence[str], journal: Journal, wheelhouse: Path, say: Say) -> Outcome:
    """Install agents, and make the keys of the run.

    Args:
        lab: Where.
        hosts: On which hosts.
        journal: Of the run.
        wheelhouse: Folder on the controller for what is installed.
        say: Called with lines of progress.

    Raises:
        SpecError: A name cannot be in a certificate.
        LabError: The keys cannot be written, or are another run's that is not over.
    """
    wanted = _chosen(lab, hosts)
    there = standing(journal)
    keys = _keys(lab)
    _own_keys(keys, lab, journal)
    run = next(
        (str(record["run"]) for record in there.values()),
        f"{journal.path.parent.resolve().name}-{secrets.token_hex(4)}",
    )
    records = [_record(one, run) for one in wanted]
    new = [record for record in records if not record.items() <= there.get(record["host"], {}).items()]
    if new:
        journal.append("workers_deployed", hosts=new, keys=str(keys))
    say(f"agents: deploying to {_many(wanted)}")
    return door.deploy(wanted, run, wheelhouse, say)


def start(lab: Lab, hosts: Sequence[str], journal: Journal, say: Say) -> Outcome:
    """Start agents that are deployed; the guard holds them from now on.

    Raises:
        SpecError: One is not deployed.
    """
    wanted = _chosen(lab, hosts)
    there = standing(journal)
    for one in wanted:
        if one.host not in there:
            raise SpecError(f"{one.host}: the journal knows of no agent there; deploy it first (state: deployed)")
    say(f"agents: starting on {_many(wanted)}")
    outcome = door.start(wanted, _keys(lab), say)
    started = [one.host for one in wanted if one.host not in outcome.failed]
    if started:
        journal.append("workers_started", hosts=started)
    return outcome


def check_healthy(lab: Lab, hosts: Sequence[str]) -> Outcome:
    """Ask the agents who they are, over the connection that the trials will use."""
    return door.check_healthy([lab.workers[one.host] for one in _chosen(lab, hosts)])


def stop(lab: Lab, hosts: Sequence[str], journal: Journal, say: Say) -> Outcome:
    """End agents, and leave them installed."""
    wanted = {one.host for one in _chosen(lab, hosts)}
    there = {host: record for host, record in standing(journal).items() if host in wanted}
    outcome = _on_each_run(door.stop, lab.deployments, there, say)
    stopped = [host for host in there if host not in outcome.failed]
    if stopped:
        journal.append("workers_stopped", hosts=stopped)
    return outcome


def remove(
    deployments: Mapping[str, Deployment], journal: Journal, say: Say, hosts: Sequence[str] | None = None
) -> Outcome:
    """End and delete what the journal says was deployed; one host that fails keeps no other, and is not forgotten.

    Args:
        deployments: The inventory's, for the logins; where the agents are the journal says.
        journal: Of the run.
        say: Called with lines of progress.
        hosts: On which hosts alone; None: on all.
    """
    everywhere = standing(journal)
    there = {host: record for host, record in everywhere.items() if hosts is None or host in hosts}
    if not there:
        return Outcome()
    lost = _lost(there, deployments)
    asked = {host: record for host, record in there.items() if host not in lost.failed and host in deployments}
    say(f"agents: removing from {_many(list(asked))}")
    outcome = _on_each_run(door.remove, deployments, asked, say)
    removed = [host for host in there if host not in outcome.failed and host not in lost.failed]
    if removed:
        journal.append("workers_removed", hosts=removed)
    if len(removed) == len(everywhere):
        for keys in {Path(record["keys"]) for record in everywhere.values()}:
            _forget_keys(keys, journal)
    return replace(outcome, failed={**lost.failed, **outcome.failed}, said=[*lost.said, *outcome.said])


def _chosen(lab: Lab, hosts: Sequence[str]) -> list[Deployment]:
    for host in hosts:
        if host not in lab.workers:
            raise SpecError(f"hosts: {host!r} is no worker of the inventory; there are {', '.join(lab.workers)}")
    return [one for host, one in lab.deployments.items() if not hosts or host in hosts]


def _many(hosts: Sequence[object]) -> str:
    return "1 host" if len(hosts) == 1 else f"{len(hosts)} hosts"


def _record(one: Deployment, run: str) -> dict[str, Any]:
    """Return what a restore must know of a host; the secrets of the login stay in the inventory."""
    login = one.login
    return {
        "host": one.host,
        "run": run,
        "folder": one.folder,
        "address": login.address,
        "ssh_port": login.port,
        "port": one.port,
        "python": one.python,
        "run_as": one.run_as,
        "lease_seconds": one.lease_seconds,
    }


def _as_recorded(one: Deployment, record: Mapping[str, Any]) -> Deployment:
    login = replace(one.login, address=record["address"], port=record["ssh_port"])
    return replace(one, login=login, **{name: record[name] for name in ("folder", "port", "python", "run_as")})


def _on_each_run(
    do: Callable[[Sequence[Deployment], str, Say], Outcome],
    deployments: Mapping[str, Deployment],
    there: Mapping[str, Mapping[str, Any]],
    say: Say,
) -> Outcome:
    """Do something with what stands; a journal holds one run's, whose name is on the hosts."""
    runs = {str(record["run"]) for record in there.values()}
    outcomes = [
        do(
            [_as_recorded(deployments[host], record) for host, record in there.items() if record["run"] == run],
            run,
            say,
        )
        for run in sorted(runs)
    ]
    return Outcome(
        changed=[host for outcome in outcomes for host in outcome.changed],
        unchanged=[host for outcome in outcomes for host in outcome.unchanged],
        failed={host: why for outcome in outcomes for host, why in outcome.failed.items()},
    )


def _lost(there: Mapping[str, Mapping[str, Any]], deployments: Mapping[str, Deployment]) -> Outcome:
    """Say what has become of hosts that the inventory does not tell how to log in to, any more."""
    failed, said = {}, []
    for host, record in there.items():
        if host in deployments:
            continue
        age = (datetime.now(UTC) - datetime.fromisoformat(record["time"])).total_seconds()
        if age < _FORGOTTEN_AFTER_LEASES * record["lease_seconds"]:
            failed[host] = (
                f"the inventory has no login for it any more; put it back, or wait {record['lease_seconds']:g} s, "
                "after which its agent has ended by itself"
            )
        else:
            said.append(
                f"{host}: not in the inventory any more, and not asked; its lease is over, with which an agent "
                f"ends by itself and deletes {record['folder']} of {record['address']}"
            )
    return Outcome(failed=failed, said=said)


# The keys of a run


def _keys(lab: Lab) -> Path:
    if lab.workers_state is None:
        raise SpecError("inventory: no worker's agent is deployed by a run: each has certificates of its own")
    return lab.workers_state


def _own_keys(keys: Path, lab: Lab, journal: Journal) -> None:
    """Make the run's keys, unless it has them already.

    Raises:
        LabError: Another run that is not over has keys there.
    """
    own = str(journal.path.parent.resolve())
    owner = _owner(keys)
    if owner == own and all((keys / "hosts" / f"{host}.key").exists() for host in lab.deployments):
        return
    if owner not in ("", own) and _is_under_way(Path(owner)):
        raise LabError(
            "controller",
            f"{keys} holds the keys of the agents of {owner}, which is under way; wait for it, or set workers_state to "
            "another folder",
        )
    make_authority(keys, {host: one.login.address for host, one in lab.deployments.items()})
    make_private_directory(keys)
    write_whole(keys / _OWNER, lambda file: file.write(own.encode()), durable=False)


def _forget_keys(keys: Path, journal: Journal) -> None:
    if _owner(keys) == str(journal.path.parent.resolve()):
        (keys / _OWNER).unlink()
        remove_authority(keys)


def _owner(keys: Path) -> str:
    try:
        return (keys / _OWNER).read_text(encoding="utf-8")
    except OSError:
        return ""


def _is_under_way(run_dir: Path) -> bool:
    events: Iterable[Mapping[str, Any]] = Journal(run_dir / "journal.jsonl").events()
    opened = next((event for event in events if event["event"] == "run_opened"), None)
    return opened is not None and alive(opened.get("guard"))
