"""What a subscription list asks of a switch: paths become entries, modes and intervals are checked."""

import dataclasses
from collections.abc import Callable
from typing import Protocol

from pygnmi.spec.v080 import gnmi_pb2

from aibench_lib.model import Port
from aibench_lib.virtual_lab.gnmi.paths import Elements, from_proto, overlap, parse, schema, text, without_keys
from aibench_lib.virtual_lab.gnmi.subscription import (
    SHORTEST_INTERVAL_NS,
    Congestion,
    Encoder,
    OnChange,
    Sampled,
    Subscription,
)
from aibench_lib.virtual_lab.observed import Container, Entry, Subject, entries

_HIGHEST_INTERVAL_NS = 1 << 62


class RequestError(Exception):
    """What the switch answers to a request that it cannot serve."""


class Observed(Protocol):
    """A switch and what it shows of itself."""

    @property
    def name(self) -> str: ...  # noqa: D102 - the inventory name
    @property
    def interfaces(self) -> list[str]: ...  # noqa: D102 - in the order of the topology
    @property
    def containers(self) -> tuple[Container, ...]: ...  # noqa: D102 - see observed.Container


class Listing:
    """Every list entry that a switch shows, found by path.

    Args:
        target: The switch.
    """

    def __init__(self, target: Observed) -> None:
        self._known = [
            (
                container,
                {
                    entry.path: entry
                    for entry in entries(container, target.name, target.interfaces, tuple(container.leaves))
                },
            )
            for container in target.containers
        ]

    def find(self, path: Elements) -> list[Entry]:
        """Return the entries that a path stands for, with the leaves at or below it."""
        found: list[Entry] = []
        for container, known in self._known:
            shape = parse(container.path)
            here, below = path[: len(shape)], path[len(shape) :]
            if len(below) > 1 or not _is_of_shape(here, shape):
                continue
            leaves = tuple(leaf for leaf in container.leaves if overlap(below, ((leaf, ()),)))
            if leaves:
                # Most paths spell one entry out: comparing each of them with every entry would take seconds.
                chosen = [known[here]] if here in known else [one for one in known.values() if overlap(here, one.path)]
                found += [dataclasses.replace(entry, leaves=leaves) for entry in chosen]
        return found


def _is_of_shape(path: Elements, shape: Elements) -> bool:
    """Whether a path is that of a container, or above it.

    A shape in which elements stand for ports and queues is not asked for from above the last element that has a name:
    what is below a port there is another table of the switch's database.
    """
    open_names = [name.startswith("{") for name, _ in shape]
    if any(open_names) and len(path) < len(shape) - open_names[::-1].index(False):
        return False
    named = tuple(
        (here[0] if is_open else name, ()) for here, (name, _), is_open in zip(path, shape, open_names, strict=False)
    )
    return overlap(without_keys(path), named)


def plan(target: Observed, wanted: gnmi_pb2.SubscriptionList, is_up: Callable[[Port], bool]) -> Subscription:
    """Return what a subscription list asks for.

    Args:
        target: The switch.
        wanted: The gNMI ``SubscriptionList``.
        is_up: Whether a port's link is up.

    Raises:
        RequestError: A path that the switch does not have, a mode that the path does not have, or an interval that
            is no multiple of the shortest.
    """
    subscription = Subscription(aggregates=wanted.allow_aggregation)
    listing = Listing(target)
    once = wanted.mode == gnmi_pb2.SubscriptionList.ONCE
    for item in wanted.subscription:
        path = from_proto(wanted.prefix, item.path)
        found = listing.find(path)
        if not found and not listing.find(without_keys(path)):
            raise RequestError(f"Invalid path '{text(path)}': not in the schema of {target.name}")
        on_change = item.mode == gnmi_pb2.ON_CHANGE and not once
        if on_change and any(entry.container.subject is not Subject.OPERATION for entry in found):
            raise RequestError(f"'{schema(path)}': ON_CHANGE is supported for the operational state only; use SAMPLE")
        for entry in found:
            _add(subscription, target, entry, item, wanted.encoding, is_up)
    return subscription


def _add(
    subscription: Subscription,
    target: Observed,
    entry: Entry,
    item: gnmi_pb2.Subscription,
    encoding: int,
    is_up: Callable[[Port], bool],
) -> None:
    encoder = Encoder(entry, encoding, absolute=subscription.aggregates)
    if entry.container.subject is Subject.OPERATION:
        subscription.on_change.append(OnChange(entry, encoder, is_up))
        return
    interval_ns = item.sample_interval or SHORTEST_INTERVAL_NS
    if interval_ns % SHORTEST_INTERVAL_NS or interval_ns > _HIGHEST_INTERVAL_NS:
        raise RequestError(f"sample_interval {interval_ns} ns: must be a multiple of {SHORTEST_INTERVAL_NS} ns")
    if entry.container.subject is Subject.CONGESTION:
        subscription.congestion.append(Congestion(entry, encoder, interval_ns, tuple(target.interfaces)))
    else:
        subscription.sampled.append(
            Sampled(entry, encoder, interval_ns, item.suppress_redundant, item.heartbeat_interval)
        )
