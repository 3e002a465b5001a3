"""Agents' gRPC servers with mutual TLS in this process: what a coordinator talks to, without anything that sends."""

import socket
import struct
import threading
import time
from concurrent import futures

import grpc
import pyarrow as pa

from aibench_lib import __version__
from aibench_lib.worker import agent_pb2
from aibench_lib.worker.agent_pb2_grpc import AgentServicer, add_AgentServicer_to_server
from aibench_lib.worker.agents import Agent
from aibench_lib.worker.authority import make_authority
from aibench_lib.worker.samples import RECEIPTS, SCHEMA, to_ipc

NOW_NS = 1_700_000_000_000_000_000
TOKEN = b"sixteen bytes..."


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


class Prober:
    """Answers clock probes with a clock that is ``shift_ns`` ahead; each direction may be held up."""

    def __init__(self, shift_ns=0, there_seconds=0.0, back_seconds=0.0, answers=True):
        self.shift_ns, self.there_seconds, self.back_seconds, self.answers = (
            shift_ns,
            there_seconds,
            back_seconds,
            answers,
        )
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = 0
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            probe, address = self.socket.recvfrom(100)
            if not probe:
                return
            self.asked += 1
            if probe[:16] == TOKEN and self.answers:
                time.sleep(self.there_seconds)
                now_ns = time.time_ns() + self.shift_ns
                time.sleep(self.back_seconds)
                self.socket.sendto(probe + struct.pack("!qq", now_ns, now_ns), address)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


class TestingAgent(AgentServicer):
    """An agent of a simulated lab, or of a real host where ``clock`` says so; other behaviour by name."""

    __test__ = False

    def __init__(self, lab, host, **behaviour):
        self.lab, self.host, self.behaviour = lab, host, behaviour
        self.trials, self.senders, self.stopped, self.runs = {}, {}, [], []
        self.joined, self.inspected, self.described = {}, 0, 0
        self.release = threading.Event()

    def now_ns(self):
        if "clock" in self.behaviour:
            return time.time_ns() + self.behaviour.get("shift_ns", 0)
        return NOW_NS + self.behaviour.get("ahead_ns", 0)

    def Describe(self, request, context):  # noqa: N802 - gRPC's name
        self.described += 1
        return agent_pb2.Description(
            host=self.behaviour.get("name", self.host),
            version=self.behaviour.get("version", __version__),
            lab="simulated",
            transport="simulated",
            clock=self.behaviour.get("clock", "lab"),
            now_ns=self.now_ns(),
            clock_id=self.behaviour.get("clock_id", ""),
            probe_port=self.behaviour["prober"].port if "prober" in self.behaviour else 0,
            probe_token=TOKEN,
        )

    def Inspect(self, request, context):  # noqa: N802 - gRPC's name
        self.inspected += 1
        return agent_pb2.Inspection(facts=self.behaviour.get("facts", {}))

    def Prepare(self, request, context):  # noqa: N802 - gRPC's name
        if self.behaviour.get("refuse"):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory for 3 queue pairs")
        self.trials[request.trial] = request
        endpoints = [
            agent_pb2.Endpoint(peer=self.host, qp=one.qp, address=f"{self.host}/{one.qp}".encode())
            for one in (*request.transfers, *request.streams)
        ]
        trigger = f"{self.host}:1" if request.trigger else ""
        return agent_pb2.Prepared(endpoints=endpoints, now_ns=self.now_ns(), trigger_address=trigger)

    def Connect(self, request, context):  # noqa: N802 - gRPC's name
        self.senders[request.trial] = [endpoint.address.decode() for endpoint in request.senders]
        ends = []
        if self.behaviour.get("joins"):
            ends = [
                agent_pb2.Endpoint(peer=end.peer, qp=end.qp, address=b"to " + end.address) for end in request.senders
            ]
            ends = ends[self.behaviour.get("forget_ends", 0) :]
        return agent_pb2.Connected(now_ns=self.now_ns(), endpoints=ends)

    def Join(self, request, context):  # noqa: N802 - gRPC's name
        self.joined[request.trial] = [(end.peer, end.qp, end.address) for end in request.receivers]
        return agent_pb2.Joined(now_ns=self.now_ns())

    def Run(self, request, context):  # noqa: N802 - gRPC's name
        told_ns = self.now_ns()
        self.runs.append(request)
        if self.behaviour.get("hang"):
            self.release.wait(20)
        if self.behaviour.get("die"):
            context.abort(grpc.StatusCode.INTERNAL, "the NIC is gone")
        if not self.lab.wait_for(request.participants, context):
            return
        yield from self.behaviour.get("batches", self.batches)(request)
        finished_ns = request.t0_ns + 400_000 + self.behaviour.get("ahead_ns", 0)
        end = agent_pb2.SampleBatch(told_ns=told_ns, finished_ns=finished_ns)
        if "clock" in self.behaviour:
            time.sleep(max(0, request.t0_ns - self.now_ns()) / 1e9 + 0.002)
            if self.trials[request.trial].transfers or self.trials[request.trial].streams:
                end.started_ns = request.t0_ns + self.behaviour.get("late_ns", 0)
                end.started_last_ns = end.started_ns
        yield end

    def batches(self, request):
        asked = self.trials[request.trial]
        rows = [self.sample(request, one) for one in (*asked.transfers, *asked.streams)]
        rows = rows[self.behaviour.get("lose", 0) :] + rows[: self.behaviour.get("double", 0)]
        for row in rows:
            yield agent_pb2.SampleBatch(arrow=to_ipc(pa.Table.from_pylist([row], schema=SCHEMA)))
        for receipt in self.behaviour.get("receipts", lambda request: [])(request):
            table = pa.Table.from_pylist([receipt], schema=RECEIPTS)
            yield agent_pb2.SampleBatch(receipts=to_ipc(table, RECEIPTS))

    def sample(self, request, one):
        posted_ns = request.t0_ns + one.offset_ns
        return {
            "host": self.host,
            "peer": one.peer,
            "qp": one.qp,
            "priority": one.priority,
            "size_bytes": one.size_bytes,
            "intended_ns": posted_ns,
            "posted_ns": posted_ns,
            "completed_ns": posted_ns + 320_000,
            "status": self.behaviour.get("status", "ok"),
            "clock": "lab",
            "transport": "simulated",
            "observation_point": "endpoint",
            "operations": 1,
            "operation": one.operation,
        }

    def Stop(self, request, context):  # noqa: N802 - gRPC's name
        self.stopped.append(request.trial)
        self.release.set()
        return agent_pb2.Stopped()


