"""A pyverbs that is not there: enough of its classes to see what the transport would post, and how full queues get.

Soft-RoCE takes more work than a queue has room for, and longer messages than it says; this one does not.
"""

import importlib
import sys
from collections import deque
from enum import IntEnum
from types import ModuleType, SimpleNamespace

PREFIX = "aibench_lib.worker.transports.verbs"
SIGNALED, INLINE, WITH_IMM = 2, 8, 2
OPCODES = ("RDMA_WRITE", "RDMA_WRITE_WITH_IMM", "SEND", "SEND_WITH_IMM", "RDMA_READ")  # as ibv_wr_opcode counts them
RECEIVED, RECEIVED_WRITE = 128, 129


class PyverbsError(Exception):
    pass


class PyverbsRDMAError(PyverbsError):
    pass


class SGE:
    def __init__(self, addr, length, lkey):
        self.addr, self.length, self.lkey = addr, length, lkey


class Request:
    def __init__(self, opcode=0, num_sge=0, imm_data=0, sg=None, send_flags=SIGNALED):
        self.opcode, self.imm_data, self.send_flags, self.sge = opcode, imm_data, send_flags, sg[0]
        self.next_wr = None
        self.remote = None

    def set_wr_rdma(self, rkey, addr):
        self.remote = (rkey, addr)


class Pair:
    """A queue pair that remembers what is posted, and refuses what does not fit."""

    qp_num = 17

    def __init__(self, sends, longest=1 << 23):
        self.room, self.longest = sends, longest
        self.posted, self.receives = [], 0
        self._rows = deque()

    def post_send(self, request):
        length = 0
        while request:
            length += 1
            if request.sge.length > self.longest:
                raise PyverbsRDMAError("longer than max_msg_sz")
            self.posted.append(SimpleNamespace(**vars(request)))
            last, request = request, request.next_wr
        assert last.send_flags & SIGNALED, "nothing would ever say that this has completed"
        self.room -= length
        if self.room < 0:
            raise PyverbsRDMAError("the send queue is full")
        self._rows.append(length)

    def post_recv(self, request):
        while request:
            self.receives += 1
            request = request.next_wr

    def complete(self):
        """Complete the oldest signalled work."""
        self.room += self._rows.popleft()
        return SimpleNamespace(status=0, qp_num=self.qp_num)


def constants():
    names = {f"IBV_ACCESS_{name}": 1 << bit for bit, name in enumerate(("LOCAL_WRITE", "REMOTE_WRITE", "REMOTE_READ"))}
    names |= {f"IBV_QPS_{name}": n for n, name in enumerate(("RESET", "INIT", "RTR", "RTS", "SQD", "SQE", "ERR"))}
    masks = (
        "STATE",
        "PKEY_INDEX",
        "PORT",
        "ACCESS_FLAGS",
        "AV",
        "PATH_MTU",
        "DEST_QPN",
        "RQ_PSN",
        "MAX_DEST_RD_ATOMIC",
    )
    masks += ("MIN_RNR_TIMER", "TIMEOUT", "RETRY_CNT", "RNR_RETRY", "SQ_PSN", "MAX_QP_RD_ATOMIC")
    names |= {f"IBV_QP_{name}": 1 << bit for bit, name in enumerate(masks)}
    names |= {f"IBV_WR_{name}": number for number, name in enumerate(OPCODES)}
    names |= {"IBV_QPT_RC": 2, "IBV_SEND_SIGNALED": SIGNALED, "IBV_SEND_INLINE": INLINE, "IBV_PORT_ACTIVE": 4}
    return names | {"IBV_WC_RECV_RDMA_WITH_IMM": RECEIVED_WRITE, "IBV_WC_WITH_IMM": WITH_IMM}


def install(monkeypatch, *, flat=True):
    """Put it where pyverbs would be, and return a function that imports modules of the transport with it.

    Args:
        monkeypatch: Takes everything back.
        flat: Whether the constants lie as up to rdma-core 58, or as since then.
    """
    classes = {
        "addr": {"GID": object, "AHAttr": object, "GlobalRoute": object},
        "cq": {"CQ": object, "WC": object},
        "device": {"Context": object},
        "mr": {"MR": object},
        "pd": {"PD": object},
        "pyverbs_error": {"PyverbsError": PyverbsError, "PyverbsRDMAError": PyverbsRDMAError},
        "qp": dict.fromkeys(("QP", "QPAttr", "QPCap", "QPInitAttr"), object),
        "wr": {"SGE": SGE, "RecvWR": Request, "SendWR": Request},
    }
    if flat:
        classes["enums"] = constants()
    else:
        classes["libibverbs_enums"] = {"ibv_all": IntEnum("ibv_all", constants())}
    package = ModuleType("pyverbs")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "pyverbs", package)
    for name, content in classes.items():
        module = ModuleType(f"pyverbs.{name}")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in [name for name in sys.modules if name.startswith(PREFIX)]:
        monkeypatch.delitem(sys.modules, name)

    def verbs(name):
        return importlib.import_module(f"{PREFIX}.{name}")

    return verbs
