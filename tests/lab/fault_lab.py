"""A lab with one switch of every platform, and the ways in which such a switch can misbehave."""

import base64
import dataclasses
import difflib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pygnmi.spec.v080 import gnmi_pb2

from aibench_lib.journal import Journal
from aibench_lib.platforms import Cli, TextRestore, load_platform, platform_names
from aibench_lib.simulator import Parameters
from aibench_lib.switch import transaction
from aibench_lib.switch.setting import parse_setting
from aibench_lib.switch.target import Target, parse_target
from aibench_lib.topology import parse_topology
from aibench_lib.virtual_lab import nos
from aibench_lib.virtual_lab.faults import Faults, HangUp, Refusal
from aibench_lib.virtual_lab.inventory import LabSpec
from aibench_lib.virtual_lab.lab import VirtualLab

GOLDEN = Path(__file__).parents[1] / "golden" / "switch"
PORTS = {
    "arista_eos": ("Ethernet1", "Ethernet2"),
    "cisco_nxos": ("Ethernet1/1", "Ethernet1/2"),
    "sonic": ("Ethernet0", "Ethernet4"),
    "dell_sonic": ("Eth1/1", "Eth1/2"),
    "juniper_junos": ("et-0/0/0", "et-0/0/1"),
    "nokia_srlinux_cli": ("ethernet-1/1", "ethernet-1/2"),
    "nokia_srlinux": ("ethernet-1/1", "ethernet-1/2"),
    "cumulus_nvue": ("swp1", "swp2"),
}
PLATFORMS = [name for name in PORTS if name in platform_names() and name in nos.PLATFORMS]
OPTIONS: dict[str, dict[str, Any]] = {"sonic": {"priority_group": "3"}}
"""What differs from the options of the platform's golden files."""
NO_SUCH = "no-such-word"
HOUR = 3600.0


def host_of(platform: str) -> str:
    return platform.replace("_", "-")


