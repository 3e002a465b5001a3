"""The kernel lab itself: nodes, the cables between them, and when all of it works."""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from aibench_lib.errors import LabError
from aibench_lib.kernel_lab import fabric
from aibench_lib.kernel_lab.inventory import LabSpec
from aibench_lib.kernel_lab.keys import make_key
from aibench_lib.kernel_lab.machine import HOST, check_machine, check_network, disciplines, run
from aibench_lib.kernel_lab.node import Node
from aibench_lib.lab_process.state import NODES, StateDirectory

DISCIPLINES = "disciplines"
"""File in the state folder: the queueing disciplines that the kernel has, of those that not every one has."""
_START_SECONDS = 60.0
"""For servers to answer and for routes to be everywhere; a loaded machine takes its time."""
_PAUSE_SECONDS = 0.05
_FREE_SECONDS = 3.0
_GONE_SECONDS = 10.0
_WATCH_SECONDS = 1.0
MANAGEMENT = "mgmt"
"""Interface of every node that leads to this machine."""
_INTERFACES = Path("/sys/class/net")


class Lab:
    """Every node of a fabric.

    All of it hangs on this process: nothing has a name outside, and what ends this process, even a SIGKILL, ends the
    nodes, with whose namespaces the kernel removes their interfaces and queues.

    Args:
        spec: What is built.
        network: First two octets of the network for management.
        directory: Where clients find the keys.
        say: Told what takes long.
    """

    def __init__(self, spec: LabSpec, network: str, directory: StateDirectory, say: Callable[[str], None]) -> None:
        self._spec, self._network, self._directory, self._say = spec, network, directory, say
        self._management = fabric.management(spec.topology, network)
        self._nodes = {
            name: Node(name, directory.path / NODES / name, address, name in spec.topology.switches)
            for name, (address, _) in self._management.items()
        }
        self._expected = {name: fabric.expected_routes(spec.topology, name) for name in spec.topology.switches}
        self._cables: list[str] = []
        """Ends of the cables for management on this machine."""
        self._ending = False

    async def start(self) -> None:
        """Build the lab; return when every route is everywhere and every SSH server answers.

        Raises:
            LabError: The machine lacks something, the network is in use, or a node does not start.
        """
        check_machine()
        await self._wait_until_free()
        topology = self._spec.topology
        self._say(f"kernel lab: {len(topology.switches)} switches and {len(topology.hosts)} hosts start")
        self._write_files()
        for node in self._nodes.values():
            node.start()
        self._directory.write(DISCIPLINES, "".join(f"{name}\n" for name in disciplines()).encode())
        for node in self._nodes.values():
            node.wait_until_made(_START_SECONDS)
        self._join()
        for node in self._nodes.values():
            node.go()
        self._say("kernel lab: waiting for SSH servers and routes")
        until = time.monotonic() + _START_SECONDS
        while late := next(self._late(), ""):
            if time.monotonic() > until:
                raise LabError(HOST, f"{late} after {_START_SECONDS:g} s; see {self._directory.path / NODES}")
            await asyncio.sleep(_PAUSE_SECONDS)
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """End every node; return when nothing of them is left."""
        self._ending = True
        for node in self._nodes.values():
            node.kill()
        for node in self._nodes.values():
            node.wait_until_gone(_GONE_SECONDS)
        until = time.monotonic() + _GONE_SECONDS
        while self._cables_left() and time.monotonic() < until:
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _wait_until_free(self) -> None:
        """Wait for a lab that has just been killed: the kernel takes a moment to remove it."""
        until = time.monotonic() + _FREE_SECONDS
        while True:
            try:
                check_network(self._network)
            except LabError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    def _write_files(self) -> None:
        """Write what nodes and clients read: a login key, host keys, configurations."""
        topology, links = self._spec.topology, self._spec.links
        login, login_public = make_key()
        known = []
        for name, node in self._nodes.items():
            key, public = make_key()
            known.append(f"{node.address} {public}")
            files = {
                "host_key": key,
                "authorized_keys": login_public,
                "addresses": fabric.addresses_batch(topology, links, name)
                + f"address add {node.address}/31 dev {MANAGEMENT}\nlink set {MANAGEMENT} up\n",
                "limits": fabric.limits_batch(topology, links, name),
            }
            node.write({**files, "frr.conf": fabric.routing(topology, name)} if node.is_switch else files)
        self._directory.write("key", login.encode())
        self._directory.write("known_hosts", "".join(known).encode())

    def _join(self) -> None:
        """Lay the cables: between the nodes, and from each node to this machine."""
        topology = self._spec.topology
        pids = {name: node.pid for name, node in self._nodes.items()}
        first, second = self._network.split(".")
        lines = []
        for number, (name, (address, ours)) in enumerate(self._management.items()):
            cable = f"aib{int(first):02x}{int(second):02x}-{number}"
            self._cables.append(cable)
            lines += [
                f"link add name {cable} type veth peer name {MANAGEMENT} netns {pids[name]}",
                f"address add {ours} peer {address}/32 dev {cable}",
                f"link set {cable} up",
            ]
        run("ip", "-batch", "-", told="\n".join(lines) + "\n" + fabric.links_batch(topology, self._spec.links, pids))

    def _cables_left(self) -> bool:
        return any((_INTERFACES / cable).exists() for cable in self._cables)

    def _late(self) -> Iterator[str]:
        """Yield what is not there yet.

        Raises:
            LabError: A node has ended.
        """
        for node in self._nodes.values():
            if not node.is_running():
                raise LabError(HOST, f"{node.name} ended while it started: {node.last_words()}")
            if not _answers(node.address):
                yield f"{node.name} has no SSH server at {node.address}"
        for switch in self._spec.topology.switches:
            found = self._routes(switch)
            for address, ways in self._expected[switch].items():
                if found.get(address, 0) < ways:
                    yield f"{switch} has {found.get(address, 0)} of {ways} ways to {address}"

    def _routes(self, switch: str) -> dict[str, int]:
        """Return the destinations that BGP has given a switch's kernel -> over how many links."""
        shown = run(
            "nsenter",
            f"--net=/proc/{self._nodes[switch].pid}/ns/net",
            "ip",
            "-j",
            "-4",
            "route",
            "show",
            "proto",
            "bgp",
        )
        return {entry["dst"]: len(entry.get("nexthops", (entry,))) for entry in json.loads(shown or "[]")}

    async def _watch(self) -> None:
        """Say in the log which node has ended, which others then see as a host or switch that is down."""
        running = dict(self._nodes)
        while running and not self._ending:
            for name in [name for name, node in running.items() if not node.is_running()]:
                sys.stderr.write(f"{name} has ended: {running.pop(name).last_words()}\n")
                sys.stderr.flush()
            await asyncio.sleep(_WATCH_SECONDS)


def _answers(address: str) -> bool:
    """Whether an SSH server says who it is."""
    try:
        with socket.create_connection((address, 22), timeout=0.2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
