"""The process that is the virtual lab; started by :mod:`aibench_lib.virtual_lab.daemon`."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import time
import uuid
from pathlib import Path

from aibench_lib.errors import AibenchError
from aibench_lib.lab_process.holders import HolderWatch, clear_holders
from aibench_lib.lab_process.state import State, StateDirectory


class Reporter:
    """Tells whoever started this process how the start goes, one JSON object a line."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")

    def tell(self, what: str, text: str = "") -> None:
        """Send one line; the starter may have gone."""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps([what, text]), file=self._file, flush=True)

    def close(self) -> None:
        """Nothing more will come."""
        with contextlib.suppress(BrokenPipeError):
            self._file.close()


async def _serve(arguments: argparse.Namespace, reporter: Reporter, directory: StateDirectory) -> None:
    from aibench_lib.simulator import warm_up
    from aibench_lib.virtual_lab.inventory import load_lab
    from aibench_lib.virtual_lab.lab import Lab

    spec = load_lab(arguments.inventory)
    warm_up(lambda text: reporter.tell("say", text))
    started_ns = time.time_ns()
    lab = Lab(spec, arguments.network, directory, start_ns=started_ns)
    await lab.start()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    state = State(pid=os.getpid(), lab_instance=uuid.uuid4().hex, network=arguments.network, started_ns=started_ns)
    directory.announce(state)
    try:
        HolderWatch(directory, ended.set).start()
        reporter.tell("ready")
        reporter.close()
        await ended.wait()
    finally:
        directory.forget()
        await lab.stop()


def main() -> int:
    """Serve until told to end, or until the last holder is gone."""
    parser = argparse.ArgumentParser(prog="python -m aibench_lib.virtual_lab")
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--network", required=True)
    parser.add_argument("--report", type=int, required=True, help="descriptor of the pipe to whoever starts this")
    arguments = parser.parse_args()
    reporter = Reporter(arguments.report)
    directory = StateDirectory(arguments.state)
    directory.make()
    try:
        directory.occupy()
        asyncio.run(_serve(arguments, reporter, directory))
    except AibenchError as error:
        reporter.tell("failed", str(error))
        return 1
    finally:
        clear_holders(directory)
        directory.remove_secrets()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
