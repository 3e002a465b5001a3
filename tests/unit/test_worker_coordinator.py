"""The coordinator against real agents' gRPC servers with mutual TLS, in this process."""

import dataclasses
import threading
from pathlib import Path

import pytest
from agent_servers import NOW_NS, Lab, make_keys

from aibench_lib import __version__
from aibench_lib.errors import LabError, SpecError, TrialError
from aibench_lib.model import Stream, Transfer, TrialLoad
from aibench_lib.worker import storm
from aibench_lib.worker.agents import Agent
from aibench_lib.worker.coordinator import Coordinator
from aibench_lib.worker.samples import SCHEMA

MB = 1_000_000


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("keys") / "keys")


@pytest.fixture
def lab(keys):
    lab = Lab(keys)
    yield lab
    lab.close()


def incast(senders, receiver="decode01"):
    transfers = {host: (Transfer(peer=receiver, qp=1, size_bytes=16 * MB),) for host in senders}
    return TrialLoad(transfers={**transfers, receiver: ()}, seed=7)


@pytest.fixture
def three(lab):
    for host in ("prefill01", "prefill02", "decode01"):
        lab.add(host)
    return lab


LOAD = incast(["prefill01", "prefill02"])


def test_every_agent_describes_itself(three):
    with Coordinator(three.addresses()) as coordinator:
        descriptions = coordinator.describe()
    assert [(reply.host, reply.transport) for reply in descriptions] == [
        ("prefill01", "simulated"),
        ("prefill02", "simulated"),
        ("decode01", "simulated"),
    ]


def test_a_trial_brings_back_one_sample_a_transfer_and_when_the_last_host_had_ended(three):
    three.agents["prefill02"].behaviour["ahead_ns"] = 250
    with Coordinator(three.addresses()) as coordinator:
        samples = coordinator.run_trial("t1", LOAD, lead_ns=1_000)
    assert samples.t0_ns == NOW_NS + 250 + 1_000
    assert samples.t_end_ns == samples.t0_ns + 400_000 + 250
    assert samples.table.schema == SCHEMA
    assert samples.table["host"].to_pylist() == ["prefill01", "prefill02"]
    assert three.agents["prefill01"].runs[0].participants == 3
    assert not three.agents["prefill01"].stopped


def test_the_receiver_learns_the_endpoint_of_each_of_its_senders(three):
    with Coordinator(three.addresses()) as coordinator:
        coordinator.run_trial("t1", LOAD, lead_ns=0)
    assert three.agents["decode01"].senders["t1"] == ["prefill01/1", "prefill02/1"]
    assert three.agents["prefill01"].senders == {}  # nobody sends to it


def test_only_hosts_of_the_trial_are_connected_to(three):
    three.kill("prefill02")
    with Coordinator(three.addresses()) as coordinator:
        samples = coordinator.run_trial("t1", incast(["prefill01"]), lead_ns=0)
    assert samples.table.num_rows == 1


def test_a_transfer_has_as_long_after_a_late_post_as_after_an_early_one(three):
    late = TrialLoad(
        transfers={"prefill01": (Transfer(peer="decode01", qp=1, size_bytes=1, offset_ns=90 * 10**9),), "decode01": ()},
        seed=1,
    )
    with Coordinator(three.addresses()) as coordinator:
        coordinator.run_trial("t1", late, lead_ns=0, timeout_ns=60 * 10**9)
        coordinator.run_trial("t2", dataclasses.replace(late, duration_ns=95 * 10**9), lead_ns=0)
    assert [run.timeout_ns for run in three.agents["prefill01"].runs] == [150 * 10**9, 95 * 10**9]


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"lose": 1}, "prefill02: no sample of the transfer of 16000000 bytes to decode01 on queue pair 1"),
        ({"double": 1}, "prefill02: a sample too many of the transfer of 16000000 bytes to decode01"),
        ({"status": "timeout"}, "prefill02: the transfer of 16000000 bytes to decode01 .* status 'timeout'"),
        ({"die": True}, "prefill02: the agent at .* failed: the NIC is gone"),
        ({"refuse": True}, "prefill02: the agent at .* failed: no memory for 3 queue pairs"),
    ],
)
def test_a_trial_with_a_fault_is_invalid_names_the_host_and_is_forgotten_by_all(three, behaviour, reason):
    three.agents["prefill02"].behaviour.update(behaviour)
    with Coordinator(three.addresses()) as coordinator, pytest.raises(TrialError, match=reason):
        coordinator.run_trial("t1", LOAD, lead_ns=0)
    for agent in three.agents.values():
        assert agent.stopped == ["t1"]


