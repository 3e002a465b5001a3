"""The inventory's variables of a switch."""

import pytest

from aibench_lib.errors import SpecError
from aibench_lib.switch.target import parse_target


@pytest.fixture
def variables(tmp_path):
    (tmp_path / "known_hosts").touch()
    return {
        "ansible_host": "192.0.2.1",
        "ansible_port": 2222,
        "ansible_user": "admin",
        "ansible_password": "secret",
        "switch": {
            "platform": "arista_eos",
            "known_hosts": str(tmp_path / "known_hosts"),
            "queue": "3",
            "qos_profile": "ROCE",
        },
    }


def test_a_switch_is_what_its_variables_say(variables):
    target = parse_target("leaf1", variables)
    assert (target.host, target.address, target.port, target.platform) == ("leaf1", "192.0.2.1", 2222, "arista_eos")
    assert target.options == {"queue": "3", "qos_profile": "ROCE"}
    assert (target.gnmi_port, target.ca) == (None, None)


def test_the_address_is_the_name_if_nothing_else_is_given(variables):
    del variables["ansible_host"]
    assert parse_target("leaf1", variables).address == "leaf1"


def test_a_password_is_not_printed(variables):
    assert "secret" not in repr(parse_target("leaf1", variables))


def test_a_misspelt_key_names_host_key_and_the_nearest_known_one(variables):
    variables["switch"]["qos_profil"] = variables["switch"].pop("qos_profile")
    with pytest.raises(SpecError, match=r"leaf1: switch\.qos_profil: unknown key; did you mean 'qos_profile'\?"):
        parse_target("leaf1", variables)


@pytest.mark.parametrize("name", ["ansible_user", "ansible_password", "switch"])
def test_a_missing_variable_is_named(variables, name):
    del variables[name]
    with pytest.raises(SpecError, match=f"leaf1: {name}: missing"):
        parse_target("leaf1", variables)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("platform", "arista", r"leaf1: switch\.platform 'arista': .* known: arista_eos, .*nokia_srlinux, .*sonic"),
        ("platform", None, r"leaf1: switch\.platform"),
        ("gnmi_port", "https", r"leaf1: switch\.gnmi_port: 'https' is not a port"),
        ("gnmi_port", 70000, r"leaf1: switch\.gnmi_port: 70000 is not a port"),
        ("ca", "/nowhere/ca.pem", r"leaf1: switch\.ca: /nowhere/ca\.pem: no such file"),
        ("known_hosts", "/nowhere/kh", r"leaf1: switch\.known_hosts: /nowhere/kh: no such file"),
    ],
)
def test_a_wrong_value_is_one_line_with_host_and_key(variables, key, value, complaint):
    variables["switch"][key] = value
    with pytest.raises(SpecError, match=complaint):
        parse_target("leaf1", variables)


def test_a_switch_without_a_platform_is_refused(variables):
    variables["switch"] = {}
    with pytest.raises(SpecError, match=r"leaf1: switch\.platform: missing"):
        parse_target("leaf1", variables)
