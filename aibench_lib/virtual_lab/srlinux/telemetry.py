"""The state paths of an SR Linux switch, native models."""

from aibench_lib.virtual_lab.observed import Container, Subject

_QUEUE = "/qos/interfaces/interface[interface-id={interface}]/output/queues/queue[queue-name={queue}]"


def queue_name(priority: int) -> str:
    """Return how the switch calls the queue of a priority."""
    return f"q{priority}"


CONTAINERS = (
    Container(
        Subject.QUEUE,
        f"{_QUEUE}/queue-statistics/aggregate-statistics",
        {
            "transmitted-packets": "tx_packets",
            "transmitted-octets": "tx_bytes",
            "dropped-packets": "dropped_packets",
            "dropped-octets": "dropped_bytes",
            "ecn-marked-packets": "ecn_marked_packets",
        },
        queue_name=queue_name,
    ),
    Container(
        Subject.QUEUE,
        f"{_QUEUE}/queue-depth",
        {"average-1": "depth_bytes", "high-watermark-1": "peak_depth_bytes"},
        queue_name=queue_name,
    ),
    Container(
        Subject.PFC,
        "/qos/interfaces/interface[interface-id={interface}]/pfc/statistics/pfc-priority[index={priority}]",
        {
            "pfc-pause-frames-received": "pause_rx_frames",
            "pfc-pause-frames-generated": "pause_tx_frames",
            "pfc-transitions": "pause_transitions",
            "deadlock-recovery-occurrences": "watchdog_trips",
        },
    ),
    Container(
        Subject.INTERFACE,
        "/interface[name={interface}]/statistics",
        {
            "in-octets": "rx_bytes",
            "out-octets": "tx_bytes",
            "in-packets": "rx_packets",
            "out-packets": "tx_packets",
            "in-discarded-packets": "zero",
            "out-discarded-packets": "dropped_packets",
        },
    ),
    Container(Subject.OPERATION, "/interface[name={interface}]", {"oper-state": "up"}, states=("down", "up")),
    Container(
        Subject.BUFFER,
        "/platform/linecard[slot=1]/forwarding-complex[name=0]/buffer-memory",
        {"used": "used_bytes", "free": "free_bytes", "reserved": "zero"},
    ),
)
