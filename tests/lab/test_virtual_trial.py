"""Trials in the virtual lab: what agents and switches say is what the simulator counted."""

import threading
import time

import grpc
import pytest
from virtual_fabric import COUNTERS, INVENTORY, LANZ, QUEUE, fabric, sample, subscribe_request

from aibench_lib.errors import TrialError
from aibench_lib.model import Transfer, TrialLoad
from aibench_lib.simulator import Ecn, Simulation
from aibench_lib.units import PS_PER_NS
from aibench_lib.virtual_lab.gnmi.paths import from_proto, text
from aibench_lib.virtual_lab.inventory import load_lab
from aibench_lib.worker import agent_pb2
from aibench_lib.worker.agents import Connection, credentials_of
from aibench_lib.worker.coordinator import Coordinator

SENDERS = [f"prefill{number:02}" for number in range(1, 33)]
SIZE_BYTES = 500_000
KMIN_BYTES = 100_000
ECN = [
    "qos profile ROCE",
    "uc-tx-queue 3",
    f"random-detect ecn minimum-threshold {KMIN_BYTES} bytes maximum-threshold {KMIN_BYTES} bytes"
    " max-mark-probability 100 weight 0",
]
LEAD_NS = 1_000_000


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with fabric(tmp_path_factory.mktemp("lab"), "127.103", patience_seconds=1.0) as running:
        running.configure(*ECN)
        yield running


@pytest.fixture
def coordinator(lab):
    with Coordinator(lab.agents(*SENDERS, "decode01")) as coordinator:
        yield coordinator


def incast(seed=1, senders=SENDERS):
    sends = {
        host: (Transfer(peer="decode01", qp=7, size_bytes=SIZE_BYTES, offset_ns=number * 10),)
        for number, host in enumerate(senders)
    }
    return TrialLoad(transfers={**sends, "decode01": ()}, seed=seed)


class Listener:
    """Collects a subscription's notifications in a thread."""

    def __init__(self, stub, request, metadata):
        self._call = stub.Subscribe(iter([request]), metadata=metadata)
        self._synced = threading.Event()
        self._grown = threading.Condition()
        self.notifications = []
        threading.Thread(target=self._read, daemon=True).start()
        assert self._synced.wait(10)

    def _read(self):
        try:
            for message in self._call:
                if message.sync_response:
                    self._synced.set()
                with self._grown:
                    self.notifications.append(message.update)
                    self._grown.notify_all()
        except grpc.RpcError:
            pass

    def until(self, end_ns, path):
        """Wait for an entry's sample at or after a time; return each entry's last values and all timestamps."""

        def told():
            return any(n.timestamp >= end_ns and text(from_proto(n.prefix)) == path for n in self.notifications)

        with self._grown:
            assert self._grown.wait_for(told, 10)
        self._call.cancel()
        last = {}
        for n in self.notifications:
            values = last.setdefault(text(from_proto(n.prefix)), {})
            values.update({update.path.elem[0].name: update.val.uint_val for update in n.update})
        return last


def test_completion_times_are_those_of_the_simulator(coordinator):
    trial = coordinator.run_trial("same", incast(), LEAD_NS)
    spec = load_lab(INVENTORY)
    simulation = Simulation(spec.topology, spec.parameters, 1)
    ecn = Ecn(kmin_bytes=KMIN_BYTES, kmax_bytes=KMIN_BYTES, pmax=1.0)
    for link in spec.topology.links:
        for port in (link.a, link.b):
            if port.node.startswith("leaf"):
                simulation.set_ecn(port, 3, ecn)
    for number, host in enumerate(SENDERS):
        simulation.start_flow(host, "decode01", SIZE_BYTES, number * 10 * PS_PER_NS, 7)
    simulation.advance()
    expected = simulation.completions()
    rows = {row["host"]: row for row in trial.table.to_pylist()}
    for host, (_, posted_ps, received_ps, completed_ps, *_) in zip(SENDERS, expected.tolist(), strict=True):
        row = rows[host]
        assert row["status"] == "ok"
        assert row["posted_ns"] - trial.t0_ns == posted_ps // PS_PER_NS
        assert row["received_ns"] - trial.t0_ns == received_ps // PS_PER_NS
        assert row["completed_ns"] - trial.t0_ns == completed_ps // PS_PER_NS
    assert trial.t_end_ns == max(row["completed_ns"] for row in rows.values())


