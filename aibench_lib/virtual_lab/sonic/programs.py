"""The programs of the simulated shell that are not about SONiC's configuration, and the two small ones that are."""

import base64 as codec
import binascii

from aibench_lib.virtual_lab.sonic.call import Call, Result, Subcommand, dispatch
from aibench_lib.virtual_lab.sonic.validate import ModelError, UnknownTableError

_CLEARED = (
    (("counters",), "Cleared counters\n", False),
    (("pfccounters",), "Cleared PFC counters\n", False),
    (("queuecounters",), "Cleared queue counters\n", False),
    (("queue", "watermark", "unicast"), "", True),
    (("queue", "persistent-watermark", "unicast"), "", True),
    (("priority-group", "watermark", "shared"), "", True),
    (("priority-group", "watermark", "headroom"), "", True),
    (("buffer_pool", "watermark"), "", True),
)
"""Command, what it prints, whether it needs root."""


def echo(call: Call) -> Result:
    """Print the words."""
    return Result(" ".join(call.words) + "\n")


def base64(call: Call) -> Result:
    """Decode what comes in."""
    if call.words not in (("-d",), ("--decode",)):
        return Result(err="base64: only -d is simulated\n", status=1)
    try:
        return Result(codec.b64decode("".join(call.stdin.split()), validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        return Result(err="base64: invalid input\n", status=1)


def cat(call: Call) -> Result:
    """Print files."""
    if not call.words:
        return Result(call.stdin)
    out, err = "", ""
    for path in call.words:
        content = call.switch.file(path)
        if content is None:
            err += f"cat: {path}: No such file or directory\n"
        else:
            out += content
    return Result(out, err, int(bool(err)))


def rm(call: Call) -> Result:
    """Remove files."""
    err = ""
    for path in (word for word in call.words if not word.startswith("-")):
        if call.switch.files.pop(path, None) is None and "-f" not in call.words:
            err += f"rm: cannot remove '{path}': No such file or directory\n"
    return Result(err=err, status=int(bool(err)))


def sh(call: Call) -> Result:
    """Do what one line says."""
    if len(call.words) != 2 or call.words[0] != "-c":
        return Result(err="sh: only -c LINE is simulated\n", status=2)
    return call.shell.run(call.words[1], root=call.root)


def leave(call: Call) -> Result:
    """Hang up."""
    call.shell.leave()
    return Result("logout\n")


def hostname(call: Call) -> Result:
    """Print the host name."""
    return Result(f"{call.switch.name}\n")


def cfggen(call: Call) -> Result:
    """Print the CONFIG_DB, or write a file into it."""
    words = call.words
    if set(words) in ({"-d", "--print-data"}, {"--from-db", "--print-data"}):
        return Result(call.switch.running_text())
    if len(words) == 3 and words[0] == "-j" and words[2] in ("-w", "--write-to-db"):
        call.switch.note(" ".join(("sonic-cfggen", *words)))
        return written(call, words[1])
    return Result(err="usage: sonic-cfggen [-h] [-j JSON] [-d] [--print-data | -w]\n", status=2)


def written(call: Call, path: str) -> Result:
    """Write a file into the CONFIG_DB."""
    content = call.switch.file(path)
    if content is None:
        error = f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'"
        return Result(err=f"Traceback (most recent call last):\n{error}\n", status=1)
    try:
        call.switch.load(content)
    except ValueError as error:
        return Result(err=f"Traceback (most recent call last):\njson.decoder.JSONDecodeError: {error}\n", status=1)
    except UnknownTableError as error:
        return Result(err=f"Config tables are missing yang models: dict_keys(['{error}'])\nAborted!\n", status=1)
    except ModelError as error:
        return Result(err=f"{path} fails YANG validation! Error: {error}\nAborted!\n", status=1)
    return Result()


def clear(call: Call) -> Result:
    """Set counters to zero."""
    return dispatch("sonic-clear", _CLEAR, call)


def _clear(path: tuple[str, ...], says: str, *, needs_root: bool) -> Subcommand:
    def act(call: Call, _: dict[str, str]) -> Result:
        if needs_root and not call.root:
            return Result(err="Root privileges are required for this operation\n", status=1)
        return Result(says)

    return Subcommand(path, act, writes=False)


_CLEAR = tuple(_clear(path, says, needs_root=needs_root) for path, says, needs_root in _CLEARED)
