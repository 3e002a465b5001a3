"""The transport ``nixl``: NVIDIA's transfer library with its UCX backend, for hosts that serve with it.

Optional: ``pip install nixl``, or, without a GPU and without torch, ``pip install --no-deps nixl-cu12``.

* The label says what UCX was told to use, as ``nixl-ucx-rc`` or ``nixl-ucx-tcp``; set ``UCX_TLS`` to choose otherwise.
* Over TCP a WRITE is made by software at both ends: the receiving process polls for the whole trial, and its share of
  the processor is part of what is measured.
* A process that has used the wheel's UCX may crash as it ends, in the destructors of a library that the system has,
  too.  The processes of a trial end by ``os._exit``, which runs none.
* What UCX sends over TCP has no DSCP.
"""

from aibench_lib.worker.transports.nixl.transport import Nixl

__all__ = ["Nixl"]