def test_a_trial_depends_on_its_load_and_its_seed_alone(coordinator):
    def shape(seed):
        trial = coordinator.run_trial(f"shape {seed}", incast(seed), LEAD_NS)
        return sorted(time_ns - trial.t0_ns for time_ns in trial.table["completed_ns"].to_pylist())

    assert shape(5) == shape(5)


def test_lab_time_stands_still_between_trials_and_moves_with_them(lab, coordinator):
    [before, again] = (coordinator.describe(["decode01"])[0].now_ns for _ in range(2))
    assert before == again == lab.lab.now_ns
    trial = coordinator.run_trial("time", incast(senders=SENDERS[:2]), LEAD_NS)
    assert trial.t0_ns == before + LEAD_NS
    assert coordinator.describe(["decode01"])[0].now_ns >= trial.t_end_ns


def test_switch_counters_agree_with_the_samples(lab, coordinator):
    queue, port = QUEUE.format("Ethernet33"), COUNTERS.format("Ethernet33")
    request = subscribe_request(
        sample(QUEUE.format("*"), 10_000, suppress_redundant=True), sample(port, 1_000_000, suppress_redundant=True)
    )
    with lab.stub("leaf1", 6030) as stub:
        before = Listener(stub, request, lab.metadata).until(0, port)
        listener = Listener(stub, request, lab.metadata)
        trial = coordinator.run_trial("counters", incast(), LEAD_NS)
        after = listener.until(trial.t_end_ns, port)
    packets = 32 * -(-SIZE_BYTES // 4096)
    sent = {leaf: after[queue][leaf] - before[queue][leaf] for leaf in after[queue]}
    assert sent["transmit-pkts"] == packets
    assert sent["transmit-octets"] == 32 * SIZE_BYTES + packets * 62
    assert sent["dropped-pkts"] == 0
    assert 0 < sent["ecn-marked-pkts"] <= packets
    assert after[port]["out-octets"] - before[port]["out-octets"] == sent["transmit-octets"]
    arrived = sum(after[QUEUE.format(f"Ethernet{n}")]["transmit-pkts"] for n in range(1, 33))
    assert arrived == 0, "ACKs travel in another class"


def test_samples_lie_on_the_grid_in_order_and_a_heartbeat_follows_the_trial(lab, coordinator):
    request = subscribe_request(sample(QUEUE.format("Ethernet33"), 10_000, suppress_redundant=True))
    with lab.stub("leaf1", 6030) as stub:
        listener = Listener(stub, request, lab.metadata)
        trial = coordinator.run_trial("grid", incast(), LEAD_NS)
        listener.until(trial.t_end_ns, QUEUE.format("Ethernet33"))
    times = [n.timestamp for n in listener.notifications[2:]]
    assert times == sorted(set(times))
    assert all(time_ns % 10_000 == 0 for time_ns in times)
    assert len(times) == (times[-1] - times[0]) // 10_000 + 1, "a busy queue changes at every sample"
    assert times[-2] < trial.t_end_ns <= times[-1]
    assert len(listener.notifications[-1].update) == 5, "a heartbeat has all leaves"


def test_congestion_records_rise_and_end_with_an_empty_queue(lab, coordinator):
    with lab.stub("leaf1", 6030) as stub:
        listener = Listener(stub, subscribe_request(sample(LANZ, 10_000)), lab.metadata)
        trial = coordinator.run_trial("lanz", incast(), LEAD_NS)
        listener.until(trial.t_end_ns, LANZ)
    records = [
        {update.path.elem[0].name: update.val.string_val or update.val.uint_val for update in n.update}
        for n in listener.notifications
        if n.timestamp > trial.t0_ns
    ]
    assert {(record["type"], record["interface-id"], record["traffic-class"]) for record in records} == {
        ("POLLING", "Ethernet33", 3)
    }
    assert max(record["queue-length"] for record in records) > KMIN_BYTES
    assert records[-1]["queue-length"] == 0


def test_nic_counters_count_what_was_sent(lab, coordinator):
    [agent] = lab.agents("prefill01")
    connection = Connection(agent, credentials_of(agent))
    before = connection.stub.Counters(agent_pb2.CountersRequest()).values["tx_packets"]
    coordinator.run_trial("nic", incast(), LEAD_NS)
    assert connection.stub.Counters(agent_pb2.CountersRequest()).values["tx_packets"] - before == -(-SIZE_BYTES // 4096)
    connection.close()


def test_a_shut_port_stops_the_trial_with_a_clear_line(lab, coordinator):
    lab.configure("interface Ethernet33", "shutdown")
    try:
        with pytest.raises(TrialError, match="decode01: its link is down"):
            coordinator.run_trial("shut", incast(), LEAD_NS)
    finally:
        lab.configure("interface Ethernet33", "no shutdown")
    coordinator.run_trial("open", incast(senders=SENDERS[:2]), LEAD_NS)


def test_a_transfer_that_outlasts_the_timeout_is_reported_as_such(coordinator):
    with pytest.raises(TrialError, match="timeout"):
        coordinator.run_trial("short", incast(), LEAD_NS, timeout_ns=50_000)


def test_transfers_that_share_a_queue_pair_come_back_one_by_one(coordinator):
    alike = Transfer(peer="decode01", qp=7, size_bytes=SIZE_BYTES)
    load = TrialLoad(transfers={"prefill01": (alike, alike, alike), "decode01": ()}, seed=1)
    trial = coordinator.run_trial("shared", load, LEAD_NS)
    ends = sorted(trial.table["completed_ns"].to_pylist())
    assert len(set(ends)) == 3
    assert trial.nic["prefill01"]["tx_packets"] == 3 * -(-SIZE_BYTES // 4096)
    assert trial.nic["decode01"]["out_of_sequence"] == 0


def test_a_trial_with_a_duration_ends_then_and_says_what_was_not_finished(coordinator):
    early, late = (Transfer(peer="decode01", qp=7, size_bytes=1000, offset_ns=offset) for offset in (0, 100_000))
    load = TrialLoad(
        transfers={"prefill01": (early, late), "decode01": ()}, seed=1, duration_ns=50_000, unfinished_ok=True
    )
    trial = coordinator.run_trial("duration", load, LEAD_NS)
    assert trial.table["status"].to_pylist() == ["ok", "timeout"]
    assert trial.table["posted_ns"].to_pylist() == [trial.t0_ns, None]
    assert trial.table["completed_ns"].to_pylist()[1] is None
    assert trial.t_end_ns == trial.t0_ns + 50_000


@pytest.fixture
def stubs(lab):
    agents = lab.agents("prefill01", "prefill02", "decode01")
    connections = [Connection(agent, credentials_of(agent)) for agent in agents]
    yield [connection.stub for connection in connections]
    connections[0].stub.Stop(agent_pb2.StopRequest())
    for connection in connections:
        connection.close()


def prepare(stub, trial, peers=("decode01",), seed=1):
    transfers = [agent_pb2.Transfer(peer=peer, qp=qp, size_bytes=1000, priority=3) for qp, peer in enumerate(peers)]
    return stub.Prepare(agent_pb2.PrepareRequest(trial=trial, transfers=transfers, seed=seed))


def run(stub, lab, trial, participants, lead_ns=LEAD_NS):
    request = agent_pb2.RunRequest(trial=trial, t0_ns=lab.lab.now_ns + lead_ns, participants=participants)
    return stub.Run(request)


def refusal(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as error:
        list(call(*arguments, **options))
    return error.value.code(), error.value.details()


def test_what_comes_too_early_or_is_unknown_is_refused(lab, stubs):
    first, second, receiver = stubs
    precondition, invalid = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT
    assert refusal(run, first, lab, "none", 1) == (precondition, "trial none: unknown on prefill01; call Prepare first")
    assert refusal(prepare, first, "a", peers=["nobody"])[0] == invalid
    prepared = prepare(first, "a")
    assert refusal(prepare, second, "a", seed=2)[1] == "trial a: seed 2 differs from the other participants' 1"
    assert "decode01 is not connected to prefill01's queue pair 0" in refusal(run, first, lab, "a", 2)[1]
    prepare(receiver, "a", peers=[])
    receiver.Connect(agent_pb2.ConnectRequest(trial="a", senders=prepared.endpoints))
    code, details = refusal(run, first, lab, "a", 2, lead_ns=-1)
    assert code == invalid
    assert "has passed" in details


def test_one_queue_pair_serves_one_peer_in_one_priority(stubs):
    first, *_ = stubs
    for other in ({"peer": "decode02"}, {"peer": "decode01", "priority": 4}):
        transfers = [
            agent_pb2.Transfer(**{"peer": "decode01", "qp": 1, "size_bytes": 1000, "priority": 3, **changes})
            for changes in ({}, other)
        ]
        code, details = refusal(first.Prepare, agent_pb2.PrepareRequest(trial="q", transfers=transfers, seed=1))
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert details.startswith("prefill01: queue pair 1 cannot serve decode01 in priority 3 and")


def test_a_participant_that_never_comes_is_named_to_those_who_wait(lab, stubs):
    first, second, receiver = stubs
    endpoints = [*prepare(first, "b").endpoints, *prepare(second, "b").endpoints]
    prepare(receiver, "b", peers=[])
    receiver.Connect(agent_pb2.ConnectRequest(trial="b", senders=endpoints))
    code, details = refusal(run, first, lab, "b", 3)
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert details == "trial b: 2 of 3 participants did not call Run within 1 s: decode01, prefill02"


def test_stop_releases_those_who_wait(lab, stubs):
    first, _, receiver = stubs
    endpoints = prepare(first, "c").endpoints
    prepare(receiver, "c", peers=[])
    receiver.Connect(agent_pb2.ConnectRequest(trial="c", senders=endpoints))
    waiting = run(first, lab, "c", 2)
    ended = threading.Event()
    waiting.add_done_callback(lambda call: ended.set())
    while not ended.wait(0.05):  # the order of Run and Stop on the agents' side is not ours to see
        receiver.Stop(agent_pb2.StopRequest(trial="c"))
    assert waiting.code() == grpc.StatusCode.ABORTED
    assert waiting.details() == "trial c: stopped"


def test_stop_ends_a_trial_that_runs_and_the_next_one_begins_after_it(lab, coordinator, stubs):
    first, _, receiver = stubs
    transfers = [agent_pb2.Transfer(peer="decode01", qp=0, size_bytes=1 << 40, priority=3)]
    endpoints = first.Prepare(agent_pb2.PrepareRequest(trial="d", transfers=transfers, seed=1)).endpoints
    prepare(receiver, "d", peers=[])
    receiver.Connect(agent_pb2.ConnectRequest(trial="d", senders=endpoints))
    before = lab.lab.now_ns
    waiting = [run(stub, lab, "d", 2) for stub in (first, receiver)]
    while not lab.lab.is_simulating:
        time.sleep(0.01)
    receiver.Stop(agent_pb2.StopRequest(trial="d"))
    assert [call.code() for call in waiting] == [grpc.StatusCode.ABORTED] * 2
    trial = coordinator.run_trial("after", incast(senders=SENDERS[:1]), LEAD_NS)
    assert trial.t0_ns > before + LEAD_NS


def test_an_agent_needs_the_certificate_of_its_coordinator(lab):
    credentials = grpc.ssl_channel_credentials((lab.state / "ca.pem").read_bytes())
    with (
        grpc.secure_channel(f"{lab.lab.addresses['decode01']}:50051", credentials) as channel,
        pytest.raises(grpc.RpcError),
    ):
        channel.unary_unary("/aibench.worker.v1.Agent/Describe")(b"", timeout=5)


def test_an_agent_that_dies_fails_the_trial_and_names_its_host(tmp_path):
    with fabric(tmp_path, "127.104") as lab, Coordinator(lab.agents("prefill01", "decode01")) as coordinator:
        load = incast(senders=SENDERS[:1])
        coordinator.run_trial("alive", load, LEAD_NS)
        lab.lab.stop_agent("decode01")
        with pytest.raises(TrialError, match="decode01"):
            coordinator.run_trial("dead", load, LEAD_NS)
