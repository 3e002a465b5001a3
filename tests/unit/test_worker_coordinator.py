"""The coordinator against real agents' gRPC servers with mutual TLS, in this process."""

import dataclasses
import ipaddress
import threading
from concurrent import futures
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pyarrow as pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aibench_lib import __version__
from aibench_lib.errors import LabError, SpecError, TrialError
from aibench_lib.model import Transfer, TrialLoad
from aibench_lib.worker import agent_pb2, storm
from aibench_lib.worker.agent_pb2_grpc import AgentServicer, add_AgentServicer_to_server
from aibench_lib.worker.agents import Agent
from aibench_lib.worker.coordinator import Coordinator
from aibench_lib.worker.samples import SCHEMA, to_ipc

NOW_NS = 1_700_000_000_000_000_000
MB = 1_000_000


def certificate(name, issuer=None, issuer_key=None):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return builder.sign(issuer_key or key, hashes.SHA256()), key


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    ca, ca_key = certificate("test ca")
    for name in ("server", "client"):
        cert, key = certificate(name, ca, ca_key)
        (folder / f"{name}.pem").write_bytes(pem(cert))
        (folder / f"{name}.key").write_bytes(key_pem(key))
    (folder / "ca.pem").write_bytes(pem(ca))
    stranger, stranger_key = certificate("stranger")
    (folder / "stranger.pem").write_bytes(pem(stranger))
    (folder / "stranger.key").write_bytes(key_pem(stranger_key))
    return folder


class FakeLab:
    """What the agents of one test share: a barrier for the start, like the simulated lab's."""

    def __init__(self):
        self.arrived = 0
        self.started = threading.Condition()

    def wait_for(self, participants, context):
        with self.started:
            self.arrived += 1
            self.started.notify_all()
            while self.arrived % participants and context.is_active():
                self.started.wait(0.05)
        return context.is_active()


class TestingAgent(AgentServicer):
    __test__ = False

    def __init__(self, lab, host, **behaviour):
        self.lab, self.host, self.behaviour = lab, host, behaviour
        self.trials, self.senders, self.stopped, self.runs = {}, {}, [], []
        self.release = threading.Event()

    def Describe(self, request, context):  # noqa: N802 - gRPC's name
        return agent_pb2.Description(
            host=self.behaviour.get("name", self.host),
            version=self.behaviour.get("version", __version__),
            lab="simulated",
            transport="simulated",
            clock="lab",
            now_ns=NOW_NS,
        )

    def Prepare(self, request, context):  # noqa: N802 - gRPC's name
        if self.behaviour.get("refuse"):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory for 3 queue pairs")
        self.trials[request.trial] = list(request.transfers)
        endpoints = [
            agent_pb2.Endpoint(peer=self.host, qp=transfer.qp, address=f"{self.host}/{transfer.qp}".encode())
            for transfer in request.transfers
        ]
        return agent_pb2.Prepared(endpoints=endpoints, now_ns=NOW_NS + self.behaviour.get("ahead_ns", 0))

    def Connect(self, request, context):  # noqa: N802 - gRPC's name
        self.senders[request.trial] = [endpoint.address.decode() for endpoint in request.senders]
        return agent_pb2.Connected(now_ns=NOW_NS + self.behaviour.get("ahead_ns", 0))

    def Run(self, request, context):  # noqa: N802 - gRPC's name
        self.runs.append(request)
        if self.behaviour.get("hang"):
            self.release.wait(20)
        if self.behaviour.get("die"):
            context.abort(grpc.StatusCode.INTERNAL, "the NIC is gone")
        if not self.lab.wait_for(request.participants, context):
            return
        rows = [self.sample(request, transfer) for transfer in self.trials[request.trial]]
        rows = rows[self.behaviour.get("lose", 0) :] + rows[: self.behaviour.get("double", 0)]
        for row in rows:
            yield agent_pb2.SampleBatch(arrow=to_ipc(pa.Table.from_pylist([row], schema=SCHEMA)))
        yield agent_pb2.SampleBatch(finished_ns=request.t0_ns + 400_000 + self.behaviour.get("ahead_ns", 0))

    def sample(self, request, transfer):
        posted_ns = request.t0_ns + transfer.offset_ns
        return {
            "host": self.host,
            "peer": transfer.peer,
            "qp": transfer.qp,
            "priority": transfer.priority,
            "size_bytes": transfer.size_bytes,
            "intended_ns": posted_ns,
            "posted_ns": posted_ns,
            "completed_ns": posted_ns + 320_000,
            "status": self.behaviour.get("status", "ok"),
            "clock": "lab",
            "transport": "simulated",
            "observation_point": "endpoint",
            "operations": 1,
            "operation": "write_with_imm",
        }

    def Stop(self, request, context):  # noqa: N802 - gRPC's name
        self.stopped.append(request.trial)
        self.release.set()
        return agent_pb2.Stopped()


class Lab:
    """Starts and ends the servers of a test."""

    def __init__(self, pki):
        self.pki, self.shared = pki, FakeLab()
        self.agents, self.servers, self.ports = {}, {}, {}

    def add(self, host, port=0, **behaviour):
        server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        self.agents[host] = TestingAgent(self.shared, host, **behaviour)
        add_AgentServicer_to_server(self.agents[host], server)
        read = lambda name: (self.pki / name).read_bytes()  # noqa: E731 - three reads of one folder
        credentials = grpc.ssl_server_credentials([(read("server.key"), read("server.pem"))], read("ca.pem"), True)
        self.ports[host] = server.add_secure_port(f"127.0.0.1:{port}", credentials)
        server.start()
        self.servers[host] = server
        return self.agents[host]

    def kill(self, host):
        self.servers.pop(host).stop(None).wait()

    def addresses(self, **files):
        paths = {"ca": "ca.pem", "cert": "client.pem", "key": "client.key", **files}
        paths = {name: self.pki / file for name, file in paths.items()}
        return [Agent(host=host, address="127.0.0.1", port=port, **paths) for host, port in self.ports.items()]


@pytest.fixture
def lab(pki):
    lab = Lab(pki)
    yield lab
    for host in list(lab.servers):
        lab.agents[host].release.set()
        lab.kill(host)


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
        Coordinator(lab.addresses(cert="stranger.pem", key="stranger.key")) as coordinator,
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


def test_two_agents_of_one_host_are_refused(pki):
    agent = Agent(host="a", address="127.0.0.1", port=1, ca=Path("x"), cert=Path("x"), key=Path("x"))
    with pytest.raises(SpecError, match="a: two agents have this host name"):
        Coordinator([agent, agent])


def test_an_agent_that_knows_no_pause_storms_says_what_to_install(lab):
    lab.add("decode01")
    [agent] = lab.addresses()
    with pytest.raises(LabError, match=r"decode01: the agent at .* does not know this call .*install the same version"):
        storm.status(agent, 3)
