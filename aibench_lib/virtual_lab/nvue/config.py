"""One configuration of a simulated NVUE switch: a tree that paths are set in and unset from."""

import copy
import itertools
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from aibench_lib.virtual_lab.cli.grammar import Ports
from aibench_lib.virtual_lab.nvue.ranges import compress, each, natural
from aibench_lib.virtual_lab.nvue.schema import ROOT, Node, NvueError, resolve

Tree = dict[str, Any]
"""Word -> what is below it; a single value is the one word below its leaf."""

_SET, _UNSET = "nv set ", "nv unset "


class Config:
    """A configuration.

    Args:
        ports: The switch's interfaces.
    """

    def __init__(self, ports: Ports) -> None:
        self.tree: Tree = {}
        self._ports = ports

    def copy(self) -> "Config":
        """Return an independent copy."""
        other = Config(self._ports)
        other.tree = copy.deepcopy(self.tree)
        return other

    def do(self, verb: str, tokens: Sequence[str]) -> None:
        """Set or unset a path; a list in it stands for each of its members.

        Raises:
            NvueError: The object model has no such path; nothing has changed then.
        """
        paths = [resolve(path, self._ports, whole=verb == "set") for path in each(tokens)]
        for path in paths:
            (self._set if verb == "set" else self._unset)(path)

    def _set(self, path: list[tuple[str, Node]]) -> None:
        here = self.tree
        for word, node in path:
            if node.is_leaf and word not in node.words:
                here.clear()
            here = here.setdefault(word, {})

    def _unset(self, path: list[tuple[str, Node]]) -> None:
        if path[-1][1].is_leaf:  # the value does not matter
            path = path[:-1]
        above: list[tuple[Tree, str]] = []
        here = self.tree
        for word, _ in path:
            if word not in here:
                return
            above.append((here, word))
            here = here[word]
        parent, last = above.pop()
        del parent[last]
        while not parent and above:
            parent, last = above.pop()
            del parent[last]

    def at(self, *words: str) -> Tree:
        """Return what is below a path; empty if there is nothing."""
        here = self.tree
        for word in words:
            here = here.get(word, {})
        return here

    def value(self, *words: str) -> str | None:
        """Return the single value of a leaf, or None."""
        return next(iter(self.at(*words)), None)

    def lines(self, *, expanded: bool) -> list[str]:
        """Return the commands that make this configuration, sorted.

        Args:
            expanded: One command for each interface, in place of one for all interfaces that share it.
        """
        found = [path for path in _paths(self.tree) if path]
        if not expanded:
            found = _shared(found)
        return [_SET + shlex.join(path) for path in sorted(found, key=lambda path: natural(" ".join(path)))]

    def text(self) -> str:
        """Return it as ``nv config show --expand -o commands`` prints it."""
        return "".join(f"{line}\n" for line in self.lines(expanded=True))

    def as_yaml(self, model: str, version: str) -> str:
        """Return it as a file that ``nv config replace`` takes."""
        header = {"model": model, "nvue-api-version": "nvue_v1", "rev-id": 1.0, "version": version}
        return str(yaml.safe_dump([{"header": header}, {"set": _plain(self.tree, ROOT)}], sort_keys=True))

    def load(self, text: str) -> None:
        """Do what a file says: set and unset commands, or YAML.

        Raises:
            NvueError: It is neither, or has what the object model has not.
        """
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if all(line.startswith((_SET, _UNSET)) for line in lines):
            for line in lines:
                _, verb, *tokens = shlex.split(line)
                self.do(verb, tokens)
            return
        try:
            documents = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise NvueError(f"Error: invalid YAML: {' '.join(str(error).split())}") from error
        for part in documents if isinstance(documents, list) else ():
            for path in _paths(_strings(part.get("set", {})) if isinstance(part, dict) else {}):
                if path:
                    self.do("set", path)


def _paths(tree: Tree) -> Iterator[tuple[str, ...]]:
    if not tree:
        yield ()
    for word, below in tree.items():
        for rest in _paths(below):
            yield (word, *rest)


def _shared(paths: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the paths with the interfaces that have the same settings put together."""
    own = [path for path in paths if path[0] == "interface"]
    by_rest = itertools.groupby(sorted(own, key=lambda path: path[2:]), key=lambda path: path[2:])
    together = [("interface", compress(path[1] for path in group), *rest) for rest, group in by_rest]
    return [path for path in paths if path[0] != "interface"] + together


def _plain(tree: Tree, node: Node) -> Any:  # noqa: ANN401 - a mapping, or the value of a leaf
    if node.is_leaf:
        return next(iter(tree))
    found = {}
    for word, below in tree.items():
        place = node.words.get(word) or node.below or Node()
        found[word] = _plain(below, place) if below else {}
    return found


def _strings(tree: object) -> Tree:
    if not isinstance(tree, dict):
        return {str(tree): {}}
    return {str(word): _strings(below) for word, below in tree.items()}
