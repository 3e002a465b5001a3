"""The driver against switches that others have written (fakenos, which knows `show` and no configuration)."""

import dataclasses
import importlib.util
import json
import socket
import subprocess
import sys

import paramiko
import pytest

from aibench_lib.errors import LabError
from aibench_lib.platforms import load_platform
from aibench_lib.switch.cli import CliSwitch
from aibench_lib.switch.target import Target

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("fakenos") is None, reason="fakenos is not installed (make .venv/installed-dev)"
)
SERVE = """
import json, sys, fakenos
fakenos.FakeNOS(inventory={"hosts": json.loads(sys.argv[1])}).start()
print("ready", flush=True)
"""
"""A process of its own: its threads end with it alone."""
EOS = load_platform("arista_eos")
assert EOS.cli is not None
NXOS = dataclasses.replace(
    EOS,
    cli=dataclasses.replace(
        EOS.cli, device_type="cisco_nxos", error_pattern="^Unknown command$", running_config="show running-config"
    ),
)
"""As far as fakenos goes: it words a refusal in its own way."""


def free_ports(count: int) -> list[int]:
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in with_ports]
    for server in with_ports:
        server.close()
    return ports


def host_key(port: int) -> str:
    """Return the line of a known_hosts file for the switch at a port."""
    transport = paramiko.Transport(("127.0.0.1", port))
    try:
        transport.start_client(timeout=10)
        key = transport.get_remote_server_key()
        return f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n"
    finally:
        transport.close()


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fakenos")
    ports = dict(zip(("arista_eos", "cisco_nxos"), free_ports(2), strict=True))
    hosts = {
        platform: {"username": "admin", "password": "secret", "port": port, "platform": platform}
        for platform, port in ports.items()
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, json.dumps(hosts)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        known_hosts = folder / "known_hosts"
        known_hosts.write_text("".join(host_key(port) for port in ports.values()))
        yield {
            platform: Target(
                host=platform,
                address="127.0.0.1",
                port=port,
                platform="arista_eos",
                username="admin",
                password="secret",
                known_hosts=str(known_hosts),
                options={},
            )
            for platform, port in ports.items()
        }
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def eos(targets):
    switch = CliSwitch(targets["arista_eos"], EOS)
    yield switch
    switch.close()


@pytest.fixture
def nxos(targets):
    switch = CliSwitch(targets["cisco_nxos"], NXOS)
    yield switch
    switch.close()


def test_a_running_configuration_of_others_is_read_without_its_comments(eos):
    lines = eos.comparable(eos.read_config())
    assert "transceiver qsfp default-mode 4x10G" in lines
    assert not [line for line in lines if line.startswith(("!", "end", "leaf"))]


def test_two_reads_of_a_running_configuration_are_the_same(eos):
    first = eos.comparable(eos.read_config())
    assert eos.comparable(eos.show("show running-config")) == first


def test_a_refused_configuration_is_one_line_that_names_the_command(eos):
    with pytest.raises(LabError) as caught:
        eos.apply("interface Ethernet1\n   shutdown\n", "change", 60)
    message = str(caught.value)
    assert message.startswith("arista_eos: refused 'configure session change': % Invalid input; nothing was committed")
    assert "\n" not in message


def test_a_refused_checkpoint_is_one_line_that_names_the_command(eos):
    with pytest.raises(
        LabError, match=r"^arista_eos: refused 'configure checkpoint save one': % Invalid input; [^\n]+$"
    ):
        eos.save_checkpoint("one")


def test_nexus_lets_the_driver_in_and_shows(nxos):
    assert "Cisco" in nxos.show("show version")


def test_what_nexus_refuses_is_one_line(nxos):
    with pytest.raises(LabError, match=r"^cisco_nxos: refused 'show running-config': Unknown command; [^\n]+$"):
        nxos.read_config()


def test_a_wrong_password_is_one_line(targets):
    with pytest.raises(LabError) as caught:
        CliSwitch(dataclasses.replace(targets["arista_eos"], password="wrong"), EOS)
    assert "\n" not in str(caught.value)
    assert "password" in str(caught.value)
