"""Which command a typed line calls: words that may be abbreviated, and what follows them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from aibench_lib.virtual_lab.junos.schema import RefusedError

C = TypeVar("C")
Action = Callable[[C, list[str]], str]
"""Does a command with the tokens behind its words; returns what it prints."""
Commands = Mapping[str, Action[C]]
"""By words."""


def find(commands: Commands[C], tokens: Sequence[str]) -> tuple[Action[C], list[str], int]:
    """Return the action that a line calls, the tokens behind its words, and how many words there are.

    Raises:
        RefusedError: There is no such command, or the line is the beginning of several.
    """
    best, depth = None, 0
    for words, action in commands.items():
        parts = words.split()
        reach = _reach(parts, tokens)
        depth = max(depth, reach)
        if reach == len(parts) and (best is None or _is_better(parts, best[0], tokens)):
            best = (parts, action)
    if best is not None:
        return best[1], list(tokens[len(best[0]) :]), len(best[0])
    if depth == len(tokens):
        raise RefusedError("missing argument.", depth)
    raise RefusedError("unknown command." if depth == 0 else "syntax error, expecting <command>.", depth)


def no_more(tokens: Sequence[str], position: int, most: int = 0) -> None:
    """Raise `RefusedError` if there are more tokens behind a command than it takes."""
    if len(tokens) > most:
        raise RefusedError("syntax error.", position + most)


def _reach(parts: Sequence[str], tokens: Sequence[str]) -> int:
    """Return how many of a command's words a line begins with."""
    for number, (part, token) in enumerate(zip(parts, tokens, strict=False)):
        if not part.startswith(token):
            return number
    return min(len(parts), len(tokens))


def _is_better(parts: Sequence[str], other: Sequence[str], tokens: Sequence[str]) -> bool:
    """Whether a command fits better than another: it has more words, or more that are typed in full."""
    if len(parts) != len(other):
        return len(parts) > len(other)
    typed = list(tokens[: len(parts)])
    return sum(map(str.__eq__, parts, typed)) > sum(map(str.__eq__, other, typed))
