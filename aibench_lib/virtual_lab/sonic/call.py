"""What a command of the simulated shell is given, and what it gives back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aibench_lib.virtual_lab.sonic.shell import Shell
    from aibench_lib.virtual_lab.sonic.switch import SonicSwitch


@dataclass(frozen=True)
class Result:
    """What a command has written, and its exit status."""

    out: str = ""
    err: str = ""
    status: int = 0


@dataclass(frozen=True)
class Call:
    """A command that was typed."""

    switch: "SonicSwitch"
    shell: "Shell"
    words: tuple[str, ...]
    """After the command's name."""
    stdin: str
    root: bool


@dataclass(frozen=True)
class Subcommand:
    """One of a program's commands, as click knows it."""

    path: tuple[str, ...]
    act: Callable[[Call, dict[str, str]], Result]
    """Given the options that are there and the arguments, by their names in lower case."""
    arguments: tuple[str, ...] = ()
    """Those that must be there, and in brackets one that may be."""
    options: tuple[str, ...] = ()
    """Flags such as ``-y``; with ``=`` at the end an option with a value."""
    writes: bool = True


def dispatch(program: str, commands: Sequence[Subcommand], call: Call) -> Result:
    """Do the subcommand that was typed, or refuse it as click does."""
    words = call.words
    alike = [one for one in commands if one.path == words[: len(one.path)]]
    if not alike:
        depth = max((_common(one.path, words) for one in commands), default=0)
        group = " ".join((program, *words[:depth]))
        problem = f'No such command "{words[depth]}".' if depth < len(words) else "Missing command."
        return usage(f"{group} [OPTIONS] COMMAND [ARGS]...", group, problem)
    command = alike[0]
    if command.writes:
        call.switch.note(" ".join((program, *words)))
    return _parsed(program, command, call)


def usage(line: str, command: str, problem: str) -> Result:
    """Return how click refuses a command."""
    return Result(err=f'Usage: {line}\nTry "{command} -h" for help.\n\nError: {problem}\n', status=2)


def refused(program: str, command: Subcommand, problem: str) -> Result:
    """Return how a command that was understood fails."""
    name = " ".join((program, *command.path))
    arguments = "".join(f" {argument.upper().replace('-', '_')}" for argument in command.arguments)
    return usage(f"{name} [OPTIONS]{arguments}", name, problem)


def _parsed(program: str, command: Subcommand, call: Call) -> Result:
    values: dict[str, str] = {}
    plain: list[str] = []
    rest = list(call.words[len(command.path) :])
    while rest:
        word = rest.pop(0)
        name, is_pair, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            plain.append(word)
        elif word in command.options:
            values[word] = ""
        elif f"{name}=" in command.options and (is_pair or rest):
            values[name] = value if is_pair else rest.pop(0)
        else:
            return refused(program, command, f"no such option: {word}")
    for argument in command.arguments:
        if plain:
            values[argument.strip("[]")] = plain.pop(0)
        elif not argument.startswith("["):
            return refused(program, command, f'Missing argument "{argument.upper().replace("-", "_")}".')
    if plain:
        return refused(program, command, f"Got unexpected extra argument ({plain[0]})")
    return command.act(call, values)


def _common(path: Sequence[str], words: Sequence[str]) -> int:
    """Return how many words two commands begin with alike."""
    count = 0
    for one, other in zip(path[:-1], words, strict=False):
        if one != other:
            break
        count += 1
    return count
