"""Our code on hosts that have none: it is sent along with a call over SSH, run from memory, and nowhere written."""

import functools
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aibench_lib.errors import LabError
from aibench_lib.worker.bundle import OLDEST_PYTHON
from aibench_lib.worker.on_host.forks import MARK
from aibench_lib.worker.shell import Shell

_HERE = Path(__file__).parents[1]
_OLDEST = ".".join(map(str, OLDEST_PYTHON))
_BOOT = (
    "import sys\n"
    "v = sys.version_info\n"
    f"if v < {OLDEST_PYTHON}: print('\\n{MARK}{{\"python\": [%d, %d]}}' % v[:2]); sys.exit(3)\n"
    "import json, types\n"
    "o = json.loads(sys.stdin.buffer.readline())\n"
    "for name, source in o['modules']:\n"
    "    module = sys.modules[name] = types.ModuleType(name)\n"
    "    exec(compile(source, name, 'exec'), module.__dict__)\n"
    "module.main(o['act'], o['arguments'])\n"
)
"""Understood by every Python 3, so that one that is too old can say so."""
_NO_COMMAND, _NOT_EXECUTABLE = 127, 126


def command(python: str) -> str:
    """Return what a host's login shell is told: a Python without the user's packages, which leaves no byte code."""
    return f"{shlex.quote(python)} -IB -c {shlex.quote(_BOOT)}"


def order(modules: Sequence[str], act: str, arguments: Mapping[str, Any]) -> bytes:
    """Return the line that goes first into the command's standard input.

    Args:
        modules: Names, of which each imports only those before it, and the standard library; the last one has ``main``.
        act: For ``main``.
        arguments: Of the act.
    """
    sources = [(name, _source(name)) for name in modules]
    return json.dumps({"modules": sources, "act": act, "arguments": dict(arguments)}).encode() + b"\n"


@functools.cache
def _source(module: str) -> str:
    path = _HERE.joinpath(*module.split(".")[1:])
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


async def call(
    shell: Shell,
    python: str,
    modules: Sequence[str],
    act: str,
    arguments: Mapping[str, Any],
    content: Iterable[bytes] = (),
    *,
    seconds: float,
) -> Any:  # noqa: ANN401 - whatever the act answers
    """Have an act done on a host.

    Args:
        shell: Of the host.
        python: There.
        modules: As for :func:`order`.
        act: As for :func:`order`.
        arguments: As for :func:`order`.
        content: More for the act's standard input.
        seconds: How long it may take [s].

    Raises:
        LabError: It could not be done; the message says why and what to do.
    """

    def given() -> Iterator[bytes]:
        yield order(modules, act, arguments)
        yield from content

    done = await shell.run(command(python), given(), seconds=seconds)
    host = shell.login.host
    answer = _answer(done.output)
    if "ok" in answer:
        return answer["ok"]
    if "error" in answer:
        raise LabError(host, answer["error"])
    if "python" in answer:
        has = ".".join(map(str, answer["python"]))
        raise LabError(host, f"its {python} is Python {has}, and the agent needs {_OLDEST} or newer; set worker.python")
    if done.status in (_NO_COMMAND, _NOT_EXECUTABLE):
        raise LabError(host, f"there is no {python}; install Python {_OLDEST}, or set worker.python to its path")
    said = [line.strip() for line in (*done.output.splitlines(), *done.errors.splitlines()) if line.strip()]
    raise LabError(
        host,
        f"{python} failed with status {done.status}: {said[-1] if said else 'it said nothing'}; see that it is Python "
        f"{_OLDEST} or newer, or set worker.python to one that is",
    )


def _answer(output: str) -> dict[str, Any]:
    """Return the answer among what a command printed; empty: there is none that is whole."""
    for line in output.splitlines():
        if line.startswith(MARK):
            try:
                found = json.loads(line.removeprefix(MARK))
            except ValueError:  # cut short: the process was killed while it wrote
                continue
            return found if isinstance(found, dict) else {}
    return {}
