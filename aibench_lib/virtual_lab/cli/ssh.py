"""The SSH server of a simulated EOS switch."""

import contextlib
import hmac

import asyncssh

from aibench_lib.virtual_lab.credentials import USERNAME
from aibench_lib.virtual_lab.eos.cli import Cli
from aibench_lib.virtual_lab.eos.switch import EosSwitch

PORT = 2222
"""Above 1023: the virtual lab needs no privileges."""


class _Login(asyncssh.SSHServer):
    def __init__(self, password: str) -> None:
        self._password = password

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return username == USERNAME and hmac.compare_digest(password.encode(), self._password.encode())


async def serve_ssh(
    switch: EosSwitch, address: str, host_key: asyncssh.SSHKey, password: str, port: int = PORT
) -> asyncssh.SSHAcceptor:
    """Listen for SSH clients of one switch.

    Raises:
        OSError: The address is in use.
    """

    async def converse(process: asyncssh.SSHServerProcess[str]) -> None:
        cli = Cli(switch)
        if process.command is not None:
            cli.answer("enable")
            process.stdout.write(cli.answer(process.command))
            process.exit(0)
            return
        with contextlib.suppress(ConnectionError):  # the client may hang up at any time
            await _converse(cli, process)

    return await asyncssh.listen(
        address,
        port,
        server_factory=lambda: _Login(password),
        server_host_keys=[host_key],
        process_factory=converse,
        line_history=100,
        reuse_address=True,
    )


async def _converse(cli: Cli, process: "asyncssh.SSHServerProcess[str]") -> None:
    process.stdout.write(cli.prompt)
    while not cli.closed:
        try:
            line = await process.stdin.readline()
        except asyncssh.TerminalSizeChanged:
            continue
        except asyncssh.BreakReceived:
            process.stdout.write(f"\n{cli.prompt}")
            continue
        if not line:
            break
        process.stdout.write(cli.answer(line) + cli.prompt)
    process.exit(0)


def known_hosts_line(address: str, host_key: asyncssh.SSHKey, port: int = PORT) -> str:
    """Return the line of a ``known_hosts`` file by which a client knows the switch."""
    return f"[{address}]:{port} {host_key.export_public_key('openssh').decode().strip()}\n"
