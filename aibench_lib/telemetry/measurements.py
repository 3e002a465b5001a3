"""What is stored of a fabric: the measurements, their tags and fields, whatever device they come from."""

from collections.abc import Mapping

import pyarrow as pa

TAGS: Mapping[str, tuple[str, ...]] = {
    "queue": ("switch", "interface", "queue"),
    "interface": ("switch", "interface"),
    "pfc": ("switch", "interface", "priority"),
    "buffer": ("switch",),
    "routing": ("switch",),
}
"""Measurement -> the tags that name one series of it."""

FIELDS: Mapping[str, Mapping[str, pa.DataType]] = {
    "queue": {
        "transmit_packets": pa.int64(),
        "transmit_bytes": pa.int64(),
        "ecn_marked_packets": pa.int64(),
        "dropped_packets": pa.int64(),
        "dropped_bytes": pa.int64(),
        "depth_bytes": pa.int64(),
        "peak_bytes": pa.int64(),
    },
    "interface": {
        "in_bytes": pa.int64(),
        "out_bytes": pa.int64(),
        "in_packets": pa.int64(),
        "out_packets": pa.int64(),
        "in_discards": pa.int64(),
        "out_discards": pa.int64(),
        "oper_up": pa.bool_(),
    },
    "pfc": {
        "pause_rx_frames": pa.int64(),
        "pause_tx_frames": pa.int64(),
        "paused_ns": pa.int64(),
        "pause_transitions": pa.int64(),
        "watchdog_trips": pa.int64(),
    },
    "buffer": {
        "used_bytes": pa.int64(),
        "free_bytes": pa.int64(),
        "reserved_bytes": pa.int64(),
        "size_bytes": pa.int64(),
    },
    "routing": {
        "route_changes": pa.int64(),
    },
}
"""Measurement -> its fields; a field is null in a row whose message did not carry it."""

COUNTERS: Mapping[str, tuple[str, ...]] = {
    "queue": ("transmit_packets", "transmit_bytes", "ecn_marked_packets", "dropped_packets", "dropped_bytes"),
    "interface": ("in_bytes", "out_bytes", "in_packets", "out_packets", "in_discards", "out_discards"),
    "pfc": ("pause_rx_frames", "pause_tx_frames", "paused_ns", "pause_transitions", "watchdog_trips"),
    "buffer": (),
    "routing": ("route_changes",),
}
"""Measurement -> the fields that only ever grow, unless the device was reset."""


def schema(measurement: str) -> pa.Schema:
    """Return the columns of a measurement's tables: ``time_ns``, its tags, its fields."""
    tags = [pa.field(tag, pa.string(), nullable=False) for tag in TAGS[measurement]]
    fields = [pa.field(name, kind) for name, kind in FIELDS[measurement].items()]
    return pa.schema([pa.field("time_ns", pa.int64(), nullable=False), *tags, *fields])
