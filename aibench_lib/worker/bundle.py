"""What an agent is made of on its host: wheels of what it imports, and one of its own code.

The wheels come from the network once and then from the wheelhouse on the controller, so that hosts need no network and
the controller none the second time.  They are those versions that are installed here.
"""

import fcntl
import hashlib
import importlib.metadata
import io
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aibench_lib import __version__
from aibench_lib.errors import LabError, SpecError
from aibench_lib.files import make_private_directory, write_whole

OLDEST_PYTHON = (3, 11)
"""That the agent runs with."""

_PACKAGES = ("grpcio", "typing-extensions", "protobuf", "numpy", "pyarrow")
_OWN = (
    "aibench_lib/__init__.py",
    "aibench_lib/errors.py",
    "aibench_lib/units.py",
    "aibench_lib/model.py",
    "aibench_lib/worker/__init__.py",
    "aibench_lib/worker/arrival.py",
    "aibench_lib/worker/samples.py",
    "aibench_lib/worker/agent_pb2.py",
    "aibench_lib/worker/agent_pb2_grpc.py",
    "aibench_lib/worker/agent/**/*.py",
    "aibench_lib/worker/transports/**/*.py",
)
"""Of this library, what an agent imports."""
_OLDEST_GLIBC = 17
"""Of manylinux2014: the oldest that any of the packages is built for."""
_DOWNLOAD_SECONDS = 600
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of all files in our wheel, so that the same code makes the same wheel."""


@dataclass(frozen=True, order=True)
class Platform:
    """What wheels must fit."""

    python: tuple[int, int]
    machine: str
    """As ``uname -m`` says it."""
    glibc: int
    """Minor version of glibc 2."""

    def __str__(self) -> str:
        return f"cp{self.python[0]}{self.python[1]}-glibc2.{self.glibc}-{self.machine}"

    def __post_init__(self) -> None:
        if self.python < OLDEST_PYTHON:
            raise SpecError(
                f"its Python is {self.python[0]}.{self.python[1]}, and the agent needs {OLDEST_PYTHON[0]}."
                f"{OLDEST_PYTHON[1]} or newer; install one, and set worker.python to its path"
            )


@dataclass(frozen=True)
class Wheel:
    """One file to push."""

    name: str
    content: Path | bytes
    size_bytes: int
    unpacked_bytes: int
    sha256: str

    def pieces(self) -> Iterator[bytes]:
        """Return the file's content."""
        if isinstance(self.content, bytes):
            yield self.content
            return
        with self.content.open("rb") as file:
            while piece := file.read(1 << 18):
                yield piece


@dataclass(frozen=True)
class Bundle:
    """All that is pushed to the hosts of one platform."""

    platform: Platform
    wheels: Sequence[Wheel]

    @property
    def stamp(self) -> str:
        """What tells this bundle from any other."""
        named = {wheel.name: wheel.sha256 for wheel in self.wheels}
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """The sum of the files."""
        return sum(wheel.size_bytes for wheel in self.wheels)

    @property
    def needed_bytes(self) -> int:
        """What a host needs on disk."""
        return sum(wheel.unpacked_bytes for wheel in self.wheels)


def platform_of(python: Sequence[int], machine: str, glibc: str) -> Platform:
    """Return the platform of a host that has described itself.

    Raises:
        SpecError: No agent can run there.
    """
    minor = re.fullmatch(r"2\.(\d+)", glibc)
    if not minor or int(minor[1]) < _OLDEST_GLIBC:
        has = f"glibc {glibc}" if glibc else "no glibc"
        raise SpecError(f"it has {has}, and the agent's packages need glibc 2.{_OLDEST_GLIBC} or newer")
    return Platform((python[0], python[1]), machine, int(minor[1]))


