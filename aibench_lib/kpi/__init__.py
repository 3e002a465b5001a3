"""The draft's KPIs as pure functions of samples and counters, in the units of Tables 3 and 4."""

from aibench_lib.kpi.blocking import added_delay
from aibench_lib.kpi.convergence import Criterion, convergence_ns, steady_state
from aibench_lib.kpi.fabric import buffer_utilization, ecn_marking_rate, fabric_fct, link_utilization, packet_drop_rate
from aibench_lib.kpi.fairness import jain_index
from aibench_lib.kpi.kv_transfer import Bandwidth, kv_xfer_latency, sustained_bandwidth
from aibench_lib.kpi.onset import MarkingOnset, marking_onset
from aibench_lib.kpi.rates import delivered_rate, service_start_ns
from aibench_lib.kpi.throughput import (
    TERMINOLOGY,
    BusBandwidth,
    algo_factor,
    bus_bandwidth,
    fabric_goodput,
    inference_goodput,
)

__all__ = [
    "TERMINOLOGY",
    "Bandwidth",
    "BusBandwidth",
    "Criterion",
    "MarkingOnset",
    "added_delay",
    "algo_factor",
    "buffer_utilization",
    "bus_bandwidth",
    "convergence_ns",
    "delivered_rate",
    "ecn_marking_rate",
    "fabric_fct",
    "fabric_goodput",
    "inference_goodput",
    "jain_index",
    "kv_xfer_latency",
    "link_utilization",
    "marking_onset",
    "packet_drop_rate",
    "service_start_ns",
    "steady_state",
    "sustained_bandwidth",
]