def points(platform: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return a platform's options, and two settings of its ECN that differ."""
    golden = yaml.safe_load((GOLDEN / platform / "points.yml").read_text())
    options = {**golden["options"], **OPTIONS.get(platform, {})}
    options |= {name: list(PORTS[platform]) for name in ("interfaces", "uplinks") if name in options}
    first, second, *_ = [point["values"] for point in golden["points"].values() if point["feature"] == "ecn"]
    return options, first, second


@contextmanager
def fault_lab(state: Path, network: str) -> Iterator[VirtualLab]:
    """Bring a chain of switches up and down, one of each platform."""
    ends = ["h1:nic0"]
    for platform in PLATFORMS:
        ends += [f"{host_of(platform)}:{port}" for port in PORTS[platform]]
    ends.append("h2:nic0")
    topology = {
        "link_bps": 400_000_000_000,
        "switches": [host_of(platform) for platform in PLATFORMS],
        "hosts": ["h1", "h2"],
        "links": [ends[place : place + 2] for place in range(0, len(ends), 2)],
    }
    spec = LabSpec(parse_topology(topology, "topology"), {host_of(name): name for name in PLATFORMS}, Parameters())
    lab = VirtualLab(spec, network, state)
    lab.start()
    try:
        yield lab
    finally:
        lab.stop()


class Cell:
    """One platform that meets one fault: a run's folder, and the switch from both sides of its wires."""

    def __init__(self, lab: VirtualLab, platform: str, run_dir: Path, state: Path) -> None:
        self.platform = platform
        self.host = host_of(platform)
        self.options, self.values, self.other_values = points(platform)
        self.variables = {
            "ansible_host": lab.addresses[self.host],
            "ansible_port": 2222,
            "ansible_user": "admin",
            "ansible_password": (state / "password").read_text(),
            "switch": {
                "platform": platform,
                "known_hosts": str(state / "known_hosts"),
                "ca": str(state / "ca.pem"),
                **self.options,
            },
        }
        self.target: Target = parse_target(self.host, self.variables)
        self.run_dir = run_dir
        self.journal = Journal(run_dir / "journal.jsonl")
        self.switch: Any = lab.switches[self.host]
        self.faults: Faults = lab.faults[self.host]
        self.text = self.switch.running_text()
        self._writes = lambda: [what for name, what in lab.writes if name == self.host]
        self._written = len(self._writes())
        self._found = self._ours()
        """What an earlier cell has left."""
        self.faults_met = 0
        self.not_applicable = ""
        """Why the platform cannot meet this fault."""

    @property
    def cli(self) -> Cli | None:
        """How to talk to the command line; None where gNMI configures."""
        return load_platform(self.platform).cli

    def apply(self, target: Target | None = None) -> transaction.Change:
        return transaction.apply(target or self.target, "ecn", self.values, self.journal, self.run_dir)

    def restore(self, **how: bool) -> transaction.Restored:
        return transaction.restore(self.target, self.journal, self.run_dir, **how)

    def writes(self) -> list[str]:
        """Return what was written to the switch, or tried to, since the test began."""
        return self._writes()[self._written :]

    def but(self, **changed: Any) -> Target:
        return dataclasses.replace(self.target, **changed)

    def heal(self) -> None:
        self.faults.hear, self.faults.hear_set, self.faults.loses_answers = str, lambda request: request, False

    def rendered(self, values: dict[str, Any] | None = None) -> str:
        setting = parse_setting(self.target, "ecn", values or self.values)
        return setting.rendered(setting.requested)

    def left(self) -> list[str]:
        """Return what is left of us on the switch: differing lines, checkpoints, sessions, armed timers."""
        found = self._difference("is changed")
        found += sorted(self._ours() - self._found)
        with self.later(HOUR):
            found += self._difference("changes by itself after an hour")
        return found

    def _ours(self) -> set[str]:
        kinds = ("checkpoints", "sessions", "candidates", "files")
        names = {f"{kind}: {name}" for kind in kinds for name in getattr(self.switch, kind, {})}
        return {name for name in names if "aibench" in name}

    def _difference(self, what: str) -> list[str]:
        lines = difflib.unified_diff(self.text.splitlines(), self.switch.running_text().splitlines(), n=0, lineterm="")
        return [f"{what}: {line}" for line in list(lines)[2:]]

    @contextmanager
    def later(self, seconds: float) -> Iterator[None]:
        """Look at the switch when time has passed."""
        clocks = [
            (holder, name)
            for holder in (self.switch, *vars(self.switch).values())
            for name in ("now", "_now")
            if getattr(holder, name, None) is time.monotonic
        ]
        for holder, name in clocks:
            setattr(holder, name, lambda: time.monotonic() + seconds)
        try:
            yield
        finally:
            for holder, name in clocks:
                setattr(holder, name, time.monotonic)

    def hang_up(self) -> None:
        """Let the connection drop in the middle of the change."""
        self.faults.loses_answers = self.cli is None
        self._hears(self._inside(), _hang_up)

    def refuse(self) -> None:
        """Let the switch refuse a line in the middle of the change."""
        self.faults.hear_set = _refuse_set
        self._hears(self._inside(), _garbled)

    def refuse_restore_once(self) -> None:
        """Let the switch refuse the first way back, once."""
        once = iter([True])

        def hear_set(request: gnmi_pb2.SetRequest) -> gnmi_pb2.SetRequest:
            return _refuse_set(request) if next(once, False) else request

        self.faults.hear_set = hear_set
        if self.cli is not None:
            self._hears(_begins(self._way_back(self.cli)), _garbled)

    def round(self) -> None:
        """Let the switch make other values of what it is told."""
        told, made = self.rendered(), self.rendered(self.other_values)
        lines = {
            line.strip(): other.strip()
            for line, other in zip(told.splitlines(), made.splitlines(), strict=True)
            if line != other
        }
        encoded = {base64.b64encode(told.encode()).decode(): base64.b64encode(made.encode()).decode()}

        def hear(line: str) -> str:
            line = f"{lines.get(line.strip(), line.strip())}\n"
            for old, new in encoded.items():
                line = line.replace(old, new)
            return line

        def hear_set(request: gnmi_pb2.SetRequest) -> gnmi_pb2.SetRequest:
            for update, other in zip(request.update, yaml.safe_load(made), strict=True):
                if update.val.WhichOneof("value") == "json_ietf_val":
                    update.val.json_ietf_val = json.dumps(other["value"]).encode()
            return request

        self.faults.hear, self.faults.hear_set = hear, hear_set

    def _inside(self) -> Callable[[str], bool]:
        """Return whether a line is the one in the middle of the change."""
        if self.cli is None:
            return lambda _: False
        if self.cli.edit.file:
            return _begins((self.cli.edit.commit or (self.cli.dead_man and self.cli.dead_man.commit) or [""])[0])
        lines = [line.strip() for line in self.rendered().splitlines() if line.strip()]
        middle = lines[len(lines) // 2]
        return lambda line: line == middle

    def _way_back(self, cli: Cli) -> str:
        if cli.checkpoint:
            return next(command for command in cli.checkpoint.restore if "{checkpoint}" in command)
        if cli.from_text.by is TextRestore.FILE:
            return cli.from_text.load[0]
        return (cli.from_text.clear or cli.edit.commit or cli.edit.begin)[0]

    def _hears(self, wanted: Callable[[str], bool], fault: Callable[[str], str]) -> None:
        """Meet one line with a fault, the first that is wanted."""

        def hear(line: str) -> str:
            if not self.faults_met and wanted(line.strip()):
                self.faults_met += 1
                return fault(line)
            return line

        self.faults.hear = hear


def _begins(command: str) -> Callable[[str], bool]:
    """Return whether a line is a command whose placeholders are filled."""
    pattern = re.compile(re.sub(r"\\\{\w+\\\}", r".*", re.escape(command)))
    return lambda line: pattern.fullmatch(line) is not None


def _garbled(line: str) -> str:
    return f"{line.split()[0]} {NO_SUCH}\n"


def _hang_up(_: str) -> str:
    raise HangUp


def _refuse_set(_: gnmi_pb2.SetRequest) -> gnmi_pb2.SetRequest:
    raise Refusal("the commit was not accepted")
