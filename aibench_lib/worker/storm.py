"""Make a host's NIC send PAUSE for one priority without end, as a malfunctioning one does (Section 8.4).

Every storm has a duration, on the lab's clock, after which the agent ends it by itself: whatever becomes of the caller,
the NIC does not go on.
"""

from dataclasses import dataclass

import grpc

from aibench_lib.errors import LabError
from aibench_lib.worker import agent_pb2
from aibench_lib.worker.agents import Agent, Connection, credentials_of, explain

_ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class StormState:
    """What a NIC does in one priority."""

    active: bool
    until_ns: int
    """When the agent ends it [ns since the epoch, lab clock]; 0: it sends nothing."""
    now_ns: int
    """The same clock, now."""


def start(agent: Agent, priority: int, duration_ns: int) -> StormState:
    """Let a NIC begin.

    Args:
        agent: The host's.
        priority: For which PAUSE is sent, 0 to 7.
        duration_ns: After which the agent ends it by itself [ns of lab time].

    Raises:
        SpecError: A certificate cannot be read.
        LabError: The agent does not answer or refuses, for instance because the NIC does so already.
    """
    return _call(agent, "start", priority, duration_ns)


def stop(agent: Agent, priority: int) -> StormState:
    """Let a NIC fall silent; one that is silent is no error.

    Raises:
        SpecError: A certificate cannot be read.
        LabError: The agent does not answer or refuses.
    """
    return _call(agent, "stop", priority)


def status(agent: Agent, priority: int) -> StormState:
    """Ask what a NIC does; changes nothing.

    Raises:
        SpecError: A certificate cannot be read.
        LabError: The agent does not answer or refuses.
    """
    return _call(agent, "status", priority)


def _call(agent: Agent, act: str, priority: int, duration_ns: int = 0) -> StormState:
    request = agent_pb2.StormRequest(host=agent.host, act=act, priority=priority, duration_ns=duration_ns)
    connection = Connection(agent, credentials_of(agent))
    try:
        found = connection.stub.Storm(request, timeout=_ANSWER_SECONDS)
    except grpc.RpcError as error:
        raise LabError(agent.host, explain(agent, error)) from error
    finally:
        connection.close()
    return StormState(found.active, found.until_ns, found.now_ns)
