"""The RDMA device of this host in the fabric under test, opened, with what it can do."""

from aibench_lib.worker.agent import nic
from aibench_lib.worker.transports.transport import Options, TransportError
from aibench_lib.worker.transports.verbs.library import PD, PORT_ACTIVE, Context, PyverbsError
from aibench_lib.worker.transports.verbs.memory import Registrations

CHUNK_BYTES = 8 << 20
"""A longer message is several work requests: no device has to take 1 GB at once."""
READS = 16
"""READs of a queue pair that are under way at most, where both devices can."""


class Device:
    """An open device with a protection domain.

    Args:
        options: Which one.

    Raises:
        TransportError: There is none, or it cannot be used.
    """

    def __init__(self, options: Options) -> None:
        found = nic.find(options.address, options.device)
        if not found.device:
            raise TransportError(f"no RDMA device has the address {options.address}; `rdma link` lists those there are")
        index = nic.gid_index(found) if options.gid_index is None else options.gid_index
        if index is None:
            raise TransportError(
                f"{found.device} has no RoCE v2 GID of {options.address}: "
                "is the address on its interface, and the link up?"
            )
        self.label, self.port, self.gid_index = found.label, found.port, index
        try:
            self.context = Context(name=found.device)
            port = self.context.query_port(self.port)
            can = self.context.query_device()
            self.gid = str(self.context.query_gid(self.port, index).gid)
            self.domain = PD(self.context)
        except PyverbsError as error:
            raise TransportError(
                f"cannot open {found.device} ({error}); has this user access to /dev/infiniband, "
                "and does the installed libibverbs know the device?"
            ) from error
        if port.state != PORT_ACTIVE:
            raise TransportError(f"port {self.port} of {found.device} is not active; is the link up?")
        self.mtu = int(port.active_mtu)
        self.max_work = int(can.max_qp_wr)
        self.max_completions = int(can.max_cqe)
        self.chunk_bytes = min(int(port.max_msg_sz), CHUNK_BYTES)
        self.reads = min(int(can.max_qp_rd_atom), int(can.max_qp_init_rd_atom), READS)
        self.registrations = Registrations(self.domain)

    def close(self) -> None:
        """Give everything back; queue pairs and completion queues must be gone."""
        self.registrations.close()
        self.domain.close()
        self.context.close()
