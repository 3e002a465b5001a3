"""The state paths of a Cumulus Linux switch: OpenConfig, with NVIDIA's leaves for queue lengths and PFC.

A pause's duration is in microseconds.  The watchdog has no path.
"""

from aibench_lib.units import NS_PER_US
from aibench_lib.virtual_lab.observed import OPENCONFIG_INTERFACE, Container, Subject

GNMI_PORT = 9339
MODELS = ("openconfig-interfaces", "openconfig-if-ethernet", "openconfig-qos")

_PRIORITY = "/qos/interfaces/interface[interface-id={interface}]/switch-priority[priority={priority}]/state"

CONTAINERS = (
    Container(
        Subject.QUEUE,
        "/qos/interfaces/interface[interface-id={interface}]/output/queues/queue[name={queue}]/state",
        {
            "transmit-pkts": "tx_packets",
            "transmit-octets": "tx_bytes",
            "no-buffer-uc-dropped-pkts": "dropped_packets",
            "wred-dropped-pkts": "zero",
            "ecn-marked-pkts": "ecn_marked_packets",
            "instant-queue-len": "depth_bytes",
            "max-queue-len": "peak_depth_bytes",
        },
    ),
    Container(
        Subject.PFC,
        f"{_PRIORITY}/counters",
        {"in-pause-pkts": "pause_rx_frames", "out-pause-pkts": "pause_tx_frames"},
    ),
    Container(Subject.PFC, _PRIORITY, {"in-pause-duration": "paused_ns"}, divisors={"in-pause-duration": NS_PER_US}),
    *OPENCONFIG_INTERFACE,
)
