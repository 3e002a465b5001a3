"""The state paths of an EOS switch: OpenConfig, and LANZ for queue lengths.

EOS deviates the OpenConfig leaves avg-queue-len, max-queue-len and ecn-marked-octets as not supported: they are absent.
"""

from aibench_lib.virtual_lab.observed import Container, Subject

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
        Subject.CONGESTION,
        "/arista/lanz/congestion-record/state",
        {"type": "type", "interface-id": "interface", "traffic-class": "priority", "queue-length": "depth_bytes"},
        narrow=True,
    ),
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
