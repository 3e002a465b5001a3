"""Real agents on this machine: processes on addresses of loopback, with certificates of one authority.

Run as a program it is the parent of many agents: it imports what they need once, and forks them, so that hundreds share
its memory.  They are what ``python -m aibench_lib.worker.agent`` is, but for how their first process came to be.
"""

import contextlib
import ctypes
import gc
import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from aibench_lib.worker.agent.zygote import Zygote

if __name__ != "__main__":  # the parent of the agents must not have gRPC when it forks their zygotes
    from aibench_lib.worker import agent_pb2
    from aibench_lib.worker.agents import Agent, Connection, credentials_of
    from aibench_lib.worker.authority import make_authority

READY_SECONDS = 60
FAKE = "agent_fake"
"""Module beside this one that stands for transport ``tcp`` where a test wants faults or many rows."""


class AgentLab:
    """Agents of ``hosts`` hosts; a context manager that ends them and whatever they have started.

    ``settings`` go into every agent's configuration.  With ``fake`` the transport ``tcp`` is that of ``agent_fake.py``.
    """

    def __init__(self, folder, hosts, *, fake=False, **settings):
        self.folder, self.fake, self.settings = Path(folder), fake, settings
        net = 1 + os.getpid() % 250
        self.addresses = {f"host{number}": f"127.{net}.{number // 250}.{1 + number % 250}" for number in range(hosts)}
        self.agents, self.connections = {}, {}
        self.pids, self.zygotes = {}, {}
        self.parent = None

    def __enter__(self):
        keys = self.folder / "keys"
        make_authority(keys, self.addresses)
        for host, address in self.addresses.items():
            config = configuration(host, address, keys) | self.settings
            (self.folder / f"{host}.json").write_text(json.dumps(config))
        self.parent = subprocess.Popen(
            [sys.executable, __file__, str(self.folder), *([FAKE] if self.fake else []), *self.addresses],
            stdout=subprocess.PIPE,
        )
        try:
            self._wait_until_ready(keys)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for connection in self.connections.values():
            connection.close()
        for pid in self.pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        self.parent.terminate()
        self.parent.wait(10)
        self.parent.stdout.close()

    def _wait_until_ready(self, keys):
        ports, zygotes = {}, {}
        for line in lines(self.parent.stdout, READY_SECONDS):
            if "host" in line:
                self.pids[line["host"]] = line["pid"]
            elif "zygote" in line:
                zygotes[line["agent"]] = line["zygote"]
            elif "ready" in line:
                ports[line["pid"]] = line["port"]
            else:
                raise AssertionError(line["error"])
            if len(ports) == len(self.addresses) == len(self.pids):
                break
        for host, pid in self.pids.items():
            self.zygotes[host] = zygotes[pid]
            self.agents[host] = agent_of(host, self.addresses[host], ports[pid], keys)

    def processes(self, host):
        """Return all processes of a host: its agent, the zygote, and the groups of a trial."""
        return descendants([self.pids[host], self.zygotes[host]])

    def stub(self, host):
        """Return a stub for one agent, with a channel of its own for each host."""
        if host not in self.connections:
            agent = self.agents[host]
            self.connections[host] = Connection(agent, credentials_of(agent))
        return self.connections[host].stub


def configuration(host, address, keys):
    return {
        "host": host,
        "bind": address,
        "port": 0,
        "ca": str(keys / "ca.pem"),
        "cert": str(keys / "hosts" / f"{host}.pem"),
        "key": str(keys / "hosts" / f"{host}.key"),
        "lab": "kernel",
        "address": address,
    }


def agent_of(host, address, port, keys):
    return Agent(
        host=host,
        address=address,
        port=port,
        ca=keys / "ca.pem",
        cert=keys / "client.pem",
        key=keys / "client.key",
    )


def lines(stream, seconds):
    """Yield the JSON lines of a pipe until it ends; none for so long is an error."""
    last, rest = time.monotonic() + seconds, b""
    while True:
        if not select.select([stream], [], [], max(0.0, last - time.monotonic()))[0]:
            raise TimeoutError(f"no further line within {seconds} s")
        got = os.read(stream.fileno(), 65536)
        if not got:
            raise EOFError("the agents have ended")
        *whole, rest = (rest + got).split(b"\n")
        for line in whole:
            yield json.loads(line)


def descendants(pids):
    """Return processes and all that descend from them."""
    found, left = [], list(pids)
    while left:
        one = left.pop()
        found.append(one)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                left += [int(child) for child in children.read_text().split()]
    return found


def alive(pids):
    """Return those processes that run still; one that has ended and is not waited for does not."""
    found = []
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                found.append(pid)
    return found


