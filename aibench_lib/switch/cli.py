"""The one door to netmiko: switches that are configured on a command line over SSH."""

import itertools
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import paramiko
from netmiko import ConnectHandler
from netmiko.exceptions import (
    NetmikoAuthenticationException,
    NetmikoBaseException,
    NetmikoTimeoutException,
    ReadTimeout,
)

from aibench_lib.errors import LabError
from aibench_lib.platforms import Cli, Platform
from aibench_lib.switch.indented import lines_within, values_in
from aibench_lib.switch.setting import Setting
from aibench_lib.switch.target import Target

CONNECT_SECONDS = 10
READ_SECONDS = 60
"""A large running configuration takes tens of seconds on a busy switch."""

# What a library has to say reaches the user as one translated line, not as its log on the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("netmiko").addHandler(logging.NullHandler())


class CliSwitch:
    """A session on a command line."""

    def __init__(self, target: Target, platform: Platform) -> None:
        """Log in.

        Raises:
            LabError: Unreachable, a host key that is unknown or differs, or a wrong user name or password.
        """
        assert platform.cli is not None, "load_platform refuses netmiko platforms without commands"
        self._target = target
        self._cli: Cli = platform.cli
        self._place = f"{target.address}:{target.port or self._cli.port}"
        with self._translated("login"):
            self._connection = ConnectHandler(
                device_type=self._cli.device_type,
                host=target.address,
                port=target.port or self._cli.port,
                username=target.username,
                password=target.password,
                ssh_strict=True,
                system_host_keys=target.known_hosts is None,
                alt_host_keys=target.known_hosts is not None,
                alt_key_file=target.known_hosts or "",
                conn_timeout=CONNECT_SECONDS,
                auth_timeout=CONNECT_SECONDS,
                banner_timeout=CONNECT_SECONDS,
            )
        if self._cli.privileged:
            self._enable()

    def read_config(self) -> str:
        """Return the running configuration, if it is one that can be written back."""
        config = self._running_config()
        for line, pattern in itertools.product(config.splitlines(), self._cli.not_restorable):
            if re.search(pattern, line):
                raise LabError(
                    self._target.host,
                    f"its configuration has {line!r}, which cannot be written back line by line; remove it for the run",
                )
        return config

    def _enable(self) -> None:
        try:
            with self._translated("enable"):
                self._connection.enable()
        except LabError:
            self.close()
            raise

    def _running_config(self) -> str:
        with self._translated(self._cli.running_config):
            output = str(self._connection.send_command(self._cli.running_config, read_timeout=READ_SECONDS))
        self._check(self._cli.running_config, output, f"check what {self._target.username!r} may do")
        return "\n".join(line.rstrip() for line in output.splitlines()) + "\n"

    def comparable(self, config: str) -> list[str]:
        """Return the lines that are configuration."""
        return [
            line
            for line in config.splitlines()
            if not any(re.search(pattern, line) for pattern in self._cli.not_config)
        ]

    def read_back(self, setting: Setting) -> Mapping[str, Any]:
        """Return the values of a feature as the running configuration shows them."""
        config = self._running_config()
        found: dict[str, Any] = dict(setting.facts.read_back.fixed)
        for block in setting.facts.read_back.blocks:
            within = [self._named(line) for line in block.within]
            found |= values_in(lines_within(config, within), [self._named(line, re.escape) for line in block.lines])
        for name in setting.facts.each:
            found[name] = {prefix: found.get(name, {}).get(prefix) for prefix in setting.prefixes}
        return {name: setting.understood(name, found.get(name)) for name in setting.requested}

    def _named(self, line: str, quoted: Callable[[str], str] = str) -> str:
        """Return a line or a pattern with the target's options in it; braces of a pattern are no options."""
        for name, value in self._target.options.items():
            line = line.replace(f"{{{name}}}", quoted(str(value)))
        return line

    def apply(self, rendered: str) -> None:
        """Write the lines into a candidate configuration and commit it."""
        self._commit(rendered.splitlines())

    def restore(self, config: str) -> None:
        """Write a whole configuration into an emptied candidate and commit it."""
        self._commit([self._cli.clear, *self.comparable(config)])

    def close(self) -> None:
        """Log out."""
        self._connection.disconnect()

    def _commit(self, lines: Sequence[str]) -> None:
        session = f"aibench-{uuid4().hex[:8]}"
        try:
            for line in (self._cli.begin, *lines, self._cli.commit):
                self._configure(line.replace("{session}", session))
        except LabError:
            with suppress(LabError):  # the first refusal is the one to report; an aborted candidate changes nothing
                self._configure(self._cli.abort)
            raise

    def _configure(self, line: str) -> None:
        with self._translated(line):
            output = str(
                self._connection.send_config_set(
                    [line], enter_config_mode=False, exit_config_mode=False, read_timeout=READ_SECONDS
                )
            )
        self._check(line, output, f"nothing was committed; compare templates/{self._target.platform} with its software")

    def _check(self, command: str, output: str, advice: str) -> None:
        refusal = re.search(self._cli.error_pattern, output, flags=re.MULTILINE)
        if refusal:
            raise LabError(self._target.host, f"refused {command.strip()!r}: {refusal.group().strip()}; {advice}")

    @contextmanager
    def _translated(self, command: str) -> Iterator[None]:
        """Turn what netmiko and paramiko raise into one line that names the host and the command."""
        host = self._target.host
        try:
            yield
        except NetmikoAuthenticationException as error:
            raise LabError(
                host,
                f"wrong user name or password for {self._target.username!r} at {self._place} over SSH; "
                "check ansible_user and ansible_password",
            ) from error
        except NetmikoTimeoutException as error:
            raise LabError(host, self._why_no_login(error)) from error
        except ReadTimeout as error:
            raise LabError(
                host, f"no answer to {command.strip()!r} within {READ_SECONDS} s at {self._place}"
            ) from error
        except (NetmikoBaseException, paramiko.SSHException, OSError, EOFError, ValueError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise LabError(host, f"the SSH session at {self._place} broke at {command.strip()!r}: {reason}") from error

    def _why_no_login(self, error: NetmikoTimeoutException) -> str:
        cause = error.__context__
        known_hosts = self._target.known_hosts or "~/.ssh/known_hosts"
        if isinstance(cause, paramiko.BadHostKeyException):
            return (
                f"the SSH host key of {self._place} is not the one in {known_hosts}; if the switch was replaced, "
                "remove its line there and add the new key, otherwise someone is in between"
            )
        if "not found in known_hosts" in str(cause):
            return f"the SSH host key of {self._place} is not in {known_hosts}; add it (ssh-keyscan) and compare it"
        reason = (isinstance(cause, OSError) and cause.strerror) or " ".join(str(cause or error).split())
        return (
            f"unreachable at {self._place} over SSH: {reason}; check ansible_host, ansible_port "
            "and the management network"
        )
