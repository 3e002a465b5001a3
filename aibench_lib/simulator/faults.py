"""What may go wrong in a simulated fabric; each fault starts and, if told, stops at a time."""

from dataclasses import dataclass

from aibench_lib.model import Port


@dataclass(frozen=True)
class LinkDown:
    """Both directions of a link carry nothing.

    What is on the wire, and what its ends send until they detect it, is lost. Then a switch drops what waits and comes
    for the link, and a host's NIC keeps it, until the fabric's routes have converged on the links that are left.
    """

    port: Port
    """Either end of the link."""


@dataclass(frozen=True)
class LossyLink:
    """Packets come out of a link corrupted, in both directions, and are dropped; PAUSE frames do not."""

    port: Port
    """Either end of the link."""
    probability: float
    """That a packet is corrupted."""

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability {self.probability}: must be in [0, 1]")


@dataclass(frozen=True)
class SwitchReload:
    """A switch loses all it holds, and its links are down; it comes back with its settings."""

    switch: str


@dataclass(frozen=True)
class PauseStorm:
    """A host's NIC keeps its switch paused, and at the end just falls silent.

    Draft: Section 8.4.
    """

    host: str
    priority: int


@dataclass(frozen=True)
class Detour:
    """A static route: a switch sends what is for a host out of one port, while its link is up.

    Draft: Section 8.4.
    """

    switch: str
    host: str
    port: Port
    """Of the switch."""


Fault = LinkDown | LossyLink | SwitchReload | PauseStorm | Detour
