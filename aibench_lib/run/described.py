"""What a run knows by itself of the system and the workload, for Section 14's two tables."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aibench_lib.platforms import load_platform
from aibench_lib.run.lab import Lab
from aibench_lib.run.plan import PlannedTest, Profile
from aibench_lib.switch.facts import DECLARED
from aibench_lib.units import GBPS, GIB, MB, NS_PER_US


def system_of(lab: Lab, simulation: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """Return the fabric and its devices as the inventory declares them.

    Draft: Section 14, System Configuration Report.

    Args:
        lab: The lab.
        simulation: What stands behind the wires of a simulated lab, empty for any other.
    """
    rates = Counter(link.bps for link in lab.topology.links)
    hosts = len(lab.topology.hosts)
    return {
        "Fabric": {
            "Topology": f"{len(lab.topology.switches)} switches, {hosts} hosts, {len(lab.topology.links)} links",
            "Link speeds": ", ".join(f"{count} x {bps / GBPS:g} Gb/s" for bps, count in sorted(rates.items())),
            "Lab": str(lab.kind),
        },
        "Switches": {name: load_platform(target.platform).title for name, target in sorted(lab.switches.items())},
        "Workers": {pool: f"{len(names)} ({names[0]} to {names[-1]})" for pool, names in lab.pools.items() if names},
        **({"Simulation": {key: str(value) for key, value in simulation.items()}} if simulation else {}),
    }


def workers_of(agents: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what the agents that took part said of themselves, each answer with the number of those that gave it."""
    titles = {"nic": "NIC", "firmware": "NIC firmware", "transport": "Transport", "clock": "Clock", "version": "Agent"}
    return {
        title: ", ".join(f"{count} x {answer or 'not said'}" for answer, count in _answers(agents, name).items())
        for name, title in titles.items()
    }


_Facts = Mapping[str, str]
"""What one host said: the keys of :mod:`aibench_lib.worker.agent.host`."""
_NO_RDMA = "no RDMA device"
_HARDWARE = "real-rdma"
_OVER_VERBS = ("verbs", "perftest")
"""Transports whose label is that of the RDMA device."""


def hosts_of(facts: Mapping[str, _Facts]) -> dict[str, str]:
    """Return what the hosts said of themselves, each answer with the number of those that gave it.

    Draft: Section 14, System Configuration Report; Section 15 wants the authentication of RDMA reported.

    Args:
        facts: Host -> what it said; empty: nobody was asked.
    """
    if not facts:
        return {}
    every = list(facts.values())
    bounds = [int(said["clock.offset_bound_ns"]) for said in every if "clock.offset_bound_ns" in said]
    labels = Counter(_label(said) for said in every)
    rows = {
        "NIC": _counted(map(_nic, every)),
        "NIC firmware": _counted(said.get("nic.firmware", "") for said in every),
        "MTU": _counted(said.get("mtu", "") for said in every) + " bytes",
        "RDMA": _counted(map(_rdma, every)),
        "RDMA authentication": _counted(said.get("rdma.authentication", "") for said in every),
        "QoS of the NIC": _counted(map(_qos, every)),
        "Memory that may be locked": _counted(said.get("memlock.bytes", "") for said in every) + " bytes",
        "CPU": _counted(map(_cpu, every)),
        "CPU governor": _counted(said.get("cpu.governor", "") for said in every),
        "NUMA": _counted(map(_numa, every)),
        "Clock": _counted(map(_clock, every)),
        "Clock offset at most": f"{max(bounds) / NS_PER_US:g} us" if bounds else "not said",
        "Kernel": _counted(said.get("kernel", "") for said in every),
        "Python": _counted(said.get("python", "") for said in every),
        "pyverbs": _counted(said.get("pyverbs", "none") for said in every),
        "rdma-core": _counted(said.get("rdma_core", "") for said in every),
    }
    if set(labels) != {_HARDWARE}:
        others = ", ".join(f"{count} x {label}" for label, count in sorted(labels.items()) if label != _HARDWARE)
        rows["What the values are"] = (
            f"sent by {others}: not those that the draft means by KV_xfer, which RDMA hardware has to send"
        )
    return rows


