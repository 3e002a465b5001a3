"""allow_aggregation: the samples of one time in one notification, and the same values in fewer messages."""

from collections import Counter

import pytest
from pygnmi.spec.v080 import gnmi_pb2
from test_virtual_lab_world import EOS, QUEUE, US, Fabric

from aibench_lib.virtual_lab.gnmi.paths import from_proto, parse, text, to_proto
from aibench_lib.virtual_lab.gnmi.plan import plan
from aibench_lib.virtual_lab.gnmi.service import Target
from aibench_lib.virtual_lab.gnmi.subscription import demand
from aibench_lib.virtual_lab.trial import Flow, Trial

LANZ = "/arista/lanz/congestion-record/state"


@pytest.fixture
def notifications():
    """What one trial gives the same two subscriptions, alone and aggregated."""

    def of(*, aggregated: bool) -> list[gnmi_pb2.Notification]:
        fabric = Fabric()
        target = Target("leaf1", list(fabric.switches["leaf1"].neighbours), EOS, None, (), note=print)
        items = [
            gnmi_pb2.Subscription(path=to_proto(parse(path)), mode=gnmi_pb2.SAMPLE, sample_interval=10 * US)
            for path in (QUEUE, LANZ)
        ]
        wanted = gnmi_pb2.SubscriptionList(subscription=items, encoding=gnmi_pb2.PROTO, allow_aggregation=aggregated)
        subscription = plan(target, wanted, fabric.world.is_up)
        subscription.current(fabric.world.rows, fabric.world.now)
        flows = [Flow(source=host, destination="c", qp=1, size_bytes=400_000, offset_ns=0, priority=3) for host in "ab"]
        trial = Trial(t0_ns=fabric.world.now_ns + 1_000, seed=1, flows=flows, timeout_ns=0)
        messages = []
        fabric.world.run(
            trial, demand([subscription], frozenset([3])), lambda part: messages.extend(subscription.of_trial(part))
        )
        return [gnmi_pb2.SubscribeResponse.FromString(message).update for message in messages]

    return of


def leaves(notification: gnmi_pb2.Notification) -> list[tuple[int, str, str]]:
    return [
        (notification.timestamp, text(from_proto(notification.prefix, update.path)), str(update.val))
        for update in notification.update
    ]


def test_an_aggregating_stream_carries_the_same_leaves_in_fewer_messages(notifications):
    alone, together = notifications(aggregated=False), notifications(aggregated=True)
    assert sorted(leaf for n in alone for leaf in leaves(n)) == sorted(leaf for n in together for leaf in leaves(n))
    assert len(together) < len(alone)


def test_a_notification_holds_one_congestion_record_at_most(notifications):
    for notification in notifications(aggregated=True):
        paths = Counter(path for _, path, _ in leaves(notification))
        assert max(paths.values()) == 1


def test_an_aggregating_stream_is_in_the_order_of_time(notifications):
    times = [notification.timestamp for notification in notifications(aggregated=True)]
    assert times == sorted(times)
