"""Receive from a switch, and connect again whenever that ends."""

import threading
import time
from collections.abc import Callable

from aibench_lib.telemetry.ledger import Ledger
from aibench_lib.telemetry.progress import Line

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0


def receive_until(closed: threading.Event, line: Line, ledger: Ledger, receive: Callable[[], str]) -> None:
    """Receive until told to end; what never sent everything once is not repeated.

    Args:
        closed: Set by whoever wants no more.
        line: The ledger's entry of what is received.
        ledger: Is told of every loss.
        receive: Receives until that ends by itself, and returns why it did.
    """
    pause_seconds = _FIRST_PAUSE_SECONDS
    while not closed.is_set():
        began = time.monotonic()
        reason = receive()
        if closed.is_set():
            return
        ledger.lost(line, reason)
        if not line.synced:
            return
        lasted = time.monotonic() - began > _LONGEST_PAUSE_SECONDS
        pause_seconds = _FIRST_PAUSE_SECONDS if lasted else min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
        closed.wait(pause_seconds)
