"""What the collector subscribes to: queues and PFC of the observed ports finely, the rest of the fabric coarsely."""

import re
from collections.abc import Iterator, Sequence

from aibench_lib.model import Port
from aibench_lib.platforms import Gnmi, TelemetryPath, load_platform
from aibench_lib.procedures.procedure import LOSSLESS_PRIORITY
from aibench_lib.run.lab import Lab
from aibench_lib.run.plan import Profile
from aibench_lib.switch.target import Target
from aibench_lib.telemetry.measurements import TAGS
from aibench_lib.telemetry.polled import poll_command
from aibench_lib.telemetry.subscription import Subscription

_COARSE = 100
"""Unless the profile says otherwise, what is not observed is sampled this many times less often."""
_HEARTBEAT = 10
"""A leaf that does not change is repeated after this many samples."""
_KEY = re.compile(r"([\w-]+)\[([\w-]+)=\{(\w+)\}\]")
_PORT_ELEMENT = re.compile(r"/\{interface\}(/|$)|=\{interface\}[^\]]")
"""Where a port is an element of the path, or but a part of a key, there is no path for all of them."""


def subscriptions(lab: Lab, watched: Sequence[Port], profile: Profile) -> list[Subscription]:
    """Return the subscriptions of a run.

    Args:
        lab: Every switch of it is subscribed to.
        watched: Ports whose queue and PFC the trials observe, sampled every ``telemetry_interval_ns``.
        profile: Holds the intervals.
    """
    coarse_ns = profile.fabric_interval_ns or _COARSE * profile.telemetry_interval_ns
    found: list[Subscription] = []
    for target in lab.switches.values():
        found += _polled(lab, target, profile.telemetry_interval_ns)
        fine = [port.interface for port in watched if port.node == target.host]
        for entry in load_platform(target.platform).telemetry:
            if entry.measurement in ("queue", "pfc"):
                others = _interfaces(lab, target.host) - set(fine) if entry.measurement == "pfc" else set()
                coarse = sorted(others) if fine else _all(lab, target.host, entry)
                found += _of_ports(target, entry, fine, coarse, profile.telemetry_interval_ns, coarse_ns)
            else:
                found += [
                    _subscription(target, entry, interface, coarse_ns) for interface in _all(lab, target.host, entry)
                ]
    return found


def _polled(lab: Lab, target: Target, interval_ns: int) -> Iterator[Subscription]:
    """Yield what is read of a switch that is polled: all of its ports in one document, as often as the finest."""
    platform = load_platform(target.platform)
    for command, sample in ((one.command, sample) for one in platform.polled for sample in one.samples):
        assert platform.cli is not None, "load_platform refuses polled platforms without a command line"
        tags = TAGS[sample.measurement]
        ports = {sample.interface: sorted(_interfaces(lab, target.host))} if sample.interface else {}
        yield Subscription(
            host=target.host,
            address=target.address,
            port=target.port or platform.cli.port,
            username=target.username,
            password=target.password,
            key_file=target.key_file,
            known_hosts=target.known_hosts,
            path=sample.list,
            command=poll_command(command, interval_ns),
            where={**sample.where, **ports},
            mode="sample",
            interval_ns=interval_ns,
            measurement=sample.measurement,
            tags={"interface": sample.interface} if sample.interface else {},
            fixed={tag: str(target.options[tag]) for tag in tags if tag in target.options},
            leaves=sample.leaves,
            true_when=sample.true_when,
            scale=sample.scale,
        )


def _interfaces(lab: Lab, switch: str) -> set[str]:
    return {port.interface for link in lab.topology.links for port in (link.a, link.b) if port.node == switch}


def _all(lab: Lab, switch: str, entry: TelemetryPath) -> list[str]:
    """Return what stands for every interface of a switch in a path."""
    return sorted(_interfaces(lab, switch)) if _PORT_ELEMENT.search(entry.path) else ["*"]


def _of_ports(
    target: Target, entry: TelemetryPath, fine: Sequence[str], others: Sequence[str], fine_ns: int, coarse_ns: int
) -> Iterator[Subscription]:
    """Yield the subscriptions of what ports have."""
    if "{interface}" not in entry.path:  # records of congestion, which name their port themselves
        yield _subscription(target, entry, "*", fine_ns if fine else coarse_ns)
        return
    for interface in fine:
        yield _subscription(target, entry, interface, fine_ns)
    for interface in others:
        yield _subscription(target, entry, interface, coarse_ns)


def _subscription(target: Target, entry: TelemetryPath, interface: str, interval_ns: int) -> Subscription:
    gnmi = load_platform(target.platform).gnmi
    sampled = entry.mode == "sample"
    tags = TAGS[entry.measurement]
    keys = {tag: f"{element}/{key}" for element, key, tag in _KEY.findall(entry.path) if tag in tags}
    leaves = {tag: leaf for leaf, tag in entry.tag_leaves.items()}
    names = {"priority": str(LOSSLESS_PRIORITY), **target.options, "interface": interface}
    sources = keys | leaves
    fixed = {tag: str(names[tag]) for tag in tags if tag in names and tag not in sources}
    names["interface"] = _in_gnmi(interface, gnmi)
    return Subscription(
        host=target.host,
        address=target.address,
        port=target.gnmi_port or gnmi.port,
        username=target.username,
        password=target.password,
        ca=target.ca,
        encoding=gnmi.encoding,
        path=entry.path.format(**names),
        origin=entry.origin,
        target=entry.target,
        mode=entry.mode,
        interval_ns=interval_ns if sampled else 0,
        heartbeat_ns=_HEARTBEAT * interval_ns if sampled else 0,
        suppress_redundant=sampled,
        measurement=entry.measurement,
        tags=sources,
        fixed=fixed,
        leaves={leaf.format(**names): name for leaf, name in entry.leaves.items()},
        true_when=entry.true_when,
        scale=entry.scale,
        prefixes={theirs: ours for ours, theirs in gnmi.prefixes.items()},
    )


def _in_gnmi(interface: str, gnmi: Gnmi) -> str:
    for ours, theirs in gnmi.prefixes.items():
        if interface.startswith(ours):
            return theirs + interface.removeprefix(ours)
    return interface
