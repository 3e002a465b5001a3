"""The keys of ``topology.fabric``: a fabric declared by its shape instead of link by link."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from aibench_lib.spec import build

PLACEMENTS = ("disaggregated", "mixed")


@dataclass(frozen=True, kw_only=True)
class Interfaces:
    """Names of a tier's ports; ``{}`` stands for the number, from 1 at a switch and from 0 at a host."""

    host: str = "nic{}"
    leaf: str = "Ethernet{}"
    spine: str = "ethernet-1/{}"
    superspine: str = "ethernet-1/{}"

    def __post_init__(self) -> None:
        for tier, name in vars(self).items():
            if str(name).count("{}") != 1:
                raise ValueError(f"{tier}: {name!r} must hold {{}} once, for the port's number")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What every kind of fabric has. A switch's ports are numbered from below: hosts or leaves first, then uplinks."""

    kind: str
    decode_hosts: int = 0
    """Hosts that are decode workers; all others are prefill workers."""
    placement: str = "disaggregated"
    """``disaggregated``: decode workers have leaves of their own, the last ones; ``mixed``: every leaf has as many."""
    interfaces: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in dataclasses.fields(self):
            value, least = getattr(self, entry.name), 0 if entry.name == "decode_hosts" else 1
            if entry.type is int and (type(value) is not int or value < least):
                raise ValueError(f"{entry.name} is {value!r}, must be a whole number of at least {least}")
        if self.placement not in PLACEMENTS:
            raise ValueError(f"placement: {self.placement!r} is not one of {', '.join(PLACEMENTS)}")

    def names(self, where: str = "interfaces") -> Interfaces:
        """Return the names of the tiers' ports; ``where`` opens messages.

        Raises:
            SpecError: An unknown tier or a name without a place for the number.
        """
        return build(Interfaces, self.interfaces, where)


@dataclass(frozen=True, kw_only=True)
class SingleSwitch(Shape):
    """All hosts on one switch."""

    hosts: int


@dataclass(frozen=True, kw_only=True)
class TwoTierClos(Shape):
    """Every leaf meets every spine.

    Draft: Section 3.1.1; 3.1.3 with placement ``disaggregated``.
    """

    leaves: int
    spines: int
    hosts_per_leaf: int
    uplink_bps: int | None = None
    """Line rate from leaf to spine [bit/s]; the hosts' unless given here or by ``oversubscription``."""
    oversubscription: float | None = None
    """A leaf's rate to its hosts over its rate to its spines."""


@dataclass(frozen=True, kw_only=True)
class ThreeTierClos(Shape):
    """Pods of leaves and spines; spine number s of every pod meets the superspines of plane s.

    Draft: Section 3.1.2.
    """

    pods: int
    leaves_per_pod: int
    spines_per_pod: int
    superspines: int
    """In all; a multiple of ``spines_per_pod``."""
    hosts_per_leaf: int
    uplink_bps: int | None = None
    oversubscription: float | None = None
    superspine_bps: int | None = None
    """Line rate from spine to superspine [bit/s]; the rate below unless given here or by the ratio."""
    superspine_oversubscription: float | None = None
    """A spine's rate to its leaves over its rate to its superspines."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.superspines % self.spines_per_pod:
            raise ValueError(f"superspines is {self.superspines}, must be a multiple of spines_per_pod")


@dataclass(frozen=True, kw_only=True)
class RailOptimised(Shape):
    """Segments of hosts with a NIC a rail: NIC r of every host of a segment hangs on the segment's leaf of rail r.

    Draft: Section 3.1.
    """

    segments: int = 1
    rails: int
    hosts_per_segment: int
    spines: int
    uplink_bps: int | None = None
    oversubscription: float | None = None


def rate_above(
    rate_key: str, bps: int | None, ratio_key: str, ratio: float | None, *, below: tuple[int, int], links: int
) -> int:
    """Return the line rate of the links to the tier above [bit/s].

    Args:
        rate_key: Name of the key of ``bps``, for messages; ``ratio_key`` likewise.
        bps: The rate, if it is declared.
        ratio_key: See ``rate_key``.
        ratio: The oversubscription, if that is declared instead.
        below: Number and rate [bit/s] of the switch's links to the tier below.
        links: Number of its links to the tier above.

    Raises:
        ValueError: Both are declared, or the rate is not a whole number of at least 1.
    """
    count, rate = below
    if bps is not None and ratio is not None:
        raise ValueError(f"{rate_key} and {ratio_key} say the same; give one of them")
    if ratio is not None:
        if type(ratio) not in (int, float) or not 0 < ratio < float("inf"):
            raise ValueError(f"{ratio_key} is {ratio!r}, must be a number above 0")
        exact = count * rate / (links * Fraction(str(ratio)))
        if exact.denominator != 1:
            raise ValueError(f"{ratio_key} {ratio}: {float(exact)} bit/s is not whole; give {rate_key} instead")
        return int(exact)
    if bps is None:
        return rate
    if type(bps) is not int or bps < 1:
        raise ValueError(f"{rate_key} is {bps!r}, must be a whole number of at least 1")
    return bps
