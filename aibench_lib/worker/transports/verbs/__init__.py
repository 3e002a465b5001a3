"""RDMA by verbs: reliable connected queue pairs through pyverbs, on RDMA NICs and on the kernel's soft-RoCE.

``library`` is the only module of the project that imports pyverbs.
"""

from aibench_lib.worker.transports.verbs.transport import Verbs

__all__ = ["Verbs"]
