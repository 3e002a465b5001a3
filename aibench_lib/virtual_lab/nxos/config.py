"""A configuration of NX-OS: what is shown of it, and what in it cannot stand together."""

import copy
from collections.abc import Iterator, Sequence

from aibench_lib.virtual_lab.cli.grammar import Match
from aibench_lib.virtual_lab.cli.lines import Command, Editor, Line
from aibench_lib.virtual_lab.cli.lines import Config as Lines
from aibench_lib.virtual_lab.nxos.commands import COMMANDS, HIDDEN, MATCH_DSCP, dscp_set, dscp_text

_DSCP = "match dscp"
_ALL_PERCENT = 100


class Config(Lines):
    """A whole configuration."""

    def __init__(self) -> None:
        super().__init__(COMMANDS, indent="  ", separator="")

    def copy(self) -> "Config":
        """Return an independent copy."""
        other = Config()
        other.root = copy.deepcopy(self.root)
        return other

    def empty(self) -> "Config":
        """Return a configuration in which nothing stands."""
        return Config()

    def text(self) -> str:
        """Return the canonical text: an empty line before each interface, as the switch prints it."""
        return "".join(
            ("\n" if block[0].startswith("interface ") else "") + "".join(f"{line}\n" for line in block)
            for block in self.blocks()
        )

    @property
    def hostname(self) -> str:
        """The configured host name."""
        line = self.root.children.get("hostname")
        return line.values["name"] if line else "switch"

    def interface(self, name: str) -> Line | None:
        """Return what is configured of an interface."""
        return self.root.children.get(f"interface {name}")

    def policy(self, kind: str, name: str) -> Line | None:
        """Return a policy map of a type (``qos``, ``queuing`` or ``network-qos``)."""
        return self.root.children.get(f"policy-map type {kind} {name}")

    def system_policy(self, kind: str) -> Line | None:
        """Return the policy map that ``system qos`` names after ``service-policy type`` and these words."""
        system = self.root.children.get("system qos")
        bound = system.children.get(f"service-policy type {kind}") if system else None
        return self.policy(kind.split()[0], bound.values["policy"]) if bound else None

    def conflict(self) -> str | None:
        """Return what the switch says of the first thing that cannot stand, or None."""
        return next(_conflicts(self), None)


class NxosEditor(Editor):
    """A cursor that knows what two lines make of each other."""

    config: Config

    def _put(self, here: Line, found: Match[Command]) -> None:
        kept = here.children.get(_DSCP)
        super()._put(here, found)
        if found.command is MATCH_DSCP:
            _set_dscp(here, _codes(here.children[_DSCP]) | _codes(kept))
        if found.text in HIDDEN:
            del here.children[found.identity]

    def _remove(self, here: Line, commands: Sequence[Command], tokens: Sequence[str]) -> bool:
        kept = here.children.get(_DSCP)
        removed = super()._remove(here, commands, tokens)
        if kept and _DSCP not in here.children and len(tokens) > len(("no", "match", "dscp")):
            _set_dscp(here, _codes(kept) - (dscp_set(tokens[-1]) or frozenset()))
        return removed


def _codes(line: Line | None) -> frozenset[int]:
    return (dscp_set(line.values["dscp"]) if line else None) or frozenset()


def _set_dscp(here: Line, codes: frozenset[int]) -> None:
    text = dscp_text(codes)
    here.children.pop(_DSCP, None)
    if codes:
        here.children[_DSCP] = Line(f"{_DSCP} {text}", MATCH_DSCP, {"dscp": text})


def _conflicts(config: Config) -> Iterator[str]:
    """Yield what is wrong; the wording is the simulator's."""
    lines = config.root.children.values()
    classes = {line.values["name"] for line in lines if line.text.startswith("class-map type qos ")} | {"class-default"}
    for policy in lines:
        if policy.text.startswith("policy-map type qos "):
            for part in policy.children.values():
                if part.values["name"] not in classes:
                    yield f"ERROR: Class map {part.values['name']} does not exist"
        if policy.text.startswith("policy-map type queuing "):
            yield from _scheduling_conflicts(policy)
    for place in lines:
        if place.text == "system qos" or place.text.startswith("interface "):
            yield from _binding_conflicts(config, place)


def _scheduling_conflicts(policy: Line) -> Iterator[str]:
    levels: set[str] = set()
    total = 0
    for part in policy.children.values():
        level, share = part.children.get("priority level"), part.children.get("bandwidth remaining percent")
        if level and share:
            yield f"ERROR: priority and bandwidth cannot both be configured in class {part.values['name']}"
        if level and level.values["level"] in levels:
            yield f"ERROR: priority level {level.values['level']} is already configured in {policy.values['name']}"
        if level:
            levels.add(level.values["level"])
        total += int(share.values["percent"]) if share else 0
    if total > _ALL_PERCENT:
        yield f"ERROR: Total bandwidth remaining of {policy.values['name']} exceeds 100 percent"


def _binding_conflicts(config: Config, place: Line) -> Iterator[str]:
    for line in place.children.values():
        words = line.text.split()
        if words[0] == "service-policy" and config.policy(words[2], line.values["policy"]) is None:
            yield f"ERROR: Policy map {line.values['policy']} of type {words[2]} does not exist"
