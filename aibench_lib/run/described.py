"""What a run knows by itself of the system and the workload, for Section 14's two tables."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from aibench_lib.platforms import load_platform
from aibench_lib.run.lab import Lab
from aibench_lib.run.plan import PlannedTest, Profile
from aibench_lib.switch.facts import DECLARED
from aibench_lib.units import GBPS, MB


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
