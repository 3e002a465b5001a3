"""A configuration as a tree of lines, and the cursor that typed lines move and edit it with."""

import copy
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from aibench_lib.simulator import Ecn
from aibench_lib.virtual_lab.eos.commands import COMMANDS, ECN, Command, Values, threshold_bytes
from aibench_lib.virtual_lab.eos.grammar import CliError, Match, forms, identity, match, tokenize

_INDENT = "   "


@dataclass
class Line:
    """One line, and what stands in the mode it opens."""

    text: str
    command: Command
    values: Values = field(default_factory=dict)
    children: dict[str, "Line"] = field(default_factory=dict)
    """By what identifies them; their order is not that of the configuration."""

    def ordered(self, mode: str) -> list["Line"]:
        """Return the children in the order in which a running-config shows them."""
        commands = COMMANDS[mode]
        return sorted(self.children.values(), key=lambda line: (commands.index(line.command), _natural(line.text)))


class Config:
    """A whole configuration."""

    def __init__(self) -> None:
        self.root = Line("", Command("", mode="global"))

    def copy(self) -> "Config":
        """Return an independent copy."""
        return copy.deepcopy(self)

    def replace_by(self, other: "Config") -> None:
        """Become another configuration, in one step."""
        self.root = other.root

    def blocks(self) -> list[list[str]]:
        """Return the canonical text: one block a top-level line, three spaces a level."""
        return [list(_render(line, 0)) for line in self.root.ordered("global")]

    def text(self) -> str:
        """Return the canonical text with ``!`` between the blocks, as ``show running-config`` prints it."""
        return "".join("".join(f"{line}\n" for line in block) + "!\n" for block in self.blocks())

    @property
    def hostname(self) -> str:
        """The configured host name."""
        line = self.root.children.get("hostname")
        return line.values["name"] if line else "localhost"

    def is_shut(self, interface: str) -> bool:
        """Whether an interface is administratively down."""
        line = self.root.children.get(f"interface {interface}")
        return line is not None and "shutdown" in line.children

    def blocks_of(self, interface: str) -> list[Line]:
        """Return what is configured of an interface: its own block and that of its profile, as far as there are any."""
        port = self.root.children.get(f"interface {interface}")
        if port is None:
            return []
        bound = port.children.get("service-profile")
        profile = self.root.children.get(f"qos profile {bound.values['profile']}") if bound else None
        return [port] if profile is None else [port, profile]

    def ecn(self, interface: str, queue: int) -> tuple[str, Ecn] | None:
        """Return the profile and the marking that take effect on a queue of an interface, or None: no marking."""
        port = self.root.children.get(f"interface {interface}")
        bound = port.children.get("service-profile") if port else None
        name = bound.values["profile"] if bound else ""
        profile = self.root.children.get(f"qos profile {name}")
        block = profile.children.get(f"uc-tx-queue {queue}") if profile else None
        line = block.children.get(identity(forms(ECN)[0], ECN.split())) if block else None
        if line is None:
            return None
        values = line.values
        marking = Ecn(
            kmin_bytes=threshold_bytes(values, "min"),
            kmax_bytes=threshold_bytes(values, "max"),
            pmax=int(values["probability"]) / 100,
        )
        return name, marking


class Editor:
    """Where a user stands in a configuration, and what a line does there."""

    def __init__(self, config: Config, interfaces: Collection[str]) -> None:
        self.config = config
        self._interfaces = interfaces
        self._path: list[tuple[str, Line]] = []
        """What identifies the lines whose modes the user is in, and the lines."""

    @property
    def prompt(self) -> str:
        """The mode as the prompt shows it, empty at the top."""
        text = ""
        for _, line in self._path:
            part = line.command.prompt.format(**line.values).replace("Ethernet", "Et")
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
        self.config.replace_by(Config())

    def enter(self, line: str) -> None:
        """Do what a line says, in this mode or in the nearest one above that knows it.

        Raises:
            CliError: No mode accepts the line; the answer is that of the mode that understood most of it.
        """
        tokens = tokenize(line)
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
        commands = COMMANDS[here.command.mode]
        try:
            found = match([command for command in commands if not command.only_no], tokens, self._interfaces)
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
            found = match(commands, tokens[1:], self._interfaces, negated=True)
            if found.command.only_no:
                for name in [name for name in here.children if name.startswith(f"{found.identity} ")]:
                    del here.children[name]
                return True
        else:
            try:
                found = match(commands, ["no", *tokens], self._interfaces)
            except CliError:
                return False
        here.children.pop(found.identity, None)
        return True


def _render(line: Line, depth: int) -> Iterator[str]:
    yield f"{_INDENT * depth}{line.text}"
    if line.command.mode:
        for child in line.ordered(line.command.mode):
            yield from _render(child, depth + 1)


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]
