"""Lab time, counters and the messages cut from them, without servers."""

import itertools

import pytest
from pygnmi.spec.v080 import gnmi_pb2

from aibench_lib.errors import SpecError
from aibench_lib.model import Port
from aibench_lib.simulator import Parameters
from aibench_lib.topology import parse_topology
from aibench_lib.virtual_lab import course
from aibench_lib.virtual_lab.course import Demand
from aibench_lib.virtual_lab.eos.telemetry import CONTAINERS as EOS
from aibench_lib.virtual_lab.gnmi.paths import parse, to_proto
from aibench_lib.virtual_lab.gnmi.plan import plan
from aibench_lib.virtual_lab.gnmi.service import Target
from aibench_lib.virtual_lab.gnmi.subscription import demand
from aibench_lib.virtual_lab.nos import make_switches
from aibench_lib.virtual_lab.srlinux.telemetry import CONTAINERS as SRLINUX
from aibench_lib.virtual_lab.trial import NEVER, Flow, Trial
from aibench_lib.virtual_lab.world import World
from aibench_lib.virtual_lab.writes import Writes

PLATFORMS = {
    name: "nokia_srlinux" if name.startswith("spine") else "arista_eos"
    for name in ("leaf1", "leaf2", "leaf3", "spine1", "spine2")
}
START_NS = 1_700_000_000_000_000_000
US = 1_000
TOPOLOGY = {
    "link_bps": 100_000_000_000,
    "switches": ["leaf1", "spine1", "leaf2"],
    "hosts": ["a", "b", "c"],
    "links": [
        ["a:nic0", "leaf1:Ethernet1"],
        ["b:nic0", "leaf1:Ethernet2"],
        ["leaf1:Ethernet49", "spine1:ethernet-1/1"],
        ["leaf2:Ethernet49", "spine1:ethernet-1/2", 50_000_000_000],
        ["c:nic0", "leaf2:Ethernet1"],
    ],
}
QUEUE = "/qos/interfaces/interface[interface-id=Ethernet49]/output/queues/queue[name=3]/state"
DEPTH = "/qos/interfaces/interface[interface-id=ethernet-1/2]/output/queues/queue[queue-name=q3]/queue-depth"
BUFFER = "/platform/linecard[slot=1]/forwarding-complex[name=0]/buffer-memory"


class Fabric:
    """A world of two senders and one receiver behind a spine."""

    def __init__(self, parameters=None):
        topology = parse_topology(TOPOLOGY, "topology")
        self.switches = make_switches(topology, PLATFORMS, Writes())
        self.world = World(topology, parameters or Parameters(), self.switches, START_NS)

    def subscribe(self, switch, path, interval_ns, **options):
        containers = SRLINUX if switch == "spine1" else EOS
        target = Target(switch, list(self.switches[switch].neighbours), containers, None, (), note=print)
        item = gnmi_pb2.Subscription(
            path=to_proto(parse(path)), mode=gnmi_pb2.SAMPLE, sample_interval=interval_ns, **options
        )
        wanted = gnmi_pb2.SubscriptionList(subscription=[item], encoding=gnmi_pb2.PROTO)
        subscription = plan(target, wanted, self.world.is_up)
        subscription.current(self.world.rows, self.world.now)
        return subscription

    def trial(self, *subscriptions, t0_ns=None, size_bytes=100_000, wanted=None, timeout_ns=0):
        flows = [
            Flow(source=host, destination="c", qp=1, size_bytes=size_bytes, offset_ns=0, priority=3) for host in "ab"
        ]
        t0_ns = self.world.now_ns + 1_000 if t0_ns is None else t0_ns
        trial = Trial(t0_ns=t0_ns, seed=1, flows=flows, timeout_ns=timeout_ns)
        return self.run(trial, *subscriptions, wanted=wanted)

    def run(self, trial, *subscriptions, wanted=None):
        messages = [[] for _ in subscriptions]

        def tell(part):
            self.parts += 1
            for subscription, mine in zip(subscriptions, messages, strict=True):
                mine += map(decode, subscription.of_trial(part))

        self.parts = 0
        outcome = self.world.run(trial, wanted or demand(subscriptions, frozenset([3])), tell)
        return outcome, messages


def decode(message):
    """Return a message's time and its leaves."""
    notification = gnmi_pb2.SubscribeResponse.FromString(message).update
    return notification.timestamp, {update.path.elem[0].name: update.val.uint_val for update in notification.update}


@pytest.fixture
def fabric():
    return Fabric()


