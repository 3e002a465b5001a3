"""The worked example of docs/adding_a_platform.md, done as it says: a folder more, no Python, a switch to try it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```\w+\n# (templates/\S+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
# What a run does with a switch, on a leaf of the virtual lab that the inventory says to be of the new platform.
USER = """
import sys
from pathlib import Path
from switch_lab import switch_lab
from aibench_lib.journal import Journal
from aibench_lib.switch import transaction
from aibench_lib.switch.target import parse_target

folder = Path(sys.argv[1])
run_dir = folder / "run"
run_dir.mkdir()
with switch_lab(folder / "lab", "127.130") as lab:
    variables = lab.variables("leaf1")
    files = {name: variables["switch"][name] for name in ("ca", "known_hosts")}
    variables["switch"] = {"platform": "my_switch", "queue": "3", "qos_profile": "ROCE", **files}
    target = parse_target("leaf1", variables)
    journal = Journal(run_dir / "journal.jsonl")
    before = lab.running("leaf1")
    change = transaction.apply(target, "ecn", {"ecn_threshold_bytes": 100_000}, journal, run_dir)
    print(change.programmed)
    assert "minimum-threshold 100000 bytes" in lab.running("leaf1")
    transaction.restore(target, journal, run_dir)
    assert lab.running("leaf1") == before
"""


@pytest.mark.slow
def test_the_worked_example_configures_a_switch_and_brings_it_back(tmp_path):
    for package in ("aibench_lib", "templates"):
        shutil.copytree(ROOT / package, tmp_path / package)  # with what Numba has compiled
    blocks = BLOCK.findall((ROOT / "docs" / "adding_a_platform.md").read_text())
    assert [name for name, _ in blocks] == ["templates/my_switch/platform.yml", "templates/my_switch/ecn.j2"]
    (tmp_path / "templates" / "my_switch").mkdir()
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT / 'tests' / 'lab'}"}
    done = subprocess.run(
        [sys.executable, "-c", USER, str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "{'kmin_bytes': 100000, 'kmax_bytes': 100000, 'probability_percent': 100}\n"
