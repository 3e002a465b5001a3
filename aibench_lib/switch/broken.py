"""What goes wrong on the way to a command line, in one line that names the host and says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paramiko
from netmiko.exceptions import (
    NetmikoAuthenticationException,
    NetmikoBaseException,
    NetmikoTimeoutException,
    ReadTimeout,
)

from aibench_lib.errors import LabError
from aibench_lib.switch.target import Target


class SessionBrokenError(LabError):
    """The session gave no answer: whether the command was heard is not known."""


@contextmanager
def translated(target: Target, place: str, command: str, seconds: float) -> Iterator[None]:
    """Turn what netmiko and paramiko raise into a `LabError`.

    Args:
        target: The switch.
        place: Address and port.
        command: What is being said to it.
        seconds: How long an answer is waited for [s].

    Raises:
        LabError: No login, or the session broke.
    """
    host = target.host
    try:
        yield
    except NetmikoAuthenticationException as error:
        what, where = ("key", "ansible_ssh_private_key_file") if target.key_file else ("password", "ansible_password")
        raise LabError(
            host,
            f"wrong user name or {what} for {target.username!r} at {place} over SSH; check ansible_user and {where}",
        ) from error
    except NetmikoTimeoutException as error:
        raise LabError(host, _why_no_login(target, place, error)) from error
    except ReadTimeout as error:
        raise SessionBrokenError(
            host, f"no answer to {command.strip()!r} within {seconds:g} s at {place}; check the switch's load"
        ) from error
    except (NetmikoBaseException, paramiko.SSHException, OSError, EOFError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SessionBrokenError(host, f"the SSH session at {place} broke at {command.strip()!r}: {reason}") from error


def heed_hang_up(connection: Any) -> None:  # noqa: ANN401 - netmiko has no types
    """Let a read fail as soon as the switch has hung up; netmiko by itself goes on waiting for an answer."""
    read = connection.read_channel

    def reading() -> str:
        output = str(read())
        if not output and connection.remote_conn is not None and connection.remote_conn.closed:
            raise EOFError("the switch has closed the connection")
        return output

    connection.read_channel = reading


def _why_no_login(target: Target, place: str, error: NetmikoTimeoutException) -> str:
    cause = error.__context__
    known_hosts = target.known_hosts or "~/.ssh/known_hosts"
    if isinstance(cause, paramiko.BadHostKeyException):
        return (
            f"the SSH host key of {place} is not the one in {known_hosts}; if the switch was replaced, "
            "remove its line there and add the new key, otherwise someone is in between"
        )
    if "not found in known_hosts" in str(cause):
        return f"the SSH host key of {place} is not in {known_hosts}; add it (ssh-keyscan) and compare it"
    reason = (isinstance(cause, OSError) and cause.strerror) or " ".join(str(cause or error).split())
    return f"unreachable at {place} over SSH: {reason}; check ansible_host, ansible_port and the management network"
