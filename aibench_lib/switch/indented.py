"""Read an indented configuration, as most command lines show it."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

from aibench_lib.platforms import KEY


def lines_within(config: str, within: Sequence[str]) -> list[str]:
    """Return the lines directly below the enclosing lines, without their indentation.

    Args:
        config: The configuration; a line belongs to the nearest line above it that is indented less.
        within: The enclosing lines, outermost first; empty means the top level.
    """
    lines = [line for line in config.splitlines() if line.strip()]
    for header in within:
        level = _children(lines)
        at = next((number for number, line in enumerate(lines) if line in level and line.strip() == header), None)
        if at is None:
            return []
        depth = _depth(lines[at])
        lines = list(itertools.takewhile(lambda line: _depth(line) > depth, lines[at + 1 :]))  # noqa: B023 - used at once
    return [line.strip() for line in _children(lines)]


def values_in(lines: Sequence[str], patterns: Sequence[str]) -> dict[str, Any]:
    r"""Return the named groups of the patterns that match a line, digits as numbers.

    Beside a group ``key`` in its pattern a value is a mapping from what that group matched.  A pattern with ``\n``
    matches lines that follow one another.
    """
    found: dict[str, Any] = {}
    for number, pattern in itertools.product(range(len(lines)), patterns):
        match = re.match(pattern, "\n".join(lines[number : number + 1 + pattern.count(r"\n")]))
        if match:
            groups = {name: int(text) if text.isdecimal() else text for name, text in match.groupdict().items()}
            key = groups.pop(KEY, None)
            for name, value in groups.items():
                found[name] = value if key is None else {**found.get(name, {}), key: value}
    return found


def _children(lines: Sequence[str]) -> list[str]:
    depth = min((_depth(line) for line in lines), default=0)
    return [line for line in lines if _depth(line) == depth]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
