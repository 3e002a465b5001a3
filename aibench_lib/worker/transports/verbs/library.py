"""The door to pyverbs: its classes, and its constants under one name each.

Up to rdma-core 58 the constants lie flat in ``pyverbs.enums``, later in the enumerations of
``pyverbs.libibverbs_enums``; versions between have both.
"""

import importlib
from types import ModuleType

from pyverbs.addr import GID, AHAttr, GlobalRoute
from pyverbs.cq import CQ, WC
from pyverbs.device import Context
from pyverbs.mr import MR
from pyverbs.pd import PD
from pyverbs.pyverbs_error import PyverbsError, PyverbsRDMAError
from pyverbs.qp import QP, QPAttr, QPCap, QPInitAttr
from pyverbs.wr import SGE, RecvWR, SendWR


def _constants() -> ModuleType:
    try:
        return importlib.import_module("pyverbs.libibverbs_enums")
    except ImportError:
        return importlib.import_module("pyverbs.enums")


def _constant(name: str) -> int:
    """Return a constant, whichever enumeration it stands in."""
    for place in (_module, *(value for value in vars(_module).values() if isinstance(value, type))):
        if hasattr(place, name):
            return int(getattr(place, name))
    raise ImportError(f"this pyverbs has no constant {name}")


_module = _constants()

LOCAL_WRITE = _constant("IBV_ACCESS_LOCAL_WRITE")
REMOTE_WRITE = _constant("IBV_ACCESS_REMOTE_WRITE")
REMOTE_READ = _constant("IBV_ACCESS_REMOTE_READ")

RC = _constant("IBV_QPT_RC")
INIT = _constant("IBV_QPS_INIT")
RTR = _constant("IBV_QPS_RTR")
RTS = _constant("IBV_QPS_RTS")
ERR = _constant("IBV_QPS_ERR")
STATES = {_constant(f"IBV_QPS_{name}"): name for name in ("RESET", "INIT", "RTR", "RTS", "SQD", "SQE", "ERR")}

QP_STATE = _constant("IBV_QP_STATE")
TO_INIT = QP_STATE | sum(_constant(f"IBV_QP_{name}") for name in ("PKEY_INDEX", "PORT", "ACCESS_FLAGS"))
TO_RTR = QP_STATE | sum(
    _constant(f"IBV_QP_{name}")
    for name in ("AV", "PATH_MTU", "DEST_QPN", "RQ_PSN", "MAX_DEST_RD_ATOMIC", "MIN_RNR_TIMER")
)
TO_RTS = QP_STATE | sum(
    _constant(f"IBV_QP_{name}") for name in ("TIMEOUT", "RETRY_CNT", "RNR_RETRY", "SQ_PSN", "MAX_QP_RD_ATOMIC")
)

WRITE = _constant("IBV_WR_RDMA_WRITE")
WRITE_WITH_IMM = _constant("IBV_WR_RDMA_WRITE_WITH_IMM")
READ = _constant("IBV_WR_RDMA_READ")
SEND = _constant("IBV_WR_SEND")
SEND_WITH_IMM = _constant("IBV_WR_SEND_WITH_IMM")
SIGNALED = _constant("IBV_SEND_SIGNALED")
INLINE = _constant("IBV_SEND_INLINE")

RECEIVED_WRITE = _constant("IBV_WC_RECV_RDMA_WITH_IMM")
WITH_IMM = _constant("IBV_WC_WITH_IMM")
PORT_ACTIVE = _constant("IBV_PORT_ACTIVE")

__all__ = [
    "CQ",
    "ERR",
    "GID",
    "INIT",
    "INLINE",
    "LOCAL_WRITE",
    "MR",
    "PD",
    "PORT_ACTIVE",
    "QP",
    "QP_STATE",
    "RC",
    "READ",
    "RECEIVED_WRITE",
    "REMOTE_READ",
    "REMOTE_WRITE",
    "RTR",
    "RTS",
    "SEND",
    "SEND_WITH_IMM",
    "SGE",
    "SIGNALED",
    "STATES",
    "TO_INIT",
    "TO_RTR",
    "TO_RTS",
    "WC",
    "WITH_IMM",
    "WRITE",
    "WRITE_WITH_IMM",
    "AHAttr",
    "Context",
    "GlobalRoute",
    "PyverbsError",
    "PyverbsRDMAError",
    "QPAttr",
    "QPCap",
    "QPInitAttr",
    "RecvWR",
    "SendWR",
]
