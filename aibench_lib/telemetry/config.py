"""What a collector is told: its subscriptions, and the database that gets a copy."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from aibench_lib.errors import SpecError
from aibench_lib.telemetry.subscription import Subscription


@dataclass(frozen=True, kw_only=True)
class Influx:
    """Where the database is, and what opens it."""

    url: str
    token: str = field(repr=False)
    organisation: str
    bucket: str
    timeout_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise SpecError(f"influxdb_url: {self.url!r} is not an http:// or https:// address")


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a collector collects."""

    subscriptions: Sequence[Subscription]
    influx: Influx | None = None
