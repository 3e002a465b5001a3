"""What the process of a lab does: report to whoever starts it, announce itself, end with its last holder."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aibench_lib.errors import AibenchError
from aibench_lib.lab_process.holders import HolderWatch, clear_holders
from aibench_lib.lab_process.state import State, StateDirectory


@dataclass(frozen=True, kw_only=True)
class Order:
    """What lab is wanted."""

    kind: str
    """As an inventory calls it."""
    inventory: Path
    network: str
    """First two octets."""
    directory: StateDirectory
    started_ns: int
    """The wall clock at the start [ns since the epoch]."""
    say: Callable[[str], None]
    """Tells whoever starts the lab what takes long."""


class Served(Protocol):
    """A lab."""

    async def start(self) -> None:
        """Bring it up; return when all of it answers."""

    async def stop(self) -> None:
        """Take it down, also where it came up in part."""


class _Reporter:
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


async def _serve(make: Callable[[Order], Served], order: Order, reporter: _Reporter) -> None:
    lab = make(order)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        await lab.start()
        order.directory.announce(
            State(
                pid=os.getpid(),
                lab_instance=uuid.uuid4().hex,
                network=order.network,
                started_ns=order.started_ns,
                kind=order.kind,
            )
        )
        HolderWatch(order.directory, ended.set).start()
        reporter.tell("ready")
        reporter.close()
        await ended.wait()
    finally:
        order.directory.forget()
        await lab.stop()


def main(program: str, kind: str, make: Callable[[Order], Served]) -> int:
    """Serve until told to end, or until the last holder is gone; return the exit code.

    Args:
        program: The module, for messages.
        kind: Of lab, as an inventory calls it.
        make: Makes the lab, in the event loop; may take its time and say so.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}")
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--network", required=True)
    parser.add_argument("--report", type=int, required=True, help="descriptor of the pipe to whoever starts this")
    arguments = parser.parse_args()
    reporter = _Reporter(arguments.report)
    directory = StateDirectory(arguments.state)
    directory.make()
    order = Order(
        kind=kind,
        inventory=arguments.inventory,
        network=arguments.network,
        directory=directory,
        started_ns=time.time_ns(),
        say=lambda text: reporter.tell("say", text),
    )
    try:
        directory.occupy()
        asyncio.run(_serve(make, order, reporter))
    except AibenchError as error:
        reporter.tell("failed", str(error))
        return 1
    finally:
        clear_holders(directory)
        directory.remove_leftovers()
    return 0
