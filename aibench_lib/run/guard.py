"""The guard: a process of its own that restores the switches and clears the hosts when the run's owner is gone.

``ansible-playbook`` runs no ``always`` section after Ctrl-C, and nothing at all after ``kill -9``.  The guard is
started before the first change, holds the lab's locks for as long as the run lasts, and watches the owner.  If the
owner ends and the journal says that a switch is still changed, the guard restores it from the journal.  If the guard
is killed too, ``playbooks/restore.yml`` or the next run does the same from the same journal.

It also holds the agents that the run has deployed, and removes them with the same journal.
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from aibench_lib.errors import AibenchError, LabError
from aibench_lib.journal import Journal
from aibench_lib.run import lock, storm
from aibench_lib.run.holding import LOOK_SECONDS, Holding
from aibench_lib.run.left import standing
from aibench_lib.switch import transaction
from aibench_lib.switch.target import Target
from aibench_lib.worker.agents import Agent

if TYPE_CHECKING:
    from aibench_lib.worker.deployment import Deployment

_READY = "ready"


def start(
    owner: int,
    run_dir: Path,
    targets: Sequence[Target],
    agents: Sequence[Agent] = (),
    deployments: Mapping[str, "Deployment"] | None = None,
) -> int:
    """Start the guard of a run and return its process id once it holds the locks of the lab's switches.

    Args:
        owner: Process whose end is the end of the run.
        run_dir: Folder with the run's journal.
        targets: The switches; passwords travel through a pipe, never on a command line.
        agents: Of the hosts, whose NICs may be told to send PAUSE.
        deployments: Of the hosts whose agents the run deploys.

    Raises:
        LabError: Another run holds a lock.
    """
    config = {"owner": owner, "run_dir": str(run_dir), "targets": [_plain(t) for t in targets]}
    config["agents"] = [_plain(agent) for agent in agents]
    config["deployments"] = [_plain(deployment) for deployment in (deployments or {}).values()]
    process = subprocess.Popen(
        [sys.executable, "-m", "aibench_lib.run.guard"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that Ctrl-C at the terminal does not reach it
        text=True,
    )
    assert process.stdin is not None  # both pipes were asked for
    assert process.stdout is not None
    process.stdin.write(json.dumps(config))
    process.stdin.close()
    answer = process.stdout.readline().strip()
    process.stdout.close()
    if answer != _READY:
        process.wait()
        said = answer.removeprefix("controller: ")
        raise LabError("controller", said or "the guard process did not start; the run was not begun")
    return process.pid


def stop(pid: int) -> None:
    """End the guard of a run that has closed its journal, and wait until the lab's locks are free."""
    try:
        descriptor = os.pidfd_open(pid)
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [], 10)
    finally:
        os.close(descriptor)


def alive(pid: int | None) -> bool:
    """Return whether a guard still runs."""
    if pid is None:
        return False
    try:
        return b"aibench_lib.run.guard" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _plain(end: "Target | Agent | Deployment") -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(end).items()}


def _agent(plain: dict[str, Any]) -> Agent:
    files = {name: Path(plain[name]) for name in ("ca", "cert", "key")}
    return Agent(host=plain["host"], address=plain["address"], port=plain["port"], **files)


def _deployments(plain: Sequence[dict[str, Any]]) -> dict[str, "Deployment"]:
    if not plain:
        return {}
    from aibench_lib.worker.deployment import Deployment  # a lab that brings its agents does without asyncssh
    from aibench_lib.worker.shell import Login

    made = [Deployment(**{**one, "login": Login(**one["login"])}) for one in plain]
    return {one.host: one for one in made}


class _Closed(BaseException):
    """The run is over; no ``except Exception`` may take that for an error."""


def _close(_signal: int, _frame: FrameType | None) -> None:
    raise _Closed


