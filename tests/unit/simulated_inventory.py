"""The lab of the default inventory, as far as its files say: for tests that need no wire."""

from pathlib import Path

import yaml

from aibench_lib.model import LabKind
from aibench_lib.run.lab import Lab
from aibench_lib.switch.target import Target
from aibench_lib.topology import load_topology

PLATFORMS = {"leaf1": "arista_eos", "leaf2": "sonic", "leaf3": "cumulus_nvue"}
"""As the groups of hosts.yml say; the spines are SR Linux."""
_VARIABLES = Path(__file__).parents[2] / "inventory/simulated/group_vars"


def _yaml(name):
    return yaml.safe_load((_VARIABLES / name).read_text(encoding="utf-8"))


def _options(group):
    switch = _yaml(f"{group}.yml")["switch"]
    return {key: value for key, value in switch.items() if key not in ("platform", "gnmi_port", "ca", "known_hosts")}


def _interfaces(topology, switch):
    return [end.interface for link in topology.links for end in (link.a, link.b) if end.node == switch]


def simulated_lab():
    topology = load_topology(_VARIABLES / "all/topology.yml")
    platforms = {name: PLATFORMS.get(name, "nokia_srlinux") for name in topology.switches}
    options = {platform: _options(platform) for platform in set(platforms.values())}
    return Lab(
        kind=LabKind.SIMULATED,
        instance="test",
        isolated=True,
        topology=topology,
        switches={
            name: Target(
                host=name,
                address="192.0.2.1",
                platform=platform,
                username="",
                password="",
                options={**options[platform], "interfaces": _interfaces(topology, name)},
            )
            for name, platform in platforms.items()
        },
        workers={},
        pools={pool: tuple(host for host in topology.hosts if host.startswith(pool)) for pool in ("prefill", "decode")},
        fabric_settings=_yaml("all/fabric.yml")["fabric_settings"],
        leaf_under_test=_yaml("all/fabric.yml")["leaf_under_test"],
    )


LAB = simulated_lab()
