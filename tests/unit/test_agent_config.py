"""The agent's configuration file: what it must say, and what it must not."""

import json
from pathlib import Path

import pytest

from aibench_lib.errors import SpecError
from aibench_lib.model import LabKind
from aibench_lib.worker.agent.config import read_config

SETTINGS = {
    "host": "prefill1",
    "bind": "192.0.2.1",
    "port": 50051,
    "ca": "/k/ca.pem",
    "cert": "/k/host.pem",
    "key": "/k/host.key",
    "lab": "hardware",
    "address": "198.51.100.1",
}


@pytest.fixture
def written(tmp_path):
    def write(**changed):
        settings = {key: value for key, value in (SETTINGS | changed).items() if value != "left out"}
        path = tmp_path / "agent.json"
        path.write_text(json.dumps(settings))
        return path

    return write


def test_what_is_left_out_has_its_usual_value(written):
    config = read_config(written())
    assert (config.lab, config.ca, config.port) == (LabKind.HARDWARE, Path("/k/ca.pem"), 50051)
    assert (config.device, config.gid_index, config.transport, config.folder) == ("", None, "", None)
    assert (config.lease_seconds, dict(config.dscp)) == (60.0, {})


def test_everything_may_be_said(written, tmp_path):
    config = read_config(
        written(device="mlx5_0", gid_index=3, transport="tcp", lease_seconds=5, folder=str(tmp_path), dscp={"3": 24})
    )
    assert (config.device, config.gid_index, config.transport) == ("mlx5_0", 3, "tcp")
    assert (config.lease_seconds, config.folder, config.dscp) == (5.0, tmp_path, {3: 24})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"host": "left out"}, "'host' is missing"),
        ({"hots": "x"}, "'hots' is no setting of an agent; there are host, bind, port"),
        ({"host": ""}, "host: '' must be a text that is not empty"),
        ({"bind": "leaf1"}, "bind: 'leaf1' is no IP address"),
        ({"port": "50051"}, "port: '50051' must be a whole number, 0 to 65535"),
        ({"port": True}, "port: True must be a whole number, 0 to 65535"),
        ({"key": "host.key"}, "key: 'host.key' must be an absolute path"),
        ({"lab": "simulated"}, "lab: 'simulated' is not one of kernel, hardware"),
        ({"device": "../x"}, "device: '../x' must be the name of an RDMA device, or empty"),
        ({"gid_index": -1}, "gid_index: -1 must be a whole number, 0 to 65535"),
        ({"transport": "udp"}, "transport: 'udp' is not one of verbs, nixl, perftest, tcp"),
        ({"lease_seconds": 0}, "lease_seconds: 0 must be a positive number"),
        ({"dscp": {"8": 1}}, "dscp: '8' is no priority, 0 to 7"),
        ({"dscp": {"3": 64}}, "dscp: 64 must be a whole number, 0 to 63"),
        ({"dscp": [26]}, "dscp: [26] must be an object: priority to DSCP"),
    ],
)
def test_a_wrong_setting_is_one_line_with_file_and_key(written, changed, words):
    path = written(**changed)
    with pytest.raises(SpecError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}: {words}")


def test_a_file_that_is_none_or_no_object_is_one_line(tmp_path):
    path = tmp_path / "agent.json"
    for content, words in ((None, "cannot be read"), ("{", "is no JSON"), ("[]", "must be an object of settings")):
        if content is not None:
            path.write_text(content)
        with pytest.raises(SpecError, match=f"agent.json: {words}"):
            read_config(path)


@pytest.mark.parametrize("folder", ["/", "/var/tmp/of-somebody-else", str(Path.home().parent)])
def test_a_folder_that_is_not_the_agent_s_own_is_never_deleted(written, folder):
    with pytest.raises(SpecError, match="is no folder of this agent alone"):
        read_config(written(folder=folder))
