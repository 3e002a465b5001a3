"""``python -m aibench_lib.worker.agent --config FILE``: runs an agent until it is told to end or its lease is over."""

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy only reshapes here, and threads must not cross a fork
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")  # gRPC's older poller: a quarter less CPU a call

from aibench_lib.errors import AibenchError, SpecError
from aibench_lib.worker import transports
from aibench_lib.worker.agent import zygote
from aibench_lib.worker.agent.config import AgentConfig, read_config
from aibench_lib.worker.agent.lease import Lease

_PROBE_TOKEN_BYTES = 16
_WAITED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_END_SECONDS = 0.5
"""How long the zygote may take to end the groups, before it is killed."""


def main() -> int:
    """Read the configuration, and serve."""
    parser = argparse.ArgumentParser(prog="python -m aibench_lib.worker.agent", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON file, see aibench_lib/worker/agent/config.py")
    path = parser.parse_args().config
    try:
        return run(read_config(path))
    except AibenchError as error:
        _say(error=str(error))
        return 1


def run(config: AgentConfig) -> int:
    """Serve until told to end; prints one line when ready.

    Raises:
        AibenchError: The agent cannot start as it is configured.
    """
    found = transports.available(config.address, config.device)
    if config.transport and config.transport not in found:
        raise SpecError(f"transport {config.transport} is not there on this host; it has {', '.join(found)}")
    token = secrets.token_bytes(_PROBE_TOKEN_BYTES)
    probe = _probe_socket(config)
    with probe:
        probe_port = probe.getsockname()[1]
        forks = zygote.start(probe, token, found)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED)  # before there are threads: none of them takes a signal
    lease = Lease(config.lease_seconds)

    from aibench_lib.worker.agent import service

    here = service.Surroundings(
        config=config, zygote=forks, lease=lease, probe_port=probe_port, probe_token=token, transports=found
    )
    try:
        with lease.call():  # which begins when all is there
            server, port = service.serve(service.AgentService(here))
    except AibenchError:
        _end(forks)
        raise
    _say(ready=True, pid=os.getpid(), port=port)
    reason = _wait(lease, forks)
    server.stop(None)
    _end(forks)
    if reason == "lease" and config.folder is not None:
        shutil.rmtree(config.folder, onerror=_could_not_delete)
    sys.stderr.flush()
    os._exit(0 if reason != "broken" else 1)  # threads that still wait for a coordinator must not hold the process


def _probe_socket(config: AgentConfig) -> socket.socket:
    """Return the socket for clock probes: of the same number as the agent's port, so that one rule lets both pass."""
    probe = socket.socket(socket.AF_INET6 if ":" in config.bind else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.bind((config.bind, config.port))
    except OSError as error:
        probe.close()
        raise SpecError(f"cannot open UDP port {config.port} of {config.bind}: {error.strerror}") from error
    return probe


def _wait(lease: Lease, forks: zygote.Zygote) -> str:
    """Return why the agent ends: ``told``, ``lease`` or ``broken``."""
    while (left := lease.left_seconds()) > 0:
        caught = signal.sigtimedwait(_WAITED, left)
        if caught is None:
            continue
        if caught.si_signo != signal.SIGCHLD:
            return "told"
        if forks.has_ended:
            told = signal.sigtimedwait((signal.SIGTERM, signal.SIGINT), _END_SECONDS)  # who ends all ends both
            if told is None:
                print("the agent's fork server is gone; start the agent anew", file=sys.stderr)  # noqa: T201 - its log
            return "told" if told else "broken"
    return "lease"


def _end(forks: zygote.Zygote) -> None:
    """End the zygote and all groups, and wait for that."""
    forks.close()
    last = time.monotonic() + _END_SECONDS
    try:
        while not os.waitpid(forks.pid, os.WNOHANG)[0]:
            if time.monotonic() > last:
                os.kill(forks.pid, signal.SIGKILL)
                os.waitpid(forks.pid, 0)
                return
            time.sleep(0.005)
    except ChildProcessError:  # it has been waited for already
        return


def _could_not_delete(function: object, path: str, error: object) -> None:
    print(f"{path}: cannot be deleted", file=sys.stderr)  # noqa: T201 - the agent's log


def _say(**line: object) -> None:
    """Tell whoever has started the agent: one line, in one piece."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
