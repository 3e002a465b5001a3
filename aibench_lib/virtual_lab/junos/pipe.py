"""Output modifiers after ``|``."""

import re
from collections.abc import Callable, Sequence

from aibench_lib.virtual_lab.junos.config import Config, Path, below, resolve
from aibench_lib.virtual_lab.junos.schema import SCHEMA, RefusedError

_SPLIT = re.compile(r'\s*\|\s*(?=(?:[^"]*"[^"]*")*[^"]*$)')


def split(line: str) -> tuple[str, list[str]]:
    """Return a command and the modifiers behind it."""
    command, *modifiers = _SPLIT.split(line)
    return command, modifiers


def modify(output: str, modifier: str, save: Callable[[str, str], None]) -> str:
    """Return the part of a command's output that a modifier lets through.

    Args:
        output: What the command prints.
        modifier: Such as ``match et-``.
        save: Writes a text into a file of the switch.

    Raises:
        RefusedError: There is no such modifier, or there is no room for a file.
    """
    verb, _, text = modifier.strip().partition(" ")
    text = text.strip().strip('"')
    lines = output.splitlines(keepends=True)
    if verb == "no-more" and not text:
        return output
    if verb == "count" and not text:
        return f"Count: {len(lines)} lines\n"
    if verb in ("match", "except") and text:
        return "".join(line for line in lines if bool(_search(text, line)) is (verb == "match"))
    if verb == "save" and text:
        save(text, output)
        return f"Wrote {len(lines)} lines of output to '{text}'\n"
    raise RefusedError("syntax error, expecting <command>.", 0)


def compare(old: Config, new: Config) -> str:
    """Return what has to be removed from one configuration and added to make it another."""
    before, after = old.paths(), new.paths()
    changes: dict[str, list[str]] = {}
    for sign, some, others in (("-", before, set(after)), ("+", after, set(before))):
        for path in some:
            if path not in others:
                level, statement = _statement(path)
                changes.setdefault(level, []).append(f"{sign}  {statement};\n")
    return "".join(f"{level}\n{''.join(lines)}" for level, lines in changes.items())


def _statement(path: Path) -> tuple[str, str]:
    """Return the level that a statement stands on, and the statement."""
    node = SCHEMA
    for word in resolve(path)[:-1]:
        node = below(node, word)
    depth = len(path) - (1 if path[-1] in node.words else 2)
    return " ".join(["[edit", *path[:depth]]) + "]", " ".join(path[depth:])


def _search(pattern: str, line: str) -> Sequence[str] | None:
    try:
        return re.findall(pattern, line, flags=re.IGNORECASE)
    except re.error as error:
        raise RefusedError(f"error: invalid regular expression: {error}") from error
