"""Build the fabrics that are declared by their shape."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aibench_lib.errors import SpecError
from aibench_lib.model import Link, Port, Topology
from aibench_lib.spec import build
from aibench_lib.topology.shapes import RailOptimised, Shape, SingleSwitch, ThreeTierClos, TwoTierClos, rate_above


def build_fabric(values: object, link_bps: int, where: str) -> Topology:
    """Return the fabric that the key ``fabric`` declares.

    Draft: Section 3.1.

    Args:
        values: The key's content.
        link_bps: Line rate of a host's link [bit/s].
        where: Opens every message.

    Raises:
        SpecError: An unknown kind or key, or numbers that do not fit each other.
    """
    kind = str(values.get("kind")) if isinstance(values, Mapping) else ""
    if kind not in _KINDS:
        raise SpecError(f"{where}.kind: {kind!r} is not one of {', '.join(_KINDS)}")
    shape, builder = _KINDS[kind]
    spec = build(shape, values, where)
    spec.names(f"{where}.interfaces")
    try:
        return builder(spec, link_bps)
    except ValueError as error:
        raise SpecError(f"{where}: {error}") from error


def single_switch(spec: SingleSwitch, link_bps: int) -> Topology:
    """Return one switch, ``leaf1``, with all hosts."""
    if spec.decode_hosts > spec.hosts:
        raise ValueError(f"decode_hosts is {spec.decode_hosts}, must be at most hosts")
    hosts = _names(spec.hosts, [number >= spec.hosts - spec.decode_hosts for number in range(spec.hosts)])
    return Topology(tuple(hosts), ("leaf1",), tuple(_attach(spec, ["leaf1"], [hosts], link_bps)))


def two_tier_clos(spec: TwoTierClos, link_bps: int) -> Topology:
    """Return ``leaf1``, ... and ``spine1``, ..., every leaf linked to every spine.

    Draft: Section 3.1.1.
    """
    below = (spec.hosts_per_leaf, link_bps)
    keys = ("uplink_bps", spec.uplink_bps, "oversubscription", spec.oversubscription)
    rate = rate_above(*keys, below=below, links=spec.spines)
    leaves, spines = _numbered("leaf", spec.leaves), _numbered("spine", spec.spines)
    groups = _groups(spec, spec.leaves, spec.hosts_per_leaf, "hosts_per_leaf")
    ports = spec.names()
    links = _attach(spec, leaves, groups, link_bps)
    links += _mesh(leaves, spines, (ports.leaf, spec.hosts_per_leaf), ports.spine, rate)
    return Topology(_all(groups), (*leaves, *spines), tuple(links))


def three_tier_clos(spec: ThreeTierClos, link_bps: int) -> Topology:
    """Return ``pod1-leaf1``, ..., ``pod1-spine1``, ... and ``superspine1``, ...

    Draft: Section 3.1.2.
    """
    below = (spec.hosts_per_leaf, link_bps)
    keys = ("uplink_bps", spec.uplink_bps, "oversubscription", spec.oversubscription)
    rate = rate_above(*keys, below=below, links=spec.spines_per_pod)
    plane = spec.superspines // spec.spines_per_pod
    above = ("superspine_bps", spec.superspine_bps, "superspine_oversubscription", spec.superspine_oversubscription)
    core_rate = rate_above(*above, below=(spec.leaves_per_pod, rate), links=plane)
    pods = _numbered("pod", spec.pods)
    leaves = [_numbered(f"{pod}-leaf", spec.leaves_per_pod) for pod in pods]
    spines = [_numbered(f"{pod}-spine", spec.spines_per_pod) for pod in pods]
    superspines = _numbered("superspine", spec.superspines)
    groups = _groups(spec, spec.pods * spec.leaves_per_pod, spec.hosts_per_leaf, "hosts_per_leaf")
    ports = spec.names()
    links = _attach(spec, _all(leaves), groups, link_bps)
    for pod_leaves, pod_spines in zip(leaves, spines, strict=True):
        links += _mesh(pod_leaves, pod_spines, (ports.leaf, spec.hosts_per_leaf), ports.spine, rate)
    for number in range(spec.spines_per_pod):
        lower = [pod_spines[number] for pod_spines in spines]
        upper = superspines[number * plane : (number + 1) * plane]
        links += _mesh(lower, upper, (ports.spine, spec.leaves_per_pod), ports.superspine, core_rate)
    return Topology(_all(groups), (*_all(leaves), *_all(spines), *superspines), tuple(links))


def rail_optimised(spec: RailOptimised, link_bps: int) -> Topology:
    """Return ``seg1-rail1``, ... and ``spine1``, ..., and hosts with a NIC on every rail of their segment.

    Draft: Section 3.1.
    """
    below = (spec.hosts_per_segment, link_bps)
    keys = ("uplink_bps", spec.uplink_bps, "oversubscription", spec.oversubscription)
    rate = rate_above(*keys, below=below, links=spec.spines)
    leaves = [_numbered(f"{segment}-rail", spec.rails) for segment in _numbered("seg", spec.segments)]
    spines = _numbered("spine", spec.spines)
    groups = _groups(spec, spec.segments, spec.hosts_per_segment, "hosts_per_segment")
    ports = spec.names()
    links: list[Link] = []
    for rail in range(spec.rails):
        links += _attach(spec, [segment[rail] for segment in leaves], groups, link_bps, nic=rail)
    links += _mesh(_all(leaves), spines, (ports.leaf, spec.hosts_per_segment), ports.spine, rate)
    return Topology(_all(groups), (*_all(leaves), *spines), tuple(links))


_KINDS: Mapping[str, tuple[type[Shape], Callable[[Any, int], Topology]]] = {
    "single_switch": (SingleSwitch, single_switch),
    "two_tier_clos": (TwoTierClos, two_tier_clos),
    "three_tier_clos": (ThreeTierClos, three_tier_clos),
    "rail_optimised": (RailOptimised, rail_optimised),
}


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name}{number}" for number in range(1, count + 1)]


def _all(groups: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(name for group in groups for name in group)


def _groups(spec: Shape, count: int, size: int, size_key: str) -> list[list[str]]:
    """Return the names of the hosts, group by group: those that share a leaf, or its rails."""
    unit = size if spec.placement == "disaggregated" else count
    if spec.decode_hosts > count * size or spec.decode_hosts % unit:
        of = size_key if spec.placement == "disaggregated" else "the number of groups of hosts"
        raise ValueError(
            f"decode_hosts is {spec.decode_hosts}, must be a multiple of {of}, {unit}, and at most {count * size} "
            f"with placement {spec.placement}"
        )
    if spec.placement == "disaggregated":
        decodes = [number >= count * size - spec.decode_hosts for number in range(count * size)]
    else:
        decodes = [number % size >= size - spec.decode_hosts // count for number in range(count * size)]
    names = _names(count * size, decodes)
    return [names[first : first + size] for first in range(0, count * size, size)]


def _names(count: int, decodes: Sequence[bool]) -> list[str]:
    """Return ``prefill01``, ... and ``decode01``, ..., counted each for itself, all with as many digits."""
    digits = max(2, len(str(count)))
    counts = {"prefill": 0, "decode": 0}
    names = []
    for decode in decodes:
        role = "decode" if decode else "prefill"
        counts[role] += 1
        names.append(f"{role}{counts[role]:0{digits}}")
    return names


def _attach(spec: Shape, leaves: Sequence[str], groups: Sequence[Sequence[str]], bps: int, nic: int = 0) -> list[Link]:
    """Return the links of every group's hosts to its leaf."""
    ports = spec.names()
    return [
        Link(Port(host, ports.host.format(nic)), Port(leaf, ports.leaf.format(number)), bps)
        for leaf, hosts in zip(leaves, groups, strict=True)
        for number, host in enumerate(hosts, start=1)
    ]


def _mesh(lower: Sequence[str], upper: Sequence[str], uplink: tuple[str, int], downlink: str, bps: int) -> list[Link]:
    """Link every switch of a tier to every one of the tier above.

    Args:
        lower: The tier.
        upper: The tier above; its ports to this one are numbered from 1.
        uplink: Name of the lower tier's ports, and how many come before the uplinks.
        downlink: Name of the upper tier's ports.
        bps: Line rate [bit/s].
    """
    name, used = uplink
    return [
        Link(Port(low, name.format(used + up_at)), Port(up, downlink.format(low_at)), bps)
        for low_at, low in enumerate(lower, start=1)
        for up_at, up in enumerate(upper, start=1)
    ]
