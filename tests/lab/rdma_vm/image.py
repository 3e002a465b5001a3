"""Make the guest's kernel and file system, once: some 15 to 30 s, and 85 MB of packages.

They are kept in ``~/.cache/aibench`` (``XDG_CACHE_HOME``), or in the folder for temporary files where that cannot be
written.  The image is made anew when one of the files it depends on here has changed; deleting the folder is safe.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rdma_vm import kernel, packages
from rdma_vm.archive import Tree

_HERE = Path(__file__).resolve().parent
_LOADER = "lib64/ld-linux-x86-64.so.2"
_LEFT_OUT = re.compile(
    r"/__pycache__/"
    r"|^usr/lib/python3\.11/.*\.py$"  # compiled; compiling at each start costs the guest seconds
    r"|^usr/lib/python3\.11/(test|idlelib|lib2to3|tkinter|turtle\w*|ensurepip|distutils|pydoc_data)/"
    r"|^usr/lib/python3/dist-packages/pyverbs/providers/"
    r"|^usr/lib/x86_64-linux-gnu/(gconv|engines-3|ossl-modules|audit)/"
    r"|^usr/lib/x86_64-linux-gnu/libibverbs/(?!librxe)|^etc/libibverbs\.d/(?!rxe)"
    r"|^usr/share/(?!iproute2)|^usr/lib/debug|^etc/(init\.d|cron)|^lib/systemd|\.a$"
)
_FORGOTTEN_SECONDS = 7 * 24 * 3600
"""An image that nobody has used for so long is deleted."""
_FOLDERS = ("proc", "sys", "dev", "run", "tmp", "root", "mnt", "job", "src", "var")


@dataclass(frozen=True)
class Image:
    """The two files that QEMU starts."""

    kernel: Path
    files: Path


def kept() -> Path:
    """Return the folder that images and packages are kept in."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aibench"
    try:
        usual.mkdir(parents=True, exist_ok=True)
    except OSError:
        usual = Path(tempfile.gettempdir()) / f"aibench-{os.getuid()}"
        usual.mkdir(mode=0o700, exist_ok=True)
    return usual if os.access(usual, os.W_OK) else Path(tempfile.mkdtemp())


def ready() -> Image:
    """Return the image, making it if it is not there.

    Raises:
        packages.CannotBuildError: It cannot be made here.
    """
    lacking = packages.missing()
    if lacking:
        raise packages.CannotBuildError(f"needs {lacking} (apt install qemu-system-x86)")
    sources = sorted([*_HERE.glob("*.py"), _HERE / "guest/init.sh"])
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources if file.name != "machine.py"))
    folder = kept() / "rdma_vm" / digest.hexdigest()[:16]
    image = Image(folder / "vmlinux", folder / "files.cpio")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs may want it at once
        if not image.files.exists():
            _make(image)
    folder.touch()
    for other in folder.parent.iterdir():
        if time.time() - other.stat().st_mtime > _FORGOTTEN_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
    return image


def _make(image: Image) -> None:
    debs = kept() / "debs"
    linux = packages.download((packages.kernel_package(),), debs)[0]
    others = packages.download(packages.PACKAGES, debs)
    with tempfile.TemporaryDirectory(prefix="aibench-rdma-vm-") as scratch:
        root, linux_root = Path(scratch) / "root", Path(scratch) / "linux"
        packages.unpack(others, root)
        packages.unpack_some(linux, linux_root, kernel.PATTERNS)
        tree = Tree()
        _compile(root)
        _add_packages(tree, root)
        _add_applets(tree, root)
        _add_modules(tree, root, linux_root)
        tree.file("init", (_HERE / "guest/init.sh").read_bytes(), 0o755)
        image.kernel.write_bytes(kernel.elf(next(linux_root.glob("boot/vmlinuz-*")).read_bytes()))
        tree.write(image.files)


def _in_root(root: Path, program: str, *arguments: str, name: str = "") -> str:
    """Run a program of the unpacked packages with their own libraries, and return what it prints."""
    libraries = ":".join(str(root / folder / "x86_64-linux-gnu") for folder in ("lib", "usr/lib"))
    command = [str(root / _LOADER), "--library-path", libraries, *(["--argv0", name] if name else [])]
    surroundings = {"PATH": os.environ["PATH"], "PYTHONHOME": str(root / "usr"), "PYTHONHASHSEED": "0"}
    command += [str(root / program), *arguments]
    return subprocess.run(command, env=surroundings, check=True, stdout=subprocess.PIPE, text=True).stdout


def _compile(root: Path) -> None:
    folders = (str(root / "usr/lib/python3.11"), str(root / "usr/lib/python3/dist-packages"))
    options = (
        "-B",
        "-s",
        "-S",
        "-m",
        "compileall",
        "-b",
        "-qq",
        "-x",
        "lib2to3/tests|/test/",
        "-s",
        str(root),
        "-p",
        "/",
    )
    _in_root(root, "usr/bin/python3.11", *options, "--invalidation-mode", "unchecked-hash", *folders)


def _add_packages(tree: Tree, root: Path) -> None:
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if _LEFT_OUT.search(name + ("/" if path.is_dir() and not path.is_symlink() else "")):
            continue
        # Debian's /bin, /sbin and /lib are links into /usr, but its packages do not say so
        tree.take(path, re.sub(r"^(s?bin|lib|lib64)(/|$)", r"usr/\1\2", name))
    for name in ("bin", "sbin", "lib", "lib64"):
        tree.folder(f"usr/{name}")
        tree.link(name, f"usr/{name}")
    for name in _FOLDERS:
        tree.folder(name)
    tree.link("usr/bin/python3", "python3.11")
    tree.link("usr/bin/sh", "dash")  # busybox's own shell takes its own ip for ip, whatever PATH says
    tree.device("dev/console", 5, 1)
    tree.device("dev/null", 1, 3)
    tree.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    tree.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
    tree.file("etc/hosts", b"127.0.0.1 localhost\n")


def _add_applets(tree: Tree, root: Path) -> None:
    for applet in _in_root(root, "bin/busybox", "--list").split():
        if f"usr/sbin/{applet}" not in tree:
            tree.link(f"usr/bin/{applet}", "/bin/busybox")


def _add_modules(tree: Tree, root: Path, linux_root: Path) -> None:
    modules = next(linux_root.glob("lib/modules/*"))
    place = Path("lib/modules") / modules.name
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / place
        folder.mkdir(parents=True)
        for file in [*kernel.closure(modules), *modules.glob("modules.*")]:
            shutil.copy(file, folder)
        _in_root(root, "bin/kmod", "-b", base, modules.name, name="depmod")
        for file in folder.iterdir():
            tree.file(f"usr/{place}/{file.name}", file.read_bytes())
