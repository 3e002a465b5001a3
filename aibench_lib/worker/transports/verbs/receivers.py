"""The receiving queue pairs of a group, made and connected at once: their senders' ends are known."""

from collections.abc import Sequence

from aibench_lib.worker.transports.transport import Sender
from aibench_lib.worker.transports.verbs import address, queue_pairs
from aibench_lib.worker.transports.verbs.address import ReceivingEnd, SendingEnd
from aibench_lib.worker.transports.verbs.device import Device
from aibench_lib.worker.transports.verbs.library import LOCAL_WRITE, REMOTE_READ, REMOTE_WRITE
from aibench_lib.worker.transports.verbs.memory import Region, regions
from aibench_lib.worker.transports.verbs.queue_pairs import Depths, Ends
from aibench_lib.worker.transports.verbs.receiving import Incoming, half_of_receives, sends_of
from aibench_lib.worker.transports.verbs.senders import own_end
from aibench_lib.worker.transports.verbs.sending import STAMP
from aibench_lib.worker.transports.verbs.work import Receives

_ACCESS = {  # operation -> (of the queue pair, of the memory)
    "write": (REMOTE_WRITE, LOCAL_WRITE | REMOTE_WRITE),
    "write_with_imm": (REMOTE_WRITE, LOCAL_WRITE | REMOTE_WRITE),
    "read": (REMOTE_READ, REMOTE_READ),
    "send": (0, LOCAL_WRITE),
}
"""What a peer may do is what its operation needs; a device wants LOCAL_WRITE where it lets others write."""


class Receivers:
    """Queue pairs in the state RTS, with receives posted before their senders can send.

    Args:
        device: Where.
        senders: Whose messages they take.
    """

    def __init__(self, device: Device, senders: Sequence[Sender]) -> None:
        self._device = device
        peers = [address.sending_end(sender.address) for sender in senders]
        depths = [
            Depths(
                sends=sends_of(peer),
                receives=2 * half_of_receives(peer) + 1,
                inline_bytes=STAMP.size if peer.echo else 0,
            )
            for peer in peers
        ]
        self.ends = Ends(device, depths)
        self._regions = regions(
            [_region_bytes(peer, device) for peer in peers], apart=any(peer.pattern for peer in peers)
        )
        self._desk = Region(max(STAMP.size * sum(peer.outstanding for peer in peers if peer.echo), STAMP.size))
        self._desk_key = device.registrations.register(self._desk, 0).lkey
        self._echoes = 0
        self.incoming: list[Incoming] = []
        self.addresses = {
            (sender.host, sender.qp): self._accept(place, sender, peer)
            for place, (sender, peer) in enumerate(zip(senders, peers, strict=True))
        }

    def _accept(self, place: int, sender: Sender, peer: SendingEnd) -> bytes:
        device, region = self._device, self._regions[place]
        of_pair, of_memory = _ACCESS[peer.operation]
        pair = self.ends.make(of_pair)
        memory = device.registrations.register(region, of_memory)
        if peer.pattern and peer.operation == "read":
            region.fill(peer.pattern)
        half = half_of_receives(peer)
        landing = region.size_bytes if peer.operation == "send" else 0
        receives = Receives(half, region.address, landing, memory.lkey) if half else None
        if receives:
            pair.post_recv(receives.head)
            pair.post_recv(receives.head)
        pair.post_recv(Receives(1, region.address, landing, memory.lkey).head)  # for the last word
        remote = memory.rkey if of_pair else 0
        own = own_end(device, pair, remote, region.address if remote else 0)
        queue_pairs.connect(pair, device, own, peer.end, peer.traffic_class, peer.priority)
        self.incoming.append(
            Incoming(
                place=place,
                sender=sender,
                peer=peer,
                pair=pair,
                receives=receives,
                region=region,
                desk=self._desk,
                first_echo=self._echoes,
                local_key=self._desk_key,
            )
        )
        self._echoes += STAMP.size * peer.outstanding if peer.echo else 0
        return address.encode(ReceivingEnd(end=own, receives=2 * half))


def _region_bytes(peer: SendingEnd, device: Device) -> int:
    return min(peer.largest_bytes, device.chunk_bytes) if peer.operation == "send" else peer.largest_bytes
