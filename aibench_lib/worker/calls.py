"""Calls to many agents at the same time, and one line about all that failed."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

import grpc

from aibench_lib.errors import LabError, SpecError
from aibench_lib.worker.agent_pb2_grpc import AgentStub
from aibench_lib.worker.agents import CHANNEL_OPTIONS, Agent, credentials_of, explain

_MORE_FAILURES_SECONDS = 0.3
"""After a call's first failure the others have so long to fail, too: a rack without power is one message."""
_NAMED_HOSTS = 3


class Calls:
    """A channel to each agent that is needed, all of them on one event loop that runs while a call does.

    One loop for all costs less than half the CPU of a thread a channel, which is what counts with hundreds of agents.

    Args:
        agents: Where the agents are; a host appears once.

    Raises:
        SpecError: A host has two agents.
    """

    def __init__(self, agents: Iterable[Agent]) -> None:
        self.agents: dict[str, Agent] = {}
        for agent in agents:
            if agent.host in self.agents:
                raise SpecError(f"{agent.host}: two agents have this host name")
            self.agents[agent.host] = agent
        self._credentials: dict[tuple[Path, Path, Path], grpc.ChannelCredentials] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._stubs: dict[str, AgentStub] = {}
        self._runner: asyncio.Runner | None = None

    def ask(self, method: str, requests: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Call one unary method on many agents.

        Args:
            method: Its name in the service.
            requests: Host -> what to ask it.
            seconds: How long an agent may take to connect and to answer.

        Returns:
            Host -> reply, in the order asked.

        Raises:
            SpecError: A host has no agent, or a certificate cannot be read.
            LabError: An agent does not answer or refuses.
        """
        stubs = {host: self._stub(host) for host in requests}

        async def one(host: str) -> Any:  # noqa: ANN401 - the reply's type is the method's
            return await getattr(stubs[host], method)(requests[host], timeout=seconds)

        replies, failures = self._run(_all({host: one(host) for host in requests}))
        if failures:
            raise self.failure(failures, len(requests))
        return {host: replies[host] for host in requests}

    def try_each(self, method: str, requests: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Call one unary method on many agents, and leave out those that do not answer or do not know it.

        Raises:
            SpecError: A host has no agent, or a certificate cannot be read.
        """
        stubs = {host: self._stub(host) for host in requests}

        async def one(host: str) -> Any:  # noqa: ANN401 - the reply's type is the method's
            try:
                return await getattr(stubs[host], method)(requests[host], timeout=seconds)
            except grpc.RpcError:
                return None

        replies, _ = self._run(_all({host: one(host) for host in requests}))
        return {host: reply for host, reply in replies.items() if reply is not None}

    def read(
        self, method: str, requests: Mapping[str, Any], take: Callable[[str, Any], None], seconds: float
    ) -> dict[str, grpc.RpcError]:
        """Call one method that answers with a stream on many agents, and read all streams as they come.

        As soon as one fails, the calls to all others are cancelled.

        Args:
            method: Its name in the service.
            requests: Host -> what to ask it.
            take: Called with host and message, in the order of each host's messages.
            seconds: How long the whole may take.

        Returns:
            Host -> why its call failed, the first failure first; empty: all streams have ended well.

        Raises:
            SpecError: A host has no agent, or a certificate cannot be read.
        """
        stubs = {host: self._stub(host) for host in requests}

        async def one(host: str) -> bool:
            async for message in getattr(stubs[host], method)(requests[host], timeout=seconds):
                take(host, message)
            return True

        _, failures = self._run(_all({host: one(host) for host in requests}))
        return dict(failures)

    def tell(self, method: str, requests: Mapping[str, Any], seconds: float) -> list[str]:
        """Call one unary method on those agents that have a channel; hang up on those that do not answer.

        Returns:
            Those.
        """
        asked = {host: request for host, request in requests.items() if host in self._stubs}
        answered = self.try_each(method, asked, seconds)
        silent = [host for host in asked if host not in answered]
        for host in silent:
            self.hang_up(host)
        return silent

    def hang_up(self, host: str) -> None:
        """Close the channel to one agent; the next call to it connects anew."""
        self._stubs.pop(host, None)
        channel = self._channels.pop(host, None)
        if channel is not None:
            self._run(channel.close())

    def close(self) -> None:
        """Close every channel; the next call opens those it needs."""
        if self._runner is not None:
            channels, self._channels, self._stubs = list(self._channels.values()), {}, {}
            self._run(_close(channels))
            self._runner.close()
            self._runner = None

    def failure(self, failures: Mapping[str, grpc.RpcError], asked: int) -> LabError:
        """Return the error that says which agents failed, why the first of them did, and what to do."""
        first = next(iter(failures))
        line = explain(self.agents[first], failures[first])
        if len(failures) > 1:
            line += f" ({len(failures)} of {asked} agents failed: {named(failures)})"
        return LabError(first, line)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - what the work returns
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(work)

    def _stub(self, host: str) -> AgentStub:
        if host not in self._stubs:
            if host not in self.agents:
                raise SpecError(f"{host}: no agent is known for this host; known: {', '.join(self.agents)}")
            agent = self.agents[host]
            files = (agent.ca, agent.cert, agent.key)
            if files not in self._credentials:
                self._credentials[files] = credentials_of(agent)
            self._channels[host] = self._run(self._open(agent, self._credentials[files]))
            self._stubs[host] = AgentStub(self._channels[host])
        return self._stubs[host]

    async def _open(self, agent: Agent, credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(f"{agent.address}:{agent.port}", credentials, CHANNEL_OPTIONS)


def named(hosts: Iterable[str]) -> str:
    """Return the first few of many hosts, and how many more there are."""
    names = list(hosts)
    more = len(names) - _NAMED_HOSTS
    return ", ".join(names[:_NAMED_HOSTS]) + (f" and {more} more" if more > 0 else "")


async def _all(work: Mapping[str, Coroutine[Any, Any, Any]]) -> tuple[dict[str, Any], dict[str, grpc.RpcError]]:
    """Do all at once; after the first failure wait a moment for others, then give up the rest.

    Returns:
        Host -> result of what was done, and host -> error of what failed, the first first.

    Raises:
        AibenchError: Whatever else than a call failed.
    """
    order: list[str] = []
    tasks = {host: asyncio.ensure_future(one) for host, one in work.items()}
    for host, task in tasks.items():
        task.add_done_callback(functools.partial(_note, order, host))
    try:
        if tasks:
            _, pending = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
            if pending:
                await asyncio.wait(pending, timeout=_MORE_FAILURES_SECONDS)
    finally:
        unfinished = [task for task in tasks.values() if not task.done()]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
    replies, failures = {}, {}
    for host in order:
        if tasks[host].cancelled():
            continue
        error = tasks[host].exception()
        if isinstance(error, grpc.RpcError):
            failures[host] = error
        elif error is not None:
            raise error
        else:
            replies[host] = tasks[host].result()
    return replies, failures


def _note(order: list[str], host: str, _: asyncio.Future[Any]) -> None:
    order.append(host)


async def _close(channels: Iterable[grpc.aio.Channel]) -> None:
    await asyncio.gather(*(channel.close() for channel in channels))
