"""Job: a switch that marks what it queues; who counts the marks."""

import re
import subprocess
from pathlib import Path

from rdma_vm.guest.operations import listed
from rdma_vm.guest.pair import trial
from rdma_vm.guest.results import Results

_TC = ("tc", "-n", "switch")
_SLOW = "root handle 1: tbf rate 60mbit burst 64k limit 4m"
_MARKS = (
    "parent 1:1 handle 10: red limit 2000000 min 30000 max 90000 avpkt 4200 burst 15 probability 0.5 bandwidth 60mbit"
)


def _tc(*words: str) -> str:
    return subprocess.run([*_TC, *words], capture_output=True, text=True, check=True).stdout


def _counted(name: str) -> int:
    """Return a counter of this host's IP layer."""
    names, values = (line.split() for line in Path("/proc/net/netstat").read_text().splitlines() if "IpExt" in line)
    return int(values[names.index(name)])


def _red() -> dict[str, int]:
    """Return what the RED queue has sent, marked and dropped [packets]."""
    said = _tc("-s", "qdisc", "show", "dev", "s2").partition("qdisc red")[2]
    sent = re.search(r"Sent \d+ bytes (\d+) pkt", said)
    marked = re.search(r"marked (\d+) early (\d+)", said)
    return {"sent": int(sent[1]), "marked": int(marked[1]), "dropped": int(marked[2])}


def _case(results: Results, name: str, **options: object) -> None:
    before, marks = _red(), _counted("InCEPkts")
    outcome = trial(listed("write_with_imm", 2, (1 << 20,)), verify=True, **options)
    growth = {key: value - before[key] for key, value in _red().items()}
    statuses = [row[8] for row in outcome.samples]
    results.add(name, {**growth, "seen": _counted("InCEPkts") - marks, "statuses": statuses})


if __name__ == "__main__":
    found = Results()
    _tc("qdisc", "add", "dev", "s2", *_SLOW.split())
    _tc("qdisc", "add", "dev", "s2", *_MARKS.split(), "ecn", "nodrop")
    _case(found, "capable")