def main() -> None:
    """Run the guard; its configuration is JSON on standard input."""
    config = json.load(sys.stdin)
    voice = _owner_stderr(config["owner"])
    run_dir = Path(config["run_dir"])
    targets = [Target(**target) for target in config["targets"]]
    agents = [_agent(agent) for agent in config["agents"]]
    deployments = _deployments(config["deployments"])
    holding = Holding(run_dir / "journal.jsonl", {agent.host: agent for agent in agents if agent.host in deployments})
    try:
        taken = lock.take(lock.keys(targets), lock.holder(run_dir, config["owner"]))
    except LabError as error:
        print(error, flush=True)  # noqa: T201 - the protocol with start()
        sys.exit(1)
    signal.signal(signal.SIGTERM, _close)
    try:
        owner = os.pidfd_open(config["owner"])
    except ProcessLookupError:
        return
    try:
        print(_READY, flush=True)  # noqa: T201 - the protocol with start()
        wait_for_end(owner, holding if deployments else None, lambda line: _tell(voice, line))
    except _Closed:
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lock.say(taken, lock.holder(run_dir, os.getpid(), restoring=True))
    _restore(run_dir, targets, agents, deployments, voice)
    lock.release(taken)


def wait_for_end(owner: int, holding: Holding | None, say: Callable[[str], None]) -> None:
    """Wait until the owner has ended, and hold the agents meanwhile.

    Args:
        owner: Descriptor of the process.
        holding: Of the agents; None where the run deploys none.
        say: Told once why agents cannot be held: they then end by themselves.
    """
    told = False
    while not select.select([owner], [], [], LOOK_SECONDS if holding else None)[0]:
        try:
            if holding:
                holding.look()
        except Exception as error:  # noqa: BLE001 - whatever it is, the switches must still be restored
            if not told:
                say(f"the agents of the run are not held: {' '.join(str(error).split()) or type(error).__name__}")
            told = True


def _tell(voice: int | None, line: str) -> None:
    """Say a line to whoever reads the owner's standard error; whether anybody does must hold up no restoring."""
    if voice is not None:
        with suppress(OSError):  # the terminal is gone, or its reader takes nothing; the journal has all of it
            os.write(voice, f"\naibench: {line}\n".encode())


def _owner_stderr(owner: int) -> int | None:
    try:
        return os.open(f"/proc/{owner}/fd/2", os.O_WRONLY | os.O_NOCTTY | os.O_APPEND | os.O_NONBLOCK)
    except OSError:
        return None


def _restore(
    run_dir: Path,
    lab: Sequence[Target],
    agents: Sequence[Agent],
    deployments: Mapping[str, "Deployment"],
    voice: int | None,
) -> None:
    journal = Journal(run_dir / "journal.jsonl")
    waiting = set(transaction.unrestored(journal))
    targets = [target for target in lab if target.host in waiting]
    with ThreadPoolExecutor(max_workers=16) as pool:
        outcomes = list(pool.map(lambda target: _why_not(transaction.restore, target, journal, run_dir), targets))
    storms = storm.standing(journal)
    outcomes.append(_why_not(storm.end, storms, {agent.host: agent for agent in agents}, journal))
    failed = [reason for reason in outcomes if reason is not None]
    hosts = list(standing(journal))
    failed += _remove_agents(deployments, journal) if hosts else []
    events = journal.events()
    is_run = not events or events[0].get("trials") != 0  # a fault outside of a run has none
    if not failed:
        reason = _why_not(journal.append, "run_closed", status="interrupted" if is_run else "faults_ended")
        failed = [reason] if reason else []
    names = ", ".join(target.host for target in targets) or "nothing, no switch was changed"
    ended = f", ended the PAUSE storm of {'; '.join(map(str, storms))}" if storms else ""
    ended += f", removed the agents of {', '.join(hosts)}" if hosts else ""
    what = f"NOT restored: {'; '.join(failed)}. Run playbooks/restore.yml" if failed else f"restored {names}{ended}"
    end = f"run {run_dir.name} was stopped" if is_run else f"the playbook of the fault {run_dir.name} has ended"
    _tell(voice, f"{end}; {what}")


def _remove_agents(deployments: Mapping[str, "Deployment"], journal: Journal) -> list[str]:
    from aibench_lib.run import workers  # which needs asyncssh, and this module

    try:
        return workers.remove(deployments, journal, lambda _line: None).lines
    except AibenchError as error:
        return [str(error)]


def _why_not(do: Callable[..., object], *arguments: object, **fields: object) -> str | None:
    """Do something; return the reason if it cannot be done."""
    try:
        do(*arguments, **fields)
    except AibenchError as error:
        return str(error)
    return None


if __name__ == "__main__":
    main()
