"""A configuration: what `set` and `delete` make of it, and how it is shown."""

import copy
import re
from collections.abc import Iterator, Sequence

from aibench_lib.virtual_lab.junos.schema import SCHEMA, Node, RefusedError

Tree = dict[str, "Tree"]
Path = tuple[str, ...]

_TOKEN = re.compile(r'"[^"]*"|[\[\]{};]|[^\s\[\]{};"]+')
_NESTED = frozenset(("congestion-notification-profile", "drop-profiles", "interfaces", "scheduler-maps", "schedulers"))
"""Lists whose entries stand in braces of their own."""
_REMARK = re.compile(r"\s##.*$")
"""What stands behind a statement that is a secret."""
_COMMENT = re.compile(r"/\*.*?\*/|^\s*#.*?$", re.MULTILINE | re.DOTALL)


def tokenize(line: str) -> list[str]:
    """Return the tokens of a line; what stands in quotes is one, without them."""
    return [token.strip('"') for token in _TOKEN.findall(_REMARK.sub("", line))]


def columns(line: str) -> list[int]:
    """Return where each token of a line begins, and where the line ends."""
    return [found.start() for found in _TOKEN.finditer(line)] + [len(line)]


class Config:
    """A whole configuration; entries of a list keep the order in which they were made."""

    def __init__(self, root: Tree | None = None) -> None:
        self.root: Tree = {} if root is None else root

    def copy(self) -> "Config":
        """Return an independent copy."""
        return Config(copy.deepcopy(self.root))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.lines() == other.lines()

    __hash__ = None  # type: ignore[assignment] # it changes

    def set(self, tokens: Sequence[str]) -> None:
        """Do what stands behind ``set``; several leaves of one place may stand in one line.

        Raises:
            RefusedError: It is no statement.
        """
        for path in list(_statements(tokens)):
            tree, node = self.root, SCHEMA
            for word in path:
                if node.is_leaf and node.slot and not node.slot.many:
                    tree.clear()
                node = below(node, word)
                tree = tree.setdefault(word, {})

    def delete(self, tokens: Sequence[str]) -> bool:
        """Do what stands behind ``delete``; return False if there is no such statement.

        Raises:
            RefusedError: It cannot be a statement.
        """
        trail: list[tuple[Tree, str]] = []
        tree, node, emptied = self.root, SCHEMA, []
        for position, token in enumerate(tokens):
            word = _word(node, token, position)
            node = below(node, word)
            trail.append((tree, word))
            emptied.append(not node.ends)
            if word not in tree:
                return False
            tree = tree[word]
        for depth, ((parent, word), plain) in enumerate(reversed(list(zip(trail, emptied, strict=True)))):
            if depth and (parent[word] or not plain):
                break
            del parent[word]
        return True

    def paths(self, *prefix: str) -> list[Path]:
        """Return the statements that begin with some words, whole and in the order of the configuration."""
        tree, node = self.root, SCHEMA
        for word in prefix:
            if word not in tree:
                return []
            tree, node = tree[word], below(node, word)
        return list(_leaves(tree, node, prefix))

    def value(self, *prefix: str) -> str | None:
        """Return the value of a leaf, or None."""
        return next((path[len(prefix)] for path in self.paths(*prefix) if len(path) > len(prefix)), None)

    def values(self, *prefix: str) -> list[str]:
        """Return the values, entries or words directly below some words."""
        return list(dict.fromkeys(path[len(prefix)] for path in self.paths(*prefix) if len(path) > len(prefix)))

    def has(self, *prefix: str) -> bool:
        """Whether there is such a statement, or one below it."""
        return bool(self.paths(*prefix))

    def lines(self, *prefix: str) -> list[str]:
        """Return the configuration as ``| display set`` shows it."""
        return [" ".join(["set", *map(_quoted, path)]) for path in self.paths(*prefix)]

    def text(self, *prefix: str) -> str:
        """Return the configuration in braces, from some words down."""
        tree, node = self.root, SCHEMA
        for word in prefix:
            if word not in tree:
                return ""
            tree, node = tree[word], below(node, word)
        return "".join(f"{line}\n" for line in _braces(tree, node, 0))

    def load(self, text: str) -> None:
        """Add what stands in a text in braces.

        Raises:
            RefusedError: It is no such text, or has a statement that is none.
        """
        above: list[list[str]] = []
        words: list[str] = []
        for token in (found.strip('"') if found != '""' else "" for found in _TOKEN.findall(_COMMENT.sub("", text))):
            if token == "{":
                above.append(words)
                words = []
            elif token == ";":
                self.set([word for part in above for word in part] + words)
                words = []
            elif token == "}":
                if not above or words:
                    raise RefusedError("syntax error")
                entry = above.pop()
                if not _has_children(self.root, [word for part in above for word in part] + entry):
                    self.set([word for part in above for word in part] + entry)
            else:
                words.append(token)
        if above or words:
            raise RefusedError("syntax error")

    def type(self, text: str) -> None:
        """Do the lines of a text of `set` and `delete` commands.

        Raises:
            RefusedError: A line is no such command.
        """
        for line in text.splitlines():
            verb, *tokens = tokenize(line) or [""]
            if verb == "set":
                self.set(tokens)
            elif verb == "delete":
                self.delete(tokens)
            elif verb:
                raise RefusedError(f"unknown command: {verb}")


