"""What a trial's requests say, checked: queue pairs to send on, queue pairs to receive from, and the start."""

from collections import Counter
from collections.abc import Iterable

from aibench_lib.units import GIB
from aibench_lib.worker import agent_pb2
from aibench_lib.worker.agent.group import Start
from aibench_lib.worker.agent.refusals import InvalidRequest
from aibench_lib.worker.transports.transport import OPERATIONS, Loop, Message, Sender, SendQueue

_USUAL_OPERATION = "write_with_imm"
_HIGHEST_PRIORITY = 7
_LARGEST_MESSAGE_BYTES = GIB
_MOST_PAIRS_A_PEER = 256
_DEEPEST = 1 << 16
_HIGHEST_PORT = 65535


def send_queues(host: str, request: agent_pb2.PrepareRequest) -> list[SendQueue]:
    """Return the queue pairs that a host sends on, in the order of their first appearance.

    Raises:
        InvalidRequest: Something in the request cannot be.
    """
    if not request.trial:
        raise InvalidRequest("a trial must have a name")
    queues = {**_of_transfers(host, request.transfers)}
    for stream in request.streams:
        if stream.qp in queues:
            raise InvalidRequest(f"queue pair {stream.qp}: a stream needs a queue pair of its own")
        queues[stream.qp] = _of_stream(host, stream)
    for peer, count in Counter(queue.peer for queue in queues.values()).items():
        if count > _MOST_PAIRS_A_PEER:
            raise InvalidRequest(f"{count} queue pairs to {peer}: at most {_MOST_PAIRS_A_PEER} go to one peer")
    return list(queues.values())


def senders(host: str, request: agent_pb2.ConnectRequest) -> list[Sender]:
    """Return the queue pairs that will send to this host.

    Raises:
        InvalidRequest: One is named twice, or is this host's own.
    """
    found: dict[tuple[str, int], Sender] = {}
    for endpoint in request.senders:
        where = f"queue pair {endpoint.qp} of {endpoint.peer or 'a host without a name'}"
        if not endpoint.peer or endpoint.peer == host:
            raise InvalidRequest(f"{where}: cannot send to this host")
        if (endpoint.peer, endpoint.qp) in found:
            raise InvalidRequest(f"{where}: is named twice")
        found[endpoint.peer, endpoint.qp] = Sender(host=endpoint.peer, qp=endpoint.qp, address=endpoint.address)
    return list(found.values())


def receivers(host: str, request: agent_pb2.JoinRequest) -> dict[int, bytes]:
    """Return queue pair of this host -> its receiving end.

    Raises:
        InvalidRequest: One is named twice, or is of another host.
    """
    found: dict[int, bytes] = {}
    for endpoint in request.receivers:
        if endpoint.peer != host:
            raise InvalidRequest(f"queue pair {endpoint.qp} of {endpoint.peer!r}: is not this host's")
        if endpoint.qp in found:
            raise InvalidRequest(f"queue pair {endpoint.qp}: has two receiving ends")
        found[endpoint.qp] = endpoint.address
    return found


def start(request: agent_pb2.RunRequest) -> Start:
    """Return how a trial begins and ends.

    Raises:
        InvalidRequest: Something in the request cannot be.
    """
    if request.timeout_ns <= 0:
        raise InvalidRequest(f"a trial's timeout must be positive, not {request.timeout_ns} ns")
    if (request.trigger_to or request.await_trigger) and not request.trigger_token:
        raise InvalidRequest("a trigger needs a token")
    if request.trigger_to and request.await_trigger:
        raise InvalidRequest("a host cannot both give the trigger and await it")
    return Start(
        t0_ns=request.t0_ns,
        timeout_ns=request.timeout_ns,
        trigger_to=tuple(_socket_address(one) for one in request.trigger_to),
        await_trigger=request.await_trigger,
        trigger_token=request.trigger_token,
    )


def _of_transfers(host: str, transfers: Iterable[agent_pb2.Transfer]) -> dict[int, SendQueue]:
    common: dict[int, tuple[str, int, str]] = {}
    messages: dict[int, list[Message]] = {}
    for transfer in transfers:
        operation = transfer.operation or _USUAL_OPERATION
        wanted = (transfer.peer, transfer.priority, operation)
        known = common.get(transfer.qp)
        if known is None:
            _check_pair(host, transfer.qp, *wanted)
            common[transfer.qp], messages[transfer.qp] = wanted, []
        elif known != wanted:
            raise InvalidRequest(
                f"queue pair {transfer.qp}: its transfers differ in peer, priority or operation ({known}, {wanted})"
            )
        _check_message(transfer.qp, transfer.size_bytes, transfer.offset_ns)
        messages[transfer.qp].append(Message(size_bytes=transfer.size_bytes, offset_ns=transfer.offset_ns))
    return {
        qp: SendQueue(
            peer=peer,
            qp=qp,
            priority=priority,
            operation=operation,
            messages=tuple(sorted(messages[qp], key=lambda message: message.offset_ns)),
        )
        for qp, (peer, priority, operation) in common.items()
    }


def _of_stream(host: str, stream: agent_pb2.Stream) -> SendQueue:
    operation = stream.operation or _USUAL_OPERATION
    _check_pair(host, stream.qp, stream.peer, stream.priority, operation)
    _check_message(stream.qp, stream.size_bytes, stream.offset_ns)
    if not 1 <= stream.batch <= stream.depth <= _DEEPEST:
        raise InvalidRequest(
            f"queue pair {stream.qp}: batch {stream.batch} and depth {stream.depth} must be 1 <= batch <= depth <= "
            f"{_DEEPEST}"
        )
    if stream.duration_ns <= 0 or stream.rate_bps < 0:
        raise InvalidRequest(f"queue pair {stream.qp}: the duration must be positive, and the rate not negative")
    loop = Loop(
        size_bytes=stream.size_bytes,
        depth=stream.depth,
        batch=stream.batch,
        offset_ns=stream.offset_ns,
        duration_ns=stream.duration_ns,
        rate_bps=stream.rate_bps,
        echo=stream.echo,
    )
    return SendQueue(peer=stream.peer, qp=stream.qp, priority=stream.priority, operation=operation, loop=loop)


def _check_pair(host: str, qp: int, peer: str, priority: int, operation: str) -> None:
    if not peer or peer == host:
        raise InvalidRequest(f"queue pair {qp}: cannot send to {peer!r}: a peer is another host")
    if priority > _HIGHEST_PRIORITY:
        raise InvalidRequest(f"queue pair {qp}: priority {priority} must be 0 to {_HIGHEST_PRIORITY}")
    if operation not in OPERATIONS:
        raise InvalidRequest(f"queue pair {qp}: operation {operation!r} is not one of {', '.join(OPERATIONS)}")


def _check_message(qp: int, size_bytes: int, offset_ns: int) -> None:
    if not 0 < size_bytes <= _LARGEST_MESSAGE_BYTES:
        raise InvalidRequest(f"queue pair {qp}: size {size_bytes} must be 1 to {_LARGEST_MESSAGE_BYTES} bytes")
    if offset_ns < 0:
        raise InvalidRequest(f"queue pair {qp}: offset {offset_ns} ns must not be negative")


def _socket_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) <= _HIGHEST_PORT:
        raise InvalidRequest(f"trigger address {text!r} must be host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)
