"""Who sends to whom in a point of a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aibench_lib.errors import SpecError
from aibench_lib.model import Topology
from aibench_lib.spec import build
from aibench_lib.units import PS_PER_NS


class Flow(NamedTuple):
    """One message of a point."""

    source: str
    destination: str
    start_ps: int
    qp: int


@dataclass(frozen=True, kw_only=True)
class _Pattern:
    kind: str
    size_bytes: int
    """Size of every message [B]."""
    messages: int = 1
    """Messages a pair of hosts exchanges, one after the other on one queue pair."""
    start_jitter_ns: int = 0
    """Messages start within this time, each at an instant drawn with the point's seed [ns]."""
    priority: int = 3
    """Traffic class of the messages; ECN and PFC of a sweep are set for it."""

    def __post_init__(self) -> None:
        for name, least in (("size_bytes", 1), ("messages", 1), ("start_jitter_ns", 0), ("priority", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} is {value!r}, must be a whole number of at least {least}")

    def pairs(self, hosts: tuple[str, ...], random: np.random.Generator) -> list[tuple[str, str]]:
        """Return the pairs (source, destination)."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Incast(_Pattern):
    """The first ``senders`` hosts of the topology send to its last one.

    Draft: Section 8.1.
    """

    senders: int

    def pairs(self, hosts: tuple[str, ...], random: np.random.Generator) -> list[tuple[str, str]]:
        """Return the pairs (source, destination)."""
        if type(self.senders) is not int or not 1 <= self.senders < len(hosts):
            raise ValueError(f"senders is {self.senders!r}, must be from 1 to {len(hosts) - 1} in this topology")
        return [(host, hosts[-1]) for host in hosts[: self.senders]]


@dataclass(frozen=True, kw_only=True)
class Permutation(_Pattern):
    """Every host sends to one other and receives from one other, drawn with the point's seed."""

    def pairs(self, hosts: tuple[str, ...], random: np.random.Generator) -> list[tuple[str, str]]:
        """Return the pairs (source, destination): the drawn order, closed to a ring."""
        order = [hosts[index] for index in random.permutation(len(hosts))]
        return list(zip(order, order[1:] + order[:1], strict=True))


@dataclass(frozen=True, kw_only=True)
class AllToAll(_Pattern):
    """Every host sends to every other, beginning with the next one.

    Draft: Section 7.1.
    """

    def pairs(self, hosts: tuple[str, ...], random: np.random.Generator) -> list[tuple[str, str]]:
        """Return the pairs (source, destination)."""
        count = len(hosts)
        return [(hosts[at], hosts[(at + step) % count]) for step in range(1, count) for at in range(count)]


Pattern = Incast | Permutation | AllToAll
_KINDS: Mapping[str, type[Pattern]] = {"incast": Incast, "permutation": Permutation, "all_to_all": AllToAll}


def parse_pattern(values: object, where: str) -> Pattern:
    """Return the pattern of already read values; ``where`` opens every message.

    Raises:
        SpecError: An unknown kind or key, or a number out of range.
    """
    kind = str(values.get("kind")) if isinstance(values, Mapping) else ""
    if kind not in _KINDS:
        raise SpecError(f"{where}.kind: {kind!r} is not one of {', '.join(_KINDS)}")
    return build(_KINDS[kind], values, where)


def flows(pattern: Pattern, topology: Topology, seed: int) -> list[Flow]:
    """Return the messages of a point in the order in which they are posted.

    Raises:
        ValueError: The topology has too few hosts.
    """
    if len(topology.hosts) < 2:
        raise ValueError(f"a pattern needs two hosts, the topology has {len(topology.hosts)}")
    random = np.random.default_rng(seed)
    pairs = pattern.pairs(topology.hosts, random)
    starts = random.integers(0, pattern.start_jitter_ns * PS_PER_NS, len(pairs), endpoint=True)
    return [
        Flow(source, destination, int(start), 1)
        for (source, destination), start in zip(pairs, starts, strict=True)
        for _ in range(pattern.messages)
    ]
