"""Judge what the switches and agents of a lab answered against the inventory; nothing here asks anybody."""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from aibench_lib.model import LabKind, Link, Port
from aibench_lib.platforms import load_platform
from aibench_lib.run.findings import Finding, green, red, yellow
from aibench_lib.run.inspection import Agents, Inspected
from aibench_lib.run.lab import Lab
from aibench_lib.switch.facts import InterfaceFacts
from aibench_lib.units import GBPS, NS_PER_SECOND

OURS = "aibench-"
"""How the names of our checkpoints begin."""
_HEADER_BYTES = 60
"""IP, UDP, BTH, RETH and ICRC of a RoCEv2 packet: what an IP packet holds beside the payload."""
_CLOCK_SECONDS = 2.0
"""Switches show whole seconds, and an answer takes its time."""
_BY_DEFAULT = ("dscp", "scheduling")
"""Features of which a switch that shows nothing still has something: its default, which is not known here."""
_LOSSLESS = "pfc_priority"


def isolation(lab: Lab, inspected: Sequence[Inspected]) -> Iterator[Finding]:
    """Judge whether the lab is one in which the draft allows tests.

    Draft: Section 15.
    """
    if not lab.isolated:
        yield red(
            "isolation",
            "",
            "the inventory does not say isolated_lab: true; Section 15 allows tests only in a lab that is connected to "
            "no production network and not to the Internet",
        )
    public = [
        *((f"{name} (ansible_host)", target.address) for name, target in lab.switches.items()),
        *((f"{name} (ansible_host)", agent.address) for name, agent in lab.workers.items()),
        *(
            (f"{one.host}:{interface}", facts.address)
            for one in inspected
            if one.facts
            for interface, facts in one.facts.interfaces.items()
            if facts.address
        ),
    ]
    found = [(where, address) for where, address in public if _is_global(address)]
    for where, address in found:
        yield red("isolation", where, f"has the public address {address}; Section 15 wants no way to the Internet")
    if lab.isolated and not found:
        yield green("isolation", "", "the inventory says isolated_lab: true, and no interface has a public address")


def _is_global(address: str) -> bool:
    try:
        return ipaddress.ip_interface(address).ip.is_global
    except ValueError:
        return False


def reachability(lab: Lab, inspected: Sequence[Inspected], agents: Agents) -> Iterator[Finding]:
    """Judge whether everybody answers."""
    for one in inspected:
        if one.cli == one.gnmi != "":
            yield red("login", one.host, one.cli)
            continue
        for why, what in ((one.cli, "configure"), (one.gnmi, "read telemetry")):
            if why:
                yield red("login", one.host, f"cannot {what}: {why}")
        for note in one.notes:
            yield yellow("login", one.host, f"does not answer everything: {note}")
        platform = load_platform(lab.switches[one.host].platform)
        if not platform.telemetry and not platform.polled:
            yield yellow("login", one.host, "its platform tells no telemetry; nothing of this switch will be recorded")
    well = [one.host for one in inspected if not one.cli and not one.gnmi]
    if well:
        yield green(
            "login", "", f"{len(well)} of {len(inspected)} switches let us in to configure and to read telemetry"
        )
    yield from _hosts(agents)


def _hosts(agents: Agents) -> Iterator[Finding]:
    for host, why in agents.silent.items():
        yield red("agents", host, why)
    if agents.answered:
        yield green("agents", "", f"{agents.answered} hosts answer")
    if agents.let_in:
        text = "a run brings an agent to each; this is what the login sees of them"
        yield green("agents", "", f"{agents.let_in} hosts let us in; {text}")


def versions(lab: Lab, inspected: Sequence[Inspected]) -> Iterator[Finding]:
    """Say what runs, and where switches of one kind run different software."""
    known = [(lab.switches[one.host].platform, one.facts) for one in inspected if one.facts and one.facts.software]
    for platform in dict.fromkeys(platform for platform, _ in known):
        of_kind = [facts for kind, facts in known if kind == platform]
        what = {f"{facts.vendor} {facts.model or '(model not said)'}, software {facts.software}" for facts in of_kind}
        hosts = ", ".join(facts.host for facts in of_kind)
        if len({(facts.model, facts.software) for facts in of_kind}) == 1:
            yield green("versions", hosts, what.pop())
        else:
            yield yellow("versions", hosts, f"not all the same: {'; '.join(sorted(what))}")
    for one in inspected:
        if not one.cli and (one.facts is None or not one.facts.software):
            yield yellow("versions", one.host, "does not say what software it runs")


