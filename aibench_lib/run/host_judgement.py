"""Judge what the hosts say of themselves: their NICs, limits, processors and clocks; nothing here asks anybody."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from aibench_lib.catalogue import load_benchmarks
from aibench_lib.procedures.procedure import LOSSLESS_PRIORITY
from aibench_lib.run.findings import Finding, green, red, yellow
from aibench_lib.units import GB, MB, NS_PER_MS, NS_PER_US
from aibench_lib.worker.agent.qos import points_of
from aibench_lib.worker.agents import Agent
from aibench_lib.worker.calls import named

Facts = Mapping[str, str]
"""What one host said: the keys of :mod:`aibench_lib.worker.agent.host`."""

_RDMA_TRANSPORTS = ("verbs", "perftest")
_PRECISE_CLOCKS = ("tsc", "arch_sys_counter")
"""Clock sources that a process reads without a call to the kernel, and in nanoseconds."""
_HEADERS_BYTES = 96
"""Of an RDMA packet, as the kernel reckons when it chooses the RDMA MTU."""
_USUAL_DSCP = 26
"""Of the lossless priority, where nobody says otherwise."""


def judge(
    facts: Mapping[str, Facts], agents: Mapping[str, Agent], payload_bytes: int, dscp: int = _USUAL_DSCP
) -> Iterator[Finding]:
    """Judge hosts; those that say nothing (an agent of another kind) are not judged.

    Args:
        facts: Host -> what it said.
        agents: Host -> its agent.
        payload_bytes: Of an RDMA packet of the workload.
        dscp: Of the packets in the lossless priority.
    """
    if not facts:
        return
    problems: list[Finding] = []
    for host, said in facts.items():
        agent = agents.get(host)
        for check in _CHECKS:
            problems += check(host, said)
        problems += _packets(host, said, payload_bytes)
        problems += _classes(host, said, dscp)
        problems += _management(host, said, agent.address if agent else "")
    problems += _unkept(facts)
    problems += _differences(facts)
    yield from problems
    troubled = {finding.where for finding in problems}
    well = [host for host in facts if host not in troubled]
    if well:
        yield green("hosts", "", f"nothing stands against a run on {len(well)} of {len(facts)} hosts")


def seen(facts: Mapping[str, Facts]) -> Iterator[Finding]:
    """Say which NIC each host has in the fabric, and what it will send with."""
    for host, said in facts.items():
        if "nic.interface" not in said:
            continue
        parts = [said.get("nic.model") or said.get("nic.driver") or "of a kind that is not said"]
        for name, what in (("nic.firmware", "firmware {}"), ("rdma.device", "RDMA device {}"), ("mtu", "MTU {}")):
            parts += [what.format(said[name])] if name in said else []
        sends = f"; sends with {said['transport']}" if "transport" in said else ""
        yield green("NIC", host, ", ".join(parts) + sends)


# Red: a trial would fail, or mean nothing


def _interface(host: str, said: Facts) -> Iterator[Finding]:
    if "nic.interface" not in said:
        address = said.get("nic.address", "")
        text = f"has no interface with {address}, its address in the fabric; set it, or correct worker.address"
        yield red("NIC", host, text)
    elif said.get("nic.carrier") == "no" or said.get("nic.state") in ("down", "lowerlayerdown"):
        yield red("NIC", host, f"its link is down ({said['nic.interface']}); see to the cable and the switch port")


def _device(host: str, said: Facts) -> Iterator[Finding]:
    if "rdma.device" not in said:
        if "nic.interface" in said:
            text = "has no RDMA device; transport tcp is there, whose values are not those of RDMA"
            yield red("RDMA", host, _needs_rdma(said)) if _uses_rdma(said) else yellow("RDMA", host, text)
        return
    device = said["rdma.device"]
    if said.get("rdma.state", "ACTIVE") != "ACTIVE":
        yield red("RDMA", host, f"{device} is {said['rdma.state']}, not ACTIVE; see to its link")
    elif said.get("rdma.link_layer") == "InfiniBand":
        yield red("RDMA", host, f"{device} speaks InfiniBand; the fabric under test is Ethernet")
    elif "rdma.gid_index" not in said:
        text = f"{device} has no RoCE v2 GID of the address in the fabric; see that its interface has it"
        yield red("RDMA", host, text)
    elif said.get("rdma.label") == "soft-roce":
        yield yellow("RDMA", host, f"{device} is made by the kernel (soft-RoCE); its values are not those of hardware")


def _uses_rdma(said: Facts) -> bool:
    return said.get("transport") in _RDMA_TRANSPORTS


def _needs_rdma(said: Facts) -> str:
    return f"has no RDMA device, and is to send with {said['transport']}; set worker.device, or worker.transport: tcp"


def _locked_memory(host: str, said: Facts) -> Iterator[Finding]:
    limit = said.get("memlock.bytes", "unlimited")
    need, test = largest_message()
    if _uses_rdma(said) and limit != "unlimited" and int(limit) < need:
        text = (
            f"a process may lock {_size(int(limit))}; the messages of {_size(need)} of Test {test} must be registered: "
            "give the agent's user memlock unlimited (/etc/security/limits.d, or LimitMEMLOCK=infinity of its unit)"
        )
        yield red("memlock", host, text)


def largest_message() -> tuple[int, str]:
    """Return the largest message that the draft asks for [bytes], and the first test that does."""
    sizes = [
        (size, id_)
        for id_, benchmark in load_benchmarks().items()
        for size in benchmark.load.get("message_bytes", ())
        if isinstance(size, int)
    ]
    largest = max(size for size, _ in sizes)
    return next((size, id_) for size, id_ in sizes if size == largest)


def _size(count: int) -> str:
    return f"{count / GB:g} GB" if count >= GB else f"{count / MB:.3g} MB"


def _packets(host: str, said: Facts, payload_bytes: int) -> Iterator[Finding]:
    active = said.get("rdma.active_mtu")
    if active is not None and int(active) < payload_bytes:
        text = (
            f"its RDMA packets carry {active} bytes, since its MTU is {said.get('mtu')}; the workload's carry "
            f"{payload_bytes}: set the MTU of its interface to {payload_bytes + _HEADERS_BYTES} or more"
        )
        yield red("MTU", host, text)


# Yellow: somebody should know


def _classes(host: str, said: Facts, dscp: int) -> Iterator[Finding]:
    if said.get("rdma.label") != "real-rdma":
        return
    if "pfc.priorities" not in said:
        yield yellow("QoS", host, "does not say whether its NIC has PFC (mlnx_qos and dcb say nothing)")
    elif str(LOSSLESS_PRIORITY) not in said["pfc.priorities"].split(","):
        text = f"its NIC has no PFC in priority {LOSSLESS_PRIORITY}, the lossless one (mlnx_qos --pfc, dcb pfc set)"
        yield yellow("QoS", host, text)
    if said.get("dscp.trust") == "pcp":
        yield yellow("QoS", host, "its NIC tells priorities by PCP, not by DSCP (mlnx_qos --trust dscp)")
    priorities = [priority for priority, points in _mapping(said.get("dscp.map", "")) if dscp in points]
    if "dscp.map" in said and priorities and priorities != [LOSSLESS_PRIORITY]:
        text = f"its NIC puts DSCP {dscp} into priority {priorities[0]}, not into {LOSSLESS_PRIORITY}"
        yield yellow("QoS", host, text)
    ecn = said.get("ecn.priorities", "all")
    if ecn != "all" and str(LOSSLESS_PRIORITY) not in ecn.split(","):
        yield yellow("QoS", host, f"its NIC does not slow down for ECN in priority {LOSSLESS_PRIORITY}")
    for name, what in (("rdma.traffic_class", "the whole device"), ("rdma_cm.tos", "connections of rdma_cm")):
        value = said.get(name, "")
        if value.isdigit() and int(value) and int(value) >> 2 != dscp:
            yield yellow("QoS", host, f"DSCP {int(value) >> 2} is set for {what}, over the {dscp} of a queue pair")


def _mapping(text: str) -> Iterator[tuple[int, set[int]]]:
    """Yield each priority of a ``dscp.map`` with its code points."""
    for part in text.split():
        priority, _, points = part.partition(":")
        yield int(priority), points_of(points)


def _management(host: str, said: Facts, address: str) -> Iterator[Finding]:
    own = said.get("nic.addresses", "").split()
    if address in own or said.get("nic.default_route") == "yes":
        yield yellow(
            "NIC", host, "is managed over the NIC under test: what the controller says is on the measured link"
        )


def _processors(host: str, said: Facts) -> Iterator[Finding]:
    governor = said.get("cpu.governor", "performance")
    if governor != "performance":
        text = (
            f"its CPU governor is {governor}: clocks change while it measures (cpupower frequency-set -g performance)"
        )
        yield yellow("CPU", host, text)
    node, own = said.get("numa.nic"), said.get("numa.agent", "")
    if node is not None and own and own.split(",") != [node]:
        where = "another NUMA node than" if node not in own.split(",") else "other NUMA nodes beside that of"
        text = (
            f"its agent may run on {where} its NIC; bind it to the processors {said.get('numa.nic_cpus', 'of the NIC')}"
        )
        yield yellow("CPU", host, text)


def _clock(host: str, said: Facts) -> Iterator[Finding]:
    source = said.get("clock.source", "tsc")
    if source not in _PRECISE_CLOCKS:
        yield yellow("host clocks", host, f"counts time with {source}, not with tsc: each look at the clock costs more")
    sync = said.get("clock.sync", "none")
    bound = int(said.get("clock.offset_bound_ns", 0))
    if bound > NS_PER_MS:
        yield yellow("host clocks", host, f"its clock may be {bound // NS_PER_US} us off, as {sync} says")


def _unkept(facts: Mapping[str, Facts]) -> Iterator[Finding]:
    """Name hosts whose clocks go as they like; those of one kernel, as namespaces are, have one clock."""
    kernels = {said.get("clock.id", host) for host, said in facts.items()}
    for host, said in facts.items():
        if said.get("clock.sync", "none") == "none" and (len(kernels) > 1 or len(facts) == 1):
            text = "nothing keeps its clock (no PTP, no NTP): offsets are measured at a trial's begin, and drift then"
            yield yellow("host clocks", host, text)


_CHECKS: Sequence[Callable[[str, Facts], Iterator[Finding]]] = (
    _interface,
    _device,
    _locked_memory,
    _processors,
    _clock,
)


def _differences(facts: Mapping[str, Facts]) -> Iterator[Finding]:
    """Say where hosts are unlike that should be alike."""
    for name, check, what in (
        ("mtu", "MTU", "MTU of the NIC"),
        ("nic.firmware", "versions", "NIC firmware"),
        ("nic.driver", "versions", "driver of the NIC"),
        ("kernel", "versions", "kernel"),
        ("pyverbs", "versions", "pyverbs"),
        ("transport", "versions", "transport"),
    ):
        of_value = _by_value(facts, name)
        if len(of_value) > 1:
            said = "; ".join(f"{value} at {named(hosts)}" for value, hosts in sorted(of_value.items()))
            severity = red if name == "mtu" else yellow
            yield severity(check, "", f"the hosts differ in their {what}: {said}; make them the same")
    models = {said.get("nic.model") for said in facts.values()}
    if len(models) > 1:
        yield yellow("versions", "", f"the hosts have {len(models)} models of NICs; the report names them")


def _by_value(facts: Mapping[str, Facts], name: str) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for host, said in facts.items():
        if name in said:
            found[said[name]].append(host)
    return found
