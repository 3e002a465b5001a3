"""One user's conversation with a simulated Dell switch: its Linux shell, and the CLI in it; knows nothing of SSH."""

from collections.abc import Callable
from dataclasses import dataclass

from aibench_lib.virtual_lab.cli.grammar import CliError, Match, match
from aibench_lib.virtual_lab.cli.pipe import apply_pipe
from aibench_lib.virtual_lab.credentials import USERNAME
from aibench_lib.virtual_lab.dell import show
from aibench_lib.virtual_lab.dell.config import DellEditor
from aibench_lib.virtual_lab.dell.switch import DellSwitch


class Cli:
    """Prompt, mode, and what each line answers."""

    def __init__(self, switch: DellSwitch) -> None:
        self.switch = switch
        self.closed = False
        self._in_shell = True
        self._editor: DellEditor | None = None

    @property
    def prompt(self) -> str:
        """What the switch prints when it waits for a line."""
        host = self.switch.running.hostname
        if self._in_shell:
            return f"{USERNAME}@{host}:~$ "
        if self._editor is None:
            return f"{host}# "
        return f"{host}({f'conf-{self._editor.prompt}' if self._editor.prompt else 'config'})# "

    def answer(self, line: str) -> str:
        """Do what a line says and return what the switch prints, each line ended by a newline."""
        line = line.strip()
        if self._in_shell:
            return self._shell(line)
        if not line or line.startswith("!"):
            return ""
        try:
            return self._answer(line)
        except CliError as error:
            return self._refusal(line, error)

    def once(self, command: str) -> str:
        """Do one command of the shell and return what it prints."""
        return self._shell(command.strip())

    def _shell(self, line: str) -> str:
        if line == "sonic-cli":
            self._in_shell = False
            return ""
        if line in ("exit", "logout"):
            self.closed = True
            return ""
        return f"-bash: {line.split()[0]}: command not found\n" if line else ""

    def _refusal(self, line: str, error: CliError) -> str:
        if error.kind == "incomplete":
            return "% Error: The command is not completed.\n"
        if error.kind == "ambiguous":
            return "% Error: Ambiguous command.\n"
        if error.kind != "invalid":
            return f"{error}\n"
        before = " ".join(line.split()[: error.position])
        column = len(self.prompt) + len(before) + (1 if before else 0)
        return f'{" " * column}^\n% Error: Invalid input detected at "^" marker.\n'

    def _answer(self, line: str) -> str:
        command, _, pipe = line.partition("|")
        if pipe and command.lstrip().startswith("sh"):
            return apply_pipe(pipe.strip(), self._run(command))
        return self._run(line)

    def _run(self, line: str) -> str:
        tokens = self.switch.ports.tokenize(line)
        if self._editor is None:
            found = match(_EXEC, tokens, self.switch.ports)
            return found.command.act(self, found)
        try:
            found = match(_IN_CONFIG, tokens, self.switch.ports)
        except CliError as error:
            return self._configure(line, error)
        return found.command.act(self, found)

    def _configure(self, line: str, other: CliError) -> str:
        assert self._editor is not None, "only the configuration mode configures"
        self.switch.note(line)
        try:
            self._editor.enter(line)
        except CliError as error:
            raise (other if other.position > error.position else error) from None
        return ""

    def configure(self, _: "Found") -> str:
        """Enter the configuration mode."""
        self._editor = self.switch.editor()
        return ""

    def up(self, _: "Found") -> str:
        """Leave one mode; from the top, the CLI."""
        if self._editor is None:
            self._in_shell = True
        elif not self._editor.up():
            self._editor = None
        return ""

    def end(self, _: "Found") -> str:
        """Leave the configuration mode."""
        self._editor = None
        return ""

    def save(self, found: "Found") -> str:
        """Make the running configuration that of the next start."""
        self.switch.note(found.text)
        self.switch.startup = self.switch.running.copy()
        return ""

    def nothing(self, _: "Found") -> str:
        """Do what has no effect here: output is never paged, and what gNMI shows is not cleared."""
        return ""


@dataclass(frozen=True)
class ExecCommand:
    """A command that acts at once."""

    pattern: str
    act: Callable[[Cli, "Found"], str]


Found = Match[ExecCommand]


def _show(printer: Callable[[DellSwitch, Found], str]) -> Callable[[Cli, Found], str]:
    return lambda cli, found: printer(cli.switch, found)


_IN_CONFIG = (ExecCommand("exit", Cli.up), ExecCommand("end", Cli.end))
_EXEC = (
    ExecCommand("exit", Cli.up),
    ExecCommand("terminal length <rows:0..512>", Cli.nothing),
    ExecCommand("configure [terminal]", Cli.configure),
    ExecCommand("write memory", Cli.save),
    ExecCommand("copy running-configuration startup-configuration", Cli.save),
    ExecCommand("clear counters interface all", Cli.nothing),
    ExecCommand("clear queue counters", Cli.nothing),
    ExecCommand("show version", _show(show.version)),
    ExecCommand("show clock", _show(show.clock)),
    ExecCommand("show interface status", _show(show.interface_status)),
    ExecCommand("show lldp table", _show(show.lldp_table)),
    ExecCommand("show ip interfaces", _show(show.ip_interfaces)),
    ExecCommand("show running-configuration", _show(show.running_configuration)),
    ExecCommand("show running-configuration interface <interface:interface>", _show(show.running_interface)),
)
