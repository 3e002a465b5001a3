"""A configuration as a tree of lines, and the cursor that typed lines move and edit it with."""

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aibench_lib.virtual_lab.cli.grammar import CliError, Match, Ports, forms, identity, match

Values = Mapping[str, str]


@dataclass(frozen=True)
class Command:
    """One line of a configuration."""

    pattern: str
    mode: str = ""
    """The mode it opens, a key of `Commands`; empty: it is one line."""
    prompt: str = ""
    """What the prompt says in that mode; a leading ``-`` extends the prompt of the mode above."""
    also_no: str = ""
    """A shorter line whose ``no`` form removes it too."""
    only_no: bool = False
    """Whether there is the ``no`` form alone, which removes every line that begins so."""
    check: Callable[[Values], str | None] = lambda values: None
    """Return what the switch answers to values that contradict each other, or None."""


Commands = Mapping[str, tuple[Command, ...]]
"""Mode -> what may be typed there, in the order in which a running-config shows it; ``global`` is the top."""


@dataclass
class Line:
    """One line, and what stands in the mode it opens."""

    text: str
    command: Command
    values: Values = field(default_factory=dict)
    children: dict[str, "Line"] = field(default_factory=dict)
    """By what identifies them; their order is not that of the configuration."""

    def ordered(self, commands: Sequence[Command]) -> list["Line"]:
        """Return the children in the order in which a running-config shows them."""
        return sorted(self.children.values(), key=lambda line: (commands.index(line.command), _natural(line.text)))


class Config:
    """A whole configuration.

    Args:
        commands: What may be typed.
        indent: What a level is indented with.
        separator: What ``text`` puts after each block; empty: nothing.
    """

    def __init__(self, commands: Commands, indent: str = "   ", separator: str = "!") -> None:
        self.commands = commands
        self.indent = indent
        self.separator = separator
        self.root = Line("", Command("", mode="global"))

    def copy(self) -> "Config":
        """Return an independent copy."""
        other = self.empty()
        other.root = copy.deepcopy(self.root)
        return other

    def empty(self) -> "Config":
        """Return a configuration of the same dialect in which nothing stands."""
        return Config(self.commands, self.indent, self.separator)

    def replace_by(self, other: "Config") -> None:
        """Become another configuration, in one step."""
        self.root = other.root

    def blocks(self) -> list[list[str]]:
        """Return the canonical text, one block a top-level line."""
        return [list(self._render(line, 0)) for line in self.root.ordered(self.commands["global"])]

    def text(self) -> str:
        """Return the canonical text as ``show running-config`` prints it."""
        end = f"{self.separator}\n" if self.separator else ""
        return "".join("".join(f"{line}\n" for line in block) + end for block in self.blocks())

    def _render(self, line: Line, depth: int) -> Iterator[str]:
        yield f"{self.indent * depth}{line.text}"
        if line.command.mode:
            for child in line.ordered(self.commands[line.command.mode]):
                yield from self._render(child, depth + 1)


class Editor:
    """Where a user stands in a configuration, and what a line does there."""

    def __init__(self, config: Config, ports: Ports) -> None:
        self.config = config
        self._ports = ports
        self._path: list[tuple[str, Line]] = []
        """What identifies the lines whose modes the user is in, and the lines."""

    @property
    def prompt(self) -> str:
        """The mode as the prompt shows it, empty at the top."""
        text = ""
        for _, line in self._path:
            part = line.command.prompt.format(**line.values)
            text = text + part if part.startswith("-") else part
        return text

    def up(self) -> bool:
        """Leave the mode; return False at the top."""
        if not self._path:
            return False
        self._path.pop()
        return True

    def clear(self) -> None:
        """Start from an empty configuration."""
        self._path.clear()
        self.config.replace_by(self.config.empty())

    def enter(self, line: str) -> None:
        """Do what a line says, in this mode or in the nearest one above that knows it.

        Raises:
            CliError: No mode accepts the line; the answer is that of the mode that understood most of it.
        """
        tokens = self._ports.tokenize(line)
        worst: CliError | None = None
        for depth in range(len(self._path), -1, -1):
            try:
                self._enter_at(depth, tokens)
            except CliError as error:
                worst = error if worst is None or error.position > worst.position else worst
            else:
                return
        raise worst or CliError("% Incomplete command")

    def _enter_at(self, depth: int, tokens: Sequence[str]) -> None:
        here = self._mode(depth)
        commands = self.config.commands[here.command.mode]
        try:
            found = match([command for command in commands if not command.only_no], tokens, self._ports)
        except CliError:
            if not self._remove(here, commands, tokens):
                raise
            del self._path[depth:]
            return
        answer = found.command.check(found.values)
        if answer:
            raise CliError(answer, len(tokens))
        del self._path[depth:]
        self._put(here, found)

    def _put(self, here: Line, found: Match[Command]) -> None:
        line = here.children.get(found.identity)
        if line is None or not found.command.mode:
            line = Line(found.text, found.command, found.values)
            here.children[found.identity] = line
        if found.command.mode:
            self._path.append((found.identity, line))

    def _mode(self, depth: int) -> Line:
        """Return the line whose mode is at a depth; one that somebody else has removed meanwhile comes back."""
        here = self.config.root
        for name, line in self._path[:depth]:
            here = here.children.setdefault(name, Line(line.text, line.command, line.values))
        return here

    def _remove(self, here: Line, commands: Sequence[Command], tokens: Sequence[str]) -> bool:
        """Remove the line that a negated line names; return False if the line negates nothing.

        Raises:
            CliError: It negates something that cannot be there.
        """
        if tokens[0] in ("no", "default") and len(tokens) > 1:
            for command in commands:
                if command.also_no and " ".join(tokens[1:]) == command.also_no:
                    here.children.pop(identity(forms(command.pattern)[0], command.pattern.split()), None)
                    return True
            found = match(commands, tokens[1:], self._ports, negated=True)
            if found.command.only_no:
                for name in [name for name in here.children if name.startswith(f"{found.identity} ")]:
                    del here.children[name]
                return True
        else:
            try:
                found = match(commands, ["no", *tokens], self._ports)
            except CliError:
                return False
        here.children.pop(found.identity, None)
        return True


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]
