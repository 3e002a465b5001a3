"""Transactions against both kinds of switch of the virtual lab: real SSH, real gNMI, a log of what was written."""

import asyncio
import dataclasses
import socket

import asyncssh
import pytest
from switch_lab import SWITCHES, switch_lab

from aibench_lib.errors import LabError, SpecError
from aibench_lib.journal import Journal
from aibench_lib.switch import transaction
from aibench_lib.switch.cli import CliSwitch
from aibench_lib.switch.session import connect
from aibench_lib.switch.target import parse_target

REFUSED = {
    "leaf1": ({"queue": "9"}, r"leaf1: refused 'uc-tx-queue 9': % Invalid input"),
    "spine1": ({"qos_profile": "default"}, r"spine1: refused Set .*name 'default' is reserved"),
}
STEP = {"ecn_threshold_bytes": 100_000}

CHECKPOINT = {"leaf1": ["checkpoint_intended", "checkpoint_saved"], "spine1": []}
"""What the journal says where the switch keeps a checkpoint."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with switch_lab(tmp_path_factory.mktemp("lab"), "127.131") as lab:
        yield lab


@pytest.fixture(params=SWITCHES)
def variables(request, lab):
    """A switch's name and the inventory's variables of it."""
    return request.param, lab.variables(request.param)


@pytest.fixture
def target(variables):
    return parse_target(*variables)


@pytest.fixture
def journal(tmp_path, target):
    """A run's journal; whatever the test has changed is restored at its end."""
    journal = Journal(tmp_path / "journal.jsonl")
    yield journal
    transaction.restore(target, journal, tmp_path)


@pytest.fixture
def writes(lab, target):
    """Return what was written to the switch since the test began."""
    before = len(lab.writes(target.host))
    return lambda: lab.writes(target.host)[before:]


def config(target):
    with connect(target) as switch:
        return switch.comparable(switch.read_config())


def words(journal):
    return [event["event"] for event in journal.events()]


def test_a_setting_is_applied_and_read_back(target, journal, tmp_path):
    change = transaction.apply(target, "ecn", STEP, journal, tmp_path)
    assert change.changed
    assert change.programmed == change.requested
    assert change.requested["kmin_bytes"] == change.requested["kmax_bytes"] == 100_000
    assert words(journal) == ["snapshot_taken", *CHECKPOINT[target.host], "change_intended", "change_applied"]


def test_a_slope_is_applied_and_read_back(target, journal, tmp_path):
    slope = {"kmin_bytes": 500_000, "kmax_bytes": 5_000_000, "probability_percent": 20}
    assert transaction.apply(target, "ecn", slope, journal, tmp_path).programmed.items() >= slope.items()


def test_a_restored_switch_is_what_it_was(target, journal, tmp_path):
    before = config(target)
    for threshold in (100_000, 5_000_000):
        transaction.apply(target, "ecn", {"ecn_threshold_bytes": threshold}, journal, tmp_path)
    assert config(target) != before
    assert transaction.unrestored(journal) == [target.host]
    assert transaction.restore(target, journal, tmp_path).changed
    assert config(target) == before
    assert transaction.unrestored(journal) == []


def test_a_restored_switch_is_left_alone(target, journal, tmp_path, writes):
    transaction.apply(target, "ecn", STEP, journal, tmp_path)
    transaction.restore(target, journal, tmp_path)
    sent = writes()
    assert not transaction.restore(target, journal, tmp_path).changed
    assert writes() == sent


def test_what_is_already_there_is_not_sent_again(target, journal, tmp_path, writes):
    transaction.apply(target, "ecn", STEP, journal, tmp_path)
    sent = writes()
    change = transaction.apply(target, "ecn", STEP, journal, tmp_path)
    assert not change.changed
    assert change.before == change.after
    assert writes() == sent
    assert journal.events()[-1]["changed"] is False


def test_a_preview_shows_the_change_and_writes_nothing_anywhere(target, tmp_path, writes):
    before = config(target)
    change = transaction.preview(target, "ecn", STEP)
    assert change.changed
    assert change.before == ""
    assert "100000" in change.after
    assert writes() == []
    assert config(target) == before
    assert list(tmp_path.iterdir()) == []


def test_a_preview_of_a_restore_shows_the_way_back_and_writes_nothing(target, journal, tmp_path, writes):
    transaction.apply(target, "ecn", STEP, journal, tmp_path)
    sent, told = writes(), words(journal)
    way = transaction.preview_restore(target, journal, tmp_path)
    assert way.changed
    assert "100000" in way.before
    assert "100000" not in way.after
    assert (writes(), words(journal)) == (sent, told)


def test_a_value_that_is_not_attainable_is_refused_before_anything_is_sent(target, journal, tmp_path, writes):
    with pytest.raises(
        SpecError, match=rf"not attainable: kmin_bytes and kmax_bytes 50000000000000000000 > max .* \({target.host};"
    ):
        transaction.apply(target, "ecn", {"ecn_threshold_bytes": 50_000_000_000_000_000_000}, journal, tmp_path)
    assert writes() == []
    assert words(journal) == []


