"""One user's conversation with the CLI of a simulated EOS switch; knows nothing of SSH."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from aibench_lib.virtual_lab.cli.grammar import CliError, Match, match
from aibench_lib.virtual_lab.cli.lines import Editor
from aibench_lib.virtual_lab.cli.pipe import apply_pipe
from aibench_lib.virtual_lab.eos import show, show_saved
from aibench_lib.virtual_lab.eos.switch import CLEAN, EosSwitch, Session

_SESSION_NAME_IN_PROMPT = 6
"""The prompt shows only the beginning of a session's name [characters]."""


class Cli:
    """Prompt, mode, and what each line answers."""

    def __init__(self, switch: EosSwitch) -> None:
        self.switch = switch
        self.closed = False
        self._enabled = False
        self._editor: Editor | None = None
        self._session = ""
        self._candidate: Session | None = None

    @property
    def prompt(self) -> str:
        """What the switch prints when it waits for a line."""
        host = self.switch.running.hostname
        if self._editor is None:
            return f"{host}{'#' if self._enabled else '>'}"
        parts = ["config"]
        if self._session:
            parts.append(f"s-{self._session[:_SESSION_NAME_IN_PROMPT]}")
        if self._editor.prompt:
            parts.append(self._editor.prompt.replace("Ethernet", "Et"))
        return f"{host}({'-'.join(parts)})#"

    def answer(self, line: str) -> str:
        """Do what a line says and return what the switch prints, each line ended by a newline."""
        line = line.strip()
        if not line or line.startswith("!"):
            return ""
        try:
            return self._answer(line)
        except CliError as error:
            return f"{error}\n"

    def once(self, command: str) -> str:
        """Do one command in privileged mode and return what the switch prints."""
        self._enabled = True
        return self.answer(command)

    def _answer(self, line: str) -> str:
        command, _, pipe = line.partition("|")
        if pipe and command.lstrip().startswith("sh"):
            return apply_pipe(pipe.strip(), self._run(command))
        return self._run(line)

    def _run(self, line: str) -> str:
        tokens = self.switch.ports.tokenize(line)
        if self._editor is None:
            found = match(_EXEC, tokens, self.switch.ports)
            if found.command.privileged and not self._enabled:
                raise CliError(f"% Invalid input (privileged mode required) (at token 0: '{tokens[0]}')")
            return found.command.act(self, found)
        self._check_session()
        try:
            found = match(_IN_SESSION if self._session else _IN_CONFIG, tokens, self.switch.ports)
        except CliError as error:
            return self._configure(line, tokens, error)
        return found.command.act(self, found)

    def _configure(self, line: str, tokens: list[str], other: CliError) -> str:
        """Edit the configuration; a line that is no such edit may still be a command of the exec mode."""
        editor = self._editor
        if editor is None:
            raise other
        try:
            editor.enter(line)
        except CliError as error:
            try:
                found = match(_EXEC, tokens, self.switch.ports)
            except CliError:
                self._note(line)
                raise (other if other.position > error.position else error) from None
            return found.command.act(self, found)
        self._note(line)
        if self._candidate is not None:
            self._candidate.lines.append(line)
        return ""

    def _check_session(self) -> None:
        """Leave a session that somebody else has ended."""
        name = self._session
        if name and self.switch.sessions.get(name) is not self._candidate:
            self._leave()
            raise CliError(f"% Session {name} does not exist")

    def _leave(self) -> None:
        self._editor, self._session, self._candidate = None, "", None

    def _note(self, what: str) -> None:
        self.switch.note(f"{self._session}: {what}" if self._session else what)

    def enable(self, _: "Found") -> str:
        """Enter the privileged mode, which has no password of its own here."""
        self._enabled = True
        return ""

    def disable(self, _: "Found") -> str:
        """Leave the privileged mode."""
        self._enabled = False
        return ""

    def quit(self, _: "Found") -> str:
        """Hang up."""
        self.closed = True
        return ""

    def configure(self, _: "Found") -> str:
        """Enter the configuration mode."""
        self._editor, self._session, self._candidate = self.switch.editor(), "", None
        return ""

    def configure_session(self, found: "Found") -> str:
        """Enter a configuration session, old or new."""
        name = found.values["name"]
        self.switch.note(f"{name}: configure session")
        self._session, self._candidate = name, self.switch.session(name)
        self._editor = self._candidate.editor
        return ""

    def end_session(self, found: "Found") -> str:
        """Commit or abort a session, by name from outside or the one the user is in."""
        name = found.values.get("name", self._session)
        verb = found.words[-1]
        self.switch.note(f"{name}: {verb}")
        (self.switch.commit if verb == "commit" else self.switch.abort)(name)
        self._leave()
        return ""

    def commit_timer(self, found: "Found") -> str:
        """Commit a session that falls back unless it is committed once more in time."""
        name, clock = found.values.get("name", self._session), found.values["clock"]
        if not re.fullmatch(r"\d{1,2}:[0-5]?\d:[0-5]?\d", clock, re.ASCII):
            raise CliError(f"% Invalid input (at token {len(found.words) - 1}: '{clock}')", len(found.words) - 1)
        hours, minutes, seconds = map(int, clock.split(":"))
        self.switch.note(f"{name}: commit timer {clock}")
        self.switch.commit(name, (hours * 60 + minutes) * 60 + seconds)
        self._leave()
        return ""

    def rollback_clean(self, _: "Found") -> str:
        """Empty the session's candidate."""
        session = self._current()
        self._note(CLEAN)
        session.editor.clear()
        session.lines.append(CLEAN)
        return ""

    def session_diffs(self, _: "Found") -> str:
        """Show how the candidate differs from what runs."""
        self._current()
        return self.switch.session_diff(self._session)

    def session_config(self, _: "Found") -> str:
        """Show the candidate."""
        return show.config("session-config", self.switch, self._current().editor.config.text())

    def exit(self, _: "Found") -> str:
        """Leave one mode."""
        if self._editor is None or not self._editor.up():
            self._leave()
        elif self._session:
            self.switch.session(self._session).lines.append("exit")
        return ""

    def end(self, _: "Found") -> str:
        """Leave the configuration mode; a session stays as it is, uncommitted."""
        self._leave()
        return ""

    def checkpoint_save(self, found: "Found") -> str:
        """Keep the running configuration under a name."""
        self.switch.note(found.text)
        self.switch.save_checkpoint(found.values["name"])
        return ""

    def delete(self, found: "Found") -> str:
        """Delete a checkpoint."""
        self.switch.note(found.text)
        self.switch.delete_checkpoint(_checkpoint(found, 1))
        return ""

    def clear_counters(self, _: "Found") -> str:
        """Set to zero what the command line's own counters show; what gNMI shows goes on."""
        return ""

    def replace(self, found: "Found") -> str:
        """Replace the running configuration by a checkpoint."""
        self.switch.note(found.text)
        self.switch.replace_by_checkpoint(_checkpoint(found, 2))
        return ""

    def save(self, found: "Found") -> str:
        """Make the running configuration that of the next start."""
        self.switch.note(found.text)
        self.switch.startup = self.switch.running.copy()
        return "Copy completed successfully.\n"

    def width(self, found: "Found") -> str:
        """Set the terminal's width; the SSH client's own is what counts."""
        return f"Width set to {found.values['columns']} columns.\n"

    def length(self, found: "Found") -> str:
        """Set the terminal's length; output is never paged here."""
        rows = found.values["rows"]
        return "Pagination disabled.\n" if rows == "0" else f"Pagination set to {rows} lines.\n"

    def _current(self) -> Session:
        if self._candidate is None:
            raise CliError("% Invalid input (not in a configuration session)")
        return self._candidate


