"""The counters of a simulated SONiC switch, as its gNMI server shows those of COUNTERS_DB.

A port is an element of the path, not the key of a list; its queues are below it by their numbers, and its counters of
PFC have the priority in their names.
"""

from aibench_lib.virtual_lab.observed import PRIORITIES, Container, Subject
from aibench_lib.virtual_lab.sonic.base import GNMI_PORT

__all__ = ["CONTAINERS", "GNMI_PORT", "MODELS"]

MODELS = ("sonic-db",)

_PORT = "/COUNTERS/{interface}"


def _pfc(priority: int) -> Container:
    counter = f"SAI_PORT_STAT_PFC_{priority}"
    return Container(
        Subject.PFC,
        _PORT,
        {
            f"{counter}_RX_PKTS": "pause_rx_frames",
            f"{counter}_TX_PKTS": "pause_tx_frames",
            f"{counter}_RX_PAUSE_DURATION_US": "paused_ns",
        },
        divisors={f"{counter}_RX_PAUSE_DURATION_US": 1000},
        priorities=(priority,),
    )


CONTAINERS = (
    Container(
        Subject.QUEUE,
        f"{_PORT}/Queues/{{queue}}",
        {
            "SAI_QUEUE_STAT_PACKETS": "tx_packets",
            "SAI_QUEUE_STAT_BYTES": "tx_bytes",
            "SAI_QUEUE_STAT_DROPPED_PACKETS": "dropped_packets",
            "SAI_QUEUE_STAT_DROPPED_BYTES": "dropped_bytes",
            "SAI_QUEUE_STAT_WRED_ECN_MARKED_PACKETS": "ecn_marked_packets",
            "SAI_QUEUE_STAT_SHARED_WATERMARK_BYTES": "peak_depth_bytes",
            "PFC_WD_QUEUE_STATS_DEADLOCK_DETECTED": "watchdog_trips",
        },
    ),
    *map(_pfc, PRIORITIES),
    Container(
        Subject.INTERFACE,
        _PORT,
        {
            "SAI_PORT_STAT_IF_IN_OCTETS": "rx_bytes",
            "SAI_PORT_STAT_IF_OUT_OCTETS": "tx_bytes",
            "SAI_PORT_STAT_IF_IN_UCAST_PKTS": "rx_packets",
            "SAI_PORT_STAT_IF_OUT_UCAST_PKTS": "tx_packets",
            "SAI_PORT_STAT_IF_IN_DISCARDS": "zero",
            "SAI_PORT_STAT_IF_OUT_DISCARDS": "dropped_packets",
        },
    ),
)
