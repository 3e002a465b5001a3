"""The counters of a simulated NIC, under the names that the mlx5 driver gives them where it has such a counter."""

from collections.abc import Mapping, Sequence

from aibench_lib.model import Port
from aibench_lib.units import NS_PER_US
from aibench_lib.virtual_lab.history import Rows, Snapshot
from aibench_lib.virtual_lab.observed import PRIORITIES

OUT_OF_SEQUENCE = "out_of_sequence"
"""Packets that came out of their order."""

_OF_THE_NIC = (
    "tx_packets",
    "tx_bytes",
    "rx_packets",
    "rx_bytes",
    "ecn_marked_packets",
    "dropped_packets",
    "dropped_bytes",
)
_OF_A_PRIORITY = {
    "rx_prio{}_pause": ("pause_rx_frames", 1),
    "rx_prio{}_pause_duration": ("paused_ns", NS_PER_US),
    "tx_prio{}_pause": ("pause_tx_frames", 1),
}
"""Counter -> column, and what it is divided by; the duration counts microseconds."""


def counters(now: Snapshot, rows: Rows, ports: Sequence[Port]) -> dict[str, int]:
    """Return the counters of a NIC with all its ports together."""
    found = [row for port in ports for row in rows.port(port.node, port.interface)]
    result = {name: int(now.columns[name][found].sum()) for name in _OF_THE_NIC}
    for priority in PRIORITIES:
        own = [row for port in ports for row in rows.queue(port.node, port.interface, priority)]
        for name, (column, divisor) in _OF_A_PRIORITY.items():
            result[name.format(priority)] = int(now.columns[column][own].sum()) // divisor
    return result


def growth(earlier: Mapping[str, int], later: Mapping[str, int]) -> dict[str, int]:
    """Return by how much each counter has grown."""
    return {name: value - earlier[name] for name, value in later.items()}
