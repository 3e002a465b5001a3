"""How a switch spreads packets over the equal-cost ports towards a destination."""

from dataclasses import dataclass

MODES = ("ecmp", "flowlet", "packet_spray", "least_queue")


@dataclass(frozen=True)
class LoadBalancing:
    """The load balancing of one switch.

    Draft: Section 9.3.
    """

    mode: str = "ecmp"
    """``ecmp``: a hash of the 5-tuple, salted by the switch. ``flowlet``: a random port, anew after a gap between two
    packets of a queue pair. ``packet_spray``: a random port for every packet. ``least_queue``: for every packet the
    port that would send it first."""
    flowlet_gap_ns: int = 100_000
    """Silence of a queue pair at this switch after which its next packet may take another port [ns]; the 100 us
    LetFlow is simulated with."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode: {self.mode!r} is not one of {', '.join(MODES)}")
        if not isinstance(self.flowlet_gap_ns, int) or isinstance(self.flowlet_gap_ns, bool) or self.flowlet_gap_ns < 1:
            raise ValueError(f"flowlet_gap_ns: {self.flowlet_gap_ns!r} is not an integer of at least 1")
