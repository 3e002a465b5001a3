"""The virtual lab itself: every server of every node, in one event loop."""

import asyncio
import functools
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import asyncssh
import grpc

from aibench_lib.errors import LabError
from aibench_lib.lab_process.state import StateDirectory
from aibench_lib.simulator import warm_up
from aibench_lib.units import GBPS, NS_PER_SECOND
from aibench_lib.virtual_lab import agents
from aibench_lib.virtual_lab.cli import ssh
from aibench_lib.virtual_lab.credentials import make_credentials
from aibench_lib.virtual_lab.faults import Faults
from aibench_lib.virtual_lab.gnmi.service import GnmiService, Target, serve_gnmi
from aibench_lib.virtual_lab.gnmi.subscription import Subscription, demand
from aibench_lib.virtual_lab.history import History
from aibench_lib.virtual_lab.inventory import LabSpec, addresses
from aibench_lib.virtual_lab.nos import PLATFORMS, SimulatedSwitch, make_switches
from aibench_lib.virtual_lab.physical import wire
from aibench_lib.virtual_lab.rendezvous import Rendezvous
from aibench_lib.virtual_lab.trial import Outcome, Trial
from aibench_lib.virtual_lab.world import World
from aibench_lib.virtual_lab.writes import Writes

_STOP_GRACE_SECONDS = 0.5
_HAND_ON_SECONDS = 60.0
"""Longer than the patience with a slow listener: it is over only where the lab goes down meanwhile."""


class Lab:
    """All nodes of one fabric; its coroutines must run in one event loop.

    Args:
        spec: The fabric.
        network: First two octets of the loopback network to answer on.
        directory: Where the files go that clients need.
        start_ns: The wall clock, at whose last whole second lab time begins [ns since the epoch].
        patience_seconds: How long an agent waits for the others of a trial [s of wall time].
    """

    def __init__(
        self, spec: LabSpec, network: str, directory: StateDirectory, *, start_ns: int, patience_seconds: float = 30.0
    ) -> None:
        self.addresses = addresses(spec.topology, network)
        self.writes = Writes(self._written)
        self.switches = make_switches(spec.topology, spec.platforms, self.writes)
        self.faults = {name: Faults() for name in self.switches}
        # On a whole second, so that trials meet the sampling grid alike at every start: same seed, same values.
        self.world = World(spec.topology, spec.parameters, self.switches, start_ns - start_ns % NS_PER_SECOND)
        wire(self.switches.values(), spec.topology, self.world.is_up, lambda: self.world.now_ns)
        self._clock_id = f"lab {secrets.token_hex(8)}"
        self._topology = spec.topology
        self._platforms = spec.platforms
        self._directory = directory
        self._rendezvous = Rendezvous(lambda: self.world.now_ns, self._simulate, patience_seconds)
        self._subscriptions: list[Subscription] = []
        self._trial_runs = asyncio.Lock()
        self._agents: dict[str, grpc.aio.Server] = {}
        self._servers = AsyncExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_simulating(self) -> bool:
        """Whether a trial is under way."""
        return self._trial_runs.locked()

    async def start(self) -> None:
        """Bring up every server and write the files that clients need.

        Raises:
            LabError: An address is in use.
        """
        self._loop = asyncio.get_running_loop()
        credentials = make_credentials(list(self.addresses), list(self.addresses.values()))
        server_pair = [(credentials.server_key, credentials.server_certificate)]
        tls = grpc.ssl_server_credentials(server_pair)
        mutual_tls = grpc.ssl_server_credentials(server_pair, credentials.ca, require_client_auth=True)
        host_keys = {name: asyncssh.generate_private_key("ecdsa-sha2-nistp256") for name in self.switches}
        try:
            for name, key in host_keys.items():
                converse = self._conversation(name)
                if converse is None:
                    continue
                server = await ssh.serve_ssh(
                    converse, self.addresses[name], key, credentials.password, faults=self.faults[name]
                )
                self._servers.push_async_callback(server.stop)
            for name in self.switches:
                await self._start_gnmi(name, credentials.password, tls)
            for host in self._topology.hosts:
                await self._start_agent(host, mutual_tls)
        except OSError as error:
            await self.stop()
            raise LabError(
                "virtual lab",
                f"an address of this lab is in use ({error}); another lab may be up: take it down, or choose another "
                "network with -e lab_network=127.82 or --network 127.82",
            ) from error
        known_hosts = "".join(ssh.known_hosts_line(self.addresses[name], key) for name, key in host_keys.items())
        for file, content in (
            ("ca.pem", credentials.ca),
            ("client.pem", credentials.client_certificate),
            ("client.key", credentials.client_key),
            ("password", credentials.password.encode()),
            ("known_hosts", known_hosts.encode()),
        ):
            self._directory.write(file, content)

    async def stop(self) -> None:
        """Close every server and remove the secrets."""
        await self._rendezvous.stop("")
        await self._servers.aclose()
        self._directory.remove_leftovers()

    async def stop_agent(self, host: str) -> None:
        """End one host's agent, as if its process had died."""
        await self._agents.pop(host).stop(None)

    def _conversation(self, name: str) -> Callable[[], ssh.Conversation] | None:
        converse = PLATFORMS[self._platforms[name]].converse
        return functools.partial(converse, self.switches[name]) if converse else None

    async def _start_gnmi(self, name: str, password: str, tls: grpc.ServerCredentials) -> None:
        switch = self.switches[name]
        interfaces = list(switch.neighbours)
        nos = PLATFORMS[self._platforms[name]]
        configuration = nos.configuration(switch) if nos.configuration else None
        target = Target(
            name,
            interfaces,
            nos.containers,
            configuration,
            nos.models,
            functools.partial(self.writes.add, name),
            self.faults[name],
        )
        service = GnmiService(target, self.world, password, self._attach, self._detach)
        server = await serve_gnmi(service, self.addresses[name], nos.gnmi_port, tls)
        self._servers.push_async_callback(server.stop, _STOP_GRACE_SECONDS)

    async def _start_agent(self, host: str, tls: grpc.ServerCredentials) -> None:
        service = agents.AgentService(
            host,
            frozenset(self._topology.hosts),
            self._rendezvous,
            now_ns=lambda: self.world.now_ns,
            counters=self.world.nic_counters,
            nic=f"simulated {self.world.nic_bps(host) / GBPS:g} Gb/s",
            storms=self.world.storms,
            moment_ns=lambda: self.world.moment_ns,
            clock_id=self._clock_id,
        )
        server = await agents.serve_agent(service, self.addresses[host], tls)
        self._agents[host] = server
        self._servers.push_async_callback(server.stop, None)

    async def _attach(self, subscription: Subscription) -> None:
        async with self._trial_runs:
            self._subscriptions.append(subscription)

    def _detach(self, subscription: Subscription) -> None:
        self._subscriptions.remove(subscription)

    async def _simulate(self, trial: Trial, stopped: Callable[[], bool]) -> Outcome:
        """Run one trial in a thread of its own, so that the servers answer meanwhile."""
        async with self._trial_runs:
            listeners = list(self._subscriptions)
            return await asyncio.to_thread(self._run, trial, listeners, stopped)

    def _run(self, trial: Trial, listeners: list[Subscription], stopped: Callable[[], bool]) -> Outcome:
        loop = self._loop
        assert loop is not None, "agents call after the start"

        def tell(part: History) -> None:
            batches = [subscription.of_trial(part) for subscription in listeners]
            asyncio.run_coroutine_threadsafe(_hand_on(listeners, batches), loop).result(_HAND_ON_SECONDS)

        priorities = frozenset(one.priority for one in trial.sent)
        return self.world.run(trial, demand(listeners, priorities), tell, stopped)

    def _written(self) -> None:
        """Tell listeners what a write has changed, once it has taken effect."""
        if self._loop is not None:
            self._loop.call_soon(self._tell_changes)

    def _tell_changes(self) -> None:
        for subscription in self._subscriptions:
            batch = subscription.changes(self.world.now_ns)
            if batch:
                subscription.outbox.put_now(batch)


