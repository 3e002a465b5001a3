"""Which tool of perftest a loop is, and with which arguments both ends of it are called."""

import json
import shutil
import subprocess
from dataclasses import asdict, dataclass

from aibench_lib.units import NS_PER_SECOND
from aibench_lib.worker.agent import nic
from aibench_lib.worker.transports.transport import Loop, Options, SendQueue, TransportError

_OPERATIONS = {"write": "write", "write_with_imm": "write", "read": "read", "send": "send"}
_KINDS = ("bw", "lat")
_IMMEDIATE = "--write_with_imm"
_HELP_SECONDS = 10
_SOFT_TIMEOUT = 18
"""Of a queue pair, 4.096 us x 2^18 = 1.07 s: soft-RoCE on a busy host is late without any loss."""
INSTALL = "install the package perftest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What both ends of a run must know of it."""

    operation: str
    kind: str
    """``bw`` or ``lat``."""
    size_bytes: int
    depth: int
    batch: int
    traffic_class: int
    seconds: int
    """Of a ``bw`` run; a ``lat`` run has a number of messages."""

    @property
    def tool(self) -> str:
        """The program."""
        return f"ib_{_OPERATIONS[self.operation]}_{self.kind}"

    @property
    def halves(self) -> bool:
        """Whether its samples are half round trips: so of WRITE and SEND, to which the other end answers."""
        return self.operation != "read"

    def to_bytes(self) -> bytes:
        """Return it for the other end."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> "Measurement":
        """Return what the other end has written.

        Raises:
            TransportError: It is none.
        """
        try:
            test = cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise TransportError(f"the sending end describes no perftest run ({error})") from error
        numbers = (test.size_bytes, test.depth, test.batch, test.traffic_class, test.seconds)
        if test.operation not in _OPERATIONS or test.kind not in _KINDS or not all(isinstance(n, int) for n in numbers):
            raise TransportError("the sending end describes no perftest run; install the same version on both")
        return test


def measurement_of(queue: SendQueue, options: Options) -> Measurement:
    """Return the run that a queue pair's loop is.

    Raises:
        TransportError: perftest cannot do what was asked.
    """
    loop = queue.loop
    where = f"queue pair {queue.qp} to {queue.peer}"
    if loop is None:
        raise TransportError(f"{where}: perftest sends no messages by schedule; use another transport for this test")
    why = _refusal(queue.operation, loop, options)
    if why:
        raise TransportError(f"{where}: perftest {why}; use another transport for this")
    latency = loop.echo or (queue.operation == "read" and loop.depth == 1)
    return Measurement(
        operation=queue.operation,
        kind="lat" if latency else "bw",
        size_bytes=loop.size_bytes,
        depth=loop.depth,
        batch=loop.batch,
        traffic_class=options.traffic_class(queue.priority),
        seconds=0 if latency else loop.duration_ns // NS_PER_SECOND,
    )


def _refusal(operation: str, loop: Loop, options: Options) -> str:
    latency = loop.echo or (operation == "read" and loop.depth == 1)
    reasons = {
        "compares no payload": options.verify,
        "paces its messages in bursts only": bool(loop.rate_bps),
        "gets an answer to one message at a time only, depth and batch 1": loop.echo and loop.depth * loop.batch != 1,
        "gets no answer to a READ other than its data": loop.echo and operation == "read",
        "measures whole seconds of bandwidth": not latency
        and (loop.duration_ns % NS_PER_SECOND or not loop.duration_ns),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def check_tool(test: Measurement) -> None:
    """Check that the tool is here and can do it.

    Raises:
        TransportError: It is not, or it cannot.
    """
    path = shutil.which(test.tool)
    if path is None:
        raise TransportError(f"{test.tool} is not on this host; {INSTALL}")
    if test.operation == "write_with_imm" and _IMMEDIATE not in _help(path):
        raise TransportError(
            f"this release of {test.tool} has no {_IMMEDIATE}; ask for the operation write, or use another transport"
        )


def _help(path: str) -> str:
    try:
        done = subprocess.run([path, "--help"], capture_output=True, timeout=_HELP_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise TransportError(f"{path} cannot be run ({error}); {INSTALL}") from error
    return (done.stdout + done.stderr).decode(errors="replace")


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """The RDMA device of this host, as the tools are told it."""

    name: str
    port: int
    gid_index: int
    label: str


def device_of(options: Options) -> Device:
    """Return the RDMA device to use.

    Raises:
        TransportError: There is none.
    """
    found = nic.find(options.address, options.device)
    if not found.device or not found.label:
        raise TransportError(f"no RDMA device has the address {options.address}; `rdma link` lists those there are")
    index = nic.gid_index(found) if options.gid_index is None else options.gid_index
    if index is None:
        raise TransportError(
            f"{found.device} has no RoCE v2 GID of {options.address}: is the address on its interface, and the link up?"
        )
    return Device(name=found.device, port=found.port, gid_index=index, label=found.label)


def server(test: Measurement, device: Device, port: int, iterations: int) -> list[str]:
    """Return the command line of the end that waits.

    Args:
        test: The run.
        device: Of this host.
        port: TCP port by which both ends exchange their queue pairs.
        iterations: Messages of a ``lat`` run.
    """
    return _command(test, device, port, iterations)


def client(test: Measurement, device: Device, port: int, iterations: int, report: str) -> list[str]:
    """Return the command line of the end that sends and measures.

    Args:
        test: The run.
        device: Of this host.
        port: As for :func:`server`, on this host.
        iterations: Likewise.
        report: File for the JSON report of a ``bw`` run.
    """
    more = ["-U"] if test.kind == "lat" else ["--out_json", f"--out_json_file={report}"]
    return [*_command(test, device, port, iterations), *more, "127.0.0.1"]


def _command(test: Measurement, device: Device, port: int, iterations: int) -> list[str]:
    line = [test.tool, "-d", device.name, "-i", str(device.port), "-x", str(device.gid_index), "-F", "-p", str(port)]
    line += ["-s", str(test.size_bytes), f"--tclass={test.traffic_class}"]
    if device.label == "soft-roce":
        line += ["-u", str(_SOFT_TIMEOUT)]
    if test.operation == "write_with_imm":
        line.append(_IMMEDIATE)
    if test.kind == "lat":
        line += ["-n", str(iterations)]
    else:
        line += ["-D", str(test.seconds), "-f", "0", "-t", str(test.depth), "-Q", str(test.batch)]
    return line