def test_recording_and_the_place_of_t0_on_the_grid_do_not_change_a_trial():
    def shape(t0_ns, wanted):
        outcome, _ = Fabric().trial(t0_ns=t0_ns, wanted=wanted)
        return (outcome.completed_ns - t0_ns).tolist()

    queue = frozenset([(Port("leaf1", "Ethernet49"), 3)])
    recorded = Demand(queues=queue, series_ns=10 * US, step_ns=50 * US)
    assert shape(START_NS + 12_345, recorded) == shape(START_NS, Demand())


def test_recorded_and_stepped_counters_agree(fabric):
    fine = fabric.subscribe("leaf1", QUEUE, 10 * US)
    coarse = fabric.subscribe("leaf1", QUEUE, 500 * US)
    _, (recorded, stepped) = fabric.trial(fine, coarse, size_bytes=20_000_000)
    assert len(stepped) > 5
    series = dict(recorded)
    for time_ns, leaves in stepped[:-1]:
        assert {**leaves, "dropped-octets": 0} == series[time_ns]
    assert stepped[-1][1] == recorded[-1][1]


def test_counters_outlive_a_trial(fabric):
    subscription = fabric.subscribe("leaf1", QUEUE, 500 * US)
    octets = [fabric.trial(subscription)[1][0][-1][1]["transmit-octets"] for _ in range(3)]
    assert octets == [octets[0], 2 * octets[0], 3 * octets[0]]


def test_without_suppression_every_sample_has_every_leaf(fabric):
    subscription = fabric.subscribe("leaf1", QUEUE, 10 * US)
    _, [messages] = fabric.trial(subscription)
    times = [time_ns for time_ns, _ in messages]
    assert times == list(range(times[0], times[-1] + 1, 10 * US))
    assert {len(leaves) for _, leaves in messages} == {5}


def test_a_heartbeat_bounds_the_gap_between_full_messages(fabric):
    subscription = fabric.subscribe("leaf1", QUEUE, 10 * US, suppress_redundant=True, heartbeat_interval=50 * US)
    _, [messages] = fabric.trial(subscription, size_bytes=1_000_000)
    full = [time_ns for time_ns, leaves in messages if len(leaves) == 5]
    assert len(full) > 3
    assert max(later - earlier for earlier, later in itertools.pairwise(full)) <= 50 * US
    assert len(messages) > len(full), "between heartbeats only what has changed is sent"


def test_a_queue_rises_and_is_empty_when_the_trial_is_over(fabric):
    subscription = fabric.subscribe("leaf1", QUEUE.replace("queues/queue[name=3]/state", "queues"), 10 * US)
    assert len(subscription.sampled) == 8, "a path above the list stands for every queue"
    depth = fabric.subscribe("spine1", DEPTH, 10 * US)
    _, [messages] = fabric.trial(depth)
    assert messages[-1][1]["average-1"] == 0
    assert messages[-1][1]["high-watermark-1"] > 0
    assert messages[-1][1]["high-watermark-1"] >= max(leaves["average-1"] for _, leaves in messages)


def test_buffer_memory_used_and_free_add_up(fabric):
    subscription = fabric.subscribe("spine1", BUFFER, 10 * US)
    _, [messages] = fabric.trial(subscription)
    assert {leaves["used"] + leaves["free"] for _, leaves in messages} == {Parameters().buffer_bytes}
    assert max(leaves["used"] for _, leaves in messages) > 0
    assert messages[-1][1]["used"] == 0