def wait_until(condition, seconds=5.0):
    """Return whether a condition comes true in time."""
    last = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > last:
            return False
        time.sleep(0.01)
    return True


class Trial:
    """A trial driven call by call, as a coordinator does."""

    def __init__(self, lab, name="t", *, seconds=5.0, **options):
        self.lab, self.name, self.seconds, self.options = lab, name, seconds, options
        self.ends, self.peers, self.triggers = {}, {}, {}

    def prepare(self, host, *transfers, streams=(), **options):
        request = agent_pb2.PrepareRequest(
            trial=self.name, transfers=transfers, streams=streams, **(self.options | options)
        )
        reply = self.lab.stub(host).Prepare(request, timeout=10)
        self.ends[host] = reply.endpoints
        self.peers.update({(host, one.qp): one.peer for one in (*transfers, *streams)})
        self.triggers[host] = reply.trigger_address
        return reply

    def connect(self, host):
        senders = [end for ends in self.ends.values() for end in ends if self.peers[end.peer, end.qp] == host]
        request = agent_pb2.ConnectRequest(trial=self.name, senders=senders)
        return self.lab.stub(host).Connect(request, timeout=10)

    def join(self, host, *connected):
        ends = [end for reply in connected for end in reply.endpoints if end.peer == host]
        self.lab.stub(host).Join(agent_pb2.JoinRequest(trial=self.name, receivers=ends), timeout=10)

    def ready(self, sender, receiver):
        """Connect and join, where one host sends to one other."""
        self.join(sender, self.connect(receiver))

    def start(self, host, t0_ns=None, **request):
        """Call Run; T0 is in 0.5 s unless it is given."""
        t0_ns = t0_ns or time.time_ns() + 500_000_000
        timeout_ns = int(self.seconds * 1e9)
        run = agent_pb2.RunRequest(trial=self.name, t0_ns=t0_ns, timeout_ns=timeout_ns, participants=2, **request)
        return self.lab.stub(host).Run(run, timeout=30)

    def stop(self, *hosts):
        for host in hosts:
            self.lab.stub(host).Stop(agent_pb2.StopRequest(trial=self.name), timeout=5)


def transfer(peer, qp=0, size_bytes=1000, **fields):
    return agent_pb2.Transfer(peer=peer, qp=qp, size_bytes=size_bytes, priority=fields.pop("priority", 3), **fields)


def stream(peer, qp=0, size_bytes=1000, **fields):
    usual = {"depth": 1, "batch": 1, "duration_ns": 1_000_000_000, "priority": 3}
    return agent_pb2.Stream(peer=peer, qp=qp, size_bytes=size_bytes, **(usual | fields))


def main(folder, *hosts):
    """Fork an agent a host, and wait until all have ended."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from aibench_lib.worker import transports
    from aibench_lib.worker.agent import __main__ as agent

    if hosts[0] == FAKE:
        hosts = hosts[1:]
        transports._CLASSES["tcp"] = (FAKE, "Fake")
    transports.preload("tcp")
    agent.zygote.start = start_zygotes(agent.zygote.start)
    from aibench_lib.worker.agent import service  # noqa: F401 - imported once for all
    from aibench_lib.worker.agent.config import read_config

    gc.collect()
    gc.freeze()  # or each agent's first collection would copy all that they share
    parent = os.getpid()
    for host in hosts:
        config = read_config(Path(folder) / f"{host}.json")
        pid = os.fork()
        if pid == 0:
            die_with(parent)
            os._exit(agent.run(config))
        say(host=host, pid=pid)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def start_zygotes(start):
    """Fork a process that starts the zygotes: as small as they are on a host, where gRPC is imported after the fork.

    Returns what an agent calls instead of ``zygote.start``.  Its zygotes end with their agents, but are not their
    children.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    if os.fork() == 0:
        die_with(parent)
        ours.close()
        while True:
            message, descriptors, _, _ = socket.recv_fds(theirs, 4096, 2)
            if not message:
                os._exit(0)
            (token, names), (probe, answer) = pickle.loads(message), descriptors
            with socket.socket(fileno=probe) as probe_socket, socket.socket(fileno=answer) as answering:
                made = start(probe_socket, token, names)
                socket.send_fds(answering, [str(made.pid).encode()], [made._control.fileno()])
                made.close()
    theirs.close()

    def ask(probe, token, names):
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with mine, its:
            socket.send_fds(ours, [pickle.dumps((token, names))], [probe.fileno(), its.fileno()])
            pid, (control,), _, _ = socket.recv_fds(mine, 64, 1)
        say(agent=os.getpid(), zygote=int(pid))
        return Zygote(socket.socket(fileno=control), int(pid))

    return ask


def say(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def die_with(parent):
    """End when the parent does, whatever ends it."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
