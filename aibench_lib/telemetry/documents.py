"""Read polled documents, which a switch's command prints, into records."""

import json
from collections.abc import Mapping
from typing import Any

from aibench_lib.model import Record
from aibench_lib.telemetry.measurements import TAGS
from aibench_lib.telemetry.subscription import Subscription
from aibench_lib.telemetry.values import as_integer, as_truth


def parse_document(line: str) -> tuple[int, Mapping[str, Any]]:
    """Return the time of a document [ns] and the document.

    Raises:
        ValueError: Not a JSON object, or one without ``time_ns``.
    """
    document = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError("a document is no JSON object")  # noqa: TRY004 - what cannot be read is a ValueError
    time_ns = as_integer(document.get("time_ns"))
    if time_ns <= 0:
        raise ValueError("a document has no time_ns")
    return time_ns, document


def records(asked: Subscription, time_ns: int, document: Mapping[str, Any]) -> list[Record]:
    """Return a record for each entry of the list that is asked for.

    Args:
        asked: What is wanted of the document, and what it means.
        time_ns: Of the document [ns].
        document: As :func:`parse_document` returns it.

    Raises:
        ValueError: There is no such list, or a value in it cannot be read.
    """
    entries = document.get(asked.path)
    if not isinstance(entries, list):
        raise ValueError(f"a document has no list {asked.path!r}")  # noqa: TRY004 - what cannot be read is a ValueError
    found = []
    for entry in entries:
        if not all(_is_wanted(entry.get(key), wanted) for key, wanted in asked.where.items()):
            continue
        fields = {name: _value(asked, name, _leaf(entry, path)) for path, name in asked.leaves.items()}
        sources = {"switch": asked.host, **asked.fixed, **{tag: str(entry[key]) for tag, key in asked.tags.items()}}
        tags = {tag: sources[tag] for tag in TAGS[asked.measurement]}
        found.append(Record(asked.measurement, tags, fields, time_ns))
    return found


def _is_wanted(value: object, wanted: object) -> bool:
    return value in wanted if isinstance(wanted, list) else value == wanted


def _leaf(entry: Mapping[str, Any], path: str) -> object:
    value: Any = entry
    for key in path.split("/"):
        if not isinstance(value, dict) or key not in value:
            raise ValueError(f"an entry has no {path}")
        value = value[key]
    return value


def _value(asked: Subscription, name: str, shown: object) -> int | bool:
    word = asked.true_when.get(name)
    if word is not None:
        return as_truth(word, shown)
    return as_integer(shown) * asked.scale.get(name, 1)
