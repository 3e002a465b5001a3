"""A configuration of the simulated Dell switch, and what may not be typed into it although its words are known."""

import copy
import re
from collections.abc import Iterator, Sequence

from aibench_lib.virtual_lab.cli.grammar import CliError, Ports
from aibench_lib.virtual_lab.cli.lines import Config as Lines
from aibench_lib.virtual_lab.cli.lines import Editor, Line
from aibench_lib.virtual_lab.dell.commands import COMMANDS, REFERENCES, WATCHDOG

_MOST_LOSSLESS = 2
_LARGEST_DSCP = 63
_SHORT_NO = re.compile(
    r"no (queue \d wred-policy|qos-map \S+|scheduler-policy|mtu|cable-length|green|ecn|type|weight|mode) \S"
    r"|no (idle-time|max-flows|set ars-object) \S"
    rf"|no {WATCHDOG} (action|restore-time|on) \S"
)
"""Lines that are removed by their beginning alone; the switch takes no more after ``no``."""
_LIST = re.compile(r"(?P<no>no )?dscp (?P<points>[\d,-]+)(?P<rest>( traffic-class \d+)?)")


class Config(Lines):
    """A whole configuration."""

    def __init__(self) -> None:
        super().__init__(COMMANDS, indent=" ")

    def copy(self) -> "Config":
        """Return an independent copy."""
        other = Config()
        other.root = copy.deepcopy(self.root)
        return other

    def empty(self) -> "Config":
        """Return a configuration in which nothing stands."""
        return Config()

    @property
    def hostname(self) -> str:
        """The configured host name."""
        line = self.root.children.get("hostname")
        return line.values["name"] if line else "sonic"

    def blocks(self) -> list[list[str]]:
        """Return the canonical text, one block a top-level line; an interface that is up says so."""
        up = [" no shutdown"]
        return [
            block + up if block[0].startswith("interface ") and " shutdown" not in block else block
            for block in super().blocks()
        ]

    def below(self, header: str) -> dict[str, Line]:
        """Return the lines below a top-level line by what identifies them; none where it is missing."""
        line = self.root.children.get(header)
        return line.children if line else {}

    def conflict(self) -> str | None:
        """Return what the switch answers because a line names what is not there or asks for too much, or None."""
        for mode, line in self._lines():
            name = _missing(line, mode, self.root)
            if name:
                return f"%Error: No instance found for '{name}'"
            lossless = [key for key in line.children if key.startswith("priority-flow-control priority ")]
            if len(lossless) > _MOST_LOSSLESS:
                return f"%Error: Maximum of {_MOST_LOSSLESS} PFC priorities supported"
        if "buffer init lossless" not in self.root.children:
            buffers = [key for key in self.root.children if key.startswith(("buffer pool ", "buffer profile "))]
            if buffers:
                return "%Error: Buffer is not initialized"
        return None

    def _lines(self) -> Iterator[tuple[str, Line]]:
        yield from (("global", line) for line in self.root.children.values())
        for parent in self.root.children.values():
            yield from ((parent.command.mode, line) for line in parent.children.values())


def _missing(line: Line, mode: str, root: Line) -> str | None:
    """Return the name that a line ends in, if nothing has it."""
    for start, wanted in REFERENCES.get(mode, {}).items():
        if line.text.startswith(f"{start} ") and not line.command.mode:
            name = line.text.rpartition(" ")[2]
            header = f"{wanted} {name}"
            return None if any(f"{key} ".startswith(f"{header} ") for key in root.children) else name
    return None


class DellEditor:
    """A cursor whose lines take effect at once, one by one, unless they cannot stand there."""

    def __init__(self, config: Config, ports: Ports) -> None:
        self._config = config
        self._editor = Editor(config, ports)

    @property
    def prompt(self) -> str:
        """The mode as the prompt shows it, empty at the top."""
        return self._editor.prompt

    def up(self) -> bool:
        """Leave the mode; return False at the top."""
        return self._editor.up()

    def enter(self, line: str) -> None:
        """Do what a line says.

        Raises:
            CliError: It is no command here, or cannot stand; then nothing has changed.
        """
        words = " ".join(line.split())
        if _SHORT_NO.match(words):
            position = len(words.split()) - 1
            raise CliError(f"% Error: Invalid input (at token {position})", position, "invalid")
        before = self._config.copy()
        for one in _expanded(words):
            if one == f"{WATCHDOG} off":
                self._unwatch(before)
            else:
                self._editor.enter(one)
        conflict = self._config.conflict()
        if conflict:
            self._config.replace_by(before)
            raise CliError(conflict)

    def _unwatch(self, before: Config) -> None:
        """Remove all that is configured of the watchdog of the interface that the cursor is in."""
        for part in ("action", "detect-time", "restore-time"):
            try:
                self._editor.enter(f"no {WATCHDOG} {part}")
            except CliError:
                self._config.replace_by(before)
                raise


def _expanded(line: str) -> Sequence[str]:
    """Return a line for each code point of a list such as ``24,26-28``."""
    found = _LIST.fullmatch(line)
    if found is None:
        return [line]
    points: list[str] = []
    for part in found["points"].split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) > _LARGEST_DSCP:
            return [line]
        points += map(str, range(int(first), int(last or first) + 1))
    if not points or found["points"].endswith("-"):
        return [line]
    rest = found["rest"] or (" traffic-class" if found["no"] else "")
    return [f"{found['no'] or ''}dscp {point}{rest}" for point in points]
