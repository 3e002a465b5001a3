"""The state paths of an NX-OS switch: OpenConfig for what it has, the vendor's own model for the queues.

OpenConfig has no marks, no depth and no PFC here; the record of a queue in ``Cisco-NX-OS-device`` has them.
"""

from aibench_lib.virtual_lab.nxos.effects import queue_name
from aibench_lib.virtual_lab.observed import Container, Subject


def interface_name(interface: str) -> str:
    """Return what gNMI calls an interface."""
    return interface.replace("Ethernet", "eth")


MODELS = ("openconfig-interfaces", "openconfig-qos", "Cisco-NX-OS-device")

_QUEUE = (
    "/System/ipqos-items/queuing-items/policy-items/out-items/intf-items/If-list[name={interface}]"
    "/queCmap-items/QueuingStats-list[cmapName={queue}]"
)

CONTAINERS = (
    Container(
        Subject.QUEUE,
        _QUEUE,
        {
            "txPackets": "tx_packets",
            "txBytes": "tx_bytes",
            "dropPackets": "dropped_packets",
            "dropBytes": "dropped_bytes",
            "currQueueDepth": "depth_bytes",
            "maxQueueDepth": "peak_depth_bytes",
            "randEcnMarkedPackets": "ecn_marked_packets",
        },
        queue_name=queue_name,
        interface_name=interface_name,
    ),
    Container(
        Subject.PFC,
        _QUEUE,
        {
            "pfcRxPpp": "pause_rx_frames",
            "pfcTxPpp": "pause_tx_frames",
            "pfcwdShutdownCount": "watchdog_trips",
        },
        queue_name=queue_name,
        interface_name=interface_name,
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
        interface_name=interface_name,
    ),
    Container(
        Subject.OPERATION,
        "/interfaces/interface[name={interface}]/state",
        {"oper-status": "up"},
        interface_name=interface_name,
    ),
)
