"""How the report prints numbers: significant digits, thousands, sizes with a unit, ``n/a`` for what is undefined."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from aibench_lib.units import GB, GBPS, KB, MB

UNDEFINED = "n/a"
"""Printed where the data does not define a value; never 0."""

_SIGNIFICANT_DIGITS = 4
_UNITS = {
    "_ps": "ps",
    "_ns": "ns",
    "_us": "us",
    "_ms": "ms",
    "_seconds": "",
    "_packets": "packets",
    "_bytes": "",
    "_bps": "",
}
"""Suffix of a key -> unit printed after its value; sizes, rates and seconds choose theirs by magnitude."""
_ABBREVIATIONS = {
    **{word: word.upper() for word in ("dcqcn", "ecmp", "ecn", "ep", "kv", "nic", "pfc", "qp")},
    "qps": "QPs",
}
_COUNTS = frozenset({"frames", "hops", "packets", "trips"})
"""Units of what is counted: whole numbers are printed as such."""
_MANY = 3
"""From so many names on that hold the same, it is said once."""
_OCCURRED = "_occurred"
"""How the names of KPIs end whose value in a trial is 1 for yes and 0 for no."""


def decimals(values: Iterable[float | None], unit: str = "") -> int:
    """Return how many decimals give the largest of ``values`` four significant digits, from 0 to 4.

    Counts (by their ``unit``) that are all whole have none: a trial saw 4 hops, not 4.000.
    """
    defined = [value for value in values if value is not None]
    if unit in _COUNTS and all(float(value).is_integer() for value in defined):
        return 0
    largest = max(map(abs, defined), default=0.0)
    integer_digits = len(str(int(largest))) if largest >= 1 else 0
    return max(0, _SIGNIFICANT_DIGITS - integer_digits)


def number(value: float | None, places: int) -> str:
    """Return ``value`` with thousands separated and ``places`` decimals.

    Zero is printed ``0``, so that it cannot be taken for a rounded value; what would round to zero is printed as
    smaller than the last digit.
    """
    if value is None:
        return UNDEFINED
    if value == 0:
        return "0"
    smallest = 10.0**-places
    if abs(value) < smallest / 2:
        return f"{'<' if value > 0 else '>-'}{smallest:.{places}f}"
    return f"{value:,.{places}f}"


def is_yes_or_no(kpi: str) -> bool:
    """Return whether a KPI says of a trial that something occurred in it, or did not."""
    return kpi.endswith(_OCCURRED)


def yes_or_no(occurred: float, trials: int) -> str:
    """Return in how many of ``trials`` something occurred: ``no (0 of 3 trials)``, ``yes (2 of 3 trials)``."""
    count = round(occurred)
    return f"{'yes' if count else 'no'} ({count:,} of {trials:,} {'trial' if trials == 1 else 'trials'})"


def span(values: Iterable[float | None], unit: str = "") -> str:
    """Return the smallest and the largest of the values that are defined: ``12.5 to 130.0``."""
    defined = [value for value in values if value is not None]
    if not defined:
        return UNDEFINED
    places = max(0, decimals(defined, unit) - 1)
    low, high = number(min(defined), places), number(max(defined), places)
    return low if low == high else f"{low} to {high}"


def interval(low: float | None, high: float | None, places: int) -> str:
    """Return a confidence interval as ``[low, high]``, or an empty string where it is not defined."""
    if low is None or high is None:
        return ""
    return f"[{number(low, places)}, {number(high, places)}]"


def quantity(key: str, value: object) -> str:
    """Return the value of a setting or a load with the unit its key names: ``100 KB``, ``400 Gb/s``, ``32``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if key.endswith("_bytes"):
        return size(value)
    if key.endswith("_bps"):
        return f"{value / GBPS:g} Gb/s"
    if key.endswith("_seconds"):
        return duration(value)
    unit = next((unit for suffix, unit in _UNITS.items() if key.endswith(suffix)), "")
    return f"{value:,} {unit}".rstrip()


def level(key: str, value: object) -> str:
    """Return one value of a parameter as it stands in a table or a legend; names become words: ``KV cache``."""
    return words(value) if isinstance(value, str) else quantity(key, value)


def typed(value: object) -> object:
    """Return the number that a text is, or else what was given."""
    if isinstance(value, str):
        for kind in (int, float):
            with suppress(ValueError):
                return kind(value)
    return value


def text(key: str, value: object) -> str:
    """Return what a key holds as text: one value, several, or one of each of several ports."""
    if isinstance(value, list | tuple):
        return ", ".join(level(key, part) for part in value)
    if not isinstance(value, Mapping):
        return quantity(key, value)
    parts = {str(name): quantity(str(name), part) for name, part in value.items()}
    if len(parts) >= _MANY and len(set(parts.values())) == 1:
        names = sorted(parts, key=_natural)
        return f"{parts[names[0]]}, all {len(names)} from {names[0]} to {names[-1]}"
    return ", ".join(f"{name}: {part}" for name, part in parts.items())


def _natural(name: str) -> list[tuple[int, str]]:
    """Order names with numbers by these: ``Ethernet9`` before ``Ethernet10``."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def duration(seconds: float) -> str:
    """Return a time [s] in the largest unit of which it is at least one, to three decimals: ``100 us``, ``10 ms``."""
    for unit_seconds, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit_seconds or seconds == 0:
            return f"{round(seconds / unit_seconds, 3):,.10g} {name}"
    return f"{round(seconds * 1e6, 3):,.10g} us"


def size(size_bytes: float) -> str:
    """Return a size [bytes] in the largest decimal unit that shows it exactly with at most two decimals."""
    for unit, name in ((GB, "GB"), (MB, "MB"), (KB, "KB")):
        if size_bytes >= unit and (size_bytes * 100) % unit == 0:
            return f"{size_bytes / unit:g} {name}"
    return f"{size_bytes:,} bytes"


def words(key: str) -> str:
    """Return a key as words, without its unit: ``ecn_threshold_bytes`` -> ``ECN threshold``."""
    for suffix in _UNITS:
        key = key.removesuffix(suffix)
    return " ".join(_ABBREVIATIONS.get(word, word) for word in key.split("_"))


def label(key: str) -> str:
    """Return a key as words that open a line: ``prefill_workers`` -> ``Prefill workers``."""
    text = words(key)
    return text[:1].upper() + text[1:]
