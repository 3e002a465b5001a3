"""Playbooks on a small kernel lab: an agent comes to each host, real bytes cross real switches, nothing is left."""

import csv
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from aibench_lib.errors import LabError
from aibench_lib.kernel_lab import daemon
from aibench_lib.kernel_lab.machine import check_machine

ROOT = Path(__file__).parents[2]
TOPOLOGY = {
    "link_bps": 1_000_000_000,
    "switches": ["leaf1", "leaf2", "spine1"],
    "hosts": ["prefill01", "decode01"],
    "links": [
        ["leaf1:swp49", "spine1:swp1"],
        ["leaf2:swp49", "spine1:swp2"],
        ["prefill01:nic0", "leaf1:swp1"],
        ["decode01:nic0", "leaf2:swp1"],
    ],
}
HOSTS = {
    "switches": {"children": {"frr_linux": {"hosts": {"leaf[1:2]": None, "spine1": None}}}},
    "workers": {
        "children": {"prefill": {"hosts": {"prefill01": None}}, "decode": {"hosts": {"decode01": None}}},
    },
}


def missing():
    try:
        check_machine()
    except LabError as error:
        return str(error)
    return ""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(missing()), reason=f"needs: {missing()}"),
]


def lab_network():
    """Return the first two octets of a network for this process of the test run."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return f"10.{120 + worker}"


@pytest.fixture
def inventory(tmp_path):
    """A fabric of two leaves and a spine; a lab that a test leaves up goes down."""
    copied = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventory" / "kernel", copied)
    (copied / "group_vars" / "all" / "topology.yml").write_text(yaml.safe_dump({"topology": TOPOLOGY}))
    (copied / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": HOSTS}}))
    yield copied
    daemon.down(tmp_path / "state")


def play(inventory, playbook, **variables):
    """Run a playbook; return its exit code and what it says."""
    folder = inventory.parent
    given = {
        "lab_network": lab_network(),
        "lab_state": folder / "state",
        "workers_state": folder / "workers",
        "workers_wheelhouse": ROOT / ".aibench" / "wheelhouse",
        "results_dir": folder / "results",
        **variables,
    }
    extra = [word for key, value in given.items() for word in ("-e", f"{key}={value}")]
    command = [shutil.which("ansible-playbook", path=Path(sys.executable).parent), f"playbooks/{playbook}"]
    ended = subprocess.run(
        [*command, "-i", str(inventory), *extra], cwd=ROOT, capture_output=True, text=True, check=False, timeout=800
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_a_preflight_finds_the_lab_ready_and_the_lab_ends_with_it(inventory):
    code, said = play(inventory, "preflight.yml")
    assert code == 0, said
    assert "3 of 3 switches let us in to configure and to read telemetry" in said
    assert "2 hosts let us in" in said
    assert "6 of 6 switch ports are up, at the speed of the topology" in said
    deadline = time.monotonic() + 20
    while daemon.status(inventory.parent / "state") is not None:  # it sees that its playbook is gone, and tidies up
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_bytes_are_moved_by_agents_that_came_over_ssh_and_are_gone_afterwards(inventory):
    state = inventory.parent / "state"
    daemon.up(inventory, state, lab_network(), os.getpid(), lambda _text: None)  # to look at its hosts after it
    code, said = play(inventory, "kv_transfer.yml", tests="5.3")
    assert code == 0, said
    (table,) = (inventory.parent / "results").glob("*/kpis.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {row["lab"] for row in rows} == {"kernel"}
    (rate,) = [float(row["value"]) for row in rows if row["unit"] == "GB/s" and row["statistic"] == "mean"][:1]
    assert 0.02 < rate < 0.13, "the links carry 1 Gb/s"
    assert (table.parent / "report.html").exists()
    assert "(tcp)" in (table.parent / "report.md").read_text()
    for host in TOPOLOGY["hosts"]:
        assert not list((state / "nodes" / host / "var-tmp").iterdir())
    assert not (inventory.parent / "workers").exists() or not list((inventory.parent / "workers").iterdir())


def test_a_link_fails_under_transfers_and_routes_and_transfers_recover(inventory):
    two_spines = {
        **TOPOLOGY,
        "switches": [*TOPOLOGY["switches"], "spine2"],
        "links": [*TOPOLOGY["links"], ["leaf1:swp50", "spine2:swp1"], ["leaf2:swp50", "spine2:swp2"]],
    }
    (inventory / "group_vars" / "all" / "topology.yml").write_text(yaml.safe_dump({"topology": two_spines}))
    hosts = {**HOSTS, "switches": {"children": {"frr_linux": {"hosts": {"leaf[1:2]": None, "spine[1:2]": None}}}}}
    (inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": hosts}}))
    profiles = inventory / "group_vars" / "all" / "profiles.yml"
    patient = yaml.safe_load(profiles.read_text())  # a machine that runs other tests as well leaves gaps in telemetry
    patient["profiles"]["quick"] |= {"telemetry_interval_ns": 2_000_000_000, "trials": 1, "tests": {}}
    patient["profiles"]["quick"]["trial_seconds"] = 20
    profiles.write_text(yaml.safe_dump(patient))
    code, said = play(inventory, "kv_transfer.yml", tests="12.3")
    assert code == 0, said
    (table,) = (inventory.parent / "results").glob("*/kpis.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    converged = [float(row["value"]) for row in rows if row["kpi"] == "convergence_time"]
    assert len(converged) == 4
    assert all(0 < milliseconds < 6_000 for milliseconds in converged), "BGP's timers are 1 s and 3 s"
    stood = [row["value"] for row in rows if row["kpi"] == "disruption_duration"]
    assert all(0 <= float(milliseconds) < 6_000 for milliseconds in stood)
    assert {row["value"] for row in rows if row["kpi"] == "ttft_degradation"} == {"n/a"}
    assert "no model is served" in (table.parent / "report.md").read_text()


def test_what_the_kernel_cannot_do_is_not_attainable_and_named(inventory):
    daemon.up(inventory, inventory.parent / "state", lab_network(), os.getpid(), lambda _text: None)
    if (inventory.parent / "state" / "disciplines").read_text():
        pytest.skip("this kernel has RED or netem")
    code, said = play(inventory, "congestion.yml", tests="8.1")
    assert code != 0
    assert "not attainable: ECN not available in this kernel" in said
