"""One user's conversation with the CLI of a simulated NX-OS switch; knows nothing of SSH."""

from collections.abc import Callable
from dataclasses import dataclass

from aibench_lib.virtual_lab.cli.grammar import CliError, Match, match
from aibench_lib.virtual_lab.cli.pipe import apply_pipe
from aibench_lib.virtual_lab.nxos import show
from aibench_lib.virtual_lab.nxos.config import NxosEditor
from aibench_lib.virtual_lab.nxos.switch import NxosSwitch

_MARKED = {"invalid": "Invalid", "incomplete": "Incomplete", "ambiguous": "Ambiguous"}


class Cli:
    """Prompt, mode, and what each line answers."""

    def __init__(self, switch: NxosSwitch) -> None:
        self.switch = switch
        self.closed = False
        self._editor: NxosEditor | None = None
        self._staged: list[str] | None = None
        """The lines of a target configuration; None where each takes effect at once."""

    @property
    def prompt(self) -> str:
        """What the switch prints when it waits for a line."""
        host = self.switch.running.hostname
        if self._editor is None:
            return f"{host}# "
        stage = "config" if self._staged is None else "config-dual-stage"
        return f"{host}({'-'.join(part for part in (stage, self._editor.prompt) if part)})# "

    def answer(self, line: str) -> str:
        """Do what a line says and return what the switch prints, each line ended by a newline."""
        line = line.strip()
        if not line or line.startswith("!"):
            return ""
        try:
            return self._answer(line)
        except CliError as error:
            return self._refusal(line, error)

    def once(self, command: str) -> str:
        """Do one command and return what the switch prints."""
        return self.answer(command)

    def _refusal(self, line: str, error: CliError) -> str:
        if error.kind not in _MARKED:
            return f"{error}\n"
        words = line.split()
        before = " ".join(words[: error.position])
        column = len(self.prompt) + len(before) + (1 if before else 0)
        return f"{' ' * column}^\n% {_MARKED[error.kind]} command at '^' marker.\n"

    def _answer(self, line: str) -> str:
        command, _, pipe = line.partition("|")
        if pipe and command.lstrip().startswith("sh"):
            return apply_pipe(pipe.strip(), self._run(command))
        return self._run(line)

    def _run(self, line: str) -> str:
        tokens = self.switch.ports.tokenize(line)
        if self._editor is None:
            return self._act(_EXEC, tokens)
        known = _IN_CONFIG if self._staged is None else (*_STAGED, *_IN_CONFIG)
        try:
            found = match(known, tokens, self.switch.ports)
        except CliError as error:
            return self._configure(line, tokens, error)
        return found.command.act(self, found)

    def _act(self, known: tuple["ExecCommand", ...], tokens: list[str]) -> str:
        found = match(known, tokens, self.switch.ports)
        return found.command.act(self, found)

    def _configure(self, line: str, tokens: list[str], other: CliError) -> str:
        """Edit the configuration; a line that is no such edit may still be a command of the exec mode."""
        assert self._editor is not None, "only the configuration modes configure"
        try:
            self._enter(line)
        except CliError as error:
            if error.kind:
                try:
                    return self._act(_EXEC, tokens)
                except CliError as third:
                    error = max(error, other, third, key=lambda one: one.position)
            self._note(line)
            raise error from None
        self._note(line)
        return ""

    def _enter(self, line: str) -> None:
        """Take a line into the target configuration, or make it run at once if it can stand there."""
        assert self._editor is not None, "only the configuration modes configure"
        if self._staged is not None:
            self._editor.enter(line)
            self._staged.append(line)
            return
        config = self._editor.config
        before = config.copy()
        self._editor.enter(line)
        conflict = config.conflict()
        if conflict:
            config.replace_by(before)
            raise CliError(conflict)

    def _note(self, what: str) -> None:
        self.switch.note(what)

    def quit(self, _: "Found") -> str:
        """Hang up."""
        self.closed = True
        return ""

    def nothing(self, _: "Found") -> str:
        """Stay where one is."""
        return ""

    def configure(self, found: "Found") -> str:
        """Enter a configuration mode."""
        if found.words[-1] == "dual-stage":
            self._editor, self._staged = self.switch.candidate(), []
        else:
            self._editor, self._staged = self.switch.editor(), None
        return "Enter configuration commands, one per line. End with CNTL/Z.\n"

    def exit(self, _: "Found") -> str:
        """Leave one mode."""
        if self._editor is None or not self._editor.up():
            return self.end(_)
        if self._staged is not None:
            self._staged.append("exit")
        return ""

    def end(self, _: "Found") -> str:
        """Leave the configuration mode; what is staged is forgotten."""
        self._editor, self._staged = None, None
        return ""

    def abort(self, found: "Found") -> str:
        """Forget what is staged, and leave."""
        self._note("abort")
        return self.end(found)

    def commit(self, found: "Found") -> str:
        """Make what is staged run, for good or for a time; with nothing staged, keep what was committed for a time."""
        self._note(found.text)
        assert self._staged is not None, "commit is a command of the two-stage mode"
        seconds = found.values.get("seconds")
        if not self._staged:
            self.switch.confirm()
            return ""
        number = self.switch.commit(self._staged, int(seconds) if seconds else None)
        self._editor, self._staged = self.switch.candidate(), []
        return (
            "Verification Succeeded.\n\n"
            "Proceeding to apply configuration. This might take a while depending on amount of configuration in buffer."
            "\nPlease avoid other configuration changes during this time.\n"
            f"Configuration committed by user 'admin' using Commit ID : {number}\n"
        )

    def staged(self, _: "Found") -> str:
        """Show the lines that wait for a commit."""
        lines = "".join(f"{line}\n" for line in self._staged or ())
        return f"! Cached configuration\n{lines}"

    def save_checkpoint(self, found: "Found") -> str:
        """Keep the running configuration under a name."""
        self._note(found.text)
        self.switch.save_checkpoint(found.values["name"])
        return "...Done\n"

    def remove_checkpoint(self, found: "Found") -> str:
        """Forget a checkpoint."""
        self._note(found.text)
        self.switch.remove_checkpoint(found.values["name"])
        return ""

    def roll_back(self, found: "Found") -> str:
        """Make a checkpoint run."""
        self._note(found.text)
        self.switch.roll_back(found.values["name"])
        return _ROLLBACK

    def save(self, found: "Found") -> str:
        """Make the running configuration that of the next start."""
        self._note(found.text)
        self.switch.startup = self.switch.running.copy()
        return "[########################################] 100%\nCopy complete.\n"

    def clear(self, found: "Found") -> str:
        """Take a command that sets counters to zero; the lab's counters are those of the simulator and only grow."""
        self._note(found.text)
        return ""


