"""The CONFIG_DB of a simulated switch: tables of rows of fields, as text and back."""

import json
import re
from collections.abc import Mapping
from typing import Any

KEY = "|"
"""Between the parts of a key."""

Value = str | list[str]
Row = dict[str, Value]
Tables = dict[str, dict[str, Row]]


def text(tables: Tables) -> str:
    """Return the database as ``sonic-cfggen --print-data`` shows it."""
    ordered = {
        table: {key: dict(sorted(rows[key].items())) for key in sorted(rows, key=_natural)}
        for table, rows in sorted(tables.items())
    }
    return json.dumps(ordered, indent=4) + "\n"


def parse(content: str) -> Mapping[str, Any]:
    """Return the tables of a file, with null where something is to be removed.

    Raises:
        ValueError: No JSON, or no object of objects.
    """
    data = json.loads(content)
    tables = list(data.values()) if isinstance(data, dict) else [data]
    rows = [row for table in tables if isinstance(table, dict) for row in table.values()]
    if not isinstance(data, dict) or not all(isinstance(part, dict | None) for part in (*tables, *rows)):
        raise ValueError("the file is no CONFIG_DB: tables of rows of fields")
    return data


def copied(tables: Tables) -> Tables:
    """Return a copy that shares nothing."""
    return {table: {key: dict(row) for key, row in rows.items()} for table, rows in tables.items()}


def merged(tables: Tables, changes: Mapping[str, Any]) -> Tables:
    """Return the database with a file's rows written over it.

    Fields that the file does not name stay; null in place of a row removes it, and an empty table empties it.
    """
    after = copied(tables)
    for table, rows in changes.items():
        if not rows:
            after.pop(table, None)
            continue
        there = after.setdefault(table, {})
        for key, row in rows.items():
            if row is None:
                there.pop(key, None)
            else:
                there.setdefault(key, {}).update({name: _plain(value) for name, value in row.items()})
        if not there:
            del after[table]
    return after


def whole(content: Mapping[str, Any]) -> Tables:
    """Return the database that a file describes completely."""
    return merged({}, content)


def _plain(value: Any) -> Value:  # noqa: ANN401 - whatever JSON holds
    return [str(member) for member in value] if isinstance(value, list) else str(value)


def _natural(key: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", key)]
