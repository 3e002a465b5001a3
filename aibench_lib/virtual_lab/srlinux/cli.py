"""One user's conversation with the command line of a simulated SR Linux switch; knows nothing of SSH."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from aibench_lib.virtual_lab.cli.grammar import CliError
from aibench_lib.virtual_lab.srlinux import show
from aibench_lib.virtual_lab.srlinux.candidate import Candidate, Kind
from aibench_lib.virtual_lab.srlinux.config import Config, ConfigError
from aibench_lib.virtual_lab.srlinux.tools import TOOLS
from aibench_lib.virtual_lab.srlinux.words import dotted, path_of, statements, tokens_of, unknown

if TYPE_CHECKING:
    from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch

_DEFAULT_SECONDS = 600
"""Of a confirmed commit."""
_COMMITTED = "All changes have been committed."
_DISCARDED = "All changes have been discarded."
_STAYING = "Starting new transaction."
_LEAVING = "Leaving candidate mode."


class SrlinuxCli:
    """Prompt, mode, and what each line answers."""

    def __init__(self, switch: "SrlinuxSwitch") -> None:
        self.switch = switch
        self.closed = False
        self.mode = "running"
        self._candidate: Candidate | None = None

    @property
    def prompt(self) -> str:
        """What the switch prints when it waits for a line: two lines, and an empty one before them."""
        marks = "+" if self.switch.running.leaves != self.switch.startup.leaves else ""
        mode = self.mode
        if self._candidate is not None:
            marks += "*" if self._candidate.is_changed else ""
            mode = f"candidate {self._candidate.kind} {self._candidate.name}"
        return f"\n--{{ {f'{marks} ' if marks else ''}{mode} }}--[  ]--\nA:{self.switch.name}# "

    def answer(self, line: str) -> str:
        """Do what a line says and return what the switch prints, each line ended by a newline."""
        line = line.strip()
        if not line or line.startswith("#") or line == "/":
            return ""
        try:
            return self._answer(line)
        except CliError as error:
            return f"{error}\n"
        except ConfigError as error:
            where = f"Error in path: {dotted(error.path)}\n    [FailedPrecondition] " if error.path else ""
            return f"Error: {where}{error.reason}\n"

    def once(self, command: str) -> str:
        """Do one command that came with the connection."""
        return self.answer(command)

    def _answer(self, line: str) -> str:
        command, _, pipe = line.partition(" | ")
        tokens = tokens_of(command)
        absolute = tokens[1:] if tokens[0] == "/" else tokens
        verb, rest = absolute[0], absolute[1:]
        if verb == "info":
            return self._info(rest, pipe)
        commands = _IN_CANDIDATE if self._candidate is not None else _ANYWHERE
        if verb not in commands:
            raise unknown(verb, list(commands))
        if verb in _WRITING:
            self._note(line)
        return _filtered(commands[verb](self, rest), pipe)

    def _note(self, line: str) -> None:
        self.switch.note(f"{self._candidate.name}: {line}" if self._candidate else line)

    def leave(self) -> str:
        """Go back to the running mode; an exclusive candidate is given up, another keeps what was done in it."""
        candidate = self._candidate
        if candidate is not None:
            candidate.users.discard(self)
            if not candidate.is_changed or candidate.kind is Kind.EXCLUSIVE:
                self.switch.drop(candidate)
        self._candidate, self.mode = None, "running"
        return ""

    @property
    def candidate(self) -> Candidate:
        """The candidate the user is in."""
        if self._candidate is None:
            raise CliError("Error: Not in candidate mode")
        return self._candidate

    def enter(self, rest: Sequence[str]) -> str:
        """Change the mode."""
        if list(rest) in (["running"], ["state"]):
            self.leave()
            self.mode = rest[0]
            return ""
        if rest[:1] != ["candidate"]:
            raise unknown(rest[0] if rest else "", ["candidate", "running", "state"])
        words = list(rest[1:])
        kind = Kind(words.pop(0)) if words and words[0] in list(Kind) else Kind.SHARED
        name = "private-admin" if kind is Kind.PRIVATE else "default"
        if words:
            if words[0] != "name" or len(words) != 2:
                raise unknown(words[0], [*Kind, "name"])
            name = words[1]
        self.leave()
        self._candidate = self.switch.enter(kind, name, self)
        return ""

    def set(self, rest: Sequence[str]) -> str:
        """Put values into the candidate."""
        changes = statements(_path(rest))
        self.candidate.do([_update(path, value) for path, value in changes])
        return ""

    def delete(self, rest: Sequence[str]) -> str:
        """Remove what is at a path from the candidate."""
        path = path_of(_path(rest), every_key=True)
        if not show.existing(self.candidate.config, path):
            raise CliError(f"Error: Path '{dotted(path)}' does not specify any existing objects")
        self.candidate.do([lambda config: config.delete(path)])
        return ""

    def diff(self, _: Sequence[str]) -> str:
        """Show how the candidate differs from what runs."""
        return show.difference(self.switch.running, self.candidate.config)

    def commit(self, rest: Sequence[str]) -> str:
        """Make the candidate run."""
        how = rest[0] if rest else "stay"
        if how == "validate":
            self.candidate.on(self.switch.running)
            return "All changes are valid.\n"
        if how not in ("now", "stay", "save", "confirmed"):
            raise unknown(how, ["confirmed", "now", "save", "stay", "validate"])
        seconds = _seconds(rest[1:]) if how == "confirmed" else None
        self.switch.commit(self.candidate, seconds)
        self.candidate.forget(self.switch.running)
        if how == "save":
            self.switch.startup = self.switch.running.copy()
        if how == "stay":
            return f"{_COMMITTED} {_STAYING}\n"
        self.leave()
        told = "" if seconds is None else f"Commit confirmed (automatic rollback in {_duration(seconds)})\n"
        return f"{told}{_COMMITTED} {_LEAVING}\n"

    def discard(self, rest: Sequence[str]) -> str:
        """Forget what was done in the candidate."""
        if list(rest) not in (["now"], ["stay"], []):
            raise unknown(rest[0], ["now", "stay"])
        self.candidate.forget(self.switch.running)
        if list(rest) == ["stay"]:
            return f"{_DISCARDED} {_STAYING}\n"
        self.leave()
        return f"{_DISCARDED} {_LEAVING}\n"

    def load(self, rest: Sequence[str]) -> str:
        """Replace the candidate by a checkpoint."""
        if list(rest[:2]) != ["checkpoint", "name"] or len(rest) != 3:
            raise unknown(rest[0] if rest else "", ["checkpoint"])
        saved = self.switch.checkpoint(rest[2]).leaves
        self.candidate.do([lambda config: config.become(saved)])
        return f"/system/configuration/checkpoint[id={rest[2]}]:\n    Loaded checkpoint '{rest[2]}'\n"

    def save(self, _: Sequence[str]) -> str:
        """Make the running configuration that of the next start."""
        self.switch.startup = self.switch.running.copy()
        return "/system:\n    Saved current running configuration as initial (startup) configuration\n"

    def tools(self, rest: Sequence[str]) -> str:
        """Do something that is no configuration."""
        words = [word for word in rest if word != "/"]
        for start, act in TOOLS:
            if tuple(words[: len(start)]) == start:
                return act(self.switch, words[len(start) :])
        raise unknown(words[-1] if words else "", sorted({start[-1] for start, _ in TOOLS}))

    def show(self, rest: Sequence[str]) -> str:
        """Show something."""
        return show.show(self.switch, rest)

    def environment(self, _: Sequence[str]) -> str:
        """Change how the command line behaves towards its user; there is nothing to change here."""
        return ""

    def quit(self, _: Sequence[str]) -> str:
        """Hang up."""
        self.leave()
        self.closed = True
        return ""

    def exit(self, _: Sequence[str]) -> str:
        """Leave a context; at the top there is none."""
        return ""

    def _info(self, rest: Sequence[str], pipe: str) -> str:
        """Show a part of a configuration or of the state."""
        words = list(rest)
        is_flat = "flat" in words[:2]
        words = [word for number, word in enumerate(words) if not (number < 2 and word in ("flat", "detail"))]
        source = self.mode if self._candidate is None else "candidate"
        if words[:1] == ["from"]:
            source, words = (words[1:2] or [""])[0], words[2:]
        path = _path(words)
        as_json = pipe.strip() == "as json"
        if source == "state":
            return _filtered(show.state(self.switch, path, as_json=as_json), "" if as_json else pipe)
        sources: Mapping[str, Callable[[], Config]] = {
            "running": lambda: self.switch.running,
            "candidate": lambda: self.candidate.config,
            "startup": lambda: self.switch.startup,
        }
        if source not in sources:
            raise unknown(source, [*sources, "state"])
        shown = show.info(sources[source](), path, is_flat=is_flat, as_json=as_json)
        return _filtered(shown, "" if as_json else pipe)


def _path(tokens: Sequence[str]) -> list[str]:
    """Return the tokens of a path from the top, which is where the user stands."""
    first = tokens[:1]
    if first and first[0] == "/":
        return list(tokens[1:])
    return [first[0].removeprefix("/"), *tokens[1:]] if first else []


def _update(path: "tuple[tuple[str, tuple[tuple[str, str], ...]], ...]", value: object) -> Callable[[Config], None]:
    return lambda config: config.update(path, value)


def _seconds(rest: Sequence[str]) -> int:
    if not rest:
        return _DEFAULT_SECONDS
    if rest[0] != "timeout" or len(rest) != 2 or not rest[1].isdecimal() or int(rest[1]) < 1:
        raise unknown(rest[-1], ["timeout"])
    return int(rest[1])


def _duration(seconds: int) -> str:
    minutes, left = divmod(seconds, 60)
    return f"{minutes} minutes" if minutes and not left else f"{seconds} seconds"


def _filtered(output: str, pipe: str) -> str:
    """Return the lines that ``grep`` lets through."""
    if not pipe:
        return output
    verb, _, pattern = pipe.strip().partition(" ")
    if verb != "grep" or not pattern:
        raise unknown(verb, ["as", "grep"])
    return "".join(line for line in output.splitlines(keepends=True) if re.search(pattern.strip("\"'"), line))


Act = Callable[[SrlinuxCli, Sequence[str]], str]
_ANYWHERE: Mapping[str, Act] = {
    "enter": SrlinuxCli.enter,
    "environment": SrlinuxCli.environment,
    "exit": SrlinuxCli.exit,
    "quit": SrlinuxCli.quit,
    "save": SrlinuxCli.save,
    "show": SrlinuxCli.show,
    "tools": SrlinuxCli.tools,
}
_IN_CANDIDATE: Mapping[str, Act] = {
    **_ANYWHERE,
    "commit": SrlinuxCli.commit,
    "delete": SrlinuxCli.delete,
    "diff": SrlinuxCli.diff,
    "discard": SrlinuxCli.discard,
    "load": SrlinuxCli.load,
    "set": SrlinuxCli.set,
}
_WRITING = ("commit", "delete", "discard", "load", "save", "set", "tools")
