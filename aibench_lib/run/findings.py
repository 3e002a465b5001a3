"""What a preflight finds, and the table that shows it: what stops a run first."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """In the order of the table."""

    RED = "red"
    """A run would fail, or its results would mean nothing."""
    YELLOW = "yellow"
    """A run works; somebody should know."""
    GREEN = "green"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    severity: Severity
    check: str
    """Such as ``LLDP``."""
    where: str
    """A switch, a port or a link; empty: the lab as a whole."""
    text: str


def red(check: str, where: str, text: str) -> Finding:
    """Return a finding that stops a run."""
    return Finding(severity=Severity.RED, check=check, where=where, text=text)


def yellow(check: str, where: str, text: str) -> Finding:
    """Return a finding that somebody should know."""
    return Finding(severity=Severity.YELLOW, check=check, where=where, text=text)


def green(check: str, where: str, text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(severity=Severity.GREEN, check=check, where=where, text=text)


_NAMED = 3
"""Places that a row names; more are counted."""


def rows(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings by severity, those that say the same of several places as one."""
    places: dict[tuple[Severity, str, str], list[str]] = {}
    for finding in findings:
        places.setdefault((finding.severity, finding.check, finding.text), []).append(finding.where)
    order = list(Severity)
    joined = [
        Finding(severity=severity, check=check, where=_joined(wheres), text=text)
        for (severity, check, text), wheres in places.items()
    ]
    return sorted(joined, key=lambda finding: order.index(finding.severity))


def _joined(places: Sequence[str]) -> str:
    named = list(dict.fromkeys(place for place in places if place))
    more = len(named) - _NAMED
    return ", ".join(named[:_NAMED]) + (f" and {more} more" if more > 0 else "")


_MARKS: Mapping[Severity, str] = {Severity.RED: "RED", Severity.YELLOW: "yellow", Severity.GREEN: "ok"}


def table(findings: Iterable[Finding], width: int = 118) -> list[tuple[str, str]]:
    """Return the lines of the table, each with the colour it has.

    Args:
        findings: In any order.
        width: Of a line [characters].
    """
    found = rows(findings)
    marks = [_MARKS[row.severity] for row in found]
    heads = [max(map(len, column), default=0) for column in (marks, [row.check for row in found])]
    indent = sum(heads) + 4
    lines: list[tuple[str, str]] = []
    for mark, row in zip(marks, found, strict=True):
        text = f"{row.where}: {row.text}" if row.where else row.text
        first, *more = textwrap.wrap(text, max(width - indent, 40), break_on_hyphens=False) or [""]
        lines.append((str(row.severity), f"{mark.ljust(heads[0])}  {row.check.ljust(heads[1])}  {first}"))
        lines += [(str(row.severity), " " * indent + line) for line in more]
    return lines


def verdict(findings: Sequence[Finding]) -> str:
    """Return the table's last line."""
    counts = {severity: sum(row.severity is severity for row in rows(findings)) for severity in Severity}
    if counts[Severity.RED]:
        number = counts[Severity.RED]
        return f"{number} {'line is' if number == 1 else 'lines are'} red: put that right before a run"
    notes = counts[Severity.YELLOW]
    return "ready for a run" + (f"; {notes} {'line' if notes == 1 else 'lines'} to know of" if notes else "")
