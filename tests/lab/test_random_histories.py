"""Random histories of every platform over its wires: what is reported is programmed, and all of it is taken back."""

import os
import random
import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml
from fault_lab import GOLDEN, PLATFORMS, PORTS, Cell, fault_lab
from random_history import Draw, Drawer, lose_checkpoint

from aibench_lib.errors import LabError, NotAttainable
from aibench_lib.platforms import load_platform
from aibench_lib.switch import transaction
from aibench_lib.switch.session import connect
from aibench_lib.switch.setting import parse_setting
from aibench_lib.units import NS_PER_MS, NS_PER_US
from aibench_lib.virtual_lab.srlinux.switch import SrlinuxSwitch

SEED = os.environ.get("AIBENCH_SEED", "1")
"""Another one makes other histories."""
ROUNDS = int(os.environ.get("AIBENCH_ROUNDS", "2"))
"""Of a platform; each is a run on a switch that its operator has changed before."""
STEPS = 3
QUEUE = PRIORITY = 3

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(state):
    with fault_lab(state, "127.203") as lab:
        yield lab


class History:
    """What happened to one switch, for the message of a failure."""

    def __init__(self, lab: Any, platform: str, folder: Path, state: Path) -> None:
        self.dice = random.Random(f"{SEED} {platform}")
        self.make = lambda number: Cell(lab, platform, _folder(folder / str(number)), state)
        self.cell = self.make(0)
        points = yaml.safe_load((GOLDEN / platform / "points.yml").read_text())["points"]
        self.platform = load_platform(platform)
        self.draw = Drawer(self.platform, list(points.values()), PORTS[platform], self.cell.options, self.dice)
        self.told: list[str] = []

    def operator(self) -> None:
        """Let the operator change something, who keeps no record."""
        feature, values = self.draw.attainable()
        setting = parse_setting(self.cell.target, feature, values)
        name = f"operator-{len(self.told)}"
        self.told.append(f"the operator's {feature} {values}")
        if setting.facts.template is None:
            return
        try:
            with connect(self.cell.target) as switch:
                switch.apply(setting.rendered(setting.requested), name)
        except LabError as error:
            self.told.append(f"  refused: {error}")

    def run(self) -> None:
        """Make the changes of a run, and take them back."""
        cell = self.cell
        for _ in range(STEPS):
            self.dice.choice([self.change, self.change, self.change, self.preview, self.exceed])()
        if self.dice.random() < 0.5:  # every other time
            self.lose_checkpoint()
        self.restore()
        assert cell.left() == []

    def change(self) -> None:
        feature, values = self.draw.attainable()
        self.told.append(f"apply {feature} {values}")
        cell = self.cell
        try:
            done = transaction.apply(cell.target, feature, values, cell.journal, cell.run_dir)
        except LabError as error:
            self.told.append(f"  refused: {error}")
            if "read back" in str(error):
                raise
            self.restore()
            return
        self.told.append(f"  programmed {dict(done.programmed)}")
        check_effect(cell, feature, values, done.programmed)
        text, written = cell.switch.running_text(), len(cell.writes())
        again = transaction.apply(cell.target, feature, values, cell.journal, cell.run_dir)
        assert again.programmed == done.programmed
        assert cell.switch.running_text() == text
        if done.programmed == done.requested:
            assert cell.writes()[written:] == []

    def preview(self) -> None:
        feature, values = self.draw.attainable()
        self.told.append(f"preview {feature} {values}")
        text, written = self.cell.switch.running_text(), len(self.cell.writes())
        transaction.preview(self.cell.target, feature, values)
        transaction.preview_restore(self.cell.target, self.cell.journal, self.cell.run_dir)
        assert self.cell.writes()[written:] == []
        assert self.cell.switch.running_text() == text

    def exceed(self) -> None:
        draw: Draw | None = self.draw.unattainable()
        if draw is None:
            return
        feature, values = draw
        self.told.append(f"exceed {feature} {values}")
        events, written = len(self.cell.journal.events()), len(self.cell.writes())
        with pytest.raises(NotAttainable):
            transaction.apply(self.cell.target, feature, values, self.cell.journal, self.cell.run_dir)
        assert len(self.cell.journal.events()) == events
        assert self.cell.writes()[written:] == []

    def restore(self) -> None:
        self.told.append("restore")
        transaction.restore(self.cell.target, self.cell.journal, self.cell.run_dir)
        assert self.cell.switch.running_text() == self.cell.text

    def lose_checkpoint(self) -> None:
        """Remove our checkpoint behind the wires, so that the text alone is left."""
        self.told.append("the checkpoint is lost")
        lose_checkpoint(self.cell.switch, self.cell.journal)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def check_effect(cell: Cell, feature: str, values: dict[str, Any], programmed: Any) -> None:
    """Assert that the simulated fabric does what was reported as programmed; it knows nothing of the templates."""
    check = _CHECKS.get(feature)
    if check:
        check(cell.switch, PORTS[cell.platform], values, programmed)


