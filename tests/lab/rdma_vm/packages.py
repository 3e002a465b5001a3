"""The Debian packages that the guest is made of: downloaded by apt-get, kept, unpacked; nothing is installed."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

PACKAGES = (
    # a shell, its tools, and the modules' loader
    *(
        "busybox-static",
        "dash",
        "kmod",
        "libkmod2",
        "libc6",
        "libgcc-s1",
        "zlib1g",
        "libzstd1",
        "liblzma5",
        "libcrypt1",
    ),
    # Python
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libpython3.11", "libssl3", "libexpat1"),
    *("libffi8", "libbz2-1.0", "libuuid1"),
    "libstdc++6",  # of gRPC and Arrow, where an agent runs
    # verbs
    *("libibverbs1", "ibverbs-providers", "librdmacm1", "libnl-3-200", "libnl-route-3-200", "python3-pyverbs"),
    *("perftest", "libibumad3", "libpci3", "libudev1"),
    # ip, tc, rdma
    *("iproute2", "libbpf1", "libelf1", "libmnl0", "libbsd0", "libmd0", "libcap2", "libselinux1", "libpcre2-8-0"),
    "libxtables12",
)
PROGRAMS = ("qemu-system-x86_64", "setpriv", "apt-get", "apt-cache", "dpkg-deb", "tar")


class CannotBuildError(Exception):
    """The guest cannot be had here; one line that says why, for the reason of a skipped test."""


def missing() -> str:
    """Return the programs that this machine lacks; empty: none."""
    return ", ".join(name for name in PROGRAMS if not shutil.which(name))


def kernel_package() -> str:
    """Return the name of Debian's present kernel package; the cloud kernel has no soft-RoCE."""
    said = _output("apt-cache", "depends", "linux-image-amd64")
    found = re.search(r"linux-image-\d\S+-amd64\b", said)
    if not found:
        raise CannotBuildError("apt-cache knows no kernel package (linux-image-amd64): no Debian, or no package lists")
    return found.group()


def download(names: tuple[str, ...], kept: Path) -> list[Path]:
    """Return the packages' files, downloading those that are not in the folder already."""
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as empty:  # apt prints nothing for a file that is in its folder already
        lines = _output("apt-get", "download", "--print-uris", *names, cwd=empty).splitlines()
        files = [re.sub(r".*' (\S+) \d+.*", r"\1", line) for line in lines if line.startswith("'")]
        wanted = [file.partition("_")[0] for file in files if not (kept / file).exists()]
        if wanted:
            _output("apt-get", "download", "-qq", *wanted, cwd=empty)
            for file in Path(empty).glob("*.deb"):
                shutil.move(file, kept / file.name)
    return [kept / file for file in files]


def unpack(packages: list[Path], root: Path) -> None:
    """Unpack whole packages into a folder."""
    root.mkdir(parents=True)
    for package in packages:
        _output("dpkg-deb", "-x", str(package), str(root))


def unpack_some(package: Path, root: Path, patterns: tuple[str, ...]) -> None:
    """Unpack the files of a package that match."""
    root.mkdir(parents=True)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as tar:
        command = ["tar", "-x", "-C", root, "--wildcards", *(f"./{pattern}" for pattern in patterns)]
        subprocess.run(command, stdin=tar.stdout, check=True)


def _output(*command: str, cwd: str | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise CannotBuildError(f"{' '.join(command[:2])}: {said}")
    return done.stdout
