"""One user's conversation with the CLI of a simulated Junos switch; knows nothing of SSH."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aibench_lib.virtual_lab.junos import show
from aibench_lib.virtual_lab.junos.commands import Commands, find, no_more
from aibench_lib.virtual_lab.junos.config import Config, columns, resolve, tokenize
from aibench_lib.virtual_lab.junos.pipe import compare, modify, split
from aibench_lib.virtual_lab.junos.schema import RefusedError

if TYPE_CHECKING:
    from aibench_lib.virtual_lab.junos.switch import JunosSwitch

_USER = "admin"
_DEFAULT_MINUTES = 10
_MOST_MINUTES = 65_535
_YES, _NO = ("", "y", "yes"), ("n", "no")


class Cli:
    """Prompt, mode, and what each line answers."""

    def __init__(self, switch: JunosSwitch) -> None:
        self.switch = switch
        self.closed = False
        self.is_configuring = False
        self._level: list[str] = []
        """Where in the hierarchy the user stands."""
        self._question = ""
        """What the switch has asked and waits for; empty: nothing."""

    @property
    def prompt(self) -> str:
        """What the switch prints when it waits for a line."""
        if self._question:
            return self._question
        host = f"{_USER}@{self.switch.running.value('system', 'host-name') or 'Amnesiac'}"
        if not self.is_configuring:
            return f"\n{host}> "
        left = show.minutes_left(self.switch)
        warning = f"\n# commit confirmed will be rolled back in {left} minutes" if left else ""
        return f"{warning}\n[{' '.join(['edit', *self._level])}]\n{host}# "

    def answer(self, line: str) -> str:
        """Do what a line says and return what the switch prints, each line ended by a newline."""
        line = line.strip()
        if self._question:
            return self._decide(line)
        if not line or line.startswith("#"):
            return ""
        try:
            return self._run(line)
        except RefusedError as refusal:
            return self._refused(line, refusal)

    def once(self, command: str) -> str:
        """Do one command that came with the connection (``ssh switch command``) and return what it prints."""
        return self.answer(command)

    def _run(self, line: str) -> str:
        command, modifiers = split(line)
        tokens = tokenize(command)
        shown = self._shown(tokens, modifiers)
        if shown is None:
            action, behind, taken = find(_CONFIGURATION if self.is_configuring else _OPERATIONAL, tokens)
            try:
                shown = action(self, behind)
            except RefusedError as refusal:
                if refusal.position is not None:
                    raise RefusedError(str(refusal), refusal.position + taken) from None
                raise
        for modifier in modifiers:
            shown = modify(shown, modifier, self.switch.save)
        return shown

    def _shown(self, tokens: list[str], modifiers: list[str]) -> str | None:
        """Return a configuration as the first modifier wants it shown, and take that away; None: it is not asked."""
        asked = [tokenize(modifier) for modifier in modifiers[:1]]
        edits = self.is_configuring
        if edits and tokens[:1] == ["run"]:
            edits, tokens = False, tokens[1:]
        words = ["show"] if edits else ["show", "configuration"]
        if asked not in ([["display", "set"]], [["compare"]]) or not _begins(tokens, words):
            return None
        place = [*(self._level if edits else []), *tokens[len(words) :]]
        if asked == [["compare"]]:
            if not edits:
                return None
            del modifiers[0]
            return compare(self.switch.running, self.switch.candidate)
        del modifiers[0]
        config = self.switch.candidate if edits else self.switch.running
        return "".join(f"{line}\n" for line in config.lines(*resolve(place)))

    def _refused(self, line: str, refusal: RefusedError) -> str:
        """Return a refusal, with a caret below the token it failed at."""
        if refusal.position is None:
            return f"{refusal}\n"
        places = columns(line)
        prompt = self.prompt.rpartition("\n")[2]
        caret = " " * (len(prompt) + places[min(refusal.position, len(places) - 1)]) + "^"
        return f"{caret}\n{refusal}\n"

    def _decide(self, line: str) -> str:
        """Take the answer to the question whether changes shall be left behind."""
        if line.lower() not in (*_YES, *_NO):
            return ""
        self._question = ""
        if line.lower() in _NO:
            return ""
        if self.switch.owner() is self:
            return f"warning: discarding uncommitted changes\nload complete\n{self._leave()}"
        return self._leave()

    def _leave(self) -> str:
        if self.switch.owner() is self:
            self.switch.unlock()
        self.is_configuring, self._level = False, []
        return "Exiting configuration mode\n"

    def _may_edit(self) -> None:
        """Raise `RefusedError` if somebody else has locked the candidate."""
        owner = self.switch.owner()
        if owner is not None and owner is not self:
            raise RefusedError(
                f"error: configuration database locked by:\n  {_USER} terminal pts/0 (pid 4681) on since "
                f"{self.switch.physical.now():%Y-%m-%d %H:%M:%S} UTC, idle 00:00:00\n      exclusive [edit]"
            )

    def configure(self, tokens: list[str]) -> str:
        """Enter the configuration mode, which everybody shares."""
        no_more(tokens, 0)
        self.is_configuring, self._level = True, []
        changed = "The configuration has been changed but not committed\n" if self.switch.is_changed else ""
        return f"Entering configuration mode\n{changed}"

    def configure_exclusive(self, tokens: list[str]) -> str:
        """Enter the configuration mode alone."""
        no_more(tokens, 0)
        self._may_edit()
        if self.switch.is_changed:
            raise RefusedError("error: configuration database modified")
        self.switch.lock(self)
        self.is_configuring, self._level = True, []
        return "warning: uncommitted changes will be discarded on exit\nEntering configuration mode\n"

    def set_cli(self, tokens: list[str]) -> str:
        """Change how the terminal is; output is never paged here."""
        said = {"screen-width": "Screen width set to", "screen-length": "Screen length set to"}
        if tokens[:1] == ["complete-on-space"] and tokens[1:] in (["on"], ["off"]):
            return f"{'Enabling' if tokens[1] == 'on' else 'Disabling'} complete-on-space\n"
        if len(tokens) == 2 and tokens[0] in said and tokens[1].isdecimal():
            return f"{said[tokens[0]]} {tokens[1]}\n"
        raise RefusedError("syntax error.", 0)

    def show_configuration(self, tokens: list[str]) -> str:
        """Show what is committed, in braces."""
        return self.switch.running.text(*resolve(tokens))

    def show_candidate(self, tokens: list[str]) -> str:
        """Show the candidate, in braces."""
        return self.switch.candidate.text(*resolve([*self._level, *tokens]))

    def file_list(self, tokens: list[str]) -> str:
        """Show the names of files."""
        no_more(tokens, 0, 1)
        return show.files(self.switch, *(tokens or ["/var/home/admin"]))

    def file_show(self, tokens: list[str]) -> str:
        """Show a file."""
        return self._file(tokens)[1]

    def file_delete(self, tokens: list[str]) -> str:
        """Delete a file."""
        path, _ = self._file(tokens)
        self.switch.note(f"file delete {path}")
        del self.switch.files[path]
        return ""

    def clear_statistics(self, tokens: list[str]) -> str:
        """Count from nothing; the simulated counters are those of a trial."""
        no_more(tokens, 0)
        return ""

    def set(self, tokens: list[str]) -> str:
        """Add a statement to the candidate."""
        self._may_edit()
        self.switch.note(" ".join(["set", *self._level, *tokens]))
        self._shifted(lambda: self.switch.candidate.set([*self._level, *tokens]))
        return ""

    def delete(self, tokens: list[str]) -> str:
        """Remove a statement, and what stands below it, from the candidate."""
        self._may_edit()
        place = [*self._level, *tokens]
        self.switch.note(" ".join(["delete", *place]))
        if not place:
            raise RefusedError("error: deleting everything asks a question, which is not simulated")
        found = self._shifted(lambda: self.switch.candidate.delete(place))
        return "" if found else "warning: statement not found\n"

    def commit(self, tokens: list[str]) -> str:
        """Make the candidate take effect."""
        self._may_edit()
        words = _without_comment(tokens)
        self.switch.note(" ".join(["commit", *words]))
        if words == ["check"]:
            self.switch.check()
            self.switch.confirm()
            return "configuration check succeeds\n"
        minutes = None
        if words[:1] == ["confirmed"]:
            minutes, words = _minutes(words[1:2]), words[2:]
        if words not in ([], ["and-quit"]):
            raise RefusedError("syntax error.", len(tokens) - len(words))
        self.switch.commit(minutes)
        told = f"commit confirmed will be automatically rolled back in {minutes} minutes unless confirmed\n"
        return f"{told if minutes else ''}commit complete\n{self._leave() if words else ''}"

    def rollback(self, tokens: list[str]) -> str:
        """Make an earlier configuration the candidate."""
        no_more(tokens, 0, 1)
        self._may_edit()
        number = tokens[0] if tokens else "0"
        if not number.isdecimal():
            raise RefusedError("syntax error.", 0)
        self.switch.note(f"rollback {number}")
        self.switch.rollback(int(number))
        return "load complete\n"

    def save(self, tokens: list[str]) -> str:
        """Write the candidate into a file."""
        if not tokens:
            raise RefusedError("missing argument.", 0)
        no_more(tokens, 0, 1)
        self.switch.note(f"save {tokens[0]}")
        text = self.switch.candidate.text(*self._level)
        self.switch.save(tokens[0], text)
        return f"Wrote {len(text.splitlines())} lines of configuration to '{tokens[0]}'\n"

    def load(self, tokens: list[str]) -> str:
        """Read a file into the candidate, or in its place."""
        self._may_edit()
        if len(tokens) < 2 or tokens[0] not in ("override", "merge", "set"):
            raise RefusedError("syntax error.", 0)
        path, text = self._file(tokens[1:])
        self.switch.note(f"load {tokens[0]} {path}")
        config = Config() if tokens[0] == "override" else self.switch.candidate.copy()
        try:
            (config.type if tokens[0] == "set" else config.load)(text)
        except RefusedError as refusal:
            raise RefusedError(f"{path}: {refusal}\nload complete (1 errors)") from None
        self.switch.replace_candidate(config)
        return "load complete\n"

    def edit(self, tokens: list[str]) -> str:
        """Go down in the hierarchy."""
        if not tokens:
            raise RefusedError("missing argument.", 0)
        self._level = list(resolve([*self._level, *tokens]))
        return ""

    def up(self, tokens: list[str]) -> str:
        """Go up one level."""
        no_more(tokens, 0)
        self._level = self._level[:-1]
        return ""

    def top(self, tokens: list[str]) -> str:
        """Go to the top of the hierarchy."""
        no_more(tokens, 0)
        self._level = []
        return ""

    def run(self, tokens: list[str]) -> str:
        """Do an operational command from the configuration mode."""
        action, behind, _ = find(_OPERATIONAL, tokens)
        return action(self, behind)

    def exit(self, tokens: list[str]) -> str:
        """Leave a level, the configuration mode, or the session."""
        if not self.is_configuring:
            no_more(tokens, 0)
            self.closed = True
            return ""
        if tokens not in ([], ["configuration-mode"]):
            raise RefusedError("syntax error.", 0)
        if self._level and not tokens:
            self._level = []
            return ""
        if not self.switch.is_changed:
            return self._leave()
        if self.switch.owner() is self:
            self._question = "Discard uncommitted changes? [yes,no] (yes) "
            auto = "warning: Auto rollback on exiting 'configure exclusive'\n"
            return f"The configuration has been changed but not committed\n{auto}"
        self._question = "Exit with uncommitted changes? [yes,no] (yes) "
        return "The configuration has been changed but not committed\n"

    def _file(self, tokens: Sequence[str]) -> tuple[str, str]:
        if not tokens:
            raise RefusedError("missing argument.", 0)
        if tokens[0] not in self.switch.files:
            raise RefusedError(f"error: could not open '{tokens[0]}': No such file or directory")
        return tokens[0], self.switch.files[tokens[0]]

    def _shifted(self, act: Callable[[], bool | None]) -> bool | None:
        """Do something with a whole path, and tell where a line failed that has its end alone."""
        try:
            return act()
        except RefusedError as refusal:
            if refusal.position is None or not self._level:
                raise
            raise RefusedError(str(refusal), max(refusal.position - len(self._level), 0)) from None


def _begins(tokens: Sequence[str], words: Sequence[str]) -> bool:
    """Whether a line begins with some words, or with beginnings of them."""
    return len(tokens) >= len(words) and all(word.startswith(token) for word, token in zip(words, tokens, strict=False))


def _without_comment(tokens: list[str]) -> list[str]:
    if "comment" not in tokens:
        return list(tokens)
    at = tokens.index("comment")
    return tokens[:at] + tokens[at + 2 :]


def _minutes(tokens: list[str]) -> int:
    """Return for how long a commit waits for its confirmation."""
    if not tokens or tokens == ["and-quit"]:
        return _DEFAULT_MINUTES
    if not tokens[0].isdecimal():
        raise RefusedError("syntax error.", 1)
    if not 1 <= int(tokens[0]) <= _MOST_MINUTES:
        raise RefusedError(f"Value {tokens[0]} is not within range (1..{_MOST_MINUTES})", 1)
    return int(tokens[0])


def _one(printer: Callable[[JunosSwitch], str]) -> Callable[[Cli, list[str]], str]:
    def action(cli: Cli, tokens: list[str]) -> str:
        no_more(tokens, 0)
        return printer(cli.switch)

    return action


def _of_interface(printer: Callable[[JunosSwitch, str | None], str]) -> Callable[[Cli, list[str]], str]:
    def action(cli: Cli, tokens: list[str]) -> str:
        no_more(tokens, 0, 1)
        return printer(cli.switch, *tokens)

    return action


_OPERATIONAL: Commands[Cli] = {
    "configure": Cli.configure,
    "configure exclusive": Cli.configure_exclusive,
    "set cli": Cli.set_cli,
    "show configuration": Cli.show_configuration,
    "show version": _one(show.version),
    "show system uptime": _one(show.uptime),
    "show system commit": _one(show.system_commit),
    "show interfaces terse": _of_interface(show.interfaces_terse),
    "show interfaces media": _of_interface(show.interfaces_media),
    "show lldp neighbors": _one(show.lldp_neighbors),
    "show class-of-service shared-buffer": _one(show.shared_buffer),
    "file list": Cli.file_list,
    "file show": Cli.file_show,
    "file delete": Cli.file_delete,
    "clear interfaces statistics all": Cli.clear_statistics,
    "exit": Cli.exit,
    "quit": Cli.exit,
}
_CONFIGURATION: Commands[Cli] = {
    "set": Cli.set,
    "delete": Cli.delete,
    "show": Cli.show_candidate,
    "edit": Cli.edit,
    "up": Cli.up,
    "top": Cli.top,
    "commit": Cli.commit,
    "rollback": Cli.rollback,
    "save": Cli.save,
    "load": Cli.load,
    "run": Cli.run,
    "exit": Cli.exit,
    "quit": Cli.exit,
}
