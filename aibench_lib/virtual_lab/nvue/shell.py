"""One user's shell on a simulated Cumulus Linux switch; knows nothing of SSH."""

import base64
import binascii
import re
import shlex
from collections.abc import Sequence

from aibench_lib.virtual_lab.nvue.commands import Nv
from aibench_lib.virtual_lab.nvue.schema import NvueError
from aibench_lib.virtual_lab.nvue.show import MODEL, SOFTWARE
from aibench_lib.virtual_lab.nvue.switch import NvueSwitch

STARTUP = "/etc/nvue.d/startup.yaml"
_HOME = "/home/cumulus/"
_READS = re.compile(
    r"nv\s+(sh|show)\b|nv\s+config\s+(show|diff|history|revision)\b|(date|hostname|ls|cat|exit|logout)\b"
)


class ShellError(Exception):
    """What a program prints that fails."""


class Shell:
    """Prompt, and what each line answers."""

    def __init__(self, switch: NvueSwitch) -> None:
        self.closed = False
        self._switch = switch
        self._nv = Nv(switch, self._read)

    @property
    def prompt(self) -> str:
        """What the shell prints when it waits for a line."""
        return f"cumulus@{self._switch.running.value('system', 'hostname') or 'cumulus'}:mgmt:~$ "

    def once(self, command: str) -> str:
        """Do one command that came with the connection."""
        return self.answer(command)

    def answer(self, line: str) -> str:
        """Do what a line says and return what is printed, each line ended by a newline."""
        line = line.strip()
        if not line or line.startswith("#"):
            return ""
        if not _READS.match(line) or ">" in line:
            self._switch.note(line)
        try:
            return self._line(line)
        except (NvueError, ShellError) as error:
            return f"{error}\n"

    def _line(self, line: str) -> str:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|>;&")
        lexer.whitespace_split, lexer.commenters = True, ""
        try:
            words = list(lexer)
        except ValueError as error:
            raise ShellError(f"-bash: {error}") from error
        command, redirection, target = _redirected(words)
        output = self._pipeline(command)
        if not redirection:
            return output
        content = self.files.get(_home(target), "") if redirection == ">>" else ""
        self._write(target, content + output)
        return ""

    @property
    def files(self) -> dict[str, str]:
        """The home directory."""
        return self._switch.files

    def _pipeline(self, words: Sequence[str]) -> str:
        if "|" not in words:
            return self._program(words)
        at = list(words).index("|")
        if list(words[at + 1 :]) != ["base64", "-d"]:
            raise ShellError(f"-bash: {' '.join(words[at + 1 :])}: command not found")
        try:
            return base64.b64decode(self._program(words[:at]), validate=False).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ShellError("base64: invalid input") from error

    def _program(self, words: Sequence[str]) -> str:
        name, arguments = words[0], list(words[1:])
        if name == "nv":
            return self._nv.run(arguments)
        programs = {
            "cat": self._cat,
            "cp": self._cp,
            "date": self._date,
            "echo": lambda said: " ".join(said) + "\n",
            "exit": self._exit,
            "hostname": lambda _: f"{self._switch.running.value('system', 'hostname')}\n",
            "logout": self._exit,
            "ls": self._ls,
            "rm": self._rm,
        }
        if name not in programs:
            raise ShellError(f"-bash: {name}: command not found")
        return programs[name](arguments)

    def _read(self, path: str) -> str:
        if path == STARTUP:
            return self._switch.revisions.saved.as_yaml(MODEL, SOFTWARE)
        if _home(path) not in self.files:
            raise NvueError(f"Error: {path}: No such file or directory")
        return self.files[_home(path)]

    def _write(self, path: str, content: str) -> None:
        name = _home(path)
        if "/" in name:
            raise ShellError(f"-bash: {path}: Permission denied")
        if name not in self.files and len(self.files) >= self._switch.max_checkpoints:
            raise ShellError(f"cp: error writing '{path}': No space left on device")
        self.files[name] = content

    def _cat(self, paths: list[str]) -> str:
        return "".join(map(self._read, paths))

    def _cp(self, paths: list[str]) -> str:
        if len(paths) != 2:
            raise ShellError("cp: missing file operand")
        if paths[0] != STARTUP and _home(paths[0]) not in self.files:
            raise ShellError(f"cp: cannot stat '{paths[0]}': No such file or directory")
        self._write(paths[1], self._read(paths[0]))
        return ""

    def _rm(self, paths: list[str]) -> str:
        force = "-f" in paths
        for path in (path for path in paths if path != "-f"):
            if self.files.pop(_home(path), None) is None and not force:
                raise ShellError(f"rm: cannot remove '{path}': No such file or directory")
        return ""

    def _ls(self, _: list[str]) -> str:
        return "".join(f"{name}\n" for name in sorted(self.files))

    def _date(self, arguments: list[str]) -> str:
        form = next((word[1:] for word in arguments if word.startswith("+")), "%a %b %e %H:%M:%S UTC %Y")
        return f"{self._switch.physical.now().strftime(form)}\n"

    def _exit(self, _: list[str]) -> str:
        self.closed = True
        return ""


def _home(path: str) -> str:
    """Return a path as the home directory has it."""
    return path.removeprefix("~/").removeprefix(_HOME).removeprefix("./")


def _redirected(words: list[str]) -> tuple[list[str], str, str]:
    """Return a command, how its output is redirected (empty: not), and into which file."""
    if len(words) > 2 and words[-2] in (">", ">>"):
        return words[:-2], words[-2], words[-1]
    return words, "", ""