def resolve(tokens: Sequence[str]) -> Path:
    """Return the words in full of a place of the configuration.

    Raises:
        RefusedError: There can be no such place.
    """
    node, path = SCHEMA, []
    for position, token in enumerate(tokens):
        word = _word(node, token, position)
        node = below(node, word)
        path.append(word)
    return tuple(path)


def _word(node: Node, token: str, position: int) -> str:
    word = node.word(token, position)
    if word is not None:
        return word
    if node.slot is None:
        raise RefusedError("syntax error.", position)
    return node.slot.read(token, position)


def below(node: Node, word: str) -> Node:
    """Return the place behind a word or value in full."""
    if word in node.words:
        return node.words[word]
    assert node.slot is not None, "resolved words fit the schema"
    return node.slot.node


def _statements(tokens: Sequence[str]) -> Iterator[Path]:
    """Yield the statements of a line: each leaf goes back to the place it is a leaf of."""
    node: Node = SCHEMA
    path: Path = ()
    place, place_path = node, path
    told = opened = False
    for position, token in enumerate(tokens):
        if token in ("[", "]"):
            opened = token == "["
            if not opened:
                node, path = place, place_path
            continue
        word = _word(node, token, position)
        values = node if node.is_leaf and word not in node.words else None
        node, path = below(node, word), (*path, word)
        if values is not None or (node.ends and not node.words and node.slot is None):
            yield path
            told = True
            node, path = (values, path[:-1]) if values is not None and opened else (place, place_path)
        elif not node.is_leaf and (node.words or node.ends) and (node.slot is None or node.words):
            place, place_path, told = node, path, False
    if opened or path != place_path:
        raise RefusedError("missing argument.", len(tokens))
    if not told:
        if not place.ends:
            raise RefusedError("missing argument.", len(tokens))
        yield path


def _leaves(tree: Tree, node: Node, path: Path) -> Iterator[Path]:
    if not tree and path:
        yield path
    for word in _ordered(tree, node):
        yield from _leaves(tree[word], below(node, word), (*path, word))


def _ordered(tree: Tree, node: Node) -> list[str]:
    words = [word for word in node.words if word in tree]
    return words + [word for word in tree if word not in node.words]


def _braces(tree: Tree, node: Node, depth: int) -> Iterator[str]:
    indent = "    " * depth
    for word in _ordered(tree, node):
        place, child = below(node, word), tree[word]
        if place.is_leaf and place.slot and child:
            values = [_quoted(value) for value in child]
            yield f"{indent}{word} {values[0] if len(values) == 1 else f'[ {chr(32).join(values)} ]'};"
        elif place.slot and place.slot.key and not place.words and word not in _NESTED:
            for entry in child:
                yield from _block(f"{indent}{word} {_quoted(entry)}", child[entry], place.slot.node, depth)
        else:
            yield from _block(f"{indent}{_quoted(word)}", child, place, depth)


def _block(head: str, tree: Tree, node: Node, depth: int) -> Iterator[str]:
    if not tree:
        yield f"{head};"
        return
    yield f"{head} {{"
    yield from _braces(tree, node, depth + 1)
    yield f"{'    ' * depth}}}"


def _has_children(tree: Tree, words: Sequence[str]) -> bool:
    for word in words:
        if word not in tree:
            return False
        tree = tree[word]
    return True


def _quoted(word: str) -> str:
    return f'"{word}"' if not word or re.search(r"[\s;{}\[\]]", word) else word
