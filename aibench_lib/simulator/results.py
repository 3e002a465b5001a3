"""The tables a simulation returns, and which of the kernel's columns fill them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from aibench_lib.model import Port
from aibench_lib.simulator import kernel
from aibench_lib.simulator.parameters import PRIORITIES

Ints = npt.NDArray[np.int64]

COMPLETION = np.dtype(
    [
        ("flow", np.int64),
        ("posted_ps", np.int64),
        ("received_ps", np.int64),
        ("completed_ps", np.int64),
        ("size_bytes", np.int64),
        ("retransmitted_packets", np.int64),
        ("reordered_packets", np.int64),
    ]
)
"""A finished flow: its last byte came to the receiver, the last ACK to the sender. A packet is reordered
if one that was sent later came before it (RFC 4737); packets sent again do not count."""

SAMPLE = np.dtype(
    [
        ("time_ps", np.int64),
        ("index", np.int64),
        ("tx_packets", np.int64),
        ("tx_bytes", np.int64),
        ("ecn_marked_packets", np.int64),
        ("dropped_packets", np.int64),
        ("depth_bytes", np.int64),
        ("peak_depth_bytes", np.int64),
        ("buffer_used_bytes", np.int64),
        ("pause_tx_frames", np.int64),
        ("pause_rx_frames", np.int64),
        ("paused_ps", np.int64),
    ]
)
"""One sample of one recorded queue; ``index`` counts the ports given to ``record_series``."""

COUNTER_COLUMNS = {
    "tx_packets": kernel.TX_PACKETS,
    "tx_bytes": kernel.TX_BYTES,
    "ecn_marked_packets": kernel.MARKED_PACKETS,
    "dropped_bytes": kernel.DROPPED_BYTES,
    "lost_on_wire_bytes": kernel.LOST_BYTES,
    "depth_bytes": kernel.DEPTH,
    "peak_depth_bytes": kernel.PEAK_DEPTH,
    "ingress_bytes": kernel.GROUP_USED,
    "headroom_bytes": kernel.GROUP_HEADROOM,
    "pause_tx_frames": kernel.PAUSE_TX,
    "pause_rx_frames": kernel.PAUSE_RX,
    "paused_ps": kernel.PAUSED_TIME,
    "pause_transitions": kernel.TRANSITIONS,
    "watchdog_trips": kernel.TRIPS,
    "dropped_no_buffer_packets": kernel.DROPPED + kernel.NO_BUFFER,
    "dropped_link_down_packets": kernel.DROPPED + kernel.LINK_DOWN,
    "dropped_no_route_packets": kernel.DROPPED + kernel.NO_ROUTE,
    "dropped_corrupted_packets": kernel.DROPPED + kernel.CORRUPTED,
    "dropped_watchdog_packets": kernel.DROPPED + kernel.BY_WATCHDOG,
    "dropped_ttl_packets": kernel.DROPPED + kernel.HOPS_OVER,
}
COMPLETION_COLUMNS = {
    "posted_ps": kernel.POSTED,
    "received_ps": kernel.RECEIVED,
    "completed_ps": kernel.COMPLETED,
    "size_bytes": kernel.FLOW_SIZE,
    "retransmitted_packets": kernel.RETRANSMITTED,
    "reordered_packets": kernel.REORDERED,
}


def named_counters(ports: Sequence[Port]) -> npt.NDArray[np.void]:
    """Return the rows of the counters with their names filled in."""
    nodes = [port.node for port in ports]
    interfaces = [port.interface for port in ports]
    kind = np.dtype(
        [
            ("node", np.array(nodes).dtype),
            ("interface", np.array(interfaces).dtype),
            ("priority", np.int64),
            *((name, np.int64) for name in (*COUNTER_COLUMNS, "rx_packets", "rx_bytes", "dropped_packets")),
        ]
    )
    rows = np.zeros(len(ports) * PRIORITIES, kind)
    rows["node"] = np.repeat(nodes, PRIORITIES)
    rows["interface"] = np.repeat(interfaces, PRIORITIES)
    rows["priority"] = np.tile(np.arange(PRIORITIES), len(nodes))
    return rows


def fill_counters(rows: npt.NDArray[np.void], queues: Ints, ports: Ints, on_wires: Ints, now: int) -> None:
    """Fill the counters in as of ``now`` [ps], the pauses that hold included.

    Args:
        rows: From :func:`named_counters`.
        queues: The kernel's.
        ports: The kernel's.
        on_wires: What is on the wire out of every port, as :func:`kernel.count_on_wires` counts it.
        now: The time reached [ps].
    """
    queues = queues.reshape(len(ports), kernel.ROWS, -1)[:, :PRIORITIES].reshape(len(rows), -1)
    for name, column in COUNTER_COLUMNS.items():
        rows[name] = queues[:, column]
    gone = queues[:, [kernel.LOST_PACKETS, kernel.LOST_BYTES]]
    gone += on_wires.reshape(len(ports), 2, PRIORITIES).swapaxes(1, 2).reshape(len(rows), 2)
    arrived = queues[:, [kernel.TX_PACKETS, kernel.TX_BYTES]] - gone
    arrived = arrived.reshape(len(ports) // 2, 2, PRIORITIES, 2)[:, ::-1].reshape(len(rows), 2)  # of the other end
    rows["rx_packets"], rows["rx_bytes"] = arrived.T
    rows["dropped_packets"] = queues[:, kernel.DROPPED : kernel.DROPPED + kernel.CAUSES].sum(axis=1)
    refresh = np.repeat(ports[:, kernel.REFRESH], PRIORITIES)
    xoff, held = (
        np.where(queues[:, column] == kernel.NONE, 0, now - queues[:, column])
        for column in (kernel.XOFF_SINCE, kernel.HELD_SINCE)
    )
    rows["pause_tx_frames"] += xoff // refresh
    rows["pause_rx_frames"] += held // refresh
    rows["paused_ps"] += np.where(queues[:, kernel.OBEYS], held, 0)