def _check_ecn(switch: Any, ports: Any, _: Any, programmed: Any) -> None:
    for marking in (switch.ecn(port, QUEUE) for port in ports):
        if marking is None and isinstance(switch, SrlinuxSwitch):
            continue  # which marks nothing where / qos explicit-congestion-notification is missing
        assert (marking.kmin_bytes, marking.kmax_bytes) == (programmed["kmin_bytes"], programmed["kmax_bytes"])
        assert round(marking.pmax * 100) == programmed["probability_percent"]


def _check_pfc_priority(switch: Any, ports: Any, _: Any, programmed: Any) -> None:
    assert {switch.pfc(port, PRIORITY) is not None for port in ports} == {programmed["pfc"] == "on"}


def _check_pfc(switch: Any, ports: Any, _: Any, programmed: Any) -> None:
    for pfc in (switch.pfc(port, PRIORITY) for port in ports):
        assert pfc is not None
        if "pfc_threshold_bytes" in programmed and pfc.xoff_bytes is not None:
            assert pfc.xoff_bytes == programmed["pfc_threshold_bytes"]
        if "headroom_bytes" in programmed:
            assert pfc.headroom_bytes == programmed["headroom_bytes"]


def _check_watchdog(switch: Any, ports: Any, _: Any, programmed: Any) -> None:
    for watchdog in (switch.watchdog(port) for port in ports):
        if programmed["watchdog"] == "off":
            assert watchdog is None
        elif watchdog is not None:  # the ports may have no PFC to be watched
            times = (watchdog.detection_ns, watchdog.restoration_ns)
            assert times == (programmed["detection_ms"] * NS_PER_MS, programmed["recovery_ms"] * NS_PER_MS)


def _check_load_balancing(switch: Any, _: Any, __: Any, programmed: Any) -> None:
    # Which port is the best is up to the switch: the simulated ones take that with the shortest queue.
    words = ("packet_spray", "least_queue") if programmed["load_balancing"] == "packet_spray" else ()
    assert switch.load_balancing().mode in (*words, programmed["load_balancing"])
    if programmed.get("flowlet_gap_us"):
        assert switch.load_balancing().flowlet_gap_ns == programmed["flowlet_gap_us"] * NS_PER_US


def _check_interface(switch: Any, _: Any, values: Any, programmed: Any) -> None:
    assert switch.is_shut(values["interface"]) == (programmed["admin"] == "down")


def _check_routes(switch: Any, _: Any, __: Any, programmed: Any) -> None:
    there = {(str(route.prefix), str(route.next_hop)) for route in switch.static_routes()}
    assert set(programmed["next_hop"].items()) <= there


_CHECKS = {
    "ecn": _check_ecn,
    "pfc_priority": _check_pfc_priority,
    "pfc": _check_pfc,
    "pfc_watchdog": _check_watchdog,
    "load_balancing": _check_load_balancing,
    "interface": _check_interface,
    "routing_detour": _check_routes,
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_is_reported_is_programmed_and_all_of_it_is_taken_back(lab, state, tmp_path, platform):
    history = History(lab, platform, tmp_path, state)
    try:
        for number in range(1, ROUNDS + 1):
            for _ in range(3):
                history.operator()
            history.cell = history.make(number)
            history.run()
    except (AssertionError, LabError, pytest.fail.Exception) as error:
        told = "\n".join(history.told)
        pytest.fail(f"{told}\n{traceback.format_exc()}\n{error}", pytrace=False)
