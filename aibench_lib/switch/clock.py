"""What time it is on a switch, however it writes that."""

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)? ?(\S+)?")
_TIME = re.compile(r"(\d\d?):(\d\d):(\d\d)(?:\.\d+)?")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)$")


def parse_clock(text: str, zone: str | None = None) -> datetime | None:
    """Return the time that a switch shows; None if it cannot be told, as with a time zone that nobody knows.

    Args:
        text: Such as ``Tue Nov 24 11:34:55 2026``, ``11:34:55.123 UTC Tue Nov 24 2026`` or
            ``2026-11-24T11:34:55.123Z``.
        zone: The time zone, where the switch shows it elsewhere; without one in either place it is UTC.
    """
    iso = _ISO.search(text)
    if iso:
        year, month, day, hour, minute, second = (int(part) for part in iso.groups()[:6])
        return _moment((year, month, day, hour, minute, second), iso.group(7) or zone)
    time, words = _TIME.search(text), re.findall(r"[A-Za-z]+|[+-]\d\d:?\d\d|\d+", _TIME.sub(" ", text))
    month = next((_MONTHS.index(word[:3].lower()) + 1 for word in words if word[:3].lower() in _MONTHS), 0)
    numbers = [int(word) for word in words if word.isdecimal()]
    years, days = [n for n in numbers if n > 31], [n for n in numbers if 0 < n <= 31]
    if not (time and month and years and days):
        return None
    named = next(
        (word for word in words if re.fullmatch(r"[A-Z]{2,5}|[+-]\d\d:?\d\d", word) and word not in _AMPM), zone
    )
    hour, minute, second = (int(part) for part in time.groups())
    if "PM" in words or "AM" in words:
        hour = hour % 12 + (12 if "PM" in words else 0)
    return _moment((years[0], month, days[0], hour, minute, second), named)


_AMPM = ("AM", "PM")


def _moment(parts: tuple[int, int, int, int, int, int], zone: str | None) -> datetime | None:
    known = _zone(zone)
    if known is None:
        return None
    try:
        return datetime(*parts, tzinfo=known).astimezone(UTC)
    except ValueError:
        return None


def _zone(name: str | None) -> tzinfo | None:
    if name in (None, "Z", "UTC", "GMT"):
        return UTC
    offset = _OFFSET.fullmatch(str(name))
    if offset:
        return datetime.strptime(f"{offset[1]}{offset[2]}{offset[3]}", "%z").tzinfo
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
