"""Where a host's traffic agent is found, and the gRPC channel to it: the coordinator's door to grpc."""

from dataclasses import dataclass
from pathlib import Path

import grpc

from aibench_lib.errors import SpecError
from aibench_lib.worker.agent_pb2_grpc import AgentStub

_MESSAGE_LIMIT_BYTES = 64 << 20
"""A batch of samples may be larger than the 4 MB that gRPC allows by default."""
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", _MESSAGE_LIMIT_BYTES),
    ("grpc.use_local_subchannel_pool", 1),  # or a new channel inherits the back-off of the one before it
)
"""Of every channel to an agent."""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """The address of one host's agent, and the files that prove each side to the other (mutual TLS)."""

    host: str
    """Inventory name."""
    address: str
    port: int
    ca: Path
    """Certificate of the authority that signed both sides' certificates (PEM)."""
    cert: Path
    """The coordinator's certificate (PEM)."""
    key: Path
    """The coordinator's private key (PEM)."""


class Connection:
    """A channel to one agent; it connects with the first call."""

    def __init__(self, agent: Agent, credentials: grpc.ChannelCredentials) -> None:
        self._channel = grpc.secure_channel(f"{agent.address}:{agent.port}", credentials, CHANNEL_OPTIONS)
        self.stub = AgentStub(self._channel)

    def close(self) -> None:
        """End every call on the channel, and the channel."""
        self._channel.close()


def credentials_of(agent: Agent) -> grpc.ChannelCredentials:
    """Return the channel credentials made of the agent's three files.

    Raises:
        SpecError: A file cannot be read.
    """
    try:
        ca, key, cert = (path.read_bytes() for path in (agent.ca, agent.key, agent.cert))
    except OSError as error:
        raise SpecError(f"{error.filename}: cannot be read for the agent of {agent.host}: {error.strerror}") from error
    return grpc.ssl_channel_credentials(ca, key, cert)


def is_late(error: grpc.RpcError) -> bool:
    """Return whether a call was given up here, and not by an agent that has waited in vain for another one."""
    return bool(error.code() == grpc.StatusCode.DEADLINE_EXCEEDED and error.details() == "Deadline Exceeded")


def explain(agent: Agent, error: grpc.RpcError) -> str:
    """Return one line that says what an agent's failed call means, and what to do."""
    code, details = error.code(), " ".join((error.details() or "").split())
    where = f"{agent.address}:{agent.port}"
    if is_late(error):
        return f"the agent at {where} did not answer in time; see that it runs and is not overloaded"
    if code == grpc.StatusCode.UNAVAILABLE:
        return f"the agent at {where} does not answer ({details}); see that it runs and that its port can be reached"
    if code == grpc.StatusCode.UNAUTHENTICATED:
        return f"the agent at {where} refuses the coordinator's certificate {agent.cert} ({details})"
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return f"the agent at {where} does not know this call ({details}); install the same version there as here"
    return f"the agent at {where} failed: {details or code.name}"
