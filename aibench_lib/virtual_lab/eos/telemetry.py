"""The state paths of an EOS switch: OpenConfig, and LANZ for queue lengths.

EOS deviates the OpenConfig leaves avg-queue-len, max-queue-len and ecn-marked-octets as not supported: they are absent.
"""

from aibench_lib.virtual_lab.observed import OPENCONFIG_INTERFACE, Container, Subject

_PFC = "/interfaces/interface[name={interface}]/ethernet/pfc"

CONTAINERS = (
    Container(
        Subject.QUEUE,
        "/qos/interfaces/interface[interface-id={interface}]/output/queues/queue[name={queue}]/state",
        {
            "transmit-pkts": "tx_packets",
            "transmit-octets": "tx_bytes",
            "dropped-pkts": "dropped_packets",
            "dropped-octets": "dropped_bytes",
            "ecn-marked-pkts": "ecn_marked_packets",
        },
    ),
    Container(
        Subject.PFC,
        f"{_PFC}/priorities/priority[index={{priority}}]/state",
        {
            "in-frames": "pause_rx_frames",
            "out-frames": "pause_tx_frames",
            "pfc-on-total-rx-time": "paused_ns",
            "rx-transitions": "pause_transitions",
        },
    ),
    Container(
        Subject.PFC,
        f"{_PFC}/watchdog/tx-queues/tx-queue[index={{priority}}][queue-type=UNICAST]/state",
        {"stuck-count": "watchdog_trips"},
    ),
    Container(
        Subject.CONGESTION,
        "/arista/lanz/congestion-record/state",
        {"type": "type", "interface-id": "interface", "traffic-class": "priority", "queue-length": "depth_bytes"},
        narrow=True,
    ),
    *OPENCONFIG_INTERFACE,
)
