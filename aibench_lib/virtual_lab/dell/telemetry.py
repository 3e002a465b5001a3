"""The state paths of a Dell Enterprise SONiC switch: OpenConfig, with the vendor's extensions for PFC.

A queue's name is that of its port and its number.
"""

from aibench_lib.virtual_lab.observed import OPENCONFIG_INTERFACE, Container, Subject

GNMI_PORT = 8080
MODELS = ("openconfig-interfaces", "openconfig-qos", "openconfig-qos-ext")

_PORT = "/qos/interfaces/interface[interface-id={interface}]"

CONTAINERS = (
    Container(
        Subject.QUEUE,
        f"{_PORT}/output/queues/queue[name={{interface}}:{{queue}}]/state",
        {
            "transmit-pkts": "tx_packets",
            "transmit-octets": "tx_bytes",
            "dropped-pkts": "dropped_packets",
            "dropped-octets": "dropped_bytes",
            "ecn-marked-pkts": "ecn_marked_packets",
            "watermark": "peak_depth_bytes",
        },
    ),
    Container(
        Subject.PFC,
        f"{_PORT}/pfc/pfc-priorities/pfc-priority[dot1p={{priority}}]/state/statistics",
        {"pause-frames-rx": "pause_rx_frames", "pause-frames-tx": "pause_tx_frames"},
    ),
    Container(
        Subject.PFC,
        f"{_PORT}/pfc/pfc-queue/pfc-queue[queue={{priority}}]/statistics",
        {"storm-detected": "watchdog_trips"},
    ),
    *OPENCONFIG_INTERFACE,
)
