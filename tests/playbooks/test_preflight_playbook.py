"""The preflight as a user runs it: one table, what stops a run first, and an exit code."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

from playbook_lab import INVENTORY, ROOT, Lab

from aibench_lib.virtual_lab.eos.cli import Cli

MARKS = ("RED", "yellow", "ok")


@dataclass
class Seen:
    """What a user sees at the terminal."""

    rc: int
    output: str

    @property
    def rows(self) -> list[str]:
        """The rows of the table, each with what is wrapped below it."""
        rows: list[str] = []
        for line in self.output.splitlines():
            if line.startswith("   ") and rows:
                rows[-1] += f" {line.strip()}"
            elif line.split(maxsplit=1)[:1] in [[mark] for mark in MARKS]:
                rows.append(line.strip())
        return rows

    def of(self, mark: str) -> list[str]:
        return [row for row in self.rows if row.startswith(f"{mark} ")]


def look(lab: Lab, *arguments: str, inventory: Path = INVENTORY, **variables: object) -> Seen:
    """Run the preflight from the repository's root, with the output that a user gets."""
    command = lab.command("preflight.yml", *arguments, inventory=inventory, **variables)
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "playbooks" / "ansible.cfg")}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return Seen(ended.returncode, ended.stdout + ended.stderr)


def configure(lab: Lab, switch: str, *lines: str) -> None:
    """Type lines of configuration into a switch, as an operator would."""
    session = Cli(lab.virtual.switches[switch])
    for line in ("enable", "configure", *lines, "end"):
        session.answer(line)


def test_the_default_lab_is_ready_for_a_run_and_is_not_written_to(lab):
    writes = len(lab.virtual.writes)
    seen = look(lab)
    assert seen.rc == 0, seen.output
    assert seen.of("RED") == []
    assert any("5 of 5 switches let us in" in row for row in seen.of("ok")), seen.output
    assert any("73 hosts answer" in row for row in seen.of("ok")), seen.output
    assert "ready for a run" in seen.output
    assert len(lab.virtual.writes) == writes
    assert not lab.results.exists()


def test_what_would_stop_a_run_comes_first_and_is_a_failure(lab):
    configure(lab, "leaf1", "interface Ethernet49", "shutdown", "interface Ethernet50", "ip address 8.8.8.8/31")
    seen = look(lab, isolated_lab=False)
    assert seen.rc != 0
    marks = [row.split()[0] for row in seen.rows]
    assert marks == sorted(marks, key=MARKS.index)
    for text in (
        "isolated_lab: true",
        "leaf1:Ethernet50: has the public address 8.8.8.8/31",
        "leaf1:Ethernet49: is shut",
    ):
        assert any(text in row for row in seen.of("RED")), seen.output
    assert "put that right before a run" in seen.output


def test_what_an_earlier_run_left_on_a_switch_is_told(lab):
    session = Cli(lab.virtual.switches["leaf1"])
    for line in ("enable", "configure checkpoint save aibench-old-1", "configure session aibench-old-c1", "end"):
        session.answer(line)
    seen = look(lab)
    assert seen.rc == 0, seen.output
    assert any("leaf1: has aibench-old-1, left by an earlier run" in row for row in seen.of("yellow")), seen.output
    assert any("leaf1: has aibench-old-c1 open" in row for row in seen.of("yellow")), seen.output


def test_a_switch_that_is_down_hides_nobody_s_findings(lab):
    inventory = copytree(INVENTORY, lab.folder / "inventory")
    (inventory / "host_vars").mkdir()
    (inventory / "host_vars" / "spine2.yml").write_text("ansible_host: 127.0.99.99\n")
    configure(lab, "leaf1", "interface Ethernet49", "shutdown")
    seen = look(lab, inventory=inventory)
    assert seen.rc != 0
    assert any("spine2: unreachable" in row for row in seen.of("RED")), seen.output
    assert any("leaf1:Ethernet49: is shut" in row for row in seen.of("RED")), seen.output


def test_a_check_run_looks_as_well(lab):
    seen = look(lab, "--check")
    assert seen.rc == 0, seen.output
    assert "ready for a run" in seen.output
