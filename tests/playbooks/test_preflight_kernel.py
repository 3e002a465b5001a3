"""The preflight of hosts that have no agent yet: they are asked over SSH, and nothing is written on them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playbook_lab import ROOT
from test_preflight_playbook import Seen

sys.path.insert(0, str(ROOT / "tests" / "lab"))
from kernel_fabric import INVENTORY, KernelFabric, kernel_fabric, missing

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"needs: {missing()}")]
HOSTS = [*(f"prefill0{number}" for number in range(1, 5)), *(f"decode0{number}" for number in range(1, 5))]
WRITTEN = "find /var/tmp /tmp /root /run /var/log -newer /run/aibench-mark ! -path /run/node/log"
"""What was written since the mark, on all file systems of a node; the SSH server notes logins in its log."""
SECONDS = 200


@pytest.fixture
def lab(tmp_path):
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    with kernel_fabric(tmp_path / "state", f"10.{140 + worker}") as up:
        yield up


def look(lab: KernelFabric, folder: Path, **host_vars: str) -> Seen:
    """Run the preflight as a user would, with variables of single hosts added."""
    given = []
    for host, text in host_vars.items():
        own = folder / "own" / "host_vars" / f"{host}.yml"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(text)
    if host_vars:
        (folder / "own" / "hosts.yml").write_text("all: {}\n")
        given = ["-i", str(folder / "own")]
    extra = {
        "lab_network": lab.network,
        "lab_state": lab.state,
        "results_dir": folder / "results",
        "workers_state": folder / "keys",
    }
    command = ["ansible-playbook", "playbooks/preflight.yml", "-i", str(INVENTORY), *given]
    command += [word for name, value in extra.items() for word in ("-e", f"{name}={value}")]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "playbooks" / "ansible.cfg")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    return Seen(done.returncode, done.stdout + done.stderr)


def test_hosts_without_agents_say_what_nic_they_have_and_nothing_is_written_there(lab, tmp_path):
    for host in HOSTS:
        lab.ssh(host, "touch /run/aibench-mark")
    seen = look(lab, tmp_path)
    assert seen.rc == 0, seen.output
    assert seen.of("RED") == []
    assert len(seen.of("yellow")) == 2, seen.output  # LLDP, which these switches have not, and RDMA
    everywhere = "prefill01, prefill02, prefill03 and 5 more: "
    assert f"ok      NIC           {everywhere}veth, MTU 9000; sends with tcp" in seen.of("ok"), seen.output
    (rdma,) = [row for row in seen.of("yellow") if " RDMA " in row]
    assert f"{everywhere}has no RDMA device; transport tcp is there" in rdma
    assert any("8 hosts let us in; a run brings an agent to each" in row for row in seen.of("ok")), seen.output
    for host in HOSTS:
        assert lab.ssh(host, WRITTEN).split() == [], host
        assert list((lab.state / "nodes" / host / "var-tmp").iterdir()) == []
    assert not (tmp_path / "keys").exists()


def test_what_is_wrong_with_single_hosts_stands_first_and_hides_nobody_s_words(lab, tmp_path):
    lab.ssh("decode01", "ip link set nic0 mtu 1500")
    lab.ssh("decode02", "ip link set nic0 down")
    worker = "worker: {{port: 50051, address: {address}, known_hosts: '{{{{ lab_state }}}}/known_hosts', {more}}}\n"
    seen = look(
        lab,
        tmp_path,
        prefill01=worker.format(address="10.1.0.1", more="python: /opt/none/python3"),
        prefill02=worker.format(address="10.1.0.99", more=""),
        prefill03=worker.format(address="10.1.0.3", more="transport: verbs"),
        prefill04=worker.format(address="10.1.0.4", more="python: /bin/echo"),
    )
    assert seen.rc != 0
    reds = seen.of("RED")
    for text in (
        "prefill01: there is no /opt/none/python3; install Python 3.11, or set worker.python to its path",
        "prefill02: has no interface with 10.1.0.99, its address in the fabric",
        "prefill03: has no RDMA device, and is to send with verbs; set worker.device, or worker.transport: tcp",
        "prefill04: /bin/echo failed with status 0",
        "decode02: its link is down (nic0); see to the cable and the switch port",
        "the hosts differ in their MTU of the NIC: 1500 at decode01; 9000 at",
    ):
        assert any(text in row for row in reds), seen.output
    assert any("decode03, decode04: veth, MTU 9000" in row for row in seen.of("ok")), seen.output
