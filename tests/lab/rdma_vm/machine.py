"""Boot the guest, run one command in it, and return what it left behind.

    done = machine.run("python3 -m rdma_vm.guest.operations", folder=tmp_path, hosts=2)
    assert done.status == 0, done.log

In the guest there are the hosts 10.0.0.1 .. 10.0.0.N with the devices rxe1 .. rxeN.  The command's folder is ``/job``,
this machine's ``folder``, readable and writable on both sides.  The repository is ``/src``, read only; it and its
``tests/lab`` are on PYTHONPATH.  Python is Debian's 3.11 with pyverbs and the standard library alone.  ``ib_write_bw``
and the like are on PATH; both ends of a pair run in one guest: ``ib_write_bw -d rxe2 -x 1 &``, and then ``ib_write_bw
-d rxe1 -x 1 127.0.0.1``.  There is one CPU: whoever polls must yield.
"""

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rdma_vm import image

REPOSITORY = Path(__file__).resolve().parents[3]
_QEMU = (
    *("setpriv", "--pdeathsig", "KILL"),  # a guest does not outlive the tests, however they end
    *("qemu-system-x86_64", "-M", "q35", "-cpu", "Nehalem,+rdrand", "-smp", "1", "-nodefaults", "-no-user-config"),
    *("-display", "none", "-no-reboot", "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
    *("-device", "isa-debug-exit,iobase=0x501,iosize=1"),
)
"""Nehalem: a processor with string or carry-less instructions is slower, emulated."""
_LINUX = "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable nokaslr random.trust_cpu=on"
_RUN = """
. /src/tests/lab/rdma_vm/guest/fabric.sh
fabric {hosts}
{command}
"""


@dataclass(frozen=True)
class Done:
    """What has become of a command."""

    status: int
    """Its exit status; 124: the guest was stopped at the time limit; 125: the guest ended without a result."""
    log: str
    """What it printed, or the guest's console where there was no result."""
    seconds: float
    """From start to end, as this machine's clock says [s]."""


def run(
    command: str,
    *,
    folder: Path,
    hosts: int = 2,
    memory_mib: int = 768,
    timeout_s: float = 240,
    steady: bool = False,
    shares: Mapping[str, Path] | None = None,
) -> Done:
    """Run a shell command in a fresh guest.

    Args:
        command: May be many lines; runs after the fabric is there, in ``/job``.
        folder: What it reads and writes; ``run``, ``log`` and ``status`` in it are written over.
        hosts: How many, each with its device; at most 9.
        memory_mib: Of the guest [MiB].
        timeout_s: After which the guest is stopped [s].
        steady: The guest's clock counts instructions, so that times measured there do not depend on this machine's
            load.
        shares: Further folders, read only, by the name of the folder they are in the guest.

    Raises:
        packages.CannotBuildError: The guest cannot be had here.
    """
    made = image.ready()
    for name in ("status", "log"):
        (folder / name).unlink(missing_ok=True)
    (folder / "run").write_text(_RUN.format(hosts=hosts, command=command))
    folders = {"src": REPOSITORY, **(shares or {})}
    clock = ["-accel", "tcg,thread=single", "-icount", "shift=1,sleep=off"] if steady else ["-accel", "tcg"]
    arguments = [*_QEMU, *clock, "-m", f"{memory_mib}M", "-kernel", str(made.kernel), "-initrd", str(made.files)]
    arguments += ["-append", f"{_LINUX} shares={','.join(folders)}", *_share("job", folder, "")]
    for name, shared in folders.items():
        arguments += _share(name, shared, ",readonly=on")
    began = time.monotonic()
    try:
        console = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=timeout_s
        )
        status, said = 125, console.stdout + console.stderr
    except subprocess.TimeoutExpired:
        status, said = 124, ""
    log, result = folder / "log", folder / "status"
    if status != 124 and result.exists():
        status = int(result.read_text())
    printed = log.read_text(errors="replace") if log.exists() else ""
    return Done(status, printed or said, time.monotonic() - began)


def _share(tag: str, folder: Path, more: str) -> list[str]:
    backend = f"local,id={tag},path={folder},security_model=none{more}"
    return ["-fsdev", backend, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
