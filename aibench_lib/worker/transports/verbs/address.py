"""What the two ends of a queue pair tell each other, as JSON; it travels over the agents' mutual TLS alone."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from aibench_lib.worker.transports.transport import TransportError

_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """One end of a queue pair."""

    gid: str
    number: int
    packet_number: int
    mtu: int
    """As ``ibv_mtu`` numbers it: 1 is 256 bytes, 5 is 4096."""
    reads: int
    """READs it takes at once."""
    chunk_bytes: int
    """Longest message it takes."""
    key: int = 0
    """Of the memory that the other end may use; 0: none."""
    address: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SendingEnd:
    """What a receiving host must know."""

    end: End
    operation: str
    rows: list[tuple[int, int]]
    """(bytes of a row, how many such rows follow each other); those of a loop are without end, and the last."""
    largest_bytes: int
    outstanding: int
    """Rows under way at most."""
    receives: int
    """Receives that one row takes at most."""
    echo: bool
    traffic_class: int
    priority: int
    pattern: str
    """Key of the payload's pattern; empty: it is not compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivingEnd:
    """What a sending host must know."""

    end: End
    receives: int
    """Posted for its rows at first; one more is there for its last word."""


def runs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return sizes in order as (size, how many)."""
    return [(size, len(list(equal))) for size, equal in groupby(sizes)]


def encode(end: SendingEnd | ReceivingEnd) -> bytes:
    """Return an end as bytes."""
    return json.dumps({"version": _VERSION, **dataclasses.asdict(end)}).encode()


def sending_end(data: bytes) -> SendingEnd:
    """Return the sending end that bytes say."""
    said = _decode(data)
    said["rows"] = [(size, count) for size, count in said["rows"]]
    return SendingEnd(**said)


def receiving_end(data: bytes) -> ReceivingEnd:
    """Return the receiving end that bytes say."""
    return ReceivingEnd(**_decode(data))


def _decode(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data)
        version = said.pop("version")
        said["end"] = End(**said["end"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TransportError(
            "the peer's queue pair is not one of verbs: do both hosts use the same transport?"
        ) from error
    if version != _VERSION:
        raise TransportError(
            f"the peer speaks version {version} of the verbs transport, this host {_VERSION}: redeploy"
        )
    return dict(said)
