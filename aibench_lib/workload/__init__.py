"""What is offered to the fabric: sizes of KV caches and of MoE dispatches."""

from aibench_lib.workload.kv_cache import kv_cache_bytes, s_kv_unit
from aibench_lib.workload.moe import dispatch_bytes, egress_bytes, fabric_bytes

__all__ = ["dispatch_bytes", "egress_bytes", "fabric_bytes", "kv_cache_bytes", "s_kv_unit"]
