"""Facts and faults of every platform that the virtual lab has, each linked to the same EOS switch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aibench_lib.journal import Journal
from aibench_lib.model import Port
from aibench_lib.simulator import Parameters
from aibench_lib.switch import transaction
from aibench_lib.switch.facts import Facts, read_facts
from aibench_lib.switch.fault_injection import active
from aibench_lib.switch.faults import Fault, FaultKind, Place
from aibench_lib.switch.target import parse_target
from aibench_lib.topology import parse_topology
from aibench_lib.virtual_lab.inventory import LabSpec
from aibench_lib.virtual_lab.lab import VirtualLab
from aibench_lib.virtual_lab.nos import PLATFORMS

GOLDEN = Path(__file__).parents[1] / "golden" / "switch"
PORTS = {
    "arista_eos": "Ethernet2",
    "cisco_nxos": "Ethernet1/2",
    "cumulus_nvue": "swp2",
    "dell_sonic": "Eth1/2",
    "frr_linux": "eth2",
    "juniper_junos": "et-0/0/2",
    "nokia_srlinux": "ethernet-1/2",
    "nokia_srlinux_cli": "ethernet-1/2",
    "sonic": "Ethernet4",
}
NAMES = {platform: platform.replace("_", "") for platform in sorted(PLATFORMS)}
TOPOLOGY = parse_topology(
    {
        "link_bps": 400_000_000_000,
        "switches": ["centre", *NAMES.values()],
        "hosts": ["prefill01"],
        "links": [
            ["prefill01:nic0", "centre:Ethernet64"],
            *(
                [f"centre:Ethernet{number}", f"{name}:{PORTS[platform]}"]
                for number, (platform, name) in enumerate(NAMES.items(), start=1)
            ),
        ],
    },
    "topology",
)


def variables(lab: VirtualLab, state: Path, name: str, platform: str) -> dict[str, Any]:
    """Return what an inventory says of a switch; the platform's options are those of its golden files."""
    options = dict(yaml.safe_load((GOLDEN / platform / "points.yml").read_text())["options"])
    if "interfaces" in options:
        options["interfaces"] = [PORTS[platform]]
    files = {"ca": str(state / "ca.pem"), "known_hosts": str(state / "known_hosts")}
    return {
        "ansible_host": lab.addresses[name],
        "ansible_port": 2222,
        "ansible_user": "admin",
        "ansible_password": (state / "password").read_text(),
        "switch": {"platform": platform, **options, **files},
    }


@pytest.fixture(scope="module")
def all_platforms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place for faults in a lab of every platform."""
    folder = tmp_path_factory.mktemp("lab")
    platforms = {"centre": "arista_eos", **{name: platform for platform, name in NAMES.items()}}
    lab = VirtualLab(LabSpec(TOPOLOGY, platforms, Parameters()), "127.156", folder / "state")
    lab.start()
    run_dir = folder / "run"
    run_dir.mkdir()
    targets = {
        name: parse_target(name, variables(lab, folder / "state", name, platform))
        for name, platform in platforms.items()
    }
    try:
        journal = Journal(run_dir / "journal.jsonl")
        yield Place(topology=TOPOLOGY, targets=targets, journal=journal, run_dir=run_dir)
    finally:
        lab.stop()


@pytest.fixture(scope="module")
def centre(all_platforms: Place) -> Facts:
    return read_facts(all_platforms.targets["centre"])


@pytest.mark.parametrize("platform", NAMES)
def test_both_ends_of_a_link_say_the_same_of_it(all_platforms, centre, platform):
    name, own = NAMES[platform], PORTS[platform]
    found = read_facts(all_platforms.targets[name])
    far = all_platforms.topology.neighbour(Port(name, own))
    one, other = found.interfaces[own], centre.interfaces[far.interface]
    assert (one.oper, one.admin, one.speed_bps) == ("up", "up", 400_000_000_000)
    assert one.mtu == other.mtu
    assert (one.neighbour, one.neighbour_port) == ("centre", far.interface)
    assert (other.neighbour, other.neighbour_port) == (name, own)
    assert one.address is not None
    assert found.clock == centre.clock
    assert "simulated" in f"{found.model} {found.software}"
    assert not [note for note in found.notes if "refused" in note]


@pytest.mark.parametrize("duration_s", [None, 120])
@pytest.mark.parametrize("platform", NAMES)
def test_a_link_goes_down_at_both_ends_and_the_configuration_comes_back(all_platforms, platform, duration_s):
    name = NAMES[platform]
    target = all_platforms.targets[name]
    fault = Fault(kind=FaultKind.LINK_DOWN, ports=(Port(name, PORTS[platform]),), duration_s=duration_s)
    with active(fault, all_platforms) as outcome:
        assert set(outcome.ends.values()) == {"down"}
        assert len(outcome.ends) == 2
    assert not transaction.restore(target, all_platforms.journal, all_platforms.run_dir).changed
