"""Match a typed line against command patterns, as the CLI does: abbreviations, ranges, and where it went wrong.

A pattern is words and values: ``mtu <bytes:68..9214>``. A value's kind is a range, with as many decimals as its lower
bound has, a choice (``bytes|kbytes``), ``word``, ``interface``, ``address`` (10.0.0.1), ``prefix`` (10.0.0.0/8),
``address/length`` (10.0.0.1/8), or ``line`` (the rest). ``<*name:kind>`` marks a value that tells one line from another
(``uc-tx-queue <*queue:0..7>``); a tail in brackets may be left out.
"""

import functools
import ipaddress
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, Protocol, TypeVar


class CliError(Exception):
    """The answer to a line that is not accepted.

    Args:
        message: As EOS words it; a dialect that words it otherwise tells by ``kind`` and ``position``.
        position: The token it failed at.
        kind: ``invalid``, ``ambiguous`` or ``incomplete`` for a line that no command matches, else empty.
    """

    def __init__(self, message: str, position: int = 0, kind: str = "") -> None:
        super().__init__(message)
        self.position = position
        self.kind = kind


@dataclass(frozen=True)
class Ports:
    """How a switch's interfaces are called and how users abbreviate them.

    Args:
        names: The interfaces there are.
        short: Regular expression for the word before the number, in any abbreviation, in lower case.
        full: That word in full.
        number: Regular expression for the number.
    """

    names: Collection[str]
    short: str = "et(?:h|he|her|hern|herne|hernet)?"
    full: str = "Ethernet"
    number: str = r"\d+(?:/\d+)*"

    def canonical(self, token: str) -> str | None:
        """Return an interface's name in full, or None if there is none of that name."""
        found = re.fullmatch(f"(?:{self.short})({self.number})", token.lower())
        name = f"{self.full}{found[1]}" if found else token
        return name if name in self.names else None

    def tokenize(self, line: str) -> list[str]:
        """Return a line's tokens; ``ethernet 1`` is one, as ``Ethernet1`` is."""
        return re.sub(rf"\b({self.short})\s+(?=\d)", r"\1", line, flags=re.IGNORECASE).split()


@dataclass(frozen=True)
class Word:
    """A keyword; any unambiguous beginning of it is accepted."""

    text: str


@dataclass(frozen=True)
class Value:
    """Something the user chooses."""

    name: str
    kind: str
    key: bool

    def read(self, token: str, ports: Ports) -> str | None:
        """Return the token as the configuration shows it, or None if it is not such a value."""
        if ".." in self.kind:
            return _number(token, *self.kind.split(".."))
        if "|" in self.kind:
            choices = self.kind.split("|")
            matches = [choice for choice in choices if choice.startswith(token.lower()) and choice[0].isalpha()]
            return token if token in choices else matches[0] if len(matches) == 1 else None
        if self.kind in _ADDRESSES:
            return _address(token, self.kind)
        if self.kind == "interface":
            return ports.canonical(token)
        return token


_ADDRESSES: Mapping[str, Callable[[str], object]] = {
    "address": ipaddress.IPv4Address,
    "prefix": ipaddress.IPv4Network,
    "address/length": ipaddress.IPv4Interface,
}


def _number(token: str, low: str, high: str) -> str | None:
    """Return a number as the configuration shows it, or None if it is out of range or finer than the range's bound."""
    decimals = len(low.partition(".")[2])
    if not re.fullmatch(rf"\d+(\.\d{{1,{decimals}}})?" if decimals else r"\d+", token, re.ASCII):
        return None
    number = Decimal(token)
    return f"{number:.{decimals}f}" if Decimal(low) <= number <= Decimal(high) else None


def _address(token: str, kind: str) -> str | None:
    if ("/" in token) == (kind == "address"):  # the classes take a bare address for a network of one
        return None
    try:
        return str(_ADDRESSES[kind](token))
    except ValueError:
        return None


Form = tuple[Word | Value, ...]


class HasPattern(Protocol):
    """Anything that is called by a line."""

    @property
    def pattern(self) -> str: ...  # noqa: D102 - the module's docstring describes patterns


C = TypeVar("C", bound=HasPattern)


