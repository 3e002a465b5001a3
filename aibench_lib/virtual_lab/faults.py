"""What a simulated switch does wrong because a test says so; by itself it does nothing wrong."""

from collections.abc import Callable
from dataclasses import dataclass

from pygnmi.spec.v080 import gnmi_pb2

Hear = Callable[[str], str]
"""Returns what a command line makes of a line that a client has typed."""
HearSet = Callable[[gnmi_pb2.SetRequest], gnmi_pb2.SetRequest]
"""Returns what gNMI makes of a change that a client asks for."""


class HangUp(Exception):  # noqa: N818 - what happens, not an error
    """Raised instead of hearing: the connection is gone."""


class Refusal(Exception):  # noqa: N818 - likewise
    """Raised instead of hearing a change over gNMI: the reason of a refusal."""


@dataclass
class Faults:
    """The faults of one switch."""

    hear: Hear = str
    hear_set: HearSet = lambda request: request
    loses_answers: bool = False
    """Whether a change over gNMI takes effect and the client never hears of it."""
