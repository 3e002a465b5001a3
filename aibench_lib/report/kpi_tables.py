"""The KPI summary of one test: a row a setting and point, a column a KPI and statistic."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aibench_lib.model import ObservationPoint, Value
from aibench_lib.report.numbers import (
    UNDEFINED,
    decimals,
    interval,
    is_yes_or_no,
    label,
    level,
    number,
    span,
    words,
    yes_or_no,
)
from aibench_lib.units import KB

OBSERVATION_POINTS: Mapping[ObservationPoint, str] = {
    ObservationPoint.DUT_BOUNDARY: "(a) DUT boundary",
    ObservationPoint.DUT_COUNTER: "(b) DUT counter",
    ObservationPoint.ENDPOINT: "(c) endpoint software",
}
_MEAN = "mean"
_LONG_ROWS = 30
_WIDE_COLUMNS = 12


@dataclass(frozen=True, kw_only=True)
class KpiColumn:
    """What the cells below have in common."""

    kpi: str
    statistic: str
    unit: str
    observation_point: str
    places: int
    """Decimals of every value in the column."""

    def span(self, cells: Iterable["KpiCell"]) -> str:
        """Return what ``cells`` of this column range over, or in how many of all their trials it occurred."""
        own = list(cells)
        if is_yes_or_no(self.kpi):
            return yes_or_no(sum((cell.number or 0) * cell.count for cell in own), sum(cell.count for cell in own))
        return span((cell.number for cell in own), self.unit)

    @property
    def heading(self) -> str:
        """The statistic as it stands above the column; yes and no, with their count of trials, are none."""
        return "" if is_yes_or_no(self.kpi) else self.statistic


@dataclass(frozen=True, kw_only=True)
class KpiCell:
    """One value as printed."""

    value: str
    interval: str
    """The 95 % confidence interval, empty where it is not defined."""
    n: str
    """What the value stands on, where it differs from the row's; else empty."""
    number: float | None
    """The value in the column's unit, None where the data do not define it."""
    count: int
    """What the value stands on."""

    def __str__(self) -> str:
        return " ".join(part for part in (self.value, self.interval, self.n and f"(n={self.n})") if part)


@dataclass(frozen=True, kw_only=True)
class KpiRow:
    """One point of the load."""

    point: tuple[str, ...]
    n: str
    """Trials behind the means, and samples behind the percentiles where the table has any."""
    cells: tuple[KpiCell, ...]


@dataclass(frozen=True, kw_only=True)
class KpiGroup:
    """The points of one setting."""

    setting: tuple[str, ...]
    rows: tuple[KpiRow, ...]

    def column(self, number: int) -> tuple[KpiCell, ...]:
        """Return the cells of one column."""
        return tuple(row.cells[number] for row in self.rows)


@dataclass(frozen=True, kw_only=True)
class KpiTable:
    """All KPIs of one test.

    Draft: Section 14, Table 9 (KPI Summary Table).
    """

    test: str
    setting_words: tuple[str, ...]
    """What the settings vary, as words within a sentence."""
    setting_labels: tuple[str, ...]
    point_labels: tuple[str, ...]
    constants: tuple[tuple[str, str], ...]
    """Parts of the load that are the same at every point."""
    columns: tuple[KpiColumn, ...]
    groups: tuple[KpiGroup, ...]
    n_label: str
    """What the rows' n counts."""

    @property
    def rows(self) -> int:
        """How many rows all groups have together."""
        return sum(len(group.rows) for group in self.groups)

    @property
    def is_long(self) -> bool:
        """Whether the table is better read a setting at a time."""
        return self.rows > _LONG_ROWS and len(self.groups) > 1

    def heading(self, group: KpiGroup) -> str:
        """Return the setting of a group as words: ``PFC threshold 10 KB``."""
        return ", ".join(f"{name} {value}" for name, value in zip(self.setting_labels, group.setting, strict=True))

    def is_undefined(self, number: int) -> bool:
        """Return whether no row has a value in a column."""
        return all(cell.number is None for group in self.groups for cell in group.column(number))

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """The columns that stand side by side: all of them, or the means apart from the percentiles if too many."""
        every = tuple(range(len(self.columns)))
        if len(every) <= _WIDE_COLUMNS:
            return (every,)
        means = tuple(number for number in every if self.columns[number].statistic == _MEAN)
        return tuple(part for part in (means, tuple(number for number in every if number not in means)) if part)

    def headings(self, part: Sequence[int]) -> tuple[tuple[str, int], ...]:
        """Return the KPIs of the columns ``part``, each with the number of its columns."""
        return tuple(Counter(self.columns[number].kpi for number in part).items())


