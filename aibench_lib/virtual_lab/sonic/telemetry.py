"""The counters of a simulated SONiC switch, as its gNMI server shows those of COUNTERS_DB.

A port is an element of the path, not the key of a list, and a port's queues are below it by their numbers.
"""

from aibench_lib.virtual_lab.observed import Container, Subject

MODELS = ("sonic-db",)

_PORT = "/COUNTERS/{interface}"

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
            "SAI_QUEUE_STAT_CURR_OCCUPANCY_BYTES": "depth_bytes",
            "SAI_QUEUE_STAT_SHARED_WATERMARK_BYTES": "peak_depth_bytes",
        },
    ),
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