def test_after_a_fault_the_next_trial_runs(three):
    three.agents["prefill02"].behaviour["die"] = True
    with Coordinator(three.addresses()) as coordinator:
        with pytest.raises(TrialError):
            coordinator.run_trial("t1", LOAD, lead_ns=0)
        three.agents["prefill02"].behaviour.clear()
        three.shared.arrived = 0
        assert coordinator.run_trial("t2", LOAD, lead_ns=0).table.num_rows == 2


def test_an_agent_that_dies_in_a_trial_ends_it_and_a_new_one_on_its_port_takes_part_in_the_next(three):
    three.agents["prefill02"].behaviour["hang"] = True
    with Coordinator(three.addresses()) as coordinator:
        coordinator.describe()
        killer = threading.Timer(0.3, three.kill, ["prefill02"])
        killer.start()
        with pytest.raises(TrialError, match=r"prefill02: the agent at 127\.0\.0\.1:\d+ .*"):
            coordinator.run_trial("t1", LOAD, lead_ns=0)
        killer.join()
        assert three.agents["prefill01"].stopped == ["t1"]
        three.add("prefill02", three.ports["prefill02"])
        three.shared.arrived = 0
        assert coordinator.run_trial("t2", LOAD, lead_ns=0).table.num_rows == 2


def test_an_agent_that_never_ends_its_trial_is_named(three):
    three.agents["prefill02"].behaviour["hang"] = True
    with (
        Coordinator(three.addresses(), trial_seconds=0.5) as coordinator,
        pytest.raises(TrialError, match=r"did not end the trial within 0\.5 s.*prefill02"),
    ):
        coordinator.run_trial("t1", LOAD, lead_ns=0)


def test_an_agent_that_does_not_run_is_a_fault_of_the_lab_with_its_address(three):
    three.kill("prefill02")
    with (
        Coordinator(three.addresses()) as coordinator,
        pytest.raises(
            LabError, match=rf"prefill02: the agent at 127\.0\.0\.1:{three.ports['prefill02']} does not answer"
        ),
    ):
        coordinator.describe()


def test_an_agent_of_another_version_is_refused(lab):
    lab.add("prefill01", version="0.0.1")
    with (
        Coordinator(lab.addresses()) as coordinator,
        pytest.raises(LabError, match=rf"prefill01: the agent has version 0\.0\.1, the coordinator {__version__}"),
    ):
        coordinator.describe()


def test_an_agent_at_another_hosts_address_is_refused(lab):
    lab.add("prefill01", name="prefill02")
    with Coordinator(lab.addresses()) as coordinator, pytest.raises(LabError, match="is that of 'prefill02'"):
        coordinator.describe()


def test_an_agent_does_not_talk_to_a_coordinator_of_another_authority(lab):
    lab.add("prefill01")
    with (
        Coordinator(lab.addresses(cert="stranger/client.pem", key="stranger/client.key")) as coordinator,
        pytest.raises(LabError, match="prefill01"),
    ):
        coordinator.describe()


def test_a_missing_certificate_file_is_named(lab):
    lab.add("prefill01")
    with (
        Coordinator(lab.addresses(cert="nowhere.pem")) as coordinator,
        pytest.raises(SpecError, match=r"nowhere\.pem: cannot be read for the agent of prefill01: No such file"),
    ):
        coordinator.describe()


def test_a_load_for_a_host_without_agent_or_with_an_absent_peer_is_refused(three):
    with Coordinator(three.addresses()) as coordinator:
        with pytest.raises(SpecError, match="prefill09: no agent is known"):
            coordinator.run_trial("t1", incast(["prefill09"]), lead_ns=0)
        absent = TrialLoad(transfers={"prefill01": LOAD.transfers["prefill01"]}, seed=1)
        with pytest.raises(SpecError, match="prefill01 sends to decode01, which does not take part"):
            coordinator.run_trial("t1", absent, lead_ns=0)


def test_two_agents_of_one_host_are_refused():
    agent = Agent(host="a", address="127.0.0.1", port=1, ca=Path("x"), cert=Path("x"), key=Path("x"))
    with pytest.raises(SpecError, match="a: two agents have this host name"):
        Coordinator([agent, agent])


