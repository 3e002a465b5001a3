"""The state paths of a Junos switch: the native ones of its line cards, and OpenConfig's of its interfaces.

There is no time of pause, and no depth of a queue but its peak.
"""

from aibench_lib.virtual_lab.observed import OPENCONFIG_INTERFACE, Container, Subject

GNMI_PORT = 50051
MODELS = ("openconfig-interfaces", "junos-state-interfaces", "junos-qmon")

CONTAINERS = (
    Container(
        Subject.QUEUE,
        "/cos/interfaces/interface[name={interface}]/queues/queue[queue={queue}]",
        {
            "txPkts": "tx_packets",
            "txBytes": "tx_bytes",
            "tailDropPkts": "dropped_packets",
            "tailDropBytes": "dropped_bytes",
            "ecnMarkedPkts": "ecn_marked_packets",
            "peakBufferOccupancy": "peak_depth_bytes",
        },
    ),
    Container(
        Subject.PFC,
        "/state/interfaces/interface[name={interface}]/counters/pfc[priority={priority}]",
        {"in-pkts": "pause_rx_frames", "out-pkts": "pause_tx_frames"},
    ),
    *OPENCONFIG_INTERFACE,
)
