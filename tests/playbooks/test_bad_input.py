"""What a user can get wrong: one clear line each, no traceback, no changed switch."""

import json
import shutil

import pytest
from playbook_lab import INVENTORY, ONE_TRIAL

pytestmark = pytest.mark.slow


def refused(lab, played, *words):
    """Assert one clear line, an exit code, and switches that nobody wrote to."""
    assert played.rc != 0
    text = "\n".join(played.failures)
    assert all(word in text for word in words), played.output
    assert "Traceback" not in played.output
    assert lab.virtual.writes == []


def edited_inventory(lab, file, old, new):
    copy = lab.folder / "inventory"
    shutil.copytree(INVENTORY, copy)
    path = copy / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return copy


def test_an_unknown_test(lab):
    refused(lab, lab.play(tests="8.9"), "tests:", "'8.9' is no test of the draft")


def test_a_test_that_this_version_cannot_run(lab):
    refused(
        lab, lab.play("routing.yml", tests="9.2"), "9.2 (Prefix-Aware Cache Hit Rate) cannot be run by this version"
    )


def test_an_unknown_profile(lab):
    refused(lab, lab.play(profile="fast"), "there is no profile 'fast'")


def test_a_misspelt_variable_of_the_command_line(lab):
    refused(lab, lab.play(test="8.1"), "test: unknown variable; did you mean 'tests'")


def test_a_misspelt_variable_of_the_inventory(lab):
    inventory = edited_inventory(lab, "group_vars/all/lab.yml", "influxdb_url:", "influxdb_ulr:")
    refused(lab, lab.play(inventory=inventory), "influxdb_ulr: unknown variable; did you mean 'influxdb_url'")


def test_a_misspelt_key_of_a_switch(lab):
    inventory = edited_inventory(lab, "group_vars/arista_eos.yml", "qos_profile:", "qos_profil:")
    refused(lab, lab.play(inventory=inventory), "switch.qos_profil: unknown key; did you mean 'qos_profile'")


def test_a_misspelt_key_of_the_topology(lab):
    inventory = edited_inventory(lab, "group_vars/all/topology.yml", "link_bps:", "link_bsp:")
    refused(lab, lab.play(inventory=inventory), "topology.link_bsp: unknown key; did you mean 'link_bps'")


def test_a_misspelt_key_of_a_profile(lab):
    profiles = {"one": {**ONE_TRIAL, "trails": 3}}
    refused(lab, lab.play(profiles=profiles), "profiles.one.trails: unknown key; did you mean 'trials'")


def test_a_lab_that_is_not_said_to_be_isolated(lab):
    refused(lab, lab.play(isolated_lab=False), "isolated_lab: must be true", "Section 15")


def test_a_wrong_password(lab):
    refused(lab, lab.play(ansible_password="guess"), "leaf1", "password")


def test_an_unreachable_switch(lab):
    inventory = edited_inventory(lab, "group_vars/arista_eos.yml", "ansible_port: 2222", "ansible_port: 2223")
    played = lab.play(inventory=inventory)
    assert played.rc != 0
    assert any("leaf1" in line and "2223" in line for line in played.failures), played.output
    assert {event["host"] for event in lab.events("snapshot_taken")} == {
        event["host"] for event in lab.events("restored")
    }


def test_a_database_without_its_token(lab):
    refused(lab, lab.play(influxdb_url="http://127.0.0.1:9"), "influxdb_token: missing")


def test_a_dead_database_is_an_anomaly_of_a_run_that_is_complete(lab):
    database = {"influxdb_token": "t", "influxdb_organisation": "o", "influxdb_bucket": "b"}
    played = lab.play(influxdb_url="http://127.0.0.1:9", **database)
    assert played.rc == 0, played.output
    run = json.loads((lab.journal().path.parent / "run.json").read_text())
    assert run["trials_done"] == 20
    assert any("127.0.0.1:9" in anomaly["text"] for anomaly in run["anomalies"])


def test_a_device_that_refuses_a_command(lab):
    inventory = edited_inventory(lab, "group_vars/arista_eos.yml", "qos_profile: ROCE", "qos_profile: RO CE")
    before = lab.running()
    played = lab.play(inventory=inventory)
    assert played.rc != 0
    failure = next(line for line in played.failures if "leaf1" in line)
    assert "refused 'qos profile RO CE'" in failure
    assert "Traceback" not in played.output
    assert lab.running() == before
    assert lab.events("trial_done") == []
