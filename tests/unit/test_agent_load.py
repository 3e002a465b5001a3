"""What a trial's requests say: queue pairs in order, and every limit with its line."""

import pytest

from aibench_lib.worker import agent_pb2
from aibench_lib.worker.agent import load
from aibench_lib.worker.agent.refusals import InvalidRequest
from aibench_lib.worker.transports.transport import Loop, Message

STREAM = {"peer": "b", "qp": 1, "size_bytes": 4096, "depth": 8, "batch": 4, "duration_ns": 10, "priority": 3}


def prepare(**request):
    return load.send_queues("a", agent_pb2.PrepareRequest(**({"trial": "t"} | request)))


def transfer(**fields):
    return agent_pb2.Transfer(**({"peer": "b", "qp": 1, "size_bytes": 10, "priority": 3} | fields))


def test_transfers_of_one_queue_pair_are_its_messages_in_the_order_of_their_offsets():
    queues = prepare(
        transfers=[transfer(qp=5, offset_ns=9), transfer(qp=2, operation="send"), transfer(qp=5, offset_ns=3)]
    )
    assert [(queue.qp, queue.operation) for queue in queues] == [(5, "write_with_imm"), (2, "send")]
    assert queues[0].messages == (Message(size_bytes=10, offset_ns=3), Message(size_bytes=10, offset_ns=9))


def test_a_stream_is_a_loop():
    (queue,) = prepare(streams=[agent_pb2.Stream(**STREAM, rate_bps=5, echo=True)])
    assert queue.loop == Loop(size_bytes=4096, depth=8, batch=4, offset_ns=0, duration_ns=10, rate_bps=5, echo=True)


@pytest.mark.parametrize(
    ("request_of", "words"),
    [
        ({"transfers": [transfer(peer="")]}, "queue pair 1: cannot send to ''"),
        ({"transfers": [transfer(size_bytes=-1)]}, "queue pair 1: size -1 must be 1 to"),
        ({"transfers": [transfer(size_bytes=2**30 + 1)]}, "queue pair 1: size 1073741825 must be 1 to 1073741824"),
        ({"transfers": [transfer(offset_ns=-1)]}, "queue pair 1: offset -1 ns must not be negative"),
        ({"transfers": [transfer(operation="push")]}, "queue pair 1: operation 'push' is not one of write_with_imm"),
        ({"transfers": [transfer(), transfer(peer="c")]}, "queue pair 1: its transfers differ in peer"),
        ({"transfers": [transfer(), transfer(priority=2)]}, "queue pair 1: its transfers differ in peer, priority"),
        ({"transfers": [transfer(qp=qp) for qp in range(257)]}, "257 queue pairs to b: at most 256 go to one peer"),
        ({"streams": [agent_pb2.Stream(**STREAM | {"batch": 9})]}, "queue pair 1: batch 9 and depth 8 must be 1 <="),
        ({"streams": [agent_pb2.Stream(**STREAM | {"batch": 0})]}, "queue pair 1: batch 0 and depth 8 must be 1 <="),
        ({"streams": [agent_pb2.Stream(**STREAM | {"depth": 2**17})]}, "queue pair 1: batch 4 and depth 131072 must"),
        ({"streams": [agent_pb2.Stream(**STREAM | {"duration_ns": 0})]}, "queue pair 1: the duration must be positive"),
        ({"streams": [agent_pb2.Stream(**STREAM, rate_bps=-1)]}, "queue pair 1: the duration must be positive, and"),
        ({"streams": [agent_pb2.Stream(**STREAM)] * 2}, "queue pair 1: a stream needs a queue pair of its own"),
        (
            {"transfers": [transfer()], "streams": [agent_pb2.Stream(**STREAM)]},
            "queue pair 1: a stream needs a queue pair of its own",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused(request_of, words):
    with pytest.raises(InvalidRequest) as caught:
        prepare(**request_of)
    assert str(caught.value).startswith(words)


def test_a_host_does_not_receive_from_itself_or_twice_the_same():
    end = agent_pb2.Endpoint(peer="b", qp=1, address=b"x")
    assert [one.address for one in load.senders("a", agent_pb2.ConnectRequest(senders=[end]))] == [b"x"]
    for wrong in ([end, end], [agent_pb2.Endpoint(peer="a", qp=1)], [agent_pb2.Endpoint(qp=1)]):
        with pytest.raises(InvalidRequest):
            load.senders("a", agent_pb2.ConnectRequest(senders=wrong))


def test_receiving_ends_are_of_this_host_s_queue_pairs_and_once():
    end = agent_pb2.Endpoint(peer="a", qp=1, address=b"x")
    assert load.receivers("a", agent_pb2.JoinRequest(receivers=[end])) == {1: b"x"}
    for wrong in ([end, end], [agent_pb2.Endpoint(peer="b", qp=1)]):
        with pytest.raises(InvalidRequest):
            load.receivers("a", agent_pb2.JoinRequest(receivers=wrong))


def test_addresses_of_a_trigger_are_those_of_both_families():
    start = load.start(
        agent_pb2.RunRequest(timeout_ns=1, trigger_to=["192.0.2.1:7", "[2001:db8::1]:8"], trigger_token=b"x")
    )
    assert start.trigger_to == (("192.0.2.1", 7), ("2001:db8::1", 8))


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"timeout_ns": 0}, "a trial's timeout must be positive, not 0 ns"),
        ({"await_trigger": True}, "a trigger needs a token"),
        ({"await_trigger": True, "trigger_to": ["192.0.2.1:7"], "trigger_token": b"x"}, "a host cannot both give"),
        ({"trigger_to": ["192.0.2.1"], "trigger_token": b"x"}, "trigger address '192.0.2.1' must be host:port"),
        ({"trigger_to": ["192.0.2.1:70000"], "trigger_token": b"x"}, "trigger address '192.0.2.1:70000' must be"),
    ],
)
def test_a_start_that_cannot_be_is_refused(run, words):
    with pytest.raises(InvalidRequest) as caught:
        load.start(agent_pb2.RunRequest(**({"timeout_ns": 1} | run)))
    assert str(caught.value).startswith(words)