def _label(said: _Facts) -> str:
    """Return what carries the bytes of a host."""
    transport = said.get("transport", "")
    return said.get("rdma.label", _NO_RDMA) if transport in _OVER_VERBS else transport or "a transport not said"


def _counted(answers: Iterable[str]) -> str:
    """Return answers with how many gave each, the most frequent first."""
    return ", ".join(f"{count} x {answer or 'not said'}" for answer, count in Counter(answers).most_common())


def _nic(said: _Facts) -> str:
    name = said.get("nic.model") or said.get("nic.driver", "")
    speed = said.get("nic.speed_mbps", "")
    return f"{name}, {int(speed) / 1000:g} Gb/s" if speed and name else name


def _rdma(said: _Facts) -> str:
    if "rdma.device" not in said:
        return _NO_RDMA
    return f"{said.get('rdma.label')} ({said.get('nic.driver')}), RDMA MTU {said.get('rdma.active_mtu', 'not said')}"


def _qos(said: _Facts) -> str:
    known = {
        "PFC": "pfc.priorities",
        "ECN": "ecn.priorities",
        "trust": "dscp.trust",
        "device DSCP": "rdma.traffic_class",
    }
    return ", ".join(f"{title} {said[name]}" for title, name in known.items() if name in said)


def _cpu(said: _Facts) -> str:
    if "cpu.model" not in said:
        return ""
    size = f", {int(said['memory.bytes']) / GIB:.0f} GiB" if "memory.bytes" in said else ""
    return f"{said['cpu.model']} with {said.get('cpu.cores', '?')} processors for the agent{size}"


def _numa(said: _Facts) -> str:
    return f"NIC on node {said['numa.nic']}, agent on {said.get('numa.agent', '?')}" if "numa.nic" in said else ""


def _clock(said: _Facts) -> str:
    sync = said.get("clock.sync", "")
    kept = {"none": "kept by nothing", "": "not said what keeps it"}.get(sync, f"kept by {sync}")
    return f"{said['clock.source']}, {kept}" if "clock.source" in said else ""


def switches_of(described: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> dict[str, str]:
    """Return what the switches that were asked said of themselves, a line each.

    Draft: Section 14 wants the switch ASIC, the software version and the link speeds.

    Args:
        described: Switch -> its facts (:class:`aibench_lib.switch.facts.Facts`).
        titles: Switch -> its platform's title.
    """
    return {name: f"{titles[name]}; {_switch(facts)}" for name, facts in described.items() if name in titles}


def _switch(facts: Mapping[str, Any]) -> str:
    speeds = Counter(
        one["speed_bps"] for one in facts["interfaces"].values() if one["oper"] == "up" and one["speed_bps"]
    )
    ports = " and ".join(f"{count} x {bps / GBPS:g} Gb/s" for bps, count in sorted(speeds.items()))
    size = facts["buffer_bytes"]
    declared = " (as the inventory says)" if DECLARED in facts["notes"] else ""
    said = {
        "model": facts["model"],
        "ASIC": facts["asic"],
        "software": facts["software"],
        "ports that are up": ports,
        "buffer": f"{size / MB:g} MB{declared}" if size else None,
    }
    return "; ".join(f"{name} {text or 'not said by the switch'}" for name, text in said.items())


def _answers(agents: Mapping[str, Mapping[str, str]], name: str) -> Counter[str]:
    return Counter(agent[name] for agent in agents.values())


def workload_of(planned: Sequence[PlannedTest], profile: Profile) -> Mapping[str, str]:
    """Return what each test offers.

    Draft: Section 14, Workload Characterization Report.
    """
    described = {}
    for test in planned:
        for key in test.points[0]:
            levels = dict.fromkeys(str(point[key]) for point in test.points)
            described[f"Test {test.benchmark.id}: {key}"] = ", ".join(levels)
        described |= {f"Test {test.benchmark.id}: {key}": str(value) for key, value in test.benchmark.constants.items()}
        described[f"Test {test.benchmark.id}: trials per configuration"] = str(test.trials)
    return {**described, "Simultaneous start": f"within {profile.start_jitter_ns} ns, uniform, drawn anew each trial"}
