"""The switches of the kernel lab through the product's own doors: faults that end, restores, and polled telemetry."""

import time
from types import SimpleNamespace

import pytest
from kernel_fabric import kernel_fabric, missing, network

from aibench_lib.errors import LabError
from aibench_lib.journal import Journal
from aibench_lib.model import Port
from aibench_lib.run.plan import Profile
from aibench_lib.run.subscriptions import subscriptions
from aibench_lib.switch import transaction
from aibench_lib.switch.fault_injection import active, start, stop
from aibench_lib.switch.faults import Fault, FaultKind, Place
from aibench_lib.switch.session import connect
from aibench_lib.telemetry.config import Config
from aibench_lib.telemetry.control import Collector
from aibench_lib.telemetry.frames import Frames, delta

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"needs: {missing()}")]
UPLINK = Port("leaf1", "swp49")
DOWN = Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK,))
BOTH = ["swp49", "swp50"]
INTERVAL_NS = 200_000_000
SEND = (
    "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
    '[(s.sendto(bytes(8000), ("10.1.0.2", 9)), time.sleep(0.001)) for _ in range({packets})]'
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with kernel_fabric(tmp_path_factory.mktemp("kernel") / "state", network()) as lab:
        yield lab


@pytest.fixture
def place(lab, tmp_path):
    before = config(lab)
    place = Place(
        topology=lab.topology, targets=lab.targets(), journal=Journal(tmp_path / "journal.jsonl"), run_dir=tmp_path
    )
    yield place
    for name in transaction.unrestored(place.journal):
        transaction.restore(place.targets[name], place.journal, place.run_dir)
    wait_for(lambda: lab.ways("leaf1", "10.1.0.8") == lab.ways("leaf2", "10.1.0.1") == BOTH)
    assert config(lab) == before


def config(lab, switch="leaf1"):
    with connect(lab.target(switch)) as session:
        return session.comparable(session.read_config())


def wait_for(condition, seconds=30.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def collector(lab, run_dir):
    declared = SimpleNamespace(switches=lab.targets(), topology=lab.topology)
    asked = subscriptions(declared, [], Profile(telemetry_interval_ns=INTERVAL_NS))
    return Collector.start(Config(subscriptions=asked), run_dir)


def test_a_link_that_is_down_is_seen_at_both_ends_and_routed_around(lab, place):
    with active(DOWN, place) as outcome:
        assert outcome.ends == {"leaf1:swp49": "down", "spine1:swp1": "down"}
        wait_for(lambda: lab.ways("leaf1", "10.1.0.8") == lab.ways("leaf2", "10.1.0.1") == ["swp50"])
    wait_for(lambda: lab.ways("leaf1", "10.1.0.8") == BOTH)


def test_the_switch_ends_a_fault_by_itself_when_nobody_else_does(lab, place):
    assert start(Fault(kind=FaultKind.LINK_DOWN, ports=(UPLINK,), duration_s=2), place).held
    wait_for(lambda: lab.ways("leaf1", "10.1.0.8") == BOTH)
    stop(DOWN, place)


def test_the_queue_below_a_rate_limit_comes_back_with_the_restore(lab, place):
    if "red" in (lab.state / "disciplines").read_text():
        pytest.skip("this kernel has RED; see the test of the platform")
    transaction.apply(lab.target("leaf1"), "hash_fields", {"hash_fields": "l3"}, place.journal, place.run_dir)
    # What stands for RED, which this kernel does not have, in its place and under its handle.
    lab.ssh("leaf1", "tc qdisc replace dev swp1 parent 1ab:1 handle a1: pfifo limit 100")
    lab.ssh("leaf1", "sh /var/tmp/aibench-*.restore")
    assert "bfifo 1ac: parent 1ab:1 limit 1000000b" in lab.ssh("leaf1", "tc qdisc show dev swp1")


def test_losses_and_marks_that_the_kernel_does_not_have_are_refused_before_anything_is_sent(lab, place):
    if (lab.state / "disciplines").read_text():
        pytest.skip("this kernel has RED or netem")
    with pytest.raises(Exception, match="ECN not available in this kernel"):
        transaction.apply(lab.target("leaf1"), "ecn", {"ecn_threshold_bytes": 100_000}, place.journal, place.run_dir)
    assert not place.journal.events()


def test_what_is_sent_is_counted_and_a_link_that_goes_down_is_told(lab, place, tmp_path):
    with collector(lab, tmp_path) as collecting:
        begin_ns = time.time_ns()
        lab.ssh("prefill01", f"python3 -c '{SEND.format(packets=500)}'")
        with active(DOWN, place):
            time.sleep(3 * INTERVAL_NS / 1e9)
        time.sleep(INTERVAL_NS / 1e9)
        end_ns = time.time_ns()
        window = collecting.window(begin_ns, end_ns)
    series = Frames(window.tables).series
    to_host = series("queue", {"switch": "leaf1", "interface": "swp2", "queue": "0"})
    assert delta(to_host, "transmit_packets", begin_ns, end_ns) >= 500
    assert delta(to_host, "transmit_bytes", begin_ns, end_ns) >= 500 * 8000
    from_host = series("interface", {"switch": "leaf1", "interface": "swp1"})
    assert delta(from_host, "in_bytes", begin_ns, end_ns) >= 500 * 8000
    for end in ({"switch": "leaf1", "interface": "swp49"}, {"switch": "spine1", "interface": "swp1"}):
        assert set(series("interface", end)["oper_up"]) == {True, False}


def test_polling_that_is_ended_is_an_outage_of_the_window_and_begins_again(lab, tmp_path):
    with collector(lab, tmp_path) as collecting:
        begin_ns = time.time_ns()
        lab.ssh("leaf1", "pkill -f '[t]c -s -j qdisc'", check=False)
        time.sleep(1.5)
        window = collecting.window(begin_ns, time.time_ns())
        assert any("leaf1: the connection was lost in the window" in reason for reason in window.reasons)
        assert collecting.stop().outages >= 1
    wait_for(lambda: "time_ns" not in lab.ssh("leaf1", "ps -eo args | grep '[t]ime_ns' || true"))


def test_a_key_that_the_switch_does_not_know_is_told_at_the_start(lab, tmp_path):
    (tmp_path / "known_hosts").write_text("")
    target = lab.target("leaf1")
    unknown = type(target)(**{**vars(target), "known_hosts": str(tmp_path / "known_hosts")})
    declared = SimpleNamespace(switches={"leaf1": unknown}, topology=lab.topology)
    asked = subscriptions(declared, [], Profile(telemetry_interval_ns=INTERVAL_NS))
    with pytest.raises(LabError, match=r"leaf1: SSH at .*:22 shows a host key that is not known"):
        Collector.start(Config(subscriptions=asked), tmp_path)