def summarise(values: Iterable[Value], test: str) -> KpiTable:
    """Return the KPI table of one test; rows and columns keep the order of ``values``, sizes are in KB."""
    own = [_in_kb(value) for value in values if value.test == test]
    columns = _columns(own)
    points = [value.point for value in own]
    varying, constant = _split(points)
    setting_keys = tuple(dict.fromkeys(key for value in own for key in value.setting))
    groups = []
    for setting in _distinct(value.setting for value in own):
        of_setting = [value for value in own if value.setting == setting]
        rows = tuple(_row(of_setting, point, varying, columns) for point in _distinct(v.point for v in of_setting))
        names = tuple(level(key, setting.get(key, UNDEFINED)) for key in setting_keys)
        groups.append(KpiGroup(setting=names, rows=rows))
    return KpiTable(
        test=test,
        setting_words=tuple(words(key) for key in setting_keys),
        setting_labels=tuple(label(key) for key in setting_keys),
        point_labels=tuple(label(key) for key in varying),
        constants=tuple((words(key), level(key, points[0][key])) for key in constant),
        columns=columns,
        groups=tuple(groups),
        n_label="n trials / samples" if any(_is_of_samples(value) for value in own) else "n trials",
    )


def _in_kb(value: Value) -> Value:
    if value.unit != "bytes":
        return value
    mean, low, high = (None if part is None else part / KB for part in (value.value, value.ci_low, value.ci_high))
    return dataclasses.replace(value, value=mean, ci_low=low, ci_high=high, unit="KB")


def _columns(values: Sequence[Value]) -> tuple[KpiColumn, ...]:
    columns: dict[tuple[str, str], list[Value]] = {}
    order = list(dict.fromkeys(value.kpi for value in values))
    for value in sorted(values, key=lambda value: order.index(value.kpi)):  # a KPI's columns stand together
        columns.setdefault((value.kpi, value.statistic), []).append(value)
    return tuple(
        KpiColumn(
            kpi=kpi,
            statistic=statistic,
            unit="" if column[0].unit == "1" else column[0].unit,
            observation_point=OBSERVATION_POINTS[column[0].observation_point],
            places=_places(column),
        )
        for (kpi, statistic), column in columns.items()
    )


def _places(column: Sequence[Value]) -> int:
    bounds = [bound for value in column for bound in (value.ci_low, value.ci_high) if bound is not None]
    is_whole = all(float(bound).is_integer() for bound in bounds)
    return decimals((value.value for value in column), column[0].unit if is_whole else "")


def _row(
    values: Sequence[Value], point: Mapping[str, Any], keys: Sequence[str], columns: Sequence[KpiColumn]
) -> KpiRow:
    own = {(value.kpi, value.statistic): value for value in values if value.point == point}
    trials = max((value.n for value in own.values() if not _is_of_samples(value)), default=0)
    samples = max((value.n for value in own.values() if _is_of_samples(value)), default=0)
    cells: list[KpiCell] = []
    said: dict[str, int] = {}
    for column in columns:
        value = own.get((column.kpi, column.statistic))
        expected = samples if value and _is_of_samples(value) else trials
        cells.append(_cell(value, column.places, said.get(column.kpi, expected)))
        if value and value.n != expected and _is_of_samples(value):
            said[column.kpi] = value.n  # the percentiles of one KPI stand on the same samples: once is enough
    return KpiRow(
        point=tuple(level(key, point.get(key, UNDEFINED)) for key in keys),
        n=f"{trials:,} / {samples:,}" if samples else f"{trials:,}",
        cells=tuple(cells),
    )


def _cell(value: Value | None, places: int, expected: int) -> KpiCell:
    if value is None:
        return KpiCell(value=UNDEFINED, interval="", n="", number=None, count=0)
    if is_yes_or_no(value.kpi) and value.value is not None:
        # the count of trials says what an interval around their mean would say worse
        text = yes_or_no(value.value * value.n, value.n)
        return KpiCell(value=text, interval="", n="", number=value.value, count=value.n)
    return KpiCell(
        value=number(value.value, places),
        interval=interval(value.ci_low, value.ci_high, places),
        n="" if value.n == expected else f"{value.n:,}",
        number=value.value,
        count=value.n,
    )


def _is_of_samples(value: Value) -> bool:
    return value.statistic != _MEAN


def _split(points: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys whose values vary over the points, and those whose values do not."""
    keys = dict.fromkeys(key for point in points for key in point)
    constant = tuple(key for key in keys if all(key in point and point[key] == points[0][key] for point in points))
    if len(constant) == len(keys):
        return constant, ()
    return tuple(key for key in keys if key not in constant), constant


def _distinct(mappings: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list({json.dumps(mapping, sort_keys=True): mapping for mapping in mappings}.values())
