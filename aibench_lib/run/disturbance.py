"""A fault that comes and goes within a trial, while its load is offered (Section 12.3)."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aibench_lib.errors import TrialError
from aibench_lib.switch import fault_injection
from aibench_lib.switch.faults import Fault, Place
from aibench_lib.units import NS_PER_SECOND

_FROM = 0.25
"""Part of the trial's length after which the fault is started: before is what is usual."""
_UNTIL = 0.65
"""Part of the trial's length after which it is stopped."""


class Disturbance:
    """One fault within one trial, started and stopped by a thread; however the trial ends, the fault ends with it.

    Args:
        fault: What goes wrong.
        place: Where.
        length_ns: How long the trial's load lasts [ns].
    """

    def __init__(self, fault: Fault, place: Place, length_ns: int) -> None:
        self._fault = fault
        self._place = place
        self._length_ns = length_ns
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self.began_ns = 0
        """When the switches were told to begin, on the controller's clock [ns since the epoch]; 0: not yet."""
        self.ending_ns = 0
        """When they were told to end it, while the trial went on; 0: they were not."""

    def at_start(self, t0_ns: int) -> None:
        """Take note of when the trial starts [ns since the epoch, controller's clock]."""
        self._thread = threading.Thread(target=self._act, args=(t0_ns,), name=f"{self._fault.kind} within a trial")
        self._thread.start()

    def _act(self, t0_ns: int) -> None:
        try:
            if self._wait_until(t0_ns + round(_FROM * self._length_ns)):
                return
            self.began_ns = time.time_ns()
            with fault_injection.active(self._fault, self._place):
                if not self._wait_until(t0_ns + round(_UNTIL * self._length_ns)):
                    self.ending_ns = time.time_ns()
        except Exception as error:  # noqa: BLE001 - whatever it is, end() raises it in the trial's thread
            self._error = error

    def _wait_until(self, when_ns: int) -> bool:
        """Wait; return whether the trial is over before."""
        return self._over.wait(max(0.0, (when_ns - time.time_ns()) / NS_PER_SECOND))

    def end(self) -> None:
        """End the fault, if it is there, and wait until it has ended.

        Raises:
            AibenchError: The switches did not do as told, at its begin or its end.
        """
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def span_ns(self) -> tuple[int, int]:
        """Return when the switches were told to begin, and to end, what was there within the trial [ns].

        Raises:
            TrialError: The trial was over before.
        """
        if not self.ending_ns:
            raise TrialError(f"the trial was over before {self._fault.kind} was: make it longer (trial_seconds)")
        return self.began_ns, self.ending_ns


@contextmanager
def within(fault: Fault | None, place: Place, length_ns: int) -> Iterator[Disturbance | None]:
    """Have a fault within a trial, which the block runs; without a fault there is none.

    Raises:
        AibenchError: The switches did not do as told; that is more than a trial that has failed as well.
    """
    if fault is None:
        yield None
        return
    disturbance = Disturbance(fault, place, length_ns)
    try:
        yield disturbance
    finally:
        disturbance.end()
