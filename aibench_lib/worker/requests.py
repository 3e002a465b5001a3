"""From what a trial must send to what each agent is told: queue pairs prepared, connected and joined."""

from collections import defaultdict
from collections.abc import Mapping

from aibench_lib.errors import LabError, SpecError
from aibench_lib.model import Stream, Transfer, TrialLoad
from aibench_lib.worker import agent_pb2

Endpoints = Mapping[str, list[agent_pb2.Endpoint]]


def check_load(trial: str, load: TrialLoad) -> None:
    """Check that a load is one that agents can be told.

    Raises:
        SpecError: A sender or a peer is no participant, or a queue pair has a stream and something else.
    """
    for host in load.streams:
        if host not in load.transfers:
            raise SpecError(f"{trial}: {host} has streams and does not take part in the trial")
    for host in load.transfers:
        for one in _sent(load, host):
            if one.peer not in load.transfers:
                raise SpecError(f"{trial}: {host} sends to {one.peer}, which does not take part in the trial")
        qps = {transfer.qp for transfer in load.transfers[host]}
        for stream in load.streams.get(host, ()):
            if stream.qp in qps:
                raise SpecError(f"{trial}: queue pair {stream.qp} of {host} has a stream and something else to send")
            qps.add(stream.qp)


def last_post_ns(load: TrialLoad) -> int:
    """Return how long after T0 the last message is meant to be posted [ns]."""
    transfers = [one.offset_ns for own in load.transfers.values() for one in own]
    streams = [one.offset_ns + one.duration_ns for own in load.streams.values() for one in own]
    return max((*transfers, *streams), default=0)


def senders_of(load: TrialLoad) -> list[str]:
    """Return the hosts that have something to send, in the load's order."""
    return [host for host in load.transfers if load.transfers[host] or load.streams.get(host)]


def prepare_requests(
    trial: str, load: TrialLoad, *, transport: str, verify: bool, trigger: bool
) -> dict[str, agent_pb2.PrepareRequest]:
    """Return what every participant is told to prepare."""
    return {
        host: agent_pb2.PrepareRequest(
            trial=trial,
            seed=load.seed,
            transfers=[_transfer(transfer) for transfer in transfers],
            streams=[_stream(stream) for stream in load.streams.get(host, ())],
            transport=transport,
            verify=verify,
            trigger=trigger,
        )
        for host, transfers in load.transfers.items()
    }


def connect_requests(
    trial: str, load: TrialLoad, prepared: Mapping[str, agent_pb2.Prepared]
) -> dict[str, agent_pb2.ConnectRequest]:
    """Return, a receiving host, the queue pairs that will send to it.

    Raises:
        LabError: An agent prepared a queue pair that the trial does not use.
    """
    receivers = _receivers(load)
    senders: dict[str, list[agent_pb2.Endpoint]] = defaultdict(list)
    for host, reply in prepared.items():
        for endpoint in reply.endpoints:
            if (host, endpoint.qp) not in receivers:
                raise LabError(host, f"the agent prepared queue pair {endpoint.qp}, which the trial does not use")
            senders[receivers[host, endpoint.qp]].append(endpoint)
    return {host: agent_pb2.ConnectRequest(trial=trial, senders=own) for host, own in senders.items()}


def join_requests(
    trial: str, load: TrialLoad, connected: Mapping[str, agent_pb2.Connected]
) -> dict[str, agent_pb2.JoinRequest]:
    """Return, a sending host, the other ends of its queue pairs; none where the receiving agents answered none.

    Raises:
        LabError: An agent answered with an end that nobody sends to, or not with every one.
    """
    receivers = _receivers(load)
    ends: dict[str, list[agent_pb2.Endpoint]] = defaultdict(list)
    for host, reply in connected.items():
        expected = {sending for sending, peer in receivers.items() if peer == host}
        answered = {(endpoint.peer, endpoint.qp) for endpoint in reply.endpoints}
        for sender, qp in sorted(answered - expected):
            raise LabError(host, f"the agent connected queue pair {qp} of {sender}, which does not send to it")
        for sender, qp in sorted(expected - answered if answered else ()):
            raise LabError(host, f"the agent did not connect queue pair {qp} of {sender}")
        for endpoint in reply.endpoints:
            ends[endpoint.peer].append(endpoint)
    return {host: agent_pb2.JoinRequest(trial=trial, receivers=own) for host, own in ends.items()}


def _sent(load: TrialLoad, host: str) -> tuple[Transfer | Stream, ...]:
    return (*load.transfers[host], *load.streams.get(host, ()))


def _receivers(load: TrialLoad) -> dict[tuple[str, int], str]:
    """Return sending host and queue pair -> the host it sends to."""
    return {(host, one.qp): one.peer for host in load.transfers for one in _sent(load, host)}


def _transfer(transfer: Transfer) -> agent_pb2.Transfer:
    return agent_pb2.Transfer(
        peer=transfer.peer,
        qp=transfer.qp,
        size_bytes=transfer.size_bytes,
        offset_ns=transfer.offset_ns,
        priority=transfer.priority,
        operation=transfer.operation,
    )


def _stream(stream: Stream) -> agent_pb2.Stream:
    return agent_pb2.Stream(
        peer=stream.peer,
        qp=stream.qp,
        size_bytes=stream.size_bytes,
        depth=stream.depth,
        batch=stream.batch,
        offset_ns=stream.offset_ns,
        duration_ns=stream.duration_ns,
        priority=stream.priority,
        operation=stream.operation,
        rate_bps=stream.rate_bps,
        echo=stream.echo,
    )
