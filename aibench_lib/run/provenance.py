"""Where a run's results come from: versions, the commit, hashes of what went in."""

import hashlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from aibench_lib import __version__

_PACKAGES = ("ansible-core", "netmiko", "pygnmi", "grpcio", "numba", "numpy", "pandas", "pyarrow", "influxdb-client")


def versions() -> dict[str, str]:
    """Return the versions of aibench, Python, the system and the packages a result depends on."""
    found = {"aibench": __version__, "python": platform.python_version(), "system": platform.platform()}
    return {**found, **{name: metadata.version(name) for name in _PACKAGES}}


def git_commit(folder: Path) -> str | None:
    """Return the commit checked out in ``folder``, with ``-dirty`` where files differ from it; None outside git."""
    try:
        described = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()


def folder_sha256(folder: Path) -> str:
    """Return one hash over the names and contents of a folder's files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
