"""Lists and ranges of interfaces and numbers as NVUE writes them: ``swp1-3,swp5``, ``swp1-3,5``, ``4,5,7``."""

import itertools
import re
from collections.abc import Iterable, Sequence

_SPAN = re.compile(r"(?P<word>[a-z]*)(?P<low>\d+)(?:-(?:[a-z]*)(?P<high>\d+))?")
_NUMBERED = ("traffic-class", "switch-priority", "dscp", "pcp")
"""What stands before a number of which several may be given at once."""
_LONGEST = 1024


def expand(token: str) -> list[str]:
    """Return what a list stands for; a token that is none stands for itself."""
    found: list[str] = []
    word = ""
    for part in token.split(","):
        span = _SPAN.fullmatch(part)
        if span is None:
            found.append(part)
            continue
        word = span["word"] or word
        low, high = int(span["low"]), int(span["high"] or span["low"])
        if not low <= high < low + _LONGEST:
            return [token]
        found += [f"{word}{number}" for number in range(low, high + 1)]
    return found


def each(tokens: Sequence[str]) -> list[list[str]]:
    """Return the single paths that a path with lists stands for."""
    choices = [expand(token) if _may_be_list(tokens, position) else [token] for position, token in enumerate(tokens)]
    return [list(path) for path in itertools.product(*choices)]


def _may_be_list(tokens: Sequence[str], position: int) -> bool:
    before = tokens[position - 1] if position else ""
    return before in _NUMBERED or (position == 1 and tokens[0] == "interface")


def compress(names: Iterable[str]) -> str:
    """Return interfaces as one list, with ranges, as the configuration shows it."""
    parts: list[str] = []
    word = ""
    for name, run in itertools.groupby(enumerate(sorted(names, key=natural)), key=_run):
        members = [member for _, member in run]
        first, last = (re.sub(r"^[a-z]+", "", member) for member in (members[0], members[-1]))
        shown = name[0] if name[0] != word else ""
        word = name[0]
        parts.append(f"{shown}{first}" + (f"-{last}" if first != last else ""))
    return ",".join(parts)


def _run(numbered: tuple[int, str]) -> tuple[str, int]:
    position, name = numbered
    span = re.fullmatch(r"([a-z]+)(\d+)", name)
    return (span[1], int(span[2]) - position) if span else (name, 0)


def natural(text: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in a text by their value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]
