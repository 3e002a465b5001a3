"""How long 64 simulated switches take for a setting and its restore, beside netmiko's login and one show.

Run it as a program: ``python tests/bench/bench_switches.py``.  Everything runs on this machine, the switches too.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from netmiko import ConnectHandler

from aibench_lib.virtual_lab import daemon

ROOT = Path(__file__).resolve().parents[2]
NETWORK = "127.96"
LEAVES, SPINES = 62, 2
PLAY = [
    {
        "name": "One setting",
        "hosts": "switches",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Apply, or restore",
                "aibench_setting": {
                    "state": "{{ state }}",
                    "feature": "ecn",
                    "values": {"ecn_threshold_bytes": 100_000},
                    "run_dir": "{{ run_dir }}",
                },
            }
        ],
    }
]
EOS = {
    "platform": "arista_eos",
    "known_hosts": "{{ lab_state }}/known_hosts",
    "ca": "{{ lab_state }}/ca.pem",
    "queue": "3",
    "priority": "3",
    "qos_profile": "ROCE",
    "mmu_profile": "ROCE",
}


def inventory(folder: Path, state: Path) -> list[str]:
    """Write an inventory of a Clos of EOS switches and return their names."""
    leaves = [f"leaf{number}" for number in range(1, LEAVES + 1)]
    spines = [f"spine{number}" for number in range(1, SPINES + 1)]
    links = [[f"host{number}:nic0", f"{leaf}:Ethernet1"] for number, leaf in enumerate(leaves, 1)]
    links += [
        [f"{leaf}:Ethernet{48 + up}", f"{spine}:Ethernet{number}"]
        for number, leaf in enumerate(leaves, 1)
        for up, spine in enumerate(spines, 1)
    ]
    switches = [*leaves, *spines]
    topology = {
        "link_bps": 400_000_000_000,
        "switches": switches,
        "hosts": [f"host{number}" for number in range(1, LEAVES + 1)],
        "links": links,
    }
    host = {
        name: {"ansible_host": f"{NETWORK}.0.{number}", "ansible_port": 2222} for number, name in enumerate(switches, 1)
    }
    files = {
        "hosts.yml": {"all": {"children": {"switches": {"hosts": host}}}},
        "group_vars/all/topology.yml": {"topology": topology},
        "group_vars/all/simulation.yml": {"simulation": {}},
        "group_vars/all/lab.yml": {
            "lab_state": str(state),
            "ansible_user": "admin",
            "ansible_password": f"{{{{ lookup('ansible.builtin.file', '{state}/password') }}}}",
            "ansible_connection": "local",
            "switch": EOS,
        },
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    return switches


def timed(what: str, work: Callable[[], object]) -> float:
    """Print and return how long a piece of work takes [s]."""
    before, begin = os.times(), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - begin, os.times()
    busy = after.user + after.children_user + after.system + after.children_system
    busy -= before.user + before.children_user + before.system + before.children_system
    print(f"{what:<64}{seconds:>7.1f} s, controller's CPU {busy:>5.1f} s")  # noqa: T201 - a bench prints
    return seconds


def main() -> None:
    """Bring up the lab, run the play, and take the lab down."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        state, run_dir = folder / "state", folder / "run"
        run_dir.mkdir()
        switches = inventory(folder / "inventory", state)
        (folder / "play.yml").write_text(yaml.safe_dump(PLAY))
        daemon.up(folder / "inventory", state, NETWORK, os.getpid(), lambda text: None)
        password = (state / "password").read_text()

        def show(number: int) -> None:
            with ConnectHandler(
                device_type="arista_eos",
                host=f"{NETWORK}.0.{number}",
                port=2222,
                username="admin",
                password=password,
                ssh_strict=True,
                system_host_keys=False,
                alt_host_keys=True,
                alt_key_file=str(state / "known_hosts"),
            ) as connection:
                connection.enable()
                connection.send_command("show running-config")

        def bare() -> None:
            with ThreadPoolExecutor(10) as pool:
                list(pool.map(show, range(1, len(switches) + 1)))

        def play(which: str) -> None:
            extra = json.dumps({"state": which, "run_dir": str(run_dir)})
            command = ["ansible-playbook", "-i", str(folder / "inventory"), str(folder / "play.yml"), "-e", extra]
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

        try:
            reference = timed(f"netmiko alone: login, show running-config, {len(switches)} switches", bare)
            applied = timed(f"aibench_setting applied and read back, {len(switches)} switches", lambda: play("applied"))
            restored = timed(f"aibench_setting restored and proven, {len(switches)} switches", lambda: play("restored"))
        finally:
            daemon.down(state)
    print(f"{'ratio to netmiko alone: applied, restored':<64}{applied / reference:>7.1f}, {restored / reference:.1f}")  # noqa: T201 - a bench prints


if __name__ == "__main__":
    sys.exit(main())