STREAM = Stream(
    peer="decode01", qp=2, size_bytes=4096, duration_ns=1_000_000, depth=8, batch=4, rate_bps=10**9, echo=True
)


def test_loops_and_operations_are_told_as_they_are_asked_for(three):
    load = TrialLoad(
        transfers={"prefill01": (Transfer(peer="decode01", qp=1, size_bytes=5, operation="send"),), "decode01": ()},
        streams={"prefill01": (STREAM,)},
        seed=9,
    )
    with Coordinator(three.addresses(), transport="tcp", verify=True) as coordinator:
        coordinator.run_trial("t1", load, lead_ns=0)
    told = three.agents["prefill01"].trials["t1"]
    assert [transfer.operation for transfer in told.transfers] == ["send"]
    [stream] = told.streams
    assert {name: getattr(stream, name) for name in dataclasses.asdict(STREAM)} == dataclasses.asdict(STREAM)
    assert (told.transport, told.verify, told.seed, told.trigger) == ("tcp", True, 9, False)
    assert three.agents["decode01"].senders["t1"] == ["prefill01/1", "prefill01/2"]


def test_receiving_ends_reach_their_senders_and_nobody_else(three):
    three.agents["decode01"].behaviour["joins"] = True
    with Coordinator(three.addresses()) as coordinator:
        coordinator.run_trial("t1", LOAD, lead_ns=0)
    assert three.agents["prefill01"].joined == {"t1": [("prefill01", 1, b"to prefill01/1")]}
    assert three.agents["prefill02"].joined == {"t1": [("prefill02", 1, b"to prefill02/1")]}
    assert three.agents["decode01"].joined == {}


def test_a_receiver_that_answers_only_some_of_its_ends_is_named(three):
    three.agents["decode01"].behaviour.update(joins=True, forget_ends=1)
    with (
        Coordinator(three.addresses()) as coordinator,
        pytest.raises(TrialError, match="decode01: the agent did not connect queue pair 1 of prefill01"),
    ):
        coordinator.run_trial("t1", LOAD, lead_ns=0)


@pytest.mark.parametrize(
    ("streams", "reason"),
    [
        ({"prefill01": (dataclasses.replace(STREAM, peer="x"),)}, "prefill01 sends to x, which does not take part"),
        ({"x": (STREAM,)}, "x has streams and does not take part"),
        ({"prefill01": (dataclasses.replace(STREAM, qp=1),)}, "queue pair 1 of prefill01 has a stream and something"),
        ({"prefill01": (STREAM, STREAM)}, "queue pair 2 of prefill01 has a stream and something else"),
    ],
)
def test_loops_that_no_agent_could_run_are_refused(three, streams, reason):
    with Coordinator(three.addresses()) as coordinator, pytest.raises(SpecError, match=reason):
        coordinator.run_trial("t1", dataclasses.replace(LOAD, streams=streams), lead_ns=0)


def test_half_of_the_agents_unreachable_is_one_message_that_counts_them(lab):
    for number in range(8):
        lab.add(f"w{number}")
    for number in range(4):
        lab.kill(f"w{number}")
    with Coordinator(lab.addresses()) as coordinator, pytest.raises(LabError) as raised:
        coordinator.describe()
    assert "does not answer" in str(raised.value)
    assert "(4 of 8 agents failed: " in str(raised.value)
    assert "and 1 more)" in str(raised.value)


def test_agents_of_another_version_are_counted(lab):
    for number in range(3):
        lab.add(f"w{number}", version="0.0.1" if number else __version__)
    with (
        Coordinator(lab.addresses()) as coordinator,
        pytest.raises(LabError, match=r"w1: the agent has version 0\.0\.1.*\(2 of 3 agents differ: w1, w2\)"),
    ):
        coordinator.describe()


def test_hosts_of_two_simulated_labs_are_not_put_into_one_trial(three):
    three.agents["prefill02"].behaviour["clock_id"] = "another"
    with Coordinator(three.addresses()) as coordinator, pytest.raises(TrialError, match=r"prefill02: .* another lab"):
        coordinator.run_trial("t1", LOAD, lead_ns=0)


def test_an_agent_that_knows_no_pause_storms_says_what_to_install(lab):
    lab.add("decode01")
    [agent] = lab.addresses()
    with pytest.raises(LabError, match=r"decode01: the agent at .* does not know this call .*install the same version"):
        storm.status(agent, 3)