def test_a_refused_change_leaves_the_switch_as_it_was(target, journal, tmp_path, writes):
    before = config(target)
    options, complaint = REFUSED[target.host]
    wrong = dataclasses.replace(target, options={**target.options, **options})
    with pytest.raises(LabError, match=complaint):
        transaction.apply(wrong, "ecn", STEP, journal, tmp_path)
    assert config(target) == before
    sent = writes()
    assert not transaction.restore(target, journal, tmp_path).changed
    told = ["snapshot_taken", *CHECKPOINT[target.host], "change_intended", "restore_started", "restored"]
    assert words(journal) == told
    assert [what for what in writes()[len(sent) :] if "delete checkpoint" not in what and "abort" not in what] == []


@pytest.mark.parametrize("variables", ["leaf1"], indirect=True)
def test_a_refused_session_is_aborted_and_not_left_pending(target, journal, tmp_path, writes):
    wrong = dataclasses.replace(target, options={**target.options, "queue": "9"})
    with pytest.raises(LabError):
        transaction.apply(wrong, "ecn", STEP, journal, tmp_path)
    assert writes()[-1].endswith(": abort")


@pytest.fixture
def banner(monkeypatch):
    """Every configuration that is read begins with a banner, whose lines cannot be typed one by one."""
    running = CliSwitch._running_config
    monkeypatch.setattr(CliSwitch, "_running_config", lambda switch: f"banner motd\nhello\nEOF\n{running(switch)}")


@pytest.mark.parametrize("variables", ["leaf1"], indirect=True)
@pytest.mark.usefixtures("banner")
def test_a_switch_with_a_banner_is_brought_back_by_its_own_checkpoint(target, journal, tmp_path):
    transaction.apply(target, "ecn", STEP, journal, tmp_path)
    assert transaction.restore(target, journal, tmp_path).changed
    assert [event["method"] for event in journal.events() if event["event"] == "restore_intended"] == [
        f"its checkpoint {event['checkpoint']}" for event in journal.events() if event["event"] == "checkpoint_saved"
    ]


@pytest.mark.parametrize("variables", ["leaf1"], indirect=True)
@pytest.mark.usefixtures("banner")
def test_a_switch_that_nothing_could_bring_back_is_not_changed(target, journal, tmp_path, writes, monkeypatch):
    connected = CliSwitch._connect

    def without_checkpoints(switch):
        switch._cli = dataclasses.replace(switch._cli, checkpoint=None)
        connected(switch)

    monkeypatch.setattr(CliSwitch, "_connect", without_checkpoints)
    with pytest.raises(LabError, match="leaf1: its configuration has 'banner motd', which cannot be written back"):
        transaction.apply(target, "ecn", STEP, journal, tmp_path)
    assert writes() == []
    assert words(journal) == []


def test_a_wrong_password_is_told_as_such(target, writes):
    with pytest.raises(
        LabError, match=rf"^{target.host}: wrong user name or password for 'admin' at .*ansible_password$"
    ):
        transaction.preview(dataclasses.replace(target, password="wrong"), "ecn", STEP)
    assert writes() == []


def test_an_address_where_nobody_listens_is_unreachable(target):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        closed = holder.getsockname()[1]
        nowhere = dataclasses.replace(target, address="127.0.0.1", port=closed, gnmi_port=closed)
        with pytest.raises(LabError, match=rf"^{target.host}: unreachable at 127\.0\.0\.1:{closed} "):
            transaction.preview(nowhere, "ecn", STEP)


@pytest.mark.parametrize("variables", ["leaf1"], indirect=True)
def test_a_host_key_that_changed_is_not_trusted(target, tmp_path):
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[{target.address}]:2222 {other}")
    changed = dataclasses.replace(target, known_hosts=str(known_hosts))
    with pytest.raises(LabError, match=rf"host key of {target.address}:2222 is not the one in {known_hosts}"):
        transaction.preview(changed, "ecn", STEP)
    known_hosts.write_text("")
    with pytest.raises(LabError, match=rf"host key of {target.address}:2222 is not in {known_hosts}"):
        transaction.preview(changed, "ecn", STEP)


@pytest.mark.parametrize("variables", ["leaf1"], indirect=True)
def test_the_switch_itself_marks_from_the_threshold_on(target, journal, tmp_path):
    transaction.apply(target, "ecn", STEP, journal, tmp_path)

    async def ask():
        options = {"username": "admin", "password": target.password, "known_hosts": target.known_hosts}
        async with asyncssh.connect(target.address, 2222, **options) as client:
            return (await client.run("show qos interfaces Ethernet1 ecn")).stdout

    row = next(line.split() for line in asyncio.run(ask()).splitlines() if line.startswith("UC3"))
    assert row == ["UC3", "100000", "bytes", "100000", "bytes", "100", "ROCE"]
