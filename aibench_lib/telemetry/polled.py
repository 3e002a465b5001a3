"""One switch that is polled: a command over SSH that prints document after document, for as long as it is wanted.

The telemetry's one door to asyncssh.
"""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh

from aibench_lib.errors import SpecError
from aibench_lib.telemetry.documents import parse_document, records
from aibench_lib.telemetry.ledger import Ledger
from aibench_lib.telemetry.progress import Line
from aibench_lib.telemetry.reconnecting import receive_until
from aibench_lib.telemetry.subscription import Subscription

_LOGIN_SECONDS = 10.0
_ALIVE_SECONDS = 5
"""A switch that says nothing is asked so often whether it is there [s]."""


class PolledStream:
    """A thread that keeps the polling of a switch alive until it is closed; one that never began is not repeated.

    The switch ends its command by itself when the connection has gone: nobody reads what it prints.

    Args:
        line: The ledger's entry of the switch, whose subscriptions all are of one command.
        ledger: Is told everything.
    """

    def __init__(self, line: Line, ledger: Ledger) -> None:
        self._line = line
        self._ledger = ledger
        self._closed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._receiving: asyncio.Task[str] | None = None
        self._thread = threading.Thread(
            target=receive_until, args=(self._closed, line, ledger, self._receive), name=f"polling of {line.host}"
        )

    def start(self) -> None:
        """Connect and receive from now on."""
        self._thread.start()

    def close(self) -> None:
        """End the polling, and wait until nothing more will come of it."""
        self._closed.set()
        loop, receiving = self._loop, self._receiving
        if loop is not None and receiving is not None:
            with suppress(RuntimeError):  # it has just ended by itself
                loop.call_soon_threadsafe(receiving.cancel)
        if self._thread.is_alive():
            self._thread.join()

    def _receive(self) -> str:
        """Receive until the command ends, and return why it did."""
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            try:
                return runner.run(self._receive_all())
            except asyncio.CancelledError:
                return "closed"

    async def _receive_all(self) -> str:
        self._receiving = asyncio.current_task()
        if self._closed.is_set():
            return "closed"
        first = self._line.subscriptions[0]
        try:
            async with asyncio.timeout(_LOGIN_SECONDS):
                connection = await asyncssh.connect(first.address, **_login(first))
            async with connection:
                reason = await self._poll(connection, first.command)
        except (OSError, TimeoutError, asyncssh.Error) as error:
            reason = _explain(first, error)
        return reason

    async def _poll(self, connection: asyncssh.SSHClientConnection, command: str) -> str:
        async with connection.create_process(command, stdin=asyncssh.DEVNULL) as process:
            async for text in process.stdout:
                self._take(text)
            errors = " ".join((await process.stderr.read()).split())
        return f"the command that polls ended: {errors or f'exit status {process.returncode}'}"

    def _take(self, text: str) -> None:
        """Give a document's records to the ledger, and what cannot be read as well."""
        progresses = self._line.progresses
        try:
            time_ns, document = parse_document(text)
        except ValueError as error:
            if text.endswith("\n"):  # what is cut off came with the end of the connection
                self._ledger.unreadable(progresses[0], 0, str(error))
            return
        for progress in progresses:
            try:
                self._ledger.received(progress, time_ns, records(progress.subscription, time_ns, document), [])
            except ValueError as error:
                self._ledger.unreadable(progress, time_ns, str(error))
        self._ledger.synced(self._line)


def poll_command(command: str, interval_ns: int) -> str:
    """Return a platform's command for an interval.

    Raises:
        SpecError: The command has no place for it.
    """
    place = "{interval_seconds}"
    if place not in command:
        raise SpecError(f"polled.command: {command!r} does not hold {place}")
    return command.replace(place, f"{interval_ns / 1e9:.3f}")


def _login(asked: Subscription) -> dict[str, Any]:
    own: dict[str, Any] = {"client_keys": [asked.key_file]} if asked.key_file else {"password": asked.password}
    known_hosts: Sequence[str] | str = asked.known_hosts or str(Path("~/.ssh/known_hosts").expanduser())
    return {
        "port": asked.port,
        "username": asked.username,
        "known_hosts": known_hosts,
        "agent_path": None,
        "keepalive_interval": _ALIVE_SECONDS,
        **own,
    }


def _explain(asked: Subscription, error: Exception) -> str:
    where = f"SSH at {asked.address}:{asked.port}"
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, asyncssh.PermissionDenied):
        return f"{where} refuses user {asked.username!r} ({said}); check user name, key and password"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return f"{where} shows a host key that is not known ({said}); check switch.known_hosts"
    return f"{where} does not answer or has ended the session ({said}); see that it can be reached"
