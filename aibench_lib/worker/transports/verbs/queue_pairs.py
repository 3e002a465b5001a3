"""Queue pairs: made, brought from state to state, and asked for their state."""

import secrets
from dataclasses import dataclass

from aibench_lib.worker.transports.transport import TransportError
from aibench_lib.worker.transports.verbs import library
from aibench_lib.worker.transports.verbs.address import End
from aibench_lib.worker.transports.verbs.device import Device
from aibench_lib.worker.transports.verbs.library import CQ, GID, QP, AHAttr, GlobalRoute, PyverbsRDMAError, QPAttr

RETRIES = 7
RNR_RETRIES = 6
"""7 would mean for ever: a peer that posts no receives would then hang the sender without a word."""
RNR_TIMER = 12
"""How long a sender waits for receives before it tries again, as the table of the InfiniBand specification numbers
it: 0.64 ms."""
TIMEOUTS = {"real-rdma": 14, "soft-roce": 18}
"""Label -> time without an answer after which a packet is sent again: 4.096 us times two to the power of this, which is
67 ms and 1.07 s.  Software answers late when the host is busy, which is no loss."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Depths:
    """Sizes of a queue pair's queues."""

    sends: int
    receives: int
    inline_bytes: int = 0
    """Payload that a work request may hold itself."""


class Ends:
    """The completion queues of a group of queue pairs, and the queue pairs.

    Args:
        device: Where.
        depths: Of each queue pair that will be made; there is room for all of their work requests, since a queue pair
            that fails returns each of them.
    """

    def __init__(self, device: Device, depths: list[Depths]) -> None:
        self._device, self._depths = device, iter(depths)
        self._pairs: list[QP] = []
        sends, receives = (sum(getattr(one, name) for one in depths) for name in ("sends", "receives"))
        largest = max(max(one.sends, one.receives) for one in depths)
        if largest > device.max_work or max(sends, receives) > device.max_completions:
            raise TransportError(
                f"{len(depths)} queue pairs want {largest} work requests each and {max(sends, receives)} completions; "
                f"the device has {device.max_work} and {device.max_completions}: use less depth, or fewer queue pairs"
            )
        self.sent = CQ(device.context, sends)
        self.received = CQ(device.context, receives)

    def make(self, access: int) -> QP:
        """Make the next queue pair, in the state INIT, where it takes receives.

        Args:
            access: What the peer may do to memory.
        """
        depths = next(self._depths)
        size = library.QPCap(
            max_send_wr=depths.sends,
            max_recv_wr=depths.receives,
            max_send_sge=1,
            max_recv_sge=1,
            max_inline_data=depths.inline_bytes,
        )
        wanted = library.QPInitAttr(qp_type=library.RC, scq=self.sent, rcq=self.received, cap=size, sq_sig_all=0)
        try:
            pair = QP(self._device.domain, wanted)
        except PyverbsRDMAError as error:
            raise TransportError(f"cannot make queue pair {len(self._pairs) + 1} on the device: {error}") from error
        self._pairs.append(pair)
        attributes = QPAttr(port_num=self._device.port)
        attributes.qp_state = library.INIT
        attributes.pkey_index = 0
        attributes.qp_access_flags = access
        pair.modify(attributes, library.TO_INIT)
        return pair

    def close(self) -> None:
        """Destroy the queue pairs, then their completion queues."""
        for pair in self._pairs:
            pair.close()
        self._pairs.clear()
        self.sent.close()
        self.received.close()


def packet_number() -> int:
    """Return a random first packet number, so that nobody off the path can guess a valid packet."""
    return secrets.randbits(24)


def connect(pair: QP, device: Device, own: End, peer: End, traffic_class: int, priority: int) -> None:
    """Bring a queue pair from INIT to RTS.

    Args:
        pair: The queue pair.
        device: Its device.
        own: This end.
        peer: The other end.
        traffic_class: Of its packets, DSCP and ECN.
        priority: For networks that go by the VLAN tag instead.

    Raises:
        TransportError: The device finds no way to the peer.
    """
    route = GlobalRoute(dgid=GID(peer.gid), sgid_index=device.gid_index, hop_limit=64, traffic_class=traffic_class)
    ready = QPAttr(port_num=device.port)
    ready.qp_state = library.RTR
    ready.ah_attr = AHAttr(port_num=device.port, is_global=1, gr=route, sl=priority)
    ready.path_mtu = min(own.mtu, peer.mtu)
    ready.dest_qp_num = peer.number
    ready.rq_psn = peer.packet_number
    ready.max_dest_rd_atomic = min(own.reads, peer.reads)
    ready.min_rnr_timer = RNR_TIMER
    sending = QPAttr(port_num=device.port)
    sending.qp_state = library.RTS
    sending.sq_psn = own.packet_number
    sending.timeout, sending.retry_cnt, sending.rnr_retry = TIMEOUTS[device.label], RETRIES, RNR_RETRIES
    sending.max_rd_atomic = min(own.reads, peer.reads)
    try:
        pair.modify(ready, library.TO_RTR)
        pair.modify(sending, library.TO_RTS)
    except PyverbsRDMAError as error:
        raise TransportError(
            f"no way from GID {own.gid} to {peer.gid} ({error}); is there a route, does the peer answer ARP, and "
            "are both GIDs of one kind?"
        ) from error


def state(pair: QP) -> str:
    """Return the state, asked of the device; the library's own copy stays RTS when a queue pair fails."""
    attributes, _ = pair.query(library.QP_STATE)
    return library.STATES.get(int(attributes.qp_state), "UNKNOWN")
