"""What is pushed to a host: all that an agent imports, in the versions that are installed here, and nothing else."""

import ast
import io
import os
import subprocess
import sys
import zipfile

import pytest

from aibench_lib.errors import LabError, SpecError
from aibench_lib.worker import bundle
from aibench_lib.worker.bundle import Platform, make_bundle, own_wheel, platform_of

HERE = Platform((3, 11), "x86_64", 36)
ALLOWED = {"grpc", "google", "numpy", "pyarrow", "pyverbs", "nixl", "typing_extensions", "aibench_lib"}
"""What an agent may import beside the standard library."""


def sources():
    """Return name -> parsed source of every file in our wheel."""
    with zipfile.ZipFile(io.BytesIO(own_wheel().content)) as wheel:
        return {name: ast.parse(wheel.read(name)) for name in wheel.namelist() if name.endswith(".py")}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_whatever_an_agent_imports_of_this_library_is_in_its_wheel():
    files = sources()
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files}
    needed = {name for tree in files.values() for name in imported(tree) if name.split(".")[0] == "aibench_lib"}
    assert needed - modules == set()
    assert "aibench_lib.worker.agent.__main__" in modules


def test_an_agent_imports_nothing_that_is_not_pushed():
    names = {name.split(".")[0] for tree in sources().values() for name in imported(tree)}
    assert names - set(sys.stdlib_module_names) - ALLOWED == set()


def test_the_controllers_side_stays_on_the_controller():
    names = list(sources())
    assert not [name for name in names if name.rpartition("/")[2] in ("authority.py", "shell.py", "coordinator.py")]


def test_the_same_code_makes_the_same_wheel():
    assert own_wheel().sha256 == own_wheel().sha256


@pytest.mark.parametrize(
    ("python", "machine", "glibc", "message"),
    [
        ([3, 9], "x86_64", "2.34", r"its Python is 3.9, and the agent needs 3.11 or newer; install one"),
        ([3, 11], "x86_64", "", "it has no glibc, and the agent's packages need glibc 2.17 or newer"),
        ([3, 11], "x86_64", "2.12", "it has glibc 2.12, and the agent's packages need"),
    ],
)
def test_a_host_that_no_agent_runs_on_is_refused(python, machine, glibc, message):
    with pytest.raises(SpecError, match=message):
        platform_of(python, machine, glibc)


def test_a_platform_has_a_folder_of_its_own():
    assert str(platform_of([3, 12], "aarch64", "2.39")) == "cp312-glibc2.39-aarch64"


def offline(monkeypatch):
    """Let pip find nothing, wherever it would look."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def test_without_wheels_and_without_a_network_the_way_out_is_said_and_left(tmp_path, monkeypatch):
    offline(monkeypatch)
    said = []
    with pytest.raises(LabError) as refused:
        make_bundle(HERE, tmp_path, said.append)
    folder = tmp_path / "cp311-glibc2.36-x86_64"
    assert f"the agents' wheels are not in {folder} and cannot be downloaded (No matching" in str(refused.value)
    assert "run 'sh download.sh' in a copy of that folder where there is a network" in str(refused.value)
    assert said[0].startswith("agents: downloading grpcio ")
    script = (folder / "download.sh").read_text()
    assert "pip download" in script
    assert str(tmp_path) not in script
    subprocess.run(["sh", "-n", folder / "download.sh"], check=True)


def fake_wheels(tmp_path, extra=""):
    folder = tmp_path / str(HERE)
    folder.mkdir(parents=True)
    for name in bundle._PACKAGES:
        version = bundle.importlib.metadata.version(name)
        with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}{extra}/__init__.py", "content = 1\n")
    return folder


def test_wheels_that_are_there_need_no_network(tmp_path, monkeypatch):
    offline(monkeypatch)
    fake_wheels(tmp_path)
    said = []
    made = make_bundle(HERE, tmp_path, said.append)
    assert said == []
    assert len(made.wheels) == len(bundle._PACKAGES) + 1
    assert made.size_bytes == sum(len(b"".join(wheel.pieces())) for wheel in made.wheels)
    assert made.stamp == make_bundle(HERE, tmp_path, said.append).stamp


def test_a_wheel_with_other_content_makes_another_bundle(tmp_path, monkeypatch):
    offline(monkeypatch)
    folder = fake_wheels(tmp_path)
    before = make_bundle(HERE, tmp_path, print).stamp
    with zipfile.ZipFile(next(folder.glob("numpy-*.whl")), "a") as wheel:
        wheel.writestr("numpy/more.py", "")
    assert make_bundle(HERE, tmp_path, print).stamp != before


def test_a_torn_wheel_is_named(tmp_path):
    torn = next(fake_wheels(tmp_path).glob("numpy-*.whl"))
    torn.write_bytes(torn.read_bytes()[:40])
    with pytest.raises(LabError, match=f"{torn} cannot be read .*; delete it, and it is downloaded again"):
        make_bundle(HERE, tmp_path, print)


def test_a_wheel_that_unpacking_does_not_install_is_refused(tmp_path):
    fake_wheels(tmp_path, extra="-1.data")
    with pytest.raises(LabError, match="is not installed by unpacking it alone"):
        make_bundle(HERE, tmp_path, print)
