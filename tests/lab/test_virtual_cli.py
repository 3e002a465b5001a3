"""The virtual lab's EOS switches as the stock netmiko driver sees them."""

import netmiko
import pytest
from netmiko.exceptions import ConfigInvalidException
from virtual_fabric import fabric

ECN = [
    "qos profile ROCE",
    "uc-tx-queue 3",
    "random-detect ecn minimum-threshold 100000 bytes maximum-threshold 100000 bytes max-mark-probability 100 weight 0",
    "random-detect ecn count",
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with fabric(tmp_path_factory.mktemp("lab"), "127.101") as running:
        yield running


@pytest.fixture
def leaf1(lab):
    with lab.cli("leaf1") as session:
        session.enable()
        yield session


def in_session(session, lines, name="change"):
    session.send_config_set(
        lines, config_mode_command=f"configure session {name}", exit_config_mode=False, error_pattern="% "
    )


def running(session):
    return session.send_command("show running-config")


def test_the_driver_connects_to_an_unprivileged_prompt_and_enables(lab):
    with lab.cli("leaf1") as session:
        assert session.find_prompt() == "leaf1>"
        assert "privileged mode required" in session.send_command("show running-config")
        session.enable()
        assert session.find_prompt() == "leaf1#"


def test_a_wrong_password_is_refused(lab):
    with pytest.raises(netmiko.NetmikoAuthenticationException):
        lab.cli("leaf1", password="guess")


def test_a_committed_session_takes_effect_and_its_diff_is_then_empty(leaf1):
    before = running(leaf1)
    in_session(leaf1, ECN)
    assert running(leaf1).replace("(config-s-change-qos-profile-ROCE-txq-3)", "") == before, "a candidate does not run"
    diff = leaf1.send_command("show session-config diffs")
    assert [line for line in diff.splitlines() if line.startswith("+ ")] == [f"+      {line}" for line in ECN[2:]]
    leaf1.send_command("commit", expect_string="leaf1#")
    assert "100000 bytes" in leaf1.send_command("show qos interfaces ethernet 33 ecn")
    in_session(leaf1, ECN, "again")
    assert leaf1.send_command("show session-config diffs") == ""
    leaf1.send_command("abort", expect_string="leaf1#")


def test_an_aborted_session_leaves_nothing_behind(leaf1):
    before = running(leaf1)
    in_session(leaf1, ["interface Ethernet1", "shutdown"])
    leaf1.send_command("abort", expect_string="leaf1#")
    assert running(leaf1) == before
    assert "change" not in leaf1.send_command("show configuration sessions")


def test_a_clean_config_session_restores_a_pasted_configuration(leaf1):
    before = running(leaf1)
    leaf1.send_config_set(["interface Ethernet2", "description changed", "no qos profile ROCE"], error_pattern="% ")
    assert running(leaf1) != before
    lines = [line for line in before.splitlines() if line != "end"]
    in_session(leaf1, ["rollback clean-config", *lines], "restore")
    leaf1.send_command("commit", expect_string="leaf1#")
    assert running(leaf1) == before


def test_a_checkpoint_brings_the_configuration_back(leaf1):
    before = running(leaf1)
    leaf1.send_command("configure checkpoint save good")
    leaf1.send_config_set(["interface Ethernet3", "mtu 1500"], error_pattern="% ")
    leaf1.send_command("configure replace checkpoint:good")
    assert running(leaf1) == before


def test_saving_copies_the_running_to_the_startup_configuration(leaf1):
    leaf1.send_config_set(["interface Ethernet4", "description saved"], error_pattern="% ")
    assert "description saved" not in leaf1.send_command("show startup-config")
    assert "Copy completed" in leaf1.save_config()
    assert "description saved" in leaf1.send_command("show startup-config")


@pytest.mark.parametrize("line", ["quos profile ROCE", "interface Ethernet99", "hostname"])
def test_a_refused_line_stops_the_driver(leaf1, line):
    with pytest.raises(ConfigInvalidException, match="% In"):
        leaf1.send_config_set([line], error_pattern="% In")


def test_showing_is_no_write_and_a_refused_line_is(lab, leaf1):
    seen = len(lab.lab.writes)
    running(leaf1)
    leaf1.send_command("show interfaces status")
    assert lab.lab.writes[seen:] == []
    leaf1.send_config_set(["mtu 9000"])
    assert lab.lab.writes[seen:] == [("leaf1", "mtu 9000")]