def make_bundle(platform: Platform, wheelhouse: Path, say: Callable[[str], None]) -> Bundle:
    """Return what hosts of a platform get; wheels that are not in the wheelhouse yet are downloaded into it.

    Args:
        platform: Of the hosts.
        wheelhouse: Folder with a folder for each platform.
        say: Called with a line when something is downloaded.

    Raises:
        LabError: A wheel is missing and cannot be downloaded; the message says which command to run where.
    """
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    folder = wheelhouse / str(platform)
    make_private_directory(folder)
    with _alone_in(folder):
        found = _find(folder, versions)
        if found is None:
            named = ", ".join(f"{name} {version}" for name, version in versions.items())
            say(f"agents: downloading {named} for {platform}")
            _download(platform, folder, versions)
            found = _find(folder, versions)
        if found is None:
            raise LabError("controller", f"{folder}: pip has not left the wheels there that it was asked for; empty it")
    return Bundle(platform, [*(_on_disk(path) for path in found), own_wheel()])


def own_wheel() -> Wheel:
    """Return a wheel of the agent's own code."""
    root = Path(__file__).parents[2]
    files = {str(path.relative_to(root)): path for pattern in _OWN for path in sorted(root.glob(pattern))}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, path in files.items():
            wheel.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    content = buffer.getvalue()
    return Wheel(
        name=f"aibench_agent-{__version__}-py3-none-any.whl",
        content=content,
        size_bytes=len(content),
        unpacked_bytes=sum(path.stat().st_size for path in files.values()),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _find(folder: Path, versions: Mapping[str, str]) -> list[Path] | None:
    """Return the wheel of each package, None if one is not there."""
    found = []
    for name, version in versions.items():
        wheels = sorted(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
        if not wheels:
            return None
        found.append(wheels[0])
    return found


def _download(platform: Platform, folder: Path, versions: Mapping[str, str]) -> None:
    """Let pip choose and fetch the wheels.

    Raises:
        LabError: It cannot.
    """
    tag = f"{platform.python[0]}{platform.python[1]}"
    linux = [f"manylinux_2_{minor}_{platform.machine}" for minor in range(platform.glibc, _OLDEST_GLIBC - 1, -1)]
    command = [
        *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--only-binary=:all:", "--no-deps"),
        *("--implementation", "cp", "--python-version", ".".join(map(str, platform.python))),
        *(word for abi in (f"cp{tag}", "abi3", "none") for word in ("--abi", abi)),
        *(word for name in (*linux, f"manylinux2014_{platform.machine}") for word in ("--platform", name)),
        *("--dest", str(folder)),
        *(f"{name}=={version}" for name, version in versions.items()),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=_DOWNLOAD_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise LabError("controller", _not_downloaded(folder, command, "pip took too long")) from error
    if done.returncode:
        why = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        said = " ".join((why or done.stderr.splitlines() or ["no reason given"])[-1].split())
        raise LabError("controller", _not_downloaded(folder, command, said))


def _not_downloaded(folder: Path, command: Sequence[str], why: str) -> str:
    """Return what to do, and leave a script that does it where there is a network."""
    script = folder / "download.sh"
    words = ["python3", *command[1:]]
    words[words.index(str(folder))] = "."
    write_whole(script, lambda file: file.write(f"{shlex.join(words)}\n".encode()), durable=False)
    return (
        f"the agents' wheels are not in {folder} and cannot be downloaded ({why}); run 'sh download.sh' in a copy of "
        "that folder where there is a network, and bring the wheels back into it"
    )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let one process at a time fill a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _on_disk(path: Path) -> Wheel:
    """Return a wheel of the wheelhouse.

    Raises:
        LabError: It is torn, or must be installed by more than unpacking it.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            entries = wheel.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise LabError(
            "controller", f"{path} cannot be read ({error}); delete it, and it is downloaded again"
        ) from error
    if any(".data/" in entry.filename for entry in entries):
        raise LabError(
            "controller", f"{path} is not installed by unpacking it alone; use another version of the package"
        )
    return Wheel(
        name=path.name,
        content=path,
        size_bytes=path.stat().st_size,
        unpacked_bytes=sum(entry.file_size for entry in entries),
        sha256=_digest(path),
    )


def _digest(path: Path) -> str:
    """Return a file's SHA-256, computed once for each content: the wheels are large."""
    beside = path.with_name(f".{path.name}.sha256")
    stat = path.stat()
    key = f"{stat.st_size} {stat.st_mtime_ns} "
    if beside.exists() and (known := beside.read_text(encoding="utf-8")).startswith(key):
        return known.removeprefix(key)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    write_whole(beside, lambda out: out.write(f"{key}{digest}".encode()), durable=False)
    return digest
