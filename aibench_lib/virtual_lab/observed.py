"""What a simulated switch shows of itself: which leaves there are, and which of the simulator's columns fill them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from aibench_lib.virtual_lab.gnmi.paths import Elements, parse

PRIORITIES = range(8)


class Subject(StrEnum):
    """What a container is about."""

    QUEUE = "queue"
    PFC = "pfc"
    """A traffic class of a port, as PFC sees it."""
    INTERFACE = "interface"
    BUFFER = "buffer"
    CONGESTION = "congestion"
    """The most recent congestion record of any queue of the switch."""
    OPERATION = "operation"
    """Whether an interface is up: changes, no samples."""


PER_PRIORITY = frozenset({Subject.QUEUE, Subject.PFC})
"""What there is once for each priority of a port."""


@dataclass(frozen=True)
class Container:
    """The parent of leaves that are sampled together."""

    subject: Subject
    path: str
    """With ``{interface}``, ``{queue}`` and ``{priority}`` where the list keys are, or as elements."""
    leaves: Mapping[str, str]
    """Leaf -> column of the simulator; for :attr:`Subject.OPERATION` the leaf alone counts."""
    divisors: Mapping[str, int] = field(default_factory=dict)
    """Leaf -> what the simulator's number is divided by, such as 1000 for microseconds."""
    priorities: Sequence[int] = PRIORITIES
    """Those that the container is about, where it is about one."""
    narrow: bool = False
    """Whether the leaves are 32 bits wide or less."""
    queue_name: Callable[[int], str] = str
    """How the switch calls the queue of a priority."""
    interface_name: Callable[[str], str] = str
    """How gNMI calls an interface."""
    states: tuple[str, str] = ("DOWN", "UP")
    """How the switch says down and up."""


OPENCONFIG_INTERFACE = (
    Container(
        Subject.INTERFACE,
        "/interfaces/interface[name={interface}]/state/counters",
        {
            "in-octets": "rx_bytes",
            "out-octets": "tx_bytes",
            "in-pkts": "rx_packets",
            "out-pkts": "tx_packets",
            "in-discards": "zero",
            "out-discards": "dropped_packets",
        },
    ),
    Container(Subject.OPERATION, "/interfaces/interface[name={interface}]/state", {"oper-status": "up"}),
)
"""What every switch shows of its interfaces that speaks OpenConfig."""


@dataclass(frozen=True)
class Entry:
    """One list entry of a container, with the leaves that somebody asked for."""

    container: Container
    node: str
    interface: str
    """Empty where the container is about the whole switch."""
    priority: int
    leaves: tuple[str, ...]
    path: Elements = field(compare=False)


def entries(container: Container, node: str, interfaces: list[str], leaves: tuple[str, ...]) -> list[Entry]:
    """Return every list entry of a container on one switch."""
    subject = container.subject
    if subject in (Subject.BUFFER, Subject.CONGESTION):
        return [Entry(container, node, "", 0, leaves, parse(container.path))]
    found = []
    for interface in interfaces:
        for priority in container.priorities if subject in PER_PRIORITY else [0]:
            names = {"queue": container.queue_name(priority), "priority": priority}
            path = parse(container.path.format(interface=container.interface_name(interface), **names))
            found.append(Entry(container, node, interface, priority, leaves, path))
    return found
