"""What perftest's tools say: the text they print, and their JSON, which older releases write without quotes.

perftest's own statistics are not the project's: it leaves out the two largest samples, so that its ``t_max`` is the
second largest one, its ``t_stdev`` drops what lies below a microsecond, and its 99 % is a rank of what is left.  For
latencies the samples are read, therefore, and nothing else.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aibench_lib.units import MIB

_HEADER = re.compile(r"^\s*#bytes\s+#iterations\b.*$", re.MULTILINE)
_COLUMN = re.compile(r"#\w+|[\w.%]+(?: [\w.%]+)*(?:\[[^\]]+\])?")
_SAMPLE = re.compile(r"^(\d+),\s*([\d.]+(?:e[+-]?\d+)?)\s*$")
_RULE = "---"
_BITS = 1e9 / 8
_UNITS = {"MB/sec": MIB, "MiB/sec": MIB, "Gb/sec": _BITS}
"""perftest's MB is 2^20 bytes; its Gb is 10^9 bits."""


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """What a ``*_bw`` tool has measured."""

    size_bytes: int
    operations: int
    bytes_per_second: float
    """On average."""


def bandwidth(text: str, report: str = "") -> Bandwidth | None:
    """Return the last result of a run; None if there is none.

    Args:
        text: What the tool printed.
        report: Its JSON; used where the text has no table, since the unit stands in the table alone.
    """
    columns = _table(text)
    for unit, factor in _UNITS.items():
        average = columns.get(f"BW average[{unit}]")
        if average is not None:
            return _bandwidth(columns.get("#bytes"), columns.get("#iterations"), average, factor)
    results = json_report(report).get("results", {})
    return _bandwidth(results.get("MsgSize"), results.get("n_iterations"), results.get("BW_average"), MIB)


def _bandwidth(size: object, operations: object, average: object, factor: float) -> Bandwidth | None:
    try:
        return Bandwidth(int(str(size)), int(str(operations)), float(str(average)) * factor)
    except ValueError:
        return None


def _table(text: str) -> Mapping[str, str]:
    """Return column -> value of the last row of the last table."""
    headers = list(_HEADER.finditer(text))
    if not headers:
        return {}
    names = _COLUMN.findall(headers[-1][0])
    rows = [line.split() for line in text[headers[-1].end() :].splitlines() if re.match(r"^\s*\d+\s+\d", line)]
    return dict(zip(names, rows[-1], strict=False)) if rows else {}


def samples_us(text: str) -> Iterator[float]:
    """Yield the latencies that ``-U`` prints, in the order of the messages [us], as the tool defines them."""
    for line in text.splitlines():
        if match := _SAMPLE.match(line):
            yield float(match[2])


def json_report(text: str) -> dict[str, dict[str, object]]:
    """Return a report as JSON, whether or not the release writes JSON that is one; empty if it is neither."""
    for candidate in (text, _quoted(text)):
        try:
            found = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(found, dict):
            return {name: value for name, value in found.items() if isinstance(value, dict)}
    return {}


def _quoted(text: str) -> str:
    """Return the text with what older releases leave out: quotes, but not the comma after a last value."""
    lines = []
    for line in text.splitlines():
        match = re.match(r'^\s*"?([^":{}]+?)"?\s*:\s*(.*?)\s*(,?)\s*$', line)
        if match:
            name, value, comma = match.groups()
            lines.append(f"{json.dumps(name)}: {_value(value)}{comma}")
        else:
            lines.append(line)
    return re.sub(r",(\s*[}\]])", r"\1", "\n".join(lines))


def _value(text: str) -> str:
    if text == "{" or re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", text):
        return text
    return json.dumps(text.strip('"'))


def complaint(text: str) -> str:
    """Return the line that says why a tool has failed."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith((_RULE, "Warning", "local address", "GID:"))]
    worst = [line for line in said if re.search(r"fail|unable|couldn't|cannot|error|not found|invalid", line, re.I)]
    return (worst or said or ["it said nothing"])[0]