async def _hand_on(listeners: Sequence[Subscription], batches: Sequence[list[bytes]]) -> None:
    """Give every listener its messages; one that is slow holds up the trial, not for ever."""
    await asyncio.gather(*(listener.outbox.put(batch) for listener, batch in zip(listeners, batches, strict=True)))


class VirtualLab:
    """A lab in a thread of this process: for tests, and wherever no daemon is wanted.

    Args:
        spec: The fabric.
        network: First two octets of the loopback network to answer on.
        state_dir: Where the files go that clients need.
        patience_seconds: How long an agent waits for the others of a trial [s of wall time].
    """

    def __init__(self, spec: LabSpec, network: str, state_dir: Path, *, patience_seconds: float = 30.0) -> None:
        self._directory = StateDirectory(state_dir)
        self._directory.make()
        self._lab = Lab(spec, network, self._directory, start_ns=time.time_ns(), patience_seconds=patience_seconds)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="virtual lab", daemon=True)

    @property
    def addresses(self) -> dict[str, str]:
        """Every node's address."""
        return self._lab.addresses

    @property
    def is_simulating(self) -> bool:
        """Whether a trial is under way."""
        return self._lab.is_simulating

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Pairs of switch and what a client has written or tried to write, in order."""
        return self._lab.writes.all()

    @property
    def switches(self) -> Mapping[str, SimulatedSwitch]:
        """The switches, as they are behind their wires."""
        return self._lab.switches

    @property
    def faults(self) -> Mapping[str, Faults]:
        """What the switches do wrong."""
        return self._lab.faults

    @property
    def now_ns(self) -> int:
        """Lab time [ns since the epoch]."""
        return self._lab.world.now_ns

    def start(self, say: Callable[[str], None] = lambda text: None) -> None:
        """Bring up every server.

        Args:
            say: Told what takes long.

        Raises:
            LabError: An address is in use.
        """
        warm_up(say)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._lab.start(), self._loop).result()

    def stop_agent(self, host: str) -> None:
        """End one host's agent, as if its process had died."""
        asyncio.run_coroutine_threadsafe(self._lab.stop_agent(host), self._loop).result()

    def stop(self) -> None:
        """Close every server and remove the secrets."""
        asyncio.run_coroutine_threadsafe(self._lab.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
