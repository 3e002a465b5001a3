"""The SSH server of a simulated switch, whatever its command line is."""

import asyncio
import contextlib
import hmac
from collections.abc import Callable
from typing import Protocol

import asyncssh

from aibench_lib.virtual_lab.credentials import USERNAME
from aibench_lib.virtual_lab.faults import Faults, HangUp

PORT = 2222
"""Above 1023: the virtual lab needs no privileges."""


class Conversation(Protocol):
    """One user's session with a command line; knows nothing of SSH."""

    closed: bool
    """Whether the user has left."""

    @property
    def prompt(self) -> str:
        """What the switch prints when it waits for a line."""

    def answer(self, line: str) -> str:
        """Do what a line says and return what the switch prints, each line ended by a newline."""

    def once(self, command: str) -> str:
        """Do one command that came with the connection (``ssh switch command``) and return what it prints."""


class SshServer:
    """The SSH server of one switch."""

    def __init__(self) -> None:
        self.acceptor: asyncssh.SSHAcceptor | None = None
        self.connections: set[asyncssh.SSHServerConnection] = set()

    async def stop(self) -> None:
        """Listen no longer, and hang up on whoever is there."""
        if self.acceptor is not None:
            self.acceptor.close()
        for connection in list(self.connections):
            connection.abort()
            await connection.wait_closed()
        await asyncio.sleep(0)  # the sockets are closed in the loop's next round


class _Login(asyncssh.SSHServer):
    def __init__(self, password: str, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._password = password
        self._connections = connections

    def connection_made(self, connection: asyncssh.SSHServerConnection) -> None:
        self._connection = connection
        self._connections.add(connection)

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self._connection)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username == USERNAME and hmac.compare_digest(password.encode(), self._password.encode())


async def serve_ssh(
    open_session: Callable[[], Conversation],
    address: str,
    host_key: asyncssh.SSHKey,
    password: str,
    port: int = PORT,
    faults: Faults | None = None,
) -> SshServer:
    """Listen for SSH clients of one switch.

    Args:
        open_session: Called for each client that has logged in.
        address: Where to listen.
        host_key: The switch's.
        password: Of the one user there is.
        port: Where to listen.
        faults: What the switch does wrong.

    Raises:
        OSError: The address is in use.
    """
    server = SshServer()

    async def converse(process: "asyncssh.SSHServerProcess[str]") -> None:
        session = open_session()
        if process.command is not None:
            process.stdout.write(session.once(process.command))
            process.exit(0)
            return
        with contextlib.suppress(ConnectionError):  # the client may hang up at any time
            await _converse(session, process, faults or Faults())

    server.acceptor = await asyncssh.listen(
        address,
        port,
        server_factory=lambda: _Login(password, server.connections),
        server_host_keys=[host_key],
        process_factory=converse,
        line_history=100,
        max_line_length=1 << 20,
        reuse_address=True,
    )
    return server


async def _converse(session: Conversation, process: "asyncssh.SSHServerProcess[str]", faults: Faults) -> None:
    process.stdout.write(session.prompt)
    while not session.closed:
        try:
            line = await process.stdin.readline()
        except asyncssh.TerminalSizeChanged:
            continue
        except asyncssh.BreakReceived:
            process.stdout.write(f"\n{session.prompt}")
            continue
        if not line:
            break
        try:
            heard = faults.hear(line)
        except HangUp:
            process.get_extra_info("connection").abort()
            return
        process.stdout.write(session.answer(heard) + session.prompt)
    process.exit(0)


def known_hosts_line(address: str, host_key: asyncssh.SSHKey, port: int = PORT) -> str:
    """Return the line of a ``known_hosts`` file by which a client knows the switch."""
    return f"[{address}]:{port} {host_key.export_public_key('openssh').decode().strip()}\n"
