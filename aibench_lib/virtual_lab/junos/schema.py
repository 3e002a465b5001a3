"""The configuration statements that the simulated Junos knows, as a tree of words and values."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aibench_lib.virtual_lab.junos.statements import STATEMENTS

_INTERFACE = r"(?:et|xe|ge)-\d+/\d+/\d+(?::\d+)?|ae\d+|lo0|em\d+|fxp0|re\d:mgmt-\d+|irb"


class RefusedError(Exception):
    """The answer to a line that is not accepted.

    Args:
        message: As Junos words it.
        position: The token it failed at, for the caret above the message; None: there is no caret.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True)
class Slot:
    """Where a value stands: a list's key, a leaf's value, or one of several values of a leaf."""

    kind: str
    node: "Node"
    key: bool = False
    many: bool = False

    def read(self, token: str, position: int) -> str:
        """Return a value as the configuration shows it.

        Raises:
            RefusedError: It is no such value.
        """
        if ".." in self.kind:
            low, high = self.kind.split("..")
            return _number(token, low, high, position)
        if "|" in self.kind:
            choices = [choice for choice in self.kind.split("|") if choice.startswith(token)]
            if token in choices or len(choices) == 1:
                return token if token in choices else choices[0]
            raise RefusedError("syntax error.", position)
        if self.kind in _ADDRESSES:
            return _address(token, self.kind, position)
        if self.kind in _PATTERNS and not re.fullmatch(_PATTERNS[self.kind], token):
            raise RefusedError(f"invalid value '{token}'", position)
        return token


@dataclass
class Node:
    """One place of the tree."""

    words: dict[str, "Node"] = field(default_factory=dict)
    """In the order in which a configuration shows them."""
    slot: Slot | None = None
    ends: bool = False
    """Whether a statement may end here: a flag, an entry of a list, the last value."""

    @property
    def is_leaf(self) -> bool:
        """Whether this is the word before a leaf's value or values."""
        return self.slot is not None and not self.slot.key

    def word(self, token: str, position: int) -> str | None:
        """Return the word that a token stands for, or None.

        Raises:
            RefusedError: It is the beginning of several.
        """
        if token in self.words:
            return token
        found = [word for word in self.words if word.startswith(token)]
        if len(found) > 1:
            raise RefusedError(f"'{token}' is ambiguous.", position)
        return found[0] if found else None


_ADDRESSES: Mapping[str, Callable[[str], object]] = {
    "address": ipaddress.IPv4Address,
    "prefix": ipaddress.IPv4Network,
    "address/length": ipaddress.IPv4Interface,
}
_PATTERNS = {
    "interface": _INTERFACE,
    "interfaces": rf"{_INTERFACE}|(?:et|xe|ge)-\*|all",
    "unit": r"\d{1,5}|\*",
    "bits3": "[01]{3}",
    "bits6": "[01]{6}",
    "code-point": "[01]{6}|[A-Za-z][\\w-]*",
    "word": "[^\\s;{}\\[\\]]+",
}


def _number(token: str, low: str, high: str, position: int) -> str:
    if not re.fullmatch(r"\d+", token, re.ASCII):
        raise RefusedError(f"Invalid numeric value: '{token}'", position)
    if not int(low) <= int(token) <= int(high):
        raise RefusedError(f"Value {token} is not within range ({low}..{high})", position)
    return str(int(token))


def _address(token: str, kind: str, position: int) -> str:
    wrong = RefusedError(f"invalid ip address or hostname: {token}", position)
    if ("/" in token) == (kind == "address"):  # the classes take a bare address for a network of one
        raise wrong
    try:
        return str(_ADDRESSES[kind](token))
    except ValueError:
        raise wrong from None


def _grow(root: Node, pattern: str) -> None:
    node = root
    for text in pattern.split():
        if not text.startswith("<"):
            node = node.words.setdefault(text, Node())
            continue
        mark, kind = ("", text[1:-1]) if text[1] not in "*+" else (text[1], text[2:-1])
        if node.slot is None:
            node.slot = Slot(kind, Node(ends=True), key=mark == "*", many=mark == "+")
        node = node.slot.node
    node.ends = True


def _tree() -> Node:
    root = Node()
    for pattern in STATEMENTS:
        _grow(root, pattern)
    return root


SCHEMA = _tree()
