"""The one door to netmiko: switches that are configured on a command line over SSH."""

import base64
import itertools
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from netmiko import ConnectHandler

from aibench_lib.errors import LabError
from aibench_lib.platforms import Cli, Platform, Shape, TextRestore
from aibench_lib.switch.broken import SessionBrokenError, heed_hang_up, translated
from aibench_lib.switch.differing import lines_between
from aibench_lib.switch.flattened import flattened
from aibench_lib.switch.indented import lines_within, values_in
from aibench_lib.switch.record import RESTORE
from aibench_lib.switch.setting import Setting
from aibench_lib.switch.target import Target

CONNECT_SECONDS = 10
READ_SECONDS = 120
"""A rollback of a large configuration takes a minute on a busy switch."""
BACKOFF_SECONDS = (1, 3)
"""Before what is only read is asked for again, on a new session."""
_CHUNK_BYTES = 1536
"""Of a file that is written with ``echo``: a terminal's line holds 4096 characters."""

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
        self._seen: str | None = None
        """The running configuration as it was last read; nothing was written since."""
        self._connect()

    def _connect(self) -> None:
        target = self._target
        with translated(target, self._place, "login", CONNECT_SECONDS):
            self._connection = ConnectHandler(
                device_type=self._cli.device_type,
                host=target.address,
                port=target.port or self._cli.port,
                username=target.username,
                password=target.password,
                use_keys=target.key_file is not None,
                key_file=target.key_file,
                ssh_strict=True,
                system_host_keys=target.known_hosts is None,
                alt_host_keys=target.known_hosts is not None,
                alt_key_file=target.known_hosts or "",
                conn_timeout=CONNECT_SECONDS,
                auth_timeout=CONNECT_SECONDS,
                banner_timeout=CONNECT_SECONDS,
            )
        heed_hang_up(self._connection)
        if self._cli.privileged:
            try:
                with translated(target, self._place, "enable", READ_SECONDS):
                    self._connection.enable()
            except LabError:
                self.close()
                raise
        self._prompt = rf"{re.escape(self._connection.base_prompt)}[^\n]*[>#$]\s*$"

    def close(self) -> None:
        """Log out."""
        with suppress(OSError, EOFError):  # of a session that broke
            self._connection.paramiko_cleanup()  # its disconnect() first waits seconds to see in which mode it is

    def show(self, command: str) -> str:
        """Return what a command shows, without the command and the prompt.

        It is asked again, on a new session, if the session breaks: showing changes nothing.

        Raises:
            LabError: The switch refused, or gave no answer again and again.
        """
        for seconds in BACKOFF_SECONDS:
            try:
                return self._shown(command)
            except SessionBrokenError:
                time.sleep(seconds)
                self.close()
                with suppress(LabError):  # the next try says what is wrong
                    self._connect()
        return self._shown(command)

    def _shown(self, command: str) -> str:
        return self._send(command, f"check what {self._target.username!r} may do")

    def read_config(self) -> str:
        """Return the running configuration."""
        return self._running_config()

    def check_restorable(self, config: str) -> None:
        """Refuse a configuration that nothing could bring back: neither the switch's own checkpoint nor its text."""
        if self._cli.checkpoint is None:
            self._check_writable(config)

    def _check_writable(self, config: str) -> None:
        for line, pattern in itertools.product(config.splitlines(), self._cli.not_restorable):
            if re.search(pattern, line):
                raise LabError(
                    self._target.host,
                    f"its configuration has {line!r}, which cannot be written back line by line; remove it for the run",
                )

    def _running_config(self) -> str:
        if self._seen is None:
            output = self.show(self._cli.running_config)
            self._seen = "\n".join(line.rstrip() for line in output.splitlines()) + "\n"
        return self._seen

    def comparable(self, config: str) -> list[str]:
        """Return the lines that are configuration."""
        lines = self._flattened(config) if self._cli.shape is Shape.JSON else config.splitlines()
        return [line for line in lines if not any(re.search(pattern, line) for pattern in self._cli.not_config)]

    def _flattened(self, config: str) -> list[str]:
        try:
            return flattened(config)
        except ValueError as error:
            raise LabError(
                self._target.host, f"answered {self._cli.running_config!r} with what is not JSON: {error}"
            ) from error

    def read_back(self, setting: Setting) -> Mapping[str, Any]:
        """Return the values of a feature as the running configuration shows them."""
        lines = self.comparable(self._running_config())
        config = "\n".join(lines)
        found: dict[str, Any] = dict(setting.facts.read_back.fixed)
        for block in setting.facts.read_back.blocks:
            patterns = [_named(line, setting, re.escape) for line in block.lines]
            if block.each_interface:
                found |= self._of_interfaces(config, [_named(line, setting) for line in block.within], patterns)
                continue
            if self._cli.shape is Shape.INDENTED:
                lines = lines_within(config, [_named(line, setting) for line in block.within])
            found |= values_in(lines, patterns)
        for name in {*setting.facts.each, *(setting.facts.read_back.keyed & set(setting.requested))}:
            keys = setting.prefixes if setting.facts.each else self._target.options["interfaces"]
            of_keys = {key: found.get(name, {}).get(key) for key in keys}
            found[name] = of_keys if isinstance(setting.requested[name], Mapping) else _agreed(of_keys)
        return {name: setting.understood(name, found.get(name)) for name in setting.requested}

    def _of_interfaces(self, config: str, within: Sequence[str], patterns: Sequence[str]) -> dict[str, Any]:
        """Return the values below each of the host's interfaces, by interface."""
        found: dict[str, Any] = {}
        for interface in self._target.options["interfaces"]:
            lines = lines_within(config, [_filled(line, {"interface": interface}) for line in within])
            for name, value in values_in(lines, patterns).items():
                found.setdefault(name, {})[interface] = value
        return found

    @property
    def has_dead_man(self) -> bool:
        """Whether the switch can take a change back by itself."""
        return self._cli.dead_man is not None

    def apply(self, rendered: str, change: str, seconds: int | None = None, checkpoint: str | None = None) -> None:
        """Make the rendered lines take effect; see `Switch`."""
        armed = self._cli.dead_man if seconds else None
        names = _names(change, seconds, checkpoint)
        try:
            if armed:
                self._do(armed.arm, names)
            self._edit(rendered, names, armed.commit if armed else ())
        except LabError:
            if armed:
                self._try(armed.cancel, names)
            raise

    def confirm(self, change: str) -> None:
        """Keep a change."""
        if self._cli.dead_man:
            self._do(self._cli.dead_man.confirm, _names(change))

    def cancel(self, change: str, checkpoint: str | None = None) -> None:
        """Take an unconfirmed change back, and leave nothing of it; what is refused is gone already."""
        for command in self._cli.dead_man.cancel if self._cli.dead_man else ():
            try:
                self._do([command], _names(change, None, checkpoint))
            except SessionBrokenError:
                raise
            except LabError:
                continue

    def checkpoints(self) -> list[str] | None:
        """Return the names of the saved configurations."""
        if self._cli.checkpoint is None:
            return None
        lines = self.show(self._cli.checkpoint.show).splitlines()
        found = [re.search(self._cli.checkpoint.name, line) for line in lines]
        return [match["name"] for match in found if match]

    def save_checkpoint(self, name: str) -> None:
        """Make the switch save its configuration."""
        if self._cli.checkpoint:
            self._do(self._cli.checkpoint.create, {"checkpoint": name}, "remove a checkpoint that nobody needs")

    def roll_back(self, name: str) -> None:
        """Make a saved configuration the running one."""
        if self._cli.checkpoint is None:
            return
        names = {"checkpoint": name}
        try:
            self._do(self._cli.checkpoint.restore, names, "the text of the snapshot is tried next")
        except LabError:
            self._try([*self._cli.edit.abort, *self._cli.edit.end], names)  # a candidate may hold a lock
            raise

    def remove_checkpoint(self, name: str) -> None:
        """Make the switch forget a saved configuration."""
        if self._cli.checkpoint:
            self._do(self._cli.checkpoint.remove, {"checkpoint": name}, "remove it by hand")

    def restore(self, config: str) -> None:
        """Bring back a whole configuration from its text."""
        self._check_writable(config)
        how = self._cli.from_text
        if how.by is TextRestore.FILE:
            self._put(config, how.file)
            self._do(how.load, {"file": how.file})
            return
        lines = self.comparable(config)
        if how.by is TextRestore.DIFFERENCE:
            self._seen = None
            lines = lines_between(self.comparable(self._running_config()), lines, self._cli.shape, how)
        self._edit("\n".join(lines), _names(RESTORE), (), how.clear)

    def clear_counters(self) -> None:
        """Set the counters to zero, where the switch can."""
        self._do(self._cli.clear_counters, {})

    def _edit(self, text: str, names: Mapping[str, str], commit: Sequence[str], clear: Sequence[str] = ()) -> None:
        edit = self._cli.edit
        try:
            self._do(edit.begin, names)
            self._try(clear, names)  # refused where there is nothing to clear
            if edit.file:
                self._put(text, _filled(edit.file, names))
            else:
                self._do(text.splitlines(), {})
            self._do(commit or edit.commit, names)
            self._do(edit.end, names)
        except LabError:
            self._try([*edit.abort, *edit.end], names)
            raise

    def _put(self, text: str, file: str) -> None:
        """Write a file on a switch whose command line is a Unix shell."""
        content = text.encode()
        for start in range(0, max(len(content), 1), _CHUNK_BYTES):
            encoded = base64.b64encode(content[start : start + _CHUNK_BYTES]).decode()
            self._send(f"echo {encoded} | base64 -d {'>>' if start else '>'} {file}", "check its disk")

    def _do(self, commands: Sequence[str], names: Mapping[str, str], advice: str = "") -> None:
        self._seen = None
        unchanged = "nothing was committed; " if self._cli.edit.atomic else ""
        advice = advice or f"{unchanged}compare templates/{self._target.platform} with its software"
        for command in commands:
            self._send(_filled(command, names), advice)

    def _try(self, commands: Sequence[str], names: Mapping[str, str]) -> None:
        """Clean up; a command that is refused has nothing to clean up, and what went wrong before is to be reported."""
        for command in commands:
            with suppress(LabError):
                self._do([command], names)

    def _send(self, command: str, advice: str) -> str:
        with translated(self._target, self._place, command, READ_SECONDS):
            output = str(
                self._connection.send_command(
                    command,
                    expect_string=self._prompt,
                    read_timeout=READ_SECONDS,
                    strip_prompt=True,
                    strip_command=True,
                    cmd_verify=len(command) < self._echo_limit,
                )
            )
        refusal = re.search(self._cli.error_pattern, output, flags=re.MULTILINE)
        if refusal:
            raise LabError(self._target.host, f"refused {command.strip()!r}: {refusal.group().strip()}; {advice}")
        return output

    _echo_limit = 400
    """A longer command is wrapped by the terminal, so that its echo cannot be recognised [characters]."""


def _names(change: str, seconds: int | None = None, checkpoint: str | None = None) -> dict[str, str]:
    """Return what stands in braces in the commands of a change."""
    time_left = seconds or 0
    return {
        "change": change,
        "checkpoint": checkpoint or "",
        "seconds": str(time_left),
        "minutes": str(-(-time_left // 60)),
        "clock": f"{time_left // 3600:02}:{time_left // 60 % 60:02}:{time_left % 60:02}",
    }


def _filled(command: str, names: Mapping[str, str]) -> str:
    """Return a command with names in place of braces; other braces are the switch's own."""
    for name, value in names.items():
        command = command.replace(f"{{{name}}}", value)
    return command


def _agreed(of_ports: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a value of any kind
    """Return the value that all ports have; where they differ, every port's."""
    first = next(iter(of_ports.values()), None)
    return first if all(value == first for value in of_ports.values()) else of_ports


def _named(line: str, setting: Setting, quoted: Callable[[str], str] = str) -> str:
    """Return a line or a pattern with the setting's options in it; braces of a pattern are no options."""
    return _filled(line, {name: quoted(str(value)) for name, value in setting.options.items()})