@dataclass(frozen=True)
class ExecCommand:
    """A command that acts at once."""

    pattern: str
    act: Callable[[Cli, "Found"], str]
    privileged: bool = False


Found = Match[ExecCommand]


def _checkpoint(found: Found, position: int) -> str:
    """Return the name of the checkpoint that a command names as a file."""
    scheme, _, name = found.values["file"].partition(":")
    if scheme != "checkpoint" or not name:
        raise CliError(f"% Invalid input (at token {position}: '{found.values['file']}')", position)
    return name


def _show(printer: Callable[[EosSwitch, Found], str]) -> Callable[[Cli, Found], str]:
    return lambda cli, found: printer(cli.switch, found)


_IN_CONFIG = (
    ExecCommand("exit", Cli.exit),
    ExecCommand("end", Cli.end),
)
_IN_SESSION = (
    *_IN_CONFIG,
    ExecCommand("commit", Cli.end_session),
    ExecCommand("commit timer <clock:word>", Cli.commit_timer),
    ExecCommand("abort", Cli.end_session),
    ExecCommand(CLEAN, Cli.rollback_clean),
)
_EXEC = (
    ExecCommand("enable", Cli.enable),
    ExecCommand("disable", Cli.disable),
    ExecCommand("exit", Cli.quit),
    ExecCommand("quit", Cli.quit),
    ExecCommand("logout", Cli.quit),
    ExecCommand("terminal width <columns:10..32767>", Cli.width),
    ExecCommand("terminal length <rows:0..32767>", Cli.length),
    ExecCommand("configure [terminal]", Cli.configure, privileged=True),
    ExecCommand("configure session <name:word>", Cli.configure_session, privileged=True),
    ExecCommand("configure session <name:word> commit", Cli.end_session, privileged=True),
    ExecCommand("configure session <name:word> commit timer <clock:word>", Cli.commit_timer, privileged=True),
    ExecCommand("configure session <name:word> abort", Cli.end_session, privileged=True),
    ExecCommand("configure checkpoint save <name:word>", Cli.checkpoint_save, privileged=True),
    ExecCommand("configure replace <file:word>", Cli.replace, privileged=True),
    ExecCommand("delete <file:word>", Cli.delete, privileged=True),
    ExecCommand("clear counters", Cli.clear_counters, privileged=True),
    ExecCommand("copy running-config startup-config", Cli.save, privileged=True),
    ExecCommand("write [memory]", Cli.save, privileged=True),
    ExecCommand("show version", _show(show.version)),
    ExecCommand("show hostname", _show(show.hostname)),
    ExecCommand("show clock", _show(show.clock)),
    ExecCommand("show lldp neighbors", _show(show.lldp_neighbors)),
    ExecCommand("show interfaces status", _show(show.interfaces_status)),
    ExecCommand("show ip interface brief", _show(show.ip_interface_brief)),
    ExecCommand("show qos interfaces <interface:interface> ecn", _show(show.qos_ecn)),
    ExecCommand("show running-config", _show(show.running_config), privileged=True),
    ExecCommand("show running-config section <pattern:line>", _show(show.running_section), privileged=True),
    ExecCommand("show startup-config", _show(show.startup_config), privileged=True),
    ExecCommand("show configuration sessions", _show(show_saved.sessions), privileged=True),
    ExecCommand("show configuration checkpoints", _show(show_saved.checkpoints), privileged=True),
    ExecCommand("show session-config", Cli.session_config, privileged=True),
    ExecCommand("show session-config diffs", Cli.session_diffs, privileged=True),
)