class Lab:
    """Starts and ends the servers of a test.

    ``folder`` holds an authority's files for any host at 127.0.0.1, from :func:`make_keys`.
    """

    def __init__(self, folder):
        self.folder, self.shared = folder, FakeLab()
        self.agents, self.servers, self.ports = {}, {}, {}

    def add(self, host, port=0, **behaviour):
        server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        self.agents[host] = TestingAgent(self.shared, host, **behaviour)
        add_AgentServicer_to_server(self.agents[host], server)
        read = lambda name: (self.folder / name).read_bytes()  # noqa: E731 - three reads of one folder
        pair = (read("hosts/server.key"), read("hosts/server.pem"))
        credentials = grpc.ssl_server_credentials([pair], read("ca.pem"), True)
        self.ports[host] = server.add_secure_port(f"127.0.0.1:{port}", credentials)
        server.start()
        self.servers[host] = server
        return self.agents[host]

    def kill(self, host):
        self.servers.pop(host).stop(None).wait()

    def close(self):
        for host in list(self.servers):
            self.agents[host].release.set()
            self.kill(host)
            if "prober" in self.agents[host].behaviour:
                self.agents[host].behaviour["prober"].close()

    def addresses(self, **files):
        paths = {"ca": "ca.pem", "cert": "client.pem", "key": "client.key", **files}
        paths = {name: self.folder / file for name, file in paths.items()}
        return [Agent(host=host, address="127.0.0.1", port=port, **paths) for host, port in self.ports.items()]


def make_keys(folder):
    """Write the keys of the lab's authority, and those of a stranger's."""
    make_authority(folder, {"server": "127.0.0.1"})
    make_authority(folder / "stranger", {"server": "127.0.0.1"})
    return folder
