"""Commands on hosts over SSH, many hosts at a time: the controller's door to asyncssh.

The login is the one that Ansible's variables describe.  What they leave open comes from the user's ``~/.ssh/config``,
jump hosts included, as it would with ``ssh``.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncssh

from aibench_lib.errors import AibenchError, LabError

Result = TypeVar("Result")

_AT_ONCE = 32
"""Hosts that are logged in to at the same time."""
_LOGIN_SECONDS = 20.0
_ALIVE_SECONDS, _ALIVE_TRIES = 5, 4
"""How often a host that says nothing is asked whether it is there, and after how many silences it is not."""
_CHUNK_BYTES = 1 << 18
_DEFAULT_PORT = 22


@dataclass(frozen=True, kw_only=True)
class Login:
    """Where a host's SSH server is, and who logs in there."""

    host: str
    """Inventory name."""
    address: str
    port: int | None = None
    """None: what ``~/.ssh/config`` says, or 22."""
    user: str | None = None
    """None: what ``~/.ssh/config`` says, or this user."""
    password: str = field(default="", repr=False)
    key_file: str | None = None
    """Private key; None: the user's own and those of the SSH agent."""
    known_hosts: str | None = None
    """File with the host's key; None: the user's own ``known_hosts``."""


@dataclass(frozen=True)
class Done:
    """What has become of a command."""

    status: int
    """Its exit status, negative if a signal has ended it."""
    output: str
    errors: str


class Shell:
    """A login on one host; see :func:`open_shell`."""

    def __init__(self, login: Login, connection: asyncssh.SSHClientConnection) -> None:
        self.login = login
        self._connection = connection

    async def run(self, command: str, given: Iterable[bytes] = (), *, seconds: float = 60.0) -> Done:
        """Run a command to its end.

        Args:
            command: For the login shell of the user.
            given: Its standard input, piece by piece.
            seconds: After which nobody waits any longer [s].

        Raises:
            LabError: The connection broke, or the command did not end in time.
        """
        try:
            async with asyncio.timeout(seconds):
                async with self._connection.create_process(command, encoding=None) as process:
                    feeding = asyncio.create_task(_feed(process.stdin, given))
                    done = await process.wait()
                    await feeding
        except TimeoutError as error:
            raise LabError(
                self.login.host,
                f"a command over SSH did not end within {seconds:g} s; see whether the host is overloaded",
            ) from error
        except (OSError, asyncssh.Error) as error:
            raise LabError(
                self.login.host,
                f"the SSH connection broke off ({_line(error)}); see that the host is up, and try again",
            ) from error
        status = -1 if done.exit_status is None else int(done.exit_status)
        return Done(status, _text(done.stdout), _text(done.stderr))


async def _feed(stream: Any, given: Iterable[bytes]) -> None:  # noqa: ANN401 - asyncssh has no types
    """Write a command's input; one that ends without reading all of it says by its status why."""
    with suppress(BrokenPipeError, ConnectionResetError, asyncssh.Error):
        for piece in given:
            view = memoryview(piece)
            for start in range(0, len(view), _CHUNK_BYTES):
                stream.write(bytes(view[start : start + _CHUNK_BYTES]))
                await stream.drain()
        stream.write_eof()


@asynccontextmanager
async def open_shell(login: Login) -> AsyncIterator[Shell]:
    """Log in, and hang up at the end.

    Raises:
        LabError: The host cannot be reached, is not who it should be, or refuses the user; the message says what to do.
    """
    connection = await _connect(login)
    try:
        yield Shell(login, connection)
    finally:
        connection.close()
        with suppress(OSError, asyncssh.Error, TimeoutError):  # nothing depends on a polite end
            await asyncio.wait_for(connection.wait_closed(), 5)