_ROLLBACK = """\
ADVISORY: Rollback operation started...
Modifying running configuration from another VSH terminal in parallel
is not recommended, as this may lead to Rollback failure.

Collecting Running-Config
Generating Rollback patch for switch profile
Rollback Patch is Empty
Collecting Running-Config
Generating Rollback Patch
Executing Rollback Patch
Generating Running-config for verification
Generating Rollback Patch

Rollback completed successfully.

"""


@dataclass(frozen=True)
class ExecCommand:
    """A command that acts at once."""

    pattern: str
    act: Callable[[Cli, "Found"], str]


Found = Match[ExecCommand]


def _show(printer: Callable[[NxosSwitch], str]) -> Callable[[Cli, Found], str]:
    return lambda cli, _: printer(cli.switch)


_IN_CONFIG = (
    ExecCommand("exit", Cli.exit),
    ExecCommand("end", Cli.end),
)
_STAGED = (
    ExecCommand("commit", Cli.commit),
    ExecCommand("commit confirmed <seconds:30..65535>", Cli.commit),
    ExecCommand("abort", Cli.abort),
    ExecCommand("show configuration", Cli.staged),
)
_EXEC = (
    ExecCommand("exit", Cli.quit),
    ExecCommand("end", Cli.nothing),
    ExecCommand("terminal width <columns:24..511>", Cli.nothing),
    ExecCommand("terminal length <rows:0..511>", Cli.nothing),
    ExecCommand("configure [terminal]", Cli.configure),
    ExecCommand("configure dual-stage", Cli.configure),
    ExecCommand("checkpoint <name:word>", Cli.save_checkpoint),
    ExecCommand("no checkpoint <name:word>", Cli.remove_checkpoint),
    ExecCommand("rollback running-config checkpoint <name:word> [atomic]", Cli.roll_back),
    ExecCommand("copy running-config startup-config", Cli.save),
    ExecCommand("clear counters", Cli.clear),
    ExecCommand("clear counters buffers", Cli.clear),
    ExecCommand("clear qos statistics", Cli.clear),
    ExecCommand("show version", _show(show.version)),
    ExecCommand("show hostname", _show(show.hostname)),
    ExecCommand("show clock", _show(show.clock)),
    ExecCommand("show lldp neighbors", _show(show.lldp_neighbors)),
    ExecCommand("show interface", _show(show.interface)),
    ExecCommand("show interface status", _show(show.interface_status)),
    ExecCommand("show running-config", _show(show.running_config)),
    ExecCommand("show startup-config", _show(show.startup_config)),
    ExecCommand("show checkpoint summary", _show(show.checkpoint_summary)),
)
