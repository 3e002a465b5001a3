"""One user's conversation with the shell of a simulated SONiC switch; knows nothing of SSH.

Of a shell there is what configuring a switch needs: quotes, pipes, ``>`` and ``>>``, ``;`` and ``&&``.
"""

import itertools
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from aibench_lib.virtual_lab.sonic import config, programs, show, systemd
from aibench_lib.virtual_lab.sonic.call import Call, Result

if TYPE_CHECKING:
    from aibench_lib.virtual_lab.sonic.switch import SonicSwitch

USER = "admin"
_WRITABLE = ("/tmp/", f"/home/{USER}/")
_FOLDERS = ("/usr/local/bin/", "/usr/bin/", "/bin/")
_LISTS = (";", "&&")
_NOT_FOUND = 127


class Shell:
    """Prompt, and what each line answers."""

    def __init__(self, switch: "SonicSwitch") -> None:
        self.switch = switch
        self.closed = False

    @property
    def prompt(self) -> str:
        """What the switch prints when it waits for a line."""
        return f"{USER}@{self.switch.name}:~$ "

    def answer(self, line: str) -> str:
        """Do what a line says and return what the switch prints, each line ended by a newline."""
        self.switch.tick()
        result = self.run(line, root=False)
        shown = result.out + result.err
        return shown if not shown or shown.endswith("\n") else f"{shown}\n"

    def once(self, command: str) -> str:
        """Do one command that came with the connection and return what it prints."""
        return self.answer(command)

    def leave(self) -> None:
        """Hang up."""
        self.closed = True

    def run(self, line: str, *, root: bool) -> Result:
        """Do what a line says."""
        try:
            tokens = _tokens(line)
        except ValueError:
            return Result(err="-bash: unexpected EOF while looking for matching quote\n", status=2)
        result = Result()
        for operator, command in _split(tokens, _LISTS):
            if operator == "&&" and result.status:
                break
            following = self._pipeline(command, root=root)
            result = Result(result.out + following.out, result.err + following.err, following.status)
        return result

    def call(self, words: Sequence[str], stdin: str, *, root: bool) -> Result:
        """Do one command."""
        name, *arguments = words
        for folder in _FOLDERS:
            name = name.removeprefix(folder)
        if name == "sudo":
            if not arguments:
                return Result(err="usage: sudo -h | -K | -k | -V\n", status=1)
            return self.call(arguments, stdin, root=True)
        act = _COMMANDS.get(name)
        if act is None:
            where = "sudo: " if root else "-bash: "
            return Result(err=f"{where}{words[0]}: command not found\n", status=_NOT_FOUND)
        return act(Call(self.switch, self, tuple(arguments), stdin, root))

    def _pipeline(self, tokens: Sequence[str], *, root: bool) -> Result:
        out, err, status = "", "", 0
        for _, command in _split(tokens, ("|",)):
            words, target, appends = _redirected(command)
            if not words:
                return Result(err="-bash: syntax error near unexpected token\n", status=2)
            result = self.call(words, out, root=root)
            out, err, status = result.out, err + result.err, result.status
            if target is not None:
                err += self._write(target, out, appends=appends)
                out = ""
        return Result(out, err, status)

    def _write(self, path: str, content: str, *, appends: bool) -> str:
        """Write a file; return what is wrong with that."""
        if not path.startswith(_WRITABLE):
            return f"-bash: {path}: Permission denied\n"
        before = self.switch.files.get(path, "") if appends else ""
        self.switch.files[path] = before + content
        return ""


def _tokens(line: str) -> list[str]:
    """Return a line's words and operators.

    Raises:
        ValueError: A quote is not closed.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&><")
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)


def _split(tokens: Sequence[str], operators: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the commands between some operators, each with the operator before it."""
    found: list[tuple[str, list[str]]] = []
    operator = ""
    for is_operator, group in itertools.groupby(tokens, lambda token: token in operators):
        part = list(group)
        if is_operator:
            operator = part[-1]
        else:
            found.append((operator, part))
    return found


def _redirected(words: Sequence[str]) -> tuple[list[str], str | None, bool]:
    """Return a command without its redirection, the file, and whether it grows."""
    for operator in (">>", ">"):
        if operator in words:
            at = words.index(operator)
            return [*words[:at], *words[at + 2 :]], words[at + 1] if at + 1 < len(words) else "", operator == ">>"
    return list(words), None, False


_COMMANDS: Mapping[str, Callable[[Call], Result]] = {
    "echo": programs.echo,
    "base64": programs.base64,
    "cat": programs.cat,
    "rm": programs.rm,
    "sh": programs.sh,
    "bash": programs.sh,
    "exit": programs.leave,
    "logout": programs.leave,
    "hostname": programs.hostname,
    "sonic-cfggen": programs.cfggen,
    "sonic-clear": programs.clear,
    "config": config.run,
    "show": show.run,
    "systemd-run": systemd.run,
    "systemctl": systemd.control,
}