async def _connect(login: Login) -> asyncssh.SSHClientConnection:
    options: dict[str, Any] = {
        "connect_timeout": _LOGIN_SECONDS,
        "login_timeout": _LOGIN_SECONDS,
        "keepalive_interval": _ALIVE_SECONDS,
        "keepalive_count_max": _ALIVE_TRIES,
        "compression_algs": None,  # wheels are compressed
        "encryption_algs": "^aes128-gcm@openssh.com,aes256-gcm@openssh.com",  # in hardware; whatever else comes after
    }
    for name, value in (
        ("port", login.port),
        ("username", login.user),
        ("password", login.password or None),
        ("client_keys", [login.key_file] if login.key_file else None),
        ("known_hosts", login.known_hosts),
    ):
        if value is not None:
            options[name] = value
    try:
        return await asyncssh.connect(login.address, **options)
    except asyncssh.HostKeyNotVerifiable as error:
        raise LabError(login.host, _unknown_key(login)) from error
    except asyncssh.PermissionDenied as error:
        raise LabError(login.host, _refused(login)) from error
    except (asyncssh.KeyImportError, asyncssh.ConfigParseError) as error:
        raise LabError(login.host, _unusable(login, error)) from error
    except (TimeoutError, OSError, asyncssh.Error) as error:
        raise LabError(login.host, _unreachable(login, error)) from error


def _unknown_key(login: Login) -> str:
    file = login.known_hosts or "~/.ssh/known_hosts"
    port = f"-p {login.port} " if login.port else ""
    return (
        f"its SSH host key is not the one in {file}, or is not there; compare it with the host's own, then add it: "
        f"ssh-keyscan {port}{login.address} >> {file}"
    )


def _refused(login: Login) -> str:
    user = f"user {login.user}" if login.user else "this user"
    tried = [*(["the password"] if login.password else []), *([f"the key {login.key_file}"] if login.key_file else [])]
    what = " and ".join(tried) or "the keys of ~/.ssh and of the SSH agent"
    return (
        f"{_where(login)} refuses {user} with {what}; set ansible_user, and ansible_password or "
        "ansible_ssh_private_key_file"
    )


def _unusable(login: Login, error: Exception) -> str:
    if isinstance(error, asyncssh.KeyEncryptionError) or "passphrase" in str(error).lower():
        return (
            f"the key {login.key_file or 'of ~/.ssh'} is protected by a passphrase; add it to the SSH agent (ssh-add), "
            "and leave ansible_ssh_private_key_file out"
        )
    return f"the SSH key or configuration cannot be used: {_line(error)}"


def _unreachable(login: Login, error: Exception) -> str:
    why = f"no answer within {_LOGIN_SECONDS:g} s" if isinstance(error, TimeoutError) else _line(error)
    return (
        f"cannot be reached over SSH at {_where(login)} ({why}); see that it is up, and ansible_host and ansible_port"
    )


def _where(login: Login) -> str:
    return f"{login.address} port {login.port or _DEFAULT_PORT}"


def _line(error: Exception) -> str:
    """Return an error as one line; the system's own are said in its words."""
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return " ".join(str(error).split()) or type(error).__name__


def _text(data: Any) -> str:  # noqa: ANN401 - asyncssh has no types
    return bytes(data or b"").decode(errors="replace")


def on_hosts(
    logins: Sequence[Login],
    act: Callable[[Shell], Awaitable[Result]],
    told: Callable[[str], None] = lambda _host: None,
) -> tuple[dict[str, Result], dict[str, AibenchError]]:
    """Do something on many hosts at the same time; one that fails keeps no other.

    Args:
        logins: Of the hosts.
        act: Called with each host's shell.
        told: Called with a host's name when it is through, whatever has become of it.

    Returns:
        Host -> what the act has returned, and host -> why it could not be done.
    """
    results: dict[str, Result] = {}
    failures: dict[str, AibenchError] = {}

    async def one(login: Login, turn: asyncio.Semaphore) -> None:
        async with turn:
            try:
                async with open_shell(login) as shell:
                    results[login.host] = await act(shell)
            except AibenchError as error:
                failures[login.host] = error
        told(login.host)

    async def all_of_them() -> None:
        turn = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for login in logins:
                group.create_task(one(login, turn))

    asyncio.run(all_of_them())
    order = [login.host for login in logins]
    return (
        {host: results[host] for host in order if host in results},
        {host: failures[host] for host in order if host in failures},
    )
