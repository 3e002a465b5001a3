"""What the kernel lab needs of the machine it runs on, and what that kernel can do."""

import ipaddress
import json
import os
import shutil
import subprocess
from pathlib import Path

from aibench_lib.errors import LabError

HOST = "kernel lab"
"""Opens the messages of everything that is about no single node."""
FRR = Path("/usr/lib/frr")
SSHD = Path("/usr/sbin/sshd")
_PROBED = ("red limit 60000 min 10000 max 20000 avpkt 1000 burst 15 bandwidth 10mbit ecn", "netem loss 1%")


def check_machine() -> None:
    """Check that the lab can be built here.

    Raises:
        LabError: Something is missing; the message says how to get it.
    """
    if os.geteuid() != 0:
        raise LabError(HOST, "network namespaces need root; start it as root, or with sudo")
    for what, there in (
        ("FRR and its reload script (apt install frr frr-pythontools)", (FRR / "frr-reload.py").exists()),
        ("OpenSSH's server (apt install openssh-server)", SSHD.exists()),
        ("ip and tc (apt install iproute2)", shutil.which("tc") and shutil.which("ip")),
        ("unshare and setpriv (apt install util-linux)", shutil.which("setpriv") and shutil.which("unshare")),
    ):
        if not there:
            raise LabError(HOST, f"needs {what}")


def check_network(network: str) -> None:
    """Check that no interface of this machine has an address of the lab's network.

    Args:
        network: First two octets.

    Raises:
        LabError: One has.
    """
    block = ipaddress.IPv4Network(f"{network}.0.0/16")
    for interface in json.loads(run("ip", "-j", "-4", "address")):
        for own in interface.get("addr_info", ()):
            if "local" in own and ipaddress.IPv4Address(own["local"]) in block:
                raise LabError(
                    HOST,
                    f"{interface['ifname']} of this machine has the address {own['local']} of the lab's network; take "
                    "down the lab that uses it, or choose another network with -e lab_network=172.30",
                )


def disciplines() -> list[str]:
    """Return what the kernel has of ``red``, a queueing discipline that marks (ECN), and ``netem``, one that loses."""
    found = []
    for words in _PROBED:
        name = words.split()[0]
        command = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", *words.split()]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            found.append(name)
    return found


def run(*command: str, told: str = "") -> str:
    """Run a command and return what it prints.

    Args:
        command: Words.
        told: What it reads from its standard input.

    Raises:
        LabError: It fails.
    """
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise LabError(HOST, f"`{' '.join(command)}` failed: {said}")
    return done.stdout
