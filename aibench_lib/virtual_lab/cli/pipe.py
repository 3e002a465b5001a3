"""Output modifiers after ``|``."""

import re
from collections.abc import Callable, Mapping

from aibench_lib.virtual_lab.cli.grammar import CliError


def apply_pipe(modifier: str, output: str) -> str:
    """Return the part of a command's output that a modifier lets through.

    Raises:
        CliError: The modifier is not one of ``include``, ``exclude``, ``begin``, ``section``, ``no-more``, or the
            pattern is wrong.
    """
    verb, _, text = modifier.partition(" ")
    known = [name for name in _MODIFIERS if verb and name.startswith(verb)]
    if len(known) != 1:
        raise CliError(f"% Invalid input (at token 0: '{verb}')")
    try:
        pattern = re.compile(text.strip())
    except re.error as error:
        raise CliError(f"% Invalid regular expression: {error}") from error
    lines = output.splitlines(keepends=True)
    return "".join(_MODIFIERS[known[0]](lines, pattern))


def _include(lines: list[str], pattern: re.Pattern[str]) -> list[str]:
    return [line for line in lines if pattern.search(line)]


def _exclude(lines: list[str], pattern: re.Pattern[str]) -> list[str]:
    return [line for line in lines if not pattern.search(line)]


def _begin(lines: list[str], pattern: re.Pattern[str]) -> list[str]:
    first = next((number for number, line in enumerate(lines) if pattern.search(line)), len(lines))
    return lines[first:]


def _section(lines: list[str], pattern: re.Pattern[str]) -> list[str]:
    """Keep the blocks that match: whole if their first line does, else what does in them under their first lines."""
    found: list[str] = []
    while lines:
        head, *rest = lines
        end = next((number for number, line in enumerate(rest) if _indent(line) <= _indent(head)), len(rest))
        if pattern.search(head):
            found += [head, *rest[:end]]
        elif inner := _section(rest[:end], pattern):
            found += [head, *inner]
        lines = rest[end:]
    return found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


_MODIFIERS: Mapping[str, Callable[[list[str], re.Pattern[str]], list[str]]] = {
    "include": _include,
    "exclude": _exclude,
    "begin": _begin,
    "section": _section,
    "no-more": lambda lines, _: lines,
}