def test_lab_time_runs_on_to_the_sample_after_the_trial_and_no_further(fabric):
    subscription = fabric.subscribe("leaf1", QUEUE, 1_000_000)
    outcome, [messages] = fabric.trial(subscription)
    assert fabric.world.now_ns == messages[-1][0] == -(-outcome.end_ns // 1_000_000) * 1_000_000


def test_a_slow_listener_does_not_prolong_what_a_fast_one_records(fabric):
    fine = fabric.subscribe("leaf1", QUEUE, 10 * US)
    slow = fabric.subscribe("leaf1", QUEUE, 10_000_000_000)
    _, (recorded, rare) = fabric.trial(fine, slow)
    assert len(recorded) < 20
    assert len(rare) == 1


def test_a_timeout_ends_the_trial_and_leaves_what_is_missing_open(fabric):
    outcome, _ = fabric.trial(size_bytes=10_000_000, timeout_ns=100 * US)
    assert outcome.end_ns == START_NS + 1_000 + 100 * US
    assert set(outcome.completed_ns) == {NEVER}
    assert set(outcome.finished_ns.values()) == {outcome.end_ns}
    outcome, _ = fabric.trial()
    assert NEVER not in outcome.completed_ns, "queues do not outlive a trial"


def test_a_trial_over_a_link_that_is_down_is_refused_and_others_are_counted_right(fabric):
    subscription = fabric.subscribe("leaf1", QUEUE, 500 * US)
    editor = fabric.switches["leaf1"].editor()
    for line in ("interface Ethernet2", "shutdown"):
        editor.enter(line)
    with pytest.raises(SpecError, match="b: its link is down"):
        fabric.trial(subscription)
    flow = Flow(source="a", destination="c", qp=1, size_bytes=4096, offset_ns=0, priority=3)
    trial = Trial(t0_ns=fabric.world.now_ns, seed=1, flows=[flow], timeout_ns=0)
    fabric.run(trial, wanted=Demand())
    assert fabric.world.nic_counters("a")["tx_packets"] == 1
    assert fabric.world.nic_counters("b")["tx_packets"] == 0


def flow(offset_ns=0, size_bytes=100_000, **changes):
    given = {"source": "a", "destination": "c", "qp": 1, "priority": 3}
    return Flow(**{**given, "offset_ns": offset_ns, "size_bytes": size_bytes, **changes})


def test_transfers_of_one_queue_pair_are_told_apart_even_if_they_are_alike(fabric):
    flows = [flow(), flow(), flow(offset_ns=50 * US), flow(source="b")]
    outcome, _ = fabric.run(Trial(t0_ns=START_NS, seed=1, flows=flows, timeout_ns=0), wanted=Demand())
    first, second, third, _ = outcome.completed_ns.tolist()
    assert first < second < third
    assert outcome.posted_ns.tolist() == [START_NS, START_NS, START_NS + 50 * US, START_NS]
    assert outcome.finished_ns["a"] == third
    assert outcome.nic_growth["a"]["tx_packets"] == 3 * -(-100_000 // 4096)


def test_what_was_not_posted_before_the_timeout_never_was(fabric):
    flows = [flow(), flow(offset_ns=200 * US)]
    outcome, _ = fabric.run(Trial(t0_ns=START_NS, seed=1, flows=flows, timeout_ns=100 * US), wanted=Demand())
    assert outcome.posted_ns.tolist() == [START_NS, NEVER]
    assert outcome.completed_ns.tolist()[1] == NEVER
    assert outcome.finished_ns["a"] == outcome.end_ns == START_NS + 100 * US


def test_a_long_trial_is_told_in_parts_without_a_gap_or_a_sample_twice(fabric):
    fine = fabric.subscribe("leaf1", QUEUE, 10 * US)
    coarse = fabric.subscribe("leaf1", QUEUE, 1_000_000)
    flows = [flow(offset_ns=1_000_000 * number) for number in range(600)]
    _, (recorded, stepped) = fabric.run(Trial(t0_ns=START_NS, seed=1, flows=flows, timeout_ns=0), fine, coarse)
    assert fabric.parts > 3
    assert [later - earlier for (earlier, _), (later, _) in itertools.pairwise(recorded)] == [10 * US] * (
        len(recorded) - 1
    )
    assert [time_ns for time_ns, _ in stepped] == list(range(START_NS + 1_000_000, stepped[-1][0] + 1, 1_000_000))
    octets = [leaves["transmit-octets"] for _, leaves in stepped]
    assert octets == sorted(octets)
    assert octets[-1] == recorded[-1][1]["transmit-octets"]


def test_a_long_steady_trial_skips_and_counts_what_it_would_have_counted(monkeypatch):
    def run():
        fabric = Fabric()
        subscription = fabric.subscribe("leaf1", QUEUE.replace("Ethernet49", "Ethernet2"), 10_000_000)
        steady = flow(destination="b", size_bytes=400_000_000)
        return fabric.run(Trial(t0_ns=START_NS, seed=1, flows=[steady], timeout_ns=0), subscription)

    skipped, samples = run()
    monkeypatch.setattr(course, "_SKIP_AFTER_NS", 10**18)
    whole, expected = run()
    assert (skipped.method, whole.method) == ("packet+skip", "packet")
    assert 0 == whole.skipped_ns < skipped.skipped_ns < skipped.end_ns - START_NS
    assert samples == expected
    assert skipped.completed_ns.tolist() == whole.completed_ns.tolist()
    assert skipped.nic_growth == whole.nic_growth
