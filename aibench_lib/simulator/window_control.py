"""A congestion control that holds a window of bytes and looks at delay and marks, in the manner of UET's NSCC."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class UetNsccLike:
    """Sender-side congestion control with a window a queue pair, after the idea of the Ultra Ethernet transport's NSCC.

    Every ACK gives a round trip, and its excess over the base round trip is the queueing delay. Below the target the
    window grows, faster the emptier the path, unless the packet was marked, which holds it. At or above the target it
    is cut, at most once a round trip, in proportion to what the mean delay has in excess. "Like": quick adapt, trimming
    and the receiver's credits are left out, and the numbers are our own.
    """

    target_delay: float = 0.75
    """Queueing delay aimed at, in base round trips."""
    delay_gain: float = 0.125
    """Weight of a new sample in the mean queueing delay."""
    increase_bytes: int = 4096
    """Growth of the window below the target [B a round trip]; it makes shares fair."""
    fast_increase: float = 0.25
    """Growth on top of that where there is no queue, in bandwidth-delay products a round trip; it falls to 0 at the
    target in a straight line."""
    cut_gain: float = 0.8
    """Part of the excess of the mean delay over the target, relative to the mean, by which the window is cut."""
    max_cut: float = 0.5
    """Largest fraction one cut takes off the window; a loss takes it at once, a timeout leaves one packet."""
    first_window: float = 1.0
    """Window of a new queue pair, in bandwidth-delay products."""
    max_window: float = 1.5
    """The window never grows beyond this, in bandwidth-delay products."""

    def __post_init__(self) -> None:
        for name in ("target_delay", "first_window", "max_window"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: {getattr(self, name)!r} is not above 0")
        for name in ("delay_gain", "cut_gain", "max_cut"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)!r} is not in (0, 1]")
        if self.increase_bytes < 0 or self.fast_increase < 0:
            raise ValueError("increase_bytes and fast_increase must be at least 0")
