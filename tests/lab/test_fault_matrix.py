"""Every platform meets every fault: the switch is as it was, nothing of ours is left, and the message says what to do.

A cell looks at the switch from behind its wires.  The table of all cells stands at the end of pytest's output.
"""

import os

import asyncssh
import pytest
from fault_controller import hurry, killed
from fault_lab import PLATFORMS, Cell, fault_lab
from netmiko import base_connection

from aibench_lib.errors import LabError
from aibench_lib.run import lock
from aibench_lib.switch import transaction
from aibench_lib.switch.session import connect
from aibench_lib.switch.transaction import DEAD_MAN_SECONDS
from aibench_lib.virtual_lab.credentials import make_credentials

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(state):
    with pytest.MonkeyPatch.context() as patched, fault_lab(state, "127.189") as lab:
        patched.setattr(base_connection, "time", base_connection.time)
        hurry()
        yield lab


@pytest.fixture(params=PLATFORMS)
def cell(request, lab, state, tmp_path):
    """A platform; after the test its switch must be as it was."""
    cell = Cell(lab, request.param, tmp_path, state)
    fault = request.node.originalname.removeprefix("test_").replace("_", " ")
    outcome = ["cell", [cell.platform, fault, "left changed"]]
    request.node.user_properties.append(outcome)
    yield cell
    if cell.not_applicable:
        outcome[1][2] = "not applicable"
        return
    cell.heal()
    try:
        cell.restore()
    finally:
        left = cell.left()
    if not left:
        outcome[1][2] = "restored"
    assert left == []


def says(cell, raised, *cures):
    """Assert that a message names the host and what to do, in words for a person."""
    text = str(raised.value)
    assert text.startswith(f"{cell.host}: "), text
    assert any(cure in text for cure in cures), text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "when", ["checkpoint", "before", "inside", "unconfirmed", "confirmed", "after", "restoring", "rewriting"]
)
def test_kill_9(cell, when):
    if when == "checkpoint" and (cell.cli is None or cell.cli.checkpoint is None):
        cell.not_applicable = "the platform has no checkpoints"
        pytest.skip(cell.not_applicable)
    if when in ("restoring", "rewriting"):
        cell.apply()
    killed(when, cell.host, cell.variables, cell.values, cell.run_dir)
    if when == "after":
        assert cell.switch.running_text() != cell.text
    cell.restore()
    assert cell.left() == []


def test_kill_9_and_nobody_comes(cell):
    if cell.cli is None or cell.cli.dead_man is None:
        cell.not_applicable = "the platform takes nothing back by itself"
        pytest.skip(cell.not_applicable)
    killed("unconfirmed", cell.host, cell.variables, cell.values, cell.run_dir)
    assert cell.switch.running_text() != cell.text
    with cell.later(DEAD_MAN_SECONDS + 60):
        assert cell.switch.running_text() == cell.text


def test_connection_drops(cell):
    cell.hang_up()
    with pytest.raises(LabError) as raised:
        cell.apply()
    assert cell.cli is None or cell.faults_met == 1
    says(cell, raised, "broke at")
    cell.heal()
    cell.restore()
    assert cell.left() == []


def test_line_refused(cell):
    cell.refuse()
    with pytest.raises(LabError) as raised:
        cell.apply()
    assert cell.cli is None or cell.faults_met == 1
    says(cell, raised, "compare templates/")
    cell.heal()
    cell.restore()
    assert cell.left() == []


def test_device_rounds(cell):
    cell.round()
    change = cell.apply()
    assert change.programmed != change.requested
    applied = cell.journal.events()[-1]
    assert applied["programmed"] != applied["requested"]
    cell.heal()
    assert cell.restore().changed
    assert cell.left() == []


def test_restore_refused_once(cell):
    cell.apply()
    assert cell.switch.running_text() != cell.text
    cell.refuse_restore_once()
    assert cell.restore().changed
    assert cell.cli is None or cell.faults_met == 1
    assert len([event for event in cell.journal.events() if event["event"] == "restore_intended"]) == 2
    assert cell.left() == []


def test_two_runs_at_once(cell):
    own = lock.keys([cell.target])
    taken = lock.take(own, lock.holder(cell.run_dir, os.getpid()))
    try:
        with lock.held(cell.target, cell.run_dir, os.getpid()):
            cell.apply()
        with (
            pytest.raises(LabError, match=r"is using this lab for .*break_lock=true"),
            lock.held(cell.target, cell.run_dir.parent, os.getpid()),
        ):
            cell.apply()
    finally:
        lock.release(taken)
    cell.restore()
    assert cell.left() == []


def test_somebody_else_changes_it(cell):
    cell.apply()
    with connect(cell.target) as switch:
        switch.apply(cell.rendered(cell.other_values), "somebody-else")
    theirs = cell.switch.running_text()
    with pytest.raises(LabError) as raised:
        cell.restore()
    says(cell, raised, "-e overwrite_foreign_changes=true")
    assert "@@" in str(raised.value)
    assert cell.switch.running_text() == theirs
    assert cell.restore(overwrite_foreign_changes=True).changed
    assert cell.left() == []


def test_check_writes_nothing(cell):
    change = transaction.preview(cell.target, "ecn", cell.values)
    assert change.changed
    assert change.after
    assert cell.writes() == []
    cell.apply()
    written = cell.writes()
    assert written
    way = transaction.preview_restore(cell.target, cell.journal, cell.run_dir)
    assert way.changed
    assert cell.writes() == written


def test_slots_full(cell):
    if cell.cli is None or cell.cli.checkpoint is None:
        cell.not_applicable = "the platform has no checkpoints"
        pytest.skip(cell.not_applicable)
    room, cell.switch.max_checkpoints = cell.switch.max_checkpoints, len(cell.switch.checkpoints)
    try:
        with pytest.raises(LabError) as raised:
            cell.apply()
    finally:
        cell.switch.max_checkpoints = room
    says(cell, raised, "nothing was changed:")
    assert cell.left() == []


def test_wrong_password(cell):
    with pytest.raises(LabError) as raised:
        cell.apply(cell.but(password="wrong"))
    says(cell, raised, "check ansible_user and ansible_password")


def test_host_key_changed(cell, tmp_path):
    wrong = tmp_path / "wrong"
    if cell.cli is None:
        wrong.write_bytes(make_credentials([cell.host], [cell.target.address]).ca)
        target, cure = cell.but(ca=str(wrong)), "check that"
    else:
        key = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
        wrong.write_text(f"[{cell.target.address}]:2222 {key}")
        target, cure = cell.but(known_hosts=str(wrong)), "if the switch was replaced"
    with pytest.raises(LabError) as raised:
        cell.apply(target)
    says(cell, raised, cure)
