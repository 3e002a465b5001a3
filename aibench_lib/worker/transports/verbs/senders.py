"""The sending queue pairs of a group, from their making to the moment they are joined to their peers."""

from collections.abc import Mapping, Sequence

from aibench_lib.worker.transports.transport import Options, SendQueue, TransportError
from aibench_lib.worker.transports.verbs import address, queue_pairs
from aibench_lib.worker.transports.verbs.address import End, ReceivingEnd, SendingEnd
from aibench_lib.worker.transports.verbs.device import Device
from aibench_lib.worker.transports.verbs.library import LOCAL_WRITE, QP, REMOTE_WRITE
from aibench_lib.worker.transports.verbs.memory import Region, regions
from aibench_lib.worker.transports.verbs.plan import WORDS, Demand
from aibench_lib.worker.transports.verbs.queue_pairs import Depths, Ends
from aibench_lib.worker.transports.verbs.sending import STAMP, WORDS_RECEIVED, Outgoing
from aibench_lib.worker.transports.verbs.work import INLINE_BYTES, Path, Receives


class Senders:
    """Queue pairs in the state INIT, with receives for what their peers will say.

    Args:
        device: Where.
        queues: What they will send.
        options: Of this host.
    """

    def __init__(self, device: Device, queues: Sequence[SendQueue], options: Options) -> None:
        self._device, self._queues, self._options = device, queues, options
        self._demands = [Demand(queue, device) for queue in queues]
        self._echoing = [_echoes(queue) for queue in queues]
        self.ends = Ends(device, [self._depths(*each) for each in zip(queues, self._demands, strict=True)])
        self._regions = regions([_region_bytes(queue, device) for queue in queues], apart=options.verify)
        self._echo_places = self._place_echoes()
        self._pairs = [self._make(number) for number in range(len(queues))]
        self.addresses = {queue.qp: address.encode(end) for queue, end in zip(queues, self._said, strict=True)}
        self.outgoing: list[Outgoing] = []

    def join(self, receivers: Mapping[int, bytes]) -> None:
        """Bring every queue pair to RTS, each with its peer's end."""
        for number, queue in enumerate(self._queues):
            if queue.qp not in receivers:
                raise TransportError(f"{queue.peer} has said nothing about queue pair {queue.qp}")
            peer = address.receiving_end(receivers[queue.qp])
            own = self._said[number]
            if peer.end.chunk_bytes < min(self._device.chunk_bytes, queue.largest_bytes):
                raise TransportError(
                    f"{queue.peer}'s device takes {peer.end.chunk_bytes} bytes at once, less than this one"
                )
            pair = self._pairs[number]
            queue_pairs.connect(pair, self._device, own.end, peer.end, own.traffic_class, queue.priority)
            self.outgoing.append(self._outgoing(number, pair, peer))

    def _depths(self, queue: SendQueue, demand: Demand) -> Depths:
        receives = WORDS_RECEIVED + (demand.outstanding if _echoes(queue) else 0)
        inline = queue.largest_bytes if queue.largest_bytes <= INLINE_BYTES else 0
        return Depths(sends=demand.sends, receives=receives, inline_bytes=inline)

    def _place_echoes(self) -> list[int]:
        """Return the offset of each queue pair's echoes, and make the memory they land in."""
        places, end = [], 0
        for demand, echoing in zip(self._demands, self._echoing, strict=True):
            places.append(end)
            end += demand.outstanding * STAMP.size if echoing else 0
        self._echo_region = Region(end) if end else None
        return places

    def _make(self, number: int) -> QP:
        queue, demand = self._queues[number], self._demands[number]
        echoing, registrations = self._echoing[number], self._device.registrations
        pair = self.ends.make(REMOTE_WRITE if echoing else 0)
        region = self._regions[number]
        memory = registrations.register(region, LOCAL_WRITE if queue.operation == "read" else 0)
        receives = Receives(self._depths(queue, demand).receives, region.address, 0, memory.lkey)
        pair.post_recv(receives.head)
        key = where = 0
        if self._echo_region and echoing:
            key = registrations.register(self._echo_region, LOCAL_WRITE | REMOTE_WRITE).rkey
            where = self._echo_region.address + self._echo_places[number]
        self._say(number, pair, key, where)
        return pair

    def _say(self, number: int, pair: QP, key: int, where: int) -> None:
        queue, demand, options = self._queues[number], self._demands[number], self._options
        pattern = f"{options.seed}/{options.host}/{queue.qp}" if options.verify else ""
        if pattern and queue.operation != "read":
            self._regions[number].fill(pattern)
        if number == 0:
            self._said: list[SendingEnd] = []
        self._said.append(
            SendingEnd(
                end=own_end(self._device, pair, key, where),
                operation=queue.operation,
                rows=_rows(queue),
                largest_bytes=queue.largest_bytes,
                outstanding=demand.outstanding,
                receives=demand.receives,
                echo=self._echoing[number],
                traffic_class=options.traffic_class(queue.priority),
                priority=queue.priority,
                pattern=pattern,
            )
        )

    def _outgoing(self, number: int, pair: QP, peer: ReceivingEnd) -> Outgoing:
        queue, demand, region = self._queues[number], self._demands[number], self._regions[number]
        memory = self._device.registrations.register(region, LOCAL_WRITE if queue.operation == "read" else 0)
        path = Path(
            operation=queue.operation,
            address=region.address,
            local_key=memory.lkey,
            remote_address=peer.end.address,
            remote_key=peer.end.key,
            chunk_bytes=self._device.chunk_bytes,
            inline_bytes=INLINE_BYTES if queue.largest_bytes <= INLINE_BYTES else 0,
        )
        return Outgoing(
            place=number,
            queue=queue,
            pair=pair,
            path=path,
            credits=peer.receives,
            most=demand.outstanding,
            room=demand.sends - WORDS,
            receive=Receives(1, region.address, 0, memory.lkey),
            echoes=self._echo_region if self._echoing[number] else None,
            first_echo=self._echo_places[number],
            region=region,
            pattern=self._said[number].pattern,
        )


def own_end(device: Device, pair: QP, key: int, where: int) -> End:
    """Return what a peer must know of a queue pair of this host."""
    return End(
        gid=device.gid,
        number=pair.qp_num,
        packet_number=queue_pairs.packet_number(),
        mtu=device.mtu,
        reads=device.reads,
        chunk_bytes=device.chunk_bytes,
        key=key,
        address=where,
    )


def _echoes(queue: SendQueue) -> bool:
    """Return whether a queue pair's rows are answered."""
    if not queue.loop or not queue.loop.echo:
        return False
    if queue.operation not in ("write_with_imm", "send"):
        raise TransportError(f"a {queue.operation} tells the receiving software nothing that it could answer: no echo")
    return True


def _region_bytes(queue: SendQueue, device: Device) -> int:
    return min(queue.largest_bytes, device.chunk_bytes) if queue.operation == "send" else queue.largest_bytes


def _rows(queue: SendQueue) -> list[tuple[int, int]]:
    if queue.loop:
        return [(queue.loop.batch * queue.loop.size_bytes, 0)]
    return address.runs([message.size_bytes for message in queue.messages])