class Links:
    """The links of the topology with what the switches at their ends say."""

    def __init__(self, lab: Lab, inspected: Sequence[Inspected]) -> None:
        self._lab = lab
        self._of = {one.host: one for one in inspected}
        self._facts = {one.host: one.facts.interfaces for one in inspected if one.facts and one.facts.interfaces}

    @property
    def _ends(self) -> list[tuple[Port, Port, Link]]:
        """Port, its neighbour, and their link, of each end that a switch told of."""
        return [
            (own, other, link)
            for link in self._lab.topology.links
            for own, other in ((link.a, link.b), (link.b, link.a))
            if own.node in self._facts
        ]

    def _at(self, port: Port) -> InterfaceFacts | None:
        return self._facts.get(port.node, {}).get(port.interface)

    def states(self) -> Iterator[Finding]:
        """Judge whether links are up, at the speed that the topology says."""
        for host, one in self._of.items():
            if not one.cli and host not in self._facts:
                yield yellow(
                    "links", host, "says nothing of its interfaces: links, LLDP and MTU are not looked at there"
                )
        well = 0
        for own, _, link in self._ends:
            found, expected = self._at(own), f"{link.bps / GBPS:g} Gb/s"
            if found is None:
                yield red("links", str(own), "there is no such interface on the switch; compare topology.links")
            elif found.oper != "up":
                state = "is shut (admin down)" if found.admin == "down" else f"is {found.oper or 'in a state not said'}"
                yield red("links", str(own), state)
            elif found.speed_bps not in (None, link.bps):
                yield red("links", str(own), f"runs at {(found.speed_bps or 0) / GBPS:g} Gb/s, not at {expected}")
            elif found.speed_bps is None:
                yield yellow("links", str(own), f"does not say its speed; the topology says {expected}")
            else:
                well += 1
        if well:
            yield green("links", "", f"{well} of {len(self._ends)} switch ports are up, at the speed of the topology")

    def neighbours(self) -> Iterator[Finding]:
        """Judge what LLDP hears at each port."""
        heard = 0
        deaf = [host for host in self._facts if not _tells_neighbours(self._lab.switches[host].platform)]
        if deaf:
            yield yellow("LLDP", ", ".join(deaf), "says nothing of neighbours; the cabling is not looked at there")
        for own, other, _ in self._ends:
            if own.node in deaf:
                continue
            found = self._at(own)
            if found is None or found.oper != "up":
                continue
            if found.neighbour is None:
                if other.node in self._lab.switches:  # hosts often say nothing
                    yield yellow("LLDP", str(own), f"hears nobody; the topology has {other} there")
            elif not _is_name_of(found.neighbour, other.node):
                there = f"{found.neighbour}:{found.neighbour_port}"
                yield red("LLDP", str(own), f"is cabled to {there}, the topology says {other}")
            elif other.node in self._lab.switches and not _is_port(found.neighbour_port, other.interface):
                yield red("LLDP", str(own), f"is cabled to {found.neighbour}:{found.neighbour_port}, not to {other}")
            else:
                heard += 1
        if heard:
            yield green("LLDP", "", f"{heard} of {len(self._ends)} switch ports hear the neighbour of the topology")

    def mtus(self, payload_bytes: int) -> Iterator[Finding]:
        """Judge whether both ends of a link take packets of the same size, and large enough ones."""
        need = payload_bytes + _HEADER_BYTES
        known = [(own, found.mtu) for own, _, _ in self._ends if (found := self._at(own)) and found.mtu]
        sizes = dict(known)
        for port, mtu in known:
            if mtu < need:
                text = f"takes IP packets of {mtu} bytes; RDMA packets with {payload_bytes} bytes of data need {need}"
                yield red("MTU", str(port), text)
        for link in self._lab.topology.links:
            one, other = sizes.get(link.a), sizes.get(link.b)
            if one and other and one != other:
                text = f"its ends differ: IP packets of {one} and of {other} bytes"
                yield red("MTU", f"{link.a} - {link.b}", text)
        silent = len(self._ends) - len(known)
        if silent:
            yield yellow("MTU", "", f"{silent} of {len(self._ends)} switch ports do not say theirs")
        if known:
            counts = sorted(Counter(mtu for _, mtu in known).items())
            most = " and ".join(f"up to {mtu} bytes at {count} ports" for mtu, count in counts)
            yield green("MTU", "", f"IP packets of {most}; RDMA packets need {need}")

    def classes(self) -> Iterator[Finding]:
        """Judge whether both ends of a link treat the traffic class alike."""
        compared: set[str] = set()
        differing: set[str] = set()
        for link in self._lab.topology.links:
            one, other = self._of.get(link.a.node), self._of.get(link.b.node)
            if one is None or other is None:
                continue
            for feature in sorted(set(one.values) & set(other.values)):
                names = sorted(set(one.values[feature]) & set(other.values[feature]))
                pairs = {
                    name: (_at(one.values[feature][name], link.a), _at(other.values[feature][name], link.b))
                    for name in names
                }
                compared |= {feature} if pairs else set()
                silent_ok = feature in _BY_DEFAULT
                unlike = {
                    name: pair
                    for name, pair in pairs.items()
                    if pair[0] != pair[1] and not (silent_ok and None in pair)
                }
                if unlike:
                    differing.add(feature)
                    said = "; ".join(f"{name} {_said(a)} and {_said(b)}" for name, (a, b) in unlike.items())
                    severity = red if feature == _LOSSLESS else yellow
                    yield severity("QoS", f"{link.a} - {link.b}", f"{feature} differs: {said}")
        if compared - differing:
            yield green("QoS", "", f"both ends of each link have the same {', '.join(sorted(compared - differing))}")


