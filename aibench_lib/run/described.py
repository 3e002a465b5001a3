"""What a run knows by itself of the system and the workload, for Section 14's two tables."""

from collections import Counter
from collections.abc import Mapping, Sequence

from aibench_lib.run.lab import Lab
from aibench_lib.run.plan import PlannedTest, Profile
from aibench_lib.units import GBPS


def system_of(lab: Lab) -> dict[str, dict[str, str]]:
    """Return the fabric and its devices as the inventory declares them.

    Draft: Section 14, System Configuration Report.
    """
    rates = Counter(link.bps for link in lab.topology.links)
    hosts = len(lab.topology.hosts)
    return {
        "Fabric": {
            "Topology": f"{len(lab.topology.switches)} switches, {hosts} hosts, {len(lab.topology.links)} links",
            "Link speeds": ", ".join(f"{count} x {bps / GBPS:g} Gb/s" for bps, count in sorted(rates.items())),
            "Lab": str(lab.kind),
        },
        "Switches": {name: target.platform for name, target in sorted(lab.switches.items())},
        "Workers": {pool: f"{len(names)} ({names[0]} to {names[-1]})" for pool, names in lab.pools.items() if names},
    }


def workload_of(planned: Sequence[PlannedTest], profile: Profile) -> Mapping[str, str]:
    """Return what each test offers.

    Draft: Section 14, Workload Characterization Report.
    """
    described = {}
    for test in planned:
        for key in test.points[0]:
            levels = dict.fromkeys(str(point[key]) for point in test.points)
            described[f"Test {test.benchmark.id}: {key}"] = ", ".join(levels)
        described[f"Test {test.benchmark.id}: trials per configuration"] = str(test.trials)
    return {**described, "Simultaneous start": f"within {profile.start_jitter_ns} ns, uniform, drawn anew each trial"}
