"""Output modifiers after ``|``."""

import re

from aibench_lib.virtual_lab.eos.grammar import CliError


def apply_pipe(modifier: str, output: str) -> str:
    """Return the part of a command's output that a modifier lets through.

    Raises:
        CliError: The modifier is not one of ``include``, ``exclude``, ``begin``, ``no-more``, or the pattern is wrong.
    """
    verb, _, text = modifier.partition(" ")
    known = [name for name in ("include", "exclude", "begin", "no-more") if verb and name.startswith(verb)]
    if len(known) != 1:
        raise CliError(f"% Invalid input (at token 0: '{verb}')")
    try:
        pattern = re.compile(text.strip())
    except re.error as error:
        raise CliError(f"% Invalid regular expression: {error}") from error
    lines = output.splitlines(keepends=True)
    if known[0] == "include":
        lines = [line for line in lines if pattern.search(line)]
    elif known[0] == "exclude":
        lines = [line for line in lines if not pattern.search(line)]
    elif known[0] == "begin":
        first = next((number for number, line in enumerate(lines) if pattern.search(line)), len(lines))
        lines = lines[first:]
    return "".join(lines)
