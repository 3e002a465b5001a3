"""What was programmed on the switches, and whether they took it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from aibench_lib.report.numbers import text, words
from aibench_lib.report.tables import Table

_FEATURE, _EQUAL = 2, -1
"""Columns of a row."""


def by_value(run: Mapping[str, Any]) -> Table:
    """Return each value as requested and as read back from the device; the same one set again is one row."""
    rows = [(*row[:_EQUAL], f"{times:,}", row[_EQUAL]) for row, times in Counter(_rows(run)).items()]
    columns = ("Switch", "Platform", "Feature", "Value", "Requested", "Programmed", "Times", "Equal")
    return Table(caption="Switch settings", columns=columns, rows=tuple(rows), numeric=(6,), is_detail=True)


def by_feature(run: Mapping[str, Any]) -> Table:
    """Return for each feature on which switches it was set, and how many values were read back as requested."""
    rows = []
    for feature in dict.fromkeys(change["feature"] for change in run["programmed"]):
        changes = [change for change in run["programmed"] if change["feature"] == feature]
        own = [row for row in _rows(run) if row[_FEATURE] == words(feature)]
        switches = ", ".join(sorted({change["host"] for change in changes}))
        equal = sum(row[_EQUAL] == "yes" for row in own)
        rows.append((words(feature), switches, f"{len(changes):,}", f"{len(own):,}", f"{equal:,}"))
    return Table(
        caption="Switch settings by feature",
        columns=("Feature", "Switches", "Times set", "Values read back", "As requested"),
        rows=tuple(rows),
        numeric=(2, 3, 4),
    )


def sentence(run: Mapping[str, Any]) -> str:
    """Return in one sentence whether the devices took what was requested."""
    rows = list(_rows(run))
    differ = sum(row[_EQUAL] == "no" for row in rows)
    if not differ:
        return f"All {len(rows):,} values read back from the switches are those requested."
    return f"{differ:,} of {len(rows):,} values read back from the switches differ from those requested."


def _rows(run: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for change in run["programmed"]:
        for key in {**change["requested"], **change["programmed"]}:
            requested, read_back = (change[side].get(key, "not recorded") for side in ("requested", "programmed"))
            texts = (text(key, requested), text(key, read_back))
            equal = "yes" if requested == read_back else "no"
            yield (change["host"], change["platform"], words(change["feature"]), words(str(key)), *texts, equal)
