"""The values of gNMI messages, in every encoding, as the types of our fields."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pygnmi.spec.v080 import gnmi_pb2

_INT64 = range(-(1 << 63), 1 << 63)


def as_integer(value: object) -> int:
    """Return a number that may have come as text (64-bit numbers in JSON_IETF) or as a whole decimal.

    Raises:
        ValueError: Not a whole number, or not within 64 bits.
    """
    if type(value) is int and value in _INT64:  # almost always
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected a whole number, found {value!r}")  # noqa: TRY004 - what cannot be read is a ValueError
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"expected a whole number, found {value!r}")
    number = int(value)
    if number not in _INT64:
        raise ValueError(f"expected a number within 64 bits, found {value!r}")
    return number


def as_truth(word: str, value: object) -> bool:
    """Return whether a value is true, or is the device's word for true (without its module's name)."""
    return value if isinstance(value, bool) else str(value).rpartition(":")[2] == word


def scalar(value: gnmi_pb2.TypedValue) -> object:
    """Return the Python value of a gNMI value; JSON is parsed, a list of leaves becomes a list.

    Raises:
        ValueError: No value, a kind of value that carries no readable number or text, or broken JSON.
    """
    kind = value.WhichOneof("value")
    if kind == "uint_val":  # almost always
        return value.uint_val
    if kind in _PLAIN:
        return getattr(value, kind)
    if kind in _JSON:
        return _json(getattr(value, kind))
    if kind == "decimal_val":
        return _decimal(value.decimal_val.digits, value.decimal_val.precision)
    if kind == "leaflist_val":
        return [scalar(element) for element in value.leaflist_val.element]
    raise ValueError(f"a value of kind {kind} cannot be read")


_PLAIN = frozenset({"int_val", "double_val", "float_val", "bool_val", "string_val", "ascii_val"})
_JSON = frozenset({"json_ietf_val", "json_val"})


def _json(text: bytes) -> object:
    """Return the value of a JSON text; a plain string, as which numbers of 64 bits come, is not worth a parser."""
    if text[:1] == b'"' and text[1:-1].isalnum() and text[-1:] == b'"':
        return text[1:-1].decode()
    return json.loads(text)


def _decimal(digits: int, precision: int) -> int | float:
    scale: int = 10**precision
    whole, rest = divmod(digits, scale)
    return digits / scale if rest else whole


def flatten(value: object, names: tuple[str, ...], keys: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    """Yield ``(names, keys, leaf value)`` of every leaf of a JSON subtree.

    Args:
        value: What :func:`scalar` returned: a leaf, or a subtree of dicts and lists.
        names: Element names of the subtree's path.
        keys: List keys of that path, under ``key`` and ``list/key``. JSON does not tell which members of a list entry
            are its keys, so every leaf member is taken for one.
    """
    if isinstance(value, dict):
        for name, member in value.items():
            yield from flatten(member, (*names, name.rpartition(":")[2]), keys)
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        for entry in value:
            yield from flatten(entry, names, {**keys, **_entry_keys(names[-1], entry)})
    else:
        yield names, keys, value


def _entry_keys(list_name: str, entry: Mapping[str, Any]) -> dict[str, str]:
    keys = {}
    for name, member in entry.items():
        if not isinstance(member, dict | list):
            key = name.rpartition(":")[2]
            keys[key] = keys[f"{list_name}/{key}"] = str(member)
    return keys
