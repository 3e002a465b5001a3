"""Forked processes that do one thing as another user, and the answer to the controller: one line of JSON."""

import errno
import json
import os
import sys
from collections.abc import Callable
from typing import Any

MARK = "aibench:"
"""What the answer's line begins with: a login shell may say something, too."""


class RefusedError(Exception):
    """Why an act cannot be done; one line with what to do."""


def in_child(do: Callable[[], object]) -> None:
    """Do something in a forked process.

    Raises:
        SystemExit: It could not be done, and the child has answered why.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            do()
            status = 0
        except BaseException as error:  # noqa: BLE001 - the child must not go on as if it were its parent
            answer({"error": said(error)})
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)


def said(error: BaseException) -> str:
    """Return an error as one line."""
    if isinstance(error, RefusedError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = error.filename or "the disk of the agent's folder"
        return f"{where}: {os.strerror(error.errno)}; free some, or set worker.folder to a path on another disk"
    if isinstance(error, OSError) and error.errno:
        return f"{error.filename or 'a file'}: {os.strerror(error.errno)}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def answer(content: dict[str, Any]) -> None:
    """Tell the controller."""
    os.write(1, f"\n{MARK}{json.dumps(content)}\n".encode())


def answer_with(act: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Do one act and answer: ``{"ok": ...}`` or ``{"error": "one line"}``."""
    try:
        answer({"ok": act(**arguments)})
    except Exception as error:  # noqa: BLE001 - the one place where it becomes an answer, which a person reads
        answer({"error": said(error)})
        sys.exit(1)