def _tells_neighbours(platform: str) -> bool:
    facts = load_platform(platform).facts
    return facts is not None and any("neighbour" in show.told for show in facts.shows)


def _at(value: object, port: Port) -> object:
    """Return a value of a feature at a port, of which some switches have one for each."""
    return value.get(port.interface) if isinstance(value, Mapping) else value


def _said(value: object) -> str:
    return "none" if value is None else str(value)


def _is_name_of(shown: str, node: str) -> bool:
    return shown.lower() == node.lower() or shown.lower().split(".")[0] == node.lower().split(".")[0]


def _is_port(shown: str | None, interface: str) -> bool:
    """Whether LLDP's name is that of an interface, which switches abbreviate."""
    if shown is None or shown == interface:
        return True
    one, other = (re.match(r"([A-Za-z-]*?)-?(\d.*)?$", name) for name in (shown, interface))
    if one is None or other is None or one[2] != other[2]:
        return False
    return one[1].lower().startswith(other[1].lower()[:2]) or other[1].lower().startswith(one[1].lower()[:2])


def checkpoints(inspected: Sequence[Inspected]) -> Iterator[Finding]:
    """Judge whether a switch has room for our checkpoint, and what earlier runs have left."""
    free = 0
    for one in inspected:
        pending = ", ".join(name for name in one.sessions if name.startswith(OURS))
        if pending:
            text = f"has {pending} open, left by an earlier run; run playbooks/restore.yml or abort it"
            yield yellow("sessions", one.host, text)
        if one.checkpoints is None:
            continue
        left = [name for name in one.checkpoints if name.startswith(OURS)]
        if left:
            yield yellow(
                "checkpoints", one.host, f"has {', '.join(left)}, left by an earlier run; remove what nobody needs"
            )
        if one.slots is not None and len(one.checkpoints) >= one.slots:
            names = ", ".join(one.checkpoints)
            yield red("checkpoints", one.host, f"all {one.slots} slots are taken ({names}); remove one")
        else:
            free += 1
    if free:
        kept = sum(one.checkpoints is not None for one in inspected)
        yield green("checkpoints", "", f"{free} of {kept} switches that keep checkpoints have room for one")


def unrestored(runs: Sequence[str]) -> Iterator[Finding]:
    """Judge what earlier runs have left changed."""
    for run in runs:
        yield red("earlier runs", run, "has left switches changed; run playbooks/restore.yml")
    if not runs:
        yield green("earlier runs", "", "none has left a switch changed")


def clocks(lab: Lab, inspected: Sequence[Inspected], agents: Agents) -> Iterator[Finding]:
    """Judge whether switches have the time of the hosts: telemetry belongs to a trial by its time."""
    of_lab = lab.kind is LabKind.SIMULATED
    if of_lab and agents.clock_ns is None:
        yield yellow("clocks", "", "not compared: time is virtual here, and no agent says what time it is")
        return
    well = []
    for one in inspected:
        if one.facts is None or one.facts.clock is None:
            if not one.cli:
                yield yellow("clocks", one.host, "does not say what time it is")
            continue
        clock = datetime.fromisoformat(one.facts.clock).timestamp()
        expected = one.facts.asked_at or 0.0
        if agents.clock_ns is not None:
            passed = 0.0 if of_lab else expected - agents.asked_at  # lab time stands still between trials
            expected = agents.clock_ns / NS_PER_SECOND + passed
        offset = clock - expected
        if abs(offset) > _CLOCK_SECONDS:
            what = "of the hosts" if agents.clock_ns is not None else "of the controller"
            late = "ahead of" if offset > 0 else "behind"
            yield red("clocks", one.host, f"is {abs(offset):.0f} s {late} the clock {what}; set up NTP or PTP")
        else:
            well.append(one.host)
    if well:
        whose = "the hosts'" if agents.clock_ns is not None else "the controller's"
        said = " (virtual time, which stands still between trials)" if of_lab else ""
        yield green("clocks", "", f"{len(well)} switches are within {_CLOCK_SECONDS:g} s of {whose} clock{said}")
