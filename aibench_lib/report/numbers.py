"""How the report prints numbers: significant digits, thousands, sizes with a unit, ``n/a`` for what is undefined."""

from collections.abc import Iterable

from aibench_lib.units import GB, GBPS, KB, MB

UNDEFINED = "n/a"
"""Printed where the data does not define a value; never 0."""

_SIGNIFICANT_DIGITS = 4
_UNITS = {
    "_ps": "ps",
    "_ns": "ns",
    "_us": "us",
    "_ms": "ms",
    "_seconds": "s",
    "_packets": "packets",
    "_bytes": "",
    "_bps": "",
}
"""Suffix of a key -> unit printed after its value; sizes and rates choose theirs by magnitude."""
_ABBREVIATIONS = {"ecn": "ECN", "pfc": "PFC", "kv": "KV", "ep": "EP", "qp": "QP", "qps": "QPs", "dcqcn": "DCQCN"}


def decimals(values: Iterable[float | None]) -> int:
    """Return how many decimals give the largest of ``values`` four significant digits, from 0 to 4."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
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
    unit = next((unit for suffix, unit in _UNITS.items() if key.endswith(suffix)), "")
    return f"{value:,} {unit}".rstrip()


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