@dataclass(frozen=True)
class Match(Generic[C]):
    """A line that was understood."""

    command: C
    form: Form
    words: tuple[str, ...]
    """The line's words in full; the rest of a line is one word."""

    @property
    def text(self) -> str:
        """The line as the configuration shows it."""
        return " ".join(self.words)

    @property
    def values(self) -> Mapping[str, str]:
        """The chosen values by name; those of a tail that was left out are missing."""
        pairs = zip(self.form, self.words, strict=False)
        return {part.name: word for part, word in pairs if isinstance(part, Value)}

    @property
    def identity(self) -> str:
        """What the line shares with every line that would replace it: words before the first value, and key values.

        A tail that may be left out does not count.
        """
        return identity(forms(self.command.pattern)[-1], self.words)


def identity(form: Form, words: Sequence[str]) -> str:
    """Return the words of a line up to its first value that is not a key."""
    kept = []
    for part, word in zip(form, words, strict=False):
        if isinstance(part, Value) and not part.key:
            break
        kept.append(word)
    return " ".join(kept)


@functools.cache
def forms(pattern: str) -> tuple[Form, ...]:
    """Return the forms of a pattern: the whole, and the one without its tail in brackets."""
    head, bracket, tail = pattern.partition(" [")
    whole = tuple(_part(text) for text in f"{head} {tail.removesuffix(']')}".split())
    return (whole, whole[: len(head.split())]) if bracket else (whole,)


def match(commands: Sequence[C], tokens: Sequence[str], ports: Ports, *, negated: bool = False) -> Match[C]:
    """Return the command that a line calls.

    Args:
        commands: What may be typed here.
        tokens: The line's tokens, at least one.
        ports: The switch's interfaces.
        negated: Whether the line began with ``no``, which is not among the tokens: then it may stop anywhere after what
            identifies it (``no mtu``).

    Raises:
        CliError: As the switch words it: invalid input, ambiguous, or incomplete.
    """
    alive: list[Match[C]] = [Match(command, form, ()) for command in commands for form in forms(command.pattern)]
    for position, token in enumerate(tokens, int(negated)):
        alive = _step(alive, position, token, ports)
    for found in alive:
        if len(found.words) >= (_identifying(found.form) if negated else len(found.form)):
            return found
    position = len(tokens) + negated
    raise CliError(f"% Incomplete command (at token {position}: 'None')", position, "incomplete")


def _step(alive: list[Match[C]], position: int, token: str, ports: Ports) -> list[Match[C]]:
    following: list[Match[C]] = []
    exact: list[Match[C]] = []
    keywords: set[str] = set()
    for candidate in alive:
        word = _accept(candidate, token, ports)
        if word is None:
            continue
        part = candidate.form[min(len(candidate.words), len(candidate.form) - 1)]
        grown = _grow(candidate, word)
        following.append(grown)
        if isinstance(part, Word):
            keywords.add(part.text)
            if part.text == token.lower():
                exact.append(grown)
    if exact:
        return exact
    if len(keywords) > 1:
        raise CliError(f"% Ambiguous command (at token {position}: '{token}')", position, "ambiguous")
    if not following:
        raise CliError(f"% Invalid input (at token {position}: '{token}')", position, "invalid")
    return following


def _accept(candidate: Match[C], token: str, ports: Ports) -> str | None:
    if len(candidate.words) >= len(candidate.form):
        return token if _takes_rest(candidate.form) else None
    part = candidate.form[len(candidate.words)]
    if isinstance(part, Word):
        return part.text if part.text.startswith(token.lower()) else None
    return part.read(token, ports)


def _grow(candidate: Match[C], word: str) -> Match[C]:
    kept, last = candidate.words, word
    if len(kept) == len(candidate.form):
        kept, last = kept[:-1], f"{kept[-1]} {word}"
    return Match(candidate.command, candidate.form, (*kept, last))


def _takes_rest(form: Form) -> bool:
    last = form[-1]
    return isinstance(last, Value) and last.kind == "line"


def _identifying(form: Form) -> int:
    """Return how many parts stand before the first value that is not a key."""
    for number, part in enumerate(form):
        if isinstance(part, Value) and not part.key:
            return number
    return len(form)


def _part(text: str) -> Word | Value:
    if not text.startswith("<"):
        return Word(text)
    name, _, kind = text[1:-1].partition(":")
    return Value(name.removeprefix("*"), kind, name.startswith("*"))
